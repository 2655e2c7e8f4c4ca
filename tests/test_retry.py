"""What is tried again, and what never is, by the requests that a server counts; and that a wait ends when it should."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import inspect
import itertools
import json
import logging
import math
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from email.utils import formatdate
from pathlib import Path
from traceback import TracebackException
from typing import Any, Final

import httpx
import pytest

import ollama_fast
from colours import EVERY, Colour
from ollama_fast import Host, Retry, Timeout, _endpoints, aio
from ollama_fast._exchange import Exchange
from ollama_fast._pool import PoolKey
from ollama_fast._request import Request
from ollama_fast._retry import Setback, Trouble, allows, moment, seconds_of, too_long
from ollama_fast._server_findings import of_clock
from ollama_fast._upload import Upload
from ollama_fast.errors import (
    ConnectError,
    IncompleteStreamError,
    OllamaError,
    ResponseError,
    StreamClosedError,
    TimeoutError,
    TransportError,
)
from peers import full_listener
from replay import HangUpError, Received, ReplayServer, replay
from transports import CHUNKED, GENEROUS, chunk, eventually

AT_ONCE: Final = Retry(attempts=3, wait=0, jitter=0)
PATIENT: Final = Retry(attempts=3, wait=600, max_wait=600, jitter=0)
DIGEST: Final = "sha256:" + "0" * 64
ANSWER: Final = {
    "version": "1",
    "model": "m",
    "created_at": "",
    "response": "Hi",
    "done": True,
    "message": {"role": "assistant", "content": "Hi"},
    "status": "success",
    "models": [],
}

CALLS: Final[dict[str, tuple[Any, ...]]] = {"version": (), "show": ("m",), "generate": ("m", "Hi!"), "chat": ("m",)}
"""Calls that only read or compute, and their arguments."""
CHANGES: Final[dict[str, tuple[Any, ...]]] = {
    "pull": ("m",),
    "push": ("m",),
    "copy": ("m", "n"),
    "delete": ("m",),
    "signout": (),
}
STREAMED: Final = {"generate", "chat", "pull", "push"}


def whole(status: int, body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), lines, body)


def answer(received: Received) -> bytes:
    """Give an answer that every call takes."""
    if received.path in {"/api/copy", "/api/delete", "/api/signout"} or received.path.startswith("/api/blobs"):
        return whole(200, b"")
    return whole(200, json.dumps(ANSWER | {"details": {}, "embeddings": [[1.0]]}).encode() + b"\n")


def at_first(*beginning: Any, times: int = 1, reset: bool = False) -> Callable[[Received], Iterable[bytes | float]]:
    """Give a `respond` that says *beginning* so many times, and hangs up if that is no whole response; then answers."""
    turns = iter(range(1000))

    def respond(received: Received) -> Iterator[bytes | float]:
        if next(turns) >= times:
            yield answer(received)
            return
        yield from beginning
        if not beginning or b"Content-Length" not in beginning[-1]:
            raise HangUpError(reset=reset)

    return respond


BUSY: Final = whole(503, b'{"error":"server busy, please try again"}')


@pytest.fixture(params=[False, True], ids=["blocking", "asyncio"])
def asynchronous(request: pytest.FixtureRequest) -> bool:
    found: bool = request.param
    return found


def spied(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Give what is set once an attempt is over, so that somebody waits for another one, or is about to."""
    seen = threading.Event()
    judge = Exchange._setback

    def spy(self: Exchange[Any], outcome: Any) -> Setback | None:
        found = judge(self, outcome)
        seen.set()
        return found

    monkeypatch.setattr(Exchange, "_setback", spy)
    return seen


def attempt(colour: Colour, function: str, host: Host, *arguments: Any) -> list[Any]:
    """Give what comes of a call and, if there is one, of its twin that streams."""
    seen = [colour.attempt(function, host, *arguments)]
    if function in STREAMED:
        seen.append(colour.parts(f"{function}_stream", host, *arguments))
    return seen


# --- the value -------------------------------------------------------------------------------------------------------


def test_a_host_holds_it_as_a_value() -> None:
    assert Host().retry is None
    host = Host("h", retry=3)
    assert host.retry == Retry(3) == Retry.of(3)
    assert host == Host("h", retry=Retry(attempts=3))
    assert host != Host("h")
    assert len({host, Host("h", retry=3), Host("h")}) == 2
    assert pickle.loads(pickle.dumps(host)) == host
    assert repr(host.retry) == "Retry(attempts=3, wait=0.5, max_wait=30.0, jitter=0.5, after_break=True)"
    assert repr(host.retry) in repr(host)
    assert host.with_options(retry=None) == Host("h")
    assert Host("h").with_options(retry=Retry(5)).retry == Retry(5)
    assert PoolKey.of(host) == PoolKey.to(Host("h"), "http://h:11434")
    with pytest.raises(dataclasses.FrozenInstanceError):
        Retry().attempts = 4  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"attempts": 0}, ValueError),
        ({"attempts": 2.0}, TypeError),
        ({"attempts": True}, TypeError),
        ({"wait": -1}, ValueError),
        ({"wait": "1"}, TypeError),
        ({"max_wait": float("inf")}, ValueError),
        ({"jitter": float("nan")}, ValueError),
        ({"jitter": 10**5_000}, ValueError),
        ({"jitter": None}, TypeError),
    ],
)
def test_what_is_no_number_of_its_kind_is_refused(wrong: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(wrong))):
        Retry(**wrong)
    with pytest.raises(TypeError):
        Host(retry=True)


# --- decisions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [False, True])
@pytest.mark.parametrize("after_break", [False, True])
def test_which_trouble_allows_another_attempt(changes: bool, after_break: bool) -> None:
    retry = Retry(after_break=after_break)

    def allowed(trouble: Trouble, uploads: bool = False) -> bool:
        return allows(retry, Setback(trouble), changes=changes, uploads=uploads)

    assert allowed(Trouble.UNREACHED)
    assert allowed(Trouble.UNREACHED, uploads=True)
    assert allowed(Trouble.LATER)
    assert not allowed(Trouble.LATER, uploads=True)
    assert allowed(Trouble.BUSY) is not changes
    assert not allowed(Trouble.BUSY, uploads=True)
    assert allowed(Trouble.BROKEN) is (after_break and not changes)
    assert not allowed(Trouble.BROKEN, uploads=True)
    assert not allows(retry, None, changes=changes, uploads=False)


def test_a_wait_has_two_bounds() -> None:
    retry = Retry(max_wait=30)
    assert too_long(retry, 30, None) == too_long(retry, 5, 5.1) == ""
    assert too_long(retry, 30.1, None) == "the server asks for 30.1 s, more than max_wait=30"
    for left in (5, -1):
        assert too_long(retry, 5, left) == "Timeout.total would be over before the next attempt, in 5 s"


def test_retry_after_is_seconds_or_a_date() -> None:
    now = 1_800_000_000.0
    assert seconds_of("7", now) == seconds_of(" 7 ", now) == 7
    assert seconds_of("0", now) == 0
    assert seconds_of(formatdate(now + 9, usegmt=True), now) == 9
    assert seconds_of(formatdate(now - 9, usegmt=True), now) == 0
    assert seconds_of("9" * 400, now) == seconds_of("9" * 5000, now) == math.inf
    for nothing in (None, "", "soon", "-1", "1.5", "٣", "Fri, 99 Zzz 2026 00:00:00 GMT"):
        assert seconds_of(nothing, now) is None


@pytest.fixture
def _in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the clock of this process be hours ahead of UTC."""
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system sets no zone for a process")
@pytest.mark.usefixtures("_in_tokyo")
@pytest.mark.parametrize(
    "date",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 -0000",
        "Sun, 06 Nov 1994 09:49:37 +0100",
    ],
)
def test_each_form_of_a_date_is_in_utc_wherever_we_are(date: str) -> None:
    assert time.localtime(0).tm_hour == 9
    assert moment(date) == 784_111_777
    assert seconds_of(date, 784_111_770.0) == 7
    (finding,) = of_clock(date, 784_111_777.0)
    assert finding.level == "ok"


def test_each_endpoint_says_whether_it_changes_the_server() -> None:
    arguments: dict[str, tuple[Any, ...]] = {
        "list_models": (),
        "systemone": ("m", "s", {}),
        "copy": ("m", "n"),
        "create_from": ("m", {}, None),
        "upload_blob": (DIGEST, Upload(Path(), 0)),
        "has_blob": (DIGEST,),
        **dict.fromkeys(("look", "ps", "root", "version", "status", "model_recommendations", "whoami", "signout"), ()),
    }
    builders = {
        name: function
        for name, function in inspect.getmembers(_endpoints, inspect.isfunction)
        if str(function.__annotations__.get("return", "")).startswith("Request[") and not name.startswith("_")
    }
    requests: dict[str, Request[Any]] = {name: build(*arguments.get(name, ("m",))) for name, build in builders.items()}
    changing = {name for name, request in requests.items() if request.changes}
    assert changing == {"copy", "create_from", "delete", "pull", "push", "signout", "upload_blob"}
    assert requests.keys() >= arguments.keys() | {"generate", "chat", "embed", "web_fetch"}
    assert all(request.encoded().changes is request.changes for request in requests.values())
    assert not _endpoints.web_search("q", via_server=True).changes
    assert not _endpoints.generate("m", keep_alive=0).changes


# --- what is tried again ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "status"), [*((name, 503) for name in CALLS), *((name, 429) for name in CALLS | CHANGES)]
)
def test_a_server_that_says_later_is_asked_again(both: Colour, function: str, status: int) -> None:
    arguments = (CALLS | CHANGES)[function]
    for call in (function, f"{function}_stream") if function in STREAMED else (function,):
        with replay(respond=at_first(whole(status, b'{"error":"later"}'), times=2)) as server:
            run = both.parts if call.endswith("_stream") else both.attempt
            seen = run(call, Host(server.url, retry=AT_ONCE), *arguments)
            assert seen.error is None
            assert len(seen.parts) == 1
            assert len(server.requests) == 3
            assert len({(each.method, each.path, each.body) for each in server.requests}) == 1


@pytest.mark.usefixtures("over")
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("function", CALLS)
def test_what_only_reads_or_computes_is_sent_again_if_there_is_no_answer(
    both: Colour, function: str, reset: bool
) -> None:
    for call in (function, f"{function}_stream") if function in STREAMED else (function,):
        with replay(respond=at_first(reset=reset)) as server:
            run = both.parts if call.endswith("_stream") else both.attempt
            assert run(call, Host(server.url, retry=AT_ONCE), *CALLS[function]).error is None
            assert len(server.requests) == 2


@pytest.mark.parametrize("function", ["version", "generate", "generate_stream", "pull", "pull_stream", "create_blob"])
def test_a_refused_connection_is_tried_again(
    both: Colour, function: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    arguments = {"version": (), "create_blob": (file,)}.get(function, ("m",))
    run = both.parts if function.endswith("_stream") else both.attempt
    tried = spied(monkeypatch)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # it does not listen, so that it refuses
        port = taken.getsockname()[1]
        host = Host(f"127.0.0.1:{port}", retry=Retry(attempts=1000, wait=0.01, max_wait=0.01, jitter=0))
        with ThreadPoolExecutor(1) as threads:
            calling = threads.submit(run, function, host, *arguments)
            assert tried.wait(GENEROUS)
            taken.close()
            blobs = iter((whole(404, b""), whole(201, b"")))
            with replay(port=port, respond=lambda got: [next(blobs) if "blobs" in got.path else answer(got)]) as server:
                assert calling.result(GENEROUS).error is None
                assert len(server.requests) == (2 if function == "create_blob" else 1)


# --- what is not -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("over")
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("function", CHANGES)
def test_what_changes_the_server_is_never_sent_again_if_there_is_no_answer(
    both: Colour, function: str, reset: bool
) -> None:
    for call in (function, f"{function}_stream") if function in STREAMED else (function,):
        with replay(respond=at_first(reset=reset)) as server:
            run = both.parts if call.endswith("_stream") else both.attempt
            seen = run(call, Host(server.url, retry=AT_ONCE), *CHANGES[function])
            assert type(seen.error) is TransportError
            assert seen.error.attempts == 1
            assert len(server.requests) == 1


@pytest.mark.parametrize(
    "busy",
    [BUSY, whole(503, b"upstream connect error or disconnect/reset before headers", b"Server: envoy")],
    ids=["in Ollama's form", "of a proxy"],
)
@pytest.mark.parametrize("function", CHANGES)
def test_what_changes_the_server_is_never_sent_again_after_a_503(both: Colour, function: str, busy: bytes) -> None:
    with replay(respond=at_first(busy, times=1000)) as server:
        seen = attempt(both, function, Host(server.url, retry=AT_ONCE), *CHANGES[function])
        assert [(type(each.error), each.error.attempts) for each in seen] == [(ResponseError, 1)] * len(seen)
        assert len(server.requests) == len(seen)


def test_who_does_not_want_it_computed_twice_says_so(both: Colour) -> None:
    retry = dataclasses.replace(AT_ONCE, after_break=False)
    with replay(respond=at_first(times=1000)) as server:
        assert [type(seen.error) for seen in attempt(both, "generate", Host(server.url, retry=retry), "m")] == [
            TransportError,
            TransportError,
        ]
        assert len(server.requests) == 2
    with replay(respond=at_first(BUSY)) as server:
        assert both.attempt("generate", Host(server.url, retry=retry), "m").error is None
        assert len(server.requests) == 2


@pytest.mark.parametrize("trouble", ["reset", "close", "busy"])
def test_an_upload_is_never_sent_again(both: Colour, tmp_path: Path, trouble: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100_000)

    def respond(received: Received) -> Iterator[bytes]:
        if received.method == "HEAD":
            yield whole(404, b"")
        elif trouble == "busy":
            yield BUSY
        else:
            raise HangUpError(reset=trouble == "reset")

    with replay(respond=respond) as server:
        seen = both.attempt("create_blob", Host(server.url, retry=AT_ONCE), file)
        assert type(seen.error) is (ResponseError if trouble == "busy" else TransportError)
        assert [(each.method, each.length) for each in server.requests] == [("HEAD", 0), ("POST", 100_000)]


PART: Final = chunk(b'{"model":"m","created_at":"","response":"H","done":false}\n')


@pytest.mark.usefixtures("over")
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    ("begins", "error"),
    [
        (b"garbage\r\n\r\n", TransportError),
        (b"H", TransportError),
        (b"HTTP/1.1 20", TransportError),
        (b"HTTP/1.1 100 Continue\r\n\r\n", TransportError),
        (CHUNKED, IncompleteStreamError),
        (CHUNKED + PART, IncompleteStreamError),
    ],
    ids=["garbage", "at the head", "in the head", "after an interim head", "after the head", "after a part"],
)
def test_once_an_answer_has_begun_nothing_is_sent_again(
    both: Colour, begins: bytes, error: type[OllamaError], reset: bool
) -> None:
    with replay(respond=at_first(begins, times=1000, reset=reset)) as server:
        seen = both.parts("generate_stream", Host(server.url, retry=AT_ONCE), "m")
        assert type(seen.error) is error
        assert getattr(seen.error, "attempts", 0) == 1
        assert len(seen.parts) == (PART in begins)
        assert len(server.requests) == 1
        whole_answer = both.attempt("generate", Host(server.url, retry=AT_ONCE), "m")
        assert type(whole_answer.error) is error
        assert len(server.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 404, 500, 502, 504])
def test_any_other_status_is_an_error_at_once(both: Colour, status: int) -> None:
    with replay(respond=at_first(whole(status, b'{"error":"no"}', b"Retry-After: 0"), times=1000)) as server:
        for seen in attempt(both, "generate", Host(server.url, retry=AT_ONCE), "m"):
            assert isinstance(seen.error, ResponseError)
            assert (seen.error.status, seen.error.attempts) == (status, 1)
        assert len(server.requests) == 2


def test_who_ran_out_of_time_does_not_ask_again(both: Colour) -> None:
    with replay(respond=lambda _: [GENEROUS]) as server:
        host = Host(server.url, retry=AT_ONCE, timeout=Timeout(first_part=0.1))
        for seen in attempt(both, "generate", host, "m"):
            assert type(seen.error) is TimeoutError
        assert len(server.requests) == 2


@pytest.mark.usefixtures("over")
def test_a_connection_that_is_not_made_in_time_is_tried_again(both: Colour) -> None:
    with full_listener() as port:
        host = Host(f"127.0.0.1:{port}", retry=AT_ONCE, timeout=Timeout(connect=0.1))
        for function in ("generate", "pull"):
            for seen in attempt(both, function, host, "m"):
                assert type(seen.error) is TimeoutError
                assert (seen.error.limit, seen.error.attempts) == ("connect", 3)


@pytest.mark.parametrize("client", [colour for colour in EVERY if colour.way != "host"], ids=str)
def test_a_callers_own_client_is_used_as_it_is(client: Colour) -> None:
    with replay(respond=at_first(BUSY)) as server:
        seen = client.attempt("generate", server.url, "m")
        assert isinstance(seen.error, ResponseError)
        assert len(server.requests) == 1


# --- without retry: what the transports do ---------------------------------------------------------------------------


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("function", ["generate", "whoami", "pull", "delete"])
@pytest.mark.usefixtures("over")
def test_no_transport_sends_twice_what_the_server_has_read(
    asynchronous: bool, kept: bool, reset: bool, function: str
) -> None:
    arguments = () if function == "whoami" else ("m",)

    def respond(received: Received) -> Iterator[bytes]:
        if received.path == "/api/version":
            yield answer(received)
        else:
            raise HangUpError(reset=reset)

    async def run(url: str) -> None:
        if kept:
            await aio.version(url)
        await getattr(aio, function)(url, *arguments)

    def run_blocking(url: str) -> None:
        if kept:
            ollama_fast.version(url)
        getattr(ollama_fast, function)(url, *arguments)

    with replay(respond=respond) as server:
        with pytest.raises(TransportError):
            asyncio.run(run(server.url)) if asynchronous else run_blocking(server.url)
        assert len(server.requests) == 1 + kept
        assert server.connections == 1


def in_turn(*turns: bool, reset: bool) -> Callable[[Received], Iterable[bytes]]:
    """Give a `respond` that answers where a turn is True, and hangs up without a word where it is not."""
    left = iter(turns)

    def respond(received: Received) -> Iterator[bytes]:
        if not next(left):
            raise HangUpError(reset=reset)
        yield answer(received)

    return respond


def calls_of(functions: Iterable[tuple[str, tuple[Any, ...]]], host: Host, asynchronous: bool) -> None:
    """Call these on the same connections."""

    async def run() -> None:
        for name, arguments in functions:
            found = getattr(aio, name)(host, *arguments)
            await (aio.collect(found) if name.endswith("_stream") else found)

    if asynchronous:
        asyncio.run(run())
        return
    for name, arguments in functions:
        found = getattr(ollama_fast, name)(host, *arguments)
        if name.endswith("_stream"):
            ollama_fast.collect(found)


@pytest.mark.usefixtures("over")
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("function", ["list", "ps", "version", "has_blob"])
def test_what_only_asks_is_sent_again_if_its_kept_connection_was_dead(
    asynchronous: bool, function: str, reset: bool
) -> None:
    asks = (function, (DIGEST,) if function == "has_blob" else ())
    with replay(respond=in_turn(True, False, True, reset=reset)) as server:
        calls_of([asks, asks], Host(server.url), asynchronous)
        assert [each.path for each in server.requests] == [server.requests[0].path] * 3
        assert server.connections == 2
    with replay(respond=in_turn(True, False, False, reset=reset)) as server:
        with pytest.raises(TransportError, match="broke before an answer"):
            calls_of([asks, asks], Host(server.url), asynchronous)
        assert len(server.requests) == 3  # on a new connection once


@pytest.mark.usefixtures("over")
@pytest.mark.parametrize("good", [True, False], ids=["the new one is good", "it dies, too"])
def test_it_is_sent_again_once_however_many_connections_were_kept(asynchronous: bool, good: bool) -> None:
    together = threading.Barrier(3)
    left = itertools.count()

    def respond(received: Received) -> Iterator[bytes]:
        number = next(left)
        if number < 3:
            together.wait(10)
        elif number == 3 or not good:
            raise HangUpError
        yield answer(received)

    async def run(host: Host) -> None:
        await asyncio.gather(*(aio.version(host) for _ in range(3)))
        await aio.version(host)

    def run_blocking(host: Host) -> None:
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(ollama_fast.version, [host] * 3))
        ollama_fast.version(host)

    with replay(respond=respond) as server:
        with nullcontext() if good else pytest.raises(TransportError, match="broke before an answer"):
            asyncio.run(run(Host(server.url))) if asynchronous else run_blocking(Host(server.url))
        assert (len(server.requests), server.connections) == (5, 4)


@pytest.mark.usefixtures("over")
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("function", ["generate", "generate_stream"])
def test_a_kept_connection_that_dies_under_a_post_is_what_retry_is_for(
    asynchronous: bool, function: str, reset: bool
) -> None:
    calls = [("version", ()), (function, ("m",))]
    with replay(respond=in_turn(True, False, reset=reset)) as server:
        with pytest.raises(TransportError, match="broke before an answer"):
            calls_of(calls, Host(server.url), asynchronous)
        assert len(server.requests) == 2
    with replay(respond=in_turn(True, False, True, reset=reset)) as server:
        calls_of(calls, Host(server.url, retry=Retry(2, wait=0, jitter=0)), asynchronous)
        assert len(server.requests) == 3


@pytest.mark.usefixtures("over")
def test_a_kept_connection_that_the_server_closed_is_replaced_unnoticed(asynchronous: bool) -> None:
    calls = ("generate", "version", "pull", "delete", "generate")

    def respond(received: Received) -> Iterator[bytes]:
        yield answer(received)
        raise HangUpError  # without a word about it in the head

    def knows(server: ReplayServer) -> bool:
        """Whether this side of every connection has heard that the server closed it: none is established."""
        port = int(server.url.rpartition(":")[2])
        rows = [row.split() for row in Path("/proc/self/net/tcp").read_text("ascii").splitlines()[1:]]
        return not any(there.endswith(f":{port:04X}") and state == "01" for _, _, there, state, *_ in rows)

    async def run(server: ReplayServer) -> None:
        for function in calls:
            await getattr(aio, function)(server.url, *(() if function == "version" else ("m",)))
            eventually(lambda: knows(server))

    with replay(respond=respond) as server:
        if asynchronous:
            asyncio.run(run(server))
        else:
            for function in calls:
                getattr(ollama_fast, function)(server.url, *(() if function == "version" else ("m",)))
                eventually(lambda: knows(server))
        assert len(server.requests) == server.connections == len(calls)


# --- waits, and their end --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["0", formatdate(0, usegmt=True)])
def test_retry_after_sets_the_wait(both: Colour, header: str) -> None:
    with replay(respond=at_first(whole(503, b"", b"Retry-After: " + header.encode()))) as server:
        assert both.attempt("generate", Host(server.url, retry=PATIENT), "m").error is None  # not after 600 s
        assert len(server.requests) == 2


def test_a_server_that_wants_too_much_patience_is_given_up_at_once(both: Colour) -> None:
    busy = whole(429, b'{"error":"tomorrow"}', b"Retry-After: 86400")
    with replay(respond=at_first(busy, times=1000)) as server:
        for seen in attempt(both, "generate", Host(server.url, retry=PATIENT), "m"):
            assert isinstance(seen.error, ResponseError)
            assert (seen.error.status, seen.error.message, seen.error.attempts) == (429, "tomorrow", 1)
            assert str(seen.error).endswith("(not tried again: the server asks for 86400 s, more than max_wait=600)")
            assert seen.error.retry_after == 86400
        assert len(server.requests) == 2


def test_a_wait_that_would_outlast_the_time_for_the_whole_call_does_not_begin(both: Colour) -> None:
    with replay(respond=at_first(BUSY, times=1000)) as server:
        host = Host(server.url, retry=PATIENT, timeout=Timeout(total=300))  # and the first wait would be 600 s
        for seen in attempt(both, "generate", host, "m"):
            assert isinstance(seen.error, ResponseError)
            assert (seen.error.status, seen.error.attempts) == (503, 1)
            assert str(seen.error).endswith(
                "(not tried again: Timeout.total would be over before the next attempt, in 600 s)"
            )
            assert seen.error.retry_after is None
        assert len(server.requests) == 2


@pytest.mark.parametrize("status", [429, 503, 500])
def test_an_error_says_when_a_busy_server_wants_to_be_asked_again(both: Colour, status: int) -> None:
    with replay(respond=at_first(whole(status, b'{"error":"x"}', b"Retry-After: 7"), times=1000)) as server:
        for host in (Host(server.url), Host(server.url, retry=Retry(1))):
            for seen in attempt(both, "chat", host, "m"):
                assert seen.error.retry_after == (None if status == 500 else 7)
                assert "tried again" not in str(seen.error)
                assert pickle.loads(pickle.dumps(seen.error)).retry_after == seen.error.retry_after


def test_waits_grow_and_have_a_bound(both: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def wait(_exchange: Any, seconds: float) -> None:
        waits.append(seconds)

    async def sleep(seconds: float, _result: Any = None) -> None:
        waits.append(seconds)

    monkeypatch.setattr("ollama_fast._sync_stream._wait", wait)
    monkeypatch.setattr("asyncio.sleep", sleep)
    with replay(respond=at_first(BUSY, times=1000)) as server:
        host = Host(server.url, retry=Retry(attempts=7, wait=1, max_wait=10, jitter=0))
        assert both.attempt("generate", host, "m").error is not None
        assert waits == [1, 2, 4, 8, 10, 10]
        waits.clear()
        for _ in range(20):
            assert (
                both.attempt("generate", host.with_options(retry=Retry(2, wait=1, jitter=0.5)), "m").error is not None
            )
        assert len(set(waits)) > 10
        assert all(1 <= seconds <= 1.5 for seconds in waits)


def test_the_last_error_is_raised_and_says_how_many_attempts_there_were(both: Colour) -> None:
    with replay(respond=at_first(BUSY, times=1000)) as server:
        host = Host(server.url, retry=AT_ONCE)
        for seen in attempt(both, "generate", host, "m"):
            assert type(seen.error) is ResponseError
            assert (seen.error.status, seen.error.attempts) == (503, 3)
            assert "(3 attempts): 503" in str(seen.error)
            copied = pickle.loads(pickle.dumps(seen.error))
            assert (copied.attempts, str(copied)) == (3, str(seen.error))
        assert len(server.requests) == 6
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = Host(f"127.0.0.1:{taken.getsockname()[1]}", retry=AT_ONCE)
        for seen in attempt(both, "generate", host, "m"):
            assert type(seen.error) is ConnectError
            assert seen.error.attempts == 3
            assert "(3 attempts): cannot connect" in str(seen.error)


def test_no_frame_of_tenacity_is_in_a_traceback(both: Colour) -> None:
    with replay(respond=at_first(times=1000)) as server:
        for seen in attempt(both, "generate", Host(server.url, retry=AT_ONCE), "m"):
            assert seen.error.attempts == 3
            assert "tenacity" not in "".join(TracebackException.from_exception(seen.error).format())


def test_an_error_after_the_answer_began_says_it_too(both: Colour) -> None:
    turns = iter((BUSY, CHUNKED + PART))

    def respond(_received: Received) -> Iterator[bytes]:
        piece = next(turns)
        yield piece
        if piece is not BUSY:
            raise HangUpError

    with replay(respond=respond) as server:
        seen = both.parts("generate_stream", Host(server.url, retry=AT_ONCE), "m")
        assert type(seen.error) is IncompleteStreamError
        assert seen.error.attempts == 2
        assert len(server.requests) == 2


@pytest.mark.parametrize("enters", [False, True])
def test_closing_a_stream_ends_its_wait(asynchronous: bool, enters: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = spied(monkeypatch)

    async def run(host: Host) -> None:
        stream = aio.generate_stream(host, "m")
        reading = asyncio.ensure_future(stream.__aenter__() if enters else anext(stream))
        assert await asyncio.to_thread(tried.wait, GENEROUS)
        await stream.aclose()
        with pytest.raises(StreamClosedError):
            await asyncio.wait_for(reading, GENEROUS)

    with replay(respond=at_first(BUSY, times=1000)) as server:
        host = Host(server.url, retry=PATIENT)
        if asynchronous:
            asyncio.run(run(host))
        else:
            stream = ollama_fast.generate_stream(host, "m")
            with ThreadPoolExecutor(1) as threads:
                reading = threads.submit(stream.__enter__ if enters else stream.__next__)
                assert tried.wait(GENEROUS)
                stream.close()
                with pytest.raises(StreamClosedError):
                    reading.result(GENEROUS)
        assert len(server.requests) == 1


def test_a_cancellation_ends_a_wait_and_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = spied(monkeypatch)

    async def run(host: Host) -> None:
        asking = asyncio.ensure_future(aio.generate(host, "m"))
        assert await asyncio.to_thread(tried.wait, GENEROUS)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    with replay(respond=at_first(BUSY, times=1000)) as server:
        asyncio.run(run(Host(server.url, retry=PATIENT)))
        assert len(server.requests) == 1


def test_ctrl_c_ends_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = spied(monkeypatch)

    def interrupt() -> None:
        if tried.wait(GENEROUS):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with replay(respond=at_first(BUSY, times=1000)) as server, ThreadPoolExecutor(1) as threads:
        interrupting = threads.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            ollama_fast.generate(Host(server.url, retry=PATIENT), "m")
        interrupting.result(GENEROUS)
        assert len(server.requests) == 1


def test_a_stream_that_is_dropped_is_closed_without_a_collection_of_garbage(asynchronous: bool) -> None:
    async def run(host: Host) -> weakref.ref[Any]:
        stream = aio.generate_stream(host, "m")
        await stream.__aenter__()
        found = weakref.ref((stream._exchange and stream._exchange.response) or stream)
        await stream.aclose()
        return found

    with replay(respond=lambda received: [answer(received)]) as server:
        host = Host(server.url, retry=3)
        gc.disable()
        try:
            if asynchronous:
                response = asyncio.run(run(host))
            else:
                with ollama_fast.generate_stream(host, "m") as stream:
                    response = weakref.ref((stream._exchange and stream._exchange.response) or stream)
                del stream
            assert response() is None
        finally:
            gc.enable()


def test_the_locals_of_an_error_can_be_shown(both: Colour) -> None:
    with replay(respond=at_first(BUSY, times=1000)) as server:
        for host in (Host(server.url, retry=AT_ONCE), Host("http://127.0.0.1:1", retry=AT_ONCE)):
            with pytest.raises(OllamaError) as caught:
                both.whole("generate", host, "m")
            shown = TracebackException.from_exception(caught.value, capture_locals=True)
            assert "exchange" in "".join(shown.format())


# --- many inputs -----------------------------------------------------------------------------------------------------


def test_each_request_of_many_is_tried_again(both: Colour) -> None:
    async def run(host: Host) -> list[Any]:
        return [one async for one in aio.embed_many(host, "m", ["a", "b"], batch_size=1, concurrency=1)]

    with replay(respond=at_first(times=1)) as server:
        # The host would be dead for these answers, and no other is left.
        host = Host(server.url, retry=AT_ONCE)
        if both.asynchronous:
            vectors = asyncio.run(run(host))
        else:
            vectors = list(ollama_fast.embed_many(host, "m", ["a", "b"], batch_size=1, concurrency=1))
        assert [list(vector) for vector in vectors] == [[1.0], [1.0]]
        assert len(server.requests) == 3


def test_closing_the_answers_to_many_ends_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = spied(monkeypatch)

    def at_work() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == "ollama_fast"]

    with replay(respond=at_first(BUSY, times=1000)) as server:
        answers = ollama_fast.map_generate(Host(server.url, retry=PATIENT), "m", ["a"])
        with ThreadPoolExecutor(1) as threads:
            reading = threads.submit(next, answers)
            assert tried.wait(GENEROUS)
            began = time.monotonic()
            answers.close()
            assert time.monotonic() - began < GENEROUS
            with pytest.raises(StreamClosedError):
                reading.result(GENEROUS)
        eventually(lambda: not at_work())
        assert len(server.requests) == 1


# --- what is beside it -----------------------------------------------------------------------------------------------


def test_without_tenacity_the_error_names_the_extra(both: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    with replay(respond=lambda received: [answer(received)]) as server:
        host = Host(server.url, retry=3)
        monkeypatch.setitem(sys.modules, "tenacity", None)
        with pytest.raises(ImportError, match=r"pip install 'ollama_fast\[retry\]'"):
            host.with_options(retry=2)
        with pytest.raises(ImportError, match=r"pip install 'ollama_fast\[retry\]'"):
            both.whole("generate", host, "m")
        with pytest.raises(ImportError, match="tenacity"):
            both.module.generate_stream(host, "m")
        assert both.attempt("generate", host.with_options(retry=None), "m").error is None
        assert len(server.requests) == 1


def test_it_is_imported_when_it_is_first_used() -> None:
    program = """
import sys, ollama_fast
def loaded(): return "tenacity" in sys.modules
host = ollama_fast.Host("127.0.0.1:1", retry=ollama_fast.Retry(2, wait=0, jitter=0))
for each in (host.with_options(retry=None), host):
    try: ollama_fast.version(each)
    except ConnectionError as error: print(loaded(), error.attempts)
"""
    seen = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert seen.stdout.split() == ["False", "1", "True", "2"]
    assert seen.stderr == ""


def test_the_log_tells_of_attempts_and_shows_no_secret_nor_does_an_error(
    both: Colour, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with replay(respond=at_first(BUSY, times=1000)) as server:
        url = server.url.replace("//", "//user:s3cret@")
        host = Host(url, headers={"X-Key": "s3cret"}, retry=AT_ONCE)
        for seen in attempt(both, "generate", host, "m"):
            assert "s3cret" not in str(seen.error)
            assert seen.error is not None
            assert seen.error.attempts == 3
    ours = [record for record in caplog.records if not record.name.startswith(("httpcore", "asyncio"))]
    assert {record.name for record in ours} == {"ollama_fast"}
    assert "(2 attempts): trying again, since the server" in ours[0].getMessage()
    assert "s3cret" not in caplog.text


def test_a_redirect_that_was_followed_stays_followed(both: Colour) -> None:
    replies = iter((BUSY, BUSY, answer(Received("POST", "/api/generate", (), b"", 0, ""))))

    def respond(received: Received) -> Iterator[bytes]:
        if received.path.startswith("/there"):
            yield next(replies)
        else:
            yield whole(307, b"", b"Location: /there/api/generate")

    with replay(respond=respond) as server:
        assert both.attempt("generate", Host(server.url, retry=AT_ONCE), "m").error is None
        assert [each.path for each in server.requests] == ["/api/generate", *["/there/api/generate"] * 3]


def test_who_replaces_something_of_httpx_sees_each_attempt(both: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    original = httpx.Client.send if not both.asynchronous else httpx.AsyncClient.send

    def send(self: Any, request: httpx.Request, **options: Any) -> Any:
        seen.append(request.url.path)
        return original(self, request, **options)

    monkeypatch.setattr(httpx.AsyncClient if both.asynchronous else httpx.Client, "send", send)
    with replay(respond=at_first(BUSY, times=2)) as server:
        assert both.attempt("generate", Host(server.url, retry=AT_ONCE), "m").error is None
        assert len(server.requests) == 3
    assert seen == ["/api/generate"] * 3
