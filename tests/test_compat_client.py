"""
Clients of `ollama_fast.compat` behave as those of `ollama`, of which each test asks the same where it is right.

What is asked of ours alone is what the genuine package gets wrong.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import logging
import os
import pickle
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import nullcontext
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import AsyncMock, Mock

import httpx
import pydantic
import pytest

from ollama_fast import _certificates
from ollama_fast.compat._direct import Direct
from packages import OF_OURS, OURS, PACKAGES, Package, on_a_loop, says
from replay import HangUpError, Received, replay

each: Final = pytest.mark.parametrize("package", PACKAGES, ids=str)
of_asyncio: Final = pytest.mark.parametrize("package", [each for each in PACKAGES if each.colour == "asyncio"], ids=str)
ours: Final = pytest.mark.parametrize("package", OF_OURS, ids=str)

MESSAGES: Final = [{"role": "user", "content": "Hi!"}]
MISSING: Final = "http://127.0.0.1:1"
"""Where nobody listens."""


def part(text: str, *, done: bool = False, **more: Any) -> bytes:
    said = {"model": "m", "message": {"role": "assistant", "content": text}, "done": done, **more}
    return json.dumps(said).encode() + b"\n"


STREAM: Final = (part("a"), part("b"), part("", done=True, done_reason="stop"))
WHOLE: Final = part("ab", done=True)


def text_of(parts: list[Any]) -> str:
    return "".join(part.message.content for part in parts)


# --- what is sent ----------------------------------------------------------------------------------------------------


class Seen:
    """Stands in for `_request`, as wrappers of it do, and sees what it is called with."""

    def __init__(self, patch: pytest.MonkeyPatch, package: Package) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        kind = package.module.Client if package.colour == "blocking" else package.module.AsyncClient
        inner = kind._request

        def request(client: Any, *args: Any, **kwargs: Any) -> Any:
            self.calls.append((args, kwargs))
            return inner(client, *args, **kwargs)

        patch.setattr(kind, "_request", request)


@each
@pytest.mark.parametrize("stream", [False, True])
@on_a_loop
async def test_wrappers_of_request_see_path_and_body(
    package: Package, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen(monkeypatch, package)
    with replay(respond=says(*STREAM) if stream else says(WHOLE)) as server:
        client = package.client(server.url)
        await package.get(client.chat("m", MESSAGES, stream=stream, options={"seed": 1}))
        await package.get(client.generate("m", "Hi!", stream=stream))
    chat, generate = seen.calls
    assert chat[0] == (package.module.ChatResponse, "POST", "/api/chat")
    assert chat[1] == {
        "json": {"model": "m", "messages": MESSAGES, "tools": [], "stream": stream, "options": {"seed": 1}},
        "stream": stream,
    }
    assert generate[0][1:] == ("POST", "/api/generate")
    assert generate[1] == {"json": {"model": "m", "prompt": "Hi!", "stream": stream}, "stream": stream}


@each
@on_a_loop
async def test_a_request_of_a_caller_s_own(package: Package) -> None:
    with replay(respond=says(b'{"version":"1"}')) as server:
        client = package.client(server.url)
        found = await package.get(client._request(dict, "GET", "/api/version"))
        assert found == {"version": "1"}
        await package.get(client._request_raw("POST", "/api/x", json={"a": [None]}, headers={"X-A": "b"}))
    assert (server.requests[1].path, server.requests[1].json) == ("/api/x", {"a": [None]})
    assert server.requests[1].header("X-A") == "b"


@each
@on_a_loop
async def test_headers_of_every_request(package: Package) -> None:
    with replay(respond=says(WHOLE)) as server:
        client = package.client(server.url, headers={"X-Mine": "1", "Content-Type": "text/plain"})
        await package.get(client.chat("m", MESSAGES))
        client._client.headers["X-Later"] = "2"
        await package.get(client.chat("m", MESSAGES))
    first, second = server.requests
    sent = {name.lower(): value for name, value in first.headers}
    assert {"x-mine", "content-type", "accept", "user-agent", "host", "connection", "accept-encoding"} <= sent.keys()
    assert (sent["content-type"], sent["accept"], sent["x-mine"]) == ("application/json", "application/json", "1")
    assert sent["user-agent"].startswith("ollama-python/0.6.3 (")
    assert first.header("X-Later") is None
    assert second.header("X-Later") == "2"


@each
@on_a_loop
async def test_a_changed_url_counts(package: Package) -> None:
    with replay(respond=says(WHOLE)) as server, replay(respond=says(WHOLE)) as other:
        client = package.client(server.url)
        await package.get(client.chat("m", MESSAGES))
        client._client.base_url = f"{other.url}/below"
        await package.get(client.chat("m", MESSAGES))
    assert [request.path for request in (*server.requests, *other.requests)] == ["/api/chat", "/below/api/chat"]


@each
@on_a_loop
async def test_a_blob_is_sent_as_it_is(package: Package, tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(b"x" * 100_000)
    with replay(respond=says(status="201 Created")) as server:
        digest = await package.get(package.client(server.url).create_blob(path))
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", f"/api/blobs/{digest}")
    assert (request.length, f"sha256:{request.sha256}") == (100_000, digest)


@each
@on_a_loop
async def test_what_has_no_answer_has_a_status(package: Package) -> None:
    with replay(respond=says()) as server:
        client = package.client(server.url)
        assert (await package.get(client.delete("m"))).status == "success"
        assert (await package.get(client.copy("m", "n")))["status"] == "success"
    assert [(r.method, r.path, r.json) for r in server.requests] == [
        ("DELETE", "/api/delete", {"model": "m"}),
        ("POST", "/api/copy", {"source": "m", "destination": "n"}),
    ]


# --- streams ---------------------------------------------------------------------------------------------------------


@each
@on_a_loop
async def test_a_stream_is_a_lazy_iterator(package: Package) -> None:
    with replay(respond=says(*STREAM)) as server:
        stream = await package.get(package.client(server.url).chat("m", MESSAGES, stream=True))
        assert isinstance(stream, Iterator if package.colour == "blocking" else AsyncIterator)
        assert server.requests == []
        assert (await package.next(stream)).message.content == "a"
        assert len(server.requests) == 1
        assert text_of(await package.parts(stream)) == "b"


@each
@on_a_loop
async def test_a_closed_stream_frees_its_connection(package: Package) -> None:
    gone = threading.Event()

    def respond(_request: Received) -> Iterator[bytes | float]:
        yield b"HTTP/1.1 200 OK\r\n\r\n" + part("a")
        try:
            while True:
                yield 0.05
                yield part("more")
        finally:
            gone.set()

    with replay(respond=respond) as server:
        stream = await package.get(package.client(server.url).chat("m", stream=True))
        await package.next(stream)
        await package.close_stream(stream)
        assert await package.next(stream) is None
        assert await asyncio.to_thread(gone.wait, 20)


@each
@on_a_loop
async def test_a_closed_client_ends_its_streams(package: Package) -> None:
    def respond(_request: Received) -> Iterator[bytes | float]:
        yield b"HTTP/1.1 200 OK\r\n\r\n" + part("a")
        while True:
            yield 0.02
            yield part("more")

    async def read(stream: Any) -> None:
        while await package.next(stream):
            pass

    with replay(respond=respond) as server:
        client = package.client(server.url)
        streams = [await package.get(client.chat("m", stream=True)) for _ in range(2)]
        for stream in streams:
            await package.next(stream)
        reader = (
            asyncio.create_task(asyncio.to_thread(asyncio.run, read(streams[0])))
            if (package.colour == "blocking")
            else asyncio.create_task(read(streams[0]))
        )
        await asyncio.sleep(0.2)
        await package.get(client.close())
        with pytest.raises(httpx.ReadError):
            await reader  # which waited
        with pytest.raises((httpx.ReadError, httpx.StreamClosed)):
            await read(streams[1])  # who comes later


@pytest.mark.parametrize("stream", [False, True])
@of_asyncio
@on_a_loop
async def test_a_closed_client_ends_what_waits_for_an_answer(package: Package, stream: bool) -> None:
    async def read(client: Any) -> None:
        await package.parts(await package.get(client.chat("m", stream=stream)))

    with replay(respond=lambda _: iter([30.0])) as server:
        client = package.client(server.url)
        reader = asyncio.create_task(read(client))
        while not server.requests:  # noqa: ASYNC110 - it is told by a thread
            await asyncio.sleep(0.01)
        await package.get(client.close())
        with pytest.raises(httpx.ReadError):
            await reader
        assert not reader.cancelling()


@pytest.mark.parametrize("package", [each for each in PACKAGES if each.colour == "blocking"], ids=str)
@on_a_loop
async def test_a_closed_client_ends_a_stream_that_begins(package: Package) -> None:
    def respond(request: Received) -> Iterator[bytes | float]:
        yield 0.5
        for piece in says(*STREAM)(request):
            yield piece
            yield 0.1

    with replay(respond=respond) as server:
        client = package.client(server.url)
        reader = asyncio.create_task(asyncio.to_thread(list, client.chat("m", stream=True)))
        while not server.requests:  # noqa: ASYNC110 - it is told by a thread
            await asyncio.sleep(0.01)
        await package.get(client.close())
        with pytest.raises(httpx.ReadError):
            await reader


@of_asyncio
@on_a_loop
async def test_a_cancelled_call_is_cancelled(package: Package) -> None:
    with replay(respond=lambda _: iter([30.0])) as server:
        task = asyncio.create_task(package.client(server.url).chat("m"))
        while not server.requests:  # noqa: ASYNC110 - it is told by a thread
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@each
@pytest.mark.parametrize("line", [rb'{"message":{"role":"a","content":"\ud83d"},"done":true}', b"junk"])
@on_a_loop
async def test_a_charset_that_nobody_knows(package: Package, line: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=nonsense\r\nContent-Length: %d\r\n\r\n" % len(line)
    with replay(respond=lambda _: [head + line]) as server:
        stream = await package.get(package.client(server.url).chat("m", stream=True))
        if line == b"junk":
            with pytest.raises(json.JSONDecodeError):
                await package.next(stream)
        else:
            assert text_of(await package.parts(stream)) == "\ud83d"


@each
@on_a_loop
async def test_what_is_thrown_into_a_stream_comes_out_of_it(package: Package) -> None:
    with replay(respond=says(*STREAM)) as server:
        for exc in (ValueError("mine"), EOFError("mine"), httpx.ConnectError("mine"), httpx.ReadError("mine")):
            stream = await package.get(package.client(server.url).chat("m", stream=True))
            await package.next(stream)
            with pytest.raises(type(exc)) as caught:
                await package.get(stream.throw(exc) if package.colour == "blocking" else stream.athrow(exc))
            assert caught.value is exc


@each
@on_a_loop
async def test_what_a_class_raises_comes_out_of_a_stream(package: Package) -> None:
    def refuse(**_part: Any) -> None:
        raise ValueError("mine")

    with replay(respond=says(*STREAM)) as server:
        stream = await package.get(
            package.client(server.url)._request(refuse, "POST", "/api/chat", json={}, stream=True)
        )
        with pytest.raises(ValueError, match=r"^mine$"):
            await package.next(stream)


@each
@pytest.mark.parametrize("text", [r"\ud83d", "\ufffd"], ids=["half of a pair", "no UTF-8"])
@on_a_loop
async def test_text_that_is_odd_is_text(package: Package, text: str) -> None:
    line = part("x").replace(b'"x"', b'"\xff"' if text == "\ufffd" else f'"{text}"'.encode())
    expected = json.loads(f'"{text}"')
    with replay(respond=says(line, *STREAM)) as server:
        parts = await package.parts(await package.get(package.client(server.url).chat("m", stream=True)))
    assert text_of(parts) == f"{expected}ab"
    if text != "\ufffd":
        with replay(respond=says(line.replace(b"false", b"true"))) as server:
            assert (await package.get(package.client(server.url).chat("m"))).message.content == expected


@each
@on_a_loop
async def test_other_encodings(package: Package) -> None:
    def respond(request: Received) -> Iterator[bytes]:
        told = b'{"error":"gr\xf6\xdfe"}'
        if request.path == "/api/embed":
            told = '\ufeff{"embeddings":[[NaN,1]]}'.encode()
            yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told)
        else:
            kind = b"application/json; charset=latin-1"
            yield b"HTTP/1.1 400 Bad\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (kind, len(told), told)

    with replay(respond=respond) as server:
        client = package.client(server.url)
        with pytest.raises(package.module.ResponseError) as caught:
            await package.get(client.chat("m"))
        assert caught.value.error == "größe"
        ((nan, one),) = (await package.get(client.embed("m", "x"))).embeddings
    assert nan != nan  # noqa: PLR0124 - only NaN is not itself
    assert one == 1.0


@each
@on_a_loop
async def test_a_stream_of_an_error_raises_it(package: Package) -> None:
    with replay(respond=says(b'{"error":"no such model"}', status="404 Not Found")) as server:
        stream = await package.get(package.client(server.url).chat("m", stream=True))
        with pytest.raises(package.module.ResponseError) as caught:
            await package.next(stream)
    assert (caught.value.error, caught.value.status_code) == ("no such model", 404)
    assert str(caught.value) == "no such model (status code: 404)"


@each
@on_a_loop
async def test_an_error_inside_a_stream_comes_after_the_parts_before_it(package: Package) -> None:
    with replay(respond=says(part("a"), b'{"error":"it broke"}\n')) as server:
        stream = await package.get(package.client(server.url).chat("m", stream=True))
        assert (await package.next(stream)).message.content == "a"
        with pytest.raises(package.module.ResponseError) as caught:
            await package.next(stream)
    assert (caught.value.error, caught.value.status_code) == ("it broke", -1)


@each
@on_a_loop
async def test_parts_that_say_nothing_of_an_end_are_a_whole_stream(package: Package) -> None:
    line = b'{"model":"m","response":"x"}\n'
    with replay(respond=says(line, line)) as server:
        parts = await package.parts(await package.get(package.client(server.url).generate("m", stream=True)))
    assert [part.response for part in parts] == ["x", "x"]


@ours
@pytest.mark.parametrize(
    ("lines", "also"),
    [
        ((part("a"),), Exception),
        ((part("a"), None), httpx.RemoteProtocolError),
        ((part("a"), part("b")[:20]), json.JSONDecodeError),
        ((part("a"), b"<html>\n"), json.JSONDecodeError),
        ((part("a"), b"[1, 2]\n"), json.JSONDecodeError),
        ((part("a"), b'{"error":""}\n'), Exception),
        ((part("a"), b'{"error":{"message":"gateway"}}\n'), Exception),
        ((), Exception),
    ],
    ids=["no last part", "cut", "cut line", "html", "list", "empty error", "error object", "nothing"],
)
@on_a_loop
async def test_a_broken_stream_is_a_response_error(
    package: Package, lines: tuple[bytes | None, ...], also: type
) -> None:
    with replay(respond=says(*lines)) as server:
        stream = await package.get(package.client(server.url).chat("m", stream=True))
        if lines:
            assert (await package.next(stream)).message.content == "a"
        with pytest.raises(OURS.ResponseError) as caught:
            await package.next(stream)
    assert isinstance(caught.value, also)
    assert caught.value.error
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (type(caught.value), str(caught.value))


@ours
@pytest.mark.parametrize("endpoint", ["pull", "push", "create"])
@on_a_loop
async def test_a_transfer_without_success_is_incomplete(package: Package, endpoint: str) -> None:
    with replay(respond=says(b'{"status":"pulling"}\n')) as server:
        stream = await package.get(getattr(package.client(server.url), endpoint)("m", stream=True))
        await package.next(stream)
        with pytest.raises(OURS.ResponseError, match="ended before its last part"):
            await package.next(stream)


@ours
@on_a_loop
async def test_lines_end_with_newlines_alone(package: Package) -> None:
    odd = "\u0085\u2028\u2029"
    line = json.dumps({"message": {"role": "assistant", "content": odd}, "done": False}, ensure_ascii=False).encode()
    with replay(respond=says(b"\n", line + b"\r\n", b"\n\n", *STREAM)) as server:
        parts = await package.parts(await package.get(package.client(server.url).chat("m", stream=True)))
    assert text_of(parts) == f"{odd}ab"


# --- failures --------------------------------------------------------------------------------------------------------


@each
@on_a_loop
async def test_a_refused_connection(package: Package) -> None:
    client = package.client(MISSING)
    with pytest.raises(ConnectionError) as caught:
        await package.get(client.chat("m", MESSAGES))
    assert str(caught.value).startswith("Failed to connect to Ollama. ")
    stream = await package.get(client.chat("m", MESSAGES, stream=True))
    with pytest.raises(httpx.ConnectError) as streamed:
        await package.next(stream)
    assert type(caught.value) is ConnectionError
    assert caught.value.__suppress_context__
    if package.is_ours:
        assert isinstance(streamed.value, ConnectionError)
        assert str(streamed.value) == str(caught.value)
        assert streamed.value.request.url == f"{MISSING}/api/chat"
        assert any("refused" in note or "attempts failed" in note for note in caught.value.__notes__)


@each
@pytest.mark.parametrize("stream", [False, True])
@on_a_loop
async def test_timeouts_of_httpx_pass(package: Package, stream: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        client = package.client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.1)

        async def ask() -> None:
            answer = await package.get(client.chat("m", stream=stream))
            await package.next(answer)

        with pytest.raises(httpx.ReadTimeout) as caught:
            await ask()
        assert caught.value.request.url.path == "/api/chat"


@each
@pytest.mark.parametrize("stream", [False, True])
@on_a_loop
async def test_a_connection_that_ends_before_an_answer(package: Package, stream: bool) -> None:
    def respond(_request: Received) -> Iterator[bytes]:
        raise HangUpError
        yield b""

    async def ask(client: Any) -> None:
        await package.next(await package.get(client.chat("m", stream=stream)))

    with replay(respond=respond) as server, pytest.raises(httpx.RemoteProtocolError) as caught:
        await ask(package.client(server.url))
    assert not isinstance(caught.value, package.module.ResponseError)
    assert caught.value.request.url.path == "/api/chat"


@each
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
@on_a_loop
async def test_an_error_with_its_status(package: Package, status: int) -> None:
    reply = says(b'{"error":"what it says"}', status=f"{status} {HTTPStatus(status).phrase}")
    with replay(respond=reply) as server, pytest.raises(package.module.ResponseError) as caught:
        await package.get(package.client(server.url).show("m"))
    assert (caught.value.error, caught.value.status_code) == ("what it says", status)


@ours
@pytest.mark.parametrize(
    "body", [b"", b"[]", b'["bad"]', b'"bad"', b"404", b"null", b'{"error":""}', b'{"error":null}']
)
@on_a_loop
async def test_an_error_is_never_empty(package: Package, body: bytes) -> None:
    with replay(respond=says(body, status="502 Bad Gateway")) as server:
        client = package.client(server.url)
        with pytest.raises(OURS.ResponseError) as whole:
            await package.get(client.chat("m"))
        with pytest.raises(OURS.ResponseError) as streamed:
            await package.next(await package.get(client.chat("m", stream=True)))
    for caught in (whole, streamed):
        assert caught.value.status_code == 502
        assert str(caught.value).removesuffix(" (status code: 502)")


@ours
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"text"', b"12", b'{"error":"no"}', part("a")])
@on_a_loop
async def test_an_answer_that_is_none_is_a_response_error(package: Package, body: bytes) -> None:
    with replay(respond=says(body)) as server, pytest.raises(OURS.ResponseError) as caught:
        await package.get(package.client(server.url).chat("m"))
    if not body.startswith(b"{"):
        assert isinstance(caught.value, json.JSONDecodeError)


@each
@pytest.mark.parametrize("arguments", [{"model": ""}, {"model": "m", "messages": [{"content": "no role"}]}])
@on_a_loop
async def test_wrong_arguments_are_a_validation_error(package: Package, arguments: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        await package.get(package.client(MISSING).chat(**arguments))


# --- clients of httpx ------------------------------------------------------------------------------------------------


@each
@on_a_loop
async def test_the_client_of_httpx(package: Package) -> None:
    client = package.client("example.com:1234/below")
    inside = client._client
    assert type(inside) is (httpx.Client if package.colour == "blocking" else httpx.AsyncClient)
    assert str(inside.base_url) == "http://example.com:1234/below/"
    assert inside.headers["accept"] == "application/json"
    assert inside.timeout == httpx.Timeout(None)
    assert inside.follow_redirects
    assert not inside.is_closed
    await package.get(client.close())
    assert inside.is_closed
    with pytest.raises(RuntimeError, match="closed"):
        await package.get(client.chat("m"))


@each
@on_a_loop
async def test_arguments_of_httpx_s_client(package: Package) -> None:
    """All of its constructor's arguments have their effect."""
    seen: list[httpx.Request] = []
    answers: list[httpx.Response] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=WHOLE)

    def hook(response: httpx.Response) -> None:
        answers.append(response)

    async def ahook(response: httpx.Response) -> None:
        answers.append(response)

    client = package.client(
        "http://example.com",
        timeout=httpx.Timeout(7, connect=3),
        auth=httpx.BasicAuth("me", "secret"),
        params={"a": "b"},
        cookies={"c": "d"},
        verify=ssl.create_default_context(),
        cert=None,
        trust_env=False,
        http1=True,
        http2=False,
        proxy=None,
        mounts={"all://other.example": None},
        follow_redirects=False,
        limits=httpx.Limits(max_connections=3),
        max_redirects=2,
        event_hooks={"response": [hook if package.colour == "blocking" else ahook]},
        transport=httpx.MockTransport(answer),
        default_encoding="latin-1",
    )
    await package.get(client.chat("m", MESSAGES))
    await package.parts(await package.get(client.chat("m", MESSAGES, stream=True)))
    for request in seen:
        assert request.url == "http://example.com/api/chat?a=b"
        assert request.headers["authorization"].startswith("Basic ")
        assert request.headers["cookie"] == "c=d"
        assert request.extensions["timeout"] == {"connect": 3, "read": 7, "write": 7, "pool": 7}
    assert len(seen) == len(answers) == 2
    assert not client._client.follow_redirects
    with pytest.raises(TypeError, match="unexpected"):
        package.client(unknown=1)


@each
@pytest.mark.parametrize("argument", ["auth", "event_hooks", "params", "cookies", "mounts"])
@on_a_loop
async def test_what_httpx_s_client_does_it_does_over_a_socket_too(package: Package, argument: str) -> None:
    hooked: list[httpx.Request] = []

    def hook(request: httpx.Request) -> None:
        hooked.append(request)

    async def ahook(request: httpx.Request) -> None:
        hooked.append(request)

    mounted = httpx.MockTransport(lambda _: httpx.Response(200, content=WHOLE))
    options: dict[str, Any] = {
        "auth": ("me", "secret"),
        "event_hooks": {"request": [hook if package.colour == "blocking" else ahook]},
        "params": {"a": "b"},
        "cookies": {"c": "d"},
        "mounts": {"http://": mounted},
    }
    with replay(respond=says(WHOLE)) as server:
        client = package.client(server.url, **{argument: options[argument]})
        await package.get(client.chat("m"))
        await package.parts(await package.get(client.chat("m", stream=True)))
    expected = 0 if argument == "mounts" else 2
    assert len(server.requests) == expected
    for request in server.requests:
        assert (request.header("Authorization") is not None) == (argument == "auth")
        assert (request.header("Cookie") == "c=d") == (argument == "cookies")
        assert request.path == ("/api/chat?a=b" if argument == "params" else "/api/chat")
    assert len(hooked) == (2 if argument == "event_hooks" else 0)


LATER: Final[dict[str, tuple[Callable[[Any], Any], Callable[[Received], Any]]]] = {
    "cookies": (lambda inner: inner.cookies.set("c", "d"), lambda request: request.header("Cookie") == "c=d"),
    "auth": (lambda inner: setattr(inner, "auth", ("me", "x")), lambda request: request.header("Authorization")),
    "params": (lambda inner: setattr(inner, "params", {"a": "b"}), lambda request: request.path == "/api/chat?a=b"),
    "headers": (lambda inner: inner.headers.update({"X-A": "b"}), lambda request: request.header("X-A") == "b"),
    "user and password": (
        lambda inner: setattr(inner, "base_url", str(inner.base_url).replace("//", "//me:x@")),
        lambda request: request.header("Authorization"),
    ),
}


@each
@pytest.mark.parametrize("what", LATER)
@on_a_loop
async def test_what_is_put_into_httpx_s_client_later_is_sent(package: Package, what: str) -> None:
    put, seen = LATER[what]
    with replay(respond=says(WHOLE)) as server:
        client = package.client(server.url)
        await package.get(client.chat("m"))
        put(client._client)
        await package.get(client.chat("m"))
        await package.parts(await package.get(client.chat("m", stream=True)))
    assert [bool(seen(request)) for request in server.requests] == [False, True, True]


@each
@on_a_loop
async def test_a_timeout_that_is_set_later_counts(package: Package) -> None:
    def respond(request: Received) -> Iterator[bytes | float]:
        if request.path == "/api/generate":
            yield 5.0
        yield from says(WHOLE)(request)

    with replay(respond=respond) as server:
        client = package.client(server.url)
        await package.get(client.chat("m"))
        client._client.timeout = 0.05
        with pytest.raises(httpx.ReadTimeout):
            await package.get(client.generate("m"))


@each
@on_a_loop
async def test_a_transport_that_is_set_later_counts(package: Package) -> None:
    with replay(respond=says(WHOLE)) as server:
        client = package.client(server.url)
        await package.get(client.chat("m"))
        before = client._client._transport
        client._client._transport = httpx.MockTransport(lambda _: httpx.Response(418))
        with pytest.raises(package.module.ResponseError) as caught:
            await package.get(client.chat("m"))
        await package.get(before.close() if package.colour == "blocking" else before.aclose())
    assert caught.value.status_code == 418


@each
@on_a_loop
async def test_another_client_of_httpx_in_its_place(package: Package) -> None:
    kind = httpx.Client if package.colour == "blocking" else httpx.AsyncClient
    client = package.client(MISSING)
    answer = httpx.MockTransport(lambda _: httpx.Response(200, content=b"".join(STREAM)))
    client._client = kind(base_url="http://other.example", transport=answer)
    parts = await package.parts(await package.get(client.chat("m", stream=True)))
    assert text_of(parts) == "ab"


@each
@pytest.mark.parametrize("stream", [False, True])
@on_a_loop
async def test_redirects_are_followed_and_cookies_kept(package: Package, stream: bool) -> None:
    def respond(request: Received) -> Iterator[bytes]:
        if request.path == "/api/chat":
            yield b"HTTP/1.1 307 Go on\r\nLocation: /there\r\nSet-Cookie: c=d\r\nContent-Length: 2\r\n\r\n{}"
        else:
            yield b"HTTP/1.1 200 OK\r\nSet-Cookie: e=f\r\nContent-Length: %d\r\n\r\n%s" % (len(WHOLE), WHOLE)

    with replay(respond=respond) as server:
        client = package.client(server.url)
        answer = await package.get(client.chat("m", MESSAGES, stream=stream))
        (answer,) = await package.parts(answer) if stream else [answer]
        assert dict(client._client.cookies) == {"c": "d", "e": "f"}
    assert answer.message.content == "ab"
    assert [request.path for request in server.requests] == ["/api/chat", "/there"]
    assert server.requests[1].json["messages"] == MESSAGES
    assert server.connections == 1


@each
@on_a_loop
async def test_redirects_that_are_not_to_be_followed(package: Package) -> None:
    head = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"
    with replay(respond=lambda _: [head]) as server:
        client = package.client(server.url, follow_redirects=False)
        with pytest.raises(package.module.ResponseError) as caught:
            await package.get(client.chat("m"))
        assert caught.value.status_code == 307
        assert len(server.requests) == 1
        with pytest.raises(httpx.TooManyRedirects):
            await package.get(package.client(server.url, max_redirects=2).chat("m"))
    assert len(server.requests) == 1 + 3


@each
@on_a_loop
async def test_who_reads_httpx_s_log_sees_requests(package: Package, caplog: pytest.LogCaptureFixture) -> None:
    with replay(respond=says(WHOLE)) as server, caplog.at_level(logging.INFO, "httpx"):
        await package.get(package.client(server.url).chat("m"))
    assert [record.message for record in caplog.records if record.name == "httpx"] == [
        f'HTTP Request: POST {server.url}/api/chat "HTTP/1.1 200 OK"'
    ]


@each
@pytest.mark.parametrize("method", ["request", "stream", "send", "build_request", "_transport_for_url"])
@on_a_loop
async def test_replaced_methods_of_httpx_s_client_are_called(
    package: Package, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    inner: Any

    def replacement(*args: Any, **kwargs: Any) -> Any:
        called.append(method)
        return inner(*args, **kwargs)

    kind = httpx.Client if package.colour == "blocking" else httpx.AsyncClient
    with replay(respond=says(WHOLE)) as server:
        client = package.client(server.url)
        for owner in (kind, client._client):
            with monkeypatch.context() as patch:
                inner = getattr(owner, method)
                patch.setattr(owner, method, replacement)
                answer = await package.get(client.chat("m", stream=method == "stream"))
                if method == "stream":
                    await package.parts(answer)
    assert called == [method] * 2


@each
@on_a_loop
async def test_overridden_requests_are_used(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    kind = package.module.Client if package.colour == "blocking" else package.module.AsyncClient
    inner = kind._request_raw

    def request_raw(client: Any, *args: Any, **kwargs: Any) -> Any:
        called.append(args[1])
        return inner(client, *args, **kwargs)

    monkeypatch.setattr(kind, "_request_raw", request_raw)
    with replay(respond=says(WHOLE)) as server:
        client = package.client(server.url)
        await package.get(client.chat("m"))
        await package.get(client.delete("m"))
    assert called == ["/api/chat", "/api/delete"]


@each
@on_a_loop
async def test_responses_that_a_test_makes(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such have only what the genuine package does with them."""
    blocking = package.colour == "blocking"
    kind = httpx.Client if blocking else httpx.AsyncClient
    whole = (Mock if blocking else AsyncMock)(return_value=Mock(**{"json.return_value": json.loads(WHOLE)}))
    monkeypatch.setattr(kind, "request", whole)
    client = package.client(MISSING)
    assert (await package.get(client.chat("m"))).message.content == "ab"
    whole.assert_called_once()
    if blocking:
        made = SimpleNamespace(iter_lines=lambda: iter([WHOLE.decode()]), raise_for_status=lambda: None)
        monkeypatch.setattr(kind, "stream", Mock(return_value=nullcontext(made)))
        assert text_of(await package.parts(client.chat("m", stream=True))) == "ab"
    assert package.module.__name__ == "ollama" or sys.modules["ollama_fast.compat._client"].httpx is httpx


# --- the environment -------------------------------------------------------------------------------------------------


@each
def test_the_environment_s_host(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "example.com:1")
    assert str(package.client()._client.base_url) == "http://example.com:1"
    assert str(package.client("")._client.base_url) == "http://example.com:1"
    assert str(package.client("other")._client.base_url) == "http://other:11434"


@each
def test_the_environment_s_key_goes_to_this_machine(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "key")
    assert package.client()._client.headers["authorization"] == "Bearer key"
    assert package.client(headers={"authorization": "mine"})._client.headers["authorization"] == "mine"


@ours
def test_the_environment_s_key_goes_nowhere_else_unasked(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "key")
    assert "authorization" not in package.client("http://example.com")._client.headers
    assert package.client("https://ollama.com")._client.headers["authorization"] == "Bearer key"
    monkeypatch.setenv("OLLAMA_HOST", "http://example.com")
    assert package.client()._client.headers["authorization"] == "Bearer key"


@each
@pytest.mark.parametrize(
    ("method", "arguments"),
    [("web_search", ("",)), ("web_fetch", ("",)), ("copy", ("", "")), ("systemone", ("", "", {}))],
)
@on_a_loop
async def test_empty_names_are_for_the_server_to_refuse(
    package: Package, method: str, arguments: tuple[Any, ...]
) -> None:
    refusal = httpx.MockTransport(lambda _: httpx.Response(400, json={"error": "empty"}))
    client = package.client(headers={"Authorization": "Bearer key"}, transport=refusal)
    with pytest.raises(package.module.ResponseError):
        await package.get(getattr(client, method)(*arguments))


@ours
@on_a_loop
async def test_a_key_for_ollama_com_goes_along_with_web_requests(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"results": []})

    monkeypatch.setenv("OLLAMA_API_KEY", "key")
    client = package.client("http://example.com", transport=httpx.MockTransport(answer))
    await package.get(client.web_search("q"))
    await package.get(client.web_fetch("http://example.com"))
    assert [(str(r.url), r.headers["authorization"]) for r in seen] == [
        ("https://ollama.com/api/web_search", "Bearer key"),
        ("https://ollama.com/api/web_fetch", "Bearer key"),
    ]


@each
@on_a_loop
async def test_a_key_of_its_own_is_not_replaced(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json={"results": []})

    monkeypatch.setenv("OLLAMA_API_KEY", "key")
    client = package.client(headers={"Authorization": "Bearer mine"}, transport=httpx.MockTransport(answer))
    await package.get(client.web_search("q"))
    assert seen == ["Bearer mine"]


@ours
def test_a_wrong_host_is_told_where_it_was_read(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "http://[::1")
    with pytest.raises(ValueError, match="OLLAMA_HOST"):
        package.client()
    with pytest.raises(ValueError, match="given as host"):
        package.client("http://[::1")


@each
def test_brackets_in_a_path_are_no_address(package: Package) -> None:
    assert str(package.client("http://example.com/[a]")._client.base_url).startswith("http://example.com")


@ours
def test_credentials_in_a_url_are_sent(package: Package) -> None:
    assert isinstance(package.client("http://me:secret@example.com")._client.auth, httpx.BasicAuth)


@ours
@pytest.mark.parametrize("host", ["0.0.0.0", "http://0.0.0.0", "[::]"])
def test_a_server_s_address_becomes_a_client_s(package: Package, host: str) -> None:
    assert str(package.client(host)._client.base_url).startswith(("http://127.0.0.1", "http://[::1]"))


BAD_ENVIRONMENTS: Final = [
    {"HTTP_PROXY": "socks5h://127.0.0.1:1"},
    {"ALL_PROXY": "socks5://127.0.0.1:1"},
    {"HTTP_PROXY": "socks4://127.0.0.1:1"},
    {"OLLAMA_HOST": "localhost:abc"},
    {"OLLAMA_HOST": "localhost:99999"},
    {"OLLAMA_HOST": "http://[::1"},
    {"SSL_CERT_FILE": "/missing"},
]


@pytest.mark.parametrize("environment", BAD_ENVIRONMENTS, ids=str)
def test_an_import_cannot_fail(environment: dict[str, str]) -> None:
    code = "import ollama_fast.compat as ollama; from ollama_fast.compat import chat; print(chat.__name__)"
    run = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, check=True, capture_output=True, text=True
    )
    assert run.stdout == "chat\n"


@pytest.mark.parametrize(
    "environment",
    [
        *[given for given in BAD_ENVIRONMENTS if not given.keys() & {"OLLAMA_HOST", "SSL_CERT_FILE"}],
        pytest.param(
            {"SSL_CERT_FILE": "/missing"}, marks=pytest.mark.fast
        ),  # httpx's own loads them for plain http, too
    ],
    ids=str,
)
@ours
@on_a_loop
async def test_the_environment_does_not_bar_the_way_to_this_machine(
    package: Package, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with replay(respond=says(WHOLE)) as server:
        client = package.client(server.url)
        assert (await package.get(client.chat("m"))).message.content == "ab"


@each
@on_a_loop
async def test_a_proxy_that_is_given_is_used(package: Package) -> None:
    with replay(respond=says(WHOLE)) as proxy:
        client = package.client(MISSING, proxy=proxy.url)
        await package.get(client.chat("m"))
    assert proxy.requests[0].path == f"{MISSING}/api/chat"


@each
@on_a_loop
async def test_a_proxy_of_the_environment_is_used_for_others(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    with replay(respond=says(WHOLE)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        await package.get(package.client("http://example.com").chat("m"))
    assert proxy.requests[0].path == "http://example.com/api/chat"


# --- clients ---------------------------------------------------------------------------------------------------------


@each
@on_a_loop
async def test_blocks_close_their_client(package: Package) -> None:
    if package.colour == "blocking":
        with package.client() as client:
            pass
    else:
        async with package.client() as client:
            pass
    assert client._client.is_closed


@ours
@on_a_loop
async def test_blocks_of_the_other_colour(package: Package, recwarn: pytest.WarningsRecorder) -> None:
    if package.colour == "blocking":
        async with package.client() as client:
            pass
        assert client._client.is_closed
    else:
        with package.client() as client:  # which cannot wait
            pass
    gc.collect()
    assert not recwarn.list


@each
def test_methods_are_what_they_look_like(package: Package) -> None:
    client = package.client()
    for name in ("chat", "generate", "embed", "list", "pull", "create", "create_blob", "show", "delete", "web_search"):
        method = getattr(client, name)
        assert inspect.iscoroutinefunction(method) == (package.colour == "asyncio")
        assert method.__name__ == name
        assert method.__qualname__ == f"{type(client).__name__}.{name}"


@of_asyncio
@on_a_loop
async def test_coroutines_make_tasks(package: Package) -> None:
    with replay(respond=says(WHOLE)) as server:
        client = package.client(server.url)
        task = asyncio.create_task(client.chat("m"))
        assert (await task).message.content == "ab"


@each
def test_a_client_is_a_field_of_a_model(package: Package) -> None:
    client = package.client()
    field: Any = (type(client), ...)
    holder: Any = pydantic.create_model(
        "Holder", __config__=pydantic.ConfigDict(arbitrary_types_allowed=True), client=field
    )
    assert holder(client=client).client is client


@each
def test_subclasses_extend_clients(package: Package) -> None:
    kind = package.module.Client if package.colour == "blocking" else package.module.AsyncClient

    class Mine(kind):  # type: ignore[misc, valid-type]
        def chat(self, *args: Any, **kwargs: Any) -> Any:
            return super().chat("mine", *args, **kwargs)

    async def run() -> Any:
        with replay(respond=says(WHOLE)) as server:
            client = Mine(server.url)
            await package.get(client.chat(messages=MESSAGES))
            await package.get(client.close())
            return server.requests[0].json["model"]

    assert asyncio.run(run()) == "mine"


@pytest.mark.fast  # httpx's own transports leave sockets that nobody closed to the collector, which warns
def test_a_second_event_loop() -> None:
    """Which the genuine client of asyncio does not survive."""
    with replay(respond=says(WHOLE)) as server:
        client = OURS.AsyncClient(server.url)
        for _ in range(3):
            assert asyncio.run(client.chat("m")).message.content == "ab"


def test_clients_share_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    _certificates._trusting.cache_clear()
    loaded: list[Any] = []
    inner = httpx.create_ssl_context

    def load(*args: Any, **kwargs: Any) -> ssl.SSLContext:
        loaded.append(kwargs)
        return inner(*args, **kwargs)

    monkeypatch.setattr(httpx, "create_ssl_context", load)
    monkeypatch.setattr(httpx._transports.default, "create_ssl_context", load)
    clients = [OURS.Client("http://example.com") for _ in range(3)]
    assert loaded == []
    clients = [OURS.Client("https://127.0.0.1:1") for _ in range(3)]
    for client in clients:
        with pytest.raises(ConnectionError):
            client.list()
    assert [options["verify"] for options in loaded].count(True) == 1


# --- the functions ---------------------------------------------------------------------------------------------------


def test_functions_ask_the_environment_s_host() -> None:
    code = """
import sys
import ollama_fast.compat as ollama
assert "httpx" not in sys.modules
print(ollama.chat("m", [{"role": "user", "content": "Hi!"}]).message.content)
print("".join(part["message"]["content"] for part in ollama.chat("m", stream=True)))
"""
    with replay(
        respond=lambda request: says(*STREAM)(request) if request.json["stream"] else says(WHOLE)(request)
    ) as s:
        environment = {**os.environ, "OLLAMA_HOST": s.url}
        run = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert run.stdout == "ab\nab\n"


def test_functions_are_methods_of_one_client() -> None:
    chat: Any = OURS.chat
    assert chat.__self__ is OURS._client
    assert isinstance(OURS._client, OURS.Client)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = OURS._client.nothing


# --- the short way ---------------------------------------------------------------------------------------------------


@ours
@pytest.mark.fast
@on_a_loop
async def test_requests_take_the_short_way_where_nothing_is_in_it(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    went: list[str] = []
    inner = Direct.route

    def route(direct: Any, *args: Any) -> Any:
        found = inner(direct, *args)
        went.append("long" if found is None else "short")
        return found

    monkeypatch.setattr(Direct, "route", route)
    with replay(respond=says(WHOLE)) as server:
        client = package.client(server.url)
        await package.get(client.chat("m"))
        await package.get(client._request(dict, "GET", "/api/version"))
        await package.parts(await package.get(client.chat("m", stream=True)))
        client._client.auth = ("me", "secret")
        await package.get(client.chat("m"))
    assert went == ["short", "short", "short", "long"]
