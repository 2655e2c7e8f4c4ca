"""
The server of `make bench-compat`, a process of its own: `python -m benches.compat_server PARTS VECTORS LENGTH`.

It prints its port and answers by path: a chat or a generate with a stream, or whole if the body says so, and an embed
with many vectors in one HTTP chunk. The model "paced" answers with a part every few milliseconds, as models do. The
bytes are made before. It ends when its standard input does.
"""

from __future__ import annotations

import json
import sys
import time
from typing import ClassVar, Final

from .line_server import Connection, pieces, reply, serve
from .wire import chat_lines, float32_answer


def generate_lines(count: int) -> list[bytes]:
    """Give the lines of a generate's stream with the words of chat_lines."""
    lines: list[bytes] = []
    for line in chat_lines(count):
        part = json.loads(line)
        part["response"] = part.pop("message")["content"]
        lines.append(json.dumps(part, separators=(",", ":")).encode() + b"\n")
    return lines


def whole(text: str) -> bytes:
    """Give a chat's answer in one piece."""
    answer = json.loads(chat_lines(1)[0])
    answer["message"]["content"] = text
    return json.dumps(answer, separators=(",", ":")).encode()


PACED: Final = 60
"""How many parts the model "paced" gives."""

PACE: Final = 0.004
"""Seconds between two of them."""

TEXT = "Because of the way light scatters."


def _in_one_piece(body: bytes) -> bytes:
    kind = b"Content-Type: application/json; charset=utf-8"
    return b"HTTP/1.1 200 OK\r\n%b\r\nContent-Length: %d\r\n\r\n%b" % (kind, len(body), body)


class _Connection(Connection):
    answers: ClassVar[dict[bytes, bytes]] = {}
    paced: ClassVar[list[bytes]] = []

    def answer(self, request_line: bytes, body: bytes) -> bytes:
        if b'"paced"' in body:
            for piece in self.paced[:-1]:
                self.connection.sendall(piece)
                time.sleep(PACE)
            return self.paced[-1]
        path = request_line.split()[1]
        if path == b"/api/chat" and b'"stream":false' in body.replace(b" ", b""):
            path = b"whole"
        return self.answers[path]


def main() -> None:
    parts, vectors, length = (int(number) for number in sys.argv[1:])
    _Connection.answers = {
        b"/api/chat": reply(chat_lines(parts)),
        b"whole": _in_one_piece(whole(TEXT)),
        b"/api/generate": reply(generate_lines(parts)),
        b"/api/embed": reply([float32_answer(vectors, length)]),
    }
    _Connection.paced = pieces(chat_lines(PACED))
    serve(_Connection)


if __name__ == "__main__":
    main()
