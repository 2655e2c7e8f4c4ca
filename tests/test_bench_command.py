"""The command `ollama-fast bench`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ollama_fast.bench import ClosedLoop, OpenLoop, decode_json, read_json
from ollama_fast.cli._exits import run as main
from ollama_fast.testing import FAULTS, Chunk, Received, Reply, Server, reply, serve
from transports import eventually

QUICK = ("--num-predict", "4", "--requests", "3", "--warm-up", "0")


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(reply("a b c d")) as running:
        yield running


def bench(*arguments: str | Path) -> int:
    return main(["bench", *map(str, arguments)])


def test_a_sweep_is_shown_and_written(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('"one"\n"two"\n', encoding="utf-8")
    files = ("--output", tmp_path / "run.json", "--html", tmp_path / "run.html")
    code = bench(
        "m", "--host", server.url, *QUICK, "--concurrency", "1,2", "--prompts", prompts, "--option", "seed=3", *files
    )
    said = capsys.readouterr().out
    assert code == 0
    found = read_json(tmp_path / "run.json")
    assert [level.load for level in found.levels] == [ClosedLoop(1), ClosedLoop(2)]
    assert [len(level.samples) for level in found.levels] == [3, 3]
    assert found.ceiling is not None
    assert (found.workload.num_predict, found.workload.options) == (4, {"seed": 3})
    assert server.requests[-1].json["options"] == {"seed": 3, "num_predict": 4}
    assert "<svg" in (tmp_path / "run.html").read_text(encoding="utf-8")
    for expected in ("1 worker", "2 workers", "TTFT", "Self-test: this client reads", "Note: Under 100 requests"):
        assert expected in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["prompts.jsonl", "run.html", "run.json"]


def test_json_alone_is_on_stdout_if_it_is_asked_for_there(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    assert bench("m", "--host", server.url, *QUICK, "--rate", "100", "--seed", "4", "--json") == 0
    out, err = capfd.readouterr()
    found = decode_json(out)
    assert ([level.load for level in found.levels], found.seed) == ([OpenLoop(100.0)], 4)
    assert "100 req/s" in err


def test_two_hosts_are_compared(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(reply("a b c d")) as other:
        hosts = ("--host", server.url, "--host", other.url)
        assert bench("m", *hosts, *QUICK, "--concurrency", "1", "--html", tmp_path / "two.html") == 0
        said = capsys.readouterr().out
        assert "compared to" in said
        assert f"Not the same: host: {server.url} and {other.url}" in said.replace("\n", " ").replace("  ", " ")
        page = (tmp_path / "two.html").read_text(encoding="utf-8")
        assert f"{other.url} compared to {server.url}" in page


def test_a_run_is_compared_to_one_before_and_two_files_need_no_server(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "1.json", tmp_path / "2.json"
    usual = ("m", "--host", server.url, *QUICK, "--concurrency", "1")
    assert bench(*usual, "--output", first) == 0
    capsys.readouterr()
    assert bench(*usual, "-o", second, "--compare", first) == 0
    assert "compared to" in capsys.readouterr().out
    asked = len(server.requests)
    assert bench("--compare", first, "--compare", second, "--html", tmp_path / "two.html") == 0
    assert len(server.requests) == asked
    assert "compared to" in capsys.readouterr().out
    assert "compared to" in (tmp_path / "two.html").read_text(encoding="utf-8")


def test_the_self_test_needs_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--self-test", "--concurrency", "2") == 0
    assert "tokens/s in 2 streams" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "name a MODEL, or at least two files"),
        (("--compare", "run.json"), "name a MODEL, or at least two files"),
        (("m", "--concurrency", "1,x"), "whole numbers above 0"),
        (("m", "--concurrency", "0"), "whole numbers above 0"),
        (("m", "--concurrency", ""), "whole numbers above 0"),
        (("m", "--concurrency", "2,2"), "a number twice"),
        (("m", "--rate", "nan"), "numbers above 0"),
        (("m", "--rate", "inf"), "numbers above 0"),
        (("m", "--rate", "1", "--concurrency", "1"), "choose one"),
        (("m", "--requests", "0"), "--requests"),
        (("m", "--duration", "0"), "--duration"),
        (("m", "--option", "temprature=0"), "did you mean temperature"),
        (("m", "--prompts", "empty.txt"), "empty.txt holds no prompt"),
        (("m", "--api", "generate", "--prompts", "chat.jsonl"), "which generate does not take"),
        (("m", "--compare", "chat.jsonl"), "chat.jsonl: it is not the JSON of a benchmark"),
        (("m", "--host", "a", "--host", "b", "--json"), "--json is of one run"),
        (("m", "--host", "a", "--host", "b", "--output", "x.json"), "--output is of one run"),
        (("--compare", "run.json", "--compare", "run.json", "--output", "x.json"), "--output is of a new run"),
        (("m", "--timeout", "nan"), "--timeout"),
        (("m", "--timeout", "1e300"), "--timeout"),
        (("m", "--duration", "nan"), "--duration"),
        (("m", "--option", "num_predict=5"), "--num-predict"),
        (("m", "--prompts", "bad.jsonl"), "bad.jsonl: line 2: a message must have a role"),
        (("m", "--self-test"), "leave out MODEL"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_command_line_ends_with_2_and_sends_nothing(
    arguments: tuple[str, ...],
    text: str,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    Path("empty.txt").write_text("\n\n", encoding="utf-8")
    Path("chat.jsonl").write_text('{"messages": [{"role": "user", "content": "Hi!"}]}\n', encoding="utf-8")
    Path("bad.jsonl").write_text('"a"\n{"messages": [{"foo": 1}]}\n', encoding="utf-8")
    assert bench(*arguments) == 2
    assert text in " ".join(capsys.readouterr().err.split())
    assert server.requests == []


@pytest.mark.parametrize("option", ["--output", "--html"])
def test_a_report_that_cannot_be_written_is_found_before_the_load(
    option: str, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("m", "--host", server.url, option, tmp_path / "gone" / "report") == 1
    assert "report: No such file or directory" in capsys.readouterr().err
    assert server.requests == []


@pytest.mark.parametrize("option", ["--prompts", "--compare"])
def test_a_file_that_is_not_there_is_a_failure(
    option: str, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("m", "--host", server.url, option, tmp_path / "gone") == 1
    assert "No such file" in capsys.readouterr().err
    assert server.requests == []


@pytest.mark.parametrize(("fault", "text"), [("error of no model", "not found"), ("refused", "refused")])
def test_a_wrong_model_or_host_is_a_failure_before_the_load(
    fault: str, text: str, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fault = FAULTS[fault]
    assert bench("m", "--host", server.url, "--output", tmp_path / "run.json") == 1
    assert text in capsys.readouterr().err
    assert len(server.requests) <= 1
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_fails_every_request_is_a_failure_whose_report_is_written(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fault = [None, None, *[FAULTS["error of too many"]] * 6]  # behind the try-out and its question for a version
    path = tmp_path / "run.json"
    assert bench("m", "--host", server.url, *QUICK, "--concurrency", "1,2", "--output", path) == 1
    out, err = capsys.readouterr()
    assert err == f"Error: every request to {server.url} failed\n"
    said = " ".join(out.split())
    assert "2 workers: 3 of 3 requests failed; nothing was measured" in said
    assert "2 workers: 3 ResponseError (429): POST" in said
    assert [one.reason for level in read_json(path).levels for one in level.samples] == ["429"] * 6


def test_some_failures_are_no_failure_of_the_whole(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.fault = [None, None, FAULTS["error of too many"], None]
    assert bench("m", "--host", server.url, *QUICK, "--concurrency", "1") == 0
    assert "1 of 3 requests failed; latencies are of the others" in " ".join(capsys.readouterr().out.split())


def test_a_load_in_which_nothing_arrives_is_a_failure(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("m", "--host", server.url, "--rate", "0.001", "--duration", "0.01", "--warm-up", "0") == 1
    assert "Nothing was measured" in capsys.readouterr().err


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------


def _quick_and_then_slow(server: Server) -> None:
    quick = reply("a b")

    def answer(request: Received) -> Reply:
        plain = quick(request)
        if len(server.requests) <= 5 or plain.status != 200:
            return plain
        return Reply(200, plain.headers, (plain.chunks[0], Chunk(60_000, plain.chunks[-1].data)))

    server.answer = answer


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_ends_the_load_and_what_was_measured_is_written(server: Server, tmp_path: Path) -> None:
    _quick_and_then_slow(server)
    path = tmp_path / "run.json"
    command = [sys.executable, "-m", "ollama_fast", "bench", "m", "--host", server.url, "--output", str(path)]
    files = ["--html", str(tmp_path / "run.html"), "--warm-up", "0", "--concurrency", "1,2", "--requests", "9"]
    with subprocess.Popen([*command, *files], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        eventually(lambda: len(server.requests) == 6, seconds=60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err == ""
    found = read_json(path)
    assert found.cut
    assert [level.load for level in found.levels] == [ClosedLoop(1)]
    outcomes = [sample.outcome for sample in found.levels[0].samples]
    assert outcomes == ["done"] * (len(outcomes) - 1) + ["cut"]
    assert len(outcomes) > 1
    assert json.loads(path.read_bytes())["summaries"][0]["cut"] == 1
    assert "broken off" in out
    assert "broken off" in (tmp_path / "run.html").read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_before_anything_was_measured_writes_nothing(server: Server, tmp_path: Path) -> None:
    server.answer = lambda _: Reply(200, (("Content-Type", "application/x-ndjson"),), (Chunk(60_000, b"{}\n"),))
    command = [sys.executable, "-m", "ollama_fast", "bench", "m", "--host", server.url]
    command += ["--output", str(tmp_path / "run.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        eventually(lambda: len(server.requests) == 1, seconds=60)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "Nothing was measured, so nothing is written.\n")
    assert list(tmp_path.iterdir()) == []


# --- extras, and a terminal ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["rich", "matplotlib"])
def test_a_missing_package_names_the_extras_before_the_load(missing: str, server: Server, tmp_path: Path) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None\nfrom ollama_fast.cli import main\nsys.exit(main())"
    command = [sys.executable, "-c", program, "bench", "m", "--host", server.url, "--html", str(tmp_path / "x.html")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "pip install 'ollama_fast[bench,cli]'" in done.stderr
    assert server.requests == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_on_a_terminal_a_line_tells_how_far_a_load_is(server: Server) -> None:
    import pty

    outer, inner = pty.openpty()
    command = [sys.executable, "-m", "ollama_fast", "bench", "m", "--host", server.url, *QUICK, "--concurrency", "1,2"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, env=environment) as process:
        os.close(inner)
        said = b""
        try:
            while piece := os.read(outer, 65536):
                said += piece
        except OSError:  # how Linux ends a terminal that nobody has open
            pass
        assert process.wait(timeout=60) == 0
    os.close(outer)
    assert b"\r\x1b[2K1 worker: 0 done" in said
    assert b"\r\x1b[2Kself-test of the client" in said
    assert said.count(b"2 workers") > 1
