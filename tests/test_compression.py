"""No compression is asked for; what a proxy compresses all the same is decoded, part by part; its faults are typed."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard

from colours import Colour
from ollama_fast.errors import DecodeError, IncompleteStreamError
from replay import HangUpError, Received, replay

PARTS: Final = [
    {"model": "m", "created_at": "", "message": {"role": "assistant", "content": text}, "done": text == "!"}
    for text in ("Hel", "lo", "!")
]
LINES: Final = [json.dumps(part).encode() + b"\n" for part in PARTS]
WHOLE: Final = b"".join(LINES[-1:])


def by_zlib(wbits: int) -> Callable[[list[bytes]], list[bytes]]:
    def compress(lines: list[bytes]) -> list[bytes]:
        packer = zlib.compressobj(wbits=wbits)
        pieces = [packer.compress(line) + packer.flush(zlib.Z_SYNC_FLUSH) for line in lines]
        return [*pieces, packer.flush()]

    return compress


def by_brotli(lines: list[bytes]) -> list[bytes]:
    packer = brotli.Compressor()
    return [*(packer.process(line) + packer.flush() for line in lines), packer.finish()]


def by_zstandard(lines: list[bytes]) -> list[bytes]:
    packer = zstandard.ZstdCompressor().compressobj()
    block = zstandard.COMPRESSOBJ_FLUSH_BLOCK
    return [*(packer.compress(line) + packer.flush(block) for line in lines), packer.flush()]


CODINGS: Final[dict[str, Callable[[list[bytes]], list[bytes]]]] = {
    "gzip": by_zlib(31),
    "deflate": by_zlib(15),
    "br": by_brotli,
    "zstd": by_zstandard,
}


def head(coding: str) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % coding.encode()


def framed(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece) if piece else b""


def test_none_is_asked_for(every: Colour) -> None:
    with replay(respond=lambda _: [b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"version":"1"}']) as server:
        every.whole("version", server.url)
        every.parts("chat_stream", server.url, "m")
    # A client of the caller's own asks for what it likes.
    if every.way == "host":
        assert {request.header("Accept-Encoding") for request in server.requests} == {"identity"}


@pytest.mark.parametrize("coding", CODINGS)
def test_what_is_compressed_all_the_same_is_decoded(every: Colour, coding: str) -> None:
    def respond(request: Received) -> Iterator[bytes]:
        pieces = CODINGS[coding](LINES if request.json["stream"] else [WHOLE])
        yield head(coding)
        yield from map(framed, pieces)
        yield b"0\r\n\r\n"

    with replay(respond=respond) as server:
        assert every.whole("chat", server.url, "m") == PARTS[-1]
        seen = every.parts("chat_stream", server.url, "m")
        assert (seen.parts, seen.error) == (PARTS, None)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_compressed_part_is_given_when_it_arrives(every: Colour, coding: str) -> None:
    """The connection is cut behind two parts, which came before."""

    def respond(_request: Received) -> Iterator[bytes]:
        yield head(coding)
        yield from map(framed, CODINGS[coding](LINES)[:2])
        raise HangUpError

    with replay(respond=respond) as server:
        seen = every.parts("chat_stream", server.url, "m")
        assert seen.parts == PARTS[:2]
        assert type(seen.error) is IncompleteStreamError
        assert (seen.error.partial or {})["message"]["content"] == "Hello"
        whole = every.attempt("chat", server.url, "m")
        assert type(whole.error) is IncompleteStreamError


@pytest.mark.parametrize("coding", CODINGS)
def test_one_that_ends_too_soon_is_no_answer(every: Colour, coding: str) -> None:
    """The body is whole, to HTTP, but what is compressed in it is not: only some codings tell."""

    def respond(_request: Received) -> Iterator[bytes]:
        yield head(coding)
        yield from map(framed, CODINGS[coding](LINES)[:2])
        yield b"0\r\n\r\n"

    with replay(respond=respond) as server:
        seen = every.parts("chat_stream", server.url, "m")
        assert seen.parts == PARTS[:2]
        assert type(seen.error) in (IncompleteStreamError, DecodeError)
        assert seen.error is not None
        assert (seen.error.partial or {})["message"]["content"] == "Hello"
        assert type(every.attempt("chat", server.url, "m").error) in (IncompleteStreamError, DecodeError)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_what_is_not_compressed_as_it_says_is_a_decode_error(every: Colour, coding: str) -> None:
    garbage = b"\xff" * 64

    def respond(_request: Received) -> Iterator[bytes]:
        yield head(coding) + framed(garbage) + b"0\r\n\r\n"

    with replay(respond=respond) as server:
        for seen in (every.attempt("chat", server.url, "m"), every.parts("chat_stream", server.url, "m")):
            assert type(seen.error) is DecodeError
            assert "content-encoding is broken" in str(seen.error)
            assert seen.parts == []
