"""
A loopback server that replays exchanges, in the chunks and at the pace in which they were recorded.

With a `respond` of your own it says whatever bytes a test needs. `python tests/replay.py` serves all of
tests/exchanges until Ctrl-C.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import select
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal, TypeAlias

from exchange import Exchange, load_all

Pace: TypeAlias = Literal["recorded", "fast"]

ROUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "/": ("GET", "HEAD"),
    "/api/version": ("GET", "HEAD"),
    "/api/generate": ("POST",),
    "/api/chat": ("POST",),
    "/api/embed": ("POST",),
    "/api/embeddings": ("POST",),
    "/api/tags": ("GET", "HEAD"),
    "/api/ps": ("GET",),
    "/api/show": ("POST",),
    "/api/pull": ("POST",),
    "/api/push": ("POST",),
    "/api/create": ("POST",),
    "/api/copy": ("POST",),
    "/api/delete": ("DELETE",),
    "/api/status": ("GET",),
    "/api/me": ("POST",),
    "/api/signout": ("POST",),
    "/api/experimental/web_search": ("POST",),
    "/api/experimental/web_fetch": ("POST",),
    "/api/experimental/model-recommendations": ("GET",),
}
"""Paths that Ollama knows, and their methods; blobs are beside this, since their path has a digest."""

KEPT: Final = 1 << 20
"""Longer bodies of requests are not kept."""

_BLOBS = "/api/blobs/"
_HEAD_LIMIT = 1 << 16


@dataclass(frozen=True, slots=True)
class Received:
    """A request that arrived; *body* is empty if it was longer than 1 MiB, but its length and SHA-256 are known."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    length: int
    sha256: str

    def header(self, name: str) -> str | None:
        """Give the first header of that name, in whatever case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def json(self) -> Any:
        """The body as JSON; None if it is empty or no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


Respond: TypeAlias = Callable[[Received], Iterable[bytes | float]]
"""Gives the bytes of a whole reply, head and all, one write each; a number is a pause in seconds."""


class HangUpError(Exception):
    """Raised by a `respond` to close the connection, or with *reset* to break it, where the reply is."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__("reset" if reset else "close")
        self.reset = reset


@dataclass(slots=True)
class ReplayServer:
    """A running server: where it is, and what it saw."""

    url: str
    respond: Respond
    requests: list[Received] = field(default_factory=list[Received])
    connections: int = 0
    """How many were accepted."""
    abandoned: list[Received] = field(default_factory=list[Received])
    """Requests whose client hung up before the reply was whole."""


RUNNING: Final[dict[str, ReplayServer]] = {}
"""Every running server by its URL, for who asks it without a socket."""


@contextmanager
def replay(
    exchanges: Iterable[Exchange] = (),
    *,
    pace: Pace = "recorded",
    strict: bool = True,
    respond: Respond | None = None,
    port: int = 0,
) -> Generator[ReplayServer]:
    """
    Serve *exchanges* on loopback; what goes wrong in `respond` is raised at the end.

    Args:
        exchanges: What to serve.

        pace: Whether chunks come when they came at the recording, or at once.

        strict: Whether a body must be equal to the recorded one, even if only one was recorded for its method and path.

        respond: Makes the replies, in place of `respond_from(exchanges, pace=pace, strict=strict)`.

        port: By default a free one.
    """
    loop = _Loop(respond or respond_from(exchanges, pace=pace, strict=strict), port)
    RUNNING[loop.seen.url] = loop.seen
    try:
        yield loop.seen
    finally:
        del RUNNING[loop.seen.url]
        loop.stop()
    if loop.failure is not None:
        raise loop.failure


# --- exchanges -> replies --------------------------------------------------------------------------------------------


def respond_from(exchanges: Iterable[Exchange], *, pace: Pace = "recorded", strict: bool = True) -> Respond:
    """
    Make a `respond` that finds the exchange of a request by its method, path and JSON body.

    Of several equal ones each is served once, in their order, and the last from then on.
    """
    known: dict[tuple[str, str], list[Exchange]] = defaultdict(list)
    for exchange in exchanges:
        known[exchange.request.method, exchange.request.path].append(exchange)
    served: dict[tuple[str, str, str], int] = defaultdict(int)
    lock = threading.Lock()

    def respond(request: Received) -> Iterable[bytes | float]:
        began = time.monotonic()
        candidates = known.get((request.method, request.path), [])
        asked = _canonical(request.json)
        equal = [exchange for exchange in candidates if _canonical(exchange.request.body) == asked]
        if not equal and len(candidates) == 1 and not strict:
            equal = candidates
        if not equal:
            return [_without(request, candidates, known)]
        with lock:
            turn = served[request.method, request.path, asked]
            served[request.method, request.path, asked] += 1
        return _reply(equal[min(turn, len(equal) - 1)], began if pace == "recorded" else None)

    return respond


def _canonical(body: Any) -> str:
    # As text, since to Python 1, 1.0 and True are equal.
    return json.dumps(body, sort_keys=True)


def _reply(exchange: Exchange, began: float | None) -> Iterator[bytes | float]:
    response = exchange.response
    headers = list(response.headers)
    bodiless = exchange.request.method == "HEAD" or response.status in (204, 304)
    chunked = "chunked" in (response.header("transfer-encoding") or "").lower()
    if not bodiless and not chunked and response.header("content-length") is None:  # hand-made
        chunked = len(response.chunks) > 1 or "ndjson" in (response.header("content-type") or "")
        framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(response.body)))
        headers.append(framing)
    # Like Ollama, the head waits for the first chunk and goes out with it.
    pending = _head(response.status, headers)
    for chunk in () if bodiless else response.chunks:
        if began is not None:
            yield max(0.0, began + chunk.ms / 1000 - time.monotonic())
        framed = b"%x\r\n%b\r\n" % (len(chunk.data), chunk.data) if chunked and chunk.data else chunk.data
        yield pending + framed
        pending = b""
    if chunked and not bodiless:
        pending += b"0\r\n\r\n"
    if pending:
        yield pending


def _without(request: Received, candidates: list[Exchange], known: Mapping[tuple[str, str], list[Exchange]]) -> bytes:
    """Give the reply to a request that no exchange is for."""
    methods = {method for method, path in known if path == request.path} | set(ROUTES.get(request.path, ()))
    if request.path.startswith(_BLOBS):
        methods |= {"HEAD", "POST"}
    if not methods:
        return _plain(404, "404 page not found", request.method)
    if request.method not in methods:
        return _plain(405, "405 method not allowed", request.method, ("Allow", ", ".join(sorted(methods))))
    if request.path == "/" and not candidates:
        return _plain(200, "Ollama is running", request.method)
    asked = request.body.decode(errors="replace") if request.body else f"a body of {request.length} bytes"
    there = [json.dumps(exchange.request.body, ensure_ascii=False) for exchange in candidates]
    text = (
        f"no exchange is recorded for {request.method} {request.path} with {asked}; "
        f"recorded for it: {'; '.join(there) or 'nothing'}"
    )
    content = json.dumps({"error": text}).encode()
    return _whole(501, content, "application/json; charset=utf-8", request.method)


def _plain(status: int, text: str, method: str, *headers: tuple[str, str]) -> bytes:
    return _whole(status, text.encode(), "text/plain", method, *headers)


def _whole(status: int, content: bytes, kind: str, method: str, *headers: tuple[str, str]) -> bytes:
    head = _head(status, [*headers, ("Content-Type", kind), ("Content-Length", str(len(content)))])
    return head if method == "HEAD" else head + content


def _head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


# --- sockets ---------------------------------------------------------------------------------------------------------


class _ClientLeftError(Exception):
    pass


def _readable(*sockets: socket.socket, seconds: float | None = None) -> list[socket.socket]:
    # poll and not select, which ends at 1024 open files.
    poll = select.poll()
    by_number = {each.fileno(): each for each in sockets}
    for number in by_number:
        poll.register(number, select.POLLIN)
    return [by_number[number] for number, _ in poll.poll(None if seconds is None else math.ceil(seconds * 1000))]


class _Loop:
    """Accepts connections in one thread, and answers each in its own."""

    def __init__(self, respond: Respond, port: int) -> None:
        self.failure: BaseException | None = None
        self._respond = respond
        self._listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self._listener.setblocking(False)  # a client may leave between select and accept
        self._wake, self._woken = socket.socketpair()  # readable, in every thread, once the server stops
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._stopping = False
        self.seen = ReplayServer(f"http://127.0.0.1:{self._listener.getsockname()[1]}", respond)
        self._acceptor = threading.Thread(target=self._accept, name="replay", daemon=True)
        self._acceptor.start()

    def stop(self) -> None:
        """Close every connection and wait for every thread."""
        self._stopping = True
        self._wake.close()
        self._acceptor.join(10)
        with self._lock:
            threads = list(self._open)
            for connection in self._open.values():
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)  # one may wait for a client that does not read
        for thread in threads:
            thread.join(10)
        self._listener.close()
        self._woken.close()
        left = [thread.name for thread in [self._acceptor, *threads] if thread.is_alive()]
        if left:
            raise RuntimeError(f"threads of the replay server are still running: {left}")

    def _accept(self) -> None:
        while True:
            if self._woken in _readable(self._listener, self._woken):
                return
            with suppress(BlockingIOError, ConnectionError):
                connection, _ = self._listener.accept()
                connection.setblocking(True)
                self.seen.connections += 1
                name = f"replay-{self.seen.connections}"
                thread = threading.Thread(target=self._serve, args=(connection,), name=name, daemon=True)
                with self._lock:
                    self._open[thread] = connection
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                incoming = _Incoming(connection, self._woken)
                while (request := incoming.request()) is not None:
                    self.seen.requests.append(request)
                    if not self._answer(connection, request):
                        return
        except _ClientLeftError:
            return
        except Exception as exc:  # noqa: BLE001 - it belongs to the test, which is in another thread
            self.failure = self.failure or exc
        finally:
            with self._lock:
                self._open.pop(threading.current_thread(), None)

    def _answer(self, connection: socket.socket, request: Received) -> bool:
        """Send a reply; give whether the connection stays."""
        head = b""
        reply = iter(self._respond(request))
        try:
            for piece in reply:
                if isinstance(piece, bytes):
                    if b"\r\n\r\n" not in head:
                        head += piece
                    connection.sendall(piece)
                else:
                    self._pause(connection, piece)
        except HangUpError as exc:
            if exc.reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        except (ConnectionError, _ClientLeftError) as exc:
            if not self._stopping:
                self.seen.abandoned.append(request)
            raise _ClientLeftError from exc
        finally:
            if isinstance(reply, Generator):
                reply.close()  # so that a `finally` in it runs now
        closing = b"\r\nconnection: close" in head.partition(b"\r\n\r\n")[0].lower()
        return not closing and (request.header("connection") or "").lower() != "close"

    def _pause(self, connection: socket.socket, seconds: float) -> None:
        """Wait, but notice a client that hangs up, as Ollama does, and the end of the server."""
        deadline = time.monotonic() + seconds
        watched = [connection, self._woken]
        while (left := deadline - time.monotonic()) > 0:
            readable = _readable(*watched, seconds=left)
            if self._woken in readable:
                raise HangUpError
            if connection in readable:
                if not connection.recv(1, socket.MSG_PEEK):
                    raise _ClientLeftError
                watched = [self._woken]  # the next request is there already


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
        method, path, _version = first.split(" ")
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
            yield from self._exactly(int(fields.get("content-length", "0")))
            return
        while size := int((self._until(b"\r\n") or b"").partition(b";")[0], 16):
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
                raise ValueError(f"no end of line or head in {_HEAD_LIMIT} bytes: {bytes(self._buffer[:100])!r}")
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


def main() -> None:
    """Serve every recorded exchange until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Serve the recorded exchanges of a genuine Ollama server.")
    parser.add_argument("--port", type=int, default=0, help="by default a free one")
    parser.add_argument("--pace", choices=["recorded", "fast"], default="recorded")
    parser.add_argument("--any-body", action="store_true", help="do without an equal body where there is no choice")
    arguments = parser.parse_args()
    exchanges = load_all()
    with replay(exchanges.values(), pace=arguments.pace, strict=not arguments.any_body, port=arguments.port) as server:
        print(f"OLLAMA_HOST={server.url}")
        print(f"{len(exchanges)} recorded exchanges; Ctrl-C stops it", flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
