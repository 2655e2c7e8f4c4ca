"""What came before a fault is given first; then comes the error of httpx that names it; the transport stays of use."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, Final

import httpx
import pytest

from replay import HangUpError, Received, replay
from transports import CHUNKED, END, KINDS, OK, READERS, Kind, Reader, chunk, line, request

pytestmark = [pytest.mark.fast, pytest.mark.parametrize("kind", KINDS, ids=str)]

DECODED: Final[tuple[Reader, ...]] = ("parts", "batches")
LENGTH: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n"
LINES: Final = b'{"n":1}\n{"n":2}\n'


def serve(*pieces: bytes | float, reset: bool = False, once: bool = False) -> Any:
    """Say *pieces* and hang up; with *once* only to the first request."""
    count = iter(range(1000))

    def respond(_request: Received) -> Iterable[bytes | float]:
        if once and next(count):
            yield OK
            return
        yield from pieces
        raise HangUpError(reset=reset)

    return respond


@pytest.mark.parametrize("wire", [CHUNKED + line(1) + line(2) + END, LENGTH + LINES], ids=["chunked", "length"])
def test_every_truncation(kind: Kind, wire: bytes) -> None:
    place = iter(range(len(wire)))

    def respond(received: Received) -> Any:
        return serve(wire[: next(place)])(received)

    with replay(respond=respond) as server, kind.session() as session:
        for end in range(len(wire)):
            came = wire[:end]
            seen = session.get(server.url, DECODED[end % 2])
            assert type(seen.error) is httpx.RemoteProtocolError, (came, seen)
            assert seen.parts == [{"n": n} for n in (1, 2) if b'{"n":%d}\n' % n in came], came
            assert session.counts() == (0, 0)


def test_a_reset_after_good_lines(kind: Kind) -> None:
    for reader in READERS:
        # The pause lets the lines arrive: a reset may overtake what is still on the way.
        with replay(respond=serve(CHUNKED, line(1), line(2), 0.05, reset=True)) as server, kind.session() as session:
            seen = session.get(server.url, reader)
            assert type(seen.error) is httpx.ReadError, reader
            assert "reset" in str(seen.error)
            if reader in DECODED:
                assert seen.parts == [{"n": 1}, {"n": 2}]
            assert session.counts() == (0, 0)


def test_a_reset_or_an_end_instead_of_a_head(kind: Kind) -> None:
    for reset in (False, True):
        with replay(respond=serve(0.05, reset=reset, once=True)) as server, kind.session() as session:
            expected = httpx.ReadError if reset else httpx.RemoteProtocolError
            assert type(session.send(request(server.url, "POST", content=b"x")).error) is expected
            assert session.get(server.url).parts == [{}]
            assert len(server.requests) == 2


@pytest.mark.parametrize(
    "head",
    [
        b"garbage\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 2OO OK\r\n\r\n",
        b"HTTP/1.1 099 Low\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nspace before : x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 2000 + b"\r\n",
    ],
)
def test_a_head_that_is_none(kind: Kind, head: bytes) -> None:
    with replay(respond=serve(head, 5.0, once=True)) as server, kind.session() as session:
        seen = session.get(server.url)
        assert type(seen.error) is httpx.RemoteProtocolError, seen
        assert session.get(server.url).parts == [{}]


@pytest.mark.parametrize("wire", [b"x\r\n", b"\r\n", b"-1\r\n", b"1\r\n12\r\n", b"g\r\n", b"ffffffffffffffffff\r\n"])
def test_a_malformed_chunk_after_good_ones(kind: Kind, wire: bytes) -> None:
    for reader in DECODED:
        with (
            replay(respond=serve(CHUNKED + line(1) + line(2) + wire, 5.0, once=True)) as server,
            kind.session() as session,
        ):
            seen = session.get(server.url, reader)
            assert type(seen.error) is httpx.RemoteProtocolError, seen
            assert seen.parts == [{"n": 1}, {"n": 2}]
            assert session.get(server.url).parts == [{}]


@pytest.mark.parametrize("bad", [b'{"n":\n', b"not json\n", b"\xff\n", b"{}x\n"])
def test_a_bad_line_after_good_ones(kind: Kind, bad: bytes) -> None:
    pieces = [CHUNKED, line(1), line(2), chunk(bad), line(3), END]
    for reader in DECODED:
        with replay(respond=lambda _: pieces) as server, kind.session() as session:
            seen = session.get(server.url, reader)
            assert isinstance(seen.error, ValueError)
            assert "line 3" in str(seen.error)
            if reader == "parts":
                assert seen.parts == [{"n": 1}, {"n": 2}]
            assert session.get(server.url, "bytes").error is None


def test_a_last_line_cut_off_is_an_early_end(kind: Kind) -> None:
    for reader in DECODED:
        with replay(respond=serve(b"HTTP/1.1 200 OK\r\n\r\n", b'{"n":1}\n{"n":')) as server, kind.session() as session:
            seen = session.get(server.url, reader)
            assert isinstance(seen.error, EOFError), seen
            if reader == "parts":
                assert seen.parts == [{"n": 1}]


def test_a_second_response_is_never_the_answer_to_another_request(kind: Kind) -> None:
    stray = b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"stray":true}'
    scripts: list[list[bytes | float]] = [
        [OK + stray],
        [OK, stray],
        [OK, 0.05, stray],
        [CHUNKED + line(1) + END + stray],
        [OK, 0.05, b"x"],
        [b"HTTP/1.1 204 No Content\r\n\r\nbody"],
        [OK],
    ]
    turn = iter(scripts)
    sent = threading.Event()

    def respond(_request: Received) -> Iterable[bytes | float]:
        yield from next(turn)
        sent.set()

    with replay(respond=respond) as server, kind.session() as session:
        for _ in scripts:
            sent.clear()
            seen = session.get(server.url)
            assert seen.error is None
            assert seen.parts in ([{}], [{"n": 1}], [])
            assert sent.wait(10)
        assert server.connections == len(scripts)


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"A: " + b"b" * 1000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nA: ", b"b" * 1000),
        (b"", b"HTTP/1.1 200" * 100),
        (CHUNKED + line(1) + b"1;", b"x" * 1000),
        (CHUNKED + line(1) + b"0\r\n", b"A: b\r\n" * 100),
        (CHUNKED + line(1) + b"0\r\nA: ", b"b" * 1000),
    ],
    ids=["headers", "header", "status", "extension", "trailers", "trailer"],
)
def test_what_does_not_end_is_refused(kind: Kind, start: bytes, more: bytes) -> None:
    sent: list[int] = []

    def respond(_request: Received) -> Iterable[bytes]:
        yield start
        block = more * 60  # many small segments would fill the system's buffers with their headers, and be sent again
        while True:
            yield block
            sent.append(len(block))

    with replay(respond=respond) as server, kind.session() as session:
        seen = session.get(server.url)
        assert type(seen.error) is httpx.RemoteProtocolError, seen
        assert seen.parts == ([{"n": 1}] if CHUNKED in start else [])
    assert sum(sent) < 16 << 20  # the bounds of the core, and what the system's own buffers take


@pytest.mark.parametrize("reader", DECODED)
def test_a_line_that_does_not_end_is_refused(kind: Kind, reader: Reader) -> None:
    block = b"x" * (1 << 20)

    def respond(_request: Received) -> Iterable[bytes | float]:
        yield b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"n":1}\n"'
        for _ in range(80):
            yield block
        yield 30.0

    with replay(respond=respond) as server, kind.session() as session:
        seen = session.get(server.url, reader, timeout=1)
        assert type(seen.error) is httpx.RemoteProtocolError, seen.error
        assert "longer than" in str(seen.error)
        assert seen.parts == [{"n": 1}]
        assert session.counts() == (0, 0)
