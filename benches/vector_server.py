"""
The server of the vector bench, a process of its own: `python -m benches.vector_server ROWS COLUMNS`.

It prints its port and answers every POST with an answer of embed in one HTTP chunk, as a server does that writes it at
once. The bytes are made before. It ends when its standard input does.
"""

from __future__ import annotations

import sys

from .line_server import Connection, reply, serve
from .wire import float32_answer


def main() -> None:
    rows, columns = (int(number) for number in sys.argv[1:])
    Connection.burst = Connection.short = reply([float32_answer(rows, columns)])
    serve(Connection)


if __name__ == "__main__":
    main()
