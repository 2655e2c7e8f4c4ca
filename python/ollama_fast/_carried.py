"""
What the connections of httpx's own transports do while a request is sent and its head waited for.

What these raise does not say whether an answer had begun, nor whether the connection was one that had been kept. So
their sockets are looked at, in both colours: the error gets the attribute `unanswered`, as that of the core does. What
may be done any number of times, on a kept connection that was dead, goes out again unnoticed, once, on a new one. And
the time for a head is for all of it, where httpx begins anew with each piece, and so is its size, with interim ones.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from time import perf_counter
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpcore
import httpx

from ._deadline import left_here
from ._sizes import too_large

T = TypeVar("T", httpx.HTTPTransport, httpx.AsyncHTTPTransport)
B = TypeVar("B", httpcore.NetworkBackend, httpcore.AsyncNetworkBackend)

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_BROKE: Final = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)

_now: ContextVar[Sending | None] = ContextVar("ollama_fast_sending", default=None)


def watch(transport: T, kind: type[B], watched: Callable[[B], B]) -> T:
    """
    Have the sockets of *transport* looked at: httpcore takes such for its pools, but httpx has no argument for them.

    Where a mock or another version keeps its pool elsewhere, nobody looks.
    """
    pool: Any = getattr(transport, "_pool", None)
    backend = getattr(pool, "_network_backend", None)
    if isinstance(backend, kind):
        pool._network_backend = watched(backend)  # noqa: SLF001 - see above
        if isinstance(transport, httpx.HTTPTransport):
            # httpcore's lock is written in Python: a signal handler that raises within it would leave it locked.
            pool._optional_thread_lock = threading.Lock()  # noqa: SLF001 - see above
    return transport


class Sending:
    """
    A block in which one request is sent and its head waited for; it sees what the connection does.

    Args:
        request: The request.

        fresh: Whether it must go out on a new connection: one that was kept breaks before it has a byte.
    """

    __slots__ = ("_most", "_taken", "_token", "answered", "fresh", "refused", "reused", "until")

    def __init__(self, request: httpx.Request, *, fresh: bool = False) -> None:
        sizes: tuple[int | None, int | None, int | None] | None = request.extensions.get("sizes")
        self._most = None if sizes is None else sizes[1]
        self._taken = 0
        self.fresh = fresh
        self.answered = False
        """Whether a byte of the answer came."""
        self.reused = False
        """Whether the connection had carried another answer before."""
        self.refused = False
        """Whether it was refused for that, or since its end had been read."""
        self.until: float | None = None
        """When the head shall be there, once it is waited for."""

    def __enter__(self) -> Self:
        self._token = _now.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(ValueError):  # ended by another context, such as the collector's: it has nothing of ours
            _now.reset(self._token)
        del self._token  # with the whole context of a task, while a connection may remember this

    def begins_head(self) -> None:
        """Note that a head is waited for from now on."""
        self.until = None
        self._taken = 0

    def took(self, count: int) -> None:
        """Note that *count* bytes of the answer came."""
        self.answered = True
        self._taken += count

    def check_size(self) -> None:
        """Say that more of the head is needed. Raises httpx.RemoteProtocolError if there is too much of it."""
        if self._most is not None and self._taken > self._most:
            raise too_large(f"the head of the response is longer than {self._most} bytes", "max_head_bytes", self._most)

    def again(self, request: httpx.Request, exc: httpx.TransportError) -> bool:
        """Say in *exc* whether no byte of an answer came; give whether *request* may be sent again without a word."""
        if self.answered or not isinstance(exc, _BROKE):
            return False
        error: Any = exc
        error.unanswered = True
        if self.refused:
            return True  # before it had a byte of the request
        may_be_dead = self.reused and not self.fresh
        return may_be_dead and request.method in _SAFE and isinstance(request.stream, httpx.ByteStream)


class Carried:
    """
    What one connection carried, for who sends over it.

    Args:
        stream: The connection. On one of HTTP/2 others may be under way, so nothing but its bytes is looked at.
    """

    __slots__ = ("_ended", "_last", "_one_at_a_time", "_sender")

    def __init__(self, stream: httpcore.NetworkStream | httpcore.AsyncNetworkStream) -> None:
        self._last: Sending | None = None
        self._sender: Sending | None = None
        self._ended = False
        found = stream.get_extra_info("ssl_object")
        self._one_at_a_time = found is None or found.selected_alpn_protocol() != "h2"

    def sends(self) -> None:
        """Note that bytes of a request are to be written. Raises httpcore.WriteError if not on this connection."""
        sending = _now.get()
        self._sender = sending
        if sending is None:
            return
        # What came for this one already was a proxy's.
        sending.answered, sending.reused = False, self._last is not None and self._last is not sending
        sending.begins_head()
        # httpcore keeps a connection whose end was that of a body, and may give it to another thread.
        unwanted = sending.fresh or self._ended
        sending.refused = unwanted and sending.reused and self._one_at_a_time
        if sending.refused:
            raise httpcore.WriteError(_KEPT)

    def waits(self, timeout: float | None) -> float | None:
        """Give how long to wait for more, at most *timeout*. Raises if no time is left, or the head is too large."""
        if not self._one_at_a_time:
            return timeout
        sending = self._served()
        if sending is None:
            return _within(timeout, left_here())
        if sending.refused:
            raise httpcore.ReadError(_KEPT)
        sending.check_size()
        if timeout is None:
            return None
        now = perf_counter()
        if sending.until is None:
            sending.until = now + timeout
        return _within(timeout, sending.until - now)

    def received(self, data: bytes) -> bytes:
        """Note what was read, and give it."""
        sending = self._served()
        self._ended |= not data
        if data and sending is not None:
            self._last = sending
            sending.took(len(data))
        return data

    def _served(self) -> Sending | None:
        """Give whose head is waited for here; not one that a signal handler ended amid its block, so that it stays."""
        sending = _now.get()
        return sending if sending is self._sender or not self._one_at_a_time else None


_KEPT: Final = "this connection was kept, and is for no further request"


def _within(limit: float | None, left: float | None) -> float | None:
    if left is None:
        return limit
    if left <= 0:
        raise httpcore.ReadTimeout("timed out while waiting for the response")
    return left if limit is None else min(limit, left)
