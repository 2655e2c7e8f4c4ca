"""The readiness set of each event loop: all sockets of its pools behind one descriptor, for as long as it runs."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from . import _core

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator

    from ._async_transport import AsyncTransport

_PATIENCE: Final = 1.0
"""Seconds for which the end of the program waits for loops of daemon threads to rest; they need some milliseconds."""
_REST: Final = 2.0
"""Seconds for which such a loop rests, unless the program has ended by then, as it has."""
_ROUNDS: Final = 20
"""Rounds of a loop that hears nothing, after which it has done what was to be done."""


class Watch:
    """The readiness set of one event loop and the pools on it, closed with the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.set = _core.ReadinessSet(loop)
        self.pools: WeakKeyDictionary[AsyncTransport, _core.AsyncPool] = WeakKeyDictionary()
        self.thread = threading.current_thread()
        self._until_loop_ends = self._end_with(loop)
        self._listen(loop)

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
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

    def rest(self, loop: asyncio.AbstractEventLoop, resting: threading.Event) -> None:
        """Hear nothing of sockets for a while, and tell when there is nothing more to do. The loop itself goes on."""
        loop.remove_reader(self.set.fileno())
        loop.call_later(_REST, self._wake, loop)

        def go_on(rounds: int) -> None:
            if rounds:
                loop.call_soon(go_on, rounds - 1)
            else:
                resting.set()

        go_on(_ROUNDS)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        if watches.get(loop) is self:
            self._listen(loop)


watches: dict[asyncio.AbstractEventLoop, Watch] = {}
"""By event loop; those of loops that were closed without a word go when the next one comes."""
_left_behind: list[object] = []
"""Those of the parent process: kept, so that nobody uses or closes their connections from a child."""


def _let_daemons_rest() -> None:
    """
    Let the loops of daemon threads rest while the program ends.

    CPython before 3.14 ends such a thread by unwinding it, wherever it next asks for the global lock. In Python code
    that the core has called, that would pass through Rust's frames, which abort the program. A loop that hears of no
    socket does not call the core, and whoever wants to stop it can.
    """
    until = time.monotonic() + _PATIENCE
    for resting in [_ask_to_rest(*each) for each in list(watches.items())]:
        if resting is not None:
            resting.wait(max(0, until - time.monotonic()))


def _ask_to_rest(loop: asyncio.AbstractEventLoop, watch: Watch) -> threading.Event | None:
    if watch.thread is threading.current_thread() or not loop.is_running():
        return None
    resting = threading.Event()
    try:
        loop.call_soon_threadsafe(watch.rest, loop, resting)
    except RuntimeError:  # it was closed just now
        return None
    return resting


if sys.version_info < (3, 14):
    atexit.register(_let_daemons_rest)


def _forget() -> None:
    _left_behind.append(dict(watches))
    watches.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
