"""No compression is asked for; what a proxy compresses all the same is decoded, part by part; its faults are typed."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from typing import Final

import brotli  # type: ignore[import-untyped]
import httpx
import pytest
import zstandard

from colours import Colour
from ollama_fast import Host, Limits, Timeout, aio
from ollama_fast._decompressed import decompressed, decompressed_async
from ollama_fast.errors import DecodeError, IncompleteStreamError, TimeoutError, TooLargeError
from programs import program
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
    packer = brotli.Compressor(quality=5)
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
def test_a_long_text_is_whole(both: Colour, coding: str) -> None:
    """It is decompressed in many steps."""
    text = "".join(f"{number * number:x}" for number in range(30_000))
    line = json.dumps({**PARTS[-1], "message": {"role": "assistant", "content": text}}).encode() + b"\n"

    def respond(_request: Received) -> Iterator[bytes]:
        yield head(coding)
        yield from map(framed, CODINGS[coding]([line]))
        yield b"0\r\n\r\n"

    with replay(respond=respond) as server:
        assert both.whole("chat", server.url, "m")["message"]["content"] == text
        assert [part["message"]["content"] for part in both.parts("chat_stream", server.url, "m").parts] == [text]


def raw_deflate(lines: list[bytes]) -> bytes:
    return b"".join(by_zlib(-15)(lines))


IN_A_ROW: Final = {
    "gzip": [gzip.compress(line) for line in LINES],
    "x-gzip": [gzip.compress(line) for line in LINES],
    "zstd": [zstandard.compress(line) for line in LINES],
    "deflate": [raw_deflate(LINES)],  # without the frame of zlib, which its first two bytes would tell
}
PADDED: Final = [IN_A_ROW["gzip"][0], bytes(512), *IN_A_ROW["gzip"][1:]]
CUTS: Final[dict[str, Callable[[list[bytes]], list[bytes]]]] = {
    "together": lambda pieces: [b"".join(pieces)],
    "apart": lambda pieces: pieces,
    "bytes": lambda pieces: [bytes([byte]) for byte in b"".join(pieces)],
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(
    ("coding", "pieces"), [*IN_A_ROW.items(), ("gzip", PADDED)], ids=[*IN_A_ROW, "gzip with zeros between"]
)
def test_members_and_frames_in_a_row_are_decoded_wherever_they_are_cut(
    both: Colour, over: str, coding: str, pieces: list[bytes], cut: str
) -> None:
    def respond(_request: Received) -> Iterator[bytes | float]:
        yield head(coding)
        for piece in CUTS[cut](pieces):
            yield framed(piece)
            yield 0.001
        yield b"0\r\n\r\n"

    with replay(respond=respond) as server:
        seen = both.parts("chat_stream", server.url, "m")
    assert (seen.parts, seen.error) == (PARTS, None)


class Cut(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def unpacked(coding: str, pieces: list[bytes]) -> tuple[bytes, str]:
    """Give what becomes of the body, and of what kind the error behind it is."""
    response = httpx.Response(200, headers={"content-encoding": coding}, stream=Cut(pieces))
    found = b""
    try:
        for piece in decompressed(response, Limits(), whole=False):
            found += piece
    except httpx.DecodingError:
        return found, "broken"
    return found, "whole"


async def unpacked_async(coding: str, pieces: list[bytes]) -> tuple[bytes, str]:
    response = httpx.Response(200, headers={"content-encoding": coding}, stream=Cut(pieces))
    found = b""
    try:
        async for piece in decompressed_async(response, Limits(), whole=False):
            found += piece
    except httpx.DecodingError:
        return found, "broken"
    return found, "whole"


A_GZIP, B_GZIP = gzip.compress(b"a"), gzip.compress(b"b")
A_ZLIB, B_ZLIB = zlib.compress(b"a"), zlib.compress(b"b")
A_RAW: Final = raw_deflate([b"a"])
A_ZSTD, B_ZSTD = zstandard.compress(b"a"), zstandard.compress(b"b")
BEHIND: Final[dict[str, tuple[str, bytes, tuple[bytes, str]]]] = {
    "gzip, gzip": ("gzip", A_GZIP + B_GZIP, (b"ab", "whole")),
    "gzip, zeros": ("gzip", A_GZIP + bytes(512), (b"a", "whole")),
    "gzip, zeros, gzip": ("gzip", A_GZIP + bytes(512) + B_GZIP, (b"ab", "whole")),
    "gzip, zero, gzip": ("gzip", A_GZIP + bytes(1) + B_GZIP, (b"ab", "whole")),
    "gzip, garbage, gzip": ("gzip", A_GZIP + b"garbage" + B_GZIP, (b"a", "whole")),
    "gzip, a letter, gzip": ("gzip", A_GZIP + b"g" + B_GZIP, (b"a", "whole")),
    "gzip, half a mark, gzip": ("gzip", A_GZIP + b"\x1f" + B_GZIP, (b"a", "whole")),
    "gzip, half a mark": ("gzip", A_GZIP + b"\x1f", (b"a", "whole")),
    "gzip, zeros, garbage, gzip": ("gzip", A_GZIP + bytes(9) + b"garbage" + B_GZIP, (b"a", "whole")),
    "gzip, garbage, zeros, gzip": ("gzip", A_GZIP + b"garbage" + bytes(9) + B_GZIP, (b"a", "whole")),
    "gzip, a mark, garbage": ("gzip", A_GZIP + b"\x1f\x8bgarbage" + B_GZIP, (b"a", "broken")),
    "zeros, gzip": ("gzip", bytes(9) + A_GZIP, (b"", "broken")),
    "deflate, deflate": ("deflate", A_ZLIB + B_ZLIB, (b"a", "whole")),
    "deflate, zeros, deflate": ("deflate", A_ZLIB + bytes(9) + B_ZLIB, (b"a", "whole")),
    "deflate, garbage, deflate": ("deflate", A_ZLIB + b"garbage" + B_ZLIB, (b"a", "whole")),
    "raw deflate, garbage, raw deflate": ("deflate", A_RAW + b"garbage" + A_RAW, (b"a", "whole")),
    "zstd, zstd": ("zstd", A_ZSTD + B_ZSTD, (b"ab", "whole")),
    "zstd, zeros, zstd": ("zstd", A_ZSTD + bytes(9) + B_ZSTD, (b"a", "broken")),
    "zstd, garbage, zstd": ("zstd", A_ZSTD + b"garbage" + B_ZSTD, (b"a", "broken")),
    "zstd, half a mark": ("zstd", A_ZSTD + B_ZSTD[:2], (b"a", "broken")),
}


@pytest.mark.unsent
@pytest.mark.parametrize(("coding", "body", "expected"), BEHIND.values(), ids=list(BEHIND))
def test_what_is_behind_the_end_is_read_the_same_wherever_it_is_cut(
    both: Colour, coding: str, body: bytes, expected: tuple[bytes, str]
) -> None:
    cuts = [[body], [bytes([byte]) for byte in body], *([body[:at], body[at:]] for at in range(1, len(body)))]

    async def on_a_loop() -> list[tuple[bytes, str]]:
        return [await unpacked_async(coding, pieces) for pieces in cuts]

    found = asyncio.run(on_a_loop()) if both.asynchronous else [unpacked(coding, pieces) for pieces in cuts]
    assert [(pieces, seen) for pieces, seen in zip(cuts, found, strict=True) if seen != expected] == []


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_what_waits_in_the_decoder_is_given_when_it_arrives(both: Colour, over: str, coding: str) -> None:
    """All that came is in the decoder, which gave exactly as much as it was asked for, and has more."""
    packer = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    line = LINES[0]
    blank = 65_537 % len(line)  # so that a part ends with the first byte that waits
    packed = packer.compress(b" " * blank + line * 2000) + packer.flush()

    def sizes(end: int) -> tuple[int, int, int]:
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
        given = len(decoder.decompress(packed[:end], 65_536))
        return given, len(decoder.unconsumed_tail), len(decoder.decompress(decoder.unconsumed_tail))

    end, waiting = next(
        (end, waiting)
        for end in range(len(packed))
        for given, left, waiting in [sizes(end)]
        if given == 65_536 and not left and waiting
    )

    def respond(_request: Received) -> Iterator[bytes]:
        yield head(coding) + framed(packed[:end])
        raise HangUpError

    with replay(respond=respond) as server:
        seen = both.parts("chat_stream", server.url, "m")
    assert seen.parts == PARTS[:1] * ((65_536 + waiting - blank) // len(line))
    assert type(seen.error) is IncompleteStreamError


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b"".join(LINES[:2]))[:-8] + bytes(8)),
        ("gzip", gzip.compress(b"".join(LINES[:2])) + b"\x1f\x8bgarbage"),
        ("deflate", zlib.compress(b"".join(LINES[:2]))[:-4] + bytes(4)),
        ("zstd", zstandard.compress(b"".join(LINES[:2])) + b"garbage"),
    ],
    ids=["gzip's sum", "gzip's next", "deflate's sum", "zstd's next"],
)
def test_what_was_decompressed_before_a_fault_is_given_first(both: Colour, over: str, coding: str, body: bytes) -> None:
    with replay(respond=lambda _: [head(coding) + framed(body) + b"0\r\n\r\n"]) as server:
        seen = both.parts("chat_stream", server.url, "m")
    assert seen.parts == PARTS[:2]
    assert type(seen.error) is DecodeError
    assert seen.partial is not None
    assert seen.partial["message"]["content"] == "Hello"


@pytest.mark.parametrize("rest", [b"garbage", bytes(1000)], ids=["garbage", "zeros"])
def test_bytes_behind_gzip_are_passed_over(both: Colour, over: str, rest: bytes) -> None:
    body = gzip.compress(b"".join(LINES)) + rest
    with replay(respond=lambda _: [head("gzip") + framed(body) + b"0\r\n\r\n"]) as server:
        seen = both.parts("chat_stream", server.url, "m")
    assert (seen.parts, seen.error) == (PARTS, None)


@pytest.mark.parametrize("value", ["gzip, gzip", "br,gzip", "zstd\r\nContent-Encoding: gzip"])
def test_more_than_one_coding_is_a_decode_error(both: Colour, value: str) -> None:
    with replay(respond=lambda _: [head(value) + framed(b"x") + b"0\r\n\r\n"]) as server:
        for seen in (both.attempt("chat", server.url, "m"), both.parts("chat_stream", server.url, "m")):
            assert type(seen.error) is DecodeError
            assert "more than one coding" in str(seen.error)


BLOCKS: Final = {"zeros": bytes(1 << 20), "parts": LINES[0] * ((1 << 20) // len(LINES[0]))}
READER: Final = r"""
import re
from pathlib import Path
import ollama_fast
from ollama_fast import Host, Limits, aio
from ollama_fast.errors import TooLargeError

def peak(): return int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

host = Host(url, limits=Limits(max_line_bytes=1 << 20, max_body_bytes=1 << 20))

async def first_async(model):
    async with aio.chat_stream(host, model) as stream:
        return await anext(stream)

def first(model):
    if asynchronous: return asyncio.run(first_async(model))
    with ollama_fast.chat_stream(host, model) as stream:
        return next(stream)

def whole(model):
    return asyncio.run(aio.chat(host, model)) if asynchronous else ollama_fast.chat(host, model)

first("warm"), whole("warm")
before = peak()
for coding in ("gzip", "deflate", "br", "zstd"):
    for ask in (first, whole):
        try: found = ask(coding + " zeros")
        except TooLargeError as error: found = error.most
        assert found == 1 << 20, found
    assert first(coding + " parts")["done"] is False
say((peak() - before) >> 20)
"""


@cache
def bomb(coding: str, block: bytes, times: int) -> bytes:
    """Compress *block*, so many *times*: some KB, or less."""
    if coding == "br":
        packer = brotli.Compressor(quality=3, lgwin=24)
        blocks: list[bytes] = [packer.process(block) for _ in range(times)]
        return b"".join([*blocks, packer.finish()])
    if coding == "zstd":
        frame: bytes = zstandard.compress(block)
        return frame * times
    packed = zlib.compressobj(9, wbits=15 if coding == "deflate" else 31)
    first = packed.compress(block) + packed.flush(zlib.Z_FULL_FLUSH)
    return first + (packed.compress(block) + packed.flush(zlib.Z_FULL_FLUSH)) * (times - 1)  # all look the same


@pytest.mark.skipif(sys.platform != "linux", reason="there the peak of a process's memory is told")
def test_a_little_that_unpacks_to_very_much_takes_little_memory(both: Colour) -> None:
    """Each body is of 256 MiB, the limits are 1 MiB; a step of a decoder takes some copies of 16 MiB, and a window."""
    bodies = {f"{coding} {kind}": bomb(coding, block, 256) for coding in CODINGS for kind, block in BLOCKS.items()}

    def respond(request: Received) -> Iterator[bytes]:
        model = request.json["model"]
        coding = model.split()[0] if model in bodies else "gzip"
        yield head(coding) + framed(bodies.get(model) or b"".join(CODINGS["gzip"](LINES[-1:])))
        yield b"0\r\n\r\n"

    code = f"asynchronous = {both.asynchronous}\n{READER}"
    with replay(respond=respond) as server, program(code, server.url, develop=False) as running:
        ended = running.end(100)
    assert ended.err == ""
    assert int(ended.out) < 128


BLANK: Final = b"\n" * (1 << 20)


@cache
def blank(coding: str, first: bytes, mebibytes: int) -> bytes:
    """Compress *first*, and then so much of nothing."""
    if coding in ("gzip", "deflate"):
        packed = zlib.compressobj(9, wbits=15 if coding == "deflate" else 31)
        blocks = [packed.compress(data) + packed.flush(zlib.Z_FULL_FLUSH) for data in (first, BLANK, BLANK)]
        return b"".join(blocks) + blocks[-1] * (mebibytes - 2)  # all look the same
    if coding == "br":
        packer = brotli.Compressor(quality=3, lgwin=24)
        blocks = [packer.process(first), packer.flush(), *(packer.process(BLANK) for _ in range(mebibytes))]
        return b"".join([*blocks, packer.flush()])
    frames = zstandard.ZstdCompressor().compressobj()
    start: bytes = frames.compress(first) + frames.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    return start + b"".join([*(frames.compress(BLANK) for _ in range(mebibytes)), frames.flush()])


def says_little(coding: str, mebibytes: int) -> Callable[[Received], list[bytes]]:
    """Give a server that says one part, or an answer, and then nothing but blank lines, in few bytes."""
    bodies = {streams: blank(coding, LINES[0] if streams else WHOLE, mebibytes) for streams in (False, True)}
    return lambda request: [head(coding) + framed(bodies[request.json["stream"]]) + b"0\r\n\r\n"]


@pytest.mark.parametrize("coding", CODINGS)
def test_blank_bytes_without_end_are_too_large(both: Colour, over: str, coding: str) -> None:
    limits = Limits(max_line_bytes=1 << 20, max_body_bytes=2 << 20)
    with replay(respond=says_little(coding, 8)) as server:
        host = Host(server.url, limits=limits)
        seen, whole = both.parts("chat_stream", host, "m"), both.attempt("chat", host, "m")
    assert seen.parts == PARTS[:1]
    for error in (seen.error, whole.error):
        assert type(error) is TooLargeError
        assert (error.limit, error.most) == ("max_body_bytes", 2 << 20)


def test_blank_bytes_without_end_end_with_the_time(both: Colour, over: str) -> None:
    """They take some seconds, but all are there at once: nothing waits for the server."""
    with replay(respond=says_little("zstd", 256)) as server:
        host = Host(server.url, timeout=Timeout(total=0.5), limits=Limits(max_body_bytes=None))
        seen = both.parts("chat_stream", host, "m")
    assert seen.parts == PARTS[:1]
    assert type(seen.error) is TimeoutError
    assert seen.error.limit == "total"


@pytest.mark.parametrize("coding", CODINGS)
def test_others_have_their_turn_while_much_is_decompressed(coding: str, over: str) -> None:
    """All of it comes with few reads of the socket, none of which has to wait."""

    async def turns(url: str) -> int:
        taken = 0

        async def take() -> None:
            nonlocal taken
            while True:
                taken += 1
                await asyncio.sleep(0)

        async with aio.chat_stream(url, "m") as stream:
            await anext(stream)
            other = asyncio.ensure_future(take())
            with pytest.raises(IncompleteStreamError):
                await anext(stream)
            other.cancel()
        return taken

    with replay(respond=says_little(coding, 16)) as server:
        assert asyncio.run(turns(server.url)) > 100  # a slice is of 64 KiB, or a little more


def test_an_older_brotli_which_knows_no_bound_is_given_few_bytes(
    both: Colour, over: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []

    class Older:
        def __init__(self) -> None:
            self._decoder = newer()

        def process(self, data: bytes) -> bytes:
            given.append(len(data))
            made: bytes = self._decoder.process(data)
            return made

    newer = brotli.Decompressor
    monkeypatch.setattr(brotli, "Decompressor", Older)
    with replay(respond=lambda _: [head("br"), *map(framed, by_brotli(LINES)), b"0\r\n\r\n"]) as server:
        assert both.parts("chat_stream", server.url, "m").parts == PARTS
    assert max(given) <= 8


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


def test_a_frame_without_its_end_is_a_decode_error(both: Colour, over: str) -> None:
    """Zstandard tells, also behind what would be a whole answer."""

    def respond(request: Received) -> Iterator[bytes]:
        yield head("zstd")
        yield from map(framed, by_zstandard(LINES[:2] if request.json["stream"] else [WHOLE])[:-1])
        yield b"0\r\n\r\n"

    with replay(respond=respond) as server:
        seen, whole = both.parts("chat_stream", server.url, "m"), both.attempt("chat", server.url, "m")
    assert seen.parts == PARTS[:2]
    for error in (seen.error, whole.error):
        assert type(error) is DecodeError
        assert "incomplete" in str(error)


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
