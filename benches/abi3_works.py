"""
What the abi3 bench measures, in a process of its own: `python -m benches.abi3_works WORK TIMES PORT`.

It does the work TIMES over whenever a line comes on its standard input, and prints the CPU seconds that this took.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import ollama_fast
from ollama_fast import _core
from ollama_fast.types import Message

from .wire import chat_lines

Work = Callable[[str, int], None]

STREAMS: Final = 100
MESSAGES: Final[list[Message]] = [{"role": "user", "content": "Why is the sky blue?"}]


def decode(chunks: list[bytes], times: int) -> None:
    decoder = _core.LineDecoder()
    for chunk in itertools.islice(itertools.cycle(chunks), times):
        for part in decoder.feed(chunk):
            part["message"]["content"]


def line_per_chunk(_: str, times: int) -> None:
    decode(chat_lines(1000), times)


def lines_per_chunk(_: str, times: int) -> None:
    lines = chat_lines(1000)
    decode([b"".join(lines[start : start + 100]) for start in range(0, 1000, 100)], times // 100)


def burst(url: str, times: int) -> None:
    for _ in range(times):
        for part in ollama_fast.chat_stream(url, "burst", MESSAGES):
            part["message"]["content"]


async def burst_asyncio(url: str, times: int) -> None:
    for _ in range(times):
        async for part in ollama_fast.aio.chat_stream(url, "burst", MESSAGES):
            part["message"]["content"]


def whole(url: str, times: int) -> None:
    for _ in range(times):
        ollama_fast.chat(url, "whole", MESSAGES)["message"]["content"]


async def whole_asyncio(url: str, times: int) -> None:
    for _ in range(times):
        (await ollama_fast.aio.chat(url, "whole", MESSAGES))["message"]["content"]


async def live_asyncio(url: str, times: int) -> None:
    _, server = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    arrivals = itertools.count(1)

    async def read() -> None:
        async for part in ollama_fast.aio.chat_stream(url, "live", MESSAGES):
            part["message"]["content"]
            if next(arrivals) % STREAMS == 0 and not part["done"]:
                server.write(b"next\n")

    for _ in range(times):
        await asyncio.gather(*[read() for _ in range(STREAMS)])
    server.close()


def main() -> None:
    name, times, url = sys.argv[1], int(sys.argv[2]), f"http://127.0.0.1:{sys.argv[3]}"
    work: Callable[[str, int], Any] = globals()[name]
    gc.disable()
    with asyncio.Runner() as runner:
        for _ in sys.stdin:
            began = time.process_time()
            found = work(url, times)
            if found is not None:
                runner.run(found)
            print(time.process_time() - began, flush=True)
        runner.run(ollama_fast.aio.close())
    ollama_fast.close()


if __name__ == "__main__":
    main()
