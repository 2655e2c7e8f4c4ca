"""
What the body of a request with an image costs: CPU time, and memory beside what was there before.

`python -m benches.images ROW` prints the memory of one row in a process of its own.
"""

from __future__ import annotations

import base64
import gc
import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import ollama
import orjson
from ollama._types import ChatRequest

from ollama_fast import _endpoints

from .wire import image

SIZE: Final = 10 << 20
ROUNDS: Final = 21
MEMORY_ROUNDS: Final = 5
_REPEATS: Final = 5

OURS: Final = "ollama_fast, bytes"
OFFICIAL: Final = "official client, bytes"
TARGETED: Final = (OURS, "ollama_fast, bytearray", "ollama_fast, memoryview", "ollama_fast, numpy")
"""The rows whose memory has a target."""


def _ours(given: Any) -> bytes:
    message = {"role": "user", "content": "What is this?", "images": [given]}
    return _endpoints.chat("m", [message]).encode(stream=False)


def _official(given: Any) -> bytes:
    # What ollama.Client.chat does before it sends, and httpx with what it is given there.
    message = ollama.Message(role="user", content="What is this?", images=[ollama.Image(value=given)])
    fields = ChatRequest(model="m", messages=[message], stream=False).model_dump(exclude_none=True)
    return httpx.Request("POST", "http://h/api/chat", json=fields).content


def _by_hand(given: Any) -> bytes:
    message = {"role": "user", "content": "What is this?", "images": [base64.b64encode(given).decode()]}
    return orjson.dumps({"model": "m", "messages": [message], "stream": False})


@dataclass(frozen=True)
class Kind:
    """A row: how its image is made of bytes, and what makes a body with it."""

    given: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]


ROWS: Final = {
    OURS: Kind(bytes, _ours),
    "ollama_fast, bytearray": Kind(bytearray, _ours),
    "ollama_fast, memoryview": Kind(memoryview, _ours),
    "ollama_fast, numpy": Kind(lambda data: np.frombuffer(data, np.uint8), _ours),
    "ollama_fast, base64 text": Kind(lambda data: base64.b64encode(data).decode(), _ours),
    "ollama_fast, base64 text in lines": Kind(lambda data: base64.encodebytes(data).decode(), _ours),
    "base64 + orjson by hand": Kind(bytes, _by_hand),
    OFFICIAL: Kind(bytes, _official),
}


@dataclass(frozen=True)
class Row:
    """A figure per round: CPU in milliseconds, and the peak of memory over the body's length."""

    cpu: list[float] = field(default_factory=list[float])
    traced: list[float] = field(default_factory=list[float])
    resident: list[float] = field(default_factory=list[float])


def measure() -> dict[str, Row]:
    """Run the rows one after the other, in interleaved rounds after one to warm up."""
    data = image(SIZE)
    expected = json.loads(_by_hand(data))["messages"]
    rows = {name: Row() for name in ROWS}
    given = {name: kind.given(data) for name, kind in ROWS.items()}
    for name, kind in ROWS.items():
        if json.loads(kind.encode(given[name]))["messages"] != expected:
            raise SystemExit(f"{name} makes another body")
    gc.collect()
    gc.disable()
    try:
        for number in range(1 + ROUNDS):
            for name, kind in ROWS.items():
                began = time.process_time()
                for _ in range(_REPEATS):
                    kind.encode(given[name])
                took = (time.process_time() - began) / _REPEATS
                if number:
                    rows[name].cpu.append(took * 1e3)
    finally:
        gc.enable()
    # Blocks this large come straight from the system then, so none that was freed before hides what a row takes.
    environ = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"}
    for _ in range(MEMORY_ROUNDS):
        for name, row in rows.items():
            command = [sys.executable, "-m", "benches.images", name]
            root = Path(__file__).parent.parent
            run = subprocess.run(command, cwd=root, env=environ, check=True, capture_output=True)
            traced, resident = json.loads(run.stdout)
            row.traced.append(traced)
            row.resident.append(resident)
    return rows


def _memory(kind: Kind) -> tuple[float, float]:
    given = kind.given(image(SIZE))
    kind.encode(kind.given(b"warm"))
    gc.collect()
    before = _reset_peak()
    body = kind.encode(given)
    resident = (_status("VmHWM") - before) / len(body)
    del body
    gc.collect()
    tracemalloc.start()
    body = kind.encode(given)
    traced = tracemalloc.get_traced_memory()[1] / len(body)
    return traced, resident


def _reset_peak() -> int:
    """Begin the peak of memory anew, and give the memory of now in bytes."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _status("VmRSS")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    print(json.dumps(_memory(ROWS[sys.argv[1]])))
