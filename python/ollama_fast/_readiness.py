"""The readiness set of each event loop: all sockets of its pools behind one descriptor, for as long as it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from . import _core
from ._per_loop import PerLoop

if TYPE_CHECKING:
    import asyncio

    from ._async_transport import AsyncTransport


class Watch:
    """The readiness set of one event loop and the pools on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.set = _core.ReadinessSet(loop)
        self.pools: WeakKeyDictionary[AsyncTransport, _core.AsyncPool] = WeakKeyDictionary()
        self._loop = loop
        loop.add_reader(self.set.fileno(), self.set.drain)

    async def aclose(self) -> None:
        """Let the loop forget the set, and close it."""
        self._loop.remove_reader(self.set.fileno())
        self.set.close()


watches: Final = PerLoop(Watch)
