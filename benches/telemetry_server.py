"""
The server of the telemetry bench, a process of its own: `python -m benches.telemetry_server LINES`.

It prints its port. The model "whole" answers with one small answer, any other with a chat's stream of LINES, sent at
once. All bytes are made before. It ends when its standard input does.
"""

from __future__ import annotations

import sys

from .line_server import Connection, reply, serve
from .wire import chat_lines

_LINE = chat_lines(1)[0]


class Answers(Connection):
    """Answers with bytes that are there."""

    whole = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_LINE), _LINE)

    def answer(self, _request_line: bytes, body: bytes) -> bytes:
        """Give the whole HTTP response to a request."""
        return self.whole if b'"whole"' in body else self.burst


def main() -> None:
    Answers.burst = reply(chat_lines(int(sys.argv[1])))
    serve(Answers)


if __name__ == "__main__":
    main()
