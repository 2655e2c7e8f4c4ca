"""What event loops have of their own: made on a loop when it is first asked for, and closed with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Callable


class _Closable(Protocol):
    async def aclose(self) -> None: ...


C = TypeVar("C", bound=_Closable)


class PerLoop(Generic[C]):
    """A C for each event loop that asks for one; those of loops closed without a word go when the next one asks."""

    def __init__(self, make: Callable[[asyncio.AbstractEventLoop], C]) -> None:
        self._make = make
        self._kept: dict[asyncio.AbstractEventLoop, tuple[C, AsyncGenerator[None]]] = {}
        self._left_behind: list[object] = []  # of the parent process, so that nobody closes connections from a child
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, loop: asyncio.AbstractEventLoop) -> C | None:
        """Give that of *loop*, or None if it has not asked for one."""
        kept = self._kept.get(loop)
        return None if kept is None else kept[0]

    async def on(self, loop: asyncio.AbstractEventLoop) -> C:
        """Give that of *loop*, the running one; a new one if there is none yet."""
        kept = self._kept.get(loop)
        if kept is not None:
            return kept[0]
        for other in list(self._kept):  # other threads have loops, too
            if other.is_closed():
                self._kept.pop(other, None)
        made = self._make(loop)
        until_loop_ends = self._close_with(loop, made)
        self._kept[loop] = made, until_loop_ends
        # A loop has no hook for its end, but it closes the async generators that were begun on it.
        await anext(until_loop_ends)
        return made

    async def _close_with(self, loop: asyncio.AbstractEventLoop, made: C) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            if self.get(loop) is made:
                del self._kept[loop]
                await made.aclose()

    def _forget(self) -> None:
        self._left_behind.append(self._kept)
        self._kept = {}
