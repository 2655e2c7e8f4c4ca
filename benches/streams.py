"""A chat's stream from a server in another process: what each way to read it costs per part."""

from __future__ import annotations

import asyncio
import functools
import gc
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import ollama_fast

from . import stream_rows
from .stream_rows import RAW, Take
from .wire import MODEL, chat_lines, text_of

PARTS: Final = 2_000
ROUNDS: Final = 75
SHORT_STREAMS: Final = 3

Read = Callable[[str, Take], None]


@dataclass(frozen=True)
class Row:
    """What one way to read cost, in microseconds: a figure per round."""

    cpu: list[float] = field(default_factory=list[float])
    wall: list[float] = field(default_factory=list[float])
    first: list[float] = field(default_factory=list[float])


Colours = dict[str, dict[str, Row]]


@contextmanager
def _server() -> Generator[str]:
    command = [sys.executable, "-m", "benches.line_server", str(PARTS)]
    root = Path(__file__).parent.parent
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("the server of lines has no pipes")
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def _first_part(read: Read) -> float:
    """Give the microseconds from the call to the first part of a short stream, on an open connection."""
    arrivals: list[float] = []

    def take(_: Any) -> None:
        arrivals.append(time.perf_counter())

    began = time.perf_counter()
    read("short", take)
    return (arrivals[0] - began) * 1e6


def _measure(name: str, read: Read, lines: list[bytes], row: Row | None) -> None:
    taken: list[Any] = []
    gc.collect()
    gc.disable()
    try:
        first = median(_first_part(read) for _ in range(SHORT_STREAMS))
        wall, cpu = time.perf_counter(), time.process_time()
        read(MODEL, taken.append)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    finally:
        gc.enable()
    if name == RAW:  # its chunks may be cut where the socket's bytes were
        right = b"".join(taken) == b"".join(lines)
    else:
        right = len(taken) == len(lines) and "".join(taken) == text_of(lines)
    if not right:
        raise RuntimeError(f"{name} gave something else than was sent")
    if row is not None:
        row.cpu.append(cpu / len(lines) * 1e6)
        row.wall.append(wall / len(lines) * 1e6)
        row.first.append(first)


def _await(runner: asyncio.Runner, read: stream_rows.AsyncRow, model: str, take: Take) -> None:
    async def wait() -> None:
        await read(model, take)

    runner.run(wait())


def measure() -> Colours:
    """Read in interleaved rounds; the first warms up and does not count."""
    lines = chat_lines(PARTS)
    with _server() as url, asyncio.Runner() as runner:
        colours: dict[str, dict[str, Read]] = {
            "blocking": dict(stream_rows.blocking(url)),
            "asyncio": {
                name: functools.partial(_await, runner, read) for name, read in stream_rows.asyncio(url).items()
            },
        }
        found: Colours = {colour: {name: Row() for name in reads} for colour, reads in colours.items()}
        for number in range(1 + ROUNDS):
            for colour, reads in colours.items():
                for name, read in reads.items():
                    _measure(name, read, lines, found[colour][name] if number else None)
        runner.run(ollama_fast.aio.close())
        ollama_fast.close()
    return found
