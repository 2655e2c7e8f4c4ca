"""The pools of connections on asyncio: of each event loop its own, closed with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ._host import Host
from ._per_loop import PerLoop

if TYPE_CHECKING:
    from ._async_transport import AsyncTransport
    from ._pool import PoolKey


class _Pools:
    """The pools of one event loop."""

    def __init__(self, _loop: asyncio.AbstractEventLoop) -> None:
        self.transports: dict[PoolKey, AsyncTransport] = {}

    async def aclose(self) -> None:
        """Close them all."""
        await self.close(list(self.transports))

    async def close(self, chosen: list[PoolKey]) -> None:
        """Close the pools of the *chosen* keys."""
        closing_now = [self.transports.pop(key) for key in chosen if key in self.transports]
        for transport in closing_now:
            await transport.aclose()  # who got it just before can still use it


_pools: Final = PerLoop(_Pools)


async def pool_for(key: PoolKey) -> AsyncTransport:
    """Give the pool of *key* on the event loop that runs."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError as exc:
        raise RuntimeError("ollama_fast.aio runs on asyncio's event loops; on trio give an httpx.AsyncClient") from exc
    pools = await _pools.on(loop)
    transport = pools.transports.get(key)
    if transport is None:
        from ._async_transport import AsyncTransport

        transport = pools.transports[key] = key.make(AsyncTransport)
    return transport


async def close(host: Host | str | None = None, /) -> None:
    """
    Close the connections that are kept to *host* by this event loop, or without one all of them.

    Args:
        host: A Host or its URL, or None for every host.

    They are opened again when needed, and closed with the loop. Connections of a caller's own httpx client are the
    caller's.
    """
    from ._pool import PoolKey

    pools = _pools.get(asyncio.get_running_loop())
    if pools is None:
        return
    await pools.close(list(pools.transports) if host is None else [PoolKey.of(Host.of(host))])
