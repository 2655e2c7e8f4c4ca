"""httpx's own transport for asyncio, over sockets that are looked at; its blocking twin is `_leashed_transport`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from ._carried import Carried, Sending, watch
from ._deadline import send_async


def transport(**options: Any) -> httpx.AsyncHTTPTransport:
    """Make the transport."""
    return watch(httpx.AsyncHTTPTransport(**options), httpcore.AsyncNetworkBackend, _Backend)


async def send(over: httpx.AsyncBaseTransport, request: httpx.Request) -> httpx.Response:
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
