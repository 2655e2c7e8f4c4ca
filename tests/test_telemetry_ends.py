"""A span of a stream ends once, however the stream ends, and holds nobody up."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any, Final

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import StatusCode

import ollama_fast
from colours import Colour
from docs_server import docs_server
from ollama_fast import _unended, aio, telemetry
from ollama_fast.errors import IncompleteStreamError, StreamClosedError
from ollama_fast.testing import Fault, Server, reply, serve
from telemetry_seen import Seen, seen
from transports import GENEROUS, eventually

STALLS: Final = Fault.cut("stall", part=2)


@pytest.fixture
def recorded(caplog: pytest.LogCaptureFixture) -> Iterator[Seen]:
    with seen() as found:
        yield found
    assert [
        one.message for one in caplog.records if "ended span" in one.message
    ] == []  # so the SDK tells of a second end


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(reply("a b c d"), fault=STALLS) as running:
        yield running


# --- blocking --------------------------------------------------------------------------------------------------------


def left(url: str) -> None:
    with ollama_fast.generate_stream(url, "m", "Hi!") as stream:
        next(stream)


def closed(url: str) -> None:
    stream = ollama_fast.generate_stream(url, "m", "Hi!")
    next(stream)
    stream.close()
    stream.close()


def broken_off(url: str) -> None:
    for _ in ollama_fast.generate_stream(url, "m", "Hi!"):
        break


def entered_only(url: str) -> None:
    with ollama_fast.generate_stream(url, "m", "Hi!"):
        pass


def entered_and_dropped(url: str) -> None:
    ollama_fast.generate_stream(url, "m", "Hi!").__enter__()


def in_a_cycle(url: str) -> None:
    stream: Any = ollama_fast.generate_stream(url, "m", "Hi!")
    next(stream)
    held: list[Any] = [stream]
    held.append(held)
    del stream, held
    gc.collect()


def by_an_error_of_the_caller(url: str) -> None:
    with suppress(ZeroDivisionError), ollama_fast.generate_stream(url, "m", "Hi!") as stream:
        next(stream)
        raise ZeroDivisionError


def from_another_thread(url: str) -> None:
    stream = ollama_fast.generate_stream(url, "m", "Hi!")
    next(stream)
    next(stream)
    timer = threading.Timer(0.1, stream.close)
    timer.start()
    with pytest.raises(StreamClosedError):
        next(stream)
    timer.join()


def of_steps(url: str) -> None:
    with ollama_fast.parse_stream(url, "m", "Hi!", list[int]) as stream:
        threading.Timer(0.1, stream.close).start()
        with pytest.raises(StreamClosedError):
            list(stream)


# --- asyncio ---------------------------------------------------------------------------------------------------------


async def left_async(url: str) -> None:
    async with aio.generate_stream(url, "m", "Hi!") as stream:
        await anext(stream)


async def closed_async(url: str) -> None:
    stream = aio.generate_stream(url, "m", "Hi!")
    await anext(stream)
    await stream.aclose()
    await stream.aclose()


async def broken_off_async(url: str) -> None:
    async for _ in aio.generate_stream(url, "m", "Hi!"):
        break
    await asyncio.sleep(0)  # the loop has been told of what was dropped, and begins to close it
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})


async def entered_only_async(url: str) -> None:
    async with aio.generate_stream(url, "m", "Hi!"):
        pass


_KEPT: Final[list[Any]] = []


async def kept_until_the_loop_ends(url: str) -> None:
    _KEPT[:] = [aio.generate_stream(url, "m", "Hi!")]
    await anext(_KEPT[0])


async def from_another_task(url: str) -> None:
    stream = aio.generate_stream(url, "m", "Hi!")
    await anext(stream)
    await anext(stream)
    asyncio.get_running_loop().call_later(0.1, lambda: asyncio.ensure_future(stream.aclose()))
    with pytest.raises(StreamClosedError):
        await anext(stream)


ENDINGS: dict[str, Callable[[str], Any]] = {
    each.__name__: each
    for each in (
        left,
        closed,
        broken_off,
        entered_only,
        entered_and_dropped,
        in_a_cycle,
        by_an_error_of_the_caller,
        from_another_thread,
        of_steps,
        left_async,
        closed_async,
        broken_off_async,
        entered_only_async,
        kept_until_the_loop_ends,
        from_another_task,
    )
}


def _run(ending: str, url: str) -> None:
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        made = ENDINGS[ending](url)
        if isinstance(made, Coroutine):
            asyncio.run(made)
        _KEPT.clear()
        gc.collect()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_stream_that_is_left_early_ends_its_span_once_and_is_no_error(
    ending: str, over: str, recorded: Seen, server: Server
) -> None:
    _run(ending, server.url)
    eventually(lambda: recorded.spans)
    span, facts = recorded.span, recorded.facts
    assert span.status.status_code is StatusCode.UNSET
    assert "error.type" not in facts
    assert facts["ollama_fast.ended_by"] == "close"
    assert facts["gen_ai.response.finish_reasons"] == ("error",)
    eventually(lambda: "gen_ai.client.inference.duration" in recorded.points())


def test_a_stream_that_is_never_begun_has_no_span(both: Colour, recorded: Seen, server: Server) -> None:
    stream = both.module.generate_stream(server.url, "m", "Hi!")
    del stream
    gc.collect()
    assert recorded.spans == []
    assert server.requests == []


def test_a_stream_that_was_read_and_is_then_closed_has_ended_once(both: Colour, over: str, recorded: Seen) -> None:
    with serve(reply("a b c d")) as server:
        both.parts("generate_stream", server.url, "m", "Hi!")
    assert "ollama_fast.ended_by" not in recorded.facts


@pytest.mark.parametrize("call", ["generate", "generate_stream", "run_tools_stream"])
def test_a_cancellation_is_no_error(call: str, over: str, recorded: Seen) -> None:
    async def read(made: Any) -> None:
        if call == "generate":
            await made
        else:
            async for _ in made:
                pass

    async def run(url: str) -> None:
        arguments: tuple[Any, ...] = ("m", "Hi!", []) if call == "run_tools_stream" else ("m", "Hi!")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(getattr(aio, call)(url, *arguments)), 0.2)

    with serve(reply("a b c d"), fault=Fault.cut("stall", part=0)) as server:
        asyncio.run(run(server.url))
    eventually(lambda: len(recorded.spans) == (2 if call == "run_tools_stream" else 1))
    for span in recorded.spans:
        assert span.status.status_code is StatusCode.UNSET
        assert (span.attributes or {})["ollama_fast.ended_by"] == "cancellation"


@pytest.mark.parametrize("read", [1, 3], ids=["in a round", "after a tool"])
def test_a_conversation_that_is_closed_between_two_events_ends_its_span(
    both: Colour, over: str, read: int, recorded: Seen
) -> None:
    """Also while the iterator over it is kept, which could be read by another thread."""

    def weather(city: str) -> str:
        """Tell the weather of *city*."""
        return f"sunny in {city}"

    def check() -> None:
        (agent,) = recorded.named("invoke_agent")
        assert agent.status.status_code is StatusCode.UNSET
        assert (agent.attributes or {})["ollama_fast.ended_by"] == "close"

    with docs_server() as port:
        arguments: Any = (f"http://127.0.0.1:{port}", "qwen3", "Hi!", [weather])
        if both.asynchronous:

            async def run() -> None:
                stream = aio.run_tools_stream(*arguments)
                iterator = aiter(stream)
                for _ in range(read):
                    await anext(iterator)
                await stream.aclose()
                check()
                await stream.aclose()

            asyncio.run(run())
        else:
            stream = ollama_fast.run_tools_stream(*arguments)
            iterator = iter(stream)
            for _ in range(read):
                next(iterator)
            stream.close()
            check()
            stream.close()
    assert len(recorded.named("invoke_agent")) == 1


def test_many_inputs_that_are_closed_are_no_errors(both: Colour, over: str, recorded: Seen, server: Server) -> None:
    server.fault = Fault.cut("stall", byte=0)
    if both.asynchronous:

        async def run() -> None:
            answers = aio.map_generate(server.url, "m", ["a", "b"])
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(answers), 0.2)
            await answers.aclose()

        asyncio.run(run())
    else:
        answers = ollama_fast.map_generate(server.url, "m", ["a", "b"])
        threading.Timer(0.2, answers.close).start()
        with pytest.raises(StreamClosedError):
            next(answers)
    eventually(lambda: len(recorded.spans) == 2)
    for span in recorded.spans:
        assert span.status.status_code is StatusCode.UNSET
        assert (span.attributes or {})["ollama_fast.ended_by"] == ("cancellation" if both.asynchronous else "close")


def test_a_stream_that_fails_and_is_read_again_has_ended_once(both: Colour, over: str, recorded: Seen) -> None:
    with serve(reply("a b c d"), fault=Fault.cut("reset", part=2)) as server:
        assert isinstance(both.parts("generate_stream", server.url, "m", "Hi!").error, IncompleteStreamError)
    assert recorded.facts["error.type"] == "IncompleteStreamError"


def test_a_head_that_never_came_has_ended_once(both: Colour, over: str, recorded: Seen) -> None:
    with serve(fault=Fault.cut("close", byte=0)) as server:
        assert both.parts("generate_stream", server.url, "m", "Hi!").error is not None
    assert recorded.facts["error.type"] == "TransportError"


@pytest.mark.parametrize("lock", [True, False], ids=["inside of a processor", "elsewhere"])
def test_a_finalizer_waits_for_no_lock(lock: bool, server: Server) -> None:
    """The garbage collector may find a stream while its thread holds a lock of what records spans."""

    class Locked(SpanProcessor):
        def __init__(self) -> None:
            self.lock = threading.Lock()
            self.ended: list[ReadableSpan] = []

        def on_end(self, span: ReadableSpan) -> None:
            assert self.lock.acquire(timeout=GENEROUS)
            self.lock.release()
            self.ended.append(span)

    processor = Locked()
    with seen() as recorded, warnings.catch_warnings(action="ignore", category=ResourceWarning):
        recorded.tracers.add_span_processor(processor)
        done = threading.Event()

        def drop() -> None:
            stream: Any = ollama_fast.generate_stream(server.url, "m", "Hi!")
            next(stream)
            if lock:
                processor.lock.acquire()
            del stream
            if lock:
                processor.lock.release()
            done.set()

        thread = threading.Thread(target=drop, daemon=True)
        thread.start()
        assert done.wait(GENEROUS / 2)
        eventually(lambda: processor.ended)
        thread.join()
    assert len(processor.ended) == 1


AT_EXIT = """
import asyncio, sys, warnings
import ollama_fast
from ollama_fast import aio, telemetry
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, BatchSpanProcessor
telemetry.instrument()
provider = TracerProvider()
def shown(span): return f"{span.name} {dict(span.attributes)}\\n"
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=shown)))
from opentelemetry import trace
trace.set_tracer_provider(provider)
url = sys.argv[1]
"""


@pytest.mark.parametrize(
    ("program", "by"),
    [
        ("stream = ollama_fast.generate_stream(url, 'm', 'Hi!'); next(stream)", "exit"),
        ("next(ollama_fast.generate_stream(url, 'm', 'Hi!'))", "close"),
        (
            """
import threading
stream = ollama_fast.generate_stream(url, 'm', 'Hi!')
threading.Thread(target=list, args=(stream,), daemon=True).start()
import time; time.sleep(0.5)
""",
            "exit",
        ),
    ],
    ids=["kept", "dropped", "read by a thread"],
)
def test_the_end_of_a_program_ends_spans(program: str, by: str, server: Server) -> None:
    code = AT_EXIT + textwrap.dedent(program)
    command = [sys.executable, "-W", "ignore::ResourceWarning", "-c", code, server.url]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stderr == ""
    (line,) = ended.stdout.splitlines()
    assert line.startswith("text_completion m ")
    assert f"'ollama_fast.ended_by': '{by}'" in line


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_child_of_fork_ends_no_span_of_its_parent(server: Server) -> None:
    code = f"""{AT_EXIT}
import os
stream = ollama_fast.generate_stream(url, 'm', 'Hi!'); next(stream)
child = os.fork()
if child == 0:
    stream.close()
    sys.exit(0)
os.waitpid(child, 0)
print("the child has ended", flush=True)
stream.close()
"""
    command = [sys.executable, "-W", "ignore", "-c", code, server.url]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    first, second = ended.stdout.splitlines()
    assert first == "the child has ended"
    assert second.startswith("text_completion m ")


def test_ended_spans_leave_nothing_behind(both: Colour, recorded: Seen) -> None:
    with serve(reply("a b")) as server:
        for _ in range(5):
            both.parts("generate_stream", server.url, "m", "Hi!")
    gc.collect()
    assert not [work for ref in list(_unended._open) if (work := ref()) is not None]
    assert not _unended._waiting


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_failed_blocking_call_leaves_nothing_to_the_garbage_collector(streamed: bool, recorded: Seen) -> None:
    both = Colour(asynchronous=False)
    gc.collect()
    gc.disable()
    try:
        with serve(fault=Fault.cut("close", byte=0)) as server:
            call = both.parts if streamed else both.attempt
            assert call("generate_stream" if streamed else "generate", server.url, "m", "Hi!").error is not None
        assert not [work for ref in list(_unended._open) if (work := ref()) is not None]
    finally:
        gc.enable()
    assert recorded.facts["error.type"] == "TransportError"


def test_a_call_that_is_under_way_ends_its_span_after_uninstrument(both: Colour, server: Server) -> None:
    with seen() as recorded:

        async def run() -> None:
            async with aio.generate_stream(server.url, "m", "Hi!") as stream:
                await anext(stream)
                telemetry.uninstrument()

        if both.asynchronous:
            asyncio.run(run())
        else:
            with ollama_fast.generate_stream(server.url, "m", "Hi!") as stream:
                next(stream)
                telemetry.uninstrument()
        assert recorded.span.name == "text_completion m"


def test_the_context_is_attached_and_detached_in_one_place(
    both: Colour, recorded: Seen, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """A second thread or task that closes meanwhile leaves the first one's context alone."""
    server.fault = Fault.cut("stall", byte=0)
    if both.asynchronous:

        async def run() -> None:
            stream = aio.generate_stream(server.url, "m", "Hi!")
            asyncio.get_running_loop().call_later(0.1, lambda: asyncio.ensure_future(stream.aclose()))
            with pytest.raises(StreamClosedError):
                await stream.__aenter__()

        asyncio.run(run())
    else:
        blocking = ollama_fast.generate_stream(server.url, "m", "Hi!")
        threading.Timer(0.1, blocking.close).start()
        with pytest.raises(StreamClosedError):
            blocking.__enter__()
    eventually(lambda: recorded.spans)
    assert recorded.facts["ollama_fast.ended_by"] == "close"
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []
