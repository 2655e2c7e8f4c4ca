"""
A server that costs next to nothing, for a client's own ceiling: `python -m ollama_fast.bench._fast_server PARTS`.

It prints its port, and answers every POST with a chat's stream of that many parts: each is an HTTP chunk and a write
of its own, as with Ollama, and the streams take turns. The bytes are made before. A GET is answered with the seconds of
processor time that it has taken. It ends when its standard input does.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
_BLOCKED: Final = 0.0005
"""Seconds until the next try when no client has room for more."""


def pieces(parts: int) -> list[bytes]:
    """Give what is sent for each part of a stream, from the head of the response to its end."""
    chunks = [_chunk({"content": f" word{number % 10}"}, {"done": False}) for number in range(parts)]
    counts = {"eval_count": parts, "eval_duration": 1, "total_duration": 1, "prompt_eval_count": 1}
    last = _chunk({"content": ""}, {"done": True, "done_reason": "stop", **counts})
    return [_HEAD + chunks[0], *chunks[1:], last + b"0\r\n\r\n"]


def _chunk(said: dict[str, str], more: dict[str, object]) -> bytes:
    message = {"role": "assistant", **said}
    part = {"model": "replay", "created_at": "2026-01-01T00:00:00.000000000Z", "message": message, **more}
    line = json.dumps(part, separators=(",", ":")).encode() + b"\n"
    return b"%x\r\n%b\r\n" % (len(line), line)


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    arrived: bytes = b""
    place: int = 0
    """Of the piece that is sent next."""
    rest: bytes = b""
    """Of a piece that had no room."""


class _Server:
    """One thread that reads what has arrived, and sends a part of each stream in turn."""

    def __init__(self, parts: int) -> None:
        self._pieces = pieces(parts)
        self._sending: dict[int, _Connection] = {}
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self.port: int = self._listener.getsockname()[1]

    def serve(self) -> None:
        pause: float | None = None
        while True:
            for key, _ in self._selector.select(pause):
                if key.data is None:
                    self._accept()
                else:
                    self._read(key.data)
            moved = [self._send(number, connection) for number, connection in list(self._sending.items())]
            pause = None if not self._sending else 0 if any(moved) else _BLOCKED

    def _accept(self) -> None:
        with suppress(OSError):
            accepted, _ = self._listener.accept()
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(accepted, selectors.EVENT_READ, _Connection(accepted))

    def _read(self, connection: _Connection) -> None:
        try:
            arrived = connection.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            arrived = b""
        if not arrived:
            self._drop(connection)
            return
        connection.arrived += arrived
        head, end, body = connection.arrived.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return
        connection.arrived = b""
        if head.startswith(b"GET"):
            usage = b"%.6f" % time.process_time()
            connection.rest = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(usage), usage)
            connection.place = len(self._pieces)
        else:
            connection.place = 0
        self._sending[connection.socket.fileno()] = connection

    def _send(self, number: int, connection: _Connection) -> bool:
        """Send the next part, or what had no room of the one before; give whether there was room."""
        data = connection.rest
        if not data:
            if connection.place == len(self._pieces):
                del self._sending[number]
                return True
            data = self._pieces[connection.place]
            connection.place += 1
        try:
            sent = connection.socket.send(data)
        except BlockingIOError:
            connection.rest = data
            return False
        except OSError:
            self._drop(connection)
            return True
        connection.rest = data[sent:]
        return True

    def _drop(self, connection: _Connection) -> None:
        self._sending.pop(connection.socket.fileno(), None)
        self._selector.unregister(connection.socket)
        connection.socket.close()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _end_with_the_input() -> None:
    sys.stdin.read()
    os._exit(0)  # the other thread waits in the selector


def main() -> None:
    """Serve until the standard input ends."""
    server = _Server(int(sys.argv[1]))
    threading.Thread(target=_end_with_the_input, daemon=True).start()
    print(server.port, flush=True)  # noqa: T201 - how it tells where it is
    with suppress(KeyboardInterrupt):  # a Ctrl-C is for the process that started it
        server.serve()


if __name__ == "__main__":
    main()
