"""A stream that is closed while somebody else reads it: the reader is told, and the server sees the end."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx
import pytest

import ollama_fast
from colours import Colour
from leaving import becomes
from ollama_fast import Host, Limits, Timeout, _sync, _sync_stream, aio
from ollama_fast.errors import StreamClosedError
from peers import full_listener
from replay import Received, ReplayServer, replay
from transports import eventually

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
PART = b'{"model":"m","created_at":"","response":"x","done":false}\n'
FOR_EVER = 60.0


def respond(request: Received) -> Iterator[bytes | float]:
    if request.path == "/api/version":
        yield b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"version":"1"}'
        return
    yield HEAD + b"%x\r\n%s\r\n" % (len(PART), PART)
    yield FOR_EVER


def be_silent(_request: Received) -> Iterator[bytes | float]:
    yield FOR_EVER


def close_from_another_thread_before_the_head(url: str) -> StreamClosedError:
    stream = ollama_fast.generate_stream(url, "m", "Hi!")

    def read() -> StreamClosedError:
        with pytest.raises(StreamClosedError) as caught:
            next(stream)
        return caught.value

    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(read)
        time.sleep(0.2)
        stream.close()
        return reading.result(timeout=FOR_EVER / 2)


async def close_from_another_task_before_the_head(url: str) -> StreamClosedError:
    stream = aio.generate_stream(url, "m", "Hi!")
    reading = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.2)
    await stream.aclose()
    with pytest.raises(StreamClosedError) as caught:
        await asyncio.wait_for(reading, FOR_EVER / 2)
    return caught.value


async def enter_while_another_task_closes(url: str) -> StreamClosedError:
    stream = aio.generate_stream(url, "m", "Hi!")
    reading = asyncio.ensure_future(stream.__aenter__())
    await asyncio.sleep(0.2)
    await stream.aclose()
    with pytest.raises(StreamClosedError) as caught:
        await asyncio.wait_for(reading, FOR_EVER / 2)
    assert not reading.cancelled()
    return caught.value


def close_from_another_thread(url: str, host: Any = None) -> StreamClosedError:
    stream = ollama_fast.generate_stream(host or url, "m", "Hi!")
    assert next(stream)["response"] == "x"
    waits = threading.Event()

    def read() -> StreamClosedError:
        waits.set()
        with pytest.raises(StreamClosedError) as caught:
            next(stream)
        return caught.value

    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(read)
        waits.wait()
        time.sleep(0.1)
        stream.close()
        return reading.result(timeout=FOR_EVER / 2)


async def close_from_another_task(url: str) -> StreamClosedError:
    stream = aio.generate_stream(url, "m", "Hi!")
    assert (await anext(stream))["response"] == "x"
    reading = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.1)
    await stream.aclose()
    with pytest.raises(StreamClosedError) as caught:
        await asyncio.wait_for(reading, FOR_EVER / 2)
    return caught.value


def test_a_reader_is_freed_and_told(both: Colour) -> None:
    with replay(respond=respond) as server:
        if both.asynchronous:
            error = asyncio.run(close_from_another_task(server.url))
        else:
            error = close_from_another_thread(server.url)
        deadline = time.monotonic() + FOR_EVER / 2
        while not server.abandoned and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(server.abandoned) == 1
    assert "closed while it was read" in str(error)
    assert error.partial is not None
    assert error.partial["response"] == "x"


def test_a_reader_that_waits_for_the_head_is_freed_and_told(both: Colour) -> None:
    with replay(respond=be_silent) as server:
        if both.asynchronous:
            found = [
                asyncio.run(close(server.url))
                for close in (close_from_another_task_before_the_head, enter_while_another_task_closes)
            ]
        else:
            found = [close_from_another_thread_before_the_head(server.url)]
        deadline = time.monotonic() + FOR_EVER / 2
        while len(server.abandoned) < len(found) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(server.abandoned) == len(found)
    for error in found:
        assert "closed while it was read" in str(error)
        assert error.partial is None


@pytest.mark.parametrize("moment", ["connect", "line"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["blocking", "asyncio"])
def test_a_reader_without_a_connection_is_freed_and_told(asynchronous: bool, moment: str, over: str) -> None:
    """Over httpx's own blocking transport nothing ends these waits but their limits: it is told then."""
    limit = 1.0 if over == "httpx" and not asynchronous else FOR_EVER

    async def run(host: Host) -> BaseException | None:
        stream = aio.generate_stream(host, "m", "Hi!")
        reading = asyncio.ensure_future(anext(stream))
        await becomes(stream._is_read)
        await asyncio.sleep(0.3)
        assert not reading.done()
        await stream.aclose()
        await asyncio.wait({reading}, timeout=FOR_EVER / 2)
        return reading.exception()

    async def run_behind_another(host: Host) -> BaseException | None:
        async with aio.generate_stream(host, "m", "Hi!"):
            error = await run(host)
        assert await aio.version(host) == {"version": "1"}
        return error

    def block(host: Host) -> BaseException | None:
        stream = ollama_fast.generate_stream(host, "m", "Hi!")
        with ThreadPoolExecutor(1) as threads:
            reading = threads.submit(next, stream)
            eventually(stream._is_read)
            time.sleep(0.3)
            assert not reading.done()
            stream.close()
            return reading.exception(timeout=FOR_EVER / 2)

    def block_behind_another(host: Host) -> BaseException | None:
        with ollama_fast.generate_stream(host, "m", "Hi!"):
            error = block(host)
        assert ollama_fast.version(host) == {"version": "1"}
        return error

    with replay(respond=respond) as server, full_listener() as port:
        url = server.url if moment == "line" else f"http://127.0.0.1:{port}"
        host = Host(url, limits=Limits(max_connections=1), timeout=Timeout(connect=limit))
        if asynchronous:
            error = asyncio.run((run_behind_another if moment == "line" else run)(host))
        else:
            error = (block_behind_another if moment == "line" else block)(host)
        assert type(error) is StreamClosedError
        assert [request.path for request in server.requests].count("/api/generate") == (moment == "line")


def close_twice(stream: Any) -> None:
    stream.close()
    stream.close()


async def aclose_twice(stream: Any) -> None:
    await stream.aclose()
    await stream.aclose()


async def aclose_at_once(stream: Any) -> None:
    await asyncio.gather(stream.aclose(), stream.aclose())


@pytest.mark.parametrize("close", [close_twice, aclose_twice, aclose_at_once])
@pytest.mark.usefixtures("over")
def test_closing_again_changes_nothing(close: Any) -> None:
    """Above all, the reader that waits for the head is not cancelled."""

    async def run(server: ReplayServer) -> None:
        stream = aio.generate_stream(server.url, "m", "Hi!")

        async def read() -> int:
            with pytest.raises(StreamClosedError, match="closed while it was read"):
                await anext(stream)
            task = asyncio.current_task()
            assert task is not None
            return task.cancelling()

        reading = asyncio.ensure_future(read())
        await becomes(lambda: server.requests)
        await close(stream)
        assert await asyncio.wait_for(reading, FOR_EVER / 2) == 0

    with replay(respond=be_silent) as server, ThreadPoolExecutor(1) as threads:
        if inspect.iscoroutinefunction(close):
            asyncio.run(run(server))
            return
        stream = ollama_fast.generate_stream(server.url, "m", "Hi!")
        reading = threads.submit(next, stream)
        eventually(lambda: server.requests)
        close(stream)
        assert type(reading.exception(timeout=FOR_EVER / 2)) is StreamClosedError


def test_a_cancellation_before_the_head_stays_one() -> None:
    async def cancel(url: str) -> None:
        stream = aio.generate_stream(url, "m", "Hi!")
        reading = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.1)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await stream.aclose()

    with replay(respond=be_silent) as server:
        asyncio.run(cancel(server.url))


def test_a_reader_over_a_callers_own_client_is_freed_and_told() -> None:
    with replay(respond=respond) as server, httpx.Client(base_url=server.url, timeout=None) as client:
        error = close_from_another_thread(server.url, client)
    assert "closed while it was read" in str(error)
    assert (error.partial or {})["response"] == "x"


async def close_on_asyncio_between_two_parts(stream: Any) -> None:
    async for _ in stream:
        await stream.aclose()


async def close_on_asyncio_before_the_loop(stream: Any) -> None:
    parts = aiter(stream)
    await stream.aclose()
    await anext(parts)


def close_between_two_parts(stream: Any) -> None:
    for _ in stream:
        stream.close()


def close_before_the_loop(stream: Any) -> None:
    parts = iter(stream)
    stream.close()
    next(parts)


BETWEEN: Final[list[Any]] = [
    close_between_two_parts,
    close_before_the_loop,
    close_on_asyncio_between_two_parts,
    close_on_asyncio_before_the_loop,
]


@pytest.mark.parametrize("way", BETWEEN)
def test_a_reader_who_is_not_waiting_is_told(way: Any) -> None:
    """A loop does not end as if the answer were whole; nor does one begin that is too late."""

    def run(url: str) -> None:
        if inspect.iscoroutinefunction(way):
            asyncio.run(way(aio.generate_stream(url, "m", "Hi!")))
        else:
            way(ollama_fast.generate_stream(url, "m", "Hi!"))

    with replay(respond=respond) as server:
        with pytest.raises(StreamClosedError, match="closed while it was read"):
            run(server.url)
        assert len(server.requests) == ("between" in way.__name__)


@pytest.mark.usefixtures("over")
def test_a_loop_gives_what_has_arrived_before_it_is_told(both: Colour) -> None:
    parts = PART * 20

    def respond(_request: Received) -> Iterator[bytes | float]:
        yield HEAD + b"%x\r\n%s\r\n" % (len(parts), parts)
        yield FOR_EVER

    async def run(url: str) -> None:
        stream = both.module.generate_stream(url, "m", "Hi!")
        with pytest.raises(StreamClosedError, match="closed while it was read") as caught:
            await (
                close_on_asyncio_between_two_parts(stream)
                if both.asynchronous
                else asyncio.to_thread(close_between_two_parts, stream)
            )
        assert caught.value.partial == stream.partial
        assert stream.stats.parts == 20
        with pytest.raises(StreamClosedError, match="nothing more can be read"):
            await (anext(stream) if both.asynchronous else asyncio.to_thread(next, stream))

    with replay(respond=respond) as server:
        asyncio.run(run(server.url))


@pytest.mark.parametrize("own", [False, True], ids=["host", "client"])
def test_an_answer_that_begins_after_the_stream_was_closed_is_not_read(own: bool) -> None:
    """Where closing cannot end the wait for a head, as over httpx's own transport, it ends what follows."""
    closed = threading.Event()

    def answer_late(_request: Received) -> Iterator[bytes | float]:
        closed.wait(FOR_EVER)
        yield HEAD
        while True:
            yield b"%x\r\n%s\r\n" % (len(PART), PART)
            yield 0.01

    with replay(respond=answer_late) as server, httpx.Client(base_url=server.url, timeout=None) as client:
        stream = ollama_fast.generate_stream(client if own else server.url, "m", "Hi!")
        with ThreadPoolExecutor(1) as threads:
            reading = threads.submit(list, stream)
            while not server.requests:
                time.sleep(0.01)
            stream.close()
            closed.set()
            assert type(reading.exception(timeout=FOR_EVER / 2)) is StreamClosedError
        deadline = time.monotonic() + FOR_EVER / 2
        while not server.abandoned and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(server.abandoned) == 1


def test_a_close_between_two_requests_of_a_stream_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks for a request to end when there is none yet."""
    streams: list[Any] = []

    def begin_and_close(*args: Any) -> Any:
        begun = _sync_stream.begin(*args)
        if streams:
            streams[0].close()
        return begun

    with replay(respond=respond) as server:
        stream = ollama_fast.run_tools_stream(server.url, "m", [{"role": "user", "content": "Hi"}], [])
        streams.append(stream)
        monkeypatch.setattr(_sync, "begin", begin_and_close)
        with pytest.raises(StreamClosedError):
            list(stream)
        assert not server.requests
