"""The server that replays exchanges, asked by sockets and by http.client."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from exchange import Chunk, Exchange, RecordedCall, RecordedRequest, Reply
from replay import Action, HangUpError, Received, ReplayServer, replay, respond_from

NDJSON = (("Content-Type", "application/x-ndjson"), ("Transfer-Encoding", "chunked"))
LINES = (Chunk(0, b'{"n":1}\n'), Chunk(60, b'{"n":2}\n'), Chunk(120, b'{"n":3,"done":true}\n'))


def exchange(
    body: Any = None,
    chunks: Iterable[Chunk] = LINES,
    headers: tuple[tuple[str, str], ...] = NDJSON,
    *,
    method: str = "POST",
    path: str = "/api/chat",
    status: int = 200,
) -> Exchange:
    return Exchange(
        "An example.",
        "hand-made",
        RecordedCall("chat", {}),
        RecordedRequest(method, path, body, {}),
        Reply(status, headers, tuple(chunks)),
    )


def connect(server: ReplayServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)


def raw(server: ReplayServer) -> socket.socket:
    place = urlsplit(server.url)
    return socket.create_connection((place.hostname, place.port), timeout=10)


def ask(
    server: ReplayServer, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> tuple[int, str | None, bytes]:
    connection = connect(server)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type"), response.read()
    finally:
        connection.close()


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def eventually(holds: Any, seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.005)
    return bool(holds())


# --- replies ---------------------------------------------------------------------------------------------------------


def test_each_chunk_is_an_http_chunk() -> None:
    with replay([exchange()], pace="fast", strict=False) as server, raw(server) as connection:
        connection.sendall(b"POST /api/chat HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
        head, _, body = read_all(connection).partition(b"\r\n\r\n")
    assert head == b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked"
    assert body == b'8\r\n{"n":1}\n\r\n8\r\n{"n":2}\n\r\n14\r\n{"n":3,"done":true}\n\r\n0\r\n\r\n'


def test_a_known_length_stays_a_length() -> None:
    headers = (("Content-Type", "application/json"), ("Content-Length", "7"))
    served = exchange(chunks=[Chunk(0, b'{"n"'), Chunk(0, b":1}")], headers=headers, method="GET", path="/api/ps")
    with replay([served], pace="fast") as server, raw(server) as connection:
        connection.sendall(b"GET /api/ps HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert read_all(connection).endswith(b'Content-Length: 7\r\n\r\n{"n":1}')


@pytest.mark.parametrize(
    ("chunks", "headers", "framing"),
    [
        (LINES, NDJSON[:1], b"Transfer-Encoding: chunked"),
        ((), NDJSON[:1], b"Transfer-Encoding: chunked"),
        (LINES[:1], (), b"Content-Length: 8"),
        ((), (), b"Content-Length: 0"),
    ],
)
def test_hand_made_answers_get_a_framing(
    chunks: tuple[Chunk, ...], headers: tuple[tuple[str, str], ...], framing: bytes
) -> None:
    with replay([exchange(None, chunks, headers)], pace="fast") as server:
        with raw(server) as connection:
            connection.sendall(b"POST /api/chat HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert framing in read_all(connection).partition(b"\r\n\r\n")[0]
        assert ask(server, "POST", "/api/chat")[2] == b"".join(chunk.data for chunk in chunks)


def test_head_has_the_length_but_no_body() -> None:
    served = exchange(
        chunks=[], headers=(("Content-Length", "102"),), method="HEAD", path="/api/blobs/sha256:00", status=404
    )
    with replay([served]) as server, raw(server) as connection:
        connection.sendall(b"HEAD /api/blobs/sha256:00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert read_all(connection) == b"HTTP/1.1 404 Not Found\r\nContent-Length: 102\r\n\r\n"


def test_the_recorded_pace_is_kept() -> None:
    with replay([exchange()], strict=False) as server:
        connection = connect(server)
        began = time.monotonic()
        connection.request("POST", "/api/chat", "{}")
        response = connection.getresponse()
        times = [time.monotonic() - began for _ in iter(response.readline, b"")]
        connection.close()
    assert len(times) == 3
    for seen, chunk in zip(times, LINES, strict=True):
        assert seen >= chunk.ms / 1000
    assert times[0] < LINES[2].ms / 1000


def test_the_fast_pace_has_no_pauses() -> None:
    slow = [Chunk(600_000 * n, b"{}\n") for n in range(1, 4)]
    with replay([exchange(chunks=slow)], pace="fast", strict=False) as server:
        assert ask(server, "POST", "/api/chat", {})[2] == b"{}\n" * 3


# --- which exchange --------------------------------------------------------------------------------------------------


def test_the_body_chooses() -> None:
    served = [exchange({"model": name, "n": [1]}, [Chunk(0, name.encode())]) for name in "abc"]
    with replay(served, pace="fast") as server:
        for name in "cab":
            assert ask(server, "POST", "/api/chat", {"n": [1], "model": name})[2] == name.encode()


def test_bodies_are_equal_as_json_not_as_python() -> None:
    served = [exchange({"think": True}, [Chunk(0, b"true")]), exchange({"think": 1}, [Chunk(0, b"one")])]
    with replay(served, pace="fast") as server:
        assert ask(server, "POST", "/api/chat", {"think": 1})[2] == b"one"
        assert ask(server, "POST", "/api/chat", {"think": True})[2] == b"true"
        assert ask(server, "POST", "/api/chat", {"think": 1.0})[0] == 501


def test_equal_ones_take_turns_and_the_last_stays() -> None:
    served = [exchange({}, [Chunk(0, b"%d" % n)]) for n in range(3)]
    with replay(served, pace="fast") as server:
        assert [ask(server, "POST", "/api/chat", {})[2] for _ in range(5)] == [b"0", b"1", b"2", b"2", b"2"]


def test_an_unknown_body_is_answered_with_what_is_known() -> None:
    with replay([exchange({"model": "known"})], pace="fast") as server:
        status, kind, body = ask(server, "POST", "/api/chat", {"model": "other"})
    assert (status, kind) == (501, "application/json; charset=utf-8")
    said = json.loads(body)["error"]
    assert said == (
        'POST /api/chat with {"model": "other"} is not recorded; of 1 for that method and path the nearest has '
        'model: "known", and not "other"'
    )


def test_without_strictness_the_only_one_will_do() -> None:
    one = exchange({"model": "a"}, [Chunk(0, b"a")])
    other = exchange({"model": "b"}, [Chunk(0, b"b")])
    with replay([one], pace="fast", strict=False) as server:
        assert ask(server, "POST", "/api/chat", {"model": "z"})[2] == b"a"
    with replay([one, other], pace="fast", strict=False) as server:
        assert ask(server, "POST", "/api/chat", {"model": "z"})[0] == 501
        assert ask(server, "POST", "/api/chat", {"model": "b"})[2] == b"b"


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/", 200, b"Ollama is running"),
        ("HEAD", "/", 200, b""),
        ("GET", "/api/nonsense", 404, b"404 page not found"),
        ("POST", "/v1/systemone", 404, b"404 page not found"),
        ("GET", "/api/chat", 405, b"405 method not allowed"),
        ("GET", "/api/blobs/sha256:00", 405, b"405 method not allowed"),
    ],
)
def test_other_paths_are_answered_as_ollama_does(method: str, path: str, status: int, text: bytes) -> None:
    with replay() as server:
        assert ask(server, method, path) == (status, "text/plain", text)


def test_a_path_of_ollama_without_exchange_says_so() -> None:
    with replay() as server:
        status, _, body = ask(server, "POST", "/api/embed", {"model": "m"})
    assert status == 501
    assert json.loads(body)["error"].endswith("is not recorded: the recording is empty")


# --- what arrived ----------------------------------------------------------------------------------------------------


def test_requests_are_kept() -> None:
    with replay() as server:
        ask(server, "POST", "/api/embed?x=1", {"a": "ü"}, {"X-Name": " spaced "})
    (request,) = server.requests
    assert (request.method, request.path, request.json) == ("POST", "/api/embed?x=1", {"a": "ü"})
    assert request.header("x-name") == "spaced"
    assert request.header("nothing") is None
    assert request.length == len(request.body)


def test_long_bodies_are_only_measured() -> None:
    data = bytes(range(256)) * 8192
    pieces = [data[i : i + 100_000] for i in range(0, len(data), 100_000)]
    with replay() as server:
        connection = connect(server)
        connection.request("POST", "/api/blobs/sha256:00", data)
        connection.getresponse().read()
        connection.request("POST", "/api/blobs/sha256:00", iter(pieces), encode_chunked=True)
        connection.getresponse().read()
        connection.close()
    for request, framing in zip(server.requests, ["content-length", "transfer-encoding"], strict=True):
        assert request.header(framing)
        assert request.body == b""
        assert request.json is None
        assert (request.length, request.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_chunked_bodies_are_read() -> None:
    with replay([exchange({"a": 1}, [Chunk(0, b"found")])], pace="fast") as server, raw(server) as connection:
        connection.sendall(b"POST /api/chat HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n")
        connection.sendall(b'{"a\r\n4\r\n":1}\r\n0\r\nTrailer: t\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n')
        got = read_all(connection)
    assert b"found" in got
    assert got.endswith(b"Ollama is running")
    assert [request.body for request in server.requests] == [b'{"a":1}', b""]


def test_a_connection_stays_for_more_requests() -> None:
    with replay([exchange()], pace="fast", strict=False) as server:
        connection = connect(server)
        for _ in range(3):
            connection.request("POST", "/api/chat", "{}")
            assert connection.getresponse().read().count(b"\n") == 3
        connection.close()
        ask(server, "GET", "/")
    assert len(server.requests) == 4
    assert server.connections == 2


def test_many_at_once() -> None:
    statuses: list[int] = []
    with replay([exchange()], strict=False) as server:
        threads = [
            threading.Thread(target=lambda: statuses.append(ask(server, "POST", "/api/chat", {})[0])) for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 20
    assert server.connections == 20


# --- replies of one's own, and ends ----------------------------------------------------------------------------------


def test_any_bytes_can_be_sent() -> None:
    def respond(request: Received) -> Iterable[bytes | float]:
        assert request.path == "/api/chat"
        return [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", 0.02, b"one", b"two"]

    with replay(respond=respond) as server, raw(server) as connection:
        connection.sendall(b"GET /api/chat HTTP/1.1\r\n\r\n")
        assert read_all(connection) == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nonetwo"


def test_a_reply_can_hang_up() -> None:
    def respond(_request: Received) -> Iterator[bytes | float]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nonly"
        raise HangUpError

    with replay(respond=respond) as server, pytest.raises(http.client.IncompleteRead):
        ask(server, "GET", "/")
    assert server.abandoned == []


def test_a_reply_can_reset() -> None:
    def respond(_request: Received) -> Iterator[bytes | float]:
        yield 0
        raise HangUpError(reset=True)

    with replay(respond=respond) as server, pytest.raises(ConnectionResetError):
        ask(server, "GET", "/")


def test_replies_can_be_built_on_the_recorded_ones() -> None:
    recorded = respond_from([exchange()], pace="fast", strict=False)
    failing = iter([True, False])

    def respond(request: Received) -> Iterable[Action]:
        if next(failing):
            return [b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"]
        return recorded(request)

    with replay(respond=respond) as server:
        assert ask(server, "POST", "/api/chat", {})[0] == 503
        assert ask(server, "POST", "/api/chat", {})[0] == 200


def test_a_client_that_hangs_up_is_noticed() -> None:
    ended = threading.Event()

    def respond(_request: Received) -> Iterator[bytes | float]:
        try:
            yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            yield 60
        finally:
            ended.set()

    with replay(respond=respond) as server:
        with raw(server) as connection:
            connection.sendall(b"GET /api/ps HTTP/1.1\r\n\r\n")
            assert connection.recv(1000)
        assert ended.wait(5)
        assert eventually(lambda: server.abandoned)
        assert [request.path for request in server.abandoned] == ["/api/ps"]


def test_a_wrong_reply_is_raised_at_the_end() -> None:
    def respond(_request: Received) -> Iterable[bytes | float]:
        raise LookupError("no such reply")

    def serve() -> None:
        with replay(respond=respond) as server, pytest.raises(http.client.RemoteDisconnected):
            ask(server, "GET", "/")

    with pytest.raises(LookupError, match="no such reply"):
        serve()


def test_it_stops_at_once_and_leaves_no_thread() -> None:
    def endless(_request: Received) -> Iterator[bytes | float]:
        yield b"HTTP/1.1 200 OK\r\n\r\n"
        while True:
            yield bytes(1 << 20)

    before = threading.active_count()
    idle, waiting, not_reading = socket.socket(), socket.socket(), socket.socket()
    with replay([exchange(chunks=[Chunk(600_000, b"late")])], strict=False) as server, replay(respond=endless) as fast:
        port = urlsplit(server.url).port
        idle.connect(("127.0.0.1", port))
        waiting.connect(("127.0.0.1", port))
        waiting.sendall(b"POST /api/chat HTTP/1.1\r\n\r\n")
        not_reading.connect(("127.0.0.1", urlsplit(fast.url).port))
        not_reading.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert eventually(lambda: server.requests and fast.requests and server.connections == 2)
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert threading.active_count() == before
    assert server.abandoned == fast.abandoned == []
    for connection in (idle, waiting, not_reading):
        connection.close()
    assert server.connections == 2
