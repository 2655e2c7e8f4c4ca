"""What nobody should do with streams, clients and files is an error that says what to do instead."""

from __future__ import annotations

import asyncio
import gc
import pickle
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, Final

import httpx
import pytest

import ollama_fast
from colours import Colour
from leaving import becomes
from ollama_fast import aio
from ollama_fast.errors import ConnectError, InputsError, ToolCallError, TransportError
from replay import Received, replay
from transports import CHUNKED, chunk, eventually

PART: Final = b'{"model":"m","created_at":"","message":{"role":"assistant","content":"x"},"done":false}\n'


def respond(_request: Received) -> Iterator[bytes | float]:
    yield CHUNKED + chunk(PART)
    yield 60.0


# --- clients ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["chat", "chat_stream"])
def test_a_client_that_was_closed_is_a_transport_error(both: Colour, function: str) -> None:
    client = both.mock(lambda _request: httpx.Response(200), base_url="http://h")
    if both.asynchronous:
        asyncio.run(client.aclose())
    else:
        client.close()
    seen = (both.attempt if function == "chat" else both.parts)(function, client, "m")
    assert type(seen.error) is TransportError
    assert "POST http://h/api/chat for model 'm': the httpx client is closed" in str(seen.error)


# --- two readers -----------------------------------------------------------------------------------------------------

READS: Final[dict[str, Callable[[Any], Any]]] = {"next": next, "for": list}


@pytest.mark.parametrize("way", READS)
def test_a_second_thread_that_reads_a_stream_is_told(way: str) -> None:
    with replay(respond=respond) as server, ThreadPoolExecutor(1) as threads:
        stream = ollama_fast.chat_stream(server.url, "m")
        next(stream)
        first = threads.submit(lambda: list(stream))
        eventually(stream._is_read)
        with pytest.raises(RuntimeError, match="another thread waits for a part of this stream"):
            READS[way](stream)
        stream.close()
        assert first.exception(timeout=30) is not None


def test_a_second_loop_that_had_begun_is_told_by_python() -> None:
    """For both it is the generator itself, since a loop pays for no frame of ours per part."""
    with replay(respond=respond) as server, ThreadPoolExecutor(1) as threads:
        stream = ollama_fast.chat_stream(server.url, "m")
        parts, others = iter(stream), iter(stream)
        first = threads.submit(list, parts)
        eventually(stream._is_read)
        with pytest.raises(ValueError, match="generator already executing"):
            next(others)
        stream.close()
        assert first.exception(timeout=30) is not None


@pytest.mark.parametrize("way", ["anext", "async for"])
def test_a_second_task_that_reads_a_stream_is_told(way: str) -> None:
    async def read(stream: Any) -> None:
        async for _ in stream:
            pass

    async def run(url: str) -> None:
        stream = aio.chat_stream(url, "m")
        await anext(stream)
        first = asyncio.ensure_future(read(stream))
        await becomes(stream._is_read)
        with pytest.raises(RuntimeError, match="another task waits for a part of this stream"):
            await (anext(stream) if way == "anext" else read(stream))
        await stream.aclose()
        assert await asyncio.wait({first}, timeout=30) == ({first}, set())
        assert first.exception() is not None

    with replay(respond=respond) as server:
        asyncio.run(run(server.url))


# --- the wrong colour ------------------------------------------------------------------------------------------------


async def async_for_over_a_blocking_stream(url: str) -> None:
    stream: Any = ollama_fast.chat_stream(url, "m")
    async for _ in stream:
        pass


async def async_with_a_blocking_stream(url: str) -> None:
    stream: Any = ollama_fast.chat_stream(url, "m")
    async with stream:
        pass


async def for_over_a_stream_of_asyncio(url: str) -> None:
    stream: Any = aio.chat_stream(url, "m")
    for _ in stream:
        pass


async def with_a_stream_of_asyncio(url: str) -> None:
    stream: Any = aio.chat_stream(url, "m")
    with stream:
        pass


async def await_a_stream(url: str) -> None:
    stream: Any = aio.chat_stream(url, "m")
    await stream


async def await_a_blocking_stream(url: str) -> None:
    stream: Any = ollama_fast.chat_stream(url, "m")
    await stream


@pytest.mark.parametrize(
    "misuse",
    [
        async_for_over_a_blocking_stream,
        async_with_a_blocking_stream,
        for_over_a_stream_of_asyncio,
        with_a_stream_of_asyncio,
        await_a_stream,
        await_a_blocking_stream,
    ],
)
def test_a_stream_of_the_other_colour_is_a_type_error_and_sends_nothing(misuse: Any) -> None:
    with replay(respond=respond) as server:
        with pytest.raises(TypeError, match="Stream"):
            asyncio.run(misuse(server.url))
        assert server.connections == 0


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["generate", "generate_stream"])
def test_a_closed_file_as_image_is_a_value_error_at_the_call(both: Colour, function: str) -> None:
    file = BytesIO(b"x")
    file.close()
    with replay(respond=respond) as server:
        with pytest.raises(ValueError, match=r"images\[0\] is a closed file"):
            (both.parts if function.endswith("_stream") else both.whole)(function, server.url, "m", images=[file])
        assert server.connections == 0


# --- errors ----------------------------------------------------------------------------------------------------------


def test_an_inputs_error_keeps_its_cause_in_a_pickle() -> None:
    error = InputsError("one failed", inputs=range(2))
    error.__cause__ = ConnectError("refused", url="http://h/api/embed")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy.__cause__) is ConnectError
    assert (str(copy.__cause__), copy.__cause__.url, copy.inputs) == ("refused", "http://h/api/embed", range(2))
    error.__cause__ = ExceptionGroup("no pickle", [ValueError(lambda: None)])
    assert pickle.loads(pickle.dumps(error)).__cause__ is None


def refuse(_number: int) -> int:
    raise KeyError


CALLS: Final[dict[str, Any]] = {
    "unknown": {"name": "other", "arguments": {}},
    "arguments": {"name": "refuse", "arguments": {"_number": "x"}},
    "failed": {"name": "refuse", "arguments": {"_number": 1}},
}


@pytest.mark.parametrize("kind", CALLS)
def test_the_error_of_a_tool_is_freed_with_its_last_reference(both: Colour, kind: str) -> None:
    seen: list[weakref.ref[ToolCallError]] = []

    def call() -> None:
        try:
            ollama_fast.call_tool([refuse], {"function": CALLS[kind]})
        except ToolCallError as exc:
            seen.append(weakref.ref(exc))

    async def acall() -> None:
        try:
            await aio.call_tool([refuse], {"function": CALLS[kind]})
        except ToolCallError as exc:
            seen.append(weakref.ref(exc))

    gc.collect()
    gc.disable()
    try:
        if both.asynchronous:
            asyncio.run(acall())
        else:
            call()
    finally:
        gc.enable()
    assert [ref() for ref in seen] == [None]
