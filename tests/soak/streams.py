"""One stream as its plan says, in each colour: what was seen of it."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import ollama_fast
from ollama_fast import Host, Timeout, aio

from .plan import Plan, Seen

_PATIENT = Timeout(connect=60, first_part=60, idle=60)
"""Longer than a busy machine takes: one that runs out is a stream that hangs."""
_IMPATIENT = Timeout(connect=60, first_part=60, idle=0.3)


def host_for(host: Host, plan: Plan) -> Host:
    """Give *host* with the limits of the plan."""
    return host.with_options(timeout=_IMPATIENT if plan.fault == "silence" else _PATIENT)


# --- tasks -----------------------------------------------------------------------------------------------------------


async def in_task(host: Host, plan: Plan) -> Seen:
    """Read a stream, and leave it as its plan says."""
    seen, stream = Seen(plan), aio.generate_stream(host_for(host, plan), str(plan.number))
    reading = _read(stream, seen)
    del stream  # so that it is dropped where the plan leaves it so
    match plan.leave:
        case "cancel":
            task = asyncio.create_task(reading)
            await asyncio.sleep(plan.leave_after)
            task.cancel()
            await _outcome(task, seen)
        case "timeout":
            await _outcome(_within(plan.leave_after, reading), seen)
        case _:
            await _outcome(reading, seen)
    return seen


async def closed_from_elsewhere(host: Host, plan: Plan) -> Seen:
    """Read a stream in a task, and close it from another one."""
    seen, stream = Seen(plan), aio.generate_stream(host_for(host, plan), str(plan.number))
    task = asyncio.create_task(_read(stream, seen))
    await asyncio.sleep(plan.leave_after)
    await stream.aclose()
    await _outcome(task, seen)
    return seen


async def _within(seconds: float, reading: Any) -> None:
    async with asyncio.timeout(seconds):
        await reading


async def _outcome(reading: Any, seen: Seen) -> None:
    try:
        await reading
    except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - the plan says which
        seen.ended_by = exc.with_traceback(None)


async def _read(stream: Any, seen: Seen) -> None:
    plan = seen.plan
    try:
        if plan.leave == "with":
            async with stream:
                await _loop(stream, seen)
        else:
            await _loop(stream, seen)
    finally:
        seen.partial = stream.partial


async def _loop(stream: Any, seen: Seen) -> None:
    linger = seen.plan.linger
    async for part in stream:
        if seen.part(part):
            break
        if linger:
            await asyncio.sleep(linger)


# --- threads ---------------------------------------------------------------------------------------------------------


def in_thread(host: Host, plan: Plan) -> Seen:
    """Read a stream, and leave it as its plan says; another thread closes it where that is the plan."""
    seen, stream = Seen(plan), ollama_fast.generate_stream(host_for(host, plan), str(plan.number))
    closer = threading.Timer(plan.leave_after, stream.close) if plan.leave == "close" else None
    if closer is not None:
        closer.start()
    try:
        if plan.leave == "with":
            with stream:
                _loop_in_thread(stream, seen)
        else:
            _loop_in_thread(stream, seen)
    except Exception as exc:  # noqa: BLE001 - the plan says which
        seen.ended_by = exc.with_traceback(None)
    finally:
        if closer is not None:
            closer.join()
    seen.partial = stream.partial
    return seen


def _loop_in_thread(stream: Any, seen: Seen) -> None:
    linger = seen.plan.linger
    for part in stream:
        if seen.part(part):
            break
        if linger:
            time.sleep(linger)
