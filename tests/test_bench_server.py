"""What the servers of the benches say; and that the targets keep each other's results."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

import ollama_fast

_BENCHES = Path(__file__).parent.parent / "benches"
_LINES = [
    b'{"message":{"role":"assistant","content":"a"},"done":false}\n',
    b'{"message":{"role":"assistant","content":"caf\xc3\xa9"},"done":false}\n',
]
_LAST = b'{"message":{"role":"assistant","content":""},"done":true,"total_duration":7,"eval_count":2}\n'
_WHOLE = b'{"message":{"role":"assistant","content":"all"},"done":true}'
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"

pytestmark = [
    pytest.mark.checkout,
    pytest.mark.skipif(sys.platform != "linux", reason="the replay server of the benches is for Linux only"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to build the replay server of the benches"),
]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("server")
    lines, whole, program = folder / "lines", folder / "whole", folder / "server"
    lines.write_bytes(b"".join([*_LINES, _LAST]))
    whole.write_bytes(_WHOLE)
    source = _BENCHES / "peers" / "replay_server.c"
    subprocess.run(["cc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", program, source], check=True)
    pipe = subprocess.PIPE
    with subprocess.Popen([program, lines, whole], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield int(process.stdout.readline())
        process.stdin.close()
        assert process.wait(timeout=10) == 0, "it ends when its standard input does"


def _ask(connection: socket.socket, model: str, *, stream: bool = True) -> None:
    body = json.dumps({"model": model, "stream": stream}).encode()
    connection.sendall(b"POST /api/chat HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def _read_until(connection: socket.socket, end: bytes) -> bytes:
    found = b""
    while not found.endswith(end):
        piece = connection.recv(65536)
        assert piece, f"closed after {found!r}"
        found += piece
    return found


def _chunk(line: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(line), line)


def _unstamped(answer: bytes) -> tuple[bytes, int]:
    """Give the answer as it were without its stamp, and the stamp."""
    found = re.search(rb'([0-9a-f]+)\r\n([^\r]*"total_duration":)(\d+)([^\r]*\n)\r\n', answer)
    assert found is not None
    size, before, stamp, after = found.groups()
    assert int(size, 16) == len(before + stamp + after)
    return answer[: found.start()] + _chunk(before + b"7" + after) + answer[found.end() :], int(stamp)


@pytest.mark.parametrize("model", ["burst-4", "live-4-1"])
def test_a_stream_is_a_chunk_per_line_and_tells_when_its_last_one_was_sent(port: int, model: str) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for _ in range(2):  # the connection stays open
            began = time.monotonic_ns()
            _ask(connection, model)
            answer, stamp = _unstamped(_read_until(connection, b"\r\n0\r\n\r\n"))
            expected = [*_LINES, _LINES[0], _LAST]  # they begin anew
            assert answer == _HEAD + b"".join(map(_chunk, expected)) + b"0\r\n\r\n"
            assert began < stamp < time.monotonic_ns()


def test_a_whole_answer_has_a_length(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        _ask(connection, "any", stream=False)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_WHOLE)
        assert _read_until(connection, _WHOLE) == head + _WHOLE


def test_an_idle_stream_has_one_line_and_may_be_left(port: int) -> None:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            _ask(connection, "idle")
            assert _read_until(connection, b"\n\r\n") == _HEAD + _chunk(_LINES[0])
            connection.settimeout(0.05)
            with pytest.raises(TimeoutError):
                connection.recv(1)


def test_many_streams_that_are_left_half_way_hurt_nobody(port: int) -> None:
    left = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(20)]
    for connection in left:
        _ask(connection, "live-1000-1")
    for connection in left:
        assert connection.recv(20) == _HEAD[:20]
        connection.close()
    parts = list(ollama_fast.chat_stream(f"http://127.0.0.1:{port}", "live-20-1", [{"role": "user", "content": "x"}]))
    assert len(parts) == 20


def test_its_own_usage_is_told(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET /usage HTTP/1.1\r\n\r\n")
        assert json.loads(_read_until(connection, b"}").partition(b"\r\n\r\n")[2]).keys() == {"cpu", "late"}


@pytest.fixture
def of_the_abi3_bench() -> Iterator[int]:
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "benches.abi3_server", "3", "2", "4"]
    with subprocess.Popen(command, cwd=_BENCHES.parent, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield int(process.stdout.readline())
        process.stdin.close()
        assert process.wait(timeout=10) == 0, "it ends when its standard input does"


def test_the_server_of_the_abi3_bench_sends_bursts_wholes_and_live_rounds(of_the_abi3_bench: int) -> None:
    url, messages = f"http://127.0.0.1:{of_the_abi3_bench}", [{"role": "user", "content": "x"}]
    assert len(list(ollama_fast.chat_stream(url, "burst", messages))) == 3
    assert ollama_fast.chat(url, "whole", messages)["message"]["role"] == "assistant"
    with (
        socket.create_connection(("127.0.0.1", of_the_abi3_bench), timeout=10) as ticks,
        ollama_fast.chat_stream(url, "live", messages) as one,
        ThreadPoolExecutor(1) as pool,
    ):
        other = pool.submit(lambda: list(ollama_fast.chat_stream(url, "live", messages)))
        parts = 0
        for _ in one:
            parts += 1
            if parts < 4:
                ticks.sendall(b"next\n")
        assert (parts, len(other.result(timeout=10))) == (4, 4)


@pytest.fixture
def results() -> ModuleType:
    spec = importlib.util.spec_from_file_location("results", _BENCHES / "results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_target_leaves_the_other_ones_results(results: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    results.write("bench-streams", "# Streams\n\nold\n", path)
    results.write("bench", "# All\n", path)
    results.write("bench-streams", "# Streams\n\nnew", path)
    assert path.read_text(encoding="utf-8") == (
        "<!-- begin: make bench -->\n# All\n<!-- end: make bench -->\n\n"
        "<!-- begin: make bench-streams -->\n# Streams\n\nnew\n<!-- end: make bench-streams -->\n"
    )
