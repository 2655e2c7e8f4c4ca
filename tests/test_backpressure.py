"""A GiB, streamed through the public functions to a reader that sleeps: the server is held back, memory stays flat."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import pytest

from colours import Colour
from programs import program
from replay import Received, replay
from transports import CHUNKED, END, chunk

LINES: Final = 16_384
TEXT: Final = "x" * 65_500
LINE: Final = b'{"status":"pulling","pad":"%b"}\n' % TEXT.encode()

READER: Final = """
import ollama_fast
from ollama_fast import aio
from transports import resident

most = parts = 0

def look(part):
    global most, parts
    parts += 1
    if parts == 2:
        say("paused", resident() - before)
        sys.stdin.readline()
    if parts % 256 == 0:
        most = max(most, resident() - before)

def main():
    global before
    with ollama_fast.pull_stream(url, "m") as stream:
        next(stream)
        before = resident()
        for part in stream:
            look(part)
            if parts % 256 == 0: time.sleep(0.01)

async def main_too():
    global before
    async with aio.pull_stream(url, "m") as stream:
        await anext(stream)
        before = resident()
        async for part in stream:
            look(part)
            if parts % 256 == 0: await asyncio.sleep(0.01)
"""


@pytest.mark.timeout(600)
def test_a_reader_that_sleeps_holds_a_gibibyte_back(both: Colour) -> None:
    sent = 0

    def respond(_request: Received) -> Iterator[bytes]:
        nonlocal sent
        yield CHUNKED
        for _ in range(LINES // 16):
            yield chunk(LINE) * 16
            sent += 16 * len(LINE)
        yield chunk(b'{"status":"success"}\n') + END

    run = "asyncio.run(main_too())" if both.asynchronous else "main()"
    code = f"{READER}\n{run}\nsay(parts, most)"
    with replay(respond=respond) as server, program(code, server.url, develop=False) as running:
        word, grown = running.heard().split()
        held = -1
        while held != sent:  # until the buffers of both sockets are full
            held = sent
            time.sleep(0.3)
        assert word == "paused"
        assert int(grown) < 20 << 20
        assert held < 40 << 20, f"{held >> 20} MiB were sent while nobody read"
        running.say("go on")
        ended = running.end(500)
        assert (ended.code, ended.err) == (0, "")
        parts, most = map(int, ended.out.split())
    assert (parts, sent) == (LINES, LINES * len(LINE))
    assert most < 20 << 20, f"{most >> 20} MiB more memory"
