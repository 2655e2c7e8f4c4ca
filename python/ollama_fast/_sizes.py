"""
How large an answer may be, where Python takes its bytes.

A body is taken as a whole, but chunk by chunk, over httpx's own transport, and where a decoder is fed, such as that of
`embed_array`, or a body is decompressed, over any. What the core itself reads it counts; what is raised is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

    import httpx


class BodySize:
    """
    The size of one body.

    Args:
        most: How many bytes it may have, decompressed.
    """

    __slots__ = ("_most", "_taken")

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0

    def expect(self, response: httpx.Response) -> None:
        """Look at the number of bytes that *response* announces. Raises httpx.RemoteProtocolError."""
        announced = response.headers.get("content-length", "")
        if announced.isdecimal() and "content-encoding" not in response.headers:
            self._check(int(announced))

    def over(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Give *chunks* on. Raises httpx.RemoteProtocolError in place of one that is too much."""
        for chunk in chunks:
            self._take(chunk)
            yield chunk

    async def over_async(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """Do the same on an event loop."""
        async for chunk in chunks:
            self._take(chunk)
            yield chunk

    def _take(self, chunk: bytes) -> None:
        self._taken += len(chunk)
        self._check(self._taken)

    def _check(self, count: int) -> None:
        if count > self._most:
            raise too_large(f"the body of the response is longer than {self._most} bytes", "max_body_bytes", self._most)


def too_large(what: str, limit: str, most: int) -> httpx.RemoteProtocolError:
    """Say, as the core does, *what* there is too much of, by which limit."""
    import httpx

    error: Any = httpx.RemoteProtocolError(what)
    error.too_large = limit, most
    return cast("httpx.RemoteProtocolError", error)
