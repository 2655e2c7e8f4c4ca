"""Nothing piles up for a reader that is slow, and one that is fast leaves others their turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from replay import Received, replay
from transports import CHUNKED, END, KINDS, LOOPS, READERS, Kind, Opened, Reader, Session, chunk, request, resident

pytestmark = pytest.mark.fast

kinds = pytest.mark.parametrize("kind", KINDS, ids=str)
loops = pytest.mark.parametrize("kind", LOOPS, ids=str)


@kinds
@pytest.mark.parametrize("reader", ["parts", "raw"])
def test_a_slow_reader_holds_the_server_back(kind: Kind, reader: str) -> None:
    total, block = 256, chunk(b'{"text":"' + b"x" * ((1 << 20) - 12) + b'"}\n')
    sent: list[int] = []

    def respond(_request: Received) -> Iterator[bytes]:
        yield CHUNKED
        for number in range(total):
            yield block
            sent.append(number)
        yield END

    with replay(respond=respond) as server, kind.session() as session:
        opened = session.open(request(server.url))
        opened.next()
        before = resident()
        session.run(asyncio.sleep(0.3)) if kind.factory else time.sleep(0.3)
        assert len(sent) < 40, f"{len(sent)} MiB were sent while nobody read"
        assert resident() - before < 20 << 20
        most = 0
        if kind.factory is None:
            for turn, _ in enumerate(opened.reply if reader == "parts" else opened.response.iter_raw()):
                if turn % 64 == 0:
                    most = max(most, resident() - before)
        else:

            async def read() -> int:
                most = turn = 0
                async for _ in opened.reply if reader == "parts" else opened.response.aiter_raw():
                    turn += 1
                    if turn % 64 == 0:
                        most = max(most, resident() - before)
                        await asyncio.sleep(0.001)
                return most

            most = session.run(read())
        assert most < 20 << 20, f"{most >> 20} MiB more memory"
        assert len(sent) == total
        opened.close()


@loops
def test_others_run_while_bytes_are_always_there(kind: Kind) -> None:
    """A reader that never has to wait lets other tasks run, and its own limit strike, all the same."""
    block = chunk(b'{"n":1,"text":"' + b"x" * 60_000 + b'"}\n') * 16

    async def main(session: Session, url: str, reader: Reader) -> int:
        opened = Opened(session, await session.transport.handle_async_request(request(url)))
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticker = asyncio.ensure_future(tick())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(opened.read_async(reader, [], []), 0.2)
        ticker.cancel()
        await opened.response.aclose()
        return ticks

    def respond(_request: Received) -> Iterator[bytes | float]:
        yield CHUNKED
        yield from [block] * 200
        yield 30.0

    for reader in READERS:
        with replay(respond=respond) as server, kind.session() as session:
            began = time.monotonic()
            ticks = session.run(main(session, server.url, reader))
            passed = time.monotonic() - began
            assert ticks > 4, f"{reader}: {ticks} turns of the loop in {passed} s"


@loops
def test_a_cancelled_read_of_the_whole_is_not_read_ahead(kind: Kind) -> None:
    block = b"x" * (1 << 20)

    async def main(session: Session, url: str) -> int:
        response = await session.transport.handle_async_request(request(url))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(response.extensions["ndjson"].read(), 0.005)
        before = resident()
        await asyncio.sleep(0.3)
        grown = resident() - before
        await response.aclose()
        return grown

    with (
        replay(respond=lambda _: [b"HTTP/1.1 200 OK\r\n\r\n", *[block] * 300]) as server,
        kind.session() as session,
    ):
        assert session.run(main(session, server.url)) < 20 << 20
