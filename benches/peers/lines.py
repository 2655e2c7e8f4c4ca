"""A line of a chat's stream into a dict, without any I/O: the core beside orjson."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson
from benches.wire import chat_lines

from ollama_fast import _core

_COUNT: Final = 20_000
_CHUNK: Final = 100

OURS: Final = "_core.LineDecoder, a line per chunk"
OURS_BY_CHUNKS: Final = f"_core.LineDecoder, {_CHUNK} lines per chunk"
ORJSON: Final = "orjson.loads"
ROWS: Final = (OURS, OURS_BY_CHUNKS, ORJSON)


def _ours(chunks: list[bytes]) -> Iterator[Any]:
    feed = _core.LineDecoder().feed
    for chunk in chunks:
        yield from feed(chunk)


def _orjson(lines: list[bytes]) -> Iterator[Any]:
    loads = orjson.loads
    for line in lines:
        yield loads(line)


def measure() -> dict[str, float]:
    """Give the microseconds of CPU of each row per line."""
    lines = chat_lines(_COUNT)
    chunks = [b"".join(lines[start : start + _CHUNK]) for start in range(0, _COUNT, _CHUNK)]
    rows: dict[str, tuple[Callable[[list[bytes]], Iterator[Any]], list[bytes]]] = {
        OURS: (_ours, lines),
        OURS_BY_CHUNKS: (_ours, chunks),
        ORJSON: (_orjson, lines),
    }
    right = [orjson.loads(line) for line in lines]
    found: dict[str, float] = {}
    for name, (decode, given) in rows.items():
        if list(decode(given)) != right:
            raise RuntimeError(f"{name} gave something else than orjson")
        cpu = time.process_time()
        for _ in decode(given):
            pass
        found[name] = (time.process_time() - cpu) / _COUNT * 1e6
    return found
