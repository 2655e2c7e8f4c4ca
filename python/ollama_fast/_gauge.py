"""
What a body must keep within where httpx's own transport receives it, which knows no such limits.

The core looks at them by itself; what is raised is what it raises.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

    import httpx


class Gauge:
    """
    The limits of one body.

    Args:
        deadline: When all of it shall be here, by the clock of `perf_counter`; None if it may take any time.

        most: How many bytes it may have, decoded; None if any number.
    """

    __slots__ = ("_deadline", "_most", "_taken")

    def __init__(self, deadline: float | None, most: int | None) -> None:
        self._deadline = deadline
        self._most = most
        self._taken = 0

    def expect(self, response: httpx.Response) -> None:
        """Look at the number of bytes that *response* announces. Raises httpx.RemoteProtocolError."""
        announced = response.headers.get("content-length", "")
        if announced.isdecimal() and "content-encoding" not in response.headers:
            self._check(int(announced))

    def over(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Give *chunks* on. Raises httpx.ReadTimeout or httpx.RemoteProtocolError in place of one that is too much."""
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
        if self._deadline is not None and perf_counter() >= self._deadline:
            import httpx

            raise httpx.ReadTimeout("timed out while waiting for the response")

    def _check(self, count: int) -> None:
        if self._most is not None and count > self._most:
            import httpx

            error: Any = httpx.RemoteProtocolError(f"the body of the response is longer than {self._most} bytes")
            error.too_large = "max_body_bytes", self._most  # as the core does
            raise error
