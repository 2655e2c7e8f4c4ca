"""Every framing of a body, in every way to read it and however TCP cuts it, gives the same content."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from replay import HangUpError, Received, replay
from transports import CHUNKED, END, KINDS, OK, READERS, Kind, Reader, chunk, request, says

pytestmark = [pytest.mark.fast, pytest.mark.parametrize("kind", KINDS, ids=str)]

BODY = b'{"n":1}\n{"text":"\xc2\x85 \xe2\x80\xa8 \xc3\xa9"}\n\r\n{"n":[1,2.5,null]}\n'
PARTS: list[Any] = [{"n": 1}, {"text": "\x85 \u2028 é"}, {"n": [1, 2.5, None]}]

WIRES: dict[str, bytes] = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY),
    "two equal lengths": b"HTTP/1.1 200 OK\r\nContent-Length: %d, %d\r\n\r\n%s" % (len(BODY), len(BODY), BODY),
    "until close": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "chunked": CHUNKED + chunk(BODY[:9]) + chunk(BODY[9:20]) + chunk(BODY[20:]) + END,
    "extensions and trailers": CHUNKED
    + b'09;a=b;c="d"\r\n%s\r\n%X ; x\r\n%s\r\n' % (BODY[:9], len(BODY) - 9, BODY[9:])
    + b"000;last\r\nA: b\r\nC: d\r\n\r\n",
    "interim responses": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n"
    + (CHUNKED + chunk(BODY) + END),
    "bare newlines": b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n" + chunk(BODY) + b"0\r\nT: u\n\n",
}


def serve(*pieces: bytes | float) -> Any:
    def respond(_request: Received) -> Iterable[bytes | float]:
        yield from pieces
        if not any(isinstance(piece, bytes) and (b"ength" in piece or b"hunked" in piece) for piece in pieces):
            raise HangUpError  # it is the end of the body

    return respond


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
def test_every_framing_in_every_way(kind: Kind, wire: bytes, reader: Reader) -> None:
    with replay(respond=serve(wire)) as server, kind.session() as session:
        for _ in range(2):
            seen = session.get(server.url, reader)
            assert (seen.status, seen.error) == (200, None)
            assert seen.parts == PARTS if reader in {"parts", "batches"} else seen.content == BODY


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
def test_every_cut(kind: Kind, wire: bytes) -> None:
    generator = random.Random(len(wire))
    cuts = [sorted(generator.sample(range(len(wire)), count)) for count in (1, 1, 1, 2, 3, 5)]
    cuts.append(list(range(len(wire))))
    scripts = [[wire[a:b] for a, b in zip([0, *cut], [*cut, len(wire)], strict=True)] for cut in cuts]
    turn = iter(scripts)

    def respond(_request: Received) -> Iterable[bytes | float]:
        for piece in next(turn):
            yield piece
            yield 0.0005  # so that each is read alone
        if b"ength" not in wire and b"hunked" not in wire:
            raise HangUpError

    with replay(respond=respond) as server, kind.session() as session:
        for script in scripts:
            seen = session.get(server.url)
            assert (seen.parts, seen.error) == (PARTS, None), script


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 404 Not Found\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
        ("DELETE", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_no_body_leaves_the_connection(kind: Kind, method: str, head: bytes) -> None:
    with replay(respond=lambda _: says(head)) as server, kind.session() as session:
        for reader in READERS:
            seen = session.send(request(server.url, method), reader)
            assert (seen.parts, seen.content, seen.error) == ([], b"", None)
            assert session.counts() == (1, 1)
        assert server.connections == 1


def test_a_head_as_it_came(kind: Kind) -> None:
    head = (
        b"HTTP/1.1 418 I'm a teapot\r\nX-Folded: a\r\n\t b\r\n  c\r\nX-Empty:\r\nX-Twice: 1\r\nX-Twice:   2  \r\n"
        b"X-Latin: \xe9\r\nContent-Length: 0\r\n" + b"".join(b"X-%d: %d\r\n" % (n, n) for n in range(900)) + b"\r\n"
    )
    with replay(respond=lambda _: says(head)) as server, kind.session() as session:
        seen = session.get(server.url)
        assert seen.status == 418
        assert seen.headers["x-folded"] == "a b c"
        assert seen.headers["x-empty"] == ""
        assert seen.headers.get_list("x-twice") == ["1", "2"]
        assert seen.headers["x-latin"] == "é"
        assert [seen.headers[f"X-{n}"] for n in range(900)] == [str(n) for n in range(900)]
        assert seen.extensions["http_version"] == b"HTTP/1.1"
        assert seen.extensions["reason_phrase"] == b"I'm a teapot"


def test_a_compressed_body_is_unpacked_by_httpx(kind: Kind) -> None:
    packed = gzip.compress(BODY)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    with replay(respond=lambda _: says(head + packed)) as server, kind.session() as session:
        assert session.get(server.url, "parts").parts == PARTS
        assert session.get(server.url, "bytes").content == BODY
        assert session.get(server.url, "raw").content == packed


def test_no_line_is_lost_between_two_ways_to_read(kind: Kind) -> None:
    with replay(respond=lambda _: says(CHUNKED, chunk(BODY), END)) as server, kind.session() as session:
        opened = session.open(request(server.url))
        assert opened.next() == PARTS[0]
        assert opened.read("raw").content == BODY.split(b"\n", 1)[1]
        opened.close()
        opened = session.open(request(server.url))
        assert opened.next() == PARTS[0]
        assert opened.read("batches").parts == PARTS[1:]
        opened.close()
        assert session.counts() == (1, 1)


@pytest.mark.parametrize("reader", ["read", "raw"])
def test_a_body_that_was_read_as_bytes_has_no_lines(kind: Kind, reader: Reader) -> None:
    with replay(respond=lambda _: says(CHUNKED, chunk(BODY), END)) as server, kind.session() as session:
        opened = session.open(request(server.url))
        assert opened.read(reader).content == BODY
        assert isinstance(opened.read("parts").error, httpx.StreamConsumed)
        opened.close()


def test_a_last_line_without_newline(kind: Kind) -> None:
    wire = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n" + b'{"n":1}\n{"n":2}'
    with replay(respond=lambda _: says(wire)) as server, kind.session() as session:
        for reader in ("parts", "batches"):
            assert session.get(server.url, reader).parts == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("bad", ["\r", "\n", "\0", "a\r\nInjected: yes"])
def test_a_request_that_smuggles_is_not_sent(kind: Kind, bad: str) -> None:
    with replay(respond=lambda _: says(OK)) as server, kind.session() as session:
        requests = [
            request(server.url, headers=[(b"X-A", bad.encode())]),
            request(server.url, headers=[(bad.encode(), b"x")]),
            request(server.url, f"GET{bad}"),
        ]
        requests.append(request(server.url))
        requests[-1].extensions["target"] = b"/" + bad.encode()
        for each in requests:
            assert isinstance(session.send(each).error, httpx.LocalProtocolError)
        assert server.requests == []
        assert session.get(server.url).parts == [{}]  # the transport is still of use


def test_the_request_arrives_as_it_was_made(kind: Kind) -> None:
    with replay(respond=lambda _: says(OK)) as server, kind.session() as session:
        for size in (0, 1, 5000, 200_000):
            body = b"x" * size
            made = request(f"{server.url}/a%20b?c=%C3%A9", "POST", content=body, headers={"X-A": "b c", "X-E": ""})
            assert session.send(made).parts == [{}]
            received = server.requests[-1]
            assert (received.method, received.path, received.body) == ("POST", "/a%20b?c=%C3%A9", body)
            assert (received.header("x-a"), received.header("x-e")) == ("b c", "")
            assert received.header("content-length") == str(size)
            assert received.header("host") == server.url.removeprefix("http://")
        assert server.connections == 1
