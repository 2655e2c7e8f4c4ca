"""The loops that load a server: closed, in which workers wait for their answers, and open, in which requests arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from time import perf_counter, process_time
from typing import Any, Final

from ollama_fast import Host

from ._arrivals import arrivals
from ._measuring import Ask, asking, measured
from ._values import Amount, ClosedLoop, Level, Load, OpenLoop, Sample, Workload

_AFTER_FAILURE: Final = 0.1
"""Seconds that a worker waits after a failure, so that a server which refuses is not hammered without end."""


async def measure_load(
    host: Host | str | None,
    /,
    workload: Workload,
    load: Load,
    amount: Amount,
    *,
    seed: int = 0,
    stop: asyncio.Event | None = None,
    tell: Callable[[Sample], None] | None = None,
) -> Level:
    """
    Load a host on the running event loop, and give what was measured.

    Args:
        host: A Host, its URL, or None for what OLLAMA_HOST says. Nothing is tried again, and its connections have no
            bound.

        workload: What is asked.

        load: How it is loaded.

        amount: How long.

        seed: Of the arrivals of an open loop.

        stop: When it is set, the load ends, and what is underway is "cut".

        tell: Is called with each Sample as its request ends. It runs between the parts of others, so it must be quick.

    Errors of the server are in the samples, and not raised.
    """
    ask = asking(unbounded(Host.of(host)), workload)
    await _warm_up(ask, workload, load, amount, stop)
    samples: list[Sample] = []

    def keep(sample: Sample) -> None:
        samples.append(sample)
        if tell is not None:
            tell(sample)

    began_at, cpu, origin = datetime.now(UTC).isoformat(timespec="milliseconds"), process_time(), perf_counter()
    if isinstance(load, ClosedLoop):
        loading = _closed(ask, workload, load, amount, origin, keep)
    else:
        loading = _open(ask, workload, load, amount, origin, seed, keep)
    cut = await until_stopped(loading, stop)
    return Level(
        load=load,
        began_at=began_at,
        samples=tuple(sorted(samples, key=lambda sample: sample.sent)),
        client_seconds=perf_counter() - origin,
        client_cpu=process_time() - cpu,
        cut=cut,
    )


def unbounded(host: Host) -> Host:
    """Give *host* as a benchmark needs it: every failure is seen, and no request waits for a connection."""
    limits = replace(host.limits, max_connections=None, max_keepalive_connections=None)
    return host.with_options(retry=None, limits=limits)


async def _warm_up(ask: Ask, workload: Workload, load: Load, amount: Amount, stop: asyncio.Event | None) -> None:
    count = amount.warm_up
    if count is None:
        count = _workers(load, amount) if isinstance(load, ClosedLoop) else 1
    if count:
        warm, at_once = Amount(count), load.workers if isinstance(load, ClosedLoop) else count
        loading = _closed(ask, workload, ClosedLoop(at_once), warm, perf_counter(), lambda _: None)
        await until_stopped(loading, stop)


async def _closed(
    ask: Ask, workload: Workload, load: ClosedLoop, amount: Amount, origin: float, keep: Callable[[Sample], None]
) -> None:
    sent = 0

    def take() -> tuple[int, float] | None:
        """Give the prompt of the next request, and the moment of which it was decided; None if there is to be none."""
        nonlocal sent
        now = perf_counter() - origin
        if sent == amount.requests or _is_over(amount, now):
            return None
        sent += 1
        return (sent - 1) % len(workload.prompts), now

    async def work(worker: int) -> None:
        while (taken := take()) is not None:
            prompt, now = taken
            sample = await measured(ask, prompt, origin, now, keep, worker=worker)
            if sample.outcome == "failed":
                await asyncio.sleep(_AFTER_FAILURE)

    async with asyncio.TaskGroup() as group:
        for worker in range(_workers(load, amount)):
            group.create_task(work(worker))


def _workers(load: ClosedLoop, amount: Amount) -> int:
    """Give how many workers there is something to do for."""
    return load.workers if amount.requests is None else min(load.workers, amount.requests)


async def _open(
    ask: Ask,
    workload: Workload,
    load: OpenLoop,
    amount: Amount,
    origin: float,
    seed: int,
    keep: Callable[[Sample], None],
) -> None:
    begin = partial(measured, ask, origin=origin, keep=keep)
    async with asyncio.TaskGroup() as group:
        for number, intended in enumerate(arrivals(load.rate, seed)):
            if number == amount.requests or _is_over(amount, intended):
                break
            # Not measured from when this wakes up, nor from when an earlier answer is there: from when it should be.
            await asyncio.sleep(max(0.0, origin + intended - perf_counter()))
            group.create_task(begin(number % len(workload.prompts), intended=intended))


def _is_over(amount: Amount, seconds: float) -> bool:
    return amount.seconds is not None and seconds >= amount.seconds


async def until_stopped(loading: Coroutine[Any, Any, None], stop: asyncio.Event | None) -> bool:
    """Run a load until it ends, or until *stop* is set; and give whether it was."""
    load = asyncio.create_task(loading)
    stopping = asyncio.create_task((stop or asyncio.Event()).wait())
    try:
        await asyncio.wait({load, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if load.done():
            load.result()
            return False
        return True
    finally:
        for task in (load, stopping):
            task.cancel()
        await asyncio.gather(load, stopping, return_exceptions=True)
