"""
What is raised for what httpx, or an answer, says went wrong.

Each class is also what the package `ollama` raises in its place, so that every `except` clause goes on working.
"""

from __future__ import annotations

import json
from types import TracebackType
from typing import Self

import httpx

from ._client import CONNECTION_ERROR_MESSAGE
from ._types import ResponseError


class ConnectError(ConnectionError, httpx.ConnectError):
    """There is no connection: the same error for a whole answer and for a stream."""

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


class Telling:
    """
    A block that raises the errors of this module in place of others; what has no better name passes as it is.

    Args:
        request: What an error of httpx is about, if httpx does not say it.
    """

    __slots__ = ("_request", "has_head")

    def __init__(self, request: httpx.Request | None = None) -> None:
        self._request = request
        self.has_head = False
        """Whether the head of the answer is in: set by whoever waits for it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(value, httpx.RequestError) and value._request is None and self._request is not None:  # noqa: SLF001 - its property raises an error if there is none
            value.request = self._request
        failure = self._failure(value)
        if failure is not None:
            raise failure from value

    def _failure(self, exc: BaseException | None) -> Exception | None:
        if isinstance(exc, httpx.ConnectError):
            return ConnectError(request=exc._request)  # noqa: SLF001 - as above
        if not self.has_head:
            return None
        if isinstance(exc, httpx.NetworkError | httpx.RemoteProtocolError):
            text = f"the connection broke before the last part: {exc}"
            return BrokenStreamError(text, request=exc._request)  # noqa: SLF001 - as above
        if isinstance(exc, EOFError):
            return IncompleteLineError(f"the stream is incomplete: it ended inside a line: {exc}")
        if type(exc) is ValueError:  # the core's; pydantic's and others' are classes of their own
            return DecodeError(f"a line of the answer is not JSON: {exc}")
        return None
