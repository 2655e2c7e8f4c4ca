"""What an error says: of which call it is, and what the server said went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from . import _core, errors

if TYPE_CHECKING:
    from ._memory import Part

_SHOWN = 300
"""How many characters of an answer that is no answer an error shows."""


class Facts(TypedDict):
    """What every error of a call knows."""

    method: str
    url: str
    model: str | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Context:
    """Which call it was: what every error says."""

    method: str
    url: str
    model: str | None = None
    key_withheld: bool = False
    left_behind: tuple[str, ...] = ()
    """What of the host's did not follow a redirect to another origin: its credentials, and headers by name."""
    attempts: int = 1
    more: str = ""
    """What is said behind what went wrong."""
    retry_after: float | None = None
    """Seconds after which the server wants to be asked again, if it said so."""

    def say(self, what: str) -> str:
        """Put the call in front of *what* went wrong with it."""
        model = "" if self.model is None else f" for model {self.model!r}"
        tried = "" if self.attempts == 1 else f" ({self.attempts} attempts)"
        return f"{self.method} {self.url}{model}{tried}: {what}{self.more}"

    def facts(self) -> Facts:
        """Give the keyword arguments of an error."""
        return {"method": self.method, "url": self.url, "model": self.model, "attempts": self.attempts}


def response_error(context: Context, status: int, body: bytes, *, names_model: bool) -> errors.ResponseError:
    """Say what a response with an error status says went wrong."""
    try:
        said = _core.decode(body)
    except ValueError:
        said = body.decode("utf-8", "replace").strip()
    if isinstance(said, dict) and "error" in said:
        return said_error(context, said, status, names_model=names_model)
    text = said if isinstance(said, str) else json_text(said)
    return _error(errors.ResponseError, context, status, shorten(text))


def said_error(context: Context, said: Part, status: int, *, names_model: bool = True) -> errors.ResponseError:
    text = message_of(said)
    if status == 401 or "signin_url" in said:
        return _error(errors.AuthenticationError, context, status, text, signin_url=said.get("signin_url"))
    # "404 page not found" is not JSON and does not come here: that is a path that the server does not know.
    kind = errors.ModelNotFoundError if status == 404 and names_model else errors.ResponseError
    return _error(kind, context, status, text)


def message_of(said: Part) -> str:
    """Give the text of the error that *said* tells; "" if it gives no reason."""
    message = said["error"]
    if isinstance(message, dict) and isinstance(message.get("message"), str):  # as gateways write it
        message = message["message"]
    return message if isinstance(message, str) else "" if message is None else json_text(message)


def _error(
    kind: type[errors.ResponseError], context: Context, status: int, message: str, *, signin_url: str | None = None
) -> errors.ResponseError:
    if status == 401:
        kind = errors.AuthenticationError
    from http import HTTPStatus

    try:
        phrase = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = str(status)
    what = message or "the server gave no reason"
    text = context.say(f"error: {what}" if status < 300 else f"{phrase}: {what}")
    if signin_url:
        text += f" (sign in at {signin_url})"
    if status == 401 and context.key_withheld:
        text += " (OLLAMA_API_KEY was not sent: this host is neither ollama.com nor the one in OLLAMA_HOST;"
        text += " give it by name, Host(url, auth=key))"
    if status in (401, 403) and context.left_behind:
        text += f" (of the host, {', '.join(context.left_behind)} did not follow the redirect to another scheme,"
        text += " address or port: give where it leads as host)"
    error = kind(text, status=status, message=message, **context.facts())
    error.retry_after = context.retry_after
    if isinstance(error, errors.AuthenticationError):
        error.signin_url = signin_url
    return error


def json_text(value: Any) -> str:
    import json

    return json.dumps(value, default=repr)


def shorten(text: str) -> str:
    """Give as much of *text*, which is no answer, as an error shows."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
