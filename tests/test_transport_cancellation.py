"""A cancellation, at whatever moment, loses no line, leaves nothing open, and disturbs nobody else."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeAlias

import httpx
import pytest

from peers import deaf_listener, full_listener
from replay import Received, nobody_is_served, replay
from transports import (
    CHUNKED,
    END,
    LOOPS,
    Kind,
    Session,
    eventually,
    line,
    open_files,
    request,
    says,
    within,
)

pytestmark = [pytest.mark.fast, pytest.mark.parametrize("kind", LOOPS, ids=str)]

Read: TypeAlias = Callable[[Any], Coroutine[Any, Any, list[Any]]]


class EndError(Exception):
    """The stream is over: no coroutine can raise StopAsyncIteration."""


async def by_next(lines: Any) -> list[Any]:
    try:
        return [await anext(lines)]
    except StopAsyncIteration:
        raise EndError from None


async def by_next_with_default(lines: Any) -> list[Any]:
    return [await anext(lines, None)]


async def by_batches(lines: Any) -> list[Any]:
    if not await lines.ready():
        raise EndError
    return list(lines.arrived())


async def opened(session: Session, url: str, **kwargs: Any) -> Any:
    response = await session.transport.handle_async_request(request(url, **kwargs))
    return response.extensions["ndjson"]


@pytest.mark.parametrize("read", [by_next, by_batches])
def test_a_read_that_is_retried_gives_every_line(kind: Kind, read: Read) -> None:
    """Each read is cancelled after a moment of its own; the lines come in pieces."""

    def respond(_request: Received) -> Iterable[bytes | float]:
        yield CHUNKED
        for number in range(40):
            text = line(number)
            yield text[:7]
            yield 0.002
            yield text[7:]
            yield 0.001
        yield END

    async def main(session: Session, url: str) -> tuple[list[Any], int]:
        lines = await opened(session, url)
        seen: list[Any] = []
        cancelled = 0
        for turn in range(10_000):
            task = asyncio.ensure_future(read(lines))
            if turn % 3 == 2:
                await asyncio.sleep(0.0007 * (turn % 5))
            else:
                for _ in range(turn % 4):
                    await asyncio.sleep(0)
            task.cancel()
            try:
                seen += await task
            except asyncio.CancelledError:
                cancelled += 1
            except EndError:
                return seen, cancelled
        raise AssertionError(f"no end after {seen}")

    with replay(respond=respond) as server, kind.session() as session:
        seen, cancelled = session.run(main(session, server.url))
        assert [part["n"] for part in seen] == list(range(40))
        assert cancelled > 40
        assert session.counts() == (1, 1)


@pytest.mark.parametrize("read", [by_next, by_next_with_default, by_batches])
def test_a_cancelled_wait_is_a_cancelled_error(kind: Kind, read: Read) -> None:
    async def main(session: Session, url: str) -> None:
        lines = await opened(session, url)
        task = asyncio.ensure_future(read(lines))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(lines), 0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await read(lines)
        lines.close()

    with replay(respond=lambda _: says(CHUNKED, 30.0)) as server, kind.session() as session:
        session.run(main(session, server.url))
        assert session.counts() == (0, 0)


def test_wait_for_in_a_loop_gives_every_line(kind: Kind) -> None:
    def respond(_request: Received) -> Iterable[bytes | float]:
        yield CHUNKED
        for number in range(30):
            yield 0.003
            yield line(number)
        yield END

    async def main(session: Session, url: str) -> list[int]:
        lines = await opened(session, url)
        seen: list[int] = []
        while True:
            try:
                seen.append((await asyncio.wait_for(anext(lines), 0.001))["n"])
            except TimeoutError:
                continue
            except StopAsyncIteration:
                return seen

    with replay(respond=respond) as server, kind.session() as session:
        assert session.run(main(session, server.url)) == list(range(30))


async def upload_forever() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 100_000


@pytest.mark.parametrize("moment", ["connect", "upload", "pieces", "head", "body", "whole body", "pool", "name"])
def test_a_cancelled_request_leaves_nothing_open(kind: Kind, moment: str) -> None:
    async def main(session: Session, url: str, port: int, deaf: str) -> None:
        makers: dict[str, Callable[[], httpx.Request]] = {
            "connect": lambda: request(f"http://127.0.0.1:{port}/"),
            "upload": lambda: request(deaf, "POST", content=b"x" * (64 << 20)),
            "pieces": lambda: request(deaf, "POST", content=upload_forever()),
            "name": lambda: request(f"http://localhost:{port}/"),
        }
        made = makers.get(moment, lambda: request(f"{url}/{moment.replace(' ', '')}"))

        async def one() -> None:
            response = await session.transport.handle_async_request(made())
            try:
                if moment == "whole body":
                    await response.extensions["ndjson"].read()
                await response.aread()
            finally:
                await response.aclose()

        holders = [await session.transport.handle_async_request(request(f"{url}/body"))] if moment == "pool" else []
        tasks = [asyncio.ensure_future(one()) for _ in range(1 if "p" in moment and moment != "pool" else 5)]
        await asyncio.sleep(0.05)
        for task in tasks:
            assert not task.done()
            task.cancel()
        for task in tasks:
            with pytest.raises(asyncio.CancelledError):
                await within(task)
        for holder in holders:
            await holder.aclose()

    def respond(received: Received) -> Iterable[bytes | float]:
        if received.path == "/head":
            yield 30.0
        yield from says(CHUNKED, line(1), 30.0)

    limits = httpx.Limits(max_connections=1 if moment == "pool" else None)
    with (
        replay(respond=respond) as server,
        full_listener() as port,
        deaf_listener() as deaf,
        kind.session(limits=limits) as session,
    ):
        session.run(asyncio.sleep(0))
        session.run(main(session, server.url, port, deaf))
        assert session.counts() == (0, 0)
        eventually(nobody_is_served)
        before = open_files()
        session.run(main(session, server.url, port, deaf)) if moment in {"head", "body", "whole body", "pool"} else None
        eventually(nobody_is_served)
        assert open_files() == before


def test_two_readers_at_once(kind: Kind) -> None:
    async def main(session: Session, url: str) -> None:
        lines = await opened(session, url)
        first = asyncio.ensure_future(by_next(lines))
        await asyncio.sleep(0.01)
        for read in (by_next, by_batches):
            with pytest.raises(RuntimeError, match="already reading"):
                await read(lines)
        assert await first == [{"n": 1}]
        assert await by_next(lines) == [{"n": 2}]
        lines.close()

    with (
        replay(respond=lambda _: says(CHUNKED, 0.1, line(1), 0.05, line(2), 30.0)) as server,
        kind.session() as session,
    ):
        session.run(main(session, server.url))


@pytest.mark.parametrize("head", [CHUNKED, b"HTTP/1.1 200 OK\r\n\r\n"], ids=["chunked", "until close"])
def test_close_wakes_who_waits(kind: Kind, head: bytes) -> None:
    async def main(session: Session, url: str) -> None:
        for read in (by_next, by_batches):
            lines = await opened(session, url)
            task = asyncio.ensure_future(read(lines))
            await asyncio.sleep(0.01)
            lines.close()
            with pytest.raises(httpx.ReadError, match="closed"):
                await within(task)
            with pytest.raises(httpx.ReadError):
                await read(lines)

    with replay(respond=lambda _: says(head, 30.0)) as server, kind.session() as session:
        session.run(main(session, server.url))
        assert session.counts() == (0, 0)


def test_the_transport_closed_while_one_waits(kind: Kind) -> None:
    """Only what is not in use is closed: who reads goes on."""

    async def main(session: Session, url: str) -> Any:
        lines = await opened(session, url)
        task = asyncio.ensure_future(by_next(lines))
        await asyncio.sleep(0.01)
        await session.transport.aclose()
        return await within(task), [part async for part in lines]

    with replay(respond=lambda _: says(CHUNKED, 0.05, line(1), line(2), END)) as server, kind.session() as session:
        assert session.run(main(session, server.url)) == ([{"n": 1}], [{"n": 2}])
        assert session.counts() == (0, 0)


def test_a_cancelled_task_group(kind: Kind) -> None:
    async def main(session: Session, url: str) -> None:
        async def fail() -> None:
            await asyncio.sleep(0.02)
            raise KeyError

        async def read() -> None:
            lines = await opened(session, url)
            try:
                async for _ in lines:
                    pass
            finally:
                lines.close()

        with suppress(BaseExceptionGroup):
            async with asyncio.TaskGroup() as group:
                for _ in range(5):
                    group.create_task(read())
                group.create_task(fail())
        assert session.counts() == (0, 0)

    with replay(respond=lambda _: says(CHUNKED, line(1), 30.0)) as server, kind.session() as session:
        session.run(main(session, server.url))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in Python 3.12")
def test_eager_tasks(kind: Kind) -> None:
    if kind.name == "uvloop":
        pytest.skip("uvloop gives eager factories an argument that not every Python's take")

    async def main(session: Session, url: str) -> list[Any]:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined, unused-ignore] # pyright: ignore[reportAttributeAccessIssue]

        async def read() -> list[Any]:
            lines = await opened(session, url)
            return [part async for part in lines]

        seen: list[Any] = await asyncio.gather(*(asyncio.create_task(read()) for _ in range(5)))
        return seen

    with (
        replay(respond=lambda _: says(CHUNKED, line(1), 0.001, line(2), END)) as server,
        kind.session(limits=httpx.Limits(max_connections=2)) as session,
    ):
        assert session.run(main(session, server.url)) == [[{"n": 1}, {"n": 2}]] * 5


def test_many_streams_some_cancelled(kind: Kind) -> None:
    def respond(_request: Received) -> Iterable[bytes | float]:
        yield CHUNKED
        for number in range(20):
            yield line(number)
            yield 0.002
        yield END

    async def main(session: Session, url: str) -> list[int]:
        async def read() -> int:
            lines = await opened(session, url)
            try:
                return len([part async for part in lines])
            finally:
                lines.close()

        tasks = [asyncio.ensure_future(read()) for _ in range(60)]
        for turn, task in enumerate(tasks):
            if turn % 3 == 0:
                asyncio.get_running_loop().call_later(0.001 * turn / 2, task.cancel)
        seen = await asyncio.gather(*tasks, return_exceptions=True)
        assert (await session.transport.handle_async_request(request(url))).status_code == 200
        return [each for turn, each in enumerate(seen) if turn % 3 and isinstance(each, int)]

    with replay(respond=respond) as server, kind.session() as session:
        assert session.run(main(session, server.url)) == [20] * 40
