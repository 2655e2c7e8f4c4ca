"""Many inputs, on asyncio: tasks that ask a Schedule what to do, and one that reads the inputs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeAlias, TypeVar
from weakref import finalize

from ._async_stream import check_call, send
from ._lift import lift_many
from ._many import Many, tell_of_host
from ._map import Schedule
from .errors import StreamClosedError

if TYPE_CHECKING:
    import httpx

    from ._host import Host
    from ._map import Batch

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F")

Hosts: TypeAlias = "Host | str | httpx.AsyncClient | Sequence[Host | str | httpx.AsyncClient | None] | None"
"""One host, or several that share the work; a str is one."""


class _Crew(Generic[R]):
    """The tasks behind Answers, and what they share. It does not know the Answers, which may be dropped."""

    def __init__(self, hosts: Sequence[Any], many: Many[R]) -> None:
        self.schedule: Schedule[Any, R] = Schedule(
            len(hosts), many.concurrency, many.batch_size, many.on_dead, many.take
        )
        self.room = asyncio.Event()
        self.closed = False
        self._changed = asyncio.Event()
        self._hosts = hosts
        self._many = many
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the tasks, if they are not."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError as exc:
            raise RuntimeError("the answers to many inputs need an event loop of asyncio") from exc
        if self._loop is None:
            self._loop = loop
            places = list(range(len(self._hosts))) * self._many.concurrency
            self._tasks = [loop.create_task(self._do(work)) for work in (self._read(), *map(self._work, places))]
        elif loop is not self._loop:
            raise RuntimeError("these answers are another event loop's: call the function in this one")

    async def _do(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except BaseException:  # a cancellation, by whomever: nobody shall wait for this task
            self.closed = True
            self.change()
            raise

    async def _read(self) -> None:
        async with aclosing(_each(self._many.inputs)) as inputs:
            is_batch, error, more = False, None, True
            while more:
                while not self.schedule.has_room:
                    self.room.clear()
                    await self.room.wait()
                try:
                    is_batch = self.schedule.add(await anext(inputs))
                except StopAsyncIteration:
                    more = False
                except Exception as exc:  # noqa: BLE001 - it is raised in its place
                    error, more = exc, False
                if not more:
                    self.schedule.end(error)
                if is_batch or not more:
                    self.change()

    async def _work(self, place: int) -> None:
        while True:
            batch = await self._wait(lambda: self.schedule.take(place))
            results, error = await self._attempt(place, batch)
            asked = self.schedule.is_asked(place)
            rest = self.schedule.settle(place, batch, results, error)
            self.change()
            if error is not None and not self.closed:
                tell_of_host(error, rest, lost=asked and not self.schedule.is_asked(place))
            if rest is not None:
                await asyncio.sleep(rest)
                self.schedule.rested(place)
                self.change()

    async def _wait(self, ask: Callable[[], F | None]) -> F:
        """Ask after every change until there is something."""
        while (found := ask()) is None:
            await self._changed.wait()
        self.change()  # it may be another's turn now
        return found

    async def _attempt(self, place: int, batch: Batch[Any]) -> tuple[Sequence[R], Exception | None]:
        try:
            answer = await send(self._hosts[place], self._many.build(batch.inputs))
            return self._many.split(answer, len(batch.inputs)), None
        except Exception as exc:  # noqa: BLE001 - it is raised to the caller
            return (), exc

    def change(self) -> None:
        """Wake all who wait for a change."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def change_comes(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    def cancel(self) -> None:
        """End the tasks soon; from wherever."""
        if self._tasks and self._loop is not None and not self._loop.is_closed():
            with suppress(RuntimeError):  # it was closed just now
                self._loop.call_soon_threadsafe(_cancel, self._tasks)

    async def close(self) -> None:
        """End the tasks, and the requests that they wait for."""
        self.closed = True
        self.change()
        if self._loop is not asyncio.get_running_loop():
            self.cancel()
            return
        _cancel(self._tasks)
        if others := [task for task in self._tasks if task is not asyncio.current_task()]:
            await asyncio.wait(others)


def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()


async def _each(inputs: Any) -> AsyncGenerator[Any]:
    if hasattr(inputs, "__aiter__"):
        found = aiter(inputs)
        try:
            async for one in found:
                yield one
        finally:
            # One that was made for us is ours to close. What is its own iterator is the caller's, as it is in a loop.
            if found is not inputs and isinstance(found, AsyncGenerator):
                await found.aclose()
    else:
        for one in inputs:
            yield one


class Answers(Generic[R]):
    """
    What comes of many inputs, in their order.

    Iterate over it with `async for`, best in an `async with` block, which closes it. It begins at the first `anext()`,
    and an `anext()` that is cancelled loses nothing. It also ends when it is dropped, and with its event loop.
    """

    __slots__ = ("__weakref__", "_crew")

    def __init__(self, hosts: Sequence[Any], many: Many[R]) -> None:
        self._crew = _Crew(hosts, many)
        finalize(self, self._crew.cancel).atexit = False

    def __aiter__(self) -> AsyncIterator[R]:
        return self

    async def __anext__(self) -> R:
        crew, schedule = self._crew, self._crew.schedule
        if schedule.is_between:
            await asyncio.sleep(0)  # else who takes many at once keeps the others from working
        while not schedule.is_over:
            if crew.closed:
                raise StreamClosedError("the answers are closed: nothing more can be read from them")
            crew.start()
            if schedule.can_give:
                return await self._give()
            await crew.change_comes()
        await crew.close()
        raise StopAsyncIteration

    async def _give(self) -> R:
        crew = self._crew
        try:
            result = crew.schedule.give()
        except Exception:
            await crew.close()
            raise
        if crew.schedule.has_room:
            crew.room.set()
        return result

    async def aclose(self) -> None:
        """
        End the work: requests under way are broken off, and the server stops with them.

        Who reads in another task gets a StreamClosedError.
        """
        await self._crew.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def many(build: Callable[P, Many[R]], /) -> Callable[Concatenate[Hosts, P], Answers[R]]:
    """Make a builder of a Many a function that gives the answers."""
    return lift_many(build, Answers, check_call, module="ollama_fast.aio")
