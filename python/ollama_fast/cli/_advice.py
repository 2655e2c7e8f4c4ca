"""Errors in the words of a shell: what is said of one, and which command or option helps; pure."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final
from urllib.parse import urlsplit

from ollama_fast.errors import AuthenticationError, ConnectError, ModelNotFoundError, ResponseError

from ._run_options import near_option

_OF_PYTHON: Final[Mapping[str, str]] = {
    "(Timeout.pool, Limits.max_connections)": "(--timeout)",
    **{f"(Timeout.{limit})": "(--timeout)" for limit in ("connect", "write", "first_part", "idle", "total")},
    "ollama_fast.pull(host, 'smollm2'), for example": "`ollama-fast pull smollm2`, for example",
    "give the certificates to trust as a file, Host(url, verify='ca.pem'); verify=False trusts everybody": (
        "name a file with the certificates to trust in SSL_CERT_FILE"
    ),
    "if this host shall have it: Host(url, auth=key)": "if this host shall have it, name it by OLLAMA_HOST",
}
"""What the package says to who writes Python, and what is said of it here."""

_NO_TLS: Final = ("server gave HTTP response to HTTPS client", "insecure protocol http")
_NOT_TRUSTED: Final = ("x509: ", "failed to verify certificate")
_NO_MODEL: Final = "pull model manifest: file does not exist"

_OF_OLLAMA: Final[Mapping[str, str]] = {
    "run": "`generate` answers a prompt, and `chat` talks in turns.",
    "rm": "Did you mean delete?",
    "cp": "Did you mean copy?",
    "ls": "Did you mean list?",
    "stop": "Did you mean unload?",
    "serve": "The server is `ollama serve`; this is a client of it.",
}
"""The commands of `ollama` that have other names here."""


def in_shell(text: str) -> str:
    """Give a text of the package without names of Python that a shell does not have."""
    for theirs, ours in _OF_PYTHON.items():
        text = text.replace(theirs, ours)
    return text


def said(exc: Exception) -> str:
    """Give the text of an error of a call, with what to do next if there is a command or an option for it."""
    text = in_shell(str(exc))
    more = _todo(exc)
    return f"{text}\n{more}" if more and more not in text else text


def _todo(exc: Exception) -> str:
    match exc:
        case ModelNotFoundError() if exc.model:
            listed = "`ollama-fast list` shows the models there"
            return f"{listed}, `ollama-fast pull {exc.model}` downloads it." if _wants_to_run(exc) else f"{listed}."
        case AuthenticationError():
            return f"Sign in at {exc.signin_url}" if exc.signin_url and exc.signin_url not in str(exc) else ""
        case ConnectError():
            return f"`ollama-fast doctor{_host_of(exc.url)}` looks for the cause."
        case ResponseError():
            return _todo_about_registry(exc.message)
        case _:
            return ""


def _host_of(url: str | None) -> str:
    """Give the option for the host that was asked at *url*: it may have come from an option, too."""
    return f" --host {url.partition('/api/')[0]}" if url else ""


def _wants_to_run(exc: ModelNotFoundError) -> bool:
    """Whether a model was asked for that, once downloaded, does what was wanted."""
    return not urlsplit(exc.url or "").path.endswith(("/api/delete", "/api/copy", "/api/push"))


def _todo_about_registry(message: str) -> str:
    """Say what helps if the server could not do with a registry what it should."""
    if any(text in message for text in _NO_TLS):
        return "--insecure allows a registry without TLS."
    if any(text in message for text in _NOT_TRUSTED):
        return "--insecure allows a registry whose certificate nobody trusts."
    return "The registry has no such model: is its name right?" if _NO_MODEL in message else ""


def of_command(name: str, known: tuple[str, ...]) -> str:
    """Say which command is meant by a name that none has."""
    if name in _OF_OLLAMA:
        return _OF_OLLAMA[name]
    near = get_close_matches(name, known)
    return f"Did you mean {' or '.join(near)}?" if near else "`ollama-fast --help` lists them."


def of_option(name: str) -> str:
    """Say how an option of Ollama's is given, if *name*, such as --temperature, is one or nearly so."""
    near = near_option(name.lstrip("-").replace("-", "_"))
    return f"An option of the run is given so: --option {near}=VALUE" if near else ""
