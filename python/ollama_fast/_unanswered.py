"""
Requests over httpx's own transports that no byte answered.

What these raise does not say whether an answer had begun, nor whether the connection was one that had been kept. So
their sockets are looked at, in both colours: the error gets the attribute `unanswered`, as that of the core does. What
may be done any number of times, on a kept connection that was dead, goes out again unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Self

import httpcore
import httpx

from ._deadline import send_async

_SAFE: Final = frozenset({"GET", "HEAD"})
_BROKE: Final = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)

_now: ContextVar[Sending | None] = ContextVar("ollama_fast_sending", default=None)


class Sending:
    """A block in which one request is sent and its head waited for; it sees what the connection does."""

    __slots__ = ("_token", "answered", "reused")

    def __init__(self) -> None:
        self.answered = False
        """Whether a byte of the answer came."""
        self.reused = False
        """Whether the connection had carried another answer before."""

    def __enter__(self) -> Self:
        self._token = _now.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _now.reset(self._token)

    def again(self, request: httpx.Request, exc: httpx.TransportError) -> bool:
        """Say in *exc* whether no byte of an answer came; give whether *request* may be sent again without a word."""
        if self.answered or not isinstance(exc, _BROKE):
            return False
        error: Any = exc
        error.unanswered = True
        return self.reused and request.method in _SAFE and isinstance(request.stream, httpx.ByteStream)


class Carried:
    """What one connection carried, for who sends over it."""

    __slots__ = ("_any",)

    def __init__(self) -> None:
        self._any = False

    def sends(self) -> None:
        """Note that bytes of a request are written."""
        sending = _now.get()
        if sending is not None:
            sending.answered, sending.reused = False, self._any

    def received(self, data: bytes) -> bytes:
        """Note what was read, and give it."""
        if data:
            self._any = True
            sending = _now.get()
            if sending is not None:
                sending.answered = True
        return data


# --- asyncio; the blocking sockets are those of `_leashed_transport` -------------------------------------------------


def transport(**options: Any) -> httpx.AsyncHTTPTransport:
    """Make httpx's own transport for asyncio, over sockets that are looked at, if it keeps its pool where it did."""
    made = httpx.AsyncHTTPTransport(**options)
    pool: Any = getattr(made, "_pool", None)
    backend = getattr(pool, "_network_backend", None)
    if isinstance(backend, httpcore.AsyncNetworkBackend):
        pool._network_backend = _Backend(backend)  # noqa: SLF001 - httpx has no argument to pass it on
    return made


async def send(over: httpx.AsyncBaseTransport, request: httpx.Request) -> httpx.Response:
    """Send *request*, once more for each kept connection that was dead if that does no harm."""
    while True:
        with Sending() as sending:
            try:
                return await send_async(over, request)
            except httpx.TransportError as exc:
                if not sending.again(request, exc):
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
        self._carried = Carried()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's
        return self._carried.received(await self._stream.read(max_bytes, timeout))

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
