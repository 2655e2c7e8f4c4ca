"""A server that remembers what it was asked: over TCP, TLS or a Unix socket, also as a proxy that refuses tunnels."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Echo:
    """Where a server is, and the first lines and the peers of its requests."""

    url: str
    lines: list[str] = field(default_factory=list[str])
    peers: list[Any] = field(default_factory=list[Any])
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])


@contextmanager
def serve(
    *, tls: ssl.SSLContext | None = None, path: Path | None = None, address: str = "127.0.0.1"
) -> Generator[Echo]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            echo.lines.append(self.requestline)
            echo.peers.append(self.client_address)
            echo.headers.append({name.lower(): value for name, value in self.headers.items()})
            refused = self.command == "CONNECT"
            content = b'{"version":"1"}'
            self.send_response(502 if refused else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_CONNECT = do_GET  # noqa: N815 - the same

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_UNIX if path is not None else socket.AF_INET6 if ":" in address else socket.AF_INET

        def server_bind(self) -> None:
            # Not the method of HTTPServer, which looks for the name of the host.
            self.socket.bind(self.server_address)
            self.server_address = self.socket.getsockname()

    place: Any = (address, 0) if path is None else str(path)
    with Server(place, Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        port = server.server_address[1] if path is None else 0
        echo = Echo(f"http{'s' * (tls is not None)}://{f'[{address}]' if ':' in address else address}:{port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield echo
        finally:
            server.shutdown()
            thread.join()
