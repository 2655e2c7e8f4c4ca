"""
What a proxy compressed all the same, decompressed in small steps.

httpx decompresses all that one read of a socket gave at once, and a few KB may become GiB. So its decoders are given
few bytes at a time, and whoever counts what comes of them stops in time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from importlib import import_module
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import httpx

from ._sizes import too_large

if TYPE_CHECKING:
    from ._host import Limits

_STEP: Final = {"gzip": 4096, "deflate": 4096, "zstd": 256, "br": 8}
"""
Bytes of each coding that a decoder of httpx's is given at a time, so that it makes 16 MiB of them at most: of a byte,
zlib makes 1,032; of four, Zstandard makes 128 KiB; of nine to thirteen, Brotli makes 16 MiB.
"""
_SLICE: Final = 65_536
"""Bytes that are given on at once: lines become objects, which take more memory than their text."""


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
    brotli = pieces.brotli
    if brotli is None:
        for chunk in response.iter_bytes():
            pieces.unseen = 0
            for piece in _cut(chunk, _SLICE):
                yield watch.seen(piece)
    else:
        for chunk in response.iter_raw():
            for piece in brotli.unpack(chunk):
                pieces.unseen = 0
                yield watch.seen(piece)


async def decompressed_async(
    response: httpx.Response, limits: Limits, *, whole: bool, deadline: float | None = None
) -> AsyncIterator[bytes]:
    """Do the same on an event loop, where others have their turn."""
    pieces = _Pieces.of(response, limits, whole=whole)
    watch = _Watch(None if whole else limits.max_body_bytes, deadline)
    brotli = pieces.brotli
    if brotli is None:
        async for chunk in response.aiter_bytes():
            pieces.unseen = 0
            for piece in _cut(chunk, _SLICE):
                yield watch.seen(piece)
                await watch.pause()
    else:
        async for chunk in response.aiter_raw():
            for piece in brotli.unpack(chunk):
                pieces.unseen = 0
                yield watch.seen(piece)
                await watch.pause()


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
        if self._held >= _SLICE:
            from anyio.lowlevel import checkpoint  # which httpx brings

            self._held = 0
            await checkpoint()


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

    def unpack(self, data: bytes) -> Iterator[bytes]:
        """Give what becomes of *data*, piece by piece. Raises httpx.DecodingError."""
        waits = True
        while waits:
            try:
                piece: bytes = self._decoder.process(data, output_buffer_limit=_SLICE)
            except self._package.error as exc:
                raise httpx.DecodingError(str(exc)) from exc
            if piece:
                yield piece
            data = b""
            # More may wait, in the window, where less came than was asked for, and all input was taken.
            waits = bool(piece) or not self._decoder.can_accept_more_data()


class _Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """
    A body that gives few bytes at a time.

    Args:
        stream: The body.

        step: How many.

        limit: Which limit there is for bytes of which nothing comes, and the most.

        brotli: What decompresses them, if httpx does not.
    """

    def __init__(self, stream: Any, step: int, limit: tuple[str, int | None], brotli: _Brotli | None) -> None:
        self._stream = stream
        self.brotli = brotli
        self._step = step
        self._limit, self._most = limit
        self.unseen = 0
        """Bytes that were given since something came of them."""

    @classmethod
    def of(cls, response: httpx.Response, limits: Limits, *, whole: bool) -> _Pieces:
        """Have the body of *response* come in pieces."""
        named = response.headers.get_list("content-encoding", split_commas=True)
        codings = [coding for coding in (name.strip().lower() for name in named) if coding in _STEP]
        if len(codings) > 1:  # a little of one may become much of the next
            raise httpx.DecodingError(f"it is {', '.join(codings)}, and more than one coding is not decompressed")
        brotli = _Brotli.if_there() if codings == ["br"] and not response.is_stream_consumed else None
        step = _STEP[codings[0]] if codings and brotli is None else _SLICE
        limit = ("max_body_bytes", limits.max_body_bytes) if whole else ("max_line_bytes", limits.max_line_bytes)
        response.stream = pieces = cls(response.stream, step, limit, brotli)
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
        for piece in _cut(chunk, self._step):
            self.unseen += len(piece)
            if self._most is not None and self.unseen > self._most:
                raise too_large(f"nothing came of {self._most} compressed bytes", self._limit, self._most)
            yield piece


def _cut(data: bytes, size: int) -> Iterable[bytes]:
    if len(data) <= size:
        return (data,)
    return (data[start : start + size] for start in range(0, len(data), size))
