"""
What a proxy compressed all the same, decompressed in small steps.

httpx decompresses all that one read of a socket gave at once, and a few KB may become GiB. So its decoders are given
few bytes at a time, and whoever counts what comes of them stops in time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import httpx

from ._body_size import too_large

if TYPE_CHECKING:
    from ._host import Limits

_STEP: Final = {"gzip": 4096, "deflate": 4096, "zstd": 256, "br": 8}
"""
Bytes of each coding that a decoder is given at a time, so that it makes 16 MiB of them at most: of a byte, zlib makes
1,032; of four, Zstandard makes 128 KiB; of nine to thirteen, Brotli makes 16 MiB.
"""
_SLICE: Final = 65_536
"""Bytes that are given on at once: lines become objects, which take more memory than their text."""


def decompressed(response: httpx.Response, limits: Limits, *, whole: bool) -> Iterator[bytes]:
    """
    Give the body of *response*.

    Args:
        response: Compressed or not, and read before or not.

        limits: How much may come of which nothing is to be seen, such as bytes behind the end of what is compressed.

        whole: Whether that is as much as a whole body may have, or as a line may.

    Raises httpx.DecodingError and httpx.RemoteProtocolError.
    """
    pieces = _Pieces.of(response, limits, whole=whole)
    for chunk in response.iter_bytes():
        pieces.unseen = 0
        yield from _cut(chunk, _SLICE)


async def decompressed_async(response: httpx.Response, limits: Limits, *, whole: bool) -> AsyncIterator[bytes]:
    """Do the same on an event loop."""
    pieces = _Pieces.of(response, limits, whole=whole)
    async for chunk in response.aiter_bytes():
        pieces.unseen = 0
        for piece in _cut(chunk, _SLICE):
            yield piece


class _Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """
    A body that gives few bytes at a time.

    Args:
        stream: The body.

        step: How many.

        limit: Which limit there is for bytes of which nothing comes, and the most.
    """

    def __init__(self, stream: Any, step: int, limit: tuple[str, int | None]) -> None:
        self._stream = stream
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
        step = _STEP[codings[0]] if codings else _SLICE
        limit = ("max_body_bytes", limits.max_body_bytes) if whole else ("max_line_bytes", limits.max_line_bytes)
        response.stream = pieces = cls(response.stream, step, limit)
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
