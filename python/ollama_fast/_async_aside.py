"""What goes on beside asyncio's loop, or beside a task: jobs in threads, files that are read, a file that is sent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._steps import Outcome

if TYPE_CHECKING:
    from ._upload import Counted, Upload

R = TypeVar("R")
E = TypeVar("E")


def current_task() -> asyncio.Task[Any] | None:
    """Give the task of asyncio that runs this; None on trio."""
    try:
        return asyncio.current_task()
    except RuntimeError:  # on trio, with a client of the caller's own
        return None


async def off_the_loop(job: Callable[[], R]) -> R:
    """Do *job* in a thread: on asyncio, or on trio, where a caller's own client may run."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        import anyio  # which httpx brings

        return await anyio.to_thread.run_sync(job)
    return await asyncio.to_thread(job)


class Pieces:
    """A file, read in a thread; as often as a client's auth wants it sent."""

    def __init__(self, upload: Upload | Counted) -> None:
        self._upload = upload

    async def __aiter__(self) -> AsyncIterator[bytes]:
        # Not closed on cancellation, when a thread may still be reading: it ends with its last reference.
        pieces = iter(self._upload)
        while piece := await off_the_loop(partial(next, pieces, b"")):
            yield piece


# --- jobs ------------------------------------------------------------------------------------------------------------


async def together(jobs: Sequence[Callable[[], R]]) -> list[R]:
    """Do *jobs* in threads, and give their results in order; on trio in turn."""
    if current_task() is None:
        return [await off_the_loop(job) for job in jobs]
    return await asyncio.gather(*(asyncio.to_thread(job) for job in jobs))


async def attempted(place: int, job: Callable[[], Any], view: Callable[[int, Outcome[Any]], E]) -> E:
    """Do the job at that place, and give what *view* makes of what came of it."""
    return view(place, await _outcome(job))


async def _outcome(job: Callable[[], Any]) -> Outcome[Any]:
    try:
        if iscoroutinefunction(job):
            return Outcome(await job())
        outcome = await _in_a_thread(job)
        return Outcome(await outcome.result) if isawaitable(outcome.result) else outcome
    except Exception as exc:  # noqa: BLE001 - it is what came of the job
        return Outcome(None, exc)


async def _in_a_thread(job: Callable[[], R]) -> Outcome[R | None]:
    """
    Do *job* in a thread of its own.

    asyncio's own threads are few, and shared with all that looks up names; and a future takes no StopIteration.
    """
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    # Its outcome is taken out again: an error holds the frames below by its traceback, and would hold itself.
    came: list[Outcome[R | None] | BaseException] = []

    def work() -> None:
        came.append(_whatever_of(job))
        with suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(settle)

    def settle() -> None:
        if not done.done():
            done.set_result(None)

    threading.Thread(target=copy_context().run, args=(work,), name="ollama_fast", daemon=True).start()
    await done
    outcome = came.pop()
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _whatever_of(job: Callable[[], R]) -> Outcome[R | None] | BaseException:
    """Do *job*, whatever it raises."""
    try:
        return Outcome(job())
    except Exception as exc:  # noqa: BLE001 - it is what came of the job
        return Outcome(None, exc)
    except BaseException as exc:  # noqa: BLE001 - such as SystemExit, which ends whoever waits
        return exc


# --- a file that is sent ---------------------------------------------------------------------------------------------


class Aside(Generic[R]):
    """A request in a task of its own, which other tasks can end."""

    _exchange = None  # an error of the stream that has it says nothing of a request

    def __init__(self, sending: Coroutine[Any, Any, R]) -> None:
        self._task = asyncio.create_task(sending)

    async def wait(self, seconds: float) -> bool:
        """Wait for its end, and give whether it came."""
        await asyncio.wait([self._task], timeout=seconds)
        return self._task.done()

    async def aclose(self) -> None:
        """End it, unless it has ended."""
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()  # looked at, or asyncio would log that nobody did

    def result(self) -> R:
        """Give what came of it."""
        return self._task.result()
