"""httpx's own transport for asyncio, over sockets that are looked at; its blocking twin is `_leashed_transport`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpcore
import httpx

from ._async_aside import current_task
from ._carried import Carried, Sending, watch
from ._deadline import send_async
from ._places import reclaim
from ._zones import with_index


def transport(**options: Any) -> httpx.AsyncHTTPTransport:
    """Make the transport."""
    return watch(httpx.AsyncHTTPTransport(**options), httpcore.AsyncNetworkBackend, _Backend)


async def send(over: httpx.AsyncBaseTransport, request: httpx.Request) -> httpx.Response:
    """Send *request*, and see that it holds no place in the pool when it is over, however it ends."""
    try:
        response = await _send(over, request)
    except BaseException:
        await _leave(over, request)
        raise
    if isinstance(response.stream, httpx.AsyncByteStream):
        response.stream = _Body(response.stream, over, request)
    return response


async def _send(over: httpx.AsyncBaseTransport, request: httpx.Request) -> httpx.Response:
    """Send *request*; once more, on a new connection, if a kept one was dead and that does no harm."""
    fresh = False
    while True:
        with Sending(request, fresh=fresh) as sending:
            try:
                return await send_async(over, request)
            except httpx.TransportError as exc:
                if not sending.again(request, exc):
                    raise
                fresh = True


async def _leave(over: httpx.AsyncBaseTransport, request: httpx.Request) -> None:
    """Give back what *request* holds, also if this is cancelled meanwhile."""
    left = reclaim(over, request)
    if not left:
        return
    if current_task() is not None:
        closing = asyncio.ensure_future(_close(left))  # a cancellation of asyncio passes anyio's shields
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            if closing.cancelling():  # as all tasks are when the loop ends, perhaps before it began
                await _close(left)
            raise
        return
    import anyio  # which httpx brings

    with anyio.CancelScope(shield=True):
        await _close(left)


async def _close(connections: Iterable[httpcore.AsyncConnectionInterface]) -> None:
    for connection in connections:
        await connection.aclose()


class _Body(httpx.AsyncByteStream):
    """A body that holds no place in the pool if closing it is cancelled."""

    def __init__(self, stream: httpx.AsyncByteStream, over: httpx.AsyncBaseTransport, request: httpx.Request) -> None:
        self._stream = stream
        self._over = over
        self._request = request

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        except BaseException:  # else it is closed, or about to be by somebody else, such as the end of the loop
            await _leave(self._over, self._request)
            raise


class _Backend(httpcore.AsyncNetworkBackend):
    """Makes the connections of a pool."""

    def __init__(self, backend: httpcore.AsyncNetworkBackend) -> None:
        self._backend = backend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        host = with_index(host)  # which httpx leaves as a URL has it, and so no system finds
        return _Stream(await self._backend.connect_tcp(host, port, timeout, local_address, socket_options))

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._backend.connect_unix_socket(path, timeout, socket_options))

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    """A connection that is looked at."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._carried = Carried(stream)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's
        return self._carried.received(await self._stream.read(max_bytes, self._carried.waits(timeout)))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's
        self._carried.sends()
        await self._stream.write(buffer, timeout)

    async def start_tls(
        self,
        ssl_context: Any,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
