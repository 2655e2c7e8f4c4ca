"""The readiness set of each event loop: all sockets of its pools behind one descriptor, for as long as it runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from . import _core

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator

    from ._async_transport import AsyncTransport


class Watch:
    """The readiness set of one event loop and the pools on it, closed with the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.set = _core.ReadinessSet(loop)
        self.pools: WeakKeyDictionary[AsyncTransport, _core.AsyncPool] = WeakKeyDictionary()
        self._until_loop_ends = self._end_with(loop)
        loop.add_reader(self.set.fileno(), self.set.drain)

    @classmethod
    async def over(cls, loop: asyncio.AbstractEventLoop) -> Watch:
        """Give the one over *loop*, the running one; a new one if there is none yet."""
        found = watches.get(loop)
        if found is not None:
            return found
        for other in list(watches):  # other threads have loops, too
            if other.is_closed():
                watches.pop(other, None)
        watch = watches[loop] = cls(loop)
        # A loop has no hook for its end, but it closes the async generators that were begun on it.
        await anext(watch._until_loop_ends)
        return watch

    async def _end_with(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            if watches.get(loop) is self:
                del watches[loop]
                loop.remove_reader(self.set.fileno())
            self.set.close()


watches: dict[asyncio.AbstractEventLoop, Watch] = {}
"""By event loop; those of loops that were closed without a word go when the next one comes."""
_left_behind: list[object] = []
"""Those of the parent process: kept, so that nobody uses or closes their connections from a child."""


def _forget() -> None:
    _left_behind.append(dict(watches))
    watches.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
