"""Wires made at random, from a seed: httpx's own transport is the oracle, and nothing hangs or panics."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from typing import Any, Final

import httpx
import pytest

from replay import HangUpError, Received, replay
from transports import KINDS, Kind, Reader, request

pytestmark = [pytest.mark.fast, pytest.mark.parametrize("kind", KINDS, ids=str)]

SEEDS: Final = 120
NONE_KEPT: Final = httpx.Limits(max_keepalive_connections=0)
ENDINGS: Final = (b"\n", b"\r\n", b"\n\n", b" \n")
VALUES: Final = (b'{"n":1}', b'{"text":"\xc2\x85\xe2\x80\xa8"}', b"[]", b"null", b"1e3", b'"x"', b"{}")


def body_of(generator: random.Random) -> bytes:
    count = generator.choice([0, 1, 2, 3, 30])
    lines = [generator.choice(VALUES) + generator.choice(ENDINGS) for _ in range(count)]
    lines += (
        [b'{"long":"' + b"x" * generator.choice([1, 70_000, 300_000]) + b'"}\n'] if generator.random() < 0.1 else []
    )
    return b"".join(lines)


def chunks_of(generator: random.Random, body: bytes) -> bytes:
    wire = b""
    while body:
        size = min(len(body), generator.choice([1, 7, 100, 5000, len(body)]))
        if size < 5 and len(body) > 2000:
            size = 2000
        extension = generator.choice([b"", b"", b";a=b", b';a="b c"', b"; x"])
        wire += generator.choice([b"%x", b"%X", b"00%x"]) % size + extension + b"\r\n" + body[:size] + b"\r\n"
        body = body[size:]
    return wire + b"0\r\n" + generator.choice([b"", b"", b"A: b\r\n", b"A: b\r\nC: d\r\n"]) + b"\r\n"


def wire_of(generator: random.Random) -> bytes:
    """Make a response that is as it should be."""
    body = body_of(generator)
    status = generator.choice([b"200 OK", b"200 OK", b"404 Not Found", b"500 x", b"204 No Content", b"200 "])
    headers = generator.sample(
        [b"A: b", b"Empty:", b"Spaces:   x  ", b"Folded: a\r\n b", b"Content-Type: x", b"Keep-Alive: 5", b"Twice: 1"], 3
    )
    framing = generator.choice(["length", "length", "chunked", "chunked", "chunked", "close", "none"])
    version = generator.choice([b"1.1", b"1.1", b"1.1", b"1.0"])
    if status.startswith(b"204"):
        framing, body = "none", b""
    if framing == "length":
        headers.append(b"Content-Length: %d" % len(body))
    elif framing == "chunked" and version == b"1.1":
        headers.append(b"Transfer-Encoding: chunked")
        body = chunks_of(generator, body)
    if framing == "close":
        headers.append(b"Connection: close")
    generator.shuffle(headers)
    head = b"HTTP/" + version + b" " + status + b"\r\n" + b"".join(header + b"\r\n" for header in headers) + b"\r\n"
    early = generator.choice([b"", b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 x\r\nLink: y\r\n\r\n"])
    return early + head + body


def cut(generator: random.Random, wire: bytes) -> list[bytes | float]:
    places = sorted(generator.randrange(len(wire) + 1) for _ in range(generator.choice([0, 1, 3, 10])))
    pieces: list[bytes | float] = []
    for start, end in zip([0, *places], [*places, len(wire)], strict=True):
        pieces += [wire[start:end], generator.choice([0, 0, 0.0005])]
    return pieces


def mutated(generator: random.Random, wire: bytes) -> bytes:
    for _ in range(generator.choice([1, 1, 2, 5])):
        at = generator.randrange(len(wire) + 1)
        garbage = generator.choice(
            [b"\r\n", b"\n", b"\0", b"x", b"HTTP/1.1 200 OK\r\n\r\n", b"0\r\n\r\n", b"\xff\xfe", b":"]
        )
        way = generator.randrange(4)
        if way == 0:
            wire = wire[:at] + garbage + wire[at:]
        elif way == 1:
            wire = wire[:at] + wire[at + generator.choice([1, 2, 10]) :]
        elif way == 2:
            wire = wire[:at] + bytes([generator.randrange(256)]) + wire[at + 1 :]
        else:
            wire = wire[:at] + wire[max(0, at - generator.choice([1, 5, 50])) :]
    return wire


def scripts(kind: str) -> dict[str, tuple[bytes, list[bytes | float], bool]]:
    """Give by path the wire, its pieces, and whether the connection is reset behind it."""
    made: dict[str, tuple[bytes, list[bytes | float], bool]] = {}
    for seed in range(SEEDS):
        generator = random.Random(f"{kind} {seed}")
        wire = wire_of(generator)
        if kind == "truncated":
            wire = wire[: generator.randrange(len(wire))]
        elif kind == "mutated":
            wire = mutated(generator, wire)
        elif kind == "followed":
            wire += generator.choice([b"x", b"\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"\0" * 1000])
        made[f"/{seed}"] = (wire, cut(generator, wire), kind == "mutated" and generator.random() < 0.2)
    return made


def lines_of(content: bytes) -> list[Any] | None:
    try:
        return [json.loads(line) for line in content.split(b"\n") if line.strip()]
    except ValueError:
        return None


def asked(oracle: httpx.HTTPTransport, made: httpx.Request) -> tuple[httpx.Response | None, bytes]:
    """Give the response that httpx's own transport reads, and its content; None where it is an error."""
    try:
        response = oracle.handle_request(made)
    except httpx.TransportError:
        return None, b""
    try:
        return response, b"".join(response.iter_raw())
    except httpx.TransportError:
        return None, b""
    finally:
        response.close()


@pytest.mark.parametrize("wires", ["whole", "truncated", "followed", "mutated"])
def test_the_same_as_httpx(kind: Kind, wires: str) -> None:
    made = scripts(wires)

    def respond(received: Received) -> Iterable[bytes | float]:
        _, pieces, reset = made[received.path]
        yield from pieces
        raise HangUpError(reset=reset)

    readers: tuple[Reader, ...] = ("raw", "parts", "batches", "whole")
    # A stray response that comes when the next request is sent already is its answer, to every client of HTTP/1.1.
    options = {"limits": NONE_KEPT} if wires in {"followed", "mutated"} else {}
    with (
        replay(respond=respond) as server,
        kind.session(**options) as session,
        httpx.HTTPTransport(limits=NONE_KEPT) as oracle,
    ):
        for number, (path, (wire, _, reset)) in enumerate(made.items()):
            method = "HEAD" if number % 17 == 16 else "GET"
            seen = session.send(request(server.url + path, method), readers[number % 4])
            assert isinstance(seen.error, httpx.TransportError | ValueError | EOFError | None), (wire, seen.error)
            expected, content = asked(oracle, request(server.url + path, method))
            failed = expected is None
            if reset or (wires in {"mutated", "followed"} and failed != isinstance(seen.error, httpx.TransportError)):
                continue  # a reset may overtake bytes; and of what is no HTTP, one may accept more than the other
            assert failed == isinstance(seen.error, httpx.TransportError), (wire, seen.error, expected)
            if expected is None:
                continue
            assert seen.status == expected.status_code
            if number % 4 in {0, 3}:
                assert seen.content == content, wire
            elif (lines := lines_of(content)) is not None:
                assert seen.parts == lines, wire
            if wires != "mutated":
                raw = [(name.lower(), value) for name, value in expected.headers.raw]
                assert [(name.lower(), value) for name, value in seen.headers.raw] == raw
        assert session.counts() == (0, 0)
