"""What the mocked transport says is what httpx's own says of the running server: head, bytes and exceptions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import mocked
from exchange import Exchange, load_all
from ollama_fast.testing._recording import Upload
from replay import RUNNING, HangUpError, Received, ReplayServer, Respond, replay

pytestmark = pytest.mark.mocked

HERE = Path(__file__).parent
EXCHANGES = load_all() | load_all(HERE / "faults") | load_all(HERE / "newer")

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
REPLIES: dict[str, list[bytes]] = {
    "in many writes": [HEAD[:5], HEAD[5:] + b"Content-", b"Length: 5\r\n\r", b"\nHel", b"lo"],
    "chunks cut anywhere": [CHUNKED + b"5\r\nHel", b"lo\r", b"\n1", b"0\r\n0123456789abcdef\r\n0\r\n", b"\r\n"],
    "a chunk's extension and a trailer": [CHUNKED + b"5;x=y\r\nHello\r\n0\r\nX-Digest: 1\r\n\r\n"],
    "until the connection ends": [HEAD + b"Connection: close\r\n\r\nHello", b", you"],
    "HTTP/1.0": [b"HTTP/1.0 200 Fine\r\nX-A: 1\r\nX-A: 2\r\n\r\nHello"],
    "early hints": [b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HEAD + b"Content-Length: 2\r\n\r\nHi"],
    "no content": [b"HTTP/1.1 204 No Content\r\n\r\n"],
    "nothing": [],
    "half a head": [HEAD],
    "no head": [b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n"],
    "no chunk": [CHUNKED + b"five\r\nHello\r\n"],
    "half a chunk": [CHUNKED + b"5\r\nHel"],
    "no last chunk": [CHUNKED + b"5\r\nHello\r\n"],
    "less than its length": [HEAD + b"Content-Length: 9\r\n\r\nHello"],
}


def ask(transport: httpx.BaseTransport, request: httpx.Request) -> tuple[Any, ...]:
    """Give all that there is of a response, or the exception and its words."""
    with httpx.Client(transport=transport, trust_env=False, timeout=5) as client:
        try:
            response = client.send(request, stream=True)
        except httpx.TransportError as exc:
            return type(exc), str(exc)
        body = b""
        error: httpx.TransportError | None = None
        try:
            for chunk in response.iter_raw():
                body += chunk
        except httpx.TransportError as exc:
            error = exc
        response.close()
        told = {name: response.extensions[name] for name in ("http_version", "reason_phrase")}
        return response.status_code, response.headers.raw, told, body, type(error), str(error)


def chunks_by_asyncio(request: httpx.Request) -> list[bytes]:
    async def run() -> list[bytes]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(mocked.answer)) as client:
            response = await client.send(request, stream=True)
            return [chunk async for chunk in response.aiter_raw()]

    return asyncio.run(run())


def check_both(server: ReplayServer, make: Callable[[], httpx.Request]) -> None:
    by_socket = ask(httpx.HTTPTransport(), make())
    assert server.connections == 1
    assert ask(httpx.MockTransport(mocked.answer), make()) == by_socket
    assert server.connections == 1
    asked, mocked_too = server.requests
    assert mocked_too == asked


def request_of(exchange: Exchange, server: ReplayServer) -> httpx.Request:
    body = exchange.request.body
    given: dict[str, Any] = {"content": b"x" * body.length} if isinstance(body, Upload) else {"json": body}
    return httpx.Request(exchange.request.method, server.url + exchange.request.path, **given)


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_reply_is_what_it_is_over_a_socket(name: str) -> None:
    exchange = EXCHANGES[name]
    with replay([exchange], pace="fast", strict=False) as server:
        check_both(server, lambda: request_of(exchange, server))


@pytest.mark.parametrize("name", EXCHANGES)
def test_chunks_are_as_they_were_cut(name: str) -> None:
    exchange = EXCHANGES[name]
    kept = exchange.request.method != "HEAD"
    expected = [chunk.data for chunk in exchange.response.chunks if chunk.data and kept]
    with replay([exchange], pace="fast", strict=False) as server:
        assert chunks_by_asyncio(request_of(exchange, server)) == expected


def and_then(pieces: list[bytes], end: Exception) -> Respond:
    def respond(_request: Received) -> Iterator[bytes]:
        yield from pieces
        raise end

    return respond


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("pieces", REPLIES.values(), ids=REPLIES)
def test_whatever_is_sent_is_what_it_is_over_a_socket(pieces: list[bytes], method: str) -> None:
    with replay(respond=and_then(pieces, HangUpError())) as server:
        check_both(server, lambda: httpx.Request(method, f"{server.url}/a?b=c", headers={"X-A": "1"}))


@pytest.mark.parametrize("pieces", [[], [HEAD]], ids=["at once", "inside the head"])
def test_a_broken_connection_is_what_it_is_over_a_socket(pieces: list[bytes]) -> None:
    with replay(respond=and_then(pieces, HangUpError(reset=True))) as server:
        check_both(server, lambda: httpx.Request("GET", server.url))


@pytest.mark.parametrize("size", [0, 1 << 20, (1 << 20) + 1])
def test_a_body_of_any_size_is_known_as_the_server_knows_it(size: int) -> None:
    with replay(respond=lambda _request: [b"HTTP/1.1 204 No Content\r\n\r\n"]) as server:
        check_both(server, lambda: httpx.Request("POST", server.url, content=b"x" * size))


def test_what_goes_wrong_in_a_respond_is_raised() -> None:
    class OwnError(Exception):
        pass

    with replay(respond=and_then([CHUNKED, b"5\r\nHello\r\n"], OwnError())) as server, pytest.raises(OwnError):
        ask(httpx.MockTransport(mocked.answer), httpx.Request("GET", server.url))


def test_a_respond_ends_with_its_response() -> None:
    ended: list[bool] = []

    def respond(_request: Received) -> Iterator[bytes]:
        try:
            yield CHUNKED
            yield b"5\r\nHello\r\n"
        finally:
            ended.append(True)

    with (
        replay(respond=respond) as server,
        httpx.Client(transport=httpx.MockTransport(mocked.answer)) as client,
        client.stream("GET", server.url),
    ):
        assert ended == []
    assert ended == [True]


def test_a_reply_that_never_ends_is_a_timeout() -> None:
    with replay(respond=lambda _request: [CHUNKED, 1.0]) as server:
        *_, error, _words = ask(httpx.MockTransport(mocked.answer), httpx.Request("GET", server.url))
        assert error is httpx.ReadTimeout


def test_where_no_server_runs_a_connection_is_refused() -> None:
    with replay() as server:
        assert {server.url: server} == RUNNING
    assert RUNNING == {}
    request = httpx.Request("GET", server.url)
    over_mock = ask(httpx.MockTransport(mocked.answer), request)
    assert over_mock == ask(httpx.HTTPTransport(), request)
    assert over_mock[0] is httpx.ConnectError
