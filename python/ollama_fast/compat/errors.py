"""
The errors of streams and answers, beside the `RequestError` and `ResponseError` of `ollama`.

ResponseError
├── IncompleteStreamError       the answer ended before its last part
│   ├── BrokenStreamError       since the connection broke; an error of httpx, too
│   └── IncompleteLineError     in the middle of a line; a DecodeError, too
└── DecodeError                 what came is no JSON, or not an answer's; a json.JSONDecodeError, too
ConnectError                    a stream found no server; the builtin ConnectionError and httpx's, too

Each is also what `ollama` raises in its place, so that every `except` clause catches what it caught.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from types import TracebackType

import httpx

from ._client import CONNECTION_ERROR_MESSAGE
from ._types import ResponseError


class ConnectError(ConnectionError, httpx.ConnectError):
    """A stream found no server; a call of a whole answer raises the builtin ConnectionError itself."""

    def __init__(self, message: str = CONNECTION_ERROR_MESSAGE, *, request: httpx.Request | None = None) -> None:
        ConnectionError.__init__(self, message)
        self._request = request


class IncompleteStreamError(ResponseError):
    """The answer ended before its last part."""


class BrokenStreamError(IncompleteStreamError, httpx.ReadError, httpx.RemoteProtocolError):
    """The connection broke before the last part of an answer."""

    def __init__(self, error: str, status_code: int = -1, *, request: httpx.Request | None = None) -> None:
        super().__init__(error, status_code)
        self._request = request


class DecodeError(ResponseError, json.JSONDecodeError):
    """The answer is no JSON, or not the JSON of an answer."""

    def __init__(self, error: str, status_code: int = -1, doc: str = "") -> None:
        json.JSONDecodeError.__init__(self, error, doc, 0)
        Exception.__init__(self, error)
        self.error = error
        self.status_code = status_code

    def __reduce__(self) -> tuple[type[DecodeError], tuple[str, int, str]]:
        return type(self), (self.error, self.status_code, self.doc)


class IncompleteLineError(DecodeError, IncompleteStreamError):
    """The answer ended inside a line."""


# --- in place of httpx's ---------------------------------------------------------------------------------------------


class connecting:  # noqa: N801 - used as a function, and a class since each call has one
    """
    Raise, for a connection that is refused in the block, what `ollama` raises.

    Args:
        request: What an error of httpx is about, if httpx does not say it.

        stream: Whether a stream begins.
    """

    __slots__ = ("_request", "_stream")

    def __init__(self, request: httpx.Request | None, *, stream: bool) -> None:
        self._request = request
        self._stream = stream

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(value, httpx.RequestError):
            known = _about(value, self._request)
            if isinstance(value, httpx.ConnectError):
                refused = ConnectError(request=known) if self._stream else ConnectionError(CONNECTION_ERROR_MESSAGE)
                refused.add_note(str(value) or repr(value))
                raise refused from None


@contextmanager
def reading(request: httpx.Request | None) -> Generator[None]:
    """Raise BrokenStreamError for a connection that breaks in the block, which reads a stream of *request*."""
    try:
        yield
    except (httpx.NetworkError, httpx.RemoteProtocolError) as exc:
        text = f"the connection broke before the last part: {exc}"
        raise BrokenStreamError(text, request=_about(exc, request)) from exc
    except httpx.RequestError as exc:
        _about(exc, request)
        raise


def _about(exc: httpx.RequestError, request: httpx.Request | None) -> httpx.Request | None:
    """See to it that an error knows its request, as far as that is known, and give it."""
    known: httpx.Request | None = getattr(exc, "_request", None)  # its property raises an error if there is none
    if known is None and request is not None:
        exc.request = known = request
    return known
