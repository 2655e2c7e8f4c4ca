"""httpx's own blocking transport, with a leash: another thread can end a wait for the head or for more of a body."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from typing import Any, Final

import httpcore
import httpx

from ._carried import Carried, Sending, watch
from ._deadline import send as in_time
from ._delegation import connecting_replaced
from ._leash import Leash, Pulled, current, holding
from ._places import reclaim
from ._zones import with_index

_LOOSE: Final = nullcontext()
_AT_ONCE: Final = 0.001
"""Seconds to wait where no time is left; none at all is no limit to a socket."""


def transport(**options: Any) -> httpx.HTTPTransport:
    """
    Make httpx's own transport, over sockets that are waited for on a leash.

    Where there are none such, there is no leash, and a reader is freed by what the server says next.
    """
    return watch(httpx.HTTPTransport(**options), httpcore.NetworkBackend, _Backend)


def send(over: httpx.BaseTransport, request: httpx.Request, leash: Leash | None) -> httpx.Response:
    """Send *request*, and let *leash* hold it until its response is closed; then it holds no place in the pool."""
    try:
        with holding(leash):
            response = _send(over, request)
    except BaseException:
        _leave(over, request)
        raise
    if isinstance(response.stream, httpx.SyncByteStream):
        response.stream = _Body(response.stream, leash, over, request)
    return response


def _leave(over: httpx.BaseTransport, request: httpx.Request) -> None:
    """Give back what *request* holds."""
    for connection in reclaim(over, request):
        connection.close()


def _send(over: httpx.BaseTransport, request: httpx.Request) -> httpx.Response:
    """Send *request*; once more, on a new connection, if a kept one was dead and that does no harm."""
    fresh = False
    while True:
        with Sending(request, fresh=fresh) as sending:
            try:
                return in_time(over, request)
            except httpx.TransportError as exc:
                if not sending.again(request, exc):
                    raise
                fresh = True


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = {_text(entry[4]): None for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as exc:  # the latter of a label that is too long
        raise httpcore.ConnectError(str(exc)) from exc
    return [host] if len(found) == 1 else list(found)


def _text(address: tuple[Any, ...]) -> str:
    return f"{address[0]}%{address[3]}" if len(address) == 4 and address[3] else str(address[0])


class _Body(httpx.SyncByteStream):
    """A body whose chunks are waited for on a leash, if there is one; if closing it fails, it holds no place."""

    def __init__(
        self, stream: httpx.SyncByteStream, leash: Leash | None, over: httpx.BaseTransport, request: httpx.Request
    ) -> None:
        self._stream = stream
        self._leash = leash
        self._over = over
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream) if self._leash is None else self._on(self._leash)

    def _on(self, leash: Leash) -> Iterator[bytes]:
        chunks = iter(self._stream)
        while True:
            with holding(leash):
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk

    def close(self) -> None:
        try:
            self._stream.close()
        except BaseException:  # else it is closed, or about to be by another thread
            _leave(self._over, self._request)
            raise


class _Backend(httpcore.NetworkBackend):
    """Makes the connections of a pool."""

    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        until = None if timeout is None else perf_counter() + timeout
        host = with_index(host)  # which httpx leaves as a URL has it, and so no system finds
        addresses = [host] if timeout is None or connecting_replaced() else _addresses(host, port)
        # Each has its share of the time that is left; by a name, the system would give all of it to each.
        for tried, address in enumerate(addresses):
            share = None if until is None else max(until - perf_counter(), _AT_ONCE) / (len(addresses) - tried)
            try:
                return _Stream(self._backend.connect_tcp(address, port, share, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if tried + 1 == len(addresses):
                    raise
        raise httpcore.ConnectError("the name has no address")

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._backend.connect_unix_socket(path, timeout, socket_options))

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    """A connection, each wait on which is on the leash of the thread that waits."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._carried = Carried(stream)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        timeout = self._carried.waits(timeout)
        try:
            with self._wait():
                return self._carried.received(self._stream.read(max_bytes, timeout))
        except Pulled as exc:
            raise httpcore.ReadError("closed by another thread") from exc

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._carried.sends()
        try:
            with self._wait():
                self._stream.write(buffer, timeout)
        except Pulled as exc:
            raise httpcore.WriteError("closed by another thread") from exc

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            with self._wait():
                return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))
        except Pulled as exc:
            raise httpcore.ConnectError("closed by another thread") from exc

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _wait(self) -> AbstractContextManager[None]:
        leash, found = current(), self._stream.get_extra_info("socket")
        return _LOOSE if leash is None or not isinstance(found, socket.socket) else leash.wait(found)
