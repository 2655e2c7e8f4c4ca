"""The proxy that records and the server that replays, asked by several clients over sockets."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import ollama
import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

import ollama_fast
import replay as raw
from colours import Colour
from ollama_fast import aio
from ollama_fast.errors import HostError, OllamaError
from ollama_fast.testing import (
    FAULTS,
    Chunk,
    Fault,
    Received,
    RecordingError,
    Reply,
    _incoming,
    _recorder,
    record,
    replay,
    reply,
    script,
    serve,
)
from ollama_fast.testing._recording import Upload
from ollama_fast.testing._recording_file import decode, load, save
from transports import GENEROUS, eventually

CURL = "curl"
HELLO: list[Any] = [{"role": "user", "content": "Hi!"}]
LINES = (("Content-Type", "application/x-ndjson"), ("Transfer-Encoding", "chunked"))


def chunks_of(data: Iterable[bytes]) -> Reply:
    return Reply(200, LINES, tuple(Chunk(0, each) for each in data))


def exchanged(url: str, sent: bytes) -> bytes:
    """Send bytes and give all that comes back until the end."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=GENEROUS) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def curl(*arguments: str) -> str:
    done = subprocess.run([CURL, "-sS", *arguments], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


# --- bytes -----------------------------------------------------------------------------------------------------------


@given(data=some.lists(some.binary(min_size=1, max_size=400), max_size=8), status=some.sampled_from([200, 400, 503]))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_replayed_is_what_was_sent_byte_by_byte(data: list[bytes], status: int, tmp_path: Path) -> None:
    asked = b"POST /api/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    said = Reply(status, LINES, tuple(Chunk(0, each) for each in data))
    with serve(lambda _: said) as genuine:
        direct = exchanged(genuine.url, asked)
        with record(genuine.url, tmp_path / "one.json") as recorder:
            passed = exchanged(recorder.url, asked)
    with replay(tmp_path / "one.json", pace="fast") as replayer:
        replayed = exchanged(replayer.url, asked)
    assert direct == passed == replayed
    (kept,) = load(tmp_path / "one.json")
    assert kept.response is not None
    assert [chunk.data for chunk in kept.response.chunks] == data


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("GET", Reply(200, (("Content-Type", "text/plain"), ("Content-Length", "3")), (Chunk(0, b"yes"),))),
        ("HEAD", Reply(404, (("Content-Length", "102"),))),
        ("GET", Reply(204)),
        ("DELETE", Reply(200, (("Content-Length", "0"),))),
        ("GET", Reply(307, (("Location", "/elsewhere"), ("Content-Length", "0")))),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value.status),
)
def test_other_framings_stay_what_they_are(method: str, said: Reply, tmp_path: Path) -> None:
    asked = f"{method} /api/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    with serve(lambda _: said) as genuine:
        direct = exchanged(genuine.url, asked)
        with record(genuine.url, tmp_path / "one.json") as recorder:
            passed = exchanged(recorder.url, asked)
    with replay(tmp_path / "one.json") as replayer:
        assert direct == passed == exchanged(replayer.url, asked)


def test_a_reply_that_ends_with_its_connection_is_whole(tmp_path: Path) -> None:
    def respond(_: Received) -> Iterator[Any]:
        yield b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n"
        yield b"all of it"
        raise raw.HangUpError

    with raw.replay(respond=respond) as genuine, record(genuine.url, tmp_path / "one.json") as recorder:
        assert curl(f"{recorder.url}/") == "all of it"
        assert recorder.failures == []
    with replay(tmp_path / "one.json") as replayer:
        assert curl(f"{replayer.url}/") == "all of it"


def test_a_first_token_arrives_while_the_second_is_not_there(every: Colour, tmp_path: Path) -> None:
    seen = threading.Event()
    line = b'{"model":"m","created_at":"x","response":"a","done":%s}\n'

    def respond(_: Received) -> Iterator[Any]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
        yield b"%x\r\n%b\r\n" % (len(line % b"false"), line % b"false")
        assert seen.wait(GENEROUS), "the first token was held back"
        yield b"%x\r\n%b\r\n0\r\n\r\n" % (len(line % b"true"), line % b"true")

    with raw.replay(respond=respond) as genuine, record(genuine.url, tmp_path / "one.json") as recorder:
        if every.asynchronous:

            async def read() -> int:
                async with aio.generate_stream(recorder.url, "m", "x") as parts:
                    await anext(parts)
                    seen.set()
                    return len([part async for part in parts])

            assert asyncio.run(read()) == 1
        else:
            with ollama_fast.generate_stream(recorder.url, "m", "x") as parts:
                next(parts)
                seen.set()
                assert len(list(parts)) == 1


def test_the_recorded_pace_is_kept_and_the_fast_one_has_no_pauses(tmp_path: Path) -> None:
    slow = reply("one two three", first_ms=100, token_ms=60)
    with serve(slow) as genuine, record(genuine.url, tmp_path / "one.json") as recorder:
        list(ollama_fast.generate_stream(recorder.url, "m", "x"))
    (kept,) = load(tmp_path / "one.json")
    assert kept.response is not None
    times = [chunk.ms for chunk in kept.response.chunks]
    assert len(times) == 4
    for ms, least in zip(times, (100, 160, 220, 280), strict=True):
        assert ms >= least - 2  # clocks are rounded
    with replay(tmp_path / "one.json") as replayer:
        began = time.monotonic()
        seen = [time.monotonic() - began for _ in ollama_fast.generate_stream(replayer.url, "m", "x")]
    for at, ms in zip(seen, times, strict=True):
        assert at >= (ms - 1) / 1000
    assert seen[0] < times[-1] / 1000 + GENEROUS


def test_the_fast_pace_sends_a_reply_at_once(tmp_path: Path) -> None:
    with serve(reply("a b c", token_ms=30)) as genuine, record(genuine.url, tmp_path / "one.json") as recorder:
        list(ollama_fast.generate_stream(recorder.url, "m", "x"))
    text = (tmp_path / "one.json").read_text()
    (tmp_path / "one.json").write_text(re.sub(r"^( +\[)(\d)", r"\g<1>3600\2", text, flags=re.MULTILINE))  # an hour
    with replay(tmp_path / "one.json", pace="fast") as replayer:
        assert len(list(ollama_fast.generate_stream(replayer.url, "m", "x"))) == 4


# --- requests --------------------------------------------------------------------------------------------------------


def test_uploads_are_passed_on_as_they_come_and_kept_by_their_digest(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF" + os.urandom(3 << 20))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    path = f"/api/blobs/sha256:{digest}"
    answer = Reply(201, (("Content-Length", "0"),))
    with serve(lambda _: answer) as genuine:
        with record(genuine.url, tmp_path / "one.json") as recorder:
            url = recorder.url + path
            curl("-T", str(file), "-X", "POST", url)  # asks with Expect: 100-continue
            curl("-T", str(file), "-X", "POST", "-H", "Transfer-Encoding: chunked", url)
            ollama_fast.create_blob(recorder.url, file)
        assert [each.sha256 for each in genuine.requests if each.length] == [digest] * 2
        assert genuine.requests[0].header("content-length") == str(file.stat().st_size)
        assert genuine.requests[1].header("transfer-encoding") == "chunked"
    kept = load(tmp_path / "one.json")
    assert [each.request.body for each in kept] == [Upload(digest, file.stat().st_size)] * 2 + [None]
    assert (tmp_path / "one.json").stat().st_size < 5000
    with replay(tmp_path / "one.json") as replayer:
        assert curl("-T", str(file), "-X", "POST", "-w", "%{http_code}", replayer.url + path) == "201"
        assert replayer.unknown == []


def test_an_upload_is_on_its_way_before_it_has_arrived(tmp_path: Path) -> None:
    with serve(lambda _: Reply(201)) as genuine, record(genuine.url, tmp_path / "one.json") as recorder:
        place = urlsplit(recorder.url)
        with socket.create_connection((place.hostname, place.port), timeout=GENEROUS) as connection:
            connection.sendall(b"POST /api/blobs/sha256:0 HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nhalf")
            eventually(lambda: genuine.connections == 1)
            assert genuine.requests == []
            connection.sendall(b"half")
            assert connection.recv(100).startswith(b"HTTP/1.1 201 ")


def test_connections_are_kept_and_requests_may_follow_each_other(tmp_path: Path) -> None:
    with serve(reply("Yes.")) as genuine, record(genuine.url, tmp_path / "one.json") as recorder:
        connection = http.client.HTTPConnection(urlsplit(recorder.url).netloc, timeout=GENEROUS)
        for _ in range(3):
            connection.request("POST", "/api/generate", '{"model": "m", "stream": false}')
            assert b"Yes." in connection.getresponse().read()
        connection.close()
        one = b"POST /api/generate HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n%b\r\n{}"
        assert exchanged(recorder.url, one % b"" + one % b"Connection: close\r\n").count(b"HTTP/1.1 200 OK") == 2
        eventually(lambda: recorder.recorded == 5)
        assert len(recorder.requests) == 5


def test_what_is_secret_is_passed_on_and_not_written(tmp_path: Path) -> None:
    cookie = Reply(200, (("Set-Cookie", "id=s3cret"), ("Content-Length", "0")))
    host = ollama_fast.Host("http://me:s3cret@127.0.0.1")
    with serve(lambda _: cookie) as genuine:
        with (
            record(host.with_options(url=genuine.url, headers={"X-Team": "s3cret"}), tmp_path / "one.json") as recorder,
            httpx.Client() as client,
        ):
            said = client.get(f"{recorder.url}/?token=s3cret", headers={"X-Api-Key": "s3cret", "Cookie": "a=s3cret"})
            assert said.headers["set-cookie"] == "id=s3cret"
            client.get(recorder.url, headers={"Authorization": "Bearer mine"})
        first, second = genuine.requests
        assert first.path == "/?token=s3cret"
        assert first.header("authorization") == "Basic bWU6czNjcmV0"
        assert first.header("accept-encoding") == "identity"  # so that people can read what is recorded
        assert first.header("x-team") == first.header("x-api-key") == "s3cret"
        assert second.header("authorization") == "Bearer mine"
    assert "s3cret" not in (tmp_path / "one.json").read_text()


def test_what_is_told_of_a_request_has_no_secret(tmp_path: Path) -> None:
    with serve(fault=Fault.refuse()) as gone, record(gone.url, tmp_path / "one.json") as recorder:
        said = curl(f"{recorder.url}/api/tags?api_key=s3cret")
    with serve(fault=Fault.cut("close", byte=0)) as rude, record(rude.url, tmp_path / "one.json") as other:
        exchanged(other.url, b"GET /api/tags?api_key=s3cret HTTP/1.1\r\nHost: x\r\n\r\n")
    for text in (said, *recorder.failures, *other.failures):
        assert "GET /api/tags?api_key=hidden" in text
        assert "s3cret" not in text


@pytest.mark.parametrize("place", ["genuine", "example"])
def test_a_key_of_the_environment_goes_where_it_does_without_the_proxy(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "s3cret")
    with serve() as genuine:
        if place == "genuine":
            host = ollama_fast.Host(genuine.url)
        else:  # another machine, which is asked by way of a proxy
            host = ollama_fast.Host("http://ollama.example/base", proxy=genuine.url)
        with record(host, tmp_path / "one.json") as recorder:
            curl(f"{recorder.url}/api/version?x=1")
            with suppress(OllamaError):
                ollama_fast.version(host)
    through, direct = genuine.requests
    assert through.header("authorization") == direct.header("authorization")
    assert (through.header("authorization") is None) == (place == "example")
    assert through.path == direct.path + "?x=1"
    assert "s3cret" not in (tmp_path / "one.json").read_text()


def test_a_proxy_of_the_environment_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(lambda _: Reply(200, (), (Chunk(0, b"yes"),))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        with record("http://ollama.example", tmp_path / "one.json") as recorder:
            assert curl("--noproxy", "*", f"{recorder.url}/") == "yes"
        with record(proxy.url, tmp_path / "two.json") as recorder:  # none is asked for this machine
            assert curl("--noproxy", "*", f"{recorder.url}/") == "yes"
    assert [request.path for request in proxy.requests] == ["http://ollama.example/", "/"]


@pytest.mark.parametrize("setting", [{"proxy": "gopher://x"}, {"verify": "/nowhere/ca.pem"}], ids=["proxy", "verify"])
def test_settings_that_cannot_be_used_are_told_at_once(setting: dict[str, Any], tmp_path: Path) -> None:
    host = ollama_fast.Host("https://ollama.example", **setting)
    with pytest.raises(HostError), record(host, tmp_path / "one.json"):
        pytest.fail("it began")


# --- clients of HTTP/1.0 ---------------------------------------------------------------------------------------------

OLD = b"POST /api/chat HTTP/1.0\r\nContent-Length: 2\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\r\n{}"


@pytest.mark.parametrize("fault", [None, Fault.pieces(1), Fault.chunks(1)], ids=["none", "pieces", "chunks"])
def test_a_client_of_http_1_0_gets_no_chunks_and_the_end(fault: Fault | None, tmp_path: Path) -> None:
    def content(said: bytes) -> bytes:
        head, _, body = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"transfer-encoding" not in head.lower()
        assert head.lower().count(b"\r\nconnection: close") == 1
        return body

    with serve(lambda _: chunks_of([b"one\n", b"two\n"]), fault=fault) as genuine:
        assert content(exchanged(genuine.url, OLD)) == b"one\ntwo\n"
        with record(genuine.url, tmp_path / "one.json") as recorder:
            assert content(exchanged(recorder.url, OLD)) == b"one\ntwo\n"
            assert recorder.failures == []
    (kept,) = load(tmp_path / "one.json")
    assert kept.response is not None
    assert ("Transfer-Encoding", "chunked") in kept.response.headers  # as others get it from the replay
    for pace in ("fast", "recorded"):
        with replay(tmp_path / "one.json", pace=pace) as replayer:
            assert content(exchanged(replayer.url, OLD)) == b"one\ntwo\n"
            new = OLD.replace(b"HTTP/1.0", b"HTTP/1.1").replace(b"keep-alive", b"close").replace(b"Expect", b"X-Expect")
            assert exchanged(replayer.url, new).endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_a_whole_reply_to_a_client_of_http_1_0_has_its_length_and_ends(method: bytes) -> None:
    with serve() as server:
        said = exchanged(server.url, method + b" / HTTP/1.0\r\n\r\n")
        assert b"\r\nContent-Length: 17\r\n" in said
        assert said.endswith(b"Ollama is running" if method == b"GET" else b"\r\n\r\n")


# --- what goes wrong -------------------------------------------------------------------------------------------------


def outcome(url: str, colour: Colour) -> tuple[list[Any], Any]:
    seen = colour.parts("chat_stream", url, "m", HELLO)
    return seen.parts, None if seen.error is None else (type(seen.error), seen.error.partial)


CUTS = [
    "closed before the head",
    "reset before the head",
    "closed behind the head",
    "closed between parts",
    "reset between parts",
    "closed inside a part",
    "reset inside a part",
    "no last chunk",
    "length too long",
    "error between parts",
    "half of a line",
    "HTML with 502",
    "error of too many",
    "invalid UTF-8",
    "chunks of one byte",
]


@pytest.mark.parametrize("name", CUTS)
def test_a_fault_is_for_the_client_what_it_is_without_the_proxy_and_in_a_replay(
    name: str, both: Colour, tmp_path: Path
) -> None:
    with serve(fault=FAULTS[name]) as genuine:
        direct = outcome(genuine.url, both)
        with record(genuine.url, tmp_path / "one.json") as recorder:
            passed = outcome(recorder.url, both)
            cut = bool(recorder.failures)
    with replay(tmp_path / "one.json", pace="fast") as replayer:
        replayed = outcome(replayer.url, both)
        assert replayer.unknown == []
    assert direct == passed == replayed
    assert cut == (load(tmp_path / "one.json")[0].end is not None)


def test_a_server_that_is_not_there_is_told_and_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text("old")
    with serve(fault=Fault.refuse()) as genuine, record(genuine.url, path) as recorder:
        with pytest.raises(
            OllamaError, match=r"502 Bad Gateway: POST /api/chat was not recorded: .* cannot be reached"
        ):
            ollama_fast.chat(recorder.url, "m", HELLO)
        curl("-T", __file__, "-X", "POST", f"{recorder.url}/api/blobs/sha256:0")
        assert recorder.recorded == 0
        assert len(recorder.failures) == 2
    assert path.read_text() == "old"


def test_a_client_that_leaves_is_left_upstream_and_in_a_replay(both: Colour, tmp_path: Path) -> None:
    def read_one(url: str) -> None:
        if both.asynchronous:

            async def read() -> None:
                async with aio.chat_stream(url, "m", HELLO) as parts:
                    assert (await anext(parts))["message"]["content"] == "Hello!"

            asyncio.run(read())
        else:
            with ollama_fast.chat_stream(url, "m", HELLO) as parts:
                assert next(parts)["message"]["content"] == "Hello!"

    with serve(fault=Fault.cut("stall", part=1)) as genuine, record(genuine.url, tmp_path / "one.json") as recorder:
        read_one(recorder.url)
        eventually(lambda: len(genuine.abandoned) == 1)  # though it says nothing, the proxy notices
        assert recorder.failures == []
    (kept,) = load(tmp_path / "one.json")
    assert kept.end == "left"
    with replay(tmp_path / "one.json") as replayer:
        read_one(replayer.url)


def test_a_client_that_leaves_with_all_it_needs_is_no_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for room in (_incoming, _recorder):
        monkeypatch.setattr(room, "PATIENCE", GENEROUS)
    left = threading.Event()

    def respond(_: Received) -> Iterator[Any]:
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nlast\r\n"
        assert left.wait(GENEROUS)
        for _turn in range(2):  # the second one cannot be passed on any more
            yield b"4\r\nmore\r\n"
            yield 0.2
        yield b"0\r\n\r\n"

    with raw.replay(respond=respond) as genuine, record(genuine.url, tmp_path / "one.json") as recorder:
        with socket.create_connection(("127.0.0.1", urlsplit(recorder.url).port or 0), timeout=GENEROUS) as client:
            client.sendall(b"GET /api/x HTTP/1.1\r\nHost: x\r\n\r\n")
            got = b""
            while b"last" not in got:
                got += client.recv(1000)
        left.set()
    (kept,) = load(tmp_path / "one.json")
    assert kept.end is None
    assert kept.response is not None
    assert [chunk.data for chunk in kept.response.chunks if chunk.data] == [b"last", b"more", b"more"]


def test_the_end_of_the_block_ends_what_is_under_way(tmp_path: Path) -> None:
    before = threading.active_count()
    with serve(fault=FAULTS["nothing is said"]) as silent, serve(fault=FAULTS["endless line"]) as endless:
        clients = [socket.socket() for _ in range(3)]
        with record(silent.url, tmp_path / "a.json") as one, record(endless.url, tmp_path / "b.json") as other:
            for client, url in zip(clients, (one.url, other.url, one.url), strict=True):
                client.connect(("127.0.0.1", urlsplit(url).port))
                client.sendall(b"POST /api/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
            eventually(lambda: len(silent.requests) == 2 and len(endless.requests) == 1)
            clients[1].recv(100)
            began = time.monotonic()
        assert time.monotonic() - began < GENEROUS
        for client in clients:
            client.close()
    assert threading.active_count() == before
    assert not (tmp_path / "a.json").exists()
    (kept,) = load(tmp_path / "b.json")
    assert kept.end == "left"


def test_many_are_recorded_at_once_each_with_its_own_reply(tmp_path: Path) -> None:
    def answer(request: Received) -> Reply:
        return reply(f"{request.json['prompt']} it is.", token_ms=2)(request)

    def ask(number: int) -> str:
        texts = [part["response"] for part in ollama_fast.generate_stream(url, "m", f"No. {number}")]
        return "".join(texts)

    with (
        serve(answer) as genuine,
        record(genuine.url, tmp_path / "one.json") as recorder,
        ThreadPoolExecutor(16) as threads,
    ):
        url = recorder.url
        said = list(threads.map(ask, range(64)))
        eventually(lambda: recorder.recorded == 64)
    assert said == [f"No. {number} it is." for number in range(64)]
    with replay(tmp_path / "one.json", pace="fast") as replayer, ThreadPoolExecutor(16) as threads:
        url = replayer.url
        assert list(threads.map(ask, range(64))) == said
        assert replayer.unused == []


def test_a_server_with_tls_is_recorded_and_left_while_it_is_silent(tmp_path: Path) -> None:
    authority, silent = trustme.CA(), threading.Event()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    class Secure(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/silent":
                silent.set()
                self.rfile.read(1)  # until the proxy leaves
                return
            self.send_response(200)
            self.send_header("Content-Length", "3")
            self.end_headers()
            self.wfile.write(b"yes")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Secure) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            url = f"https://127.0.0.1:{server.server_address[1]}"
            with record(url, tmp_path / "one.json") as recorder:
                assert "cannot be reached: [SSL: CERTIFICATE_VERIFY_FAILED]" in curl(f"{recorder.url}/")
            host = ollama_fast.Host(url, verify=str(tmp_path / "ca.pem"))
            with record(host, tmp_path / "one.json") as recorder, socket.socket() as client:
                assert curl(f"{recorder.url}/") == "yes"
                client.connect(("127.0.0.1", urlsplit(recorder.url).port))
                client.sendall(b"GET /silent HTTP/1.1\r\nHost: x\r\n\r\n")
                assert silent.wait(GENEROUS)
                began = time.monotonic()
            assert time.monotonic() - began < GENEROUS
        finally:
            server.shutdown()
            thread.join()
    assert [each.request.path for each in load(tmp_path / "one.json")] == ["/"]


# --- the file --------------------------------------------------------------------------------------------------------


def test_an_interrupt_writes_what_there_is(tmp_path: Path) -> None:
    def interrupted() -> None:
        with serve() as genuine, record(genuine.url, tmp_path / "one.json") as recorder:
            ollama_fast.generate(recorder.url, "m", "x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(load(tmp_path / "one.json")) == 1


def test_what_is_discarded_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text("old")
    with serve() as genuine, record(genuine.url, path) as recorder:
        ollama_fast.generate(recorder.url, "m", "x")
        recorder.discard()
    assert path.read_text() == "old"


@pytest.mark.parametrize("kind", ["serve", "replay", "record"])
def test_a_port_that_another_server_has_is_refused(kind: str, tmp_path: Path) -> None:
    save(tmp_path / "one.json", [])
    with serve() as server:
        port = urlsplit(server.url).port or 0
        made = {
            "serve": lambda: serve(port=port),
            "replay": lambda: replay(tmp_path / "one.json", port=port),
            "record": lambda: record("localhost", tmp_path / "two.json", port=port),
        }[kind]
        with pytest.raises(OSError, match=f"127.0.0.1:{port}"), made():  # type: ignore[attr-defined]
            pytest.fail("it began")
        assert curl(f"{server.url}/") == "Ollama is running"
    with serve(port=port) as server:  # free again at once
        assert curl(f"{server.url}/") == "Ollama is running"


def test_a_program_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text("old")
    code = """
        import sys, time, ollama_fast
        from ollama_fast.testing import record, serve
        with serve() as genuine, record(genuine.url, sys.argv[1]) as recorder:
            ollama_fast.generate(recorder.url, "m", "x")
            while not recorder.recorded:
                time.sleep(0.01)
            print(recorder.recorded, flush=True)
            sys.stdin.read()
    """
    lines = "\n".join(line[8:] for line in code.splitlines())
    command = [sys.executable, "-c", lines, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        process.send_signal(signal.SIGKILL)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("where", "error"), [(".", IsADirectoryError), ("nowhere/one.json", FileNotFoundError)])
def test_a_place_that_cannot_be_written_is_told_before_anything_is_recorded(
    where: str, error: type[OSError], tmp_path: Path
) -> None:
    with pytest.raises(error) as caught, record("localhost", tmp_path / where):
        pytest.fail("it began")
    assert caught.value.filename == str(tmp_path / where)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_gets_the_recording_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True) as reader:
        with serve() as genuine, record(genuine.url, pipe) as recorder:
            ollama_fast.generate(recorder.url, "m", "x")
        said, _ = reader.communicate(timeout=GENEROUS)
    assert len(decode(said, "pipe")) == 1
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_wrong_arguments_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ollama_fast.errors.HostError), record("http://[", tmp_path / "x.json"):
        pytest.fail("it began")
    with pytest.raises(FileNotFoundError), replay(tmp_path / "x.json"):
        pytest.fail("it began")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(RecordingError, match=r"x\.json holds no recording"), replay(tmp_path / "x.json"):
        pytest.fail("it began")
    wrong: Any = "slow"
    with pytest.raises(ValueError, match="pace must be 'recorded' or 'fast', not 'slow'"), replay("x", pace=wrong):
        pytest.fail("it began")


# --- clients ---------------------------------------------------------------------------------------------------------


def official(url: str) -> list[Any]:
    client = ollama.Client(host=url)
    try:
        whole = client.chat("m", HELLO)["message"]["content"]
        parts = [part["response"] for part in client.generate("m", "x", stream=True)]
        with suppress(ollama.ResponseError):
            client.show("m")
            return []
        return [whole, parts, "no show"]
    finally:
        client._client.close()


def by_curl(url: str) -> list[Any]:
    body = '{"model": "m", "prompt": "x"}'
    return [
        curl(f"{url}/"),
        curl("-I", f"{url}/"),
        curl("-N", f"{url}/api/generate", "-d", body),
        curl("-w", "%{http_code}", f"{url}/api/nonsense"),
    ]


def by_this(url: str) -> list[Any]:
    return [ollama_fast.chat(url, "m", HELLO), list(ollama_fast.generate_stream(url, "m", "x"))]


def by_asyncio(url: str) -> list[Any]:
    async def ask() -> list[Any]:
        return list(await asyncio.gather(aio.chat(url, "m", HELLO), aio.generate(url, "m", "x")))

    return asyncio.run(ask())


@pytest.mark.parametrize("client", [official, by_curl, by_this, by_asyncio], ids=lambda client: client.__name__)
def test_a_client_gets_from_the_replay_what_it_got_from_the_server(client: Any, tmp_path: Path) -> None:
    with serve(reply("Yes, it is.")) as genuine:
        direct = client(genuine.url)
        with record(genuine.url, tmp_path / "one.json") as recorder:
            assert client(recorder.url) == direct
    with replay(tmp_path / "one.json") as replayer:
        assert client(replayer.url) == direct
        assert (replayer.unknown, replayer.unused) == ([], [])


def test_equal_requests_get_their_replies_in_turn_and_unknown_ones_an_error(every: Colour, tmp_path: Path) -> None:
    with (
        serve(script(reply("one"), reply("two"))) as genuine,
        record(genuine.url, tmp_path / "one.json") as recorder,
    ):
        for _ in range(2):
            every.whole("generate", recorder.url, "m", "x")
    with replay(tmp_path / "one.json") as replayer:
        assert [every.whole("generate", replayer.url, "m", "x")["response"] for _ in range(3)] == ["one", "two", "two"]
        seen = every.attempt("generate", replayer.url, "m", "y")
        assert 'the nearest has prompt: "x", and not "y"' in str(seen.error)
        assert len(replayer.unknown) == 1
    with replay(tmp_path / "one.json", strict=False) as replayer:
        assert every.attempt("generate", replayer.url, "m", "y").error is not None  # two are there to choose from
