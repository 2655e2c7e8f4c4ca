"""A server out of order fills no memory: a line, a head and a whole body may have so many bytes; the usual passes."""

from __future__ import annotations

import asyncio
import copy
import gzip
import json
import pickle
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

import pytest

from colours import Colour, Seen
from ollama_fast import Host, Limits
from ollama_fast.errors import TooLargeError, TransportError
from replay import Received, replay
from transports import resident

LINE, BODY = 100_000, 200_000
LIMITS: Final = Limits(max_line_bytes=LINE, max_head_bytes=50_000, max_body_bytes=BODY)
HTTPX_HEAD: Final = 100 * 1024
"""What httpx's own transport takes of a head."""

OK: Final = b"HTTP/1.1 200 OK\r\n"
UNTIL_CLOSE: Final = OK + b"Connection: close\r\n\r\n"
CHUNKED: Final = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GZIP: Final = OK + b"Connection: close\r\nContent-Encoding: gzip\r\n\r\n"
PART: Final = b'{"model":"m","created_at":"","response":"Hel","done":false}\n'
LAST: Final = b'{"model":"m","created_at":"","response":"","done":true}\n'
STALL: Final = 20.0

streamed = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


def ask(colour: Colour, url: str, *, streamed: bool, limits: Limits = LIMITS) -> Seen:
    """Generate, whole or in parts."""
    host = Host(url, limits=limits, timeout=10)
    if streamed:
        return colour.parts("generate_stream", host, "m", "Hi")
    return colour.attempt("generate", host, "m", "Hi")


def facts(seen: Seen) -> tuple[str | None, int | None]:
    """Give what the error says about its limit."""
    assert type(seen.error) is TooLargeError, seen.error
    assert isinstance(seen.error, TransportError)
    bound = f"{HTTPX_HEAD} bytes (the bound of httpx's own transport)"
    own = f"{seen.error.most} bytes (Limits.{seen.error.limit})"
    assert (bound if seen.error.limit is None else own) in str(seen.error)
    assert seen.partial == seen.error.partial
    return seen.error.limit, seen.error.most


def endless(start: bytes, more: bytes) -> Any:
    """Give a server that says *start*, and then *more* until the client has enough; 64 MiB are more than enough."""
    block = more * (1 + 65536 // len(more))

    def respond(_request: Received) -> Iterator[bytes]:
        yield start
        for _ in range((64 << 20) // len(block)):
            yield block

    return respond


def says(*pieces: bytes) -> Any:
    """Give a server that says these."""
    return lambda _request: pieces


def expected(*, streamed: bool) -> tuple[str, int]:
    """Give the limit of a body."""
    return ("max_line_bytes", LINE) if streamed else ("max_body_bytes", BODY)


# --- what does not end -----------------------------------------------------------------------------------------------


@streamed
@pytest.mark.parametrize(
    ("start", "more"),
    [
        (UNTIL_CLOSE + PART, b"x"),
        (CHUNKED + b"%x\r\n%s\r\n" % (len(PART), PART), b"64\r\n" + b"x" * 100 + b"\r\n"),
        (CHUNKED + b"%x\r\n%s\r\nffffffffffffffff\r\n" % (len(PART), PART), b"x"),
        (OK + b"Content-Length: 10000000000\r\n\r\n" + PART, b"x"),
    ],
    ids=["no newline", "small chunks", "huge chunk", "huge length"],
)
def test_a_body_without_end(both: Colour, over: str, start: bytes, more: bytes, *, streamed: bool) -> None:
    with replay(respond=endless(start, more)) as server:
        before = resident()
        seen = ask(both, server.url, streamed=streamed)
        grown = resident() - before
    assert facts(seen) == expected(streamed=streamed)
    if streamed:
        assert seen.parts == [json.loads(PART)]
        assert seen.partial is not None
        assert seen.partial["response"] == "Hel"
    assert grown < 24 << 20, f"{grown >> 20} MiB more memory for a limit of {BODY} bytes"


def test_a_body_that_is_announced_as_too_large_is_not_waited_for(both: Colour, over: str) -> None:
    def respond(_request: Received) -> Iterator[bytes | float]:
        yield OK + b"Content-Length: 10000000000\r\n\r\n"
        yield STALL

    with replay(respond=respond) as server:
        assert facts(ask(both, server.url, streamed=False, limits=Limits())) == ("max_body_bytes", 1 << 30)
        seen = both.attempt("embed_array", Host(server.url, limits=LIMITS, timeout=10), "m", "Hi")
        assert facts(seen) == ("max_body_bytes", BODY)


@streamed
@pytest.mark.parametrize(
    ("start", "more", "parts"),
    [
        (OK, b"a: b\r\n", 0),
        (OK + b"a: ", b"b", 0),
        (b"HTTP/1.1 200 ", b"O", 0),
        (CHUNKED + b"%x\r\n%s\r\n1;" % (len(PART), PART), b"x", 1),
        (CHUNKED + b"%x\r\n%s\r\n0\r\n" % (len(PART), PART), b"a: b\r\n", 1),
    ],
    ids=["headers", "header", "status", "extension", "trailers"],
)
def test_a_head_without_end(both: Colour, over: str, start: bytes, more: bytes, parts: int, *, streamed: bool) -> None:
    with replay(respond=endless(start, more)) as server:
        before = resident()
        seen = ask(both, server.url, streamed=streamed)
        grown = resident() - before
    assert facts(seen) == (("max_head_bytes", 50_000) if over == "fast" else (None, None))
    assert len(seen.parts) == (parts if streamed else 0)
    assert grown < 24 << 20, f"{grown >> 20} MiB more memory"


@pytest.mark.fast
def test_interim_heads_without_end(both: Colour) -> None:
    with replay(respond=endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n")) as server:
        assert facts(ask(both, server.url, streamed=False)) == ("max_head_bytes", 50_000)


def test_an_error_without_end(both: Colour, over: str) -> None:
    with replay(respond=endless(b"HTTP/1.1 500 Broken\r\nConnection: close\r\n\r\n", b"x")) as server:
        for streamed in (False, True):
            assert facts(ask(both, server.url, streamed=streamed)) == ("max_body_bytes", BODY)


def test_vectors_without_end(both: Colour, over: str) -> None:
    with replay(respond=endless(UNTIL_CLOSE + b'{"model":"m","embeddings":[[1', b",0.5")) as server:
        seen = both.attempt("embed_array", Host(server.url, limits=LIMITS, timeout=10), "m", "Hi")
    assert facts(seen) == ("max_body_bytes", BODY)


@streamed
def test_decoded_bytes_count(both: Colour, over: str, *, streamed: bool) -> None:
    bomb = gzip.compress(PART + b"x" * (8 << 20))
    assert len(bomb) < LINE
    with replay(respond=lambda _: [GZIP + bomb]) as server:
        assert facts(ask(both, server.url, streamed=streamed)) == expected(streamed=streamed)


# --- where the limit is ----------------------------------------------------------------------------------------------


def padded(length: int) -> bytes:
    """Give a first part of *length* bytes, without its newline."""
    return PART[:-1].replace(b"Hel", b"x" * (length - len(PART) + 4))


@pytest.mark.parametrize("size", [1000, 1 << 20], ids=["cut", "at once"])
def test_a_line_may_have_as_many_bytes_as_the_limit_says(both: Colour, over: str, size: int) -> None:
    """However the bytes are cut."""
    for length, refused in ((LINE, False), (LINE + 1, True)):
        wire = UNTIL_CLOSE + padded(length) + b"\n" + LAST
        pieces = [wire[at : at + size] for at in range(0, len(wire), size)]
        with replay(respond=says(*pieces)) as server:
            seen = ask(both, server.url, streamed=True)
        if refused:
            assert facts(seen) == ("max_line_bytes", LINE)
            assert seen.parts == []
        else:
            assert seen.error is None
            assert len(seen.parts) == 2


@pytest.mark.parametrize("head", [UNTIL_CLOSE, None], ids=["until close", "length"])
def test_a_body_may_have_as_many_bytes_as_the_limit_says(both: Colour, over: str, head: bytes | None) -> None:
    for length, refused in ((BODY, False), (BODY + 1, True)):
        body = padded(length).replace(b"false", b"true ")
        assert len(body) == length
        start = OK + b"Content-Length: %d\r\n\r\n" % length if head is None else head
        with replay(respond=says(start + body)) as server:
            seen = ask(both, server.url, streamed=False)
        if refused:
            assert facts(seen) == ("max_body_bytes", BODY)
        else:
            assert seen.error is None


def test_a_stream_may_be_of_any_length(both: Colour, over: str) -> None:
    count = 20 * BODY // len(PART)

    def respond(_request: Received) -> Iterable[bytes]:
        yield UNTIL_CLOSE
        yield PART * count
        yield LAST

    with replay(respond=respond) as server:
        seen = ask(both, server.url, streamed=True)
    assert seen.error is None
    assert len(seen.parts) == count + 1


def test_none_is_no_limit(both: Colour, over: str) -> None:
    limits = Limits(max_line_bytes=None, max_head_bytes=None, max_body_bytes=None)
    with replay(respond=lambda _: [UNTIL_CLOSE + padded(65 << 20).replace(b"false", b"true ")]) as server:
        assert ask(both, server.url, streamed=True, limits=limits).error is None


def test_sizes_are_of_a_request_and_not_of_a_connection(both: Colour, over: str) -> None:
    """Calls with different sizes share a pool, and so a connection; on it each one's own sizes count."""
    body = padded(20_000).replace(b"false", b"true ")
    answer = OK + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with replay(respond=lambda _: [answer]) as server, asyncio.Runner() as runner:
        one = replace(both, run=runner.run)
        for most in (None, 40_000, 30_000, 20_000, len(body)):
            for limits in (Limits(max_body_bytes=most), Limits(max_line_bytes=most), Limits(max_head_bytes=most)):
                for streamed in (False, True):
                    assert ask(one, server.url, streamed=streamed, limits=limits).error is None
        assert server.connections == 1
        low = Limits(max_line_bytes=19_999, max_body_bytes=19_998)
        assert facts(ask(one, server.url, streamed=True, limits=low)) == ("max_line_bytes", 19_999)
        assert ask(one, server.url, streamed=True, limits=LIMITS).error is None
        assert facts(ask(one, server.url, streamed=False, limits=low)) == ("max_body_bytes", 19_998)


# --- what is usual ---------------------------------------------------------------------------------------------------


def test_a_verbose_show_passes(both: Colour, over: str) -> None:
    tokens = ["x" * 100] * 300_000
    body = json.dumps({"details": {}, "model_info": {"tokenizer.ggml.tokens": tokens}}).encode()
    assert len(body) > 30_000_000
    with replay(respond=lambda _: [OK + b"Content-Length: %d\r\n\r\n" % len(body) + body]) as server:
        shown = both.whole("show", Host(server.url), "m", verbose=True)
    assert len(shown["model_info"]["tokenizer.ggml.tokens"]) == len(tokens)


def test_large_embeddings_pass(both: Colour, over: str) -> None:
    vector = b"[" + b",".join([b"0.12345678901"] * 1024) + b"]"
    count = 1 + (64 << 20) // (len(vector) + 1)
    body = b'{"model":"m","embeddings":[' + b",".join([vector] * count) + b"]}"
    assert len(body) > 64 << 20
    wire = OK + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with replay(respond=lambda _: [wire]) as server:
        assert both.whole("embed_array", Host(server.url), "m", "Hi").shape == (count, 1024)


# --- the values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["max_line_bytes", "max_head_bytes", "max_body_bytes"])
@pytest.mark.parametrize("most", [0, -1, 1 << 70, "5", 1.5, True], ids=repr)
def test_a_size_that_is_none_is_refused_at_once(name: str, most: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=name):
        Limits(**{name: most})


@pytest.mark.parametrize("bad", [-1, 1 << 70, "5", float("nan"), 10**5000, True], ids=type)
@pytest.mark.parametrize("name", ["max_connections", "max_keepalive_connections", "keepalive_expiry"])
def test_a_bound_of_a_pool_that_is_none_is_refused_at_once(name: str, bad: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=f"the limit '{name}' must be"):
        Limits(**{name: bad})


def test_a_pool_without_a_place_is_refused_and_one_that_keeps_nothing_is_not() -> None:
    with pytest.raises(ValueError, match="1 or more connections"):
        Limits(max_connections=0)
    Limits(max_keepalive_connections=0, keepalive_expiry=0)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_copy_of_an_error_says_the_same(copied: Any) -> None:
    error = TooLargeError(
        "large", limit="max_line_bytes", most=5, method="GET", url="http://h", partial={"done": False}
    )
    again = copied(error)
    assert type(again) is TooLargeError
    assert str(again) == "large"
    assert vars(again) == vars(error)
