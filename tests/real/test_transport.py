"""The Rust transport against a genuine Ollama server: left streams, streams at once, a big upload, kept connections."""

from __future__ import annotations

import asyncio
import itertools
import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import ollama_fast
from colours import Colour
from ollama_fast import aio
from ollama_fast.types import Options
from real.target import Genuine

pytestmark = pytest.mark.real

LONG: Options = {"num_predict": 3000, "temperature": 0, "num_ctx": 4096}
STORY = "Write a story that never ends. Once upon a time"
SECONDS = 30.0
"""A generation that is not stopped takes longer than this; one that is, ends at once."""


# --- leaving a stream ------------------------------------------------------------------------------------------------


def leave_a_block(real: Genuine) -> list[Any]:
    with ollama_fast.generate_stream(real.url, real.model, STORY, options=LONG) as stream:
        return list(itertools.islice(stream, 3))


def drop_the_stream(real: Genuine) -> list[Any]:
    return list(itertools.islice(ollama_fast.generate_stream(real.url, real.model, STORY, options=LONG), 3))


def leave_an_asyncio_block(real: Genuine) -> list[Any]:
    async def run() -> list[Any]:
        parts: list[Any] = []
        async with aio.generate_stream(real.url, real.model, STORY, options=LONG) as stream:
            async for part in stream:
                parts.append(part)
                if len(parts) == 3:
                    break
        return parts

    return asyncio.run(run())


def cancel_a_task(real: Genuine) -> list[Any]:
    async def run() -> list[Any]:
        parts: list[Any] = []
        enough = asyncio.Event()

        async def read() -> None:
            async for part in aio.generate_stream(real.url, real.model, STORY, options=LONG):
                parts.append(part)
                if len(parts) == 3:
                    enough.set()

        task = asyncio.create_task(read())
        await enough.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return parts

    return asyncio.run(run())


def generations(log: Path) -> list[float]:
    """Give how long each call of generate took, in seconds, as the server's log tells."""
    units = {"ms": 1e-3, "s": 1.0, "m": 60.0, "µs": 1e-6}
    shown = re.findall(r"\| +([\dmsµ.]+) \|[^|]+\| POST +\"/api/generate\"", log.read_text("utf-8", "replace"))
    each = (re.findall(r"([\d.]+)(ms|µs|m|s)", text) for text in shown)
    return [sum(float(number) * units[unit] for number, unit in pieces) for pieces in each]


@pytest.mark.parametrize("leave", [leave_a_block, drop_the_stream, leave_an_asyncio_block, cancel_a_task])
def test_a_stream_that_is_left_after_three_parts_stops_its_generation(
    leave: Callable[[Genuine], list[Any]], real: Genuine
) -> None:
    real.need("log")
    assert real.log is not None
    ollama_fast.generate(real.url, real.model, options={"num_ctx": 4096})  # loads the model
    before = len(generations(real.log))
    parts = leave(real)
    left = time.monotonic()
    while len(generations(real.log)) == before and time.monotonic() < left + SECONDS:
        time.sleep(0.02)
    stopped = time.monotonic() - left
    taken = generations(real.log)[before:]
    print(f"\n{leave.__name__}: the server's log has its end {stopped:.2f} s later, after {taken} s in all")
    assert len(parts) >= 3
    assert not any(part["done"] for part in parts)
    assert len(taken) == 1


# --- many at once ----------------------------------------------------------------------------------------------------


def ask(number: int) -> dict[str, Any]:
    return {"prompt": f"Count from {number}:", "options": {"num_predict": 8, "seed": number, "temperature": 0}}


def test_eight_streams_at_once_are_not_mixed_up(both: Colour, real: Genuine) -> None:
    alone = [ollama_fast.generate(real.url, real.model, **ask(number)).get("eval_count") for number in range(8)]

    def blocking(number: int) -> list[Any]:
        return list(ollama_fast.generate_stream(real.url, real.model, **ask(number)))

    async def on_a_loop() -> list[list[Any]]:
        async def one(number: int) -> list[Any]:
            return [part async for part in aio.generate_stream(real.url, real.model, **ask(number))]

        return await asyncio.gather(*(one(number) for number in range(8)))

    if both.asynchronous:
        streams = asyncio.run(on_a_loop())
    else:
        with ThreadPoolExecutor(8) as threads:
            streams = list(threads.map(blocking, range(8)))
    assert all(parts[-1]["done"] and not any(part["done"] for part in parts[:-1]) for parts in streams)
    assert [parts[-1]["eval_count"] for parts in streams] == alone


# --- connections -----------------------------------------------------------------------------------------------------


class Connects:
    """Counts the connections that this process makes, by its audit events."""

    def __init__(self) -> None:
        self.count = 0
        sys.addaudithook(self._hear)  # it stays for good

    def _hear(self, event: str, _arguments: tuple[Any, ...]) -> None:
        self.count += event == "socket.connect"


@pytest.fixture(scope="module")
def counter() -> Connects:
    return Connects()


def test_twenty_calls_and_streams_share_a_connection(both: Colour, real: Genuine, counter: Connects) -> None:
    options: Options = {"num_predict": 2}

    def blocking() -> None:
        for _ in range(10):
            ollama_fast.version(real.url)
            assert list(ollama_fast.generate_stream(real.url, real.model, "Hi!", options=options))[-1]["done"]

    async def on_a_loop() -> None:
        for _ in range(10):
            await aio.version(real.url)
            parts = [part async for part in aio.generate_stream(real.url, real.model, "Hi!", options=options)]
            assert parts[-1]["done"]

    ollama_fast.close()
    before = counter.count
    if both.asynchronous:
        asyncio.run(on_a_loop())
    else:
        blocking()
    print(f"\n20 exchanges made {counter.count - before} connection")
    assert counter.count - before == 1


def test_a_new_blob_of_98_megabytes_is_sent_over_one_connection(
    both: Colour, real: Genuine, counter: Connects, tmp_path: Path
) -> None:
    real.need("gguf")
    assert real.gguf is not None
    file = tmp_path / "changed.gguf"
    file.write_bytes(real.gguf.read_bytes() + f"transport {both}".encode())
    ollama_fast.close()
    before, began = counter.count, time.monotonic()
    digest = both.whole("create_blob", real.url, file)
    print(f"\n{file.stat().st_size} bytes hashed and sent in {time.monotonic() - began:.2f} s")
    assert counter.count - before == 1
    assert both.whole("has_blob", real.url, digest) is True
