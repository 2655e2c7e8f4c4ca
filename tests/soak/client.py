"""
Clients of the soak, a process of its own: `python -m soak.client URL SEED SHARE TASKS THREADS SECONDS`.

Tasks and threads read streams in rounds. After each round nothing may be left: no socket, no task, no thread, and no
memory beyond a bound. It prints one line, its report as JSON. Which transport it uses the environment says.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import itertools
import json
import os
import resource
import sys
import threading
import time
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import ollama_fast
from ollama_fast import Host, Limits, aio

from .limits import raise_file_limit
from .plan import Plan, Seen
from .streams import closed_from_elsewhere, in_task, in_thread

_MIB: Final = 1 << 20
_MOST_RESIDENT: Final = 32 * _MIB
"""By how much the memory of the process may be larger after the last round than after the second."""
_MOST_TRACED: Final = _MIB // 2
"""What Python may have allocated in the second round and still hold after it."""
_KEPT_FILES: Final = 4
"""What a loop may open for its own in the first round, and keep: the readiness set, and what wakes it."""
_SHOWN: Final = 10
_SETTLED: Final = 20.0
"""Seconds in which what was closed must be gone."""


class Ledger:
    """What came of all streams; used by all threads."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.streams: Counter[str] = Counter()
        self.leaves: Counter[str] = Counter()
        self.parts = 0
        self.unanswered: list[int] = []
        self._lock = threading.Lock()

    def enter(self, seen: Seen) -> None:
        """Note what was seen of one stream."""
        wrong = "" if seen.unanswered else seen.wrong()
        with self._lock:
            self.streams[seen.plan.fault] += 1
            self.parts += seen.parts
            if seen.plan.leave is not None:
                self.leaves[seen.plan.leave] += 1
            if seen.unanswered:
                self.unanswered.append(seen.plan.number)
            if wrong:
                self.wrong.append(wrong)

    def complain(self, text: str) -> None:
        """Note something else that should not be."""
        with self._lock:
            self.wrong.append(text)


class Rounds:
    """The streams of one process."""

    def __init__(self, host: Host, seed: int, share: int, tasks: int, threads: int) -> None:
        self._host = host
        self._seed = seed
        self._tasks = tasks
        self._threads = threads
        self._for_tasks = itertools.count(share << 32, 2)
        self._for_threads = itertools.count((share << 32) + 1, 2)
        self.ledger = Ledger()

    async def run(self, end: float) -> None:
        """Begin streams until *end*; then wait for the last ones."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(max(1, self._threads)) as threads:
            blocking = [loop.run_in_executor(threads, self._thread, end) for _ in range(self._threads)]
            await asyncio.gather(*(self._task(end) for _ in range(self._tasks)), *blocking)
        await aio.close()
        ollama_fast.close()

    async def _task(self, end: float) -> None:
        for plan in self._plans(self._for_tasks, end):
            read = closed_from_elsewhere if plan.leave == "close" else in_task
            self.ledger.enter(await read(self._host, plan))

    def _thread(self, end: float) -> None:
        for plan in self._plans(self._for_threads, end):
            self.ledger.enter(in_thread(self._host, plan))

    def _plans(self, numbers: Iterator[int], end: float) -> Iterator[Plan]:
        while time.monotonic() < end:
            yield Plan.of(self._seed, next(numbers))


# --- what is left ----------------------------------------------------------------------------------------------------


def _left() -> tuple[int, int, int]:
    """Count open files, tasks beside this one, and threads; those in which a loop looks up names stay with it."""
    gc.collect()
    threads = sum(not thread.name.startswith("asyncio_") for thread in threading.enumerate())
    return len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks()) - 1, threads  # noqa: PTH208 - Linux's own


async def _settle(files: int) -> tuple[int, int, int]:
    """Give what is left once no more than *files* and this thread are, but do not wait for ever."""
    deadline = time.monotonic() + _SETTLED
    while True:
        await asyncio.sleep(0.05)  # also once at first: what called this still holds what it waited for
        left = _left()
        if (left[0] <= files and left[1:] == (0, 1)) or time.monotonic() > deadline:
            return left


def _resident() -> int:
    """Give the memory of this process, without what was freed and is kept for later."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # glibc's
        trim(0)
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


async def soak(rounds: Rounds, seconds: float) -> list[int]:
    """Run rounds, look at what each leaves, and give the memory of the process after each."""
    ledger, resident = rounds.ledger, list[int]()
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: ledger.complain(f"the loop was told: {context}")
    )
    count, began = max(3, round(seconds / 30)), time.monotonic()
    files = _left()[0] + _KEPT_FILES
    for number in range(count):
        if number == 1:
            tracemalloc.start()
        await rounds.run(began + seconds * (number + 1) / count)
        left = await _settle(files)
        if left[0] > files or left[1:] != (0, 1):
            ledger.complain(f"after round {number}, files, tasks and threads were {left}, and not {(files, 0, 1)}")
        files = min(files, left[0])  # what the loop keeps is open by now
        if number == 1:
            _look_at_traced(ledger)
        resident.append(_resident())
    if resident[-1] - resident[1] > _MOST_RESIDENT:
        ledger.complain(f"memory grew: {[size // _MIB for size in resident]} MiB after each round")
    return resident


def _look_at_traced(ledger: Ledger) -> None:
    traced = tracemalloc.get_traced_memory()[0]
    if traced > _MOST_TRACED:
        largest = tracemalloc.take_snapshot().statistics("lineno")[:_SHOWN]
        ledger.complain(f"{traced} bytes of the second round were still held after it: {largest}")
    tracemalloc.stop()


def _listen(ledger: Ledger) -> None:
    """Note each warning and each exception that nobody catches, but not that a stream was abandoned."""

    def warned(message: Warning | str, *_: Any, **__: Any) -> None:
        if "unclosed <ollama_fast." not in str(message):
            ledger.complain(f"warning: {message!r}")

    warnings.simplefilter("always")
    warnings.showwarning = warned
    sys.unraisablehook = lambda lost: ledger.complain(
        f"raised where nobody catches it: {lost.exc_value!r}, {lost.object!r}"
    )
    threading.excepthook = lambda lost: ledger.complain(f"a thread ended by {lost.exc_value!r}")


def main(url: str, *numbers: str) -> None:
    seed, share, tasks, threads = map(int, numbers[:4])
    seconds = float(numbers[4])
    raise_file_limit()
    rounds = Rounds(Host(url, limits=Limits(max_connections=tasks + threads)), seed, share, tasks, threads)
    ledger = rounds.ledger
    _listen(ledger)
    resident = asyncio.run(soak(rounds, seconds))
    report = {
        "wrong": len(ledger.wrong),
        "shown": ledger.wrong[:_SHOWN],
        "streams": ledger.streams,
        "leaves": ledger.leaves,
        "parts": ledger.parts,
        "unanswered": ledger.unanswered,
        "resident": [size // _MIB for size in resident],
        "most resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
