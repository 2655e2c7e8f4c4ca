"""
The server of the stream benches, a process of its own: `python -m benches.line_server COUNT`.

It prints its port and answers every POST with a chat's stream, as Ollama frames it: an HTTP chunk per line. The bytes
are made before, and sent at once. The model "short" answers with two lines. It ends when its standard input does.
"""

from __future__ import annotations

import socketserver
import sys
import threading

from .wire import chat_lines

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"


def reply(lines: list[bytes]) -> bytes:
    """Give the whole HTTP response that carries *lines*."""
    return b"".join(pieces(lines))


def pieces(lines: list[bytes]) -> list[bytes]:
    """Give that response as what is sent with each line; there is at least one."""
    chunks = [b"%x\r\n%b\r\n" % (len(line), line) for line in lines]
    chunks[0] = HEAD + chunks[0]
    chunks[-1] += b"0\r\n\r\n"
    return chunks


class Connection(socketserver.StreamRequestHandler):
    """Answers with bytes that are there."""

    disable_nagle_algorithm = True
    burst = b""
    short = reply(chat_lines(2))

    def handle(self) -> None:
        while request_line := self.rfile.readline():
            length = 0
            while (header := self.rfile.readline().strip()) != b"":
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            self.connection.sendall(self.answer(request_line, self.rfile.read(length)))

    def answer(self, _request_line: bytes, body: bytes) -> bytes:
        """Give the whole HTTP response to a request."""
        return self.short if b'"short"' in body else self.burst


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


def serve(connection: type[Connection]) -> None:
    """Print the port of a server of such connections, which runs until standard input ends."""
    with _Server(("127.0.0.1", 0), connection) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        sys.stdin.read()
        server.shutdown()


def main() -> None:
    Connection.burst = reply(chat_lines(int(sys.argv[1])))
    serve(Connection)


if __name__ == "__main__":
    main()
