"""`ollama-fast` as a process: pipes that close, Ctrl-C, a missing extra, what is loaded, and completion in a shell."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from docs_server import docs_server
from ollama_fast.testing import Chunk, Fault, Received, Reply, Server, serve
from transports import eventually

GENEROUS = 60


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ollama_fast", *arguments]


def started(*arguments: str, host: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OLLAMA_HOST": host, **(environ or {})},
    )


@contextmanager
def as_by_default(number: signal.Signals) -> Generator[None]:
    """Let processes that are started in the block take a signal, also where `nohup make test` ignores it."""
    before = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)


def endless(request: Received) -> Reply:
    """Say a line every few milliseconds, for a minute."""
    chat = request.path == "/api/chat"
    said: Any = {"message": {"role": "assistant", "content": "line\n"}} if chat else {"response": "line\n"}
    line = json.dumps({**said, "done": False}).encode() + b"\n"
    return Reply(200, (("Content-Type", "application/x-ndjson"),), tuple(Chunk(5 * n, line) for n in range(12_000)))


def is_left_alone(server: Server) -> bool:
    return len(server.abandoned) == 1 and server.underway == 0


# --- leaving ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["generate", "m", "Hi"], ["generate", "m", "Hi", "--json"]], ids=" ".join)
def test_ctrl_c_ends_with_130_and_the_server_stops(arguments: list[str]) -> None:
    with serve(endless) as server, started(*arguments, host=server.url) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=GENEROUS)
        assert (process.returncode, err.strip()) == (130, "")
        eventually(lambda: is_left_alone(server))


def test_ctrl_c_ends_the_wait_for_a_first_part() -> None:
    with serve(fault=Fault.cut("stall", part=0)) as server, started("generate", "m", "Hi", host=server.url) as process:
        eventually(lambda: server.requests, GENEROUS)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=GENEROUS)
        assert (process.returncode, out, err.strip()) == (130, "", "")
        eventually(lambda: is_left_alone(server))


@pytest.mark.parametrize("arguments", [["generate", "m", "Hi"], ["generate", "m", "Hi", "--json"]], ids=" ".join)
def test_a_pipe_that_closes_is_quiet_and_the_server_stops(arguments: list[str]) -> None:
    with serve(endless) as server, started(*arguments, host=server.url) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(GENEROUS) == 1
        eventually(lambda: is_left_alone(server))


@pytest.mark.skipif(shutil.which("sh") is None, reason="it is about a shell's pipe")
def test_head_takes_a_line_and_all_is_well() -> None:
    with serve(endless) as server:
        line = f"echo notes | {sys.executable} -m ollama_fast generate m 'Why?' | head -1"
        environ = {**os.environ, "OLLAMA_HOST": server.url}
        ran = subprocess.run(
            ["sh", "-c", line], capture_output=True, text=True, env=environ, timeout=GENEROUS, check=False
        )
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "line\n", "")
        assert server.requests[0].json["prompt"] == "notes\n\nWhy?"
        eventually(lambda: is_left_alone(server))


def test_a_closed_stdin_is_no_input() -> None:
    with docs_server() as port:
        shell = f"exec {sys.executable} -m ollama_fast generate smollm2 Hi <&-"
        environ = {**os.environ, "OLLAMA_HOST": f"127.0.0.1:{port}"}
        ran = subprocess.run(
            ["sh", "-c", shell], capture_output=True, text=True, env=environ, timeout=GENEROUS, check=False
        )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "Light is scattered.\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_an_error() -> None:
    with docs_server() as port, Path("/dev/full").open("wb") as full:
        environ = {**os.environ, "OLLAMA_HOST": f"127.0.0.1:{port}"}
        ran = subprocess.run(
            command("list"), stdout=full, stderr=subprocess.PIPE, text=True, env=environ, timeout=GENEROUS, check=False
        )
    assert ran.returncode == 1
    assert ran.stderr == "Error: No space left on device\n"


def test_text_that_the_encoding_lacks_is_no_error() -> None:
    with docs_server() as port:
        environ = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
        with started("copy", "smollm2", "grün", host=f"127.0.0.1:{port}", environ=environ) as process:
            out, err = process.communicate(timeout=GENEROUS)
        assert (process.returncode, out, err) == (0, "copied smollm2 to gr\\xfcn\n", "")
        with started("copy", "smollm2", "grün", "--json", host=f"127.0.0.1:{port}", environ=environ) as process:
            out, err = process.communicate(timeout=GENEROUS)
        assert (process.returncode, json.loads(out)["destination"], err) == (0, "grün", "")


_ON_WINDOWS = """
import io, sys
for name in ("stdout", "stderr"):
    setattr(sys, name, io.TextIOWrapper(getattr(sys, name).buffer, "cp1252"))
from ollama_fast.cli import main
sys.exit(main())
"""


def test_pipes_get_utf_8_whatever_the_system_has() -> None:
    with docs_server() as port:
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONIOENCODING"}
        ran = subprocess.run(
            [sys.executable, "-c", _ON_WINDOWS, "copy", "smollm2", "grün-你好"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**environ, "OLLAMA_HOST": f"127.0.0.1:{port}"},
            timeout=GENEROUS,
            check=False,
        )
    assert (ran.returncode, ran.stdout.decode().strip(), ran.stderr) == (0, "copied smollm2 to grün-你好", b"")


_CLOSED = [
    ["list", "--host", "HOST"],
    ["generate", "smollm2", "Hi", "--host", "HOST"],
    ["generate", "smollm2", "Hi", "--json", "--host", "HOST"],
    ["embed", "smollm2", __file__, "--host", "HOST"],
    ["pull", "m", "--host", "HOST"],
    ["delete", "smollm2", "--host", "HOST"],
    ["doctor", "--host", "HOST"],
    ["version", "--host", "HOST"],
    ["--version"],
    ["completion", "bash"],
]


@pytest.mark.skipif(shutil.which("sh") is None, reason="it is about a shell's closed streams")
@pytest.mark.parametrize("arguments", _CLOSED, ids=lambda found: " ".join(found).replace(__file__, "FILE"))
def test_closed_streams_are_the_null_device(arguments: list[str]) -> None:
    with docs_server() as port:
        line = shlex.join(command(*arguments)).replace("HOST", f"127.0.0.1:{port}")
        for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            ran = subprocess.run(
                ["sh", "-c", f"exec {line} {closed}"], capture_output=True, text=True, timeout=GENEROUS, check=False
            )
            if arguments[0] == "delete" and closed != "<&-":
                assert (ran.returncode, "Traceback" in ran.stderr) == (1, False)  # it was deleted before
            else:
                assert (ran.returncode, "rror" in ran.stderr) == (0, False)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_that_ends_a_process_leaves_nothing_half_written(name: str, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("text\n")
    (tmp_path / "out.jsonl").write_text("as it was\n")
    arguments = ["embed", "m", str(tmp_path / "in.txt"), "-o", str(tmp_path / "out.jsonl")]
    number: signal.Signals = getattr(signal, name)
    stalls = serve(fault=Fault.cut("stall", part=0))
    with stalls as server, as_by_default(number), started(*arguments, host=server.url) as process:
        eventually(lambda: server.requests, GENEROUS)
        process.send_signal(number)
        out, err = process.communicate(timeout=GENEROUS)
        assert (process.returncode, out, err) == (128 + number, "", "")
        eventually(lambda: is_left_alone(server))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "in.txt": "text\n",
        "out.jsonl": "as it was\n",
    }


@pytest.mark.skipif(shutil.which("nohup") is None, reason="there is no nohup")
def test_a_signal_that_is_ignored_stays_so() -> None:
    slow = Reply(200, (), (Chunk(1500, b'{"models": []}'),))
    with serve(lambda _: slow) as server:
        environ = {**os.environ, "OLLAMA_HOST": server.url}
        with subprocess.Popen(
            ["nohup", *command("list")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environ
        ) as process:
            eventually(lambda: server.requests, GENEROUS)
            process.send_signal(signal.SIGHUP)
            out, _ = process.communicate(timeout=GENEROUS)
    assert (process.returncode, out.split()) == (0, [b"NAME", b"ID", b"SIZE", b"MODIFIED"])


@pytest.mark.skipif(sys.platform == "win32", reason="select is for sockets there")
def test_a_pipe_that_stays_open_is_waited_for_and_said() -> None:
    with docs_server() as port:
        environ = {**os.environ, "OLLAMA_HOST": f"127.0.0.1:{port}"}
        with subprocess.Popen(
            command("generate", "smollm2", "Hi"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
        ) as process:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("Note: waiting for the end of standard input, which goes")
            out, err = process.communicate("notes\n", timeout=GENEROUS)
    assert (process.returncode, out, err) == (0, "Light is scattered.\n", "")


# --- what is installed and loaded ------------------------------------------------------------------------------------

_WITHOUT = """
import sys
sys.modules[sys.argv.pop(1)] = None
from ollama_fast.cli import main
sys.exit(main())
"""


def without(missing: str, *arguments: str, host: str = "127.0.0.1:1") -> subprocess.CompletedProcess[str]:
    """Run the command line where a module cannot be imported."""
    return subprocess.run(
        [sys.executable, "-c", _WITHOUT, missing, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "OLLAMA_HOST": host},
        timeout=GENEROUS,
        check=False,
    )


@pytest.mark.parametrize("arguments", [["--version"], ["list"], []], ids=" ".join)
def test_without_the_extra_one_line_names_it(arguments: list[str]) -> None:
    ran = without("click", *arguments)
    assert (ran.returncode, ran.stdout) == (1, "")
    (line,) = ran.stderr.splitlines()
    assert "click" in line
    assert line.endswith("pip install 'ollama_fast[cli]'")


def test_without_rich_pipes_do_as_before() -> None:
    with docs_server() as port:
        listed = without("rich", "list", host=f"127.0.0.1:{port}")
        pulled = without("rich", "pull", "new", host=f"127.0.0.1:{port}")
    assert (listed.returncode, listed.stderr, listed.stdout.startswith("NAME ")) == (0, "", True)
    assert (pulled.returncode, "success" in pulled.stderr) == (0, True)


def test_without_pyarrow_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("a\n")
    ran = without("pyarrow", "embed", "m", str(tmp_path / "in.txt"), "-o", str(tmp_path / "out.parquet"))
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "pip install 'ollama_fast[parquet]'" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


_LOADED = """
import sys
from ollama_fast.cli import main
code = main()
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["generate", "smollm2", "Hi"], ["list"], ["chat", "--help"], ["completion", "zsh"]],
    ids=" ".join,
)
def test_a_quick_command_loads_nothing_slow(arguments: list[str]) -> None:
    with docs_server() as port:
        ran = subprocess.run(
            [sys.executable, "-c", _LOADED, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, "OLLAMA_HOST": f"127.0.0.1:{port}"},
            timeout=GENEROUS,
            check=False,
        )
    assert ran.returncode == 0
    slow = {"rich", "asyncio", "pydantic", "pyarrow", "matplotlib", "numpy", "tqdm"}
    assert slow & set(ran.stderr.split()) == set()


@pytest.mark.checkout
def test_the_program_has_its_name() -> None:
    about = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8"))
    assert about["project"]["scripts"] == {"ollama-fast": "_ollama_fast_cli:main"}


_INTERRUPTED = """
import sys
place = sys.argv.pop(1)
class Pressed:
    def find_spec(self, name, path, target=None):
        if name == place:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Pressed())
from _ollama_fast_cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("module", ["ollama_fast", "click", "ollama_fast.cli._group", "ollama_fast.cli._list"])
def test_ctrl_c_while_modules_are_imported_ends_with_130(module: str) -> None:
    program = [sys.executable, "-c", _INTERRUPTED, module, "list"]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=GENEROUS, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr.strip()) == (130, "", "")


# --- completion ------------------------------------------------------------------------------------------------------


_PATIENT = """
import sys
from ollama_fast import Timeout
from ollama_fast.cli import _complete, main
_complete._PATIENCE = Timeout(60)
sys.exit(main())
"""


def completed(typed: str, host: str) -> list[str]:
    """Give what bash is told when Tab is pressed behind *typed*, by a program that waits also on a busy machine."""
    return _completed(typed, host, [sys.executable, "-c", _PATIENT])


def _completed(typed: str, host: str, program: list[str]) -> list[str]:
    words = typed.split(" ")
    environ = {
        **os.environ,
        "OLLAMA_HOST": host,
        "_OLLAMA_FAST_COMPLETE": "bash_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    ran = subprocess.run(program, capture_output=True, text=True, env=environ, timeout=GENEROUS, check=False)
    assert ran.stderr == ""
    return [line.partition(",")[2] for line in ran.stdout.splitlines() if line]


def test_commands_options_and_models_are_completed() -> None:
    with docs_server() as port:
        host = f"127.0.0.1:{port}"
        assert completed("ollama-fast ge", host) == ["generate"]
        assert completed("ollama-fast generate --st", host) == ["--stats"]
        assert completed("ollama-fast generate ", host) == ["smollm2", "qwen3", "gemma3"]
        assert completed("ollama-fast show q", host) == ["qwen3"]
        assert completed(f"ollama-fast show --host {host} q", "127.0.0.1:1") == ["qwen3"]


def test_completion_never_complains() -> None:
    with serve(fault=Fault.refuse()) as server:
        assert _completed("ollama-fast show ", server.url, command()) == []
    with serve(fault=Fault.cut("stall", part=0)) as server:
        assert _completed("ollama-fast show ", server.url, command()) == []
    assert _completed("ollama-fast show ", "http://a b", command()) == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_takes_the_script(tmp_path: Path) -> None:
    program = tmp_path / "ollama-fast"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ollama_fast "$@"\n')
    program.chmod(0o755)
    script = """
eval "$(ollama-fast completion bash)"
press() {
    COMPREPLY=() COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _ollama_fast_completion ollama-fast
    echo "${COMPREPLY[@]}"
}
press ollama-fast ge
press ollama-fast show qwen3 : la
press ollama-fast show qwen3 :
complete -p ollama-fast
"""
    models = json.dumps({"models": [{"name": name} for name in ("qwen3:large", "qwen3:small", "other:large")]}).encode()
    environ = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    with serve(lambda _: Reply(200, (), (Chunk(0, models),))) as server:
        ran = subprocess.run(
            ["bash", "-c", script],
            capture_output=True,
            text=True,
            env={**environ, "OLLAMA_HOST": server.url},
            timeout=GENEROUS,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[:3] == ["generate", "large", "large small"]
    assert "_ollama_fast_completion ollama-fast" in ran.stdout
