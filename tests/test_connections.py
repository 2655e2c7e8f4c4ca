"""What is promised of connections through a host: a bound, none left over, and none that the server has closed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpcore
import pytest

import ollama_fast
from colours import Colour
from ollama_fast import Host, Limits, aio
from ollama_fast._delegation import VARIABLE
from programs import program
from replay import HangUpError, Received, nobody_is_served, replay
from transports import Crowd, eventually

CALLS: Final = int(os.environ.get("CALLS", "2000" if os.environ.get(VARIABLE) == "httpx" else "10000"))
"""How many calls are made in a row; `make test-calls` makes 100,000, which over httpx takes minutes."""

VERSION: Final = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"version":"1"}'
LINE: Final = b'{"model":"m","created_at":"","response":"x","done":true}\n'
STREAM: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"%x\r\n%b\r\n0\r\n\r\n" % (len(LINE), LINE)
)


def answer(received: Received) -> bytes:
    return VERSION if received.path == "/api/version" else STREAM


def test_no_more_connections_than_the_limit(both: Colour) -> None:
    crowd = Crowd(4)
    with replay(respond=lambda received: crowd.serve(answer(received))) as server:
        # No expiry: on a busy machine an idle connection would be replaced, and count.
        host = Host(server.url, limits=Limits(max_connections=4, keepalive_expiry=None))

        def call(number: int) -> Any:
            return list(ollama_fast.generate_stream(host, "m")) if number % 2 else ollama_fast.version(host)

        async def call_too(number: int) -> Any:
            return [part async for part in aio.generate_stream(host, "m")] if number % 2 else await aio.version(host)

        async def all_at_once() -> list[Any]:
            return await asyncio.gather(*map(call_too, range(200)))

        if both.asynchronous:
            answers = asyncio.run(all_at_once())
        else:
            with ThreadPoolExecutor(40) as threads:
                answers = list(threads.map(call, range(200)))
        assert len(answers) == 200
        assert all(answers)
        assert (server.connections, crowd.most) == (4, 4)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_kept_connection_that_the_server_closed_is_replaced(both: Colour, *, reset: bool) -> None:
    def respond(received: Received) -> Iterable[bytes]:
        yield answer(received)
        raise HangUpError(reset=reset)

    def closed() -> None:
        eventually(nobody_is_served)

    async def run(url: str) -> None:
        for _ in range(4):
            assert await aio.version(url) == {"version": "1"}
            await asyncio.to_thread(closed)
            assert len([part async for part in aio.generate_stream(url, "m")]) == 1
            await asyncio.to_thread(closed)

    with replay(respond=respond) as server:
        if both.asynchronous:
            asyncio.run(run(server.url))
        else:
            for _ in range(4):
                assert ollama_fast.version(server.url) == {"version": "1"}
                closed()
                assert len(list(ollama_fast.generate_stream(server.url, "m"))) == 1
                closed()
        assert (server.connections, len(server.requests)) == (8, 8)


def test_a_connection_whose_end_was_that_of_a_body_takes_no_request(
    both: Colour, over: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # httpcore keeps such a connection. It looks before it uses one, but misses what another thread keeps just then.
    for kind in (httpcore.HTTP11Connection, httpcore.AsyncHTTP11Connection):
        monkeypatch.setattr(kind, "has_expired", lambda _self: False)

    def respond(_received: Received) -> Iterable[bytes]:
        yield b"HTTP/1.1 200 OK\r\n\r\n" + LINE
        raise HangUpError

    async def run(url: str) -> None:
        for _ in range(3):
            assert len([part async for part in aio.generate_stream(url, "m")]) == 1

    with replay(respond=respond) as server:
        if both.asynchronous:
            asyncio.run(run(server.url))
        else:
            for _ in range(3):
                assert len(list(ollama_fast.generate_stream(server.url, "m"))) == 1
        assert len(server.requests) == 3, over


MANY: Final = """
import ollama_fast
from ollama_fast import aio
from transports import open_files, resident

def look():
    gc.collect()
    return len(open_files()), threading.active_count(), resident()

def call(turn):
    stream = ollama_fast.chat_stream(url, "short", [])
    for part in stream:
        if turn % 100 == 0:
            stream.close()
            break

async def call_too(turn):
    stream = aio.chat_stream(url, "short", [])
    async for part in stream:
        if turn % 100 == 0:
            await stream.aclose()
            break

def main(calls):
    for turn in range(calls):
        call(turn)
        if turn == calls // 10 + 1:  # one that is not left early, as the last
            before = look()
    return before, look(), 0

async def main_too(calls):
    for turn in range(calls):
        await call_too(turn)
        if turn == calls // 10 + 1:  # one that is not left early, as the last
            before = look()
    return before, look(), len(asyncio.all_tasks()) - 1

def judge(before, after, tasks):
    assert after[0] <= before[0], (before, after)
    assert (after[1], tasks) == (before[1], 0), (before, after, tasks)
    assert after[2] - before[2] < 4 << 20, (before, after)
    say("flat")
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="/proc is Linux's")
@pytest.mark.timeout(100 + CALLS / 50)
def test_many_calls_leave_nothing(both: Colour) -> None:
    """Files, threads, tasks and memory are after all calls what they were after a tenth of them."""
    run = f"judge(*asyncio.run(main_too({CALLS})))" if both.asynchronous else f"judge(*main({CALLS}))"
    with subprocess.Popen(
        [sys.executable, "-m", "benches.line_server", "2"],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        with program(f"{MANY}\n{run}", url, develop=False) as running:
            ended = running.end(100 + CALLS / 100)
        server.communicate()  # which closes its standard input, and so ends it
    assert (ended.code, ended.out, ended.err) == (0, "flat\n", "")
