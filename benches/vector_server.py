"""
The server of the vector bench, a process of its own: `python -m benches.vector_server ROWS COLUMNS`.

It prints its port and answers every POST with an answer of embed in one HTTP chunk, as a server does that writes it at
once. The bytes are made before. It ends when its standard input does.
"""

from __future__ import annotations

import socketserver
import sys
import threading

from .line_server import Connection, reply
from .wire import float32_answer


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


def main() -> None:
    rows, columns = (int(number) for number in sys.argv[1:])
    Connection.burst = Connection.short = reply([float32_answer(rows, columns)])
    with _Server(("127.0.0.1", 0), Connection) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main()
