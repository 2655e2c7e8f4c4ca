"""
The time for all of a request: the extension "deadline", a moment of `perf_counter`, or None.

The core keeps to what is left of it whatever comes. httpx's own transport knows the limits of single waits alone, so
here these are cut to what is left, and each chunk of a body is looked at. A chunk may take many waits: on a connection
that is looked at, each ends in time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import Final

import httpx

from ._plan import timeout_of

_SOON: Final = 0.001
"""Seconds to wait where no time is left; none at all is no limit to a socket."""
_until: ContextVar[float | None] = ContextVar("ollama_fast_until", default=None)
"""The moment until which the body may be waited for that is read here and now."""


def left(request: httpx.Request) -> float | None:
    """Give the seconds that are left for all of *request*; None if it may take any time."""
    deadline: float | None = request.extensions.get("deadline")
    return None if deadline is None else deadline - perf_counter()


def within(limit: float | None, request: httpx.Request) -> float | None:
    """Give how long a wait for *request* may last that begins now and has this *limit* of its own."""
    rest = left(request)
    if rest is None:
        return limit
    rest = max(rest, _SOON)
    return rest if limit is None else min(limit, rest)


def left_here() -> float | None:
    """Give the seconds that are left for the body that is read here and now; None if it may take any time."""
    until = _until.get()
    return None if until is None else until - perf_counter()


def send(over: httpx.BaseTransport, request: httpx.Request) -> httpx.Response:
    """Send *request* over httpx's own transport, within its time."""
    _cut(request)
    response = over.handle_request(request)
    if left(request) is not None and isinstance(response.stream, httpx.SyncByteStream):
        response.stream = _Body(response.stream, request)
    return response


async def send_async(over: httpx.AsyncBaseTransport, request: httpx.Request) -> httpx.Response:
    """Do the same on an event loop."""
    _cut(request)
    response = await over.handle_async_request(request)
    if left(request) is not None and isinstance(response.stream, httpx.AsyncByteStream):
        response.stream = _AsyncBody(response.stream, request)
    return response


def _cut(request: httpx.Request) -> None:
    """Cut the waits that begin from now on: httpx looks at their limits when it begins to send, or to read a body."""
    if left(request) is not None:
        timeout = request.extensions["timeout"] = timeout_of(request)
        for name in ("connect", "read", "write", "pool"):
            timeout[name] = within(timeout.get(name), request)


def _check(request: httpx.Request) -> None:
    rest = left(request)
    if rest is not None and rest <= 0:
        raise httpx.ReadTimeout("timed out while waiting for the response")


@contextmanager
def _reading(request: httpx.Request) -> Generator[None]:
    _until.set(request.extensions.get("deadline"))
    try:
        yield
    finally:
        _until.set(None)  # not reset(), which another context refuses: one in which an asynchronous wait is closed


class _Body(httpx.SyncByteStream):
    """A body that may come until the time of its request is over."""

    def __init__(self, stream: httpx.SyncByteStream, request: httpx.Request) -> None:
        self._stream = stream
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        _cut(self._request)
        chunks = iter(self._stream)
        while True:
            with _reading(self._request):
                chunk = next(chunks, None)
            if chunk is None:
                return
            _check(self._request)
            yield chunk

    def close(self) -> None:
        self._stream.close()


class _AsyncBody(httpx.AsyncByteStream):
    """The same on an event loop."""

    def __init__(self, stream: httpx.AsyncByteStream, request: httpx.Request) -> None:
        self._stream = stream
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        _cut(self._request)
        chunks = aiter(self._stream)
        while True:
            with _reading(self._request):
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            _check(self._request)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
