"""A request that is broken off, at whichever of its waits, holds no place in its pool, and no connection."""

from __future__ import annotations

import asyncio
import gc
import threading
import types
import warnings
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Final

import httpcore
import httpx
import pytest

import ollama_fast
from leaving import becomes
from ollama_fast import Host, Limits, Timeout, _watched_transport, aio
from ollama_fast._carried import Sending
from ollama_fast._delegation import VARIABLE
from ollama_fast._places import reclaim
from replay import Received, replay
from transports import CHUNKED, END, GENEROUS, chunk, within

PART: Final = b'{"model":"m","created_at":"","message":{"role":"assistant","content":"x"},"done":false}\n'
LAST: Final = b'{"model":"m","created_at":"","message":{"role":"assistant","content":""},"done":true}\n'
VERSION: Final = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"version":"1"}'
SAYS: Final[Any] = [{"role": "user", "content": "x"}]


def respond(request: Received) -> Iterator[bytes | float]:
    if request.path == "/api/version":
        yield VERSION
    elif request.json["stream"]:
        yield CHUNKED + chunk(PART)
        yield 0.01
        yield chunk(LAST) + END
    else:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LAST) + LAST


async def whole(host: Host) -> None:
    await aio.chat(host, "m", SAYS)


async def streamed(host: Host) -> None:
    async with aio.chat_stream(host, "m", SAYS) as stream:
        async for _ in stream:
            pass


async def left(host: Host) -> None:
    async with aio.chat_stream(host, "m", SAYS) as stream:
        await anext(stream)


@types.coroutine
def told_at(wait: int, call: Coroutine[Any, Any, None], tell: Callable[[], object]) -> Generator[Any, Any, bool]:
    """Do *call*, and *tell* when it waits for the time of that number; False if it never does."""
    waits, error = 0, None
    while True:
        try:
            waited = call.send(None) if error is None else call.throw(error)
        except StopIteration:
            return waits >= wait
        waits += 1
        if waits == wait:
            asyncio.get_running_loop().call_soon(tell)
        try:
            yield waited
        except BaseException as exc:  # noqa: BLE001 - it is for the call
            error = exc
        else:
            error = None


async def cancelled_at(wait: int, call: Coroutine[Any, Any, None]) -> bool:
    """Do *call*, whose task is cancelled as soon as it waits for the time of that number; False if it never does."""
    task = asyncio.current_task()
    assert task is not None
    return await told_at(wait, call, task.cancel)


@pytest.mark.parametrize("call", [whole, streamed, left])
@pytest.mark.usefixtures("over")
def test_a_call_that_is_cancelled_at_any_of_its_waits_holds_no_place(call: Any) -> None:
    async def main(url: str) -> int:
        host = Host(url, limits=Limits(max_connections=1), timeout=Timeout(pool=GENEROUS))
        number, more = 0, True
        while more:
            number += 1
            with suppress(asyncio.CancelledError):
                more = await asyncio.create_task(cancelled_at(number, call(host)))
            assert await within(aio.version(host)) == {"version": "1"}
        return number

    with replay(respond=respond) as server:
        assert asyncio.run(main(server.url)) > 1


@pytest.mark.usefixtures("over")
def test_who_is_cancelled_when_his_turn_has_come_holds_no_place() -> None:
    async def main(url: str) -> None:
        host = Host(url, limits=Limits(max_connections=1), timeout=Timeout(pool=GENEROUS))
        for _ in range(3):
            stream = aio.chat_stream(host, "m", SAYS)
            await anext(stream)
            waiting = asyncio.create_task(aio.version(host))
            for _ in range(20):
                await asyncio.sleep(0)
            await stream.aclose()
            waiting.cancel()
            await asyncio.wait([waiting])
            assert await within(aio.version(host)) == {"version": "1"}

    with replay(respond=respond) as server:
        asyncio.run(main(server.url))


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("call", [whole, streamed, left])
@pytest.mark.usefixtures("over")
def test_a_cancellation_as_the_loop_ends_leaves_no_socket_open(call: Any, turns: int) -> None:
    """It cancels all tasks, also one that was just made to close a connection and has not begun."""

    async def main(url: str, number: int) -> bool:
        waiting = asyncio.Event()
        loop = asyncio.get_running_loop()

        async def step() -> bool:
            return await told_at(number, call(Host(url)), waiting.set)

        def cancel(turns: int) -> None:
            loop.call_soon(cancel, turns - 1) if turns else task.cancel()

        task = asyncio.create_task(step())
        while not task.done() and not waiting.is_set():  # noqa: ASYNC110 - each turn of the loop counts
            await asyncio.sleep(0)
        cancel(turns)
        return not task.done() or task.cancelled() or task.result()

    gc.collect()  # what others left
    with replay(respond=respond) as server, warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        number = 1
        while asyncio.run(main(server.url, number)):
            number += 1
        gc.collect()
    assert number > 1
    assert [str(warning.message) for warning in seen] == []


def test_a_further_cancellation_lets_a_connection_be_closed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Connection:
        begun = ended = 0

        async def aclose(self) -> None:
            self.begun += 1
            await asyncio.sleep(0.05)
            self.ended += 1

    async def main() -> None:
        leaving = asyncio.create_task(_watched_transport._leave(httpx.AsyncHTTPTransport(), httpx.Request("GET", "x:")))
        while not connection.begun:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        await becomes(lambda: connection.ended)
        assert (connection.begun, connection.ended) == (1, 1)

    connection = Connection()
    monkeypatch.setattr(_watched_transport, "reclaim", lambda *_: [connection])
    asyncio.run(main())


def test_a_blocking_request_whose_response_is_being_closed_gives_its_place_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A signal handler may raise anywhere inside of httpcore: here before it has noted that the response is closed."""
    connection: Any = httpcore.HTTP11Connection
    genuine = connection._response_closed
    signals = [KeyboardInterrupt()]

    def interrupted(self: Any) -> None:
        if signals:
            raise signals.pop()
        genuine(self)

    monkeypatch.setenv(VARIABLE, "httpx")
    monkeypatch.setattr(connection, "_response_closed", interrupted)
    with replay(respond=respond) as server:
        host = Host(server.url, limits=Limits(max_connections=1), timeout=Timeout(pool=GENEROUS))
        with pytest.raises(KeyboardInterrupt), ollama_fast.chat_stream(host, "m", SAYS) as stream:
            next(stream)
        assert ollama_fast.version(host) == {"version": "1"}


def test_a_signal_as_a_request_begins_does_not_count_what_others_receive(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = Sending.__enter__
    signals = [KeyboardInterrupt()]

    def interrupted(self: Sending) -> Sending:
        genuine(self)
        if signals:
            raise signals.pop()
        return self

    def main(url: str) -> None:
        host = Host(url, limits=Limits(max_head_bytes=10_000))
        with pytest.raises(KeyboardInterrupt):
            ollama_fast.chat(host, "m", SAYS)
        for _ in range(200):
            assert len(list(ollama_fast.chat_stream(host, "m", SAYS))) == 2

    monkeypatch.setenv(VARIABLE, "httpx")
    monkeypatch.setattr(Sending, "__enter__", interrupted)
    with replay(respond=respond) as server:
        copy_context().run(main, server.url)


def test_no_signal_can_split_the_lock_of_a_pool_of_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is written in Python stays locked if its `__enter__` raises behind the lock: nobody calls again."""
    monkeypatch.setenv(VARIABLE, "httpx")
    with replay(respond=respond) as server:
        ollama_fast.version(server.url)
        ((transport,),) = [list(each._plan._others.values()) for each in ollama_fast._sync_pool._pools.values()]
        pool: Any = transport._pool
        assert isinstance(pool._optional_thread_lock, type(threading.Lock()))


def test_a_transport_of_another_make_is_left_alone() -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(200))
    assert reclaim(transport, httpx.Request("GET", "http://x")) == []
