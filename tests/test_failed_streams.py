"""A stream that has failed, or whose reading was cancelled, does not look like a whole one when it is read again."""

from __future__ import annotations

import asyncio
import builtins
import gc
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

import ollama_fast
from colours import Colour
from ollama_fast import Host, Timeout, _async_stream, _exchange, _sync_stream, aio
from ollama_fast.errors import (
    DecodeError,
    IncompleteStreamError,
    OllamaError,
    ResponseError,
    StreamClosedError,
    TimeoutError,
    TransportError,
)
from ollama_fast.testing._values import Action, End
from replay import Received, replay
from transports import CHUNKED, chunk

PART: Final[dict[str, bytes]] = {
    "/api/generate": b'{"model":"m","created_at":"","response":"x","done":false}\n',
    "/api/chat": b'{"model":"m","created_at":"","message":{"role":"assistant","content":"[1"},"done":false}\n',
    "/api/pull": b'{"status":"pulling manifest"}\n',
}
DONE: Final = b'{"model":"m","created_at":"","response":"","done":true,"done_reason":"stop"}\n'
STREAMS: Final[dict[str, tuple[Any, ...]]] = {
    "generate_stream": ("m", "Hi!"),
    "chat_stream": ("m", [{"role": "user", "content": "Hi!"}]),
    "pull_stream": ("m",),
    "run_tools_stream": ("m", "Hi!", ()),
    "parse_stream": ("m", "Hi!", list[int]),
}
FAULTS: Final[dict[str, tuple[bytes | float | End, type[OllamaError]]]] = {
    "ends": (b"0\r\n\r\n", IncompleteStreamError),
    "breaks": (End.CLOSE, IncompleteStreamError),
    "says an error": (chunk(b'{"error":"no memory"}\n'), ResponseError),
    "says an error behind the last part": (chunk(DONE + b'{"error":"late"}\n'), ResponseError),
    "is no JSON": (chunk(b"Hello!\n"), DecodeError),
    "stalls": (60.0, TimeoutError),
}
CASES: Final = [*((function, "breaks") for function in STREAMS), *(("generate_stream", fault) for fault in FAULTS)]


def after_a_part(fault: bytes | float | End) -> Callable[[Received], Iterator[Action]]:
    def respond(request: Received) -> Iterator[Action]:
        yield CHUNKED + chunk(PART[request.path])
        yield fault

    return respond


async def items(stream: Any) -> list[Any]:
    """Read what is left of a stream of either colour."""
    return [part async for part in stream] if isinstance(stream, aio.Stream) else list(stream)


async def one(stream: Any) -> Any:
    """Read the next part of a stream of either colour."""
    return await anext(stream) if isinstance(stream, aio.Stream) else next(stream)


async def whole(stream: Any) -> Any:
    """Collect what is left of a stream of either colour."""
    return await aio.collect(stream) if isinstance(stream, aio.Stream) else ollama_fast.collect(stream)


async def ended(stream: Any, read: Callable[[Any], Awaitable[Any]]) -> OllamaError:
    """Give the error that reading *stream* ends with."""
    with pytest.raises(OllamaError) as caught:
        await read(stream)
    return caught.value


def causes(error: BaseException) -> list[str]:
    return [] if error.__cause__ is None else [repr(error.__cause__), *causes(error.__cause__)]


@pytest.mark.parametrize(("function", "fault"), CASES[1:])
@pytest.mark.usefixtures("over")
def test_what_ended_a_stream_is_raised_again(both: Colour, function: str, fault: str) -> None:
    says, kind = FAULTS[fault]

    async def run(url: str) -> None:
        host = Host(url, timeout=Timeout(idle=0.05 if fault == "stalls" else 30))
        stream = getattr(both.module, function)(host, *STREAMS[function])
        first = await ended(stream, items)
        again = [await ended(stream, read) for read in (one, items, whole, items)]
        assert [type(error) for error in (first, *again)] == [kind] * 5
        assert {str(error) for error in again} == {str(first)}
        assert all(error.partial == first.partial == stream.partial is not None for error in again)
        assert [vars(error) for error in again] == [vars(first)] * 4
        assert [causes(error) for error in again] == [causes(first)] * 4

    with replay(respond=after_a_part(says)) as server:
        asyncio.run(run(server.url))
    assert len(server.requests) == 1  # nothing was sent again


@pytest.mark.parametrize("function", STREAMS)
@pytest.mark.usefixtures("over")
def test_a_stream_whose_reading_was_cancelled_is_incomplete(function: str) -> None:
    async def run(url: str) -> None:
        stream = getattr(aio, function)(url, *STREAMS[function])
        await one(stream)
        with pytest.raises(builtins.TimeoutError):
            await asyncio.wait_for(anext(stream), 0.05)
        for read in (one, items, whole):
            error = await ended(stream, read)
            assert type(error) is IncompleteStreamError
            assert error.partial == stream.partial is not None

    with replay(respond=after_a_part(60.0)) as server:
        asyncio.run(run(server.url))


@pytest.mark.usefixtures("over")
def test_a_block_that_could_not_be_entered_sends_nothing_later(both: Colour) -> None:
    async def enter(stream: Any) -> None:
        if both.asynchronous:
            await stream.__aenter__()
        else:
            stream.__enter__()

    async def run(url: str) -> None:
        stream = both.module.generate_stream(url, "m", "Hi!")
        first = await ended(stream, enter)
        for read in (one, items, whole):
            again = await ended(stream, read)
            assert (type(again), str(again)) == (TransportError, str(first))

    beginning: list[Action] = [b"HTTP/1.1 2", End.CLOSE]
    with replay(respond=lambda _: beginning) as server:
        asyncio.run(run(server.url))
    assert len(server.requests) == 1


class Unclosable(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that cannot be closed."""

    def __init__(self, *lines: bytes) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[bytes]:
        yield from self._lines

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for line in self._lines:
            yield line

    def close(self) -> None:
        raise httpx.CloseError("cannot be closed")

    async def aclose(self) -> None:
        raise httpx.CloseError("cannot be closed")


def test_what_goes_wrong_while_a_response_is_closed_is_told(both: Colour) -> None:
    """It matters only if the answer is not whole."""
    part, last = PART["/api/generate"], b'{"response":"","done":true}\n'

    def begun(*lines: bytes) -> Any:
        client = both.mock(lambda _: httpx.Response(200, stream=Unclosable(*lines)), base_url="http://ollama")
        return both.module.generate_stream(client, "m", "Hi!")

    async def run() -> None:
        assert len(await items(begun(part, last))) == 2
        stream = begun(part)
        for read in (items, one, items, whole):
            error = await ended(stream, read)
            assert type(error) is IncompleteStreamError
            assert str(error).endswith("cannot be closed")
        total = stream.stats.total
        assert stream.stats.total == total

    asyncio.run(run())


def test_ctrl_c_while_a_response_is_closed_leaves_no_whole_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with replay(respond=after_a_part(b"0\r\n\r\n")) as server:
        stream = ollama_fast.generate_stream(server.url, "m", "Hi!")
        with monkeypatch.context() as patch:
            patch.setattr(_exchange.Exchange, "leave", interrupt)
            with pytest.raises(KeyboardInterrupt):
                list(stream)
        for read in (list, ollama_fast.collect):
            with pytest.raises(IncompleteStreamError, match="broken off"):
                read(stream)
        stream.close()


def test_a_stream_that_was_never_begun_is_not_whole(both: Colour) -> None:
    async def run() -> None:
        stream = both.module.generate_stream("http://127.0.0.1:9", "m", "Hi!")
        if both.asynchronous:
            await aiter(stream).aclose()
        else:
            iter(stream).close()
        for read in (whole, items, one):
            assert type(await ended(stream, read)) is IncompleteStreamError

    asyncio.run(run())


def test_a_stream_that_was_never_begun_cannot_be_entered_once_it_is_closed(both: Colour) -> None:
    async def run() -> None:
        stream = both.module.generate_stream("http://127.0.0.1:9", "m", "Hi!")
        if both.asynchronous:
            await aiter(stream).aclose()
        else:
            iter(stream).close()
        with pytest.raises(IncompleteStreamError):
            await stream.__aenter__() if both.asynchronous else stream.__enter__()

    asyncio.run(run())


def test_an_error_that_is_not_ours_is_raised_again_too(both: Colour, tmp_path: Path) -> None:
    """Such as that of a file that is gone by the time it is read."""
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF")

    async def run() -> None:
        stream = both.module.create_stream("http://127.0.0.1:9", "m", files={"model.gguf": model})
        model.unlink()
        for read in (items, items, one, whole):
            with pytest.raises(FileNotFoundError) as caught:
                await read(stream)
            assert caught.value.filename == str(model)

    asyncio.run(run())


def test_what_is_closed_says_of_which_call(both: Colour) -> None:
    async def run(url: str) -> None:
        for function in ("generate_stream", "parse_stream"):
            stream = getattr(both.module, function)(url, *STREAMS[function])
            await one(stream)
            if both.asynchronous:
                await stream.aclose()
            else:
                stream.close()
            for read in (one, items, whole):
                error = await ended(stream, read)
                assert type(error) is StreamClosedError
                assert (error.url, error.model) == (
                    f"{url}/api/{'generate' if function == 'generate_stream' else 'chat'}",
                    "m",
                )
                assert error.partial == stream.partial is not None

    with replay(respond=after_a_part(60.0)) as server:
        asyncio.run(run(server.url))


@pytest.mark.usefixtures("over")
def test_a_failed_stream_is_not_held_by_its_error(both: Colour) -> None:
    async def run(url: str) -> weakref.ref[Any]:
        stream = both.module.generate_stream(url, "m", "Hi!")
        with suppress(IncompleteStreamError):
            await items(stream)
        return weakref.ref(stream)

    with replay(respond=after_a_part(End.CLOSE)) as server, without_collector():
        assert asyncio.run(run(server.url))() is None


@contextmanager
def without_collector() -> Generator[None]:
    """Let nothing go but by its last reference."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.fast
@pytest.mark.parametrize(
    "behind", [None, b"\n", b" ", b"x"], ids=["silence", "blank lines", "a line of blanks", "half of a line"]
)
def test_behind_the_last_part_nothing_is_waited_for_long(
    both: Colour, behind: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default a pull waits without a limit."""
    monkeypatch.setattr(_sync_stream, "SOON", 0.2)
    monkeypatch.setattr(_async_stream, "SOON", 0.2)
    last = b'{"response":"","status":"success","done":true}\n'
    pauses: Iterator[float] = iter([0.0, 20.0])

    def respond(request: Received) -> Iterator[Action]:
        yield CHUNKED + chunk(PART[request.path])
        yield 0.25  # longer than the wait for the end: this is not yet the last part
        yield chunk(last)
        pause = next(pauses)
        if behind is None:
            yield pause
        for _ in range(int(pause / 0.05) if behind else 0):
            yield 0.05
            yield chunk(behind or b"")
        yield b"0\r\n\r\n"

    async def run(url: str) -> None:
        for _ in range(2):
            assert len(await items(both.module.pull_stream(url, "m"))) == 2

    with replay(respond=respond) as server:
        began = time.monotonic()
        asyncio.run(run(server.url))
        assert time.monotonic() - began < 10
        assert server.connections == 1


@pytest.mark.fast
@pytest.mark.parametrize("asynchronous", [False, True], ids=["blocking", "asyncio"])
def test_a_callers_own_client_says_how_long_the_end_is_waited_for(
    asynchronous: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sync_stream, "SOON", 0.05)
    monkeypatch.setattr(_async_stream, "SOON", 0.05)

    def respond(request: Received) -> Iterator[Action]:
        yield CHUNKED + chunk(PART[request.path]) + chunk(b'{"response":"","done":true}\n')
        yield 0.3
        yield b"0\r\n\r\n"

    with replay(respond=respond) as server:
        began = time.monotonic()
        seen = Colour(asynchronous, "client-transport").collect("generate_stream", server.url, "m", "Hi!")
        assert time.monotonic() - began >= 0.3
        assert seen[0]["response"] == "x"
        assert not server.abandoned
