"""The pools of connections on asyncio: of each event loop its own, closed with it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from ._host import Host

if TYPE_CHECKING:
    from ._async_transport import AsyncTransport
    from ._pool import Connection


class _Pools:
    """The pools of one event loop, closed with it."""

    def __init__(self) -> None:
        self.transports: dict[Connection, AsyncTransport] = {}
        self._until_loop_ends = self._close_at_the_end()

    async def start(self) -> None:
        # A loop has no hook for its end, but it closes the async generators that were begun on it.
        await anext(self._until_loop_ends)

    async def _close_at_the_end(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self.close(list(self.transports))

    async def close(self, chosen: list[Connection]) -> None:
        """Close the pools of *chosen* connections."""
        closing_now = [self.transports.pop(connection) for connection in chosen if connection in self.transports]
        for transport in closing_now:
            await transport.aclose()  # who got it just before can still use it


_pools: dict[asyncio.AbstractEventLoop, _Pools] = {}
"""By event loop; those of loops that were closed without a word go when the next one comes."""
_left_behind: list[object] = []
"""Pools of the parent process: kept, so that nobody closes its connections from a child."""


async def pool_for(connection: Connection) -> AsyncTransport:
    """Give the pool for *connection* of the event loop that runs."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError as exc:
        raise RuntimeError("ollama_fast.aio runs on asyncio's event loops; on trio give an httpx.AsyncClient") from exc
    pools = _pools.get(loop)
    if pools is None:
        for other in list(_pools):  # other threads have loops, too
            if other.is_closed():
                _pools.pop(other, None)
        pools = _pools[loop] = _Pools()
        await pools.start()
    transport = pools.transports.get(connection)
    if transport is None:
        from ._async_transport import AsyncTransport

        transport = pools.transports[connection] = connection.make(AsyncTransport)
    return transport


async def close(host: Host | str | None = None, /) -> None:
    """
    Close the connections that are kept to *host* by this event loop, or without one all of them.

    Args:
        host: A Host or its URL, or None for every host.

    They are opened again when needed, and closed with the loop. Connections of a caller's own httpx client are the
    caller's.
    """
    from ._pool import Connection

    pools = _pools.get(asyncio.get_running_loop())
    if pools is None:
        return
    known = None if host is None else Host.of(host)
    await pools.close(list(pools.transports) if known is None else [Connection.to(known, known.url)])


def _forget() -> None:
    global _pools  # noqa: PLW0603 - a child of fork begins anew
    _left_behind.append(dict(_pools))
    _pools = {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
