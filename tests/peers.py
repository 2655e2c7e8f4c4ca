"""Peers that do what no server should: each connection is one talk; or nobody accepts, reads or listens at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import TypeAlias


class Peer:
    """The server's end of one connection."""

    def __init__(self, connection: socket.socket, number: int, heard: list[tuple[int, str]]) -> None:
        self.connection = connection
        self._number = number
        self._heard = heard

    def hear(self) -> None:
        """Wait for the head of a request."""
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := self.connection.recv(1 << 16)):
                return
            data += more
        self._heard.append((self._number, data.partition(b" ")[0].decode()))

    def say(self, data: bytes) -> None:
        """Send *data*."""
        self.connection.sendall(data)

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self.connection.shutdown(socket.SHUT_WR)

    def swallow(self, count: int | None = None) -> None:
        """Take *count* bytes, or all until the client closes."""
        while count != 0 and (data := self.connection.recv(min(count or 1 << 20, 1 << 20))):
            count = None if count is None else count - len(data)


Talk: TypeAlias = Callable[[Peer], None]


@contextmanager
def served(*talks: Talk) -> Generator[tuple[str, list[tuple[int, str]]]]:
    """Serve one connection per talk, closed behind it; give the URL, and connection and method of each request."""
    heard: list[tuple[int, str]] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for number, talk in enumerate(talks):
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(ConnectionError):
                    connection.settimeout(10)
                    talk(Peer(connection, number, heard))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/", heard
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # which frees who waits in accept
            thread.join()


@contextmanager
def full_listener(at: str = "127.0.0.1") -> Generator[int]:
    """Give the port of a listener that accepts nothing and whose queue is full: connecting to it never ends."""
    with socket.socket() as listener:
        listener.bind((at, 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        try:
            for each in fillers:
                each.setblocking(False)
                each.connect_ex(("127.0.0.1", port))
            yield port
        finally:
            for each in fillers:
                each.close()


@contextmanager
def deaf_listener(*answer: bytes, half_closes: bool = False) -> Generator[str]:
    """Give the URL of a server that accepts one connection, says *answer*, and reads nothing more than a head."""
    done = threading.Event()

    def talk(peer: Peer) -> None:
        peer.hear()
        for piece in answer:
            peer.say(piece)
            done.wait(0.1)
        if half_closes:
            peer.half_close()
        done.wait(30)

    with served(talk) as (url, _):
        try:
            yield url
        finally:
            done.set()


@contextmanager
def unused_port() -> Generator[int]:
    """Give a port on which nothing listens, and which nobody else gets."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
