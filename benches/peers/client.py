"""
A client process of `make bench-streams`: `python -m benches.peers.client COLOUR ROW URL`.

It does what it is told on its standard input, a line each, and tells as a line of JSON what that cost. Times are in
microseconds; CPU is that of the whole process with all of its threads.

    streams MODEL COUNT   read COUNT streams at once: cpu, wall, text; lags: how long after the server sent the last
                          line of a stream its end was read
    first COUNT           read COUNT short streams in turn: first, the time from call to first part, and text
    whole COUNT           ask COUNT times for an answer in one piece: cpu and wall of one, and text
    ahead                 read a stream whose second line comes 300 ms after the first: early, the time from the first
                          part to when the second line was sent; text
    idle COUNT            hold COUNT streams of which the first part was read: bytes, the growth of memory; text

It begins and ends each without connections; where one was open when the clock began, a short stream opened it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol, Self

from .asyncio_rows import ROWS as ASYNCIO_ROWS
from .asyncio_rows import AsyncRow
from .blocking_rows import ROWS as BLOCKING_ROWS
from .blocking_rows import Row
from .exchange import AHEAD_MODEL, IDLE_MODEL, SHORT_MODEL

Found = dict[str, Any]


class Colour(Protocol):
    """The tasks, as one colour does them."""

    def streams(self, model: str, count: int) -> Found: ...
    def first(self, count: int) -> Found: ...
    def whole(self, count: int) -> Found: ...
    def ahead(self) -> Found: ...
    def idle(self, count: int) -> Found: ...


class Clock:
    """CPU and wall of what is done in a `with` block."""

    def __enter__(self) -> Self:
        gc.collect()
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        cpu, wall = time.process_time(), time.perf_counter()
        self.cpu, self.wall = (cpu - self._cpu) * 1e6, (wall - self._wall) * 1e6


def _lag(sent: int) -> float:
    return (time.monotonic_ns() - sent) / 1e3


def _only(texts: list[str]) -> str:
    if set(texts) != {texts[0]}:
        raise RuntimeError("two streams have different texts")
    return texts[0]


def _joined(texts: list[list[str]]) -> str:
    return _only(["".join(text) for text in texts])


class _Arrivals:
    """What a first part is awaited with."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.first = 0

    def take(self, text: str) -> None:
        if not self.texts:
            self.first = time.monotonic_ns()
        self.texts.append(text)

    def after(self, began: int) -> float:
        return (self.first - began) / 1e3


class Blocking:
    """The tasks of a blocking row."""

    def __init__(self, make: Callable[[str], Row], url: str) -> None:
        self._make, self._url = make, url

    def _row(self) -> Row:
        row = self._make(self._url)
        row.stream(SHORT_MODEL, _Arrivals().take)
        return row

    def streams(self, model: str, count: int) -> Found:
        if count != 1:
            raise ValueError("a blocking row reads one stream at a time")
        row, taken = self._row(), list[str]()
        with Clock() as clock:
            sent = row.stream(model, taken.append)
            lag = _lag(sent)
        row.close()
        return {"cpu": clock.cpu, "wall": clock.wall, "lags": [lag], "text": "".join(taken)}

    def first(self, count: int) -> Found:
        row, first, texts = self._row(), list[float](), list[str]()
        for _ in range(count):
            arrivals, began = _Arrivals(), time.monotonic_ns()
            row.stream(SHORT_MODEL, arrivals.take)
            first.append(arrivals.after(began))
            texts.append("".join(arrivals.texts))
        row.close()
        return {"first": first, "text": _only(texts)}

    def whole(self, count: int) -> Found:
        row = self._row()
        with Clock() as clock:
            texts = [row.whole() for _ in range(count)]
        row.close()
        return {"cpu": clock.cpu / count, "wall": clock.wall / count, "text": _only(texts)}

    def ahead(self) -> Found:
        row, arrivals = self._row(), _Arrivals()
        sent = row.stream(AHEAD_MODEL, arrivals.take)
        row.close()
        return {"early": -arrivals.after(sent), "text": "".join(arrivals.texts)}

    def idle(self, count: int) -> Found:
        raise ValueError(f"a blocking row cannot hold {count} streams")


class Asyncio:
    """The tasks of a row of asyncio, all on one event loop."""

    def __init__(self, make: Any, url: str) -> None:
        self._make, self._url = make, url
        self._runner = asyncio.Runner()

    async def _row(self, *, warm: bool = True) -> AsyncRow:
        row: AsyncRow = await self._make(self._url)
        if warm:
            await row.stream(SHORT_MODEL, _Arrivals().take)
        return row

    def streams(self, model: str, count: int) -> Found:
        return self._runner.run(self._streams(model, count))

    async def _streams(self, model: str, count: int) -> Found:
        row = await self._row(warm=count == 1)
        taken: list[list[str]] = [[] for _ in range(count)]
        lags: list[float] = []

        async def read(texts: list[str]) -> None:
            lags.append(_lag(await row.stream(model, texts.append)))

        with Clock() as clock:
            if count == 1:
                await read(taken[0])
            else:
                await asyncio.gather(*map(read, taken))
        await row.close()
        return {"cpu": clock.cpu, "wall": clock.wall, "lags": lags, "text": _joined(taken)}

    def first(self, count: int) -> Found:
        return self._runner.run(self._first(count))

    async def _first(self, count: int) -> Found:
        row, first, texts = await self._row(), list[float](), list[str]()
        for _ in range(count):
            arrivals, began = _Arrivals(), time.monotonic_ns()
            await row.stream(SHORT_MODEL, arrivals.take)
            first.append(arrivals.after(began))
            texts.append("".join(arrivals.texts))
        await row.close()
        return {"first": first, "text": _only(texts)}

    def whole(self, count: int) -> Found:
        return self._runner.run(self._whole(count))

    async def _whole(self, count: int) -> Found:
        row = await self._row()
        with Clock() as clock:
            texts = [await row.whole() for _ in range(count)]
        await row.close()
        return {"cpu": clock.cpu / count, "wall": clock.wall / count, "text": _only(texts)}

    def ahead(self) -> Found:
        return self._runner.run(self._ahead())

    async def _ahead(self) -> Found:
        row, arrivals = await self._row(), _Arrivals()
        sent = await row.stream(AHEAD_MODEL, arrivals.take)
        await row.close()
        return {"early": -arrivals.after(sent), "text": "".join(arrivals.texts)}

    def idle(self, count: int) -> Found:
        return self._runner.run(self._idle(count))

    async def _idle(self, count: int) -> Found:
        row = await self._row()
        for _ in range(20):  # what is made once is made by now
            await row.stream(SHORT_MODEL, _Arrivals().take)
        texts: list[str] = []
        everyone = asyncio.Event()

        def take(text: str) -> None:
            texts.append(text)
            if len(texts) == count:
                everyone.set()

        gc.collect()
        before = _resident()
        tasks = [asyncio.ensure_future(row.stream(IDLE_MODEL, take)) for _ in range(count)]
        await everyone.wait()
        await asyncio.sleep(0.1)  # every task has come back to its wait
        gc.collect()
        growth = _resident() - before
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        if not all(isinstance(end, asyncio.CancelledError) for end in ended):
            raise RuntimeError("a stream was not idle")
        await row.close()
        return {"bytes": growth, "text": _only(texts)}


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


_COLOURS: Final[dict[str, Callable[[str, str], Colour]]] = {
    "blocking": lambda row, url: Blocking(BLOCKING_ROWS[row], url),
    "asyncio": lambda row, url: Asyncio(ASYNCIO_ROWS[row], url),
}


def main() -> None:
    """Do what standard input says until it ends."""
    colour, row, url = sys.argv[1:]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    tasks = _COLOURS[colour](row, url)
    do: dict[str, Callable[..., Found]] = {
        "streams": tasks.streams,
        "first": tasks.first,
        "whole": tasks.whole,
        "ahead": tasks.ahead,
        "idle": tasks.idle,
    }
    for line in sys.stdin:
        name, *rest = line.split()
        print(json.dumps(do[name](*(int(word) if word.isdecimal() else word for word in rest))), flush=True)


if __name__ == "__main__":
    main()
