"""A line of a chat's stream into a dict, without any I/O: the core beside orjson."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Final

import orjson
from benches.wire import chat_lines

from ollama_fast import _core

_COUNT: Final = 20_000
_CHUNK: Final = 100
_TIMES: Final = 3

OURS: Final = "_core.LineDecoder, a line per chunk"
OURS_BY_CHUNKS: Final = f"_core.LineDecoder, {_CHUNK} lines per chunk"
ORJSON: Final = "orjson.loads"


def _read_ours(chunks: list[bytes]) -> None:
    feed = _core.LineDecoder().feed
    for chunk in chunks:
        for _ in feed(chunk):
            pass


def _read_orjson(lines: list[bytes]) -> None:
    loads = orjson.loads
    for line in lines:
        loads(line)


def measure() -> dict[str, float]:
    """Give the microseconds of CPU of each row per line."""
    lines = chat_lines(_COUNT)
    chunks = [b"".join(lines[start : start + _CHUNK]) for start in range(0, _COUNT, _CHUNK)]
    feed, right = _core.LineDecoder().feed, [orjson.loads(line) for line in lines]
    if any([part for chunk in given for part in feed(chunk)] != right for given in (lines, chunks)):
        raise RuntimeError("the core decodes something else than orjson")
    rows: dict[str, tuple[Callable[[list[bytes]], None], list[bytes]]] = {
        OURS: (_read_ours, lines),
        OURS_BY_CHUNKS: (_read_ours, chunks),
        ORJSON: (_read_orjson, lines),
    }
    found: dict[str, list[float]] = {}
    for _ in range(_TIMES):
        for name, (read, given) in rows.items():
            cpu = time.process_time()
            read(given)
            found.setdefault(name, []).append((time.process_time() - cpu) / _COUNT * 1e6)
    return {name: median(figures) for name, figures in found.items()}
