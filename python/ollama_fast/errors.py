"""
Everything that can go wrong, as one tree.

* OllamaError
  + TransportError         no usable HTTP exchange took place
    - ConnectError         the server could not be reached (also a builtin ConnectionError)
    - TimeoutError         the server did not answer in time (also the builtin TimeoutError)
  + ResponseError          Ollama answered with an error: an error status, or an error line in a stream
    - ModelNotFoundError   the named model is not on the server
    - AuthenticationError  status 401; `signin_url` is where to sign in, if the server said so
  + DecodeError            the bytes are not what Ollama sends (also a ValueError)
  + IncompleteStreamError  the answer ended before its last part
  + StreamClosedError      a stream was read after it had been closed
  + HostError              a host cannot be understood (also a ValueError)
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
    "AuthenticationError",
    "ConnectError",
    "DecodeError",
    "HostError",
    "IncompleteStreamError",
    "ModelNotFoundError",
    "OllamaError",
    "ResponseError",
    "StreamClosedError",
    "TimeoutError",
    "ToolCallError",
    "ToolSchemaError",
    "TransportError",
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


class TransportError(OllamaError):
    """No usable HTTP exchange took place."""


class ConnectError(TransportError, ConnectionError):
    """The server could not be reached."""


class TimeoutError(TransportError, builtins.TimeoutError):
    """The server did not answer in time."""


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
    ) -> None:
        super().__init__(text, method=method, url=url, model=model, partial=partial)
        self.status = status
        """The HTTP status: 200 for an error line in a stream, which has none of its own."""
        self.message = message
        """What the server said, in its own words."""


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


class HostError(OllamaError, ValueError):
    """A host cannot be understood."""


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
