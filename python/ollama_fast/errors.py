"""
Everything that can go wrong, as one tree.

* OllamaError
  + TransportError         no usable HTTP exchange took place
    - ConnectError         the server could not be reached (also a builtin ConnectionError)
    - TimeoutError         something took longer than it may; `limit` says what (also the builtin TimeoutError)
    - TooLargeError        an answer is larger than it may be; `limit` says of what there is too much
  + ResponseError          Ollama answered with an error: an error status, or an error line in a stream
    - ModelNotFoundError   the named model is not on the server
    - AuthenticationError  status 401; `signin_url` is where to sign in, if the server said so
  + DecodeError            the bytes are not what Ollama sends (also a ValueError)
  + IncompleteStreamError  the answer ended before its last part
  + StreamClosedError      a stream was read after it had been closed
  + InputsError            one of many inputs failed; `inputs` says which, `done` keeps what else was done
  + AnswerError            the text of an answer is not what was asked for (also a ValueError)
    - TruncatedAnswerError it was cut off before its end
  + ToolRoundsError        a model called tools again and again, and never answered
  + HostError              a host cannot be understood (also a ValueError)
  + ModelfileError         a Modelfile cannot be understood; `line` says where (also a ValueError)
  + ToolSchemaError        a function cannot be a tool (also a TypeError)
  + ToolCallError          a tool cannot be called as the model asks, or failed

Every error of a call says which call it was: `method`, `url` and `model`. One that ends a stream holds in `partial`
the answer merged from the parts that came before.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any, Literal

__all__ = [
    "AnswerError",
    "AuthenticationError",
    "ConnectError",
    "DecodeError",
    "HostError",
    "IncompleteStreamError",
    "InputsError",
    "ModelNotFoundError",
    "ModelfileError",
    "OllamaError",
    "ResponseError",
    "StreamClosedError",
    "TimeoutError",
    "TooLargeError",
    "ToolCallError",
    "ToolRoundsError",
    "ToolSchemaError",
    "TransportError",
    "TruncatedAnswerError",
]


class OllamaError(Exception):
    """Base of every exception of this package, but for the TypeErrors and ValueErrors of wrong arguments."""

    def __init__(
        self,
        text: str,
        *,
        method: str | None = None,
        url: str | None = None,
        model: str | None = None,
        partial: dict[str, Any] | None = None,
        attempts: int = 1,
    ) -> None:
        super().__init__(text)
        self.method = method
        """The HTTP method of the request, such as "POST"."""
        self.url = url
        """Where the request went, without credentials."""
        self.model = model
        """The model that the request named, if it named one."""
        self.partial = partial
        """The answer so far, merged from the parts that arrived; None if none did."""
        self.attempts = attempts
        """How often the call was tried: more than once only by a host with `retry`."""
        self.messages: tuple[Mapping[str, Any], ...] = ()
        """The conversation so far, if `run_tools` was under way: what was given, said, and done."""


class TransportError(OllamaError):
    """No usable HTTP exchange took place."""


class ConnectError(TransportError, ConnectionError):
    """The server could not be reached."""


class TimeoutError(TransportError, builtins.TimeoutError):
    """The server did not answer in time."""

    def __init__(
        self,
        text: str,
        *,
        limit: str | None = None,
        after: float | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(text, **facts)
        self.limit = limit
        """
        Which limit of Timeout ran out: "connect", "pool", "write", "first_part", "idle" or "total"; None if it was one
        of a caller's own client, or of the operating system.
        """
        self.after = after
        """
        The seconds that this limit gives, and not those that passed: it may have been noticed later, and other waits
        may have come before. None if it is none of ours.
        """


class TooLargeError(TransportError):
    """An answer is larger than it may be; so that a server out of order cannot fill the memory."""

    def __init__(self, text: str, *, limit: str | None = None, most: int | None = None, **facts: Any) -> None:
        super().__init__(text, **facts)
        self.limit = limit
        """
        Which of the limits in Limits: "max_line_bytes", "max_head_bytes" or "max_body_bytes"; None if it is the bound
        that httpx's own transport has for heads, which none of them changes.
        """
        self.most = most
        """The bytes that this limit gives; None if it is none of ours."""


class ResponseError(OllamaError):
    """Ollama answered with an error."""

    def __init__(
        self,
        text: str,
        *,
        status: int | None = None,
        message: str = "",
        method: str | None = None,
        url: str | None = None,
        model: str | None = None,
        partial: dict[str, Any] | None = None,
        attempts: int = 1,
    ) -> None:
        super().__init__(text, method=method, url=url, model=model, partial=partial, attempts=attempts)
        self.status = status
        """The HTTP status: 200 for an error line in a stream, which has none of its own."""
        self.message = message
        """What the server said, in its own words."""
        self.retry_after: float | None = None
        """The seconds after which a busy server (429 or 503) wants to be asked again, if it said so by Retry-After."""


class ModelNotFoundError(ResponseError):
    """The named model is not on the server."""


class AuthenticationError(ResponseError):
    """The server wants to know who is asking."""

    signin_url: str | None = None
    """Where a person can sign the server in to ollama.com, if it said so."""


class DecodeError(OllamaError, ValueError):
    """The bytes are not what Ollama sends: no JSON, or JSON of another shape."""


class IncompleteStreamError(OllamaError):
    """The answer ended before its last part: the model, the server or the connection stopped."""


class StreamClosedError(OllamaError):
    """A stream was read after it had been closed."""


class InputsError(OllamaError):
    """
    Some of many inputs failed; the results of those before them were given out.

    Its `__cause__` is what went wrong with them.
    """

    def __init__(
        self,
        text: str,
        *,
        inputs: range = range(0),
        done: Mapping[int, Any] | None = None,
        method: str | None = None,
        url: str | None = None,
        model: str | None = None,
    ) -> None:
        super().__init__(text, method=method, url=url, model=model)
        self.inputs = inputs
        """Indices of the inputs that failed, together, since they were one request."""
        self.done: Mapping[int, Any] = {} if done is None else done
        """Results, by the indices of their inputs, that were there already but whose turn had not come."""

    def __reduce__(self) -> tuple[Any, ...]:
        # A memoryview has no pickle of its own.
        vectors = {index for index, one in self.done.items() if isinstance(one, memoryview)}
        done = {index: one.tobytes() if index in vectors else one for index, one in self.done.items()}
        others = {name: value for name, value in self.__dict__.items() if name != "done"}
        return _again, (type(self), self.args, done, vectors, _picklable(self.__cause__)), others


def _picklable(cause: BaseException | None) -> BaseException | None:
    """Give *cause*, or None if it does not survive a pickle: better without it than not at all."""
    import pickle

    try:
        pickle.loads(pickle.dumps(cause))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - of a foreign exception, whatever it raises
        return None
    return cause


def _again(
    kind: type[InputsError], args: tuple[str], done: dict[int, Any], vectors: set[int], cause: BaseException | None
) -> InputsError:
    """Make a copy of an error, whose *vectors* are bytes on their way."""
    error = kind(*args)
    error.__cause__ = cause
    error.done = {index: memoryview(one).cast("f") if index in vectors else one for index, one in done.items()}
    return error


class AnswerError(OllamaError, ValueError):
    """The text of an answer is not of the type that was asked for: no JSON, or JSON of another shape."""

    def __init__(self, text: str, *, response: dict[str, Any] | None = None) -> None:
        super().__init__(text, model=(response or {}).get("model"), partial=response)
        self.response = response
        """The whole response."""

    @property
    def text(self) -> str:
        """What the model said."""
        text: str = ((self.response or {}).get("message") or {}).get("content") or ""
        return text


class TruncatedAnswerError(AnswerError):
    """The answer was cut off before its end, by `num_predict` or by a full context."""


class ToolRoundsError(OllamaError):
    """A model called tools as often as it might, and had not answered by then; `messages` ends with calls not done."""


class HostError(OllamaError, ValueError):
    """A host cannot be understood."""


class ModelfileError(OllamaError, ValueError):
    """A Modelfile cannot be understood."""

    def __init__(self, text: str, *, line: int | None = None, **facts: Any) -> None:
        super().__init__(text if line is None else f"line {line}: {text}", **facts)
        self.line = line
        """The line where it is wrong, from 1; None if something is missing."""


class ToolSchemaError(OllamaError, TypeError):
    """A function cannot be a tool: a parameter or its type cannot be told to a model."""

    def __init__(self, text: str, *, function: str = "", parameter: str | None = None, **facts: Any) -> None:
        super().__init__(text, **facts)
        self.function = function
        """The function's name."""
        self.parameter = parameter
        """The parameter's name, if it is about one."""


class ToolCallError(OllamaError):
    """
    A tool cannot be called as the model asks, or failed.

    The text is one that the model can act on. It is raised from its cause.
    """

    def __init__(
        self,
        text: str,
        *,
        kind: Literal["unknown", "arguments", "uncallable", "failed"] = "failed",
        tool: str = "",
        call: Mapping[str, Any] | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(text, **facts)
        self.kind = kind
        """
        What went wrong: there is no such tool, its arguments are wrong, it is only a schema or a method without its
        object, so that nothing can be called, or it raised an error.
        """
        self.tool = tool
        """The tool's name, as the model gave it."""
        self.call = call
        """The call, as the model made it."""
