"""What this client can do at most, measured by the code that measures servers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final
from urllib.request import ProxyHandler, build_opener

from ollama_fast import Host, aio

from ._aggregate import summarise_level
from ._loops import measure_load, unbounded
from ._values import Amount, Ceiling, ClosedLoop, Prompt, Workload

_PARTS: Final = 200
"""Of a stream, without its last one."""
_MODULE: Final = "ollama_fast.bench._fast_server"
_WORKLOAD: Final = Workload("replay", (Prompt("Hi!"),), num_predict=None)


async def ceiling(streams: int, seconds: float, *, stop: asyncio.Event | None = None) -> Ceiling | None:
    """
    Measure the ceiling of this process on the running event loop.

    Args:
        streams: How many are read at once.

        seconds: How long.

        stop: When it is set, there is no ceiling: None.
    """
    async with _fast_server() as url:
        before = await asyncio.to_thread(_processor_time, url)
        level = await measure_load(
            url, _WORKLOAD, ClosedLoop(streams), Amount(requests=None, seconds=seconds), stop=stop
        )
        server_cpu = await asyncio.to_thread(_processor_time, url) - before
        await aio.close(unbounded(Host(url)))
    summary = summarise_level(level)
    if level.cut or not summary.done:
        return None
    return Ceiling(
        streams=streams,
        tokens_per_second=summary.output_rate,
        requests_per_second=summary.request_rate,
        seconds=level.client_seconds,
        client_cpu=level.client_cpu / level.client_seconds,
        server_cpu=server_cpu / level.client_seconds,
    )


def self_test(streams: int = 8, seconds: float = 2) -> Ceiling:
    """
    Measure how many tokens a second this client reads on this machine, from a server in a process of its own.

    Args:
        streams: How many are read at once.

        seconds: How long.
    """
    found = asyncio.run(ceiling(streams, seconds))
    if found is None:
        raise RuntimeError(f"no stream of the self-test ended within {seconds:g} s: give it more")
    return found


@asynccontextmanager
async def _fast_server() -> AsyncGenerator[str]:
    pipe = subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", _MODULE, str(_PARTS), stdin=pipe, stdout=pipe)
    assert process.stdin is not None  # noqa: S101 - for type checkers: it is a pipe
    assert process.stdout is not None  # noqa: S101 - the same
    try:
        port = await process.stdout.readline()
        if not port:
            raise RuntimeError(f"the server of the self-test ended with {await process.wait()}; see above")
        yield f"http://127.0.0.1:{int(port)}"
    finally:
        process.stdin.close()
        await process.wait()


def _processor_time(url: str) -> float:
    with build_opener(ProxyHandler({})).open(url, timeout=30) as response:
        return float(response.read())
