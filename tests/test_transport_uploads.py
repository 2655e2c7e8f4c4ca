"""A body that is sent in pieces arrives as it is, or not at all; the server may answer before it is whole."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import ollama_fast
from colours import Colour
from ollama_fast import aio
from peers import Peer, served
from replay import Received, replay
from transports import CHUNKED, END, KINDS, OK, Kind, line, request, says

pytestmark = pytest.mark.fast

kinds = pytest.mark.parametrize("kind", KINDS, ids=str)


def pieces(kind: Kind, values: Iterable[Any]) -> Any:
    """Give *values* as a generator of the colour; one that is an exception is raised."""

    def each() -> Iterator[bytes]:
        for value in values:
            if isinstance(value, BaseException):
                raise value
            yield value

    async def each_async() -> AsyncIterator[bytes]:
        for value in each():
            yield value

    return each_async() if kind.factory else each()


@kinds
@pytest.mark.parametrize("sized", [False, True], ids=["chunked", "sized"])
def test_pieces_arrive(kind: Kind, sized: bool) -> None:
    values = [b"a", b"", b"bc", b"x" * 70_000, b"\r\n0\r\n\r\n", b"y" * 3_000_000]
    body = b"".join(values)
    headers = {"Content-Length": str(len(body))} if sized else None
    with replay(respond=lambda _: says(OK)) as server, kind.session() as session:
        for _ in range(2):
            made = request(server.url, "POST", content=pieces(kind, values), headers=headers)
            assert session.send(made).parts == [{}]
            received = server.requests[-1]
            assert (received.length, received.sha256) == (len(body), hashlib.sha256(body).hexdigest())
            assert received.header("transfer-encoding") == (None if sized else "chunked")
        assert server.connections == 1
        assert session.counts() == (1, 1)


@kinds
def test_no_pieces_at_all(kind: Kind) -> None:
    with replay(respond=lambda _: says(OK)) as server, kind.session() as session:
        for values in ([], [b""], [b"", b""]):
            assert session.send(request(server.url, "POST", content=pieces(kind, values))).parts == [{}]
            assert server.requests[-1].length == 0
        assert server.connections == 1


@kinds
@pytest.mark.parametrize("values", [[b"12345"], [b"123", b"45"], [b"12"], [b"1", b"2"], []])
@pytest.mark.parametrize("whole", [False, True], ids=["pieces", "whole"])
def test_a_body_of_another_length_than_was_said(kind: Kind, values: list[bytes], whole: bool) -> None:
    content = b"".join(values) if whole else pieces(kind, values)
    with replay(respond=lambda _: says(OK)) as server, kind.session() as session:
        made = request(server.url, "POST", content=content, headers={"Content-Length": "4"})
        assert made.headers["content-length"] == "4"
        assert type(session.send(made).error) is httpx.LocalProtocolError
        assert session.counts() == (0, 0)
        assert session.get(server.url).parts == [{}]
        assert [received.method for received in server.requests] == ["GET"]


@kinds
@pytest.mark.parametrize("place", [0, 1, 5])
def test_an_exception_of_the_generator(kind: Kind, place: int) -> None:
    values: list[Any] = [b"x" * 1000] * place + [KeyError("mine")]
    with replay(respond=lambda _: says(OK)) as server, kind.session() as session:
        seen = session.send(request(server.url, "POST", content=pieces(kind, values)))
        assert isinstance(seen.error, KeyError)
        assert session.counts() == (0, 0)
        assert session.get(server.url).parts == [{}]
        assert [received.method for received in server.requests] == ["GET"]


@kinds
def test_what_is_no_bytes_is_a_type_error(kind: Kind) -> None:
    with replay(respond=lambda _: says(OK)) as server, kind.session() as session:
        seen = session.send(request(server.url, "POST", content=pieces(kind, [b"x", "text"])))
        assert isinstance(seen.error, TypeError)
        assert session.counts() == (0, 0)


@kinds
@pytest.mark.parametrize("whole", [False, True], ids=["pieces", "whole"])
def test_an_early_answer_and_the_connection_closed(kind: Kind, whole: bool) -> None:
    """The server says 413 and closes its end, but takes what comes, so that the system does not reset."""

    def refuse(peer: Peer) -> None:
        peer.hear()
        peer.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\nConnection: close\r\n\r\n" + b'{"n":1}\n')
        peer.connection.shutdown(socket.SHUT_WR)
        peer.swallow()

    with served(refuse) as (url, heard), kind.session() as session:
        content = b"x" * (32 << 20) if whole else pieces(kind, [b"x" * 100_000] * 300)
        seen = session.send(request(url, "POST", content=content))
        assert (seen.status, seen.parts, seen.error) == (413, [{"n": 1}], None)
        assert session.counts() == (0, 0)
        assert heard == [(0, "POST")]


@kinds
def test_an_early_answer_and_nothing_taken(kind: Kind) -> None:
    """A reset follows the answer: that is given, or the error of the connection, but never is the body sent again."""

    def refuse(peer: Peer) -> None:
        peer.hear()
        peer.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\n\r\n" + b'{"n":1}\n')

    with served(refuse, refuse) as (url, heard), kind.session() as session:
        seen = session.send(request(url, "POST", content=b"x" * (32 << 20)))
        assert seen.parts == [{"n": 1}] if seen.error is None else isinstance(seen.error, httpx.NetworkError)
        assert session.counts() == (0, 0)
        assert heard == [(0, "POST")]


@kinds
def test_an_early_answer_ends_an_endless_upload(kind: Kind) -> None:
    if kind.factory is None:
        pytest.skip("a blocking upload sends all before it reads, as httpx does")
    ended = threading.Event()

    def refuse(peer: Peer) -> None:
        peer.hear()
        peer.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\n\r\n" + b'{"n":1}\n')
        ended.wait(10)

    def forever() -> Iterator[bytes]:
        while True:
            yield b"x" * 100_000

    with served(refuse) as (url, _), kind.session() as session:
        try:
            seen = session.send(request(url, "POST", content=pieces(kind, forever())))
        finally:
            ended.set()
        assert (seen.status, seen.parts, seen.error) == (413, [{"n": 1}], None)
        assert session.counts() == (0, 0)


@kinds
def test_an_answer_while_the_body_is_sent_may_be_read_to_its_end(kind: Kind) -> None:
    """The server answers at once, then takes the whole request: both arrive, and the connection is not used again."""

    def answer(peer: Peer) -> None:
        peer.hear()
        peer.say(CHUNKED + line(1))
        peer.swallow(3 << 20)
        peer.say(line(2) + END)
        peer.swallow()

    with served(answer) as (url, _), kind.session() as session:
        seen = session.send(request(url, "POST", content=b"x" * (4 << 20)))
        assert (seen.parts, seen.error) == ([{"n": 1}, {"n": 2}], None)


@kinds
def test_a_server_that_breaks_off_an_upload(kind: Kind) -> None:
    def leave(peer: Peer) -> None:
        peer.hear()

    with served(leave, leave) as (url, heard), kind.session() as session:
        for content in (b"x" * (8 << 20), pieces(kind, [b"x" * 100_000] * 80)):
            seen = session.send(request(url, "POST", content=content))
            assert isinstance(seen.error, httpx.WriteError | httpx.ReadError), seen
            assert session.counts() == (0, 0)
        assert heard == [(0, "POST"), (1, "POST")]


@kinds
def test_a_multipart_body_and_a_file(kind: Kind, tmp_path: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"z" * 200_000)
    with replay(respond=lambda received: [OK]) as server, path.open("rb") as file, kind.session() as session:
        made = httpx.Request("POST", server.url, files={"f": file}, data={"a": "b"})
        assert session.send(made).parts == [{}]
        body = server.requests[-1].body
        assert body.count(b"z") == 200_000
        assert b'name="a"\r\n\r\nb\r\n' in body


@pytest.mark.parametrize("size", [1000, 300_000])
def test_small_files_one_after_the_other_share_a_connection(both: Colour, size: int, tmp_path: Path) -> None:
    """The server has the whole of a file by its length, and may answer before the client has said that it is all."""
    file = tmp_path / "file"

    def respond(received: Received) -> Iterator[bytes]:
        yield b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % (404 if received.method == "HEAD" else 201)

    async def on_a_loop(url: str) -> None:
        for number in range(20):
            file.write_bytes(number.to_bytes(4, "big") + b"x" * size)
            await aio.create_blob(url, file)

    with replay(respond=respond) as server:
        if both.asynchronous:
            asyncio.run(on_a_loop(server.url))
        else:
            for number in range(20):
                file.write_bytes(number.to_bytes(4, "big") + b"x" * size)
                ollama_fast.create_blob(server.url, file)
    assert len(server.requests) == 40
    assert server.connections == 1


@kinds
def test_a_body_cannot_pose_as_a_second_request(kind: Kind) -> None:
    """Both framings in the headers of one request are how requests are smuggled: one is sent."""
    smuggled = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    with replay(respond=lambda _: says(OK)) as server, kind.session() as session:
        sent = httpx.Request("POST", server.url, headers={"Transfer-Encoding": "chunked"}, content=smuggled)
        assert session.send(sent).error is None
    assert [(received.path, received.body) for received in server.requests] == [("/", smuggled)]


@kinds
@pytest.mark.parametrize("value", ["+3", "3, 4", "", "three"])
def test_a_length_that_is_not_one_is_not_sent(kind: Kind, value: str) -> None:
    with replay(respond=lambda _: says(OK)) as server, kind.session() as session:
        sent = httpx.Request("POST", server.url, headers={"Content-Length": value}, content=b"abc")
        assert isinstance(session.send(sent).error, httpx.LocalProtocolError)
    assert server.requests == []


@kinds
def test_what_a_body_raises_is_raised_and_it_is_read_once(kind: Kind) -> None:
    begun: list[int] = []

    def each() -> Iterator[bytes]:
        begun.append(1)
        yield b"abc"
        raise NotImplementedError("mine")

    async def each_later() -> AsyncIterator[bytes]:
        for piece in each():
            yield piece

    with replay(respond=lambda _: says(OK)) as server, kind.session() as session:
        content: Any = each() if kind.factory is None else each_later()
        error = session.send(httpx.Request("POST", server.url, content=content)).error
    assert isinstance(error, NotImplementedError)
    assert str(error) == "mine"
    assert begun == [1]
