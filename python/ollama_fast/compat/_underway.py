"""What a client has under way, and how that ends with the client."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import httpx

if TYPE_CHECKING:
    import asyncio


class Underway:
    """The streams of a client that are read, and the tasks that wait for an answer."""

    __slots__ = ("ended", "streams", "tasks")

    def __init__(self) -> None:
        self.streams: WeakSet[httpx.Response] = WeakSet()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.ended: set[asyncio.Task[Any]] = set()
        """Those of the tasks that were cancelled because the client is closed."""

    def end_waiting(self) -> None:
        """End the waits of all tasks."""
        from ollama_fast._async_aside import current_task

        here = current_task()
        for task in list(self.tasks):
            loop = task.get_loop()
            if here is not None and loop is here.get_loop():
                self._end(task)
            elif not loop.is_closed():
                loop.call_soon_threadsafe(self._end, task)

    def _end(self, task: asyncio.Task[Any]) -> None:
        if task in self.tasks:  # still: what it waited for may have come
            self.ended.add(task)
            task.cancel()


class Waiting:
    """A block in which a task waits for an answer: if the client is closed, it raises httpx.ReadError."""

    __slots__ = ("_task", "_underway")

    def __init__(self, underway: Underway) -> None:
        self._underway = underway
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> None:
        from ollama_fast._async_aside import current_task

        self._task = current_task()
        if self._task is not None:
            self._underway.tasks.add(self._task)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task, underway = self._task, self._underway
        if task is None:
            return
        underway.tasks.discard(task)
        if task in underway.ended:
            import asyncio

            underway.ended.discard(task)
            if not task.uncancel() and isinstance(value, asyncio.CancelledError):
                raise was_closed() from None


def was_closed() -> httpx.ReadError:
    """Say that the client was closed."""
    return httpx.ReadError("the client was closed while it waited for the answer")
