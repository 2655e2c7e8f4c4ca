"""Whatever httpx raises, an error of this package comes out: in both colours, whole and streamed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

import ollama_fast
from colours import Colour
from ollama_fast import Host, Timeout, _endpoints, aio, errors
from ollama_fast._exchange import Exchange
from ollama_fast._failures import failure
from ollama_fast._upload import Upload
from ollama_fast.errors import OllamaError
from replay import Received, replay

RAISED: list[type[Exception]] = [
    kind
    for kind in vars(httpx).values()
    if isinstance(kind, type) and issubclass(kind, httpx.HTTPError | httpx.StreamError | httpx.InvalidURL)
]
MADE = {"HTTPStatusError": {"request": httpx.Request("GET", "http://h"), "response": httpx.Response(500)}}


def make(kind: type[Exception]) -> Exception:
    if kind in (httpx.StreamConsumed, httpx.StreamClosed, httpx.ResponseNotRead, httpx.RequestNotRead):
        return kind()
    return kind("what httpx says", **MADE.get(kind.__name__, {}))


@pytest.mark.mocked
@pytest.mark.parametrize("kind", RAISED, ids=lambda kind: kind.__name__)
def test_what_httpx_raises_is_an_error_of_ours(both: Colour, kind: type[Exception]) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise make(kind)

    for function in ("chat", "chat_stream"):
        client = both.mock(fail, base_url="http://h")
        call = both.parts if function.endswith("_stream") else both.attempt
        error = call(function, client, "m").error
        assert isinstance(error, OllamaError)
        assert isinstance(error.__cause__, kind)
        assert "POST http://h/api/chat for model 'm': " in str(error)
        assert issubclass(kind, httpx.TimeoutException) == isinstance(error, errors.TimeoutError)


@pytest.mark.mocked
def test_what_a_hook_of_the_callers_raises_is_the_callers(both: Colour) -> None:
    class OwnError(ValueError):
        pass

    def fail(_request: httpx.Request) -> None:
        raise OwnError("mine")

    async def fail_later(request: httpx.Request) -> None:
        fail(request)

    hooks = {"request": [fail_later if both.asynchronous else fail]}
    for function in ("chat", "chat_stream"):
        client = both.mock(lambda _request: httpx.Response(200), base_url="http://h", event_hooks=hooks)
        with pytest.raises(OwnError, match="mine"):
            (both.parts if function.endswith("_stream") else both.whole)(function, client, "m")


LIMITS = {
    httpx.ConnectTimeout: "connect",
    httpx.PoolTimeout: "connect",
    httpx.WriteTimeout: "connect",
    httpx.ReadTimeout: "first_part",
}


@pytest.mark.parametrize("kind", LIMITS, ids=lambda kind: kind.__name__)
def test_a_timeout_without_a_limit_is_the_operating_systems(kind: type[httpx.TimeoutException]) -> None:
    exchange = Exchange(Host(timeout=None), _endpoints.version(), stream=False)
    assert "the operating system gave the connection up" in str(failure(exchange, kind("")))
    exchange = Exchange(Host(timeout=Timeout(7, 7, 7)), _endpoints.version(), stream=False)
    assert " within 7 s (" in str(failure(exchange, kind("")))


@pytest.mark.mocked
def test_what_breaks_the_rules_of_http_is_not_shown(both: Colour) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.LocalProtocolError("Illegal header value b'Bearer geheim '", request=request)

    error = both.attempt("version", both.mock(fail, base_url="http://h")).error
    assert type(error) is errors.TransportError
    assert "geheim" not in str(error)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://s3.example/x?X-Signature=geheim#geheim", "https://s3.example/x,"),
        ("https://ada:geheim@s3.example/x", "https://s3.example/x,"),
        ("http://[", "http://[,"),
    ],
)
def test_a_redirect_that_is_not_followed_shows_no_secret(both: Colour, location: str, shown: str) -> None:
    def respond(_request: Received) -> Generator[bytes]:
        yield b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % location.encode()

    with replay(respond=respond) as server:
        host = Host(server.url, limits=ollama_fast.Limits(max_connections=1))
        for _ in range(3):  # each gives its connection back
            error = both.attempt("show", host, "m").error
            assert type(error) is errors.ResponseError
            assert f"redirects to {shown}" in str(error)
            assert "geheim" not in str(error)


def test_redirects_without_end_are_an_error(both: Colour) -> None:
    def respond(_request: Received) -> Generator[bytes]:
        yield b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"

    with replay(respond=respond) as server:
        seen = both.attempt("show", server.url, "m")
        assert "more than 5 redirects" in str(seen.error)
        assert len(server.requests) == 6


def test_a_cancelled_upload_is_a_cancellation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(self: Upload) -> Generator[bytes]:
        yield b"x"
        time.sleep(1)
        yield b"y"

    monkeypatch.setattr(Upload, "__iter__", slow)
    file = tmp_path / "file"
    file.write_bytes(b"xy")

    def respond(request: Received) -> Generator[bytes]:
        yield b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

    async def run(url: str) -> None:
        async with asyncio.timeout(0.3):
            await aio.create_blob(url, file)

    with replay(respond=respond) as server, pytest.raises(TimeoutError):
        asyncio.run(run(server.url))


@pytest.mark.mocked
def test_an_upload_can_be_sent_again_for_a_clients_auth(both: Colour, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"GGUF")
    seen: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "HEAD":
            return httpx.Response(404)
        if "authorization" not in request.headers:
            return httpx.Response(401, headers={"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'})
        seen.append(request.content)
        return httpx.Response(201)

    async def answer_later(request: httpx.Request) -> httpx.Response:
        await request.aread()
        return answer(request)

    def answer_now(request: httpx.Request) -> httpx.Response:
        request.read()
        return answer(request)

    handler: Any = answer_later if both.asynchronous else answer_now
    client = both.mock(handler, base_url="http://h", auth=httpx.DigestAuth("ada", "pw"))
    both.whole("create_blob", client, file)
    assert seen == [b"GGUF"]


@pytest.mark.parametrize("host", ["a..b", ".", "x" * 64 + ".example", "a/../b?c"])
def test_a_name_that_no_resolver_takes_is_a_host_error(both: Colour, host: str) -> None:
    for function in ("version", "is_running"):
        with pytest.raises(errors.HostError):
            both.whole(function, host)


@pytest.mark.mocked
def test_a_stream_is_opened_once(both: Colour) -> None:
    requests: list[httpx.Request] = []

    def fail(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        raise httpx.ConnectError("refused", request=request)

    client = both.mock(fail, base_url="http://h")
    stream = both.module.chat_stream(client, "m")

    def twice() -> None:
        with pytest.raises(errors.ConnectError):
            next(stream)
        with pytest.raises(errors.ConnectError), stream:
            list(stream)

    async def twice_later() -> None:
        with pytest.raises(errors.ConnectError):
            await anext(stream)
        with pytest.raises(errors.ConnectError):
            async with stream:
                await anext(stream)

    if both.asynchronous:
        asyncio.run(twice_later())
    else:
        twice()
    assert len(requests) == 1
