"""Streams as values: the whole answer that their parts make, and what a stream measures of itself."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import pytest

import ollama_fast
from colours import Colour
from ollama_fast import aio, errors
from replay import Received, replay

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECE: dict[str, Any] = {"model": "m", "created_at": "t", "done": False}
LAST: dict[str, Any] = {**PIECE, "done": True, "done_reason": "stop", "eval_count": 30, "eval_duration": 2_000_000_000}
CALL: dict[str, Any] = {"id": "call_1", "function": {"index": 0, "name": "add", "arguments": {"a": 1}}}

GENERATED: list[dict[str, Any]] = [{**PIECE, "response": "Hel"}, {**PIECE, "response": "lo"}, {**LAST, "response": ""}]
CHATTED: list[dict[str, Any]] = [
    {**PIECE, "message": {"role": "assistant", "content": "", "thinking": "Hm"}},
    {**PIECE, "message": {"role": "assistant", "content": "", "thinking": "m."}, "logprobs": [{"token": "a"}]},
    {**PIECE, "message": {"role": "assistant", "content": "Hi", "tool_calls": [CALL]}, "logprobs": [{"token": "b"}]},
    {**LAST, "message": {"role": "assistant", "content": "!", "tool_calls": [{**CALL, "id": "call_2"}]}},
]
PULLED: list[dict[str, Any]] = [
    {"status": "pulling manifest"},
    {"status": "pulling 1", "digest": "sha256:1", "total": 5, "completed": 5},
    {"status": "success"},
]
WHOLE: list[tuple[str, list[dict[str, Any]], dict[str, Any]]] = [
    ("generate", GENERATED, {**LAST, "response": "Hello"}),
    (
        "chat",
        CHATTED,
        {
            **LAST,
            "message": {
                "role": "assistant",
                "content": "Hi!",
                "thinking": "Hmm.",
                "tool_calls": [CALL, {**CALL, "id": "call_2"}],
            },
            "logprobs": [{"token": "a"}, {"token": "b"}],
        },
    ),
    ("pull", PULLED, {"status": "success"}),
]
STREAMS: dict[str, Callable[[Any], Any]] = {
    "generate": lambda module: module.generate_stream,
    "chat": lambda module: module.chat_stream,
    "pull": lambda module: module.pull_stream,
}


def chunk(part: dict[str, Any]) -> bytes:
    line = json.dumps(part).encode() + b"\n"
    return b"%x\r\n%s\r\n" % (len(line), line)


def saying(parts: Iterable[dict[str, Any]], *, pauses: float = 0.0) -> Callable[[Received], Iterator[bytes | float]]:
    """Answer every request with *parts*, each after a pause of so many seconds."""

    def respond(_request: Received) -> Iterator[bytes | float]:
        yield HEAD
        for part in parts:
            if pauses:
                yield pauses
            yield chunk(part)
        yield b"0\r\n\r\n"

    return respond


# --- collect ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "parts", "whole"), WHOLE, ids=[name for name, _, _ in WHOLE])
def test_kept_parts_make_the_whole_answer_in_both_colours(name: str, parts: list[Any], whole: Any) -> None:
    async def arriving() -> AsyncIterator[Any]:
        for part in parts:
            yield part

    kept = [dict(part) for part in parts]
    assert ollama_fast.collect(parts) == whole
    assert ollama_fast.collect(iter(parts)) == whole
    assert asyncio.run(aio.collect(parts)) == whole
    assert asyncio.run(aio.collect(arriving())) == whole
    assert parts == kept, f"the parts of {name} were changed"


@pytest.mark.parametrize("taken", [0, 1, 2])
@pytest.mark.parametrize(("name", "parts", "whole"), WHOLE, ids=[name for name, _, _ in WHOLE])
def test_a_stream_gives_its_whole_answer_whoever_took_parts_of_it(
    every: Colour, name: str, parts: list[Any], whole: Any, taken: int
) -> None:
    with replay(respond=saying(parts)) as server:
        found, stats = every.collect(f"{name}_stream", server.url, "m", taken=taken)
    assert found == whole
    assert stats.parts == len(parts)


KEPT_WRONG: list[tuple[list[Any], type[errors.OllamaError], Any]] = [
    ([], errors.IncompleteStreamError, None),
    (GENERATED[:2], errors.IncompleteStreamError, "Hello"),
    ([GENERATED[0], {"error": "out of memory"}], errors.ResponseError, "Hel"),
    ([GENERATED[0], CHATTED[0]], errors.DecodeError, "Hel"),
    ([GENERATED[0], 5], errors.DecodeError, "Hel"),
    ([{"embeddings": []}], errors.DecodeError, None),
    (["Hello"], errors.DecodeError, None),
]


@pytest.mark.parametrize(("parts", "kind", "text"), KEPT_WRONG)
def test_kept_parts_that_make_no_answer_are_a_typed_error(parts: list[Any], kind: Any, text: Any) -> None:
    def collect_by_task(given: list[Any]) -> Any:
        return asyncio.run(aio.collect(given))

    for collect in (ollama_fast.collect, collect_by_task):
        with pytest.raises(errors.OllamaError) as caught:
            collect(parts)
        assert type(caught.value) is kind
        assert (caught.value.partial or {}).get("response") == text


def test_a_stream_that_breaks_raises_its_own_error(every: Colour) -> None:
    with replay(respond=saying(GENERATED[:2])) as server, pytest.raises(errors.IncompleteStreamError) as caught:
        every.collect("generate_stream", server.url, "m")
    assert (caught.value.partial or {})["response"] == "Hello"


def test_a_stream_that_failed_before_is_no_whole_answer(both: Colour) -> None:
    def fail_and_collect() -> Any:
        stream = ollama_fast.generate_stream(server.url, "m")
        with pytest.raises(errors.IncompleteStreamError):
            list(stream)
        return ollama_fast.collect(stream)

    async def fail_and_collect_by_task() -> Any:
        stream = aio.generate_stream(server.url, "m")
        with pytest.raises(errors.IncompleteStreamError):
            async for _ in stream:
                pass
        return await aio.collect(stream)

    def collect_again() -> Any:
        return asyncio.run(fail_and_collect_by_task()) if both.asynchronous else fail_and_collect()

    with replay(respond=saying(GENERATED[:2])) as server, pytest.raises(errors.IncompleteStreamError) as caught:
        collect_again()
    assert (caught.value.partial or {})["response"] == "Hello"


def test_a_stream_of_the_other_colour_is_a_type_error_that_names_the_right_function() -> None:
    stream: Any = aio.generate_stream("http://127.0.0.1:1", "m")
    with pytest.raises(TypeError, match=r"ollama_fast\.aio\.collect"):
        ollama_fast.collect(stream)
    other = ollama_fast.generate_stream("http://127.0.0.1:1", "m")
    with pytest.raises(TypeError, match=r"ollama_fast\.collect"):
        asyncio.run(aio.collect(other))


def test_a_caller_may_take_parts_apart(both: Colour) -> None:
    def take_apart() -> Any:
        with ollama_fast.chat_stream(server.url, "m") as stream:
            for part in stream:
                dict.clear(part)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            return stream.partial

    async def take_apart_by_task() -> Any:
        async with aio.chat_stream(server.url, "m") as stream:
            async for part in stream:
                dict.clear(part)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            return stream.partial

    with replay(respond=saying(CHATTED[:3])) as server, pytest.raises(errors.IncompleteStreamError) as caught:
        asyncio.run(take_apart_by_task()) if both.asynchronous else take_apart()
    assert (caught.value.partial or {})["message"]["content"] == "Hi"


# --- stats -----------------------------------------------------------------------------------------------------------


def test_stats_tell_when_the_first_part_came_how_many_there_were_and_how_fast(every: Colour) -> None:
    pause = 0.1
    began = time.perf_counter()
    with replay(respond=saying(GENERATED, pauses=pause)) as server:
        _, stats = every.collect("generate_stream", server.url, "m")
    outside = time.perf_counter() - began
    print(stats, f"{outside:.3f} s outside")
    assert stats.parts == 3
    assert stats.tokens_per_second == 15.0
    assert stats.first_part is not None
    # A server pauses a little longer than asked; how late a part is seen depends on what else the machine does.
    assert pause * 0.99 < stats.first_part < stats.total - pause
    assert stats.total < outside


def test_stats_before_during_and_after() -> None:
    with replay(respond=saying(GENERATED)) as server, ollama_fast.generate_stream(server.url, "m") as stream:
        assert stream.stats.parts == 0
        assert stream.stats.first_part is None
        next(stream)
        during = stream.stats
        assert (during.parts, during.tokens_per_second) == (1, None)
        assert during.first_part is not None
        list(stream)
        after = stream.stats
        assert (after.parts, after.tokens_per_second) == (3, 15.0)
        assert after.total >= during.total
        time.sleep(0.01)
        assert stream.stats == after
    stream = ollama_fast.generate_stream("http://127.0.0.1:1", "m")
    assert stream.stats == ollama_fast.Stats(None, 0, None, 0.0)


@pytest.mark.parametrize(
    ("count", "duration"), [(None, 1), (1, None), (1, 0), ("1", 1), (1, "1"), (1, -1), (10**400, 1)]
)
def test_tokens_per_second_are_not_known_where_the_server_does_not_say(count: Any, duration: Any) -> None:
    last = {**GENERATED[-1], "eval_count": count, "eval_duration": duration}
    with replay(respond=saying([last])) as server, ollama_fast.generate_stream(server.url, "m") as stream:
        list(stream)
        assert stream.stats.tokens_per_second is None


# --- streams that are left -------------------------------------------------------------------------------------------


def unclosed(leave: Callable[[str], None]) -> list[str]:
    """Give the ResourceWarnings that *leave* causes with a server's URL."""
    with replay(respond=saying(GENERATED, pauses=0.01)) as server, warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        leave(server.url)
        gc.collect()
    return [str(warning.message) for warning in seen if warning.category is ResourceWarning]


def left_in_the_middle(url: str) -> None:
    stream = ollama_fast.generate_stream(url, "m")
    next(stream)


def left_in_the_middle_of_steps(url: str) -> None:
    stream = ollama_fast.create_stream(url, "m", from_="n")
    next(stream)


def left_in_the_middle_by_a_task(url: str) -> None:
    async def leave() -> None:
        stream = aio.generate_stream(url, "m")
        await anext(stream)
        del stream
        await asyncio.sleep(0.05)

    asyncio.run(leave())


@pytest.mark.parametrize("leave", [left_in_the_middle, left_in_the_middle_by_a_task])
def test_a_stream_that_is_held_and_abandoned_is_a_resource_warning(leave: Callable[[str], None]) -> None:
    (said,) = unclosed(leave)
    assert "unclosed" in said
    assert ("an `async with` block" if "task" in leave.__name__ else "a `with` block") in said


def test_steps_that_are_abandoned_are_one_too() -> None:
    with replay(respond=saying(PULLED, pauses=0.01)) as server, warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        left_in_the_middle_of_steps(server.url)
        gc.collect()
    assert [warning.category for warning in seen] == [ResourceWarning]


def broken_off(url: str) -> None:
    for _ in ollama_fast.generate_stream(url, "m"):
        break


def read_to_its_end(url: str) -> None:
    stream = ollama_fast.generate_stream(url, "m")
    list(stream)


def closed(url: str) -> None:
    stream = ollama_fast.generate_stream(url, "m")
    next(stream)
    stream.close()


def left_by_with(url: str) -> None:
    with ollama_fast.generate_stream(url, "m") as stream:
        next(stream)


def never_begun(url: str) -> None:
    ollama_fast.generate_stream(url, "m")


def failed(_url: str) -> None:
    stream = ollama_fast.generate_stream("http://127.0.0.1:1", "m")
    with pytest.raises(errors.ConnectError):
        next(stream)
    with pytest.raises(errors.ConnectError), ollama_fast.generate_stream("http://127.0.0.1:1", "m"):
        pass


def broken_off_by_a_task(url: str) -> None:
    async def leave() -> None:
        async for _ in aio.generate_stream(url, "m"):
            break

    asyncio.run(leave())


@pytest.mark.parametrize(
    "leave", [broken_off, read_to_its_end, closed, left_by_with, never_begun, failed, broken_off_by_a_task]
)
def test_a_stream_that_is_freed_is_none(leave: Callable[[str], None]) -> None:
    assert unclosed(leave) == []


ABANDON = """
import ollama_fast

def abandon():
    stream = ollama_fast.generate_stream({url!r}, "m")
    print(next(stream)["response"])

abandon()
"""


@pytest.mark.parametrize("options", [["-X", "dev"], []], ids=["dev", "plain"])
def test_the_warning_is_seen_under_x_dev_alone(options: list[str]) -> None:
    with replay(respond=saying(GENERATED, pauses=0.01)) as server:
        program = ABANDON.format(url=server.url)
        done = subprocess.run(
            [sys.executable, *options, "-c", program], capture_output=True, text=True, check=True, timeout=60
        )
    assert done.stdout == "Hel\n"
    assert ("ResourceWarning: unclosed <ollama_fast" in done.stderr) == bool(options)
