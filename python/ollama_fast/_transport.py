"""
Transports for httpx over the Rust core, from the socket to the dict.

They do plain HTTP/1.1 straight to a host. Everything else they pass to httpx's own transports, which are made when first
needed: https, proxies, Unix sockets, another event loop than asyncio's, and whatever tools have patched.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from weakref import WeakKeyDictionary, WeakSet

import httpx

from . import _core
from ._delegation import Routes, forced, transports_patched

if TYPE_CHECKING:
    import ssl

    from ._delegation import Proxy

T = TypeVar("T", httpx.HTTPTransport, httpx.AsyncHTTPTransport)

_LIMITS: Final = httpx.Limits(max_connections=100, max_keepalive_connections=20)
_HERE: Final = hasattr(_core, "Pool")
"""Whether the core can open sockets on this system."""


class _Plan(Generic[T]):
    """Which requests a transport does itself, and httpx's own transports for the others."""

    def __init__(self, kind: type[T], options: dict[str, Any], proxy: Proxy | None, *, trust_env: bool) -> None:
        self._kind = kind
        self._options = options | {"trust_env": trust_env}
        self._routes = Routes.of(proxy, trust_env=trust_env)
        self._others: dict[Proxy | None, T] = {}
        special = any(options[name] for name in ("uds", "local_address", "retries", "socket_options"))
        self._own = _HERE and not special and options["http1"] and not forced(os.environ)

    def takes(self, request: httpx.Request) -> bool:
        """Whether the request is sent by the core."""
        return (
            self._own
            and request.url.scheme == "http"
            and not (self._routes.rules and self._routes.proxy_for(request.url))
            and not transports_patched()
        )

    def other(self, request: httpx.Request) -> T:
        """Give the transport of httpx for the request."""
        proxy = self._routes.proxy_for(request.url)
        if proxy not in self._others:
            self._others[proxy] = self._kind(**self._options, proxy=proxy)
        return self._others[proxy]

    def release(self) -> list[T]:
        """Forget httpx's transports, and give them to be closed."""
        others = list(self._others.values())
        self._others = {}
        return others


def _bounds(limits: httpx.Limits) -> tuple[int | None, int | None, float | None]:
    return limits.max_connections, limits.max_keepalive_connections, limits.keepalive_expiry


def _timeout(request: httpx.Request) -> dict[str, Any]:
    timeout = request.extensions.get("timeout")
    # The very dict of the request: who changes it changes the waits that follow.
    return timeout if isinstance(timeout, dict) else dict(timeout or {})


def _place(url: httpx.URL) -> tuple[str, int]:
    return url.raw_host.decode("ascii"), url.port or 80


def _content(request: httpx.Request) -> bytes | None:
    try:
        return request.content
    except httpx.RequestNotRead:
        return None


def _response(reply: _core.Reply | _core.AsyncReply, body: httpx.SyncByteStream | httpx.AsyncByteStream) -> httpx.Response:
    extensions: dict[str, Any] = {}
    reply.describe(extensions)
    return httpx.Response(reply.status, headers=reply.headers, stream=body, extensions=extensions)


# --- blocking --------------------------------------------------------------------------------------------------------


class Transport(httpx.BaseTransport):
    """
    A transport for httpx.Client that reads responses in Rust.

    `response.extensions["ndjson"]` iterates over the decoded lines of a body, unless it has a content-encoding. The
    ordinary ways to read a response work, too. The arguments are those of httpx.HTTPTransport; proxies of the
    environment are used unless *trust_env* is false.
    """

    def __init__(
        self,
        verify: ssl.SSLContext | str | bool = True,
        cert: Any = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: bool = False,
        limits: httpx.Limits = _LIMITS,
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
        self._plan = _Plan(httpx.HTTPTransport, options, proxy, trust_env=trust_env)
        self._limits = limits
        self._renew()
        _transports.add(self)

    def _renew(self) -> None:
        if _HERE:
            self._pool = _core.Pool(*_bounds(self._limits))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* and give its response, whose body is still to be read. Raises httpx's exceptions."""
        if not self._plan.takes(request):
            return self._plan.other(request).handle_request(request)
        url = request.url
        host, port = _place(url)
        content = _content(request)
        try:
            reply = self._pool.send(
                host,
                port,
                _resolve,
                request.method.encode("ascii"),
                request.extensions.get("target", url.raw_path),
                request.headers.raw,
                request.stream if content is None else content,
                _timeout(request),
            )
        except NotImplementedError:  # a request to change the protocol
            return self._plan.other(request).handle_request(request)
        return _response(reply, _Body(reply))

    def close(self) -> None:
        """Close the connections that are not in use."""
        if _HERE:
            self._pool.close()
        for other in self._plan.release():
            other.close()


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
    except OSError as exc:
        raise httpx.ConnectError(str(exc)) from exc


# --- asyncio ---------------------------------------------------------------------------------------------------------


class AsyncTransport(httpx.AsyncBaseTransport):
    """
    A transport for httpx.AsyncClient that reads responses in Rust, on asyncio's event loops and uvloop's.

    `response.extensions["ndjson"]` iterates, with `async for`, over the decoded lines of a body, unless it has a
    content-encoding. The ordinary ways to read a response work, too. The arguments are those of
    httpx.AsyncHTTPTransport; proxies of the environment are used unless *trust_env* is false.
    """

    def __init__(
        self,
        verify: ssl.SSLContext | str | bool = True,
        cert: Any = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: bool = False,
        limits: httpx.Limits = _LIMITS,
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
        self._plan = _Plan(httpx.AsyncHTTPTransport, options, proxy, trust_env=trust_env)
        self._limits = limits

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* and give its response, whose body is still to be read. Raises httpx's exceptions."""
        pool = await self._find_pool() if self._plan.takes(request) else None
        if pool is None:
            return await self._plan.other(request).handle_async_request(request)
        try:
            reply = await _exchange(pool, request)
        except NotImplementedError:  # a request to change the protocol
            return await self._plan.other(request).handle_async_request(request)
        return _response(reply, _AsyncBody(reply))

    async def _find_pool(self) -> _core.AsyncPool | None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # trio's
            return None
        watch = _watches.get(loop)
        if watch is None:
            watch = await _Watch.begin(loop)
        pool = watch.pools.get(self)
        if pool is None:
            pool = watch.pools[self] = _core.AsyncPool(watch.set, *_bounds(self._limits))
        return pool

    async def aclose(self) -> None:
        """Close the connections of this event loop that are not in use."""
        pool = await self._find_pool() if _HERE else None
        if pool is not None:
            pool.close()
        for other in self._plan.release():
            await other.aclose()


class _AsyncBody(httpx.AsyncByteStream):
    """The bytes of a response."""

    def __init__(self, reply: _core.AsyncReply) -> None:
        self._reply = reply

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await self._reply.chunk():
            yield chunk

    async def aclose(self) -> None:
        self._reply.close()


async def _exchange(pool: _core.AsyncPool, request: httpx.Request) -> _core.AsyncReply:
    """Send *request* and wait for the head of its response."""
    url = request.url
    host, port = _place(url)
    timeout = _timeout(request)
    content = _content(request)
    method, headers = request.method.encode("ascii"), request.headers.raw
    target = request.extensions.get("target", url.raw_path)
    turn: _Turn | None = None
    while True:
        addresses = () if pool.has_idle(host, port) else await _resolve_async(host, port, timeout.get("connect"))
        reply = pool.send(host, port, addresses, method, target, headers, content, timeout)
        if reply is None:
            if addresses:
                turn = turn or _Turn(pool, timeout.get("pool"))
                await turn.wait()
            continue
        try:
            if content is None:
                await _upload(reply, request.stream)
            await reply.head()
        except BaseException as exc:
            again = reply.is_stale and content is not None and isinstance(exc, httpx.TransportError)
            reply.close()
            if not again:
                raise
        else:
            return reply


async def _upload(reply: _core.AsyncReply, stream: Any) -> None:
    async for piece in stream:
        reply.write(piece)
        if await reply.sent():
            return  # the server answers already, or takes no more
    reply.end()


class _Turn:
    """Waiting in line for a connection."""

    def __init__(self, pool: _core.AsyncPool, limit: float | None) -> None:
        self._pool = pool
        self._deadline = None if limit is None else time.monotonic() + limit
        self._waited = False

    async def wait(self) -> None:
        """Wait until a connection may be free; who waited already is first in line. Raises httpx.PoolTimeout."""
        future = self._pool.queue(self._waited)
        self._waited = True
        left = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        try:
            await asyncio.wait([future], timeout=left)
        except BaseException:
            self._pool.leave(future)
            raise
        if not future.done():
            self._pool.leave(future)
            raise httpx.PoolTimeout("timed out while waiting for a free connection")


async def _resolve_async(host: str, port: int, limit: float | None) -> list[Any]:
    if _is_literal(host):
        return [(host, port)]
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(limit):
            return [found[4] for found in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except TimeoutError as exc:
        raise httpx.ConnectTimeout("timed out while looking up the name of the host") from exc
    except OSError as exc:
        raise httpx.ConnectError(str(exc)) from exc


@lru_cache(maxsize=256)
def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host


class _Watch:
    """The readiness set of one event loop and the pools on it, closed with the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.set = _core.ReadinessSet(loop)
        self.pools: WeakKeyDictionary[AsyncTransport, _core.AsyncPool] = WeakKeyDictionary()
        self._until_loop_ends = self._end_with(loop)
        loop.add_reader(self.set.fileno(), self.set.drain)

    @classmethod
    async def begin(cls, loop: asyncio.AbstractEventLoop) -> _Watch:
        for closed in [other for other in _watches if other.is_closed()]:
            del _watches[closed]
        watch = _watches[loop] = cls(loop)
        # A loop has no hook for its end, but it closes the async generators that were begun on it.
        await anext(watch._until_loop_ends)
        return watch

    async def _end_with(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            if _watches.get(loop) is self:
                del _watches[loop]
                loop.remove_reader(self.set.fileno())
            self.set.close()


_watches: dict[asyncio.AbstractEventLoop, _Watch] = {}


# --- fork ------------------------------------------------------------------------------------------------------------

_transports: WeakSet[Transport] = WeakSet()
_left_behind: list[object] = []
"""Connections of the parent process: kept, so that nobody uses or closes them from a child."""


def _forget() -> None:
    global _watches  # noqa: PLW0603 - a child of fork begins anew
    _left_behind.append(_watches)
    _watches = {}
    for transport in list(_transports):
        if _HERE:
            _left_behind.append(transport._pool)
        transport._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
