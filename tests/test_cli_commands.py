"""The commands of `ollama-fast`, in this process: what they print, what they ask the server, and how they end."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import click
import pytest

import ollama_fast
from docs_server import docs_server
from ollama_fast.cli import _tables, main
from ollama_fast.cli._group import COMMANDS
from ollama_fast.cli._group import ollama_fast as group
from ollama_fast.testing import FAULTS, Chunk, Fault, Received, Reply, Server, reply, serve

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> list[Any]:
        """What it printed, line by line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Run(Protocol):
    """Runs the command line."""

    def __call__(self, *arguments: str, stdin: bytes | Literal["nothing"] | None = ...) -> Ended:
        """Run it with *stdin* by a pipe; "nothing" is the null device, None a terminal on which nobody types."""
        ...


class _Typist(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*arguments: str, stdin: bytes | Literal["nothing"] | None = "nothing") -> Ended:
        with Path(os.devnull).open() as nothing:
            given: Any = nothing if stdin == "nothing" else _Typist() if stdin is None else None
            monkeypatch.setattr(sys, "stdin", given or io.TextIOWrapper(io.BytesIO(cast("bytes", stdin))))
            code = main(arguments)
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return call


@pytest.fixture
def at_docs(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    with docs_server() as port:
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{port}")
        yield
        ollama_fast.close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Generator[Server]:
    with serve() as running:
        monkeypatch.setenv("OLLAMA_HOST", running.url)
        yield running
        ollama_fast.close()


def asked(server: Server) -> Any:
    """Give the body of the last request, which streamed."""
    body = server.requests[-1].json
    assert body.pop("stream") is True
    return body


def parts_of(*parts: dict[str, Any]) -> Callable[[Received], Reply]:
    lines = tuple(Chunk(0, json.dumps(part).encode() + b"\n") for part in parts)
    return lambda _: Reply(200, (("Content-Type", "application/x-ndjson"),), lines)


# --- the group -------------------------------------------------------------------------------------------------------


def test_every_command_is_there_and_says_what_it_does(run: Run) -> None:
    told = run("--help")
    assert told.code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in told.out
        about = run(name, "--help")
        assert about.code == 0
        assert about.out.startswith(f"Usage: ollama-fast {name} ")
    assert run("--version").out == f"ollama-fast {ollama_fast.__version__}\n"


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"completion"}))
def test_every_command_has_json(name: str) -> None:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    assert "--json" in {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["list", "--nope"],
        ["list", "extra"],
        ["show"],
        ["show", ""],
        ["show", "a\nb"],
        ["list", "--host", "http://a b"],
        ["list", "--host", ""],
        ["embed", "smollm2", "--host", " "],
        ["list", "--timeout", "0"],
        ["list", "--timeout", "soon"],
        ["list", "--timeout", "nan"],
        ["list", "--timeout", "inf"],
        ["list", "--timeout", "1e300"],
        ["doctor", "--timeout", "nan"],
        ["embed", "smollm2", "--timeout", "nan"],
        ["load", "smollm2", "--keep-alive", "nan"],
        ["generate", "smollm2", "Hi", "--keep-alive", "-inf"],
        ["load", "smollm2", "--option", "temperature=inf"],
        ["generate", "smollm2", "Hi", "--option", "temperature=nan"],
        ["generate", "smollm2"],
        ["generate", "smollm2", "Hi", "--option", "temprature=1"],
        ["generate", "smollm2", "Hi", "--think", "--effort", "hard"],
        ["generate", "smollm2", "Hi", "--no-think", "--effort", "low"],
        ["generate", "smollm2", "Hi", "--image", "nope.png"],
        ["generate", "smollm2", "Hi", "--format", "nope.json"],
        ["generate", "smollm2", "\udcff"],
        ["chat", "smollm2"],
        ["chat", "smollm2", "--tools", "nope.py"],
        ["embed", "smollm2", "nope.txt"],
        ["embed", "smollm2", "--batch-size", "0"],
        ["unload"],
        ["unload", "m", "--all"],
        ["create", "new"],
        ["create", "new", "--file", "nope.gguf"],
        ["completion", "tcsh"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_ends_with_2_and_asks_nothing(arguments: list[str], run: Run, server: Server) -> None:
    ended = run(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "Usage: ollama-fast" in ended.err
    assert "Error: " in ended.err
    assert "Traceback" not in ended.err
    assert server.requests == []


MODEL_COMMANDS: list[list[str]] = [
    ["generate", "nope", "Hi"],
    ["show", "nope"],
    ["push", "nope"],
    ["copy", "nope", "other"],
    ["delete", "nope"],
    ["create", "new", "--from", "nope"],
]


@pytest.mark.parametrize("arguments", MODEL_COMMANDS, ids=" ".join)
@pytest.mark.usefixtures("at_docs")
def test_an_unknown_model_ends_with_1_and_says_what_to_do(arguments: list[str], run: Run) -> None:
    ended = run(*arguments)
    assert ended.code == 1
    assert ended.err.splitlines()[-2].endswith("model 'nope' not found")
    assert ended.err.splitlines()[-1].startswith("`ollama-fast list` shows the models there")


@pytest.mark.parametrize(
    "arguments",
    [["list"], ["version"], ["ps", "--json"], ["pull", "m"], *MODEL_COMMANDS],
    ids=" ".join,
)
def test_a_host_that_is_not_there_ends_with_1(arguments: list[str], run: Run) -> None:
    with serve(fault=Fault.refuse()) as server:
        ended = run(*arguments, "--host", server.url)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("Error: ")
    assert "cannot connect" in ended.err
    assert ended.err.endswith(f"`ollama-fast doctor --host {server.url}` looks for the cause.\n")


@pytest.mark.parametrize("name", sorted(name for name, fault in FAULTS.items() if not fault.refuses))
def test_a_server_that_misbehaves_is_never_a_traceback(name: str, run: Run, server: Server) -> None:
    server.fault = FAULTS[name]
    ended = run("generate", "m", "Hi", "--timeout", "0.3")
    assert ended.code in (0, 1)
    assert ended.code == 1 or ended.out
    assert ended.code == 0 or ended.err.startswith("Error: ")
    ollama_fast.close()


ODD: list[bytes] = [
    b"5",
    b"null",
    b"[]",
    b'{"models": [1]}',
    b'{"models": "x"}',
    b'{"models": [{"name": 1, "size": "x", "digest": 5, "modified_at": 7, "size_vram": "y", "model": {}}]}',
    b'{"status": 5}\n{"status": "success"}\n',
    b'{"response": 5, "done": true}',
    b'{"response": "a", "done": true, "eval_count": "x", "eval_duration": []}',
    b'{"message": "x", "done": true}',
    b'{"message": {"content": 5}, "done": true}',
    b'{"message": {"content": "", "tool_calls": [1]}, "done": true}',
    b'{"details": 5, "model_info": 7, "capabilities": 5, "license": []}',
    b'{"details": {}, "license": ["a"]}',
    b'{"embeddings": [[1, "a"]]}',
    b'{"embeddings": [1]}',
    b'{"error": {"a": 1}}',
]


@pytest.mark.parametrize("body", ODD, ids=bytes.decode)
def test_an_answer_of_another_shape_is_never_a_traceback(body: bytes, run: Run, server: Server, tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text("def now() -> str:\n    'Say the time.'\n    return 'noon'\n")
    server.answer = lambda _: Reply(200, (("Content-Type", "application/json"),), (Chunk(0, body),))
    for arguments in (
        *(["list"], ["ps"], ["show", "m"], ["version"], ["pull", "m"], ["push", "m"], ["create", "m", "--from", "x"]),
        *(["generate", "m", "--stats"], ["chat", "m"], ["chat", "m", "--tools", str(tmp_path / "tools.py")]),
        *(["embed", "m"], ["load", "m"], ["unload", "m"], ["unload", "--all"], ["copy", "a", "b"], ["delete", "m"]),
        ["pull", "m", "--missing"],
    ):
        for ended in (run(*arguments, stdin=b"Hi"), run(*arguments, "--json", stdin=b"Hi")):
            assert ended.code in (0, 1), arguments
            assert ended.code == 0 or ended.err.splitlines()[-1].startswith(("Error: ", "`ollama-fast ")), arguments


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        (["run", "m"], "`generate` answers a prompt"),
        (["rm", "m"], "Did you mean delete?"),
        (["genrate", "m"], "Did you mean generate or create?"),
        (["zzz"], "`ollama-fast --help` lists them."),
        (["generate", "m", "Hi", "--tempurature", "1"], "--option temperature=VALUE"),
        (["generate", "m", "Hi", "--num-ctx", "1"], "--option num_ctx=VALUE"),
        (["generate", "m", "Why", "is", "the sky"], "ollama-fast generate m 'Why is the sky'"),
    ],
    ids=" ".join,
)
def test_it_is_said_what_was_meant(arguments: list[str], more: str, run: Run, server: Server) -> None:
    ended = run(*arguments)
    assert (ended.code, ended.out, server.requests) == (2, "", [])
    assert more in ended.err.splitlines()[-1]


def test_of_other_commands_no_option_of_a_run_is_said(run: Run, server: Server) -> None:
    assert "VALUE" not in run("list", "--temperature", "1").err


def test_only_a_model_that_would_run_is_said_to_be_pulled(run: Run, at_docs: None) -> None:
    for arguments in (["delete", "nope"], ["copy", "nope", "other"], ["push", "nope"]):
        assert "pull" not in run(*arguments).err
    assert "`ollama-fast pull nope` downloads it" in run("generate", "nope", "Hi").err


@pytest.mark.parametrize(
    ("said", "more"),
    [
        ('Head "https://x/v2/": http: server gave HTTP response to HTTPS client', "--insecure allows a registry with"),
        ("pull model manifest: Get ...: x509: certificate signed by unknown authority", "--insecure allows a registry"),
        ("pull model manifest: file does not exist", "The registry has no such model"),
    ],
)
def test_what_a_registry_refuses_has_advice(said: str, more: str, run: Run, server: Server) -> None:
    server.answer = parts_of({"status": "pulling manifest"}, {"error": said})
    for command in ("pull", "push"):
        ended = run(command, "m")
        assert ended.code == 1
        assert ended.err.splitlines()[-1].startswith(more)


def test_of_an_error_without_end_the_beginning_is_shown(run: Run, server: Server) -> None:
    server.fault = Fault.instead(500, json.dumps({"error": "x" * 100_000 + "\r\n"}).encode())
    ended = run("list")
    assert ended.code == 1
    assert len(ended.err) < 5_000
    assert ended.err.endswith(" more characters)\n")


@pytest.mark.usefixtures("at_docs")
def test_what_was_unloaded_is_said_before_what_fails(run: Run) -> None:
    ended = run("unload", "smollm2", "nope", "qwen3")
    assert (ended.code, ended.out) == (1, "unloaded smollm2\n")


def test_what_nobody_foresaw_is_a_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(ollama_fast, "list", fail)
    ended = run("list")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("Error: RecursionError: too deep\n`python -X dev -m ollama_fast ...` shows")


def test_rich_is_named_where_a_terminal_needs_it(run: Run, at_docs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tables, "on_terminal", lambda: True)
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    ended = run("list")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "Error: this needs rich, which is not installed: pip install 'ollama_fast[cli]'\n"


# --- generate --------------------------------------------------------------------------------------------------------


def test_an_answer_is_printed_with_a_line_end(run: Run, server: Server) -> None:
    server.answer = reply("Light is scattered.")
    assert run("generate", "m", "Why?") == Ended(0, "Light is scattered.\n", "")
    assert asked(server) == {"model": "m", "prompt": "Why?"}


def test_what_comes_by_a_pipe_stands_before_the_prompt(run: Run, server: Server) -> None:
    run("generate", "m", "summarise", stdin="café\nnotes\n".encode())
    assert asked(server)["prompt"] == "café\nnotes\n\nsummarise"
    run("generate", "m", stdin=b"all of it")
    assert asked(server)["prompt"] == "all of it"
    run("generate", "m", "asked on a terminal", stdin=None)
    assert asked(server)["prompt"] == "asked on a terminal"


def test_a_pipe_with_nothing_in_it_is_said(run: Run, server: Server) -> None:
    ended = run("generate", "m", "summarise", stdin=b"\n")
    assert (ended.code, ended.err) == (0, "Note: nothing came by standard input; PROMPT is asked alone\n")
    assert asked(server)["prompt"] == "summarise"
    assert run("generate", "m", "summarise").err == ""


def test_text_by_a_pipe_must_be_utf_8(run: Run, server: Server) -> None:
    ended = run("generate", "m", stdin=b"\xff\xfe")
    assert ended.code == 1
    assert ended.err.startswith("Error: standard input is not text in UTF-8")
    assert server.requests == []


def test_all_options_arrive(run: Run, server: Server, tmp_path: Path) -> None:
    (tmp_path / "i.png").write_bytes(PNG)
    (tmp_path / "s.json").write_text('{"type": "object"}')
    run(
        *("generate", "m", "Hi", "--system", "Be brief.", "--format", str(tmp_path / "s.json")),
        *("--image", str(tmp_path / "i.png"), "--option", "temperature=0", "--option", "stop=a", "--option", "stop=b"),
        *("--effort", "high", "--keep-alive", "5m"),
    )
    body = asked(server)
    assert len(body.pop("images")) == 1
    assert body == {
        "model": "m",
        "prompt": "Hi",
        "system": "Be brief.",
        "format": {"type": "object"},
        "options": {"temperature": 0.0, "stop": ["a", "b"]},
        "think": "high",
        "keep_alive": "5m",
    }
    run("generate", "m", "Hi", "--no-think", "--format", "json", "--keep-alive", "-1")
    assert asked(server) == {"model": "m", "prompt": "Hi", "format": "json", "think": False, "keep_alive": -1.0}


def test_an_empty_image_is_refused(run: Run, server: Server, tmp_path: Path) -> None:
    (tmp_path / "i.png").touch()
    assert run("generate", "m", "Hi", "--image", str(tmp_path / "i.png")).code == 2
    assert run("chat", "m", "--image", str(tmp_path / "i.png"), stdin=b"Hi").code == 1
    assert server.requests == []


def test_thinking_is_left_out_of_a_pipe(run: Run, server: Server) -> None:
    server.answer = parts_of(
        {"response": "", "thinking": "Hm.", "done": False}, {"response": "Yes.", "done": True, "done_reason": "stop"}
    )
    assert run("generate", "m", "Hi").out == "Yes.\n"


def test_json_gives_each_part(run: Run, server: Server) -> None:
    parts = [{"response": "a\x1b[1m\u2028", "done": False}, {"response": "", "done": True, "done_reason": "stop"}]
    server.answer = parts_of(*parts)
    assert run("generate", "m", "Hi", "--json").json == parts


def test_stats_go_to_stderr(run: Run, at_docs: None) -> None:
    ended = run("generate", "smollm2", "Hi", "--stats")
    assert ended.out == "Light is scattered.\n"
    assert "3 tokens written at 100.0/s" in ended.err


def test_what_a_pipe_gets_is_what_the_model_said(run: Run, server: Server) -> None:
    server.answer = reply("\x1b[31m[bold]red[/bold]")
    assert run("generate", "m", "Hi").out == "\x1b[31m[bold]red[/bold]\n"


def test_an_answer_that_breaks_off_ends_with_1(run: Run, server: Server) -> None:
    server.fault = Fault.cut("reset", part=2)
    ended = run("generate", "m", "Hi")
    assert (ended.code, ended.out) == (1, "Hello!\n") or (ended.code, ended.out.startswith("Hello!")) == (1, True)
    assert ended.err.startswith("Error: ")


def test_the_timeout_is_kept(run: Run, server: Server) -> None:
    server.fault = Fault.cut("stall", part=0)
    ended = run("generate", "m", "Hi", "--timeout", "0.2")
    assert ended.code == 1
    assert "within 0.2 s (--timeout)" in ended.err


# --- chat ------------------------------------------------------------------------------------------------------------


def test_what_comes_by_a_pipe_is_one_question(run: Run, server: Server) -> None:
    ended = run("chat", "m", "--system", "Be brief.", stdin=b"a\nb\n")
    assert ended == Ended(0, "Hello! How can I help you today?\n", "")
    assert asked(server) == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "a\nb"}],
    }


def test_a_saved_conversation_goes_on(run: Run, server: Server, tmp_path: Path) -> None:
    saved = {"model": "other", "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}
    (tmp_path / "talk.json").write_text(json.dumps(saved))
    run("chat", "m", "--load", str(tmp_path / "talk.json"), stdin=b"Why?")
    assert asked(server) == {"model": "m", "messages": [*saved["messages"], {"role": "user", "content": "Why?"}]}
    (tmp_path / "talk.json").write_text("[]")
    ended = run("chat", "m", "--load", str(tmp_path / "talk.json"), stdin=b"Why?")
    assert (ended.code, "holds no conversation" in ended.err) == (1, True)


@pytest.mark.usefixtures("at_docs")
def test_tools_of_a_file_are_called(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text("def add(a: int, b: int) -> int:\n    'Add.'\n    return a + b\n")
    tools = ("--tools", str(tmp_path / "tools.py"))
    called = "-> add(a=3, b=3)\n<- 6\n"
    assert run("chat", "qwen3", *tools, stdin=b"3 + 3?") == Ended(0, "Light is scattered.\n", called)
    told = run("chat", "qwen3", *tools, "--json", stdin=b"3 + 3?").json
    assert {"message": {"role": "tool", "content": "6", "tool_name": "add", "tool_call_id": "call_0"}} in told
    refused = run("chat", "smollm2", *tools, stdin=b"3 + 3?")
    assert (refused.code, "does not support tools" in refused.err) == (1, True)


@pytest.mark.usefixtures("at_docs")
def test_what_a_tool_prints_is_no_part_of_the_answer(run: Run, tmp_path: Path) -> None:
    code = "print('begun')\ndef add(a: int, b: int) -> int:\n    'Add.'\n    print('adding')\n    return a + b\n"
    (tmp_path / "tools.py").write_text(code)
    for more in ([], ["--json"]):
        ended = run("chat", "qwen3", "--tools", str(tmp_path / "tools.py"), *more, stdin=b"3 + 3?")
        assert ended.code == 0
        assert {"begun", "adding"} <= set(ended.err.splitlines())
        assert "begun" not in ended.out
        assert "adding" not in ended.out


@pytest.mark.parametrize("more", [[], ["--json"]], ids=str)
@pytest.mark.usefixtures("at_docs")
def test_a_tool_does_not_end_the_program(more: list[str], run: Run, tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text("def add(a: int, b: int) -> int:\n    'Add.'\n    raise SystemExit(3)\n")
    ended = run("chat", "qwen3", "--tools", str(tmp_path / "tools.py"), *more, stdin=b"3 + 3?")
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == "Error: a tool would have ended the program, by SystemExit(3)"


def test_a_chat_in_turns_needs_a_terminal(run: Run, server: Server) -> None:
    ended = run("chat", "m", stdin=None)
    assert (ended.code, "needs a terminal" in ended.err) == (2, True)
    assert server.requests == []


# --- models and the server -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("at_docs")
def test_models_are_listed_shown_copied_and_deleted(run: Run) -> None:
    listed = run("list").out.splitlines()
    assert listed[0].split() == ["NAME", "ID", "SIZE", "MODIFIED"]
    assert listed[1].startswith("smollm2:latest  000000000000  98 MB  ")
    assert run("list", "--json").json[0]["models"][0]["name"] == "smollm2:latest"
    assert run("ps").out.splitlines()[1].split()[:6] == ["smollm2:latest", "000000000000", "98", "MB", "100%", "CPU"]
    assert "models" in run("ps", "--json").json[0]
    assert "  context length  8192" in run("show", "smollm2").out
    assert run("show", "smollm2", "--license").out == "Apache-2.0\n"
    assert run("show", "smollm2", "--json").json[0]["template"] == "{{ .Prompt }}"
    assert run("copy", "smollm2", "other").out == "copied smollm2 to other\n"
    assert run("delete", "other", "--json").json == [{"deleted": "other"}]
    assert run("delete", "other").code == 1


@pytest.mark.usefixtures("at_docs")
def test_pull_push_and_create_say_how_far_they_are(run: Run, tmp_path: Path) -> None:
    for arguments in (["pull", "new"], ["push", "smollm2"], ["create", "mine", "--from", "smollm2"]):
        ended = run(*arguments)
        assert (ended.code, ended.out) == (0, "")
        assert "success" in ended.err.splitlines()[-1]
        told = run(*arguments, "--json")
        assert (told.json[-1]["status"], told.err) == ("success", "")
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + bytes(100))
    told = run("create", "filed", "--file", str(tmp_path / "m.gguf"), "--json")
    assert told.code == 0
    assert any(part["status"].startswith("uploading") for part in told.json)


def test_create_says_what_of_a_modelfile_is_left_out(run: Run, server: Server, tmp_path: Path) -> None:
    server.answer = parts_of({"status": "success"})
    path = tmp_path / "Modelfile"
    path.write_text("FROM m\nPARAMETER low_vram true\n")
    ended = run("create", "new", "-f", str(path))
    says = f"{path}, line 2: Ollama no longer has the parameter 'low_vram'; left out"
    assert ended.err.splitlines() == [says, "new: success"]
    path.write_text("FROM ~nobody-of-this-name/m\n")
    ended = run("create", "new", "-f", str(path))
    assert (ended.code, ended.err.splitlines()) == (
        1,
        ["Error: ~nobody-of-this-name/m: No such file or directory"],
    )


def test_create_sends_what_it_is_given(run: Run, server: Server) -> None:
    server.answer = parts_of({"status": "success"})
    run(
        *("create", "new", "--from", "m", "--system", "Be brief.", "--template", "{{ .Prompt }}", "--license", "MIT"),
        *("--quantize", "q4_K_M", "--option", "temperature=0.5"),
    )
    assert asked(server) == {
        "model": "new",
        "from": "m",
        "system": "Be brief.",
        "template": "{{ .Prompt }}",
        "license": ["MIT"],
        "quantize": "q4_K_M",
        "parameters": {"temperature": 0.5},
    }


def test_insecure_registries_are_allowed_by_name(run: Run, server: Server) -> None:
    server.answer = parts_of({"status": "success"})
    for command in ("pull", "push"):
        run(command, "m", "--insecure")
        assert asked(server) == {"model": "m", "insecure": True}


@pytest.mark.usefixtures("at_docs")
def test_what_is_missing_is_pulled_and_nothing_else(run: Run) -> None:
    assert run("pull", "smollm2", "--missing", "--json").json == [{"status": "success"}]
    assert len(run("pull", "other", "--missing", "--json").json) > 1


@pytest.mark.usefixtures("at_docs")
def test_models_are_loaded_and_unloaded(run: Run) -> None:
    assert run("load", "smollm2", "--keep-alive", "1h", "--option", "num_ctx=512").out == "loaded smollm2\n"
    assert run("load", "smollm2", "--json").json == [{"loaded": "smollm2"}]
    assert run("unload", "smollm2", "qwen3").out == "unloaded smollm2\nunloaded qwen3\n"
    assert run("unload", "--all", "--json").json == [{"unloaded": "smollm2:latest"}]
    assert run("load", "nope").code == 1


def test_a_server_without_models_has_an_empty_table(run: Run, server: Server) -> None:
    server.answer = lambda _: Reply(200, (("Content-Type", "application/json"),), (Chunk(0, b'{"models": null}'),))
    assert run("list") == Ended(0, "NAME  ID  SIZE  MODIFIED\n", "")
    assert run("ps").code == 0


@pytest.mark.usefixtures("at_docs")
def test_versions_are_printed(run: Run) -> None:
    assert run("version").out == f"server 0.24.0\nclient {ollama_fast.__version__}\n"
    assert run("version", "--json").json == [{"server": "0.24.0", "client": ollama_fast.__version__}]


@pytest.mark.usefixtures("at_docs")
def test_the_doctor_reports(run: Run) -> None:
    well = run("doctor")
    assert (well.code, "Ollama 0.24.0 answers" in well.out) == (0, True)
    assert run("doctor", "--json").json[0]["ok"] is True
    ollama_fast.delete(None, "smollm2")
    ollama_fast.delete(None, "qwen3")
    ollama_fast.delete(None, "gemma3")
    for more in ([], ["--json"]):
        bare = run("doctor", *more)
        assert (bare.code, "`ollama-fast pull smollm2`, for example" in bare.out) == (1, True)
    ill = run("doctor", "--host", "http://a b")
    assert (ill.code, "problem" in ill.out) == (1, True)
    with serve(fault=Fault.refuse()) as server:
        ill = run("doctor", "--host", server.url, "--json")
    assert (ill.code, ill.json[0]["ok"]) == (1, False)


# --- completion ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["zsh", "fish"])  # that of bash is run in test_cli_processes.py
def test_completion_prints_a_script(shell: str, run: Run) -> None:
    ended = run("completion", shell)
    assert (ended.code, f"_OLLAMA_FAST_COMPLETE={shell}_complete" in ended.out) == (0, True)
