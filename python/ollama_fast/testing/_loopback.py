"""
A server on loopback: it accepts connections, reads requests, and does what it is told in reply.

It knows nothing of Ollama. Each connection has a thread, so that what one of them waits for holds up no other.
"""

from __future__ import annotations

import math
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, suppress
from typing import Final, TypeAlias
from weakref import WeakSet

from ._incoming import KEPT as KEPT
from ._incoming import Arriving, BadRequestError, ClientLeftError, Incoming, readable
from ._values import Action, End, Received

_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_LONGEST_WAIT = 3600.0
_HEAD_LIMIT = 1 << 16
_REUSE_PORT = getattr(socket, "SO_REUSEPORT", None)
_LINGER = "HH" if sys.platform == "win32" else "ii"


Respond: TypeAlias = Callable[[Received], Iterable[Action]]
"""Gives all that is done in reply to a request, the head and all."""

Take: TypeAlias = Callable[[Arriving, Callable[[Received], None]], Iterable[Action]]
"""The same for one whose body is still on the wire; it is to be told the request once that is there as a whole."""


def once_whole(respond: Respond) -> Take:
    """Give what takes requests as wholes."""

    def take(request: Arriving, arrived: Callable[[Received], None]) -> Iterable[Action]:
        received = request.whole()
        arrived(received)
        return respond(received)

    return take


class Loopback:
    """A running server: where it is, and what it saw."""

    def __init__(self, take: Take, port: int = 0) -> None:
        self._take = take
        self.requests: list[Received] = []
        self.connections = 0
        """How many were accepted."""
        self.abandoned: list[Received] = []
        """Requests whose client hung up before the reply was whole."""
        self.rejected: list[str] = []
        """Why what somebody sent was no request."""
        self.failure: BaseException | None = None
        """What went wrong in `take`."""
        self._wake, self._woken = socket.socketpair()  # readable, in every thread, once the server stops
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._sending: set[threading.Thread] = set()
        self._stopping = False
        self._acceptor: threading.Thread | None = None
        self._place: tuple[str, int] = ("127.0.0.1", port)
        with ExitStack() as opened:  # so that nothing is left of one that cannot be, as on a port that is taken
            for each in (self._wake, self._woken):
                opened.enter_context(each)
            if port and _REUSE_PORT is not None:
                self._claim()
            self._keeper = None if _REUSE_PORT is None else opened.enter_context(self._keep(_REUSE_PORT))
            self._listen()
            opened.pop_all()
        _RUNNING.add(self)
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
        if refuses == self.refuses or self._stopping:
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

    def leave_to_parent(self) -> None:
        """
        Close what a child of a fork has of this server, and end none of it: its parent serves on.

        While it is open in the child, what the parent closes stays open to whoever is connected to it.
        """
        self._stopping, self._acceptor = True, None
        kept = [self._listener, self._enough, self._told, self._wake, self._woken, *self._open.values()]
        for each in kept if self._keeper is None else [*kept, self._keeper]:
            each.close()
        self._open.clear()
        self._lock = threading.Lock()  # a thread that is not here may have it

    def _claim(self) -> None:
        """See to it that nobody listens at the port, which SO_REUSEPORT would let us share."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as claim:
            claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._bind(claim)

    def _bind(self, bound: socket.socket) -> None:
        try:
            bound.bind(self._place)
        except OSError as exc:
            raise OSError(exc.errno, "{}: {}:{}".format(exc.strerror, *self._place)) from exc

    def _keep(self, reuse_port: int) -> socket.socket:
        """Bind the port and never listen: so it stays ours while connections are refused."""
        keeper = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        for option in (socket.SO_REUSEADDR, reuse_port):
            keeper.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            self._bind(keeper)
        except OSError:
            keeper.close()
            raise
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
        self._acceptor = acceptor
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
            if told in readable(listener, told):
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

    def _arrived(self, request: Received) -> None:
        self.requests.append(request)
        self._sending.add(threading.current_thread())

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                incoming = Incoming(connection, self._woken)
                try:
                    while (request := incoming.request()) is not None and self._answer(connection, request):
                        pass
                except BadRequestError as exc:  # of whoever found the port: it is nobody's failure
                    self.rejected.append(str(exc))
                    with suppress(OSError, _StoppedError):
                        connection.sendall(_BAD_REQUEST)
                        self._end(connection, End.HALF_CLOSE)  # until it is read: what is closed at once may be lost
        except ClientLeftError:
            return
        except Exception as exc:  # noqa: BLE001 - it belongs to who started the server, which is in another thread
            self.failure = self.failure or exc
        finally:
            self._sending.discard(threading.current_thread())
            with self._lock:
                self._open.pop(threading.current_thread(), None)

    def _answer(self, connection: socket.socket, request: Arriving) -> bool:
        """Reply; give whether the connection stays."""
        head = b""
        actions = iter(self._take(request, self._arrived))
        try:
            for action in actions:
                if isinstance(action, bytes):
                    if len(head) < _HEAD_LIMIT and b"\r\n\r\n" not in head:
                        head += action[:_HEAD_LIMIT]
                    connection.sendall(action)
                elif isinstance(action, End):
                    self._end(connection, action)
                    return False
                else:
                    self._pause(connection, action)
        except (ConnectionError, ClientLeftError) as exc:
            if not self._stopping and request.received is not None:
                self.abandoned.append(request.received)
            raise ClientLeftError from exc
        except _StoppedError:
            return False
        finally:
            if isinstance(actions, Generator):
                actions.close()  # so that a `finally` in it runs now
        if not request.skip():
            return False
        self._sending.discard(threading.current_thread())
        closing = b"\r\nconnection: close" in head.partition(b"\r\n\r\n")[0].lower()
        return not closing and request.version != "1.0" and request.header("connection").lower() != "close"

    def _end(self, connection: socket.socket, end: End) -> None:
        if end is End.RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(_LINGER, 1, 0))
        elif end is End.HALF_CLOSE:
            connection.shutdown(socket.SHUT_WR)
            with suppress(ClientLeftError):
                self._pause(connection, math.inf)

    def _pause(self, connection: socket.socket, seconds: float) -> None:
        """Wait, but notice a client that hangs up, as Ollama does, and the end of the server."""
        if seconds == math.inf:
            self._sending.discard(threading.current_thread())
        deadline = time.monotonic() + seconds
        watched = [connection, self._woken]
        while (left := deadline - time.monotonic()) > 0:
            ready = readable(*watched, seconds=min(left, _LONGEST_WAIT))
            if self._woken in ready:
                raise _StoppedError
            if connection in ready:
                if not connection.recv(1, socket.MSG_PEEK):
                    raise ClientLeftError
                watched = [self._woken]  # the next request is there already


class _StoppedError(Exception):
    pass


_RUNNING: Final = WeakSet[Loopback]()


def _leave_all_to_parent() -> None:
    for server in list(_RUNNING):
        server.leave_to_parent()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_leave_all_to_parent)
