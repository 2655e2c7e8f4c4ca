"""Requests out of a connection: their heads, and their bodies piece by piece, as they arrive."""

from __future__ import annotations

import hashlib
import re
import selectors
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from ._values import Received

KEPT: Final = 1 << 20
"""Longer bodies of requests are not kept."""

PATIENCE: Final = 0.2
"""Seconds that an exchange has to end by itself once its client has left: it may be at its end."""

_HEAD_LIMIT: Final = 1 << 16
_FIRST_LINE: Final = re.compile(r"([^ ]+) ([^ ]+) HTTP/(1\.[0-9])")
_SIZES: Final = {10: re.compile(r"[0-9]{1,18}"), 16: re.compile(r"[0-9A-Fa-f]{1,15}")}
# Windows has neither of these; its select does not end at 1024 open files, as that of others does.
_SELECTOR = getattr(selectors, "PollSelector", selectors.SelectSelector)


class ClientLeftError(Exception):
    """The client hung up."""


class BadRequestError(Exception):
    """What arrived is no request of HTTP."""


def readable(*sockets: socket.socket, seconds: float | None = None) -> list[socket.socket]:
    """Wait until one of *sockets* can be read, or is at its end, and give those."""
    with _SELECTOR() as selector:
        found = {selector.register(each, selectors.EVENT_READ): each for each in sockets}
        return [found[key] for key, _ in selector.select(seconds)]


class Incoming:
    """
    A connection, and the bytes of it that nobody has taken yet.

    Args:
        connection: Where requests arrive.

        stop: Readable once nothing should be waited for any more.
    """

    def __init__(self, connection: socket.socket, stop: socket.socket) -> None:
        self.connection = connection
        self._stop = stop
        self._buffer = bytearray()

    def request(self) -> Arriving | None:
        """Give the next request once its head is there; None if there is none."""
        if not (self._buffer or self._more()):
            return None
        # Who greets in TLS waits for an answer: there will be no end of a head.
        if not self._buffer[:1].isalpha():
            begin = self._buffer[:100].partition(b"\r\n")[0].decode("latin-1")
            raise BadRequestError(f"no request begins with {begin!r}")
        head = self.until(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        found = _FIRST_LINE.fullmatch(first)
        if found is None:
            raise BadRequestError(f"no request begins with {first[:100]!r}")
        method, path, version = found.groups()
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        return Arriving(self, method, path, headers, version)

    def exactly(self, size: int) -> Iterator[bytes]:
        """Give *size* bytes as they come."""
        while size:
            if not self._buffer and not self._more():
                raise ClientLeftError
            piece = bytes(self._buffer[:size])
            del self._buffer[:size]
            size -= len(piece)
            yield piece

    def until(self, end: bytes) -> bytes:
        """Give what comes before *end*."""
        while (place := self._buffer.find(end)) < 0:
            if len(self._buffer) > _HEAD_LIMIT:
                raise BadRequestError(f"no end of line or head in {_HEAD_LIMIT} bytes: {bytes(self._buffer[:100])!r}")
            if not self._more():
                raise ClientLeftError
        found = bytes(self._buffer[:place])
        del self._buffer[: place + len(end)]
        return found

    def _more(self) -> bool:
        if self._stop in readable(self.connection, self._stop):
            return False
        try:
            data = self.connection.recv(1 << 18)
        except ConnectionError:
            return False
        self._buffer += data
        return bool(data)


class Arriving:
    """A request whose head is there; iterating over it takes its body off the wire."""

    def __init__(
        self, incoming: Incoming, method: str, path: str, headers: tuple[tuple[str, str], ...], version: str
    ) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.version = version
        self.since = time.monotonic()
        """When it arrived: the time of its last byte, once that is there."""
        self.received: Received | None = None
        """All of it, once all of its body was taken."""
        self._incoming = incoming
        self._fields: Mapping[str, str] = {name.lower(): value for name, value in headers}
        self._pieces = self._body()
        self._waits = self.header("expect").lower() == "100-continue" and version != "1.0"

    def header(self, name: str) -> str:
        """Give the last header of that name, in whatever case; empty if there is none."""
        return self._fields.get(name.lower(), "")

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def whole(self) -> Received:
        """Take what is left of the body, and give all of the request."""
        for _ in self._pieces:
            pass
        if self.received is None:  # a body that failed once
            raise ClientLeftError
        return self.received

    def skip(self) -> bool:
        """Take what is left of the body, and give whether a next request can follow: a client may wait to be asked."""
        if self.received is None and not self._waits:
            self.whole()
        return self.received is not None

    def _body(self) -> Iterator[bytes]:
        if self._waits:
            self._waits = False
            try:
                self._incoming.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            except ConnectionError as exc:
                raise ClientLeftError from exc
        kept, length, digest = bytearray(), 0, hashlib.sha256()
        for piece in self._raw():
            length += len(piece)
            digest.update(piece)
            if length <= KEPT:
                kept += piece
            else:
                kept.clear()
            yield piece
        self.since = time.monotonic()
        self.received = Received(
            self.method, self.path, self.headers, bytes(kept), length, digest.hexdigest(), self.version
        )

    def _raw(self) -> Iterator[bytes]:
        incoming = self._incoming
        if "chunked" not in self.header("transfer-encoding").lower():
            yield from incoming.exactly(_size(self._fields.get("content-length", "0"), 10))
            return
        while size := _size(incoming.until(b"\r\n").partition(b";")[0].decode("latin-1"), 16):
            yield from incoming.exactly(size)
            incoming.until(b"\r\n")
        while incoming.until(b"\r\n"):  # trailers, up to an empty line
            pass

    @property
    def has_body(self) -> bool:
        """Whether its head says that a body follows."""
        return "content-length" in self._fields or "transfer-encoding" in self._fields

    @contextmanager
    def passed_on(self, whole: Callable[[Received], None], leave: Callable[[], None]) -> Generator[Iterator[bytes]]:
        """
        Give the body as it arrives, for the block to take.

        Args:
            whole: Is told the request once all of it is there.

            leave: Is called, in another thread, if the client hangs up after that, until the block ends.
        """
        ended, end = socket.socketpair()
        watch = threading.Thread(target=self._watch, args=(ended, leave), name="loopback-left", daemon=True)

        def pieces() -> Iterator[bytes]:
            yield from self._pieces
            whole(self.whole())
            watch.start()

        try:
            yield pieces()
        finally:
            end.close()
            if watch.ident is not None:
                watch.join()
            ended.close()

    def _watch(self, ended: socket.socket, leave: Callable[[], None]) -> None:
        connection = self._incoming.connection
        if ended in readable(connection, ended):
            return
        try:
            gone = not connection.recv(1, socket.MSG_PEEK)
        except OSError:
            gone = True
        if gone and not readable(ended, seconds=PATIENCE):  # else the next request is there already
            leave()


def _size(text: str, base: int) -> int:
    """Give the size of a body or a chunk."""
    if _SIZES[base].fullmatch(text.strip()) is None:
        raise BadRequestError(f"no size is {text[:100]!r}")
    return int(text, base)
