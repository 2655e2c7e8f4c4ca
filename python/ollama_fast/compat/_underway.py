"""What a client has under way, and how that ends with the client."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import httpx

if TYPE_CHECKING:
    import asyncio


class Underway:
    """The streams of a client that are read, and the tasks that wait for an answer."""

    __slots__ = ("_ended", "_tasks", "streams")

    def __init__(self) -> None:
        self.streams: WeakSet[httpx.Response] = WeakSet()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended: set[asyncio.Task[Any]] = set()
        """Those of the tasks that were cancelled because the client is closed."""

    @contextmanager
    def waiting(self) -> Generator[None]:
        """Let the wait in the block, which is a task's, end with the client: then it raises httpx.ReadError."""
        import asyncio

        from ollama_fast._async import current_task

        task = current_task()
        if task is None:
            yield
            return
        self._tasks.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if task not in self._ended or task.uncancel():
                raise  # somebody else's cancellation
            raise httpx.ReadError("the client was closed while it waited for the answer") from None
        finally:
            self._tasks.discard(task)
            self._ended.discard(task)

    def end_waiting(self) -> None:
        """End the waits of all tasks."""
        from ollama_fast._async import current_task

        here = current_task()
        for task in list(self._tasks):
            loop = task.get_loop()
            if here is not None and loop is here.get_loop():
                self._end(task)
            elif not loop.is_closed():
                loop.call_soon_threadsafe(self._end, task)

    def _end(self, task: asyncio.Task[Any]) -> None:
        if task in self._tasks:  # still: what it waited for may have come
            self._ended.add(task)
            task.cancel()
