"""
What a proxy compressed all the same, decompressed in small steps.

httpx decompresses all that one read of a socket gave at once, and a few KB may become GiB. And of members of gzip in a
row it reads only the first; frames of Zstandard in a row fail unless one read gave them all. So here the libraries are
asked for little at a time, whoever counts what comes of it stops in time, and members and frames are all read, wherever
a read ended.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from importlib import import_module
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Protocol

import httpx

from ._sizes import too_large
from ._slices import SLICE, slices

if TYPE_CHECKING:
    from ._host import Limits

_CODINGS: Final = frozenset({"gzip", "x-gzip", "deflate", "zstd", "br"})
"""Those that are decompressed; a body of any other is given as it is."""
_ZSTANDARD_STEP: Final = 256
_BROTLI_STEP: Final = 8
"""
Bytes that are given at a time to zstandard, and to httpx's decoder of Brotli: they have no bound for what they make, so
that it is 16 MiB at most. Of four, Zstandard makes 128 KiB; of nine to thirteen, Brotli makes 16 MiB.
"""


def decompressed(
    response: httpx.Response, limits: Limits, *, whole: bool, deadline: float | None = None
) -> Iterator[bytes]:
    """
    Give the body of *response*.

    Args:
        response: Compressed or not, and read before or not.

        limits: How much may come of which nothing is to be seen, such as bytes behind the end of what is compressed, or
            blank lines.

        whole: Whether that is as much as a whole body may have, or as a line may; who takes it whole counts the rest.

        deadline: When all of it shall be over, by the clock of `perf_counter`.

    Raises httpx.DecodingError, httpx.RemoteProtocolError and httpx.ReadTimeout.
    """
    pieces = _Pieces.of(response, limits, whole=whole)
    watch = _Watch(None if whole else limits.max_body_bytes, deadline)
    unpacker = pieces.unpacker
    if unpacker is None:
        for chunk in response.iter_bytes():
            pieces.unseen = 0
            for piece in slices(chunk):
                yield watch.seen(piece)
    else:
        for chunk in response.iter_raw():
            for piece in unpacker.unpack(chunk):
                pieces.unseen = 0
                yield watch.seen(piece)
        unpacker.close()


async def decompressed_async(
    response: httpx.Response, limits: Limits, *, whole: bool, deadline: float | None = None
) -> AsyncIterator[bytes]:
    """Do the same on an event loop, where others have their turn."""
    pieces = _Pieces.of(response, limits, whole=whole)
    watch = _Watch(None if whole else limits.max_body_bytes, deadline)
    unpacker = pieces.unpacker
    if unpacker is None:
        async for chunk in response.aiter_bytes():
            pieces.unseen = 0
            for piece in slices(chunk):
                yield watch.seen(piece)
                await watch.pause()
    else:
        async for chunk in response.aiter_raw():
            for piece in unpacker.unpack(chunk):
                pieces.unseen = 0
                yield watch.seen(piece)
                await watch.pause()
        unpacker.close()


class _Watch:
    """
    What came of a body, and when: a few KB may be GiB of blank lines, none of which becomes a part.

    Args:
        most_blank: How many bytes without a sign may follow each other; None for any.

        deadline: When all of the body shall be there.
    """

    def __init__(self, most_blank: int | None, deadline: float | None) -> None:
        self._most_blank = most_blank
        self._deadline = deadline
        self._blank = 0
        self._held = 0
        """Bytes that came since others had their turn."""

    def seen(self, piece: bytes) -> bytes:
        """Give *piece*. Raises httpx.ReadTimeout if it is too late, and httpx.RemoteProtocolError if it is too much."""
        if self._deadline is not None and perf_counter() >= self._deadline:
            raise httpx.ReadTimeout("timed out while decompressing the response")
        self._blank = self._blank + len(piece) if piece.isspace() else 0
        if self._most_blank is not None and self._blank > self._most_blank:
            raise too_large(f"nothing but {self._most_blank} blank bytes came", "max_body_bytes", self._most_blank)
        self._held += len(piece)
        return piece

    async def pause(self) -> None:
        """Let others have their turn, if it is time: one read of a socket may become very much."""
        if self._held >= SLICE:
            from anyio.lowlevel import checkpoint  # which httpx brings

            self._held = 0
            await checkpoint()


class _Unpacker(Protocol):
    """What one coding is decompressed by."""

    def unpack(self, data: bytes, /) -> Iterator[bytes]:
        """Give what becomes of *data*, piece by piece. Raises httpx.DecodingError."""
        ...

    def close(self) -> None:
        """Say that no more comes. Raises httpx.DecodingError if the coding itself tells that something is missing."""


class _Zlib:
    """
    A decoder of gzip and deflate.

    Args:
        is_gzip: Which of the two it is.
    """

    def __init__(self, *, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._decoder: Any = None
        self._began = False
        """Whether a member was decompressed: bytes behind it may be no further one."""
        self._ended = False
        """Whether they were none, so that all that follows is passed over, too."""
        self._start = b""
        """The first byte of a member, by which alone it is not known."""

    def unpack(self, data: bytes, /) -> Iterator[bytes]:
        data = self._start + data
        self._start = b""
        while data and not self._ended:
            if self._decoder is None:
                if self._began:
                    data = data.lstrip(b"\0")  # padding, which Python's gzip skips, too
                if len(data) < 2:
                    self._start = data
                    return
                if self._began and not (self._is_gzip and data.startswith(b"\x1f\x8b")):
                    self._ended = True
                    return
                self._decoder = zlib.decompressobj(self._bits(data))
            yield from self._member(data)
            if not self._decoder.eof:
                return
            data, self._decoder, self._began = self._decoder.unused_data, None, True

    def close(self) -> None:
        pass  # it tells nothing: what is cut off is seen by what it is

    def _bits(self, data: bytes) -> int:
        """Say how zlib shall read what begins so."""
        if self._is_gzip:
            return zlib.MAX_WBITS | 16
        # Some send what has no frame of zlib's, which is recognized by its first two bytes.
        framed = data[0] & 15 == zlib.DEFLATED and int.from_bytes(data[:2]) % 31 == 0
        return zlib.MAX_WBITS if framed else -zlib.MAX_WBITS

    def _member(self, data: bytes) -> Iterator[bytes]:
        decoder = self._decoder
        waits = True
        while waits:
            before = decoder.copy()
            try:
                piece = decoder.decompress(data, SLICE)
            except zlib.error as exc:
                yield from _up_to_the_fault(before, data)
                raise httpx.DecodingError(str(exc)) from exc
            if piece:
                yield piece
            data = decoder.unconsumed_tail
            waits = not decoder.eof and (bool(data) or len(piece) == SLICE)


def _up_to_the_fault(decoder: Any, data: bytes) -> Iterator[bytes]:
    """Give what *decoder* makes of *data* before it finds a fault, for which zlib throws it away."""
    for start in range(len(data)):
        try:
            piece = decoder.decompress(data[start : start + 1])
        except zlib.error:
            return
        if piece:
            yield piece


class _Zstandard:
    """A decoder of the package zstandard, for frames in a row."""

    def __init__(self, package: Any) -> None:
        self._package = package
        self._frames = package.ZstdDecompressor()
        self._decoder: Any = None

    @classmethod
    def if_there(cls) -> _Zstandard | None:
        """Give one; None if the package is not there, so that httpx has none either."""
        try:
            return cls(import_module("zstandard"))
        except ImportError:
            return None

    def unpack(self, data: bytes, /) -> Iterator[bytes]:
        for step in slices(data, _ZSTANDARD_STEP):
            rest = step
            while rest:
                if self._decoder is None or self._decoder.eof:
                    self._decoder = self._frames.decompressobj()
                try:
                    piece: bytes = self._decoder.decompress(rest)
                except self._package.ZstdError as exc:
                    raise httpx.DecodingError(str(exc)) from exc
                rest = self._decoder.unused_data if self._decoder.eof else b""
                if piece:
                    yield from slices(piece)

    def close(self) -> None:
        if self._decoder is not None and not self._decoder.eof:
            raise httpx.DecodingError("Zstandard data is incomplete")


class _Brotli:
    """A decoder of the package brotli, which gives no more than is asked for at a time; before 1.2 it cannot."""

    def __init__(self, package: Any) -> None:
        self._package = package
        self._decoder = package.Decompressor()

    @classmethod
    def if_there(cls) -> _Brotli | None:
        """Give one; None if the package is not there, or too old."""
        try:
            package = import_module("brotli")
        except ImportError:
            return None
        return cls(package) if hasattr(package.Decompressor, "can_accept_more_data") else None

    def unpack(self, data: bytes, /) -> Iterator[bytes]:
        waits = True
        while waits:
            try:
                piece: bytes = self._decoder.process(data, output_buffer_limit=SLICE)
            except self._package.error as exc:
                raise httpx.DecodingError(str(exc)) from exc
            if piece:
                yield piece
            data = b""
            # More may wait, in the window, where less came than was asked for, and all input was taken.
            waits = bool(piece) or not self._decoder.can_accept_more_data()

    def close(self) -> None:
        pass  # it tells nothing, as zlib


class _Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """
    A body that gives few bytes at a time.

    Args:
        stream: The body.

        step: How many.

        limit: Which limit there is for bytes of which nothing comes, and the most.

        unpacker: What decompresses them, if httpx does not.
    """

    def __init__(self, stream: Any, step: int, limit: tuple[str, int | None], unpacker: _Unpacker | None) -> None:
        self._stream = stream
        self.unpacker = unpacker
        self._step = step
        self._limit, self._most = limit
        self.unseen = 0
        """Bytes that were given since something came of them."""

    @classmethod
    def of(cls, response: httpx.Response, limits: Limits, *, whole: bool) -> _Pieces:
        """Have the body of *response* come in pieces."""
        named = response.headers.get_list("content-encoding", split_commas=True)
        codings = [coding for coding in (name.strip().lower() for name in named) if coding in _CODINGS]
        if len(codings) > 1:  # a little of one may become much of the next
            raise httpx.DecodingError(f"it is {', '.join(codings)}, and more than one coding is not decompressed")
        unpacker = _unpacker(codings[0]) if codings and not response.is_stream_consumed else None
        step = _BROTLI_STEP if codings == ["br"] and unpacker is None else SLICE
        limit = ("max_body_bytes", limits.max_body_bytes) if whole else ("max_line_bytes", limits.max_line_bytes)
        response.stream = pieces = cls(response.stream, step, limit, unpacker)
        return pieces

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            yield from self._counted(chunk)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            for piece in self._counted(chunk):
                yield piece

    def close(self) -> None:
        self._stream.close()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def _counted(self, chunk: bytes) -> Iterable[bytes]:
        for piece in slices(chunk, self._step):
            self.unseen += len(piece)
            if self._most is not None and self.unseen > self._most:
                raise too_large(f"nothing came of {self._most} compressed bytes", self._limit, self._most)
            yield piece


def _unpacker(coding: str) -> _Unpacker | None:
    """Give what decompresses the *coding*; None if httpx does, as far as it can."""
    if coding == "br":
        return _Brotli.if_there()
    if coding == "zstd":
        return _Zstandard.if_there()
    return _Zlib(is_gzip=coding != "deflate")
