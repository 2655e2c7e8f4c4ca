"""Redirects over sockets: what is sent where, which connections serve for it, and what goes to no other origin."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from colours import Colour
from ollama_fast import Host, Limits, Retry
from ollama_fast.errors import DecodeError, IncompleteStreamError, OllamaError, ResponseError
from replay import Received, ReplayServer, Respond, replay

KEPT: Final = [307, 308]
ASKED: Final[dict[str, Any]] = {"model": "m", "messages": [{"role": "user", "content": "Hi!"}]}
PARTS: Final = [
    {"model": "m", "created_at": "", "message": {"role": "assistant", "content": text}, "done": text == "lo"}
    for text in ("Hel", "lo")
]
SECRETS: Final[dict[str, Any]] = {"headers": {"X-Secret": "1"}, "auth": "the-auth"}


def redirect(status: int, location: str, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d Elsewhere\r\nLocation: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        location.encode(),
        len(body),
        body,
    )


def answer(request: Received) -> bytes:
    """Answer a chat, whole or in parts, or an upload."""
    if "/blobs/" in request.path:
        return b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
    parts = PARTS if request.json["stream"] else PARTS[1:]
    body = b"".join(json.dumps(part).encode() + b"\n" for part in parts)
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def answers(request: Received) -> Iterator[bytes]:
    yield answer(request)


def sends_on(status: int, base: str = "", body: bytes = b"") -> Respond:
    """Redirect what is asked for under /api, to /moved/api at *base*, and answer the rest."""

    def respond(request: Received) -> Iterator[bytes]:
        if request.method == "HEAD":
            yield b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        elif request.path.startswith("/api"):
            yield redirect(status, f"{base}/moved{request.path}", body)
        else:
            yield answer(request)

    return respond


def chat(colour: Colour, host: Any) -> None:
    """Chat whole and in parts."""
    assert colour.whole("chat", host, **ASKED) == PARTS[1]
    seen = colour.parts("chat_stream", host, **ASKED)
    assert (seen.parts, seen.error) == (PARTS, None)


def secrets_in(request: Received) -> tuple[str | None, str | None]:
    return request.header("Authorization"), request.header("X-Secret")


@pytest.mark.parametrize("status", KEPT)
def test_a_redirect_keeps_method_body_and_secrets(both: Colour, status: int) -> None:
    with replay(respond=sends_on(status)) as server:
        chat(both, Host(server.url, **SECRETS))
    first, onward, streamed, streamed_onward = server.requests
    assert [request.path for request in (first, onward)] == ["/api/chat", "/moved/api/chat"]
    assert (onward.method, onward.body, onward.headers) == (first.method, first.body, first.headers)
    assert (streamed_onward.body, streamed_onward.headers) == (streamed.body, streamed.headers)
    assert {secrets_in(request) for request in server.requests} == {("Bearer the-auth", "1")}


@pytest.mark.fast  # httpx's own transports keep no connection whose response nobody read to its end
@pytest.mark.parametrize("body", [b"", b"moved"], ids=["no body", "a body"])
@pytest.mark.parametrize("status", KEPT)
def test_the_connection_of_a_redirect_is_kept(both: Colour, status: int, body: bytes) -> None:
    with replay(respond=sends_on(status, body=body)) as server:
        chat(both, Host(server.url, limits=Limits(max_connections=1)))
        assert server.connections == (2 if both.asynchronous else 1)  # each call has an event loop of its own
        assert len(server.requests) == 4


@pytest.mark.parametrize("status", KEPT)
def test_a_body_of_a_redirect_is_not_waited_for(both: Colour, status: int) -> None:
    def respond(request: Received) -> Iterator[bytes | float]:
        if request.path.startswith("/api"):
            yield redirect(status, "/moved", b"x" * 1000)[:-900]
            yield 30.0
        else:
            yield answer(request)

    with replay(respond=respond) as server:
        chat(both, Host(server.url, limits=Limits(max_connections=1)))
        # Its connection serves no other request; that of the answer does, within its event loop.
        assert server.connections == (4 if both.asynchronous else 3)
        assert len(server.requests) == 4


@pytest.mark.parametrize("status", KEPT)
def test_secrets_do_not_follow_to_another_origin_nor_come_back(both: Colour, status: int) -> None:
    homes: list[ReplayServer] = []

    def back(_request: Received) -> Iterator[bytes]:
        yield redirect(status, f"{homes[0].url}/back")

    with replay(respond=back) as other, replay(respond=sends_on(status, other.url)) as home:
        homes.append(home)
        chat(both, Host(home.url, **SECRETS))
    asked = [(request.path, *secrets_in(request)) for request in home.requests]
    assert asked == [("/api/chat", "Bearer the-auth", "1"), ("/back", None, None)] * 2
    assert [(request.path, *secrets_in(request)) for request in other.requests] == [("/moved/api/chat", None, None)] * 2
    assert [request.json for request in other.requests] == [request.json for request in home.requests[::2]]


def test_the_key_goes_to_no_other_origin(both: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "the-key")
    with replay(respond=answers) as other, replay(respond=sends_on(307, other.url)) as home:
        chat(both, home.url)
    assert {request.header("Authorization") for request in home.requests} == {"Bearer the-key"}
    assert {request.header("Authorization") for request in other.requests} == {None}


@pytest.mark.parametrize("status", KEPT)
def test_a_file_is_sent_again_to_where_a_redirect_says(both: Colour, status: int, tmp_path: Path) -> None:
    data = bytes(range(256)) * 1000
    file = tmp_path / "model.gguf"
    file.write_bytes(data)
    with replay(respond=sends_on(status)) as server:
        digest = both.whole("create_blob", server.url, file)
    uploads = [request for request in server.requests if request.method == "POST"]
    assert [(request.length, request.sha256) for request in uploads] == [(len(data), digest.partition(":")[2])] * 2
    assert [request.path for request in uploads] == [f"/api/blobs/{digest}", f"/moved/api/blobs/{digest}"]
    assert digest == f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize("status", [301, 302, 303])
def test_one_that_would_lose_the_body_is_an_error_and_keeps_its_connection(both: Colour, status: int) -> None:
    with replay(respond=sends_on(status, body=b"moved")) as server:
        host = Host(server.url, limits=Limits(max_connections=1))
        for seen in (both.attempt("chat", host, **ASKED), both.parts("chat_stream", host, **ASKED)):
            assert type(seen.error) is ResponseError
            assert (seen.error.status, seen.parts) == (status, [])
            assert "redirects to /moved/api/chat, which is not followed" in str(seen.error)
        assert server.connections == (2 if both.asynchronous else 1)


@pytest.mark.parametrize("status", [301, 302, 303, *KEPT])
def test_one_of_a_question_without_a_body_is_followed(both: Colour, status: int) -> None:
    def respond(request: Received) -> Iterator[bytes]:
        if request.path == "/api/version":
            yield redirect(status, "/elsewhere")
        else:
            yield b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"version":"1"}'

    with replay(respond=respond) as server:
        assert both.whole("version", server.url) == {"version": "1"}
    assert [(request.method, request.path) for request in server.requests] == [
        ("GET", "/api/version"),
        ("GET", "/elsewhere"),
    ]


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("given", [*SECRETS, ""])
def test_who_is_refused_behind_a_redirect_is_told_that_credentials_did_not_follow(
    both: Colour, given: str, status: int
) -> None:
    refusal = b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status
    with (
        replay(respond=lambda _: [refusal]) as other,
        replay(respond=lambda _: [redirect(307, f"{other.url}/x")]) as home,
    ):
        host = Host(home.url, **{name: value for name, value in SECRETS.items() if name == given})
        for seen in (both.attempt("chat", host, **ASKED), both.parts("chat_stream", host, **ASKED)):
            what = "X-Secret" if given == "headers" else "its credentials"
            said = f"(of the host, {what} did not follow the redirect to another scheme, address or port: "
            assert (said in str(seen.error)) == (bool(given) and status != 404)
            assert "the-auth" not in str(seen.error)
        near = both.attempt("chat", Host(other.url, **SECRETS), **ASKED)
    assert "not follow" not in str(near.error)


def located(*locations: str) -> bytes:
    lines = "".join(f"Location: {each}\r\n" for each in locations)
    return f"HTTP/1.1 307 Elsewhere\r\n{lines}Content-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize(
    "locations",
    [
        ("/moved/api/chat", "/other/api/chat"),
        ("/other/api/chat", "/moved/api/chat"),
        ("/moved/api/chat", "/moved/api/chat", "http://ada:geheim@gpu.example/x?geheim"),
        ("/moved/api/chat", ""),
    ],
)
def test_one_to_two_addresses_at_once_is_followed_to_neither(both: Colour, locations: tuple[str, ...]) -> None:
    with replay(respond=lambda _: [located(*locations)]) as server:
        for seen in (both.attempt("chat", server.url, **ASKED), both.parts("chat_stream", server.url, **ASKED)):
            assert type(seen.error) is ResponseError
            assert seen.error.status == 307
            assert f"redirects to 2 addresses at once, {locations[0]} and " in str(seen.error)
            assert "none of which is followed" in str(seen.error)
            assert "geheim" not in str(seen.error)
        assert [request.path for request in server.requests] == ["/api/chat"] * 2


def test_one_that_says_the_same_address_twice_is_followed(both: Colour) -> None:
    def respond(request: Received) -> Iterator[bytes]:
        yield answer(request) if request.path.startswith("/moved") else located(*["/moved/api/chat"] * 3)

    with replay(respond=respond) as server:
        chat(both, server.url)
        assert [request.path for request in server.requests] == ["/api/chat", "/moved/api/chat"] * 2


def test_an_address_with_a_comma_is_one(both: Colour) -> None:
    def respond(request: Received) -> Iterator[bytes]:
        yield answer(request) if request.path.startswith("/moved") else located("/moved/a, /b")

    with replay(respond=respond) as server:
        chat(both, server.url)
        assert server.requests[1].path == "/moved/a,%20/b"


def test_a_long_address_is_shown_in_part(both: Colour) -> None:
    with replay(respond=lambda _: [redirect(302, f"/{'a' * 20_000}")]) as server:
        error = both.attempt("chat", server.url, **ASKED).error
        assert len(str(error)) < 1000
        assert "redirects to /aaa" in str(error)


# --- what an error says of the way -----------------------------------------------------------------------------------

FIRST: Final = json.dumps(PARTS[0]).encode() + b"\n"
BROKEN: Final[dict[str, tuple[type[OllamaError], bytes]]] = {
    "no JSON": (DecodeError, b"{nonsense}\n"),
    "another shape": (DecodeError, b"[]\n"),
    "an error": (ResponseError, b'{"error":"no"}\n'),
    "half a line": (IncompleteStreamError, b'{"model'),
    "nothing": (IncompleteStreamError, b""),
}


@pytest.mark.parametrize("status", KEPT)
@pytest.mark.parametrize(("kind", "line"), BROKEN.values(), ids=BROKEN)
def test_an_error_within_a_stream_names_who_answered_and_how_often_it_was_tried(
    both: Colour, kind: type[OllamaError], line: bytes, status: int
) -> None:
    with replay(respond=lambda _: [of(FIRST + line)]) as other:
        replies = iter(
            [b"HTTP/1.1 429 Busy\r\nContent-Length: 0\r\n\r\n", redirect(status, f"{other.url}/x?key=geheim")]
        )
        with replay(respond=lambda _: [next(replies)]) as home:
            host = Host(home.url, retry=Retry(attempts=3, wait=0, jitter=0))
            seen = both.parts("chat_stream", host, **ASKED)
    assert (seen.parts, type(seen.error)) == (PARTS[:1], kind)
    assert seen.error is not None
    assert (seen.error.url, seen.error.attempts, seen.error.model) == (f"{other.url}/x", 2, "m")
    assert str(seen.error).startswith(f"POST {other.url}/x for model 'm' (2 attempts): ")
    assert seen.error.partial == PARTS[0]


@pytest.mark.parametrize(("kind", "line"), BROKEN.values(), ids=BROKEN)
def test_without_a_detour_it_names_the_host(every: Colour, kind: type[OllamaError], line: bytes) -> None:
    with replay(respond=lambda _: [of(FIRST + line)]) as server:
        error = every.parts("chat_stream", server.url, **ASKED).error
    assert error is not None
    assert type(error) is kind
    assert (error.url, error.attempts) == (f"{server.url}/api/chat", 1)
    assert str(error).startswith(f"POST {server.url}/api/chat for model 'm': ")


@pytest.mark.parametrize("function", ["chat", "chat_stream"])
def test_of_redirects_that_a_callers_client_followed_the_last_is_named(both: Colour, function: str) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/chat":
            return httpx.Response(307, headers={"Location": "http://ada:geheim@elsewhere/x?key=geheim"})
        return httpx.Response(200, content=b"nonsense\n")

    client = both.mock(respond, base_url="http://h", follow_redirects=True)
    ask = both.parts if function == "chat_stream" else both.attempt
    error = ask(function, client, **ASKED).error
    assert type(error) is DecodeError
    assert error.url == "http://elsewhere/x"
    assert "POST http://elsewhere/x for model 'm': " in str(error)
    assert "geheim" not in str(error)


def of(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
