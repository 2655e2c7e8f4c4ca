"""
The asyncio transport for httpx over the Rust core, from the socket to the dict.

It works on asyncio's event loops and uvloop's. What it does not do itself it passes to httpx's own transport: what its
blocking twin in `_transport` does not do, and requests on another kind of event loop.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterable
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

import httpx

from . import _core
from ._deadline import left, within
from ._plan import LIMITS, Plan, as_bytes, bounds, content_of, place_of, sliced, timeout_of
from ._readiness import watches
from ._response import CoreResponse, with_lines

if TYPE_CHECKING:
    import ssl

    from ._routes import Proxy


class AsyncTransport(httpx.AsyncBaseTransport):
    """
    A transport for httpx.AsyncClient that reads responses in Rust, on asyncio's event loops and uvloop's.

    `response.extensions["ndjson"]` iterates, with `async for`, over the decoded lines of a body. The ordinary ways to
    read a response work, too. The arguments are those of
    httpx.AsyncHTTPTransport; proxies of the environment are used unless *trust_env* is false.
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
        self._plan = Plan(_of_httpx, options, proxy, trust_env=trust_env)
        self._limits = limits

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* and give its response, whose body is still to be read. Raises httpx's exceptions."""
        pool = await self._find_pool() if self._plan.takes(request) else None
        if pool is None:
            from . import _watched_transport

            request = sliced(request)
            return with_lines(await _watched_transport.send(self._plan.other(request, _running_loop()), request))
        reply = await _exchange(pool, request)
        return with_lines(CoreResponse(reply, _AsyncBody(reply)))

    async def _find_pool(self) -> _core.AsyncPool | None:
        loop = _running_loop()
        if loop is None:
            return None
        try:
            watch = await watches.on(loop)
        except OSError as exc:  # no more files may be open
            raise httpx.ConnectError(str(exc)) from exc
        pool = watch.pools.get(self)
        if pool is None:
            pool = watch.pools[self] = _core.AsyncPool(watch.set, *bounds(self._limits))
        return pool

    async def aclose(self) -> None:
        """Close the connections of this event loop that are not in use."""
        loop = _running_loop()
        watch = None if loop is None else watches.get(loop)
        pool = None if watch is None else watch.pools.get(self)
        if pool is not None:
            pool.close()
        for other in self._plan.release(loop):
            await other.aclose()


def _of_httpx(**options: Any) -> httpx.AsyncHTTPTransport:
    from ._watched_transport import transport  # with httpcore, which takes its time and which the core does without

    return transport(**options)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:  # it is trio's
        return None


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
    host, port = place_of(url)
    timeout = timeout_of(request)
    content = content_of(request)
    method, headers = request.method.encode("ascii"), request.headers.raw
    target, sizes = request.extensions.get("target", url.raw_path), request.extensions.get("sizes")
    addresses: list[Any] = []
    called = fresh = False
    connect = within(timeout.get("connect"), request)
    while True:
        if not addresses and (fresh or not pool.has_idle(host, port)):
            addresses, connect = await _resolved(host, port, connect)
        reply = pool.send(
            host,
            port,
            addresses,
            method,
            target,
            headers,
            content,
            timeout,
            called,
            left(request),
            connect,
            sizes,
            fresh,
        )
        called = False
        if reply is None:
            if not addresses:  # now, because between being called and sending there must be no other wait
                addresses, connect = await _resolved(host, port, connect)
            await _stand_in_line(pool, within(timeout.get("pool"), request))
            called = True
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
            fresh = True  # one more on which the server may read it, and hang up, would be one too many
        else:
            return reply


async def _upload(reply: _core.AsyncReply, stream: Any) -> None:
    async for piece in stream:
        reply.write(as_bytes(piece))
        if await reply.sent():
            return  # the server refuses it, or takes no more
    reply.end()


async def _stand_in_line(pool: _core.AsyncPool, limit: float | None) -> None:
    """Wait to be called: from then on a place is promised. Raises httpx.PoolTimeout."""
    turn = pool.queue()
    try:
        await asyncio.wait([turn], timeout=limit)
    except BaseException:
        pool.leave(turn)
        raise
    if not turn.done():
        pool.leave(turn)
        raise httpx.PoolTimeout("timed out while waiting for a free connection")


async def _resolved(host: str, port: int, limit: float | None) -> tuple[list[Any], float | None]:
    """Give the addresses, and what is left of *limit* to connect."""
    if limit is None:
        return await _resolve(host, port, None), None
    until = perf_counter() + limit
    addresses = await _resolve(host, port, limit)
    return addresses, max(until - perf_counter(), 0.0)


async def _resolve(host: str, port: int, limit: float | None) -> list[Any]:
    if _is_literal(host):
        return [(host, port)]
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(limit):
            return [found[4] for found in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except TimeoutError as exc:
        raise httpx.ConnectTimeout("timed out while looking up the name of the host") from exc
    except (OSError, UnicodeError) as exc:  # the latter of a label that is too long
        raise httpx.ConnectError(str(exc)) from exc


@lru_cache(maxsize=256)
def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host
