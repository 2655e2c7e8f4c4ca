"""
The ways to get the vectors of an embed that are compared: each gives what it calls vectors.

As a process of its own, `python -m benches.vector_rows SMALL URL ROW`, it prints by how many bytes the peak of memory
grows in a call to URL, after one to SMALL has loaded all that is needed; and how many vectors came.
"""

from __future__ import annotations

import array
import asyncio
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import ollama
import orjson

import ollama_fast

from .wire import MODEL

Row = Callable[[], Any]

OFFICIAL: Final = "official client, `embed`"
OURS: Final = "ollama_fast, `embed_array`"
OURS_ASYNCIO: Final = "ollama_fast, `aio.embed_array`"
PLAIN: Final = "ollama_fast, `embed`"


def rows(url: str, runner: asyncio.Runner) -> dict[str, Row]:
    """Give the rows, each with a client that stays open."""
    client = httpx.Client(base_url=url, trust_env=False, timeout=60)
    official = ollama.Client(url, trust_env=False)
    body = orjson.dumps({"model": MODEL, "input": []})

    def decoded() -> Any:
        return orjson.loads(client.post("/api/embed", content=body).content)["embeddings"]

    def flat() -> Any:
        vectors = decoded()
        numbers = array.array("f")
        for vector in vectors:
            numbers.extend(vector)
        return memoryview(numbers).cast("B").cast("f", (len(vectors), len(vectors[0])))

    return {
        OURS: lambda: ollama_fast.embed_array(url, MODEL),
        OURS_ASYNCIO: lambda: runner.run(ollama_fast.aio.embed_array(url, MODEL)),
        PLAIN: lambda: ollama_fast.embed(url, MODEL)["embeddings"],
        "httpx + orjson": decoded,
        "httpx + orjson, to a numpy array": lambda: np.asarray(decoded(), np.float32),
        "httpx + orjson, to an array": flat,
        OFFICIAL: lambda: official.embed(MODEL, []).embeddings,
    }


def _peak() -> int:
    """Give the most memory that this process has had since the last call, as the system counts it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return next(int(line.split()[1]) * 1024 for line in status.read_text("utf-8").splitlines() if "VmHWM" in line)


def main() -> None:
    small, url, name = sys.argv[1:]
    with asyncio.Runner() as runner:
        rows(small, runner)[name]()
        row = rows(url, runner)[name]
        before = _peak()
        vectors = row()
        print(_peak() - before, len(vectors))
        runner.run(ollama_fast.aio.close())


if __name__ == "__main__":
    main()
