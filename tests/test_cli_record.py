"""`ollama-fast record` and `ollama-fast replay`, as processes that run until they are ended."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

import ollama_fast
from ollama_fast.cli import main
from ollama_fast.testing import Fault, reply, serve
from ollama_fast.testing._recording_file import load

GENEROUS = 60


@contextmanager
def running(*arguments: str, host: str = "") -> Generator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "ollama_fast", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OLLAMA_HOST": host},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ended(process: subprocess.Popen[str], by: signal.Signals) -> tuple[int, str, str]:
    process.send_signal(by)
    out, err = process.communicate(timeout=GENEROUS)
    return process.returncode, out, err


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM], ids=lambda by: by.name)
def test_what_is_recorded_until_the_end_is_replayed(by: signal.Signals, tmp_path: Path) -> None:
    path = str(tmp_path / "one.json")
    with serve(reply("Yes.")) as genuine, running("record", path, host=genuine.url) as process:
        name, _, url = first_line(process).partition("=")
        assert name == "OLLAMA_HOST"
        said = list(ollama_fast.generate_stream(url, "m", "Hi!"))
        code, out, err = ended(process, by)
    assert (code, out) == (0, "")
    assert err.splitlines() == [
        f"It passes on to {genuine.url}. Ctrl-C ends it and writes {path}.",
        f"1 exchange written to {path}",
    ]
    with running("replay", path, "--pace", "fast") as process:
        url = first_line(process).partition("=")[2]
        assert list(ollama_fast.generate_stream(url, "m", "Hi!")) == said
        with pytest.raises(ollama_fast.errors.ResponseError, match="the nearest has prompt"):
            ollama_fast.generate(url, "m", "Ho!")
        code, out, err = ended(process, by)
    assert (code, out) == (0, "")
    assert "is not recorded; of 1 for that method and path the nearest has" in err


def test_json_says_where_it_is_and_what_came_of_it(tmp_path: Path) -> None:
    path = str(tmp_path / "one.json")
    with serve() as genuine, running("record", path, "--host", genuine.url, "--json") as process:
        began = json.loads(first_line(process))
        assert began["path"] == path
        ollama_fast.generate(began["url"], "m", "Hi!")
        code, out, err = ended(process, signal.SIGINT)
    assert (code, json.loads(out), err) == (0, {"recorded": 1, "failures": []}, "")
    with running("replay", path, "--any-body", "--json") as process:
        url = json.loads(first_line(process))["url"]
        ollama_fast.generate(url, "m", "Ho!")
        code, out, err = ended(process, signal.SIGINT)
    assert (code, json.loads(out), err) == (0, {"requests": 1, "unknown": []}, "")


def test_where_nothing_was_exchanged_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text("old")
    with serve(fault=Fault.refuse()) as genuine, running("record", str(path), host=genuine.url) as process:
        url = first_line(process).partition("=")[2]
        with pytest.raises(ollama_fast.errors.ResponseError, match="cannot be reached"):
            ollama_fast.version(url)
        code, _, err = ended(process, signal.SIGINT)
    assert code == 0
    assert "Error: GET /api/version was not recorded" in err
    assert err.endswith(f"Nothing was exchanged: {path} is as it was\n")
    assert path.read_text() == "old"


def test_the_port_is_that_which_is_asked_for_and_a_taken_one_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "one.json"
    path.write_text('{"ollama_fast": "recording", "version": 1, "exchanges": []}')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running("replay", str(path), "--port", str(port)) as process:
        assert first_line(process) == f"OLLAMA_HOST=http://127.0.0.1:{port}"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code = main(["replay", str(path), "--port", str(port)])
    assert (code, capsys.readouterr().err) == (1, f"Error: {os.strerror(errno.EADDRINUSE)}: 127.0.0.1:{port}\n")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["replay", "{tmp}/nothing.json"], 1, "nothing.json: No such file or directory"),
        (["replay", "{tmp}/broken.json"], 1, "broken.json holds no recording: version must be 1"),
        (["replay", "{tmp}"], 2, "is a directory"),
        (["replay"], 2, "Missing argument 'PATH'"),
        (["replay", "x", "--pace", "slow"], 2, "Invalid value for '--pace'"),
        (["replay", "x", "--port", "70000"], 2, "Invalid value for '--port'"),
        (["record", "{tmp}/nowhere/x.json"], 1, "nowhere/x.json: No such file or directory"),
        (["record", "{tmp}/x.json", "--host", "http://["], 2, "Invalid value for '--host'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_told(
    arguments: list[str], code: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.json").write_text('{"ollama_fast": "recording", "version": 7, "exchanges": []}')
    assert main([argument.format(tmp=tmp_path) for argument in arguments]) == code
    assert says in capsys.readouterr().err


def test_a_recording_of_the_command_line_is_what_the_function_reads(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    with serve() as genuine, running("record", str(path), host=genuine.url) as process:
        ollama_fast.generate(first_line(process).partition("=")[2], "m", "Hi!")
        ended(process, signal.SIGTERM)
    (kept,) = load(path)
    assert kept.request.body == {"model": "m", "stream": False, "prompt": "Hi!"}
