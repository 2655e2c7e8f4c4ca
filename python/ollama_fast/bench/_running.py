"""A whole benchmark: one load after the other, and what this client can do at most."""

from __future__ import annotations

import asyncio
import math
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import FrameType
from typing import Any, TypeAlias

from ollama_fast import Host, aio
from ollama_fast.errors import OllamaError

from ._aggregate import summarise_level
from ._ceiling import ceiling
from ._loops import measure_load, unbounded, until_stopped
from ._machine import this_machine
from ._measuring import asking
from ._values import Amount, Ceiling, ClosedLoop, Level, Load, Run, Sample, Workload


@dataclass(frozen=True, slots=True)
class Begun:
    """That a load begins, of the host called *label*; None for the self-test."""

    label: str
    load: Load | None


Told: TypeAlias = Begun | Sample | Level
"""What one who watches a benchmark is told."""


def benchmark(
    host: Host | str | None,
    /,
    workload: Workload,
    loads: Sequence[Load] = (ClosedLoop(1),),
    amount: Amount = Amount(),  # noqa: B008 - it is frozen
    *,
    label: str | None = None,
    seed: int = 0,
    ceiling_seconds: float = 1.5,
    tell: Callable[[Told], None] | None = None,
) -> Run:
    """
    Load a host, one load after the other, and give what was measured.

    One request with one token comes first, so that what is wrong with host or model is raised before any load. Ctrl-C,
    or SIGTERM, ends the load: the run has what was measured by then, and is `cut`; a second one is as without this.

    Args:
        host: A Host, its URL, or None for what OLLAMA_HOST says. Nothing is tried again, and its connections have no
            bound.

        workload: What is asked.

        loads: Such as `[ClosedLoop(1), ClosedLoop(2), ClosedLoop(4)]`, or `[OpenLoop(0.5), OpenLoop(1)]`.

        amount: How long each of them lasts.

        label: What the run is called in tables and plots; None for the host's URL.

        seed: Of the arrivals in open loops.

        ceiling_seconds: How long this client's own ceiling is measured afterwards; 0 leaves it out.

        tell: Is called with what happens, as it happens. It runs between the parts of streams, so it must be quick.
    """
    if not loads:
        raise ValueError("no load: give at least one, such as ClosedLoop(1)")
    known = Host.of(host)
    name = label or known.url
    begun = _begun(known, workload, amount, name, seed)
    return asyncio.run(_run(known, begun, loads, ceiling_seconds, tell or (lambda _: None)))


def _begun(host: Host, workload: Workload, amount: Amount, label: str, seed: int) -> Run:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Run(label, host.url, None, workload, amount, seed, this_machine(), now, ())


async def _run(
    host: Host, begun: Run, loads: Sequence[Load], ceiling_seconds: float, tell: Callable[[Told], None]
) -> Run:
    stop = asyncio.Event()
    levels: list[Level] = []
    server: list[str] = []
    with _stopped_by_signals(stop):
        await until_stopped(_try_out(host, begun.workload, server.append), stop)
        for load in loads:
            if stop.is_set():
                break
            tell(Begun(begun.label, load))
            level = await measure_load(host, begun.workload, load, begun.amount, seed=begun.seed, stop=stop, tell=tell)
            if level.samples:
                levels.append(level)
                tell(level)
        found = await _ceiling_of(levels, ceiling_seconds, stop, lambda: tell(Begun(begun.label, None)))
    return replace(begun, server=next(iter(server), None), levels=tuple(levels), cut=stop.is_set(), ceiling=found)


async def _try_out(host: Host, workload: Workload, tell_version: Callable[[str], None]) -> None:
    """Ask for one token, so that what is wrong is raised before the load, and the model is there."""
    async with asking(unbounded(host), replace(workload, num_predict=1))(0) as stream:
        async for _ in stream:
            pass
    try:
        answer: Any = await aio.version(host)
        tell_version(answer["version"])
    except OllamaError:
        return  # a gateway may know nothing of this


async def _ceiling_of(
    levels: Sequence[Level], seconds: float, stop: asyncio.Event, tell: Callable[[], None]
) -> Ceiling | None:
    """Measure the ceiling with as many streams as were there at most."""
    if not seconds or not levels or stop.is_set():
        return None
    tell()
    streams = [
        level.load.workers if isinstance(level.load, ClosedLoop) else math.ceil(summarise_level(level).concurrency)
        for level in levels
    ]
    return await ceiling(max(1, *streams), seconds, stop=stop)


@contextmanager
def _stopped_by_signals(stop: asyncio.Event) -> Generator[None]:
    """Set *stop* at the first Ctrl-C or SIGTERM; what comes after is as it was before."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def as_before() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def end(_number: int, _frame: FrameType | None) -> None:
        as_before()
        loop.call_soon_threadsafe(stop.set)

    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        as_before()
