"""Every way to leave an answer before its end, in both colours: for a replay server and for a genuine one."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import pytest

import ollama_fast
from ollama_fast import Host, aio
from ollama_fast.errors import StreamClosedError
from transports import GENEROUS, Kind, eventually


class OwnError(Exception):
    pass


@dataclass
class Place:
    """
    Where it happens.

    Args:
        host: Where to ask.

        talks: Arguments of a chat whose answer begins, and does not end soon.

        silent: Those of one of which nothing is heard, not even a head.

        is_asked: Whether the server has the request.

        kind: The colour, and how event loops are made.
    """

    host: Host
    talks: dict[str, Any]
    silent: dict[str, Any]
    is_asked: Callable[[], Any]
    kind: Kind
    kept: list[Any] = field(default_factory=list[Any])
    """What shall not end by being dropped."""
    complaints: list[str] = field(default_factory=list[str])
    """What an event loop said of exceptions that nobody caught."""
    _runner: asyncio.Runner | None = None

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run *coroutine* on the event loop of this place, which begins with the first."""
        if self._runner is None:
            self._runner = asyncio.Runner(loop_factory=self.kind.factory)
            self._runner.get_loop().set_exception_handler(lambda _loop, said: self.complaints.append(str(said)))
        return self._runner.run(coroutine)

    def end(self) -> None:
        """End the event loop, if there is one."""
        if self._runner is not None:
            self._runner.close()
            self._runner = None


# --- waiting, and what ends it from outside --------------------------------------------------------------------------


@contextmanager
def interrupted(when: Callable[[], Any]) -> Generator[None]:
    """Have Ctrl-C pressed *when* something is so, and expect what comes of it."""
    main = threading.main_thread().ident
    assert main is not None

    def press() -> None:
        eventually(when)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        thread.join()


async def becomes(condition: Callable[[], Any]) -> None:
    """Wait on a loop until *condition* holds."""
    async with asyncio.timeout(GENEROUS):
        while not condition():  # noqa: ASYNC110 - it is of no event's
            await asyncio.sleep(0.005)


async def freed(reading: Awaitable[Any]) -> StreamClosedError:
    with pytest.raises(StreamClosedError) as caught:
        await asyncio.wait_for(reading, GENEROUS)
    return caught.value


# --- the ways, blocking ----------------------------------------------------------------------------------------------


def leave_a_block(place: Place) -> None:
    with ollama_fast.chat_stream(place.host, **place.talks) as stream:
        next(stream)


def enter_a_block_and_leave(place: Place) -> None:
    with ollama_fast.chat_stream(place.host, **place.talks):
        pass


def raise_in_a_block(place: Place) -> None:
    with suppress(OwnError), ollama_fast.chat_stream(place.host, **place.talks) as stream:
        next(stream)
        raise OwnError


def break_from_an_unnamed_stream(place: Place) -> None:
    for _ in ollama_fast.chat_stream(place.host, **place.talks):
        break


def drop_a_stream(place: Place) -> None:
    stream = ollama_fast.chat_stream(place.host, **place.talks)
    next(stream)
    with pytest.warns(ResourceWarning, match="unclosed .*Stream"):
        del stream


def drop_a_stream_in_a_cycle(place: Place) -> None:
    stream = ollama_fast.chat_stream(place.host, **place.talks)
    next(stream)
    cycle: list[Any] = [stream]
    cycle.append(cycle)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it comes only if the collector ends the stream first
        del stream, cycle
        gc.collect()


def drop_a_stream_that_was_entered(place: Place) -> None:
    stream = ollama_fast.chat_stream(place.host, **place.talks).__enter__()
    with pytest.warns(ResourceWarning, match="unclosed .*Stream"):
        del stream


def close(place: Place) -> None:
    stream = ollama_fast.chat_stream(place.host, **place.talks)
    next(stream)
    stream.close()


def close_from_another_thread(place: Place) -> None:
    stream = ollama_fast.chat_stream(place.host, **place.talks)
    next(stream)
    _close_while_one_reads(stream, stream._is_read)


def close_from_another_thread_before_the_head(place: Place) -> None:
    stream = ollama_fast.chat_stream(place.host, **place.silent)
    _close_while_one_reads(stream, place.is_asked)


def _close_while_one_reads(stream: Any, when: Callable[[], Any]) -> None:
    def read() -> None:
        with pytest.raises(StreamClosedError, match="closed while it was read"):
            list(stream)

    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(read)
        eventually(when)
        stream.close()
        reading.result(timeout=GENEROUS)


def close_from_another_thread_while_one_enters(place: Place) -> None:
    stream = ollama_fast.chat_stream(place.host, **place.silent)

    def enter() -> None:
        with pytest.raises(StreamClosedError, match="closed while it was read"):
            stream.__enter__()

    with ThreadPoolExecutor(1) as threads:
        entering = threads.submit(enter)
        eventually(place.is_asked)
        stream.close()
        entering.result(timeout=GENEROUS)


def press_ctrl_c(place: Place) -> None:
    stream = ollama_fast.chat_stream(place.host, **place.talks)
    next(stream)
    with interrupted(stream._is_read):
        list(stream)


def press_ctrl_c_before_the_head(place: Place) -> None:
    stream = ollama_fast.chat_stream(place.host, **place.silent)
    place.kept.append(stream)
    with interrupted(place.is_asked):
        list(stream)


def press_ctrl_c_while_one_enters(place: Place) -> None:
    stream = ollama_fast.chat_stream(place.host, **place.silent)
    place.kept.append(stream)
    with interrupted(place.is_asked):
        stream.__enter__()


def press_ctrl_c_in_a_block(place: Place) -> None:
    with ollama_fast.chat_stream(place.host, **place.talks) as stream, interrupted(stream._is_read):
        list(stream)


def press_ctrl_c_in_a_whole_call(place: Place) -> None:
    with interrupted(place.is_asked):
        ollama_fast.chat(place.host, **place.silent)


def press_ctrl_c_in_the_body_of_a_whole_call(place: Place) -> None:
    with interrupted(place.is_asked):
        ollama_fast.chat(place.host, **place.talks)


# --- the ways, on asyncio --------------------------------------------------------------------------------------------


async def aleave_a_block(place: Place) -> None:
    async with aio.chat_stream(place.host, **place.talks) as stream:
        await anext(stream)


async def aenter_a_block_and_leave(place: Place) -> None:
    async with aio.chat_stream(place.host, **place.talks):
        pass


async def araise_in_a_block(place: Place) -> None:
    with suppress(OwnError):
        async with aio.chat_stream(place.host, **place.talks) as stream:
            await anext(stream)
            raise OwnError


async def abreak_from_an_unnamed_stream(place: Place) -> None:
    async for _ in aio.chat_stream(place.host, **place.talks):
        break


async def adrop_a_stream(place: Place) -> None:
    stream = aio.chat_stream(place.host, **place.talks)
    await anext(stream)
    with pytest.warns(ResourceWarning, match="unclosed .*Stream"):
        del stream


async def adrop_a_stream_in_a_cycle(place: Place) -> None:
    stream = aio.chat_stream(place.host, **place.talks)
    await anext(stream)
    cycle: list[Any] = [stream]
    cycle.append(cycle)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it comes only if the collector ends the stream first
        del stream, cycle
        gc.collect()


async def adrop_a_stream_that_was_entered(place: Place) -> None:
    stream = await aio.chat_stream(place.host, **place.talks).__aenter__()
    with pytest.warns(ResourceWarning, match="unclosed .*Stream"):
        del stream


async def adrop_a_stream_in_another_thread(place: Place) -> None:
    held = [aio.chat_stream(place.host, **place.talks)]
    await anext(held[0])
    with pytest.warns(ResourceWarning, match="unclosed .*Stream"):
        await asyncio.to_thread(held.clear)


async def aclose(place: Place) -> None:
    stream = aio.chat_stream(place.host, **place.talks)
    await anext(stream)
    await stream.aclose()


async def aclose_from_another_task(place: Place) -> None:
    stream = aio.chat_stream(place.host, **place.talks)
    await anext(stream)
    reading = asyncio.ensure_future(_read(stream))
    await becomes(stream._is_read)
    await stream.aclose()
    assert "closed while it was read" in str(await freed(reading))


async def aclose_from_another_task_before_the_head(place: Place) -> None:
    stream = aio.chat_stream(place.host, **place.silent)
    reading = asyncio.ensure_future(anext(stream))
    await becomes(place.is_asked)
    await stream.aclose()
    assert "closed while it was read" in str(await freed(reading))


async def aclose_from_another_task_while_one_enters(place: Place) -> None:
    stream = aio.chat_stream(place.host, **place.silent)
    entering = asyncio.ensure_future(stream.__aenter__())
    await becomes(place.is_asked)
    await stream.aclose()
    assert "closed while it was read" in str(await freed(entering))


async def _cancel(coroutine: Coroutine[Any, Any, Any], when: Callable[[], Any]) -> None:
    task = asyncio.ensure_future(coroutine)
    await becomes(when)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _read(stream: Any) -> None:
    async for _ in stream:
        pass


async def _read_in_a_block(stream: Any) -> None:
    async with stream:
        await _read(stream)


async def cancel_a_task(place: Place) -> None:
    stream = aio.chat_stream(place.host, **place.talks)
    await anext(stream)
    await _cancel(_read(stream), stream._is_read)


async def cancel_a_task_before_the_head(place: Place) -> None:
    await _cancel(_read(aio.chat_stream(place.host, **place.silent)), place.is_asked)


async def cancel_a_task_that_enters_a_block(place: Place) -> None:
    await _cancel(_read_in_a_block(aio.chat_stream(place.host, **place.silent)), place.is_asked)


async def cancel_a_task_in_a_whole_call(place: Place) -> None:
    await _cancel(aio.chat(place.host, **place.silent), place.is_asked)


async def cancel_a_task_in_the_body_of_a_whole_call(place: Place) -> None:
    await _cancel(aio.chat(place.host, **place.talks), place.is_asked)


async def run_out_of_time(place: Place) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await _read(aio.chat_stream(place.host, **place.talks))


async def fail_beside(place: Place) -> None:
    async def fail() -> None:
        await becomes(place.is_asked)
        raise OwnError

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_read(aio.chat_stream(place.host, **place.talks)))
            group.create_task(fail())
    except* OwnError:
        pass


# These end the event loop, too.


def apress_ctrl_c(place: Place) -> None:
    with interrupted(place.is_asked):
        place.run(_read(aio.chat_stream(place.host, **place.talks)))


def apress_ctrl_c_before_the_head(place: Place) -> None:
    with interrupted(place.is_asked):
        place.run(_read(aio.chat_stream(place.host, **place.silent)))


def apress_ctrl_c_in_a_whole_call(place: Place) -> None:
    with interrupted(place.is_asked):
        place.run(aio.chat(place.host, **place.silent))


def end_the_loop_with_a_stream_held(place: Place) -> None:
    held = [aio.chat_stream(place.host, **place.talks)]

    async def read() -> None:
        await anext(held[0])

    place.run(read())
    place.end()
    held.clear()


def end_the_loop_with_a_stream_that_was_entered(place: Place) -> None:
    held = [aio.chat_stream(place.host, **place.talks)]

    async def enter() -> None:
        await held[0].__aenter__()

    place.run(enter())
    place.end()
    held.clear()


def end_the_loop_while_a_task_reads(place: Place) -> None:
    held: list[Any] = []

    async def leave() -> None:
        held.append(asyncio.ensure_future(_read(aio.chat_stream(place.host, **place.talks))))
        await becomes(place.is_asked)

    place.run(leave())


# --- the table -------------------------------------------------------------------------------------------------------

Blocking: TypeAlias = Callable[[Place], None]
Asyncio: TypeAlias = Callable[[Place], "Coroutine[Any, Any, None] | None"]

BLOCKING: Final[list[Blocking]] = [
    leave_a_block,
    enter_a_block_and_leave,
    raise_in_a_block,
    break_from_an_unnamed_stream,
    drop_a_stream,
    drop_a_stream_in_a_cycle,
    drop_a_stream_that_was_entered,
    close,
    close_from_another_thread,
    close_from_another_thread_before_the_head,
    close_from_another_thread_while_one_enters,
    press_ctrl_c,
    press_ctrl_c_before_the_head,
    press_ctrl_c_while_one_enters,
    press_ctrl_c_in_a_block,
    press_ctrl_c_in_a_whole_call,
    press_ctrl_c_in_the_body_of_a_whole_call,
]
ASYNCIO: Final[list[Asyncio]] = [
    aleave_a_block,
    aenter_a_block_and_leave,
    araise_in_a_block,
    abreak_from_an_unnamed_stream,
    adrop_a_stream,
    adrop_a_stream_in_a_cycle,
    adrop_a_stream_that_was_entered,
    adrop_a_stream_in_another_thread,
    aclose,
    aclose_from_another_task,
    aclose_from_another_task_before_the_head,
    aclose_from_another_task_while_one_enters,
    cancel_a_task,
    cancel_a_task_before_the_head,
    cancel_a_task_that_enters_a_block,
    cancel_a_task_in_a_whole_call,
    cancel_a_task_in_the_body_of_a_whole_call,
    run_out_of_time,
    fail_beside,
    apress_ctrl_c,
    apress_ctrl_c_before_the_head,
    apress_ctrl_c_in_a_whole_call,
    end_the_loop_with_a_stream_held,
    end_the_loop_with_a_stream_that_was_entered,
    end_the_loop_while_a_task_reads,
]


def ways_of(kind: Kind) -> list[Any]:
    """Give the ways of a colour."""
    return list(BLOCKING if kind.factory is None else ASYNCIO)
