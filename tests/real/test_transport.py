"""The Rust transport against a genuine Ollama server: streams at once, a big upload, kept connections."""

from __future__ import annotations

import asyncio
import sys
import time
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
