"""Every wait has its limit, as one of httpx's classes; a wait that is over frees its connection, and no other."""

from __future__ import annotations

import asyncio
import math
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

import httpx
import pytest

from ollama_fast import _core
from ollama_fast._readiness import watches
from peers import Peer, deaf_listener, full_listener, served
from replay import Received, replay
from transports import (
    CHUNKED,
    END,
    GENEROUS,
    KINDS,
    LOOPS,
    OK,
    READERS,
    Kind,
    Session,
    line,
    request,
    says,
    within,
)

pytestmark = pytest.mark.fast

kinds = pytest.mark.parametrize("kind", KINDS, ids=str)
loops = pytest.mark.parametrize("kind", LOOPS, ids=str)
SHORT: Final = 0.15


def took(session: Session, request: httpx.Request, error: type[Exception], least: float = SHORT) -> None:
    """Expect *error* after *least*, and that nothing stays open."""
    began = time.monotonic()
    seen = session.send(request)
    passed = time.monotonic() - began
    assert type(seen.error) is error, seen
    assert least * 0.9 <= passed < least * 10 + 1, f"{error.__name__} came after {passed} s"
    assert session.counts() == (0, 0)


@kinds
def test_connect(kind: Kind) -> None:
    with full_listener() as port, kind.session() as session, replay(respond=lambda _: says(OK)) as server:
        limits = httpx.Timeout(None, connect=SHORT)
        took(session, request(f"http://127.0.0.1:{port}/", timeout=limits), httpx.ConnectTimeout)
        assert session.get(server.url).parts == [{}]


@kinds
def test_a_connection_that_takes_long_is_waited_for_without_a_limit(kind: Kind) -> None:
    with kind.session() as session:
        with full_listener() as port:
            ended = threading.Event()

            def attempt() -> None:
                session.send(request(f"http://127.0.0.1:{port}/", timeout=httpx.Timeout(None, read=0.01)))
                ended.set()

            thread = threading.Thread(target=attempt)
            thread.start()
            assert not ended.wait(SHORT * 2)
        thread.join(20)  # the listener is gone, so that the next attempt of the system is refused
        assert ended.is_set()
        assert session.counts() == (0, 0)


@kinds
def test_read_of_the_head_and_of_the_body(kind: Kind) -> None:
    def respond(received: Received) -> Iterable[bytes | float]:
        if received.path == "/head":
            yield 30.0
        yield from says(CHUNKED, line(1), 30.0)

    with replay(respond=respond) as server, kind.session() as session:
        limits = httpx.Timeout(None, read=SHORT)
        took(session, request(f"{server.url}/head", timeout=limits), httpx.ReadTimeout)
        took(session, request(f"{server.url}/body", timeout=limits), httpx.ReadTimeout)
        for reader in READERS:
            seen = session.send(request(f"{server.url}/body", timeout=limits), reader)
            assert type(seen.error) is httpx.ReadTimeout, reader
            if reader in {"parts", "batches"}:
                assert seen.parts == [{"n": 1}]


@kinds
def test_each_read_has_its_own_time(kind: Kind) -> None:
    def respond(_request: Received) -> Iterable[bytes | float]:
        yield CHUNKED
        for number in range(5):
            yield SHORT / 2
            yield line(number)
        yield END

    with replay(respond=respond) as server, kind.session() as session:
        for reader in ("parts", "whole"):
            assert session.get(server.url, reader, timeout=SHORT * 2).error is None, reader


@kinds
def test_write(kind: Kind) -> None:
    def pieces() -> Iterator[bytes]:
        while True:
            yield b"x" * (1 << 20)

    async def pieces_async() -> Any:
        for each in pieces():
            yield each

    limits = httpx.Timeout(None, write=SHORT)
    with kind.session() as session:
        for content in (b"x" * (64 << 20), pieces_async() if kind.factory else pieces()):
            with deaf_listener() as url:
                took(session, request(url, "POST", content=content, timeout=limits), httpx.WriteTimeout)


@kinds
def test_pool(kind: Kind) -> None:
    with (
        replay(respond=lambda _: says(CHUNKED, line(1), 0.4, END)) as server,
        kind.session(limits=httpx.Limits(max_connections=1)) as session,
    ):
        holder = session.open(request(server.url))
        began = time.monotonic()
        for _ in range(2):
            seen = session.send(request(server.url, timeout=httpx.Timeout(None, pool=SHORT)))
            assert type(seen.error) is httpx.PoolTimeout
        assert SHORT * 1.8 < time.monotonic() - began < SHORT * 20
        assert holder.read("parts").parts == [{"n": 1}]
        assert session.get(server.url).parts == [{"n": 1}]
        assert server.connections == 1


@kinds
def test_a_limit_changed_after_the_head_counts(kind: Kind) -> None:
    with replay(respond=lambda _: says(CHUNKED, line(1), 0.3, line(2), 30.0)) as server, kind.session() as session:
        made = request(server.url, timeout=SHORT)
        opened = session.open(made)
        assert opened.next() == {"n": 1}
        made.extensions["timeout"]["read"] = 20
        assert opened.next() == {"n": 2}
        made.extensions["timeout"]["read"] = SHORT
        with pytest.raises(httpx.ReadTimeout):
            opened.next()
        with pytest.raises(httpx.ReadTimeout):  # and remains so
            opened.next()
        opened.close()


@kinds
def test_no_limit_waits(kind: Kind) -> None:
    with replay(respond=lambda _: says(0.1, CHUNKED, 0.1, line(1), 0.1, END)) as server, kind.session() as session:
        made = request(server.url)
        made.extensions = {}
        assert session.send(made).parts == [{"n": 1}]
        assert session.get(server.url, timeout=None).parts == [{"n": 1}]


@kinds
@pytest.mark.parametrize(
    "limit",
    [
        math.inf,
        1e12,
        4_294_968,  # 704 ms, if it is cut off at 32 bits of milliseconds
        sys.maxsize,
        1e19,
    ],
)
def test_the_largest_limits(kind: Kind, limit: float) -> None:
    with (
        replay(respond=lambda _: says(0.01, OK)) as server,
        kind.session(limits=httpx.Limits(max_connections=1)) as session,
    ):
        made = request(server.url)
        made.extensions["timeout"] = dict.fromkeys(["connect", "read", "write", "pool"], limit)
        assert session.send(made).parts == [{}]


@kinds
def test_zero_and_less_are_at_once(kind: Kind) -> None:
    with replay(respond=lambda _: says(0.2, OK)) as server, kind.session() as session:
        for limit in (0, -1, 1e-9):
            seen = session.send(request(server.url, timeout=httpx.Timeout(GENEROUS, read=limit)))
            assert type(seen.error) is httpx.ReadTimeout, limit


@kinds
def test_the_read_limit_holds_while_an_upload_is_unfinished(kind: Kind) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x" * 10

    with deaf_listener(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n") as url, kind.session() as session:
        content = b"x" * (64 << 20) if kind.factory else pieces()
        opened = session.open(request(url, "POST", content=content, timeout=SHORT))

        async def read() -> None:
            await asyncio.wait_for(opened.response.aread(), 2)  # pytest.raises would take its TimeoutError for ours

        with pytest.raises(httpx.ReadTimeout):
            session.run(read()) if kind.factory else opened.response.read()
        opened.close()


@loops
def test_no_time_runs_while_nobody_waits(kind: Kind) -> None:
    async def main(session: Session, url: str) -> list[Any]:
        response = await session.transport.handle_async_request(request(url, timeout=SHORT * 2))
        lines = response.extensions["ndjson"]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(lines), SHORT)
        await asyncio.sleep(SHORT * 3)
        return [part async for part in lines]

    with replay(respond=lambda _: says(CHUNKED, SHORT * 3, line(1), END)) as server, kind.session() as session:
        assert session.run(main(session, server.url)) == [{"n": 1}]


def test_timers_do_not_pile_up() -> None:
    async def main(session: Session, url: str) -> int:
        stream = await session.transport.handle_async_request(request(f"{url}/stream", timeout=60))
        waiting = asyncio.ensure_future(within(stream.extensions["ndjson"].ready()))
        for _ in range(20):
            response = await session.transport.handle_async_request(request(url, timeout=0.5))
            await response.aread()
            await asyncio.sleep(0.04)
        loop: Any = asyncio.get_running_loop()
        timers = [timer for timer in loop._scheduled if not timer.cancelled()]
        waiting.cancel()
        await stream.aclose()
        return len(timers)

    def respond(received: Received) -> Iterable[bytes | float]:
        if received.path == "/stream":
            yield from says(CHUNKED, 30.0)
        yield from says(0.001, OK)

    with replay(respond=respond) as server, LOOPS[0].session() as session:
        assert session.run(main(session, server.url)) < 6


@loops
def test_each_address_has_its_share_of_the_time(kind: Kind) -> None:
    async def main(addresses: list[tuple[str, int]]) -> tuple[int, tuple[int, int]]:
        watch = await watches.on(asyncio.get_running_loop())
        pool = _core.AsyncPool(watch.set, 1, 1, None)
        limits = {"read": 20.0, "write": 20.0, "pool": None}
        reply = pool.send("name", 1, addresses, b"GET", b"/", [(b"host", b"name")], b"", limits, False, None, SHORT * 2)
        assert reply is not None
        await reply.head()
        await reply.read()
        return reply.status, pool.counts()

    with full_listener() as port, replay(respond=lambda _: says(OK)) as server, kind.session() as session:
        good = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        assert session.run(main([("127.0.0.1", port), good])) == (200, (1, 1))
        with pytest.raises(httpx.ConnectTimeout):
            session.run(main([("127.0.0.1", port), ("127.0.0.1", port)]))


def test_each_address_has_its_share_of_the_time_when_blocking() -> None:
    with full_listener() as port, replay(respond=lambda _: says(OK)) as server:
        good = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        pool = _core.Pool(1, 1, None)
        limits = {"connect": SHORT * 2, "read": 20.0, "write": 20.0, "pool": None}
        found: list[tuple[str, int]] = [("127.0.0.1", port), good]

        def send() -> _core.Reply:
            return pool.send("name", 1, lambda _host, _port: found, b"GET", b"/", [(b"host", b"name")], b"", limits)

        assert send().read() == b"{}"
        pool.close()
        found[1] = found[0]
        with pytest.raises(httpx.ConnectTimeout):
            send()
        assert pool.counts() == (0, 0)


@kinds
def test_a_slow_upload_that_moves_is_in_time(kind: Kind) -> None:
    """Each write has its own time, and that of the read begins when all is sent."""

    def slow(peer: Peer) -> None:
        peer.hear()
        for _ in range(8):
            time.sleep(SHORT / 2)
            peer.swallow(1 << 20)
        peer.swallow(23 << 20)
        peer.say(OK)

    with served(slow) as (url, _), kind.session() as session:
        made = request(url, "POST", content=b"x" * (32 << 20), timeout=SHORT * 2)
        assert session.send(made).parts == [{}]
