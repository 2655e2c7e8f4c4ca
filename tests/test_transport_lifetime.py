"""Nothing outlives its use: not sockets, loops, cycles or programs; and nothing is used after its end."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import warnings
import weakref
from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from ollama_fast._readiness import watches
from replay import Received, nobody_is_served, replay
from transports import (
    BLOCKING,
    CHUNKED,
    END,
    KINDS,
    LOOPS,
    AsyncTransport,
    Kind,
    Session,
    chunk,
    eventually,
    line,
    open_files,
    request,
    says,
    within,
)

pytestmark = pytest.mark.fast

kinds = pytest.mark.parametrize("kind", KINDS, ids=str)
loops = pytest.mark.parametrize("kind", LOOPS, ids=str)


def stalled(_request: Received) -> Iterable[bytes | float]:
    yield from says(CHUNKED, line(1), 30.0)


def settled() -> None:
    """Let go of garbage, and wait until the server has seen that its clients are gone."""
    gc.collect()
    eventually(nobody_is_served)


@loops
@pytest.mark.parametrize("end", ["whole", "read on", "closed", "dropped", "pending"])
def test_loops_that_come_and_go(kind: Kind, end: str) -> None:
    transport = AsyncTransport()
    kept: list[Any] = []

    async def main(url: str) -> None:
        response = await transport.handle_async_request(request(url))
        lines = response.extensions["ndjson"]
        assert await anext(lines) == {"n": 1}
        if end == "whole":
            assert [part async for part in lines] == []
        elif end == "read on":
            await asyncio.wait([asyncio.ensure_future(lines.ready())], timeout=0.001)
        elif end == "closed":
            await response.aclose()
            await transport.aclose()
        elif end == "pending":
            kept.append(asyncio.ensure_future(lines.chunk()))
            await asyncio.sleep(0)
        kept.append(response)
        if end == "dropped":
            kept.clear()

    pieces = says(CHUNKED, line(1), END if end == "whole" else 30.0)
    with replay(respond=lambda _: pieces) as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        before = None
        for turn in range(20):
            with asyncio.Runner(loop_factory=kind.factory) as runner:
                runner.run(main(server.url))
            kept.clear()
            if turn == 3:
                settled()
                before = open_files()
        settled()
        assert open_files() == before
        assert not watches
        gc.collect()


@loops
def test_a_loop_closed_without_a_word(kind: Kind) -> None:
    assert kind.factory is not None
    transport = AsyncTransport()

    async def main(url: str) -> None:
        lines = (await transport.handle_async_request(request(url))).extensions["ndjson"]
        assert await anext(lines) == {"n": 1}

    with replay(respond=stalled) as server:
        before = None
        for turn in range(6):
            loop = kind.factory()
            loop.run_until_complete(main(server.url))
            loop.close()
            del loop
            assert len(watches) == 1  # those of loops that were closed go when the next one comes
            settled()
            if turn == 1:
                before = open_files()
        assert open_files() == before
        with kind.session() as session:
            session.run(main(server.url))
        assert not watches


@loops
def test_a_generator_left_to_the_end_of_the_loop(kind: Kind) -> None:
    async def parts(url: str) -> Any:
        async with httpx.AsyncClient(transport=AsyncTransport()) as client:
            response = await client.send(client.build_request("GET", url), stream=True)
            try:
                async for part in response.extensions["ndjson"]:
                    yield part
            finally:
                await response.aclose()

    left: list[Any] = []

    async def main(url: str) -> Any:
        left.append(parts(url))
        return await anext(left[0])

    with replay(respond=stalled) as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        with asyncio.Runner(loop_factory=kind.factory) as runner:
            assert runner.run(main(server.url)) == {"n": 1}
        assert not watches


@kinds
def test_dropping_a_response_unread_closes_its_connection(kind: Kind) -> None:
    with replay(respond=stalled) as server, kind.session() as session:
        for _ in range(3):
            opened = session.open(request(server.url))
            assert session.counts() == (1, 0)
            del opened
            gc.collect()
            assert session.counts() == (0, 0)
        eventually(lambda: len(server.abandoned) == 3)


@kinds
def test_dropping_a_transport_closes_what_is_idle_and_no_more(kind: Kind) -> None:
    with replay(respond=lambda _: says(CHUNKED, line(1), 0.05, line(2), END)) as server, kind.session() as session:
        session.get(server.url)
        opened = session.open(request(server.url))
        ref = weakref.ref(session.transport)
        session.transport = (AsyncTransport if kind.factory else type(session.transport))()
        gc.collect()
        assert ref() is None
        assert opened.read("parts").parts == [{"n": 1}, {"n": 2}]
        del opened
        settled()


class Marker:
    """Something that can be seen to be freed."""


@kinds
def test_cycles_are_freed(kind: Kind) -> None:
    with replay(respond=stalled) as server, kind.session() as session:
        marker = Marker()
        ref = weakref.ref(marker)
        made = request(server.url)
        opened = session.open(made)
        cycle: list[Any] = [marker, opened.response, opened]
        made.extensions["timeout"]["cycle"] = cycle  # the reply keeps this dict
        cycle.append(cycle)
        del marker, made, opened, cycle
        gc.collect()
        assert ref() is None
        assert session.counts() == (0, 0)


@loops
def test_a_task_that_waits_is_kept_and_then_freed(kind: Kind) -> None:
    """The loop holds a waiting task by its socket alone; once that is closed, a cycle of task and reply is freed."""

    async def main(session: Session, url: str) -> Any:
        marker = Marker()
        ref = weakref.ref(marker)

        async def read(own: Marker) -> list[Any]:
            response = await session.transport.handle_async_request(request(url))
            own.response = response  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
            return [part async for part in response.extensions["ndjson"]]

        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(read(marker))
        task.add_done_callback(lambda task: done.set_result(task.result()))
        del task, marker
        await asyncio.sleep(0.02)
        gc.collect()
        assert ref() is not None
        parts = await done
        await asyncio.sleep(0)
        gc.collect()
        assert ref() is None
        return parts

    with replay(respond=lambda _: says(CHUNKED, 0.06, line(1), END)) as server, kind.session() as session:
        assert session.run(main(session, server.url)) == [{"n": 1}]


@loops
def test_a_loop_that_ends_frees_what_waited(kind: Kind) -> None:
    assert kind.factory is not None
    refs: list[weakref.ref[Any]] = []

    async def main(transport: AsyncTransport, url: str) -> None:
        response = await transport.handle_async_request(request(url))
        refs.append(weakref.ref(response))
        refs.append(weakref.ref(asyncio.get_running_loop()))
        task = asyncio.ensure_future(response.extensions["ndjson"].read())
        refs.append(weakref.ref(task))
        await asyncio.sleep(0)

    with replay(respond=stalled) as server:
        for _ in range(2):
            transport = AsyncTransport()
            refs.append(weakref.ref(transport))
            with asyncio.Runner(loop_factory=kind.factory) as runner:
                runner.run(main(transport, server.url))
            del transport, runner
        gc.collect()
        assert [ref() for ref in refs] == [None] * 8


@loops
def test_a_collection_in_another_thread_tells_who_waits(kind: Kind) -> None:
    async def main(session: Session, url: str) -> Any:
        async def one() -> Any:
            lines = (await session.transport.handle_async_request(request(url))).extensions["ndjson"]
            return await anext(lines)

        response = await session.transport.handle_async_request(request(url))
        cycle: list[Any] = [response]
        cycle.append(cycle)
        del response, cycle
        waiting = asyncio.ensure_future(one())
        await asyncio.sleep(0.01)
        thread = threading.Timer(0.05, gc.collect)
        thread.start()
        try:
            return await within(waiting, 5)
        finally:
            thread.join()

    with replay(respond=stalled) as server, kind.session(limits=httpx.Limits(max_connections=1)) as session:
        gc.collect()
        gc.disable()
        try:
            assert session.run(main(session, server.url)) == {"n": 1}
        finally:
            gc.enable()


@kinds
def test_a_finalizer_that_closes_the_stream_while_it_decodes(kind: Kind) -> None:
    """Garbage collection runs in the middle of decoding, and what it runs may use the stream itself."""
    body = chunk(b"".join(b'{"n":%d,"list":[%s]}\n' % (n, b",".join([b"{}"] * 200)) for n in range(200)))
    with replay(respond=lambda _: says(CHUNKED, body, line(1000), 0.2, END)) as server, kind.session() as session:
        opened = session.open(request(server.url))
        calls: list[object] = []

        class Evil:
            def __init__(self) -> None:
                self.me = self

            def __del__(self) -> None:
                try:
                    calls.append(opened.reply.close() if len(calls) == 300 else take())
                except Exception as exc:  # noqa: BLE001 - any will do, but no deadlock and no panic
                    calls.append(exc)
                if len(calls) < 1000:
                    Evil()

        take = opened.reply.arrived().__next__ if kind.factory else opened.reply.__next__
        before = gc.get_threshold()
        gc.set_threshold(50, 2, 2)
        try:
            for _ in range(5):
                Evil()
            seen = opened.read("parts")
        finally:
            gc.set_threshold(*before)
        if sys.version_info < (3, 12):  # since then it is collected between bytecodes, and not while Rust allocates
            assert any(isinstance(call, RuntimeError) and "already" in str(call) for call in calls)
            assert isinstance(seen.error, httpx.ReadError)
        numbers = [part["n"] for part in seen.parts]
        assert 5 < len(numbers) <= 201
        assert numbers == sorted(set(numbers))
        opened.close()
        assert session.counts()[0] == session.counts()[1]


def test_loops_in_many_threads() -> None:
    """Each thread has loops of its own, over one transport."""
    transport = AsyncTransport()
    errors: list[BaseException] = []

    def work(url: str) -> None:
        async def main() -> None:
            for _ in range(3):
                response = await transport.handle_async_request(request(url))
                assert await response.aread() == b'{"n":1}\n'

        try:
            for turn in range(8):
                loop = asyncio.new_event_loop()
                loop.run_until_complete(main())
                if turn % 2:
                    loop.run_until_complete(loop.shutdown_asyncgens())
                loop.close()
        except BaseException as exc:  # noqa: BLE001 - of a thread
            errors.append(exc)

    with replay(respond=lambda _: says(CHUNKED, line(1), END)) as server:
        threads = [threading.Thread(target=work, args=(server.url,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert errors == []
        with BLOCKING.session() as session:
            assert session.get(server.url).parts == [{"n": 1}]
