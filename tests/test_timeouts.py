"""Every limit raises a TimeoutError that says which it was. The limits are short; what is waited for never comes."""

from __future__ import annotations

import asyncio
import builtins
import copy
import json
import pickle
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

import ollama_fast
from colours import Colour, Seen
from ollama_fast import Host, Limits, Timeout, _endpoints, aio
from ollama_fast.errors import OllamaError, ResponseError, TimeoutError, TransportError
from peers import Peer, deaf_listener, full_listener, served
from replay import Received, replay
from transports import GENEROUS, chunk, eventually

HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
PART: Final = chunk(b'{"model":"m","created_at":"","message":{"role":"assistant","content":"Hel"},"done":false}\n')
LAST: Final = chunk(b'{"model":"m","created_at":"","message":{"role":"assistant","content":""},"done":true}\n')
END: Final = b"0\r\n\r\n"
VERSION: Final = b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"version":"0.1"}'
SHORT: Final = 0.2
STALL: Final = 20.0
"""Longer than any limit here; but a server ends it when the client leaves."""


def silent(_request: Received) -> Iterator[bytes | float]:
    yield STALL


def silent_after_a_part(_request: Received) -> Iterator[bytes | float]:
    yield HEAD + PART
    yield STALL


def dribbling(_request: Received) -> Iterator[bytes | float]:
    """Say something every moment, and never all."""
    yield HEAD
    for _ in range(400):
        yield PART
        yield 0.05


def ask(colour: Colour, host: Host, *, streamed: bool, content: str = "Hi") -> Seen:
    """Chat, and see that it ended in a TimeoutError, and in time."""
    began = time.monotonic()
    messages = [{"role": "user", "content": content}]
    seen = (colour.parts if streamed else colour.attempt)("chat_stream" if streamed else "chat", host, "m", messages)
    passed = time.monotonic() - began
    assert type(seen.error) is TimeoutError, seen
    assert isinstance(seen.error, builtins.TimeoutError)
    assert seen.error.after is not None
    assert seen.error.after * 0.9 < passed < seen.error.after * 10 + 5, f"it took {passed} s"
    assert seen.partial == seen.error.partial
    return seen


def facts(seen: Seen) -> tuple[str | None, float | None]:
    """Give what the error says about its limit."""
    assert isinstance(seen.error, TimeoutError)
    return seen.error.limit, seen.error.after


streamed = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


# --- each limit ------------------------------------------------------------------------------------------------------


@streamed
@pytest.mark.parametrize("limit", ["connect", "total"])
def test_no_connection(both: Colour, over: str, limit: str, *, streamed: bool) -> None:
    with full_listener() as port:
        host = Host(f"127.0.0.1:{port}", timeout=replace(Timeout(connect=None), **{limit: SHORT}))
        seen = ask(both, host, streamed=streamed)
    assert facts(seen) == (limit, SHORT)
    what = {"connect": "no connection", "total": "the answer was not whole"}[limit]
    assert f"{what} within 0.2 s (Timeout.{limit}); nothing had arrived" in str(seen.error)


@pytest.mark.parametrize("limit", ["connect", "total"])
def test_a_name_with_many_addresses_has_the_limit_for_all(
    both: Colour, over: str, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = [f"127.0.0.{number}" for number in range(1, 9)]
    with full_listener("0.0.0.0") as port:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
        host = Host(f"http://name.test:{port}", timeout=replace(Timeout(connect=None), **{limit: 2.0}))
        began = time.monotonic()
        seen = ask(both, host, streamed=False)
        passed = time.monotonic() - began
    assert facts(seen) == (limit, 2.0)
    assert passed < 4, f"each address had a share of its own: {passed} s"


def test_looking_a_name_up_and_connecting_have_the_limit_together(over: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with full_listener() as port:

        async def look_up(*_args: Any, **_options: Any) -> Any:
            await asyncio.sleep(3)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", look_up)
        host = Host(f"http://name.test:{port}", timeout=Timeout(connect=4))
        began = time.monotonic()
        seen = ask(Colour(asynchronous=True), host, streamed=False)
        passed = time.monotonic() - began
    assert facts(seen) == ("connect", 4)
    assert passed < 6, f"the connection had a limit of its own: {passed} s"


@pytest.mark.parametrize("answer", [b"HTTP/1", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n"])
def test_a_server_that_answers_early_and_takes_no_more(both: Colour, over: str, answer: bytes) -> None:
    with deaf_listener(answer) as url:
        host = Host(url, timeout=Timeout(write=SHORT * 2, first_part=STALL))
        seen = ask(both, host, streamed=False, content="x" * (32 << 20))
    assert facts(seen) == ("write", SHORT * 2)


@pytest.mark.parametrize(("piece", "pause"), [(b"x" * (1 << 20), 0.0), (b"x", SHORT)], ids=["flood", "drops"])
def test_a_file_is_not_taken_by_a_server_that_only_talks(
    both: Colour, over: str, tmp_path: Path, piece: bytes, pause: float
) -> None:
    """What it says is neither read without end nor takes it for a server that takes the file."""
    file = tmp_path / "model.gguf"
    with file.open("wb") as opened:
        opened.truncate(64 << 20)
    over_now = threading.Event()
    said = 0

    def refuse(peer: Peer) -> None:
        peer.hear()
        peer.say(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def talk(peer: Peer) -> None:
        nonlocal said
        peer.hear()
        peer.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while said < 256 << 20:
            peer.say(piece)
            said += len(piece)
            if over_now.wait(pause):
                return

    with served(refuse, talk) as (url, _):
        host = Host(url, timeout=Timeout(write=SHORT * 4, total=STALL))
        seen = both.attempt("create_blob", host, file)
        over_now.set()
    assert facts(seen) == ("write", SHORT * 4)
    assert said < 64 << 20, f"{said >> 20} MiB were read for which nobody asked"


def test_a_large_body_that_is_taken_slowly_but_steadily_is_sent(both: Colour, over: str) -> None:
    """The limit is for a silence, and not for all of it."""

    def talk(peer: Peer) -> None:
        peer.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        peer.hear()
        for _ in range(64):
            peer.swallow(1 << 18)
            time.sleep(0.05)
        peer.swallow((1 << 20) - (1 << 17))  # some came with the head
        peer.say(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"model":"m","response":"","done":true}')
        peer.half_close()
        peer.swallow()

    with served(talk) as (url, _):
        host = Host(url, timeout=Timeout(write=1.5, total=STALL))
        seen = both.attempt("generate", host, "m", "x" * (17 << 20))
    assert seen.error is None, seen.error


def test_a_large_body_in_pieces_is_still_there_to_look_at(both: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    """As tools do that stand in for httpx's own transports."""
    import httpx

    text = "x" * 200_000
    found: list[tuple[bytes, list[int]]] = []

    def answer(content: bytes, sizes: list[int]) -> httpx.Response:
        found.append((content, sizes))
        return httpx.Response(200, json={"model": "m", "response": "", "done": True})

    def handle(_self: object, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        return answer(request.content, [len(piece) for piece in request.stream])

    async def handle_async(_self: object, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        return answer(request.content, [len(piece) async for piece in request.stream])

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle_async)
    seen = both.attempt("generate", Host("http://ollama.test"), "m", text)
    assert seen.error is None, seen.error
    ((content, sizes),) = found
    assert json.loads(content)["prompt"] == text
    assert sum(sizes) == len(content)
    assert max(sizes) == 65_536


def test_a_server_that_half_closes_and_takes_no_more(both: Colour, over: str) -> None:
    with deaf_listener(half_closes=True) as url:
        host = Host(url, timeout=Timeout(write=SHORT * 2, first_part=STALL))
        began = time.monotonic()
        seen = both.attempt("generate", host, "m", "x" * (32 << 20))
        passed = time.monotonic() - began
    assert isinstance(seen.error, TransportError)  # asyncio sees at once that no answer can come
    assert passed < STALL / 2


@pytest.mark.fast
def test_a_refusal_behind_an_interim_head_ends_a_request_that_is_not_taken(both: Colour) -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    with deaf_listener(b"HTTP/1.1 100 Continue\r\n\r\n", refusal) as url:
        seen = both.attempt("generate", Host(url, timeout=Timeout(write=STALL)), "m", "x" * (32 << 20))
    assert isinstance(seen.error, ResponseError)
    assert seen.error.status == 413


@streamed
@pytest.mark.parametrize("limit", ["connect", "write", "total"])
def test_the_server_takes_no_more(both: Colour, over: str, limit: str, *, streamed: bool) -> None:
    with deaf_listener() as url:
        host = Host(url, timeout=replace(Timeout(connect=None), **{limit: SHORT}))
        seen = ask(both, host, streamed=streamed, content="x" * (32 << 20))
    limit = "write" if limit == "connect" else limit  # which it follows
    assert facts(seen) == (limit, SHORT)
    what = {"write": "the server took no more of the request", "total": "the answer was not whole"}[limit]
    assert f"{what} within 0.2 s (Timeout.{limit}); nothing had arrived" in str(seen.error)


@streamed
@pytest.mark.parametrize("limit", ["first_part", "total"])
def test_no_first_part(both: Colour, over: str, limit: str, *, streamed: bool) -> None:
    with replay(respond=silent) as server:
        seen = ask(both, Host(server.url, timeout=replace(Timeout(), **{limit: SHORT})), streamed=streamed)
    assert facts(seen) == (limit, SHORT)
    what = {"first_part": "no answer", "total": "the answer was not whole"}[limit]
    assert f"{what} within 0.2 s (Timeout.{limit}); nothing had arrived" in str(seen.error)


@streamed
@pytest.mark.parametrize("limit", ["idle", "total"])
def test_no_further_part(both: Colour, over: str, limit: str, *, streamed: bool) -> None:
    with replay(respond=silent_after_a_part) as server:
        timeout = replace(Timeout(first_part=30), **{limit: 1.0})
        seen = ask(both, Host(server.url, timeout=timeout), streamed=streamed)
    assert facts(seen) == (limit, 1.0)
    part = "no further part" if streamed else "no more of the answer"
    what = {"idle": part, "total": "the answer was not whole"}[limit]
    arrived = "1 part had arrived" if streamed else "no more than its beginning had arrived"
    assert f"{what} within 1 s (Timeout.{limit}); {arrived}" in str(seen.error)
    assert len(seen.parts) == (1 if streamed else 0)
    assert seen.partial == (seen.parts[0] if streamed else None)


@pytest.mark.parametrize("limit", ["connect", "pool", "total"])
def test_no_free_connection(both: Colour, over: str, limit: str) -> None:
    def blocking(host: Host, short: Host) -> None:
        with ollama_fast.chat_stream(host, "m") as stream:
            next(stream)
            ollama_fast.version(short)

    async def on_a_loop(host: Host, short: Host) -> None:
        async with aio.chat_stream(host, "m") as stream:
            await anext(stream)
            await aio.version(short)

    with replay(respond=silent_after_a_part) as server:
        host = Host(server.url, limits=Limits(max_connections=1), timeout=Timeout(connect=None))
        short = host.with_options(timeout=replace(host.timeout, **{limit: SHORT}))
        with pytest.raises(TimeoutError) as caught:
            asyncio.run(on_a_loop(host, short)) if both.asynchronous else blocking(host, short)
    limit = "pool" if limit == "connect" else limit  # which it follows
    assert facts(Seen(error=caught.value)) == (limit, SHORT)
    what = {
        "pool": "none of the 1 connections became free within 0.2 s (Timeout.pool, Limits.max_connections)",
        "total": "the answer was not whole within 0.2 s (Timeout.total)",
    }[limit]
    assert f"{what}; nothing had arrived" in str(caught.value)


@pytest.mark.parametrize("limit", ["connect", "total"])
def test_no_address_on_an_event_loop(over: str, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look_up(*_args: Any, **_options: Any) -> Any:
        await asyncio.sleep(STALL)

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", look_up)
    host = Host("http://name.test", timeout=replace(Timeout(connect=None), **{limit: SHORT}))
    seen = ask(Colour(asynchronous=True), host, streamed=False)
    assert facts(seen) == (limit, SHORT)


def test_a_clients_own_limit_is_none_of_ours(both: Colour) -> None:
    import httpx

    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("", request=request)

    seen = both.attempt("version", both.mock(fail, base_url="http://h"))
    assert facts(seen) == (None, None)
    assert "the client's own timeout ran out (ReadTimeout); nothing had arrived" in str(seen.error)


# --- the time for all of it ------------------------------------------------------------------------------------------


@streamed
def test_the_total_holds_while_bytes_dribble_in(both: Colour, over: str, *, streamed: bool) -> None:
    with replay(respond=dribbling) as server:
        seen = ask(both, Host(server.url, timeout=Timeout(total=1.0)), streamed=streamed)
    assert facts(seen) == ("total", 1.0)
    if streamed:
        count = len(seen.parts)
        assert count > 1
        assert f"(Timeout.total); {count} parts had arrived" in str(seen.error)
        assert seen.partial is not None
        assert seen.partial["message"]["content"] == "Hel" * count


DRIPS: Final = {
    "size": (b"", b"0"),
    "extension": (b"1;", b"x"),
    "trailer": (b"0\r\na:", b"x"),
}


@streamed
@pytest.mark.parametrize("what", DRIPS)
def test_the_total_holds_while_what_is_no_part_dribbles_in(
    both: Colour, over: str, what: str, *, streamed: bool
) -> None:
    begins, more = DRIPS[what]

    def respond(_request: Received) -> Iterator[bytes | float]:
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + begins
        for _ in range(200):
            yield more
            yield 0.05

    with replay(respond=respond) as server:
        seen = ask(both, Host(server.url, timeout=Timeout(total=SHORT)), streamed=streamed)
    assert facts(seen) == ("total", SHORT)


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 200 OK\r\n"], ids=["interim heads", "a head"])
@pytest.mark.parametrize("limit", ["first_part", "total"])
@streamed
def test_a_head_that_dribbles_in_is_ended(
    both: Colour, over: str, limit: str, begins: bytes, *, streamed: bool
) -> None:
    def respond(_request: Received) -> Iterator[bytes | float]:
        yield begins
        for _ in range(400):
            yield b"a: b\r\n" if begins else b"HTTP/1.1 102 Processing\r\n\r\n"
            yield 0.05

    with replay(respond=respond) as server:
        seen = ask(both, Host(server.url, timeout=replace(Timeout(), **{limit: SHORT})), streamed=streamed)
    assert facts(seen) == (limit, SHORT)


TLS: Final = b"\x15\x03\x01\x00\x02\x02\x46"


@pytest.mark.parametrize(
    "greeting",
    [pytest.param(TLS, id="TLS"), pytest.param(b"SSH-2.0-x\r\n", id="SSH", marks=pytest.mark.fast)],
)
@streamed
def test_who_speaks_another_protocol_is_not_waited_for(both: Colour, greeting: bytes, *, streamed: bool) -> None:
    with deaf_listener(greeting) as url:
        host = Host(url, timeout=Timeout(total=STALL))
        seen = both.parts("generate_stream", host, "m") if streamed else both.attempt("generate", host, "m")
    assert type(seen.error) is TransportError
    assert "does something other than HTTP listen there" in str(seen.error)


@pytest.mark.fast
def test_the_total_holds_while_a_file_is_sent(both: Colour, tmp_path: Path) -> None:
    def slow(peer: Peer) -> None:
        peer.hear()
        peer.say(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")  # it has not the file
        peer.hear()
        while peer.connection.recv(1 << 20):
            time.sleep(0.05)

    file = tmp_path / "weights"
    with file.open("wb") as opened:
        opened.truncate(512 << 20)
    with served(slow) as (url, _):
        host = Host(url, timeout=Timeout(total=0.5))
        began = time.monotonic()
        seen = both.attempt("create_blob", host, file, digest="sha256:" + "0" * 64)
        passed = time.monotonic() - began
    assert type(seen.error) is TimeoutError, seen
    assert facts(seen) == ("total", 0.5)
    assert passed < 10


def test_the_total_counts_over_redirects(both: Colour, over: str) -> None:
    def respond(_request: Received) -> Iterator[bytes | float]:
        yield 0.5
        yield b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /api/chat\r\nContent-Length: 0\r\n\r\n"

    with replay(respond=respond) as server:
        seen = ask(both, Host(server.url, timeout=Timeout(total=2.2)), streamed=False)
        assert facts(seen) == ("total", 2.2)
        assert 1 < len(server.requests) < 6


def test_the_total_counts_over_attempts(both: Colour, over: str) -> None:
    def respond(_request: Received) -> Iterator[bytes | float]:
        yield b"HTTP/1.1 503 Busy\r\nRetry-After: 15\r\nContent-Length: 0\r\n\r\n"

    with replay(respond=respond) as server:
        seen = both.attempt("version", Host(server.url, timeout=Timeout(total=10), retry=3))
        assert type(seen.error) is ResponseError  # at once: there is no time for another attempt
        assert len(server.requests) == 1


def test_the_total_is_for_each_request_of_several(both: Colour, over: str) -> None:
    def respond(request: Received) -> Iterator[bytes | float]:
        call = {"function": {"name": "now", "arguments": {}}}
        answered = request.json["messages"][-1]["role"] == "tool"
        message = (
            {"role": "assistant", "content": "Noon."}
            if answered
            else {"role": "assistant", "content": "", "tool_calls": [call]}
        )
        yield 0.6
        body = ollama_body(message)
        yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    def now() -> str:
        """Give the time of day."""
        return "12:00"

    with replay(respond=respond) as server:
        host = Host(server.url, timeout=Timeout(total=1.0))
        done = both.whole("run_tools", host, "m", [{"role": "user", "content": "When?"}], [now])
    assert done.answer["message"]["content"] == "Noon."


def ollama_body(message: dict[str, Any]) -> bytes:
    """Give a whole answer of chat."""
    import json

    return json.dumps({"model": "m", "created_at": "", "message": message, "done": True}).encode()


def test_the_time_goes_on_while_the_caller_does_something_else(both: Colour, over: str) -> None:
    def blocking(host: Host) -> list[Any]:
        parts: list[Any] = []
        with ollama_fast.chat_stream(host, "m") as stream:
            parts.append(next(stream))
            time.sleep(1.3)
            parts += stream
        return parts

    async def on_a_loop(host: Host) -> list[Any]:
        parts: list[Any] = []
        async with aio.chat_stream(host, "m") as stream:
            parts.append(await anext(stream))
            await asyncio.sleep(1.3)
            parts += [part async for part in stream]
        return parts

    with replay(respond=dribbling) as server:
        host = Host(server.url, timeout=Timeout(total=1.0))
        with pytest.raises(TimeoutError) as caught:
            asyncio.run(on_a_loop(host)) if both.asynchronous else blocking(host)
    assert facts(Seen(error=caught.value)) == ("total", 1.0)
    assert caught.value.partial is not None


@pytest.mark.fast
def test_on_an_event_loop_the_connection_ends_with_the_time() -> None:
    """Also if nobody waits for the stream then."""

    async def main(url: str, abandoned: list[Received]) -> None:
        async with aio.chat_stream(Host(url, timeout=Timeout(total=1.0)), "m") as stream:
            await anext(stream)
            deadline = time.monotonic() + GENEROUS
            while not abandoned:
                assert time.monotonic() < deadline, "the server saw no end"
                await asyncio.sleep(0.02)

    with replay(respond=silent_after_a_part) as server:
        asyncio.run(main(server.url, server.abandoned))


def test_what_is_in_time_is_left_alone(both: Colour, over: str) -> None:
    """So is the next request on the same connection, which begins when the time of the first is over."""

    def respond(request: Received) -> Iterator[bytes | float]:
        yield VERSION if request.path == "/api/version" else HEAD + PART + LAST + END

    def blocking(host: Host) -> list[Any]:
        parts = list(ollama_fast.chat_stream(host, "m"))
        time.sleep(1.2)
        assert ollama_fast.version(host.with_options(timeout=None)) == {"version": "0.1"}
        return parts

    async def on_a_loop(host: Host) -> list[Any]:
        parts = [part async for part in aio.chat_stream(host, "m")]
        await asyncio.sleep(1.2)
        assert await aio.version(host.with_options(timeout=None)) == {"version": "0.1"}
        return parts

    with replay(respond=respond) as server:
        host = Host(server.url, timeout=Timeout(total=1.0))
        parts = asyncio.run(on_a_loop(host)) if both.asynchronous else blocking(host)
        assert [part["done"] for part in parts] == [False, True]
        eventually(lambda: server.connections == 1)


# --- the values ------------------------------------------------------------------------------------------------------


def test_a_number_is_for_each_wait_and_none_is_no_limit() -> None:
    assert Host(timeout=3).timeout == Timeout(3, 3, 3)
    assert Host(timeout=None).timeout == Timeout(None, None, None)
    assert Host().with_options(timeout=7).timeout == Timeout(7, 7, 7)
    assert Timeout.of(30).total is None


@dataclass(frozen=True)
class Endpoint:
    """A request, and the seconds that it lets pass between two parts."""

    request: Any
    idle: float | None


@pytest.mark.parametrize(
    "endpoint",
    [
        Endpoint(_endpoints.generate("m"), 120),
        Endpoint(_endpoints.chat("m"), 120),
        Endpoint(_endpoints.pull("m"), None),
        Endpoint(_endpoints.push("m"), None),
        Endpoint(_endpoints.create_from("m", {}, None), None),
    ],
    ids=lambda endpoint: endpoint.request.path,
)
def test_each_endpoint_has_its_own_idle_limit(endpoint: Endpoint) -> None:
    assert endpoint.request.idle == endpoint.idle


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_copy_of_an_error_says_the_same(copied: Any) -> None:
    error = TimeoutError("late", limit="idle", after=2.0, method="GET", url="http://h", partial={"done": False})
    again = copied(error)
    assert type(again) is TimeoutError
    assert isinstance(again, TransportError)
    assert str(again) == "late"
    assert vars(again) == vars(error)
    assert isinstance(error, OllamaError)
