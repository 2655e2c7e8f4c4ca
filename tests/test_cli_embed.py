"""`ollama-fast embed`: what it takes, what it writes, over which hosts, and how much memory it needs."""

from __future__ import annotations

import io
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

import ollama_fast
from docs_server import docs_server
from ollama_fast.cli import main
from ollama_fast.testing import Chunk, Fault, Received, Reply, Server, serve
from transports import eventually

GENEROUS = 60


def vectors(request: Received, length: int = 3) -> Reply:
    """Give each text a vector that tells the texts apart: its length in characters, in every place."""
    texts = request.json["input"]
    found = [[float(len(text))] * length for text in ([texts] if isinstance(texts, str) else texts)]
    return Reply(200, (), (Chunk(0, json.dumps({"model": "m", "embeddings": found}).encode()),))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Generator[Server]:
    with serve(vectors) as running:
        monkeypatch.setenv("OLLAMA_HOST", running.url)
        yield running
        ollama_fast.close()


Embed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def embed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Embed:
    def run(*arguments: str | Path, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = main(["embed", "m", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def lines_of(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


# --- in and out ------------------------------------------------------------------------------------------------------


def test_lines_by_a_pipe_become_lines_of_json(embed: Embed, server: Server) -> None:
    code, out, err = embed(stdin="a\n\nccc\r\nbb")
    assert (code, err) == (0, "")
    assert lines_of(out) == [
        {"text": "a", "embedding": [1.0, 1.0, 1.0]},
        {"text": "ccc", "embedding": [3.0, 3.0, 3.0]},
        {"text": "bb", "embedding": [2.0, 2.0, 2.0]},
    ]


def test_keys_of_lines_go_along(embed: Embed, server: Server, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"id": 7, "text": "abc", "tags": ["x"]}\n')
    assert lines_of(embed(source)[1]) == [{"id": 7, "text": "abc", "tags": ["x"], "embedding": [3.0, 3.0, 3.0]}]
    body = '{"id": 7, "body": "ab"}\n'
    _, out, _ = embed("--input-key", "body", "--output-key", "v", stdin=body)
    assert lines_of(out) == [{"id": 7, "body": "ab", "v": [2.0, 2.0, 2.0]}]


def test_parquet_has_vectors_of_float32_and_the_other_keys(embed: Embed, server: Server, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="it is about the extra `parquet`")
    import pyarrow as pa

    source, output = tmp_path / "in.jsonl", tmp_path / "out.parquet"
    rows: list[dict[str, Any]] = [
        {"id": n, "text": "x" * (n % 7 + 1), "note": None if n else "first"} for n in range(9000)
    ]
    source.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    code, out, err = embed(source, "-o", output, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"texts": 9000, "dimensions": 3, "output": str(output)}
    table = pq.read_table(output)
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), 3)
    assert [table.schema.field(name).type for name in ("id", "text", "note")] == [pa.int64(), pa.string(), pa.string()]
    assert table.drop_columns("embedding").to_pylist() == rows
    assert table["embedding"].to_pylist() == [[float(len(row["text"]))] * 3 for row in rows]
    assert pq.ParquetFile(output).num_row_groups == math.ceil(9000 / 4096)


def test_numbers_are_those_of_the_server(embed: Embed, server: Server, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="it is about the extra `parquet`")
    numbers = [0.1, -1e-20, 3.0]
    body = json.dumps({"model": "m", "embeddings": [numbers]}).encode()
    server.answer = lambda _: Reply(200, (), (Chunk(0, body),))
    import struct

    as_float32 = list(struct.unpack("3f", struct.pack("3f", *numbers)))
    assert lines_of(embed(stdin="a")[1])[0]["embedding"] == as_float32
    embed("-o", tmp_path / "out.parquet", stdin="a")
    assert pq.read_table(tmp_path / "out.parquet")["embedding"].to_pylist() == [as_float32]


def test_options_arrive(embed: Embed, server: Server) -> None:
    embed(
        *("--dimensions", "3", "--no-truncate", "--keep-alive", "1h", "--option", "num_ctx=512", "--batch-size", "2"),
        stdin="a\nb\nc\n",
    )
    assert sorted(len(request.json["input"]) for request in server.requests) == [1, 2]
    body = server.requests[0].json
    del body["input"]
    assert body == {
        "model": "m",
        "dimensions": 3,
        "truncate": False,
        "keep_alive": "1h",
        "options": {"num_ctx": 512},
    }


def test_several_hosts_share_the_work(embed: Embed, server: Server) -> None:
    with serve(vectors) as other:
        hosts = ("--host", server.url, "--host", other.url)
        texts = [str(10**n) for n in range(20)] * 20
        _, out, _ = embed(*hosts, "--batch-size", "1", stdin="\n".join(texts))
        assert [row["text"] for row in lines_of(out)] == texts
        assert len(server.requests) + len(other.requests) == 400
        assert min(len(server.requests), len(other.requests)) > 0
        ollama_fast.close()


# --- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("in.txt", b"", "in.txt: there is no text to embed"),
        ("in.txt", b"\n \n", "in.txt: there is no text to embed"),
        ("in.txt", b"a\n\xff\n", "in.txt: line 2 is not text in UTF-8"),
        ("in.jsonl", b'{"text": "a"}\nnope\n', "in.jsonl: line 2 is no JSON"),
        ("in.jsonl", b'{"text": "a"}\n{"txt": "b"}\n', "in.jsonl: line 2 has no 'text'; it has 'txt'"),
        ("in.jsonl", b'{"text": "a", "embedding": 1}\n', "line 1 has 'embedding' already"),
        ("in.jsonl", b'{"text": "a", "x": 1}\n{"text": "a", "x": "y"}\n', "'x' are of several types"),
        ("in.jsonl", b'{"text": "a", "x": [{}]}\n', "'x' has objects without keys"),
        ("in.jsonl", b'{"text": "a", "x": 99999999999999999999}\n', "line 1 has a whole number of more than 64 bits"),
        ("in.jsonl", b'{"text": "a", "x": 18446744073709551615}\n', "too large"),
    ],
)
def test_a_wrong_input_is_explained_and_nothing_is_written(
    name: str, content: bytes, why: str, embed: Embed, server: Server, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "out.parquet").write_text("before")
    code, out, err = embed(tmp_path / name, "-o", tmp_path / "out.parquet")
    assert (code, out) == (1, "")
    assert why in err
    assert (tmp_path / "out.parquet").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "out.parquet"])


def test_a_later_group_must_have_the_same_columns(embed: Embed, server: Server, tmp_path: Path) -> None:
    first = '{"text": "a", "x": 1}\n' * 4096
    for last, why in (('{"text": "a", "x": "y"}', "'x' is not everywhere int64"), ('{"text": "a", "z": 1}', "has 'z'")):
        (tmp_path / "in.jsonl").write_text(first + last)
        code, _, err = embed(tmp_path / "in.jsonl", "-o", tmp_path / "out.parquet")
        assert (code, why in err) == (1, True), err
        assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize(
    ("before", "later", "why"),
    [
        ("1", "1.5", "not everywhere int64, as it is before: there are double"),
        ("1", "true", "not everywhere int64"),
        ('{"a": 1}', '{"a": 1, "b": "lost"}', "there are struct<a: int64, b: string>"),
        ('[{"a": 1}]', '[{"a": 1.5}]', "there are list<item: struct<a: double>>"),
        ("1.5", "9007199254740993", "not everywhere double"),
        ("1.5", "2", None),
        ('{"a": 1, "b": "x"}', '{"a": null}', None),
        ("[1.5]", "[]", None),
        ("1", "null", None),
    ],
)
def test_a_later_group_loses_nothing(
    before: str, later: str, why: str | None, embed: Embed, server: Server, tmp_path: Path
) -> None:
    lines = [f'{{"text": "a", "x": {before}}}'] * 4096 + [f'{{"text": "a", "x": {later}}}']
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    code, _, err = embed(tmp_path / "in.jsonl", "-o", tmp_path / "out.parquet")
    assert (code, (why or "") in err) == (0 if why is None else 1, True), err
    if why is None:
        stored = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "out.parquet").column("x").to_pylist()[-1]
        expected = json.loads(later)
        assert {"b": None, **stored} == {"b": None, **expected} if isinstance(expected, dict) else stored == expected


def test_whole_numbers_of_64_bits_go_along(embed: Embed, server: Server) -> None:
    line = '{"text": "a 99999999999999999999", "x": 18446744073709551615, "y": -9223372036854775808}'
    code, out, _ = embed("--input-key", "text", stdin=f"{line}\n")
    assert (code, {**json.loads(out), "embedding": None}) == (0, {**json.loads(line), "embedding": None})


def test_hosts_with_other_models_are_noticed(embed: Embed, server: Server, tmp_path: Path) -> None:
    server.answer = lambda request: vectors(request, 3 + len(server.requests))
    code, _, err = embed("--batch-size", "1", "-o", tmp_path / "out.parquet", stdin="a\nb\n")
    assert (code, "do all hosts have the same model?" in err) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written_is_noticed_before_anything_is_asked(
    embed: Embed, server: Server, tmp_path: Path
) -> None:
    code, _, err = embed("-o", tmp_path / "none" / "out.jsonl", stdin="a\n")
    assert (code, err) == (1, f"Error: {tmp_path}/none/out.jsonl: No such file or directory\n")
    code, _, err = embed("-o", tmp_path, stdin="a\n")
    assert (code, "is a directory" in err) == (2, True)
    assert server.requests == []


def test_an_error_of_the_server_names_the_lines(embed: Embed, server: Server, tmp_path: Path) -> None:
    server.fault = [None, Fault.instead(400, b'{"error": "the input length exceeds the context length"}')]
    code, out, err = embed("--batch-size", "2", "--concurrency", "1", stdin="a\n\nb\nc\nd\n")
    assert code == 1
    assert [row["text"] for row in lines_of(out)] == ["a", "b"]
    assert err.startswith("Error: standard input, lines 4 to 5: ")
    assert "exceeds the context length" in err


# --- memory, pipes, interrupts ---------------------------------------------------------------------------------------


_PEAK = """
import sys
from ollama_fast.cli import main
code = main(sys.argv[2:])
peak = open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]
open(sys.argv[1], "w").write(peak)
sys.exit(code)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it looks at /proc")
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_memory_does_not_grow_with_the_input(kind: str, tmp_path: Path) -> None:
    peaks: list[int] = []
    output = str(tmp_path / f"out.{kind}")
    with serve(vectors) as server:
        for count in (5_000, 20_000):  # the first fills a group of Parquet
            (tmp_path / "in.txt").write_text(f"{'x' * 2000}\n" * count)
            arguments = ["embed", "m", str(tmp_path / "in.txt"), "-o", output, "--batch-size", "100"]
            subprocess.run(
                [sys.executable, "-c", _PEAK, str(tmp_path / "peak"), *arguments],
                env={**os.environ, "OLLAMA_HOST": server.url},
                timeout=GENEROUS,
                check=True,
            )
            peaks.append(int((tmp_path / "peak").read_text()))
    assert peaks[1] - peaks[0] < 15_000, peaks  # KiB; the larger file has 30,000 KiB more


def test_a_pipe_gives_lines_before_the_input_ends() -> None:
    with serve(vectors) as server:
        command = [sys.executable, "-m", "ollama_fast", "embed", "m", "--batch-size", "1", "--concurrency", "1"]
        environ = {**os.environ, "OLLAMA_HOST": server.url}
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for _ in range(20):  # more than are read ahead
                process.stdin.write(b"text\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["text"] == "text"
            process.stdin.close()
            assert len(process.stdout.read().splitlines()) == 19
            assert process.wait(GENEROUS) == 0


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    def slow(request: Received) -> Reply:
        time.sleep(0.05)
        return vectors(request)

    (tmp_path / "in.txt").write_text("text\n" * 100_000)
    with serve(slow) as server:
        command = [sys.executable, "-m", "ollama_fast", "embed", "m", str(tmp_path / "in.txt")]
        environ = {**os.environ, "OLLAMA_HOST": server.url}
        with subprocess.Popen(
            [*command, "-o", str(tmp_path / "out.parquet")], stderr=subprocess.PIPE, text=True, env=environ
        ) as process:
            eventually(lambda: len(server.requests) > 5, GENEROUS)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=GENEROUS)
    assert (process.returncode, err.strip()) == (130, "")
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


def test_what_is_no_file_is_written_as_it_is() -> None:
    with docs_server() as port:
        ran = subprocess.run(
            [sys.executable, "-m", "ollama_fast", "embed", "smollm2", "-o", "/dev/stdout"],
            input="a\n",
            capture_output=True,
            text=True,
            env={**os.environ, "OLLAMA_HOST": f"127.0.0.1:{port}"},
            timeout=GENEROUS,
            check=False,
        )
    assert (ran.returncode, ran.stderr, json.loads(ran.stdout)["text"]) == (0, "", "a")
