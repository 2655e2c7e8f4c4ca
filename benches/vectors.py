"""Many vectors from a server in another process: what each way to get them costs."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

import ollama_fast

from . import vector_rows
from .wire import float32_answer

VECTORS: Final = 512
LENGTH: Final = 1024
ROUNDS: Final = 25
PEAKS: Final = 5

_ROOT: Final = Path(__file__).parent.parent


@dataclass(frozen=True)
class Row:
    """What one way cost, a figure per round: milliseconds of CPU and wall, and growth of memory in MB."""

    cpu: list[float] = field(default_factory=list[float])
    wall: list[float] = field(default_factory=list[float])
    peak: list[float] = field(default_factory=list[float])


@dataclass(frozen=True)
class Found:
    """The rows, and in MB how long the body is and how large the numbers are as float32."""

    rows: dict[str, Row]
    body: float
    numbers: float


@contextmanager
def _server(vectors: int) -> Generator[str]:
    command = [sys.executable, "-m", "benches.vector_server", str(vectors), str(LENGTH)]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("the server of vectors has no pipes")
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def _measure(name: str, row: vector_rows.Row, right: Any, found: Row | None) -> None:
    gc.collect()
    gc.disable()
    try:
        wall, cpu = time.perf_counter(), time.process_time()
        vectors = row()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    finally:
        gc.enable()
    if not np.array_equal(np.asarray(vectors, np.float32), right):
        raise RuntimeError(f"{name} gave something else than was sent")
    if found is not None:
        found.cpu.append(cpu * 1e3)
        found.wall.append(wall * 1e3)


def _peak(small: str, url: str, name: str) -> float:
    command = [sys.executable, "-m", "benches.vector_rows", small, url, name]
    said = subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True).stdout
    grown, count = said.split()
    if int(count) != VECTORS:
        raise RuntimeError(f"{name} gave {count} vectors")
    return int(grown) / 1e6


def measure() -> Found:
    """Ask in interleaved rounds, of which the first warms up and does not count; then in processes of their own."""
    body = float32_answer(VECTORS, LENGTH)
    right = np.array(json.loads(body)["embeddings"], np.float32)
    with _server(VECTORS) as url, _server(1) as small, asyncio.Runner() as runner:
        rows = vector_rows.rows(url, runner)
        found = {name: Row() for name in rows}
        for number in range(1 + ROUNDS):
            for name, row in rows.items():
                _measure(name, row, right, found[name] if number else None)
        for _ in range(PEAKS):
            for name in rows:
                found[name].peak.append(_peak(small, url, name))
        runner.run(ollama_fast.aio.close())
        ollama_fast.close()
    return Found(found, len(body) / 1e6, right.nbytes / 1e6)
