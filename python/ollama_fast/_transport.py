"""
The blocking transport for httpx over the Rust core, from the socket to the dict.

It does plain HTTP/1.1 straight to a host. Everything else it passes to httpx's own transports, which are made when
first needed: https, proxies, Unix sockets, and whatever tools have patched. `_async_transport` is its twin for asyncio.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import httpx

from . import _core
from ._deadline import left
from ._plan import HERE, LIMITS, Plan, as_bytes, bounds, content_of, place_of, sliced, timeout_of
from ._response import CoreResponse, with_lines

if TYPE_CHECKING:
    import ssl

    from ._routes import Proxy


class Transport(httpx.BaseTransport):
    """
    A transport for httpx.Client that reads responses in Rust.

    `response.extensions["ndjson"]` iterates over the decoded lines of a body. The ordinary ways to read a response
    work, too. The arguments are those of httpx.HTTPTransport; proxies of the
    environment are used unless *trust_env* is false.
    """

    def __init__(
        self,
        verify: ssl.SSLContext | str | bool = True,
        cert: Any = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: bool = False,
        limits: httpx.Limits = LIMITS,
        proxy: Proxy | None = None,
        uds: str | None = None,
        local_address: str | None = None,
        retries: int = 0,
        socket_options: Iterable[Any] | None = None,
    ) -> None:
        options = {
            "verify": verify,
            "cert": cert,
            "http1": http1,
            "http2": http2,
            "limits": limits,
            "uds": uds,
            "local_address": local_address,
            "retries": retries,
            "socket_options": socket_options,
        }
        self._plan = Plan(_others, options, proxy, trust_env=trust_env)
        self._limits = limits
        if HERE:
            self._pool = _core.Pool(*bounds(limits))
            _transports.add(self)

    def _renew(self) -> None:
        _left_behind.append((self._pool, self._plan.release()))
        self._pool = _core.Pool(*bounds(self._limits))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* and give its response, whose body is still to be read. Raises httpx's exceptions."""
        leash = request.extensions.get("leash")
        if not self._plan.takes(request):
            from . import _leashed_transport

            request = sliced(request)
            return with_lines(_leashed_transport.send(self._plan.other(request), request, leash))
        url = request.url
        host, port = place_of(url)
        content = content_of(request)
        pieces: Any = request.stream
        reply = self._pool.send(
            host,
            port,
            _resolve,
            request.method.encode("ascii"),
            request.extensions.get("target", url.raw_path),
            request.headers.raw,
            map(as_bytes, pieces) if content is None else content,
            timeout_of(request),
            None if leash is None else leash.core,
            left(request),
            request.extensions.get("sizes"),
        )
        return with_lines(CoreResponse(reply, _Body(reply)))

    def close(self) -> None:
        """Close the connections that are not in use."""
        if HERE:
            self._pool.close()
        for other in self._plan.release():
            other.close()


def _others(**options: Any) -> httpx.HTTPTransport:
    from . import _leashed_transport  # only now: httpcore takes longer to import than a call on the fast path

    return _leashed_transport.transport(**options)


class _Body(httpx.SyncByteStream):
    """The bytes of a response."""

    def __init__(self, reply: _core.Reply) -> None:
        self._reply = reply

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._reply.chunk, b"")

    def close(self) -> None:
        self._reply.close()


def _resolve(host: str, port: int) -> list[Any]:
    try:
        return [found[4] for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as exc:  # the latter of a label that is too long
        raise httpx.ConnectError(str(exc)) from exc


_transports: WeakSet[Transport] = WeakSet()
_left_behind: list[object] = []
"""Connections of the parent process: kept, so that nobody uses or closes them from a child."""


def _forget() -> None:
    for transport in list(_transports):
        transport._renew()  # noqa: SLF001 - of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
