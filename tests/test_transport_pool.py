"""Connections are used again, within their limits and in turn; one that died is replaced where that does no harm."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from ollama_fast import _core
from ollama_fast._async_transport import _stand_in_line
from ollama_fast._readiness import watches
from peers import Peer, full_listener, served
from replay import HangUpError, Received, replay
from transports import (
    CHUNKED,
    END,
    GENEROUS,
    KINDS,
    LOOPS,
    OK,
    Crowd,
    Kind,
    Session,
    eventually,
    line,
    request,
    says,
    within,
)

pytestmark = pytest.mark.fast

kinds = pytest.mark.parametrize("kind", KINDS, ids=str)
loops = pytest.mark.parametrize("kind", LOOPS, ids=str)


@kinds
def test_connections_are_used_again(kind: Kind) -> None:
    with replay(respond=lambda _: says(OK)) as server, kind.session() as session:
        for _ in range(20):
            assert session.get(server.url).parts == [{}]
            assert session.counts() == (1, 1)
        assert server.connections == 1
        session.transport.close() if kind.factory is None else session.run(session.transport.aclose())
        assert session.counts() == (0, 0)
        assert session.get(server.url).parts == [{}]  # a closed transport opens again
        assert server.connections == 2


@kinds
@pytest.mark.parametrize(
    ("wire", "headers"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", {}),
        (b"HTTP/1.1 200 OK\r\nConnection: a, Close\r\nContent-Length: 2\r\n\r\n{}", {}),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", {}),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", {}),
        (OK, {"Connection": "close"}),
    ],
)
def test_connections_that_are_not(kind: Kind, wire: bytes, headers: dict[str, str]) -> None:
    with replay(respond=lambda _: says(wire)) as server, kind.session() as session:
        for _ in range(2):
            assert session.send(request(server.url, headers=headers)).parts == [{}]
            assert session.counts() == (0, 0)
        assert server.connections == 2


@kinds
def test_the_old_protocol_may_keep_alive(kind: Kind) -> None:
    wire = b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\n{}"
    with replay(respond=lambda _: says(wire)) as server, kind.session() as session:
        for _ in range(2):
            assert session.get(server.url).parts == [{}]
        assert server.connections == 1


@kinds
@pytest.mark.parametrize("keep", [0, 1, 2, None])
def test_idle_connections_are_bounded(kind: Kind, keep: int | None) -> None:
    limits = httpx.Limits(max_keepalive_connections=keep)
    with replay(respond=lambda _: says(CHUNKED, line(1), 0.1, END)) as server, kind.session(limits=limits) as session:
        opened = [session.open(request(server.url)) for _ in range(4)]
        for each in opened:
            assert each.read("parts").parts == [{"n": 1}]
        kept = 4 if keep is None else keep
        assert session.counts() == (kept, kept)


@kinds
def test_idle_connections_expire(kind: Kind) -> None:
    limits = httpx.Limits(keepalive_expiry=0.1)
    with replay(respond=lambda _: says(OK)) as server, kind.session(limits=limits) as session:
        for _ in range(2):
            session.get(server.url)
        assert server.connections == 1
        time.sleep(0.15)
        session.get(server.url)
        assert server.connections == 2
        assert session.counts() == (1, 1)


@kinds
def test_an_idle_connection_elsewhere_gives_way(kind: Kind) -> None:
    limits = httpx.Limits(max_connections=1)
    with (
        replay(respond=lambda _: says(OK)) as one,
        replay(respond=lambda _: says(OK)) as other,
        kind.session(limits=limits) as session,
    ):
        for server in (one, other, one):
            assert session.get(server.url).parts == [{}]
            assert session.counts() == (1, 1)
        assert (one.connections, other.connections) == (2, 1)


@kinds
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("reset", [False, True])
def test_an_idle_connection_that_the_server_closed_is_replaced(kind: Kind, method: str, reset: bool) -> None:
    def respond(_request: Received) -> Iterable[bytes]:
        yield OK
        raise HangUpError(reset=reset)

    with replay(respond=respond) as server, kind.session() as session:
        for count in range(5):
            assert session.send(request(server.url, method)).parts == [{}]
            assert server.connections == count + 1
            time.sleep(0.01)


@kinds
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"])
def test_a_request_that_was_taken_but_not_answered(kind: Kind, method: str) -> None:
    """Sent again only if it changes nothing; a new connection that dies is never the reason to send again."""

    def first(peer: Peer) -> None:
        peer.hear()
        peer.say(OK)
        peer.hear()  # and hang up

    def second(peer: Peer) -> None:
        peer.hear()
        if method != "HEAD":
            peer.say(OK)
        else:
            peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")

    with served(first, second) as (url, heard), kind.session() as session:
        assert session.get(url).parts == [{}]
        seen = session.send(request(url, method))
        if method in {"GET", "HEAD", "OPTIONS"}:
            assert (seen.status, seen.error) == (200, None)
            assert heard == [(0, "GET"), (0, method), (1, method)]
        else:
            assert type(seen.error) is httpx.RemoteProtocolError
            assert heard == [(0, "GET"), (0, method)]


@kinds
def test_an_answer_that_began_is_not_asked_for_again(kind: Kind) -> None:
    def first(peer: Peer) -> None:
        peer.hear()
        peer.say(OK)
        peer.hear()
        peer.say(b"HTTP/1.1 2")

    def second(peer: Peer) -> None:
        peer.hear()

    with served(first, second) as (url, heard), kind.session() as session:
        assert session.get(url).parts == [{}]
        assert type(session.get(url).error) is httpx.RemoteProtocolError
        assert heard == [(0, "GET"), (0, "GET")]


@kinds
def test_a_new_connection_that_dies_is_not_tried_again(kind: Kind) -> None:
    def die(peer: Peer) -> None:
        peer.hear()

    with served(die, die) as (url, heard), kind.session() as session:
        assert type(session.get(url).error) is httpx.RemoteProtocolError
        assert heard == [(0, "GET")]


@kinds
def test_a_response_that_is_closed_early_closes_its_connection(kind: Kind) -> None:
    with replay(respond=lambda _: says(CHUNKED, line(1), 30.0)) as server, kind.session() as session:
        for _ in range(3):
            opened = session.open(request(server.url))
            assert opened.next() == {"n": 1}
            assert session.counts() == (1, 0)
            opened.close()
            opened.close()
            assert session.counts() == (0, 0)
            with pytest.raises(httpx.ReadError):
                opened.next()
        eventually(lambda: len(server.abandoned) == 3)


@loops
def test_many_tasks_within_a_limit(kind: Kind) -> None:
    crowd = Crowd(3)

    async def main(session: Session, url: str) -> list[bytes]:
        async def one() -> bytes:
            response = await session.transport.handle_async_request(request(url))
            content: bytes = await response.aread()
            return content

        return await asyncio.gather(*(one() for _ in range(60)))

    limits = httpx.Limits(max_connections=3)
    with replay(respond=lambda _: crowd.serve(OK)) as server, kind.session(limits=limits) as session:
        assert session.run(main(session, server.url)) == [b"{}"] * 60
        assert session.counts() == (3, 3)
        assert (server.connections, crowd.most) == (3, 3)


def test_many_threads_within_a_limit() -> None:
    limits = httpx.Limits(max_connections=3)
    crowd = Crowd(3)
    with replay(respond=lambda _: crowd.serve(OK)) as server, KINDS[0].session(limits=limits) as session:
        seen: list[Any] = []

        def work() -> None:
            for _ in range(10):
                seen.append(session.get(server.url).parts)  # noqa: PERF401 - one by one, from many threads

        threads = [threading.Thread(target=work) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(GENEROUS)
        assert seen == [[{}]] * 120
        assert session.counts() == (3, 3)
        assert (server.connections, crowd.most) == (3, 3)


@loops
def test_waiting_tasks_are_served_in_turn(kind: Kind) -> None:
    async def main(session: Session, url: str) -> list[int]:
        order: list[int] = []

        async def one(number: int) -> None:
            response = await session.transport.handle_async_request(request(url))
            await response.aread()
            order.append(number)

        holder = await session.transport.handle_async_request(request(url))
        tasks: list[Any] = []
        for number in range(20):
            tasks.append(asyncio.ensure_future(one(number)))
            await asyncio.sleep(0)
        await holder.aread()
        await asyncio.gather(*tasks)
        return order

    with (
        replay(respond=lambda _: says(CHUNKED, 0.001, END)) as server,
        kind.session(limits=httpx.Limits(max_connections=1)) as session,
    ):
        assert session.run(main(session, server.url)) == list(range(20))
        assert server.connections == 1


@loops
def test_one_task_after_another_does_not_starve_a_third(kind: Kind) -> None:
    async def main(session: Session, url: str) -> int:
        order: list[str] = []

        async def work(name: str, count: int) -> None:
            for _ in range(count):
                response = await session.transport.handle_async_request(request(url))
                await response.aread()
                order.append(name)

        await asyncio.gather(work("busy", 50), work("once", 1))
        return order.index("once")

    limits = httpx.Limits(max_connections=1)
    with replay(respond=lambda _: says(0.001, OK)) as server, kind.session(limits=limits) as session:
        assert session.run(main(session, server.url)) < 10


def test_one_thread_does_not_starve_another() -> None:
    limits = httpx.Limits(max_connections=1)
    with replay(respond=lambda _: says(0.001, OK)) as server, KINDS[0].session(limits=limits) as session:
        order: list[str] = []
        begun = threading.Event()

        def work(name: str, count: int) -> None:
            for _ in range(count):
                session.get(server.url)
                order.append(name)
                begun.set()

        busy = threading.Thread(target=work, args=("busy", 200))
        busy.start()
        begun.wait(GENEROUS)
        before = len(order)
        work("once", 1)
        after = order.index("once")
        busy.join()
        assert after - before < 30


@loops
def test_a_cancelled_wait_passes_its_turn_on(kind: Kind) -> None:
    async def main(session: Session, url: str) -> str:
        async def one() -> str:
            response = await session.transport.handle_async_request(request(url))
            await response.aread()
            return "served"

        holder = await session.transport.handle_async_request(request(url))
        tasks = [asyncio.ensure_future(one()) for _ in range(6)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()  # in the queue
        await asyncio.sleep(0)
        await holder.aclose()
        tasks[1].cancel()  # told
        await asyncio.sleep(0)
        tasks[2].cancel()
        served: str = await within(tasks[3])
        return served

    with (
        replay(respond=lambda _: says(CHUNKED, 0.001, END)) as server,
        kind.session(limits=httpx.Limits(max_connections=1)) as session,
    ):
        assert session.run(main(session, server.url)) == "served"


@loops
def test_a_turn_is_not_lost_while_a_name_is_looked_up(kind: Kind) -> None:
    async def main(session: Session, url: str) -> str:
        async def one() -> str:
            response = await session.transport.handle_async_request(request(url))
            await response.aread()
            return "served"

        loop: Any = asyncio.get_running_loop()
        look_up = loop.getaddrinfo

        async def slowly(*args: Any, **kwargs: Any) -> Any:
            first.cancel()
            await asyncio.sleep(0.01)
            return await look_up(*args, **kwargs)

        holder = await session.transport.handle_async_request(request(url))
        first, second = (asyncio.ensure_future(one()) for _ in range(2))
        await asyncio.sleep(0.1)
        loop.getaddrinfo = slowly
        await holder.aclose()
        served: str = await within(second, 2)
        return served

    with (
        replay(respond=lambda _: says(CHUNKED, 0.05, END)) as server,
        kind.session(limits=httpx.Limits(max_connections=1)) as session,
    ):
        assert session.run(main(session, server.url.replace("127.0.0.1", "localhost"))) == "served"


@loops
def test_nobody_is_forgotten_while_addresses_are_tried(kind: Kind) -> None:
    async def main(bad: int, good: int) -> None:
        watch = await watches.on(asyncio.get_running_loop())
        pool = _core.AsyncPool(watch.set, 1, 1, None)
        limits = {"read": 10.0, "write": 10.0, "pool": None}
        addresses = [("127.0.0.1", bad), ("127.0.0.1", good)]
        reply = pool.send("name", 1, addresses, b"GET", b"/", [(b"host", b"name")], b"", limits, False, None, 0.3)
        assert reply is not None
        turn = asyncio.ensure_future(_stand_in_line(pool, 2))
        await reply.head()
        assert await reply.read() == b"{}"
        await turn

    with full_listener() as bad, replay(respond=lambda _: says(OK)) as server, kind.session() as session:
        session.run(main(bad, int(server.url.rpartition(":")[2])))
