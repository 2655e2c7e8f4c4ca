"""
A server on loopback: it accepts connections, reads requests, and does what it is told in reply.

It knows nothing of Ollama. Each connection has a thread, so that what one of them waits for holds up no other.
"""

from __future__ import annotations

import hashlib
import math
import re
import selectors
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final, TypeAlias

from ._values import Action, End, Received

KEPT: Final = 1 << 20
"""Longer bodies of requests are not kept."""

_HEAD_LIMIT = 1 << 16
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_LONGEST_WAIT = 3600.0
_SIZES: Final = {10: re.compile(r"[0-9]{1,18}"), 16: re.compile(r"[0-9A-Fa-f]{1,15}")}
# Windows has neither of these; its select does not end at 1024 open files, as that of others does.
_SELECTOR = getattr(selectors, "PollSelector", selectors.SelectSelector)
_REUSE_PORT = getattr(socket, "SO_REUSEPORT", None)
_LINGER = "HH" if sys.platform == "win32" else "ii"


Respond: TypeAlias = Callable[[Received], Iterable[Action]]
"""Gives all that is done in reply to a request, the head and all."""


class Loopback:
    """A running server: where it is, and what it saw."""

    def __init__(self, respond: Respond, port: int = 0) -> None:
        self.respond = respond
        self.requests: list[Received] = []
        self.connections = 0
        """How many were accepted."""
        self.abandoned: list[Received] = []
        """Requests whose client hung up before the reply was whole."""
        self.rejected: list[str] = []
        """Why what somebody sent was no request."""
        self.failure: BaseException | None = None
        """What went wrong in `respond`."""
        self._wake, self._woken = socket.socketpair()  # readable, in every thread, once the server stops
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._sending: set[threading.Thread] = set()
        self._stopping = False
        self._place: tuple[str, int] = ("127.0.0.1", port)
        self._keeper = None if _REUSE_PORT is None else self._keep(_REUSE_PORT)
        self._listen()
        self.url = "http://{}:{}".format(*self._place)

    @property
    def underway(self) -> int:
        """How many replies are being sent; one that waits for its client to leave is not."""
        return len(self._sending)

    @property
    def refuses(self) -> bool:
        """Whether it refuses connections at the moment; those that it had are closed then."""
        return self._acceptor is None

    @refuses.setter
    def refuses(self, refuses: bool) -> None:
        if refuses == self.refuses:
            return
        if refuses:
            self._stop_listening()
            self._hang_up()
        else:
            self._listen()

    def stop(self) -> None:
        """Close every connection and wait for every thread."""
        self._stopping = True
        self._stop_listening()
        if self._keeper is not None:
            self._keeper.close()
        self._wake.close()
        left = [thread.name for thread in self._hang_up() if thread.is_alive()]
        self._woken.close()
        if left:
            raise RuntimeError(f"threads of the server are still running: {left}")

    def _keep(self, reuse_port: int) -> socket.socket:
        """Bind the port and never listen: so it stays ours while connections are refused."""
        keeper = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        for option in (socket.SO_REUSEADDR, reuse_port):
            keeper.setsockopt(socket.SOL_SOCKET, option, 1)
        keeper.bind(self._place)
        self._place = keeper.getsockname()
        return keeper

    def _listen(self) -> None:
        self._listener = socket.create_server(self._place, backlog=512, reuse_port=_REUSE_PORT is not None)
        self._listener.setblocking(False)  # a client may leave between the wait and accept
        self._place = self._listener.getsockname()
        self._enough, self._told = socket.socketpair()
        acceptor = threading.Thread(
            target=self._accept, args=(self._listener, self._told), name="loopback", daemon=True
        )
        self._acceptor: threading.Thread | None = acceptor
        acceptor.start()

    def _stop_listening(self) -> None:
        self._enough.close()
        if self._acceptor is not None:
            self._acceptor.join(10)
            self._acceptor = None
        self._told.close()
        self._listener.close()

    def _hang_up(self) -> list[threading.Thread]:
        """Close what is open, and give the threads that were waited for."""
        with self._lock:
            threads = list(self._open)
            for connection in self._open.values():
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)  # one may wait for a client that does not read
        for thread in threads:
            thread.join(10)
        return threads

    def _accept(self, listener: socket.socket, told: socket.socket) -> None:
        while True:
            if told in _readable(listener, told):
                return
            with suppress(BlockingIOError, ConnectionError):
                connection, _ = listener.accept()
                connection.setblocking(True)
                self.connections += 1
                name = f"loopback-{self.connections}"
                thread = threading.Thread(target=self._serve, args=(connection,), name=name, daemon=True)
                with self._lock:
                    self._open[thread] = connection
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                incoming = _Incoming(connection, self._woken)
                while (request := self._received(connection, incoming)) is not None:
                    self.requests.append(request)
                    self._sending.add(threading.current_thread())
                    if not self._answer(connection, request):
                        return
                    self._sending.discard(threading.current_thread())
        except _ClientLeftError:
            return
        except Exception as exc:  # noqa: BLE001 - it belongs to who started the server, which is in another thread
            self.failure = self.failure or exc
        finally:
            self._sending.discard(threading.current_thread())
            with self._lock:
                self._open.pop(threading.current_thread(), None)

    def _received(self, connection: socket.socket, incoming: _Incoming) -> Received | None:
        """Give the next request; None if there is none."""
        try:
            return incoming.request()
        except _BadRequestError as exc:  # of whoever found the port: it is nobody's failure
            self.rejected.append(str(exc))
            with suppress(OSError, _StoppedError):
                connection.sendall(_BAD_REQUEST)
                self._end(connection, End.HALF_CLOSE)  # until it is read: what is closed at once may be lost
            return None

    def _answer(self, connection: socket.socket, request: Received) -> bool:
        """Reply; give whether the connection stays."""
        head = b""
        actions = iter(self.respond(request))
        try:
            for action in actions:
                if isinstance(action, bytes):
                    if b"\r\n\r\n" not in head:
                        head += action
                    connection.sendall(action)
                elif isinstance(action, End):
                    self._end(connection, action)
                    return False
                else:
                    self._pause(connection, action)
        except (ConnectionError, _ClientLeftError) as exc:
            if not self._stopping:
                self.abandoned.append(request)
            raise _ClientLeftError from exc
        except _StoppedError:
            return False
        finally:
            if isinstance(actions, Generator):
                actions.close()  # so that a `finally` in it runs now
        closing = b"\r\nconnection: close" in head.partition(b"\r\n\r\n")[0].lower()
        return not closing and (request.header("connection") or "").lower() != "close"

    def _end(self, connection: socket.socket, end: End) -> None:
        if end is End.RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(_LINGER, 1, 0))
        elif end is End.HALF_CLOSE:
            connection.shutdown(socket.SHUT_WR)
            with suppress(_ClientLeftError):
                self._pause(connection, math.inf)

    def _pause(self, connection: socket.socket, seconds: float) -> None:
        """Wait, but notice a client that hangs up, as Ollama does, and the end of the server."""
        if seconds == math.inf:
            self._sending.discard(threading.current_thread())
        deadline = time.monotonic() + seconds
        watched = [connection, self._woken]
        while (left := deadline - time.monotonic()) > 0:
            readable = _readable(*watched, seconds=min(left, _LONGEST_WAIT))
            if self._woken in readable:
                raise _StoppedError
            if connection in readable:
                if not connection.recv(1, socket.MSG_PEEK):
                    raise _ClientLeftError
                watched = [self._woken]  # the next request is there already


class _ClientLeftError(Exception):
    pass


class _StoppedError(Exception):
    pass


class _BadRequestError(Exception):
    pass


def _readable(*sockets: socket.socket, seconds: float | None = None) -> list[socket.socket]:
    with _SELECTOR() as selector:
        found = {selector.register(each, selectors.EVENT_READ): each for each in sockets}
        return [found[key] for key, _ in selector.select(seconds)]


class _Incoming:
    """Requests out of a connection."""

    def __init__(self, connection: socket.socket, stop: socket.socket) -> None:
        self._connection = connection
        self._stop = stop
        self._buffer = bytearray()

    def request(self) -> Received | None:
        """Give the next request; None if there is none."""
        head = self._until(b"\r\n\r\n", at_start=True)
        if head is None:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != len(("method", "path", "version")):
            raise _BadRequestError(f"no request begins with {first[:100]!r}")
        method, path, _version = words
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        fields = {name.lower(): value for name, value in headers}
        if fields.get("expect", "").lower() == "100-continue":
            self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        kept, length, digest = bytearray(), 0, hashlib.sha256()
        for piece in self._body(fields):
            length += len(piece)
            digest.update(piece)
            if length <= KEPT:
                kept += piece
            else:
                kept.clear()
        return Received(method, path, headers, bytes(kept), length, digest.hexdigest())

    def _body(self, fields: Mapping[str, str]) -> Iterator[bytes]:
        if "chunked" not in fields.get("transfer-encoding", "").lower():
            yield from self._exactly(_size(fields.get("content-length", "0"), 10))
            return
        while size := _size((self._until(b"\r\n") or b"").partition(b";")[0].decode("latin-1"), 16):
            yield from self._exactly(size)
            self._until(b"\r\n")
        while self._until(b"\r\n"):  # trailers, up to an empty line
            pass

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            if not self._buffer and not self._more():
                raise _ClientLeftError
            piece = bytes(self._buffer[:size])
            del self._buffer[:size]
            size -= len(piece)
            yield piece

    def _until(self, end: bytes, *, at_start: bool = False) -> bytes | None:
        while (place := self._buffer.find(end)) < 0:
            if len(self._buffer) > _HEAD_LIMIT:
                raise _BadRequestError(f"no end of line or head in {_HEAD_LIMIT} bytes: {bytes(self._buffer[:100])!r}")
            if not self._more():
                if at_start and not self._buffer:
                    return None
                raise _ClientLeftError
        found = bytes(self._buffer[:place])
        del self._buffer[: place + len(end)]
        return found

    def _more(self) -> bool:
        if self._stop in _readable(self._connection, self._stop):
            return False
        try:
            data = self._connection.recv(1 << 18)
        except ConnectionError:
            return False
        self._buffer += data
        return bool(data)


def _size(text: str, base: int) -> int:
    """Give the size of a body or a chunk."""
    if _SIZES[base].fullmatch(text.strip()) is None:
        raise _BadRequestError(f"no size is {text[:100]!r}")
    return int(text, base)
