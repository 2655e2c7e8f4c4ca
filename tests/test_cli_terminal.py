"""`ollama-fast` on a terminal: bars, tables, colours, questions, and chats in turns."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from docs_server import docs_server
from ollama_fast.testing import Chunk, Fault, Received, Reply, reply, serve
from terminal import Terminal, plain, terminal
from transports import eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no terminals of this kind")


@pytest.fixture
def docs() -> Generator[dict[str, str]]:
    """Give the environment in which the server of the docs is the host."""
    with docs_server() as port:
        yield {"OLLAMA_HOST": f"127.0.0.1:{port}"}


def parts(*said: tuple[int, dict[str, Any]]) -> Callable[[Received], Reply]:
    """Reply with parts, each after its milliseconds; a load of the model with one that ends it."""
    chunks = tuple(Chunk(ms, json.dumps(part).encode() + b"\n") for ms, part in said)
    headers = (("Content-Type", "application/x-ndjson"),)

    def answer(request: Received) -> Reply:
        if request.path == "/api/generate" and not request.json.get("prompt"):
            return Reply(200, (), (Chunk(0, b'{"response": "", "done": true, "done_reason": "load"}'),))
        return Reply(200, headers, chunks)

    return answer


def said(text: str, *, done: bool = False) -> dict[str, Any]:
    return {
        "message": {"role": "assistant", "content": text},
        "done": done,
        **({"done_reason": "stop"} if done else {}),
    }


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_a_pull_has_a_bar(docs: dict[str, str]) -> None:
    with terminal("pull", "new", environ=docs) as screen:
        assert screen.end() == 0
    assert "━" in screen.shown
    assert "100%" in screen.shown
    assert "success" in screen.shown


def test_a_table_is_by_rich(docs: dict[str, str]) -> None:
    with terminal("list", environ=docs) as screen:
        assert screen.end() == 0
    assert "\x1b[1mNAME" in screen.shown
    assert "smollm2:latest" in plain(screen.shown)


@pytest.mark.parametrize("columns", [1, 20, 60])
def test_a_narrow_terminal_shows_names(columns: int) -> None:
    name = "hf.co/somebody/some-model-that-has-a-long-name-GGUF:Q4_K_M"
    model = {"name": name, "digest": "1" * 64, "size": 1, "modified_at": "2020-01-01T00:00:00Z"}
    body = json.dumps({"models": [model]}).encode()
    with (
        serve(lambda _: Reply(200, (), (Chunk(0, body),))) as server,
        terminal("list", environ={"OLLAMA_HOST": server.url}, columns=columns) as screen,
    ):
        assert screen.end() == 0
    lines = plain(screen.shown).splitlines()
    assert name in "".join(line.split(" ")[0] for line in lines)


def test_a_name_is_no_markup_and_no_command_for_the_terminal() -> None:
    model = {"name": "[bold]x[/bold]\x1b[31m", "digest": "1", "size": 1, "modified_at": ""}
    body = json.dumps({"models": [model]}).encode()
    with (
        serve(lambda _: Reply(200, (), (Chunk(0, body),))) as server,
        terminal("list", environ={"OLLAMA_HOST": server.url}) as screen,
    ):
        assert screen.end() == 0
    assert "[bold]x[/bold]\u241b[31m" in screen.shown
    assert "\x1b[31m" not in screen.shown


def test_what_a_model_says_is_no_markup_and_no_command_for_the_terminal() -> None:
    with (
        serve(reply("[bold]x[/bold] \x1b[2J\x07 :smile: end")) as server,
        terminal("generate", "m", "Hi", environ={"OLLAMA_HOST": server.url}) as screen,
    ):
        assert screen.end() == 0
    assert screen.shown == "[bold]x[/bold] \u241b[2J\u2407 :smile: end\r\n"


def test_an_error_of_a_server_is_no_command_for_the_terminal() -> None:
    with (
        serve(fault=Fault.instead(500, b'{"error": "\\u001b[2J bad"}')) as server,
        terminal("list", environ={"OLLAMA_HOST": server.url}) as screen,
    ):
        assert screen.end() == 1
    assert "\x1b[31mError:\x1b[0m" in screen.shown
    assert "\x1b[2J" not in screen.shown


def test_thinking_is_dim(docs: dict[str, str]) -> None:
    with terminal("generate", "qwen3", "Hi", environ=docs) as screen:
        assert screen.end() == 0
    assert screen.shown == "\x1b[2mHm. \x1b[0m\r\n\r\nLight is scattered.\r\n"


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_colours_can_be_refused(environ: dict[str, str], docs: dict[str, str]) -> None:
    for arguments in (["generate", "qwen3", "Hi"], ["show", "nope"]):
        with terminal(*arguments, environ={**docs, **environ}) as screen:
            screen.end()
        assert "\x1b[2m" not in screen.shown
        assert "\x1b[31m" not in screen.shown


def test_embedding_has_a_bar(docs: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("text\n" * 500)
    with terminal(
        "embed", "smollm2", str(tmp_path / "in.txt"), "-o", str(tmp_path / "out.jsonl"), environ=docs
    ) as screen:
        assert screen.end() == 0
    assert "━" in screen.shown
    assert "500 texts" in screen.shown
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 500


# --- what is asked ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("typed", "code", "left"), [("y\n", 0, False), ("n\n", 1, True), (None, 130, True)])
def test_deleting_is_asked_for(typed: str | None, code: int, left: bool, docs: dict[str, str]) -> None:
    with terminal("delete", "smollm2", environ=docs) as screen:
        screen.until("Delete smollm2 at http://127.0.0.1")
        screen.until("[y/N]: ")
        if typed is None:
            screen.interrupt()
        else:
            screen.type(typed)
        assert screen.end() == code
    assert "Traceback" not in screen.shown
    with terminal("show", "smollm2", environ=docs) as screen:
        assert screen.end() == (0 if left else 1)


def test_deleting_is_not_asked_for_with_yes(docs: dict[str, str]) -> None:
    with terminal("delete", "smollm2", "--yes", environ=docs) as screen:
        assert screen.end() == 0
    assert screen.shown == "deleted smollm2\r\n"


# --- chats -----------------------------------------------------------------------------------------------------------


def begun(screen: Terminal) -> None:
    screen.until("Ctrl-D ends")
    screen.until(">>> ")


def ended(screen: Terminal) -> None:
    screen.type("\x04")
    assert screen.end() == 0
    assert "Traceback" not in screen.shown


def test_a_chat_remembers_its_turns() -> None:
    with serve(parts((0, said("Yes, ")), (0, said("[b]you[/b].")), (0, said("", done=True)))) as server:
        with terminal("chat", "m", "--system", "Be brief.", environ={"OLLAMA_HOST": server.url}) as screen:
            begun(screen)
            screen.type("Are you there?\n")
            screen.until("Yes, [b]you[/b].")
            screen.until(">>> ")
            screen.type('"""Two\nlines"""\n')
            screen.until(">>> ")
            ended(screen)
        asked = server.requests[-1].json
    assert asked["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Are you there?"},
        {"role": "assistant", "content": "Yes, [b]you[/b]."},
        {"role": "user", "content": "Two\nlines"},
    ]


def test_ctrl_c_stops_an_answer_and_keeps_the_chat() -> None:
    slow = parts((0, said("Once upon ")), (60_000, said("a time", done=True)))
    with serve(slow) as server:
        with terminal("chat", "m", environ={"OLLAMA_HOST": server.url}) as screen:
            begun(screen)
            screen.type("Tell me.\n")
            screen.until("Once upon ")
            screen.interrupt()
            screen.until(">>> ")
            eventually(lambda: len(server.abandoned) == 1)
            server.answer = parts((0, said("Done.", done=True)))
            screen.type("Go on.\n")
            screen.until("Done.")
            screen.until(">>> ")
            screen.interrupt()
            screen.until("(Ctrl-D or /exit ends)")
            screen.until(">>> ")
            ended(screen)
        asked = server.requests[-1].json
    assert asked["messages"] == [
        {"role": "user", "content": "Tell me."},
        {"role": "assistant", "content": "Once upon "},
        {"role": "user", "content": "Go on."},
    ]


def test_an_error_keeps_the_chat_and_takes_the_question_back() -> None:
    with serve(parts((0, said("Yes.", done=True)))) as server:
        with terminal("chat", "m", environ={"OLLAMA_HOST": server.url}) as screen:
            begun(screen)
            server.fault = [Fault.instead(500, b'{"error": "out of memory"}')]
            screen.type("One\n")
            screen.until("out of memory")
            screen.until(">>> ")
            screen.type("Two\n")
            screen.until("Yes.")
            screen.until(">>> ")
            ended(screen)
        assert server.requests[-1].json["messages"] == [{"role": "user", "content": "Two"}]


def test_slash_commands_work_in_a_chat(docs: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(16))
    steps = [
        ("/help\n", "write the conversation to a file"),
        ("/nope\n", "there is no command /nope"),
        ("/model nope\n", "model 'nope' not found"),
        ("/model\n", "smollm2"),
        ("/model gemma3\n", "gemma3 answers from now on"),
        (f"/image {tmp_path}/none.png\n", "No such file or directory"),
        (f"/image {tmp_path}/cat.png\n", "the next question shows 1 image"),
        ("What is it?\n", "Light is scattered."),
        (f"/save {tmp_path}/talk.json\n", "saved to"),
        (f"/save {tmp_path}/none/talk.json\n", "No such file or directory"),
        ("/save ~nobody-of-this-name/talk.json\n", "ould not determine home directory"),
        ("/clear\n", "all that was said is forgotten"),
        (f"/load {tmp_path}/talk.json\n", "2 messages with gemma3"),
    ]
    with terminal("chat", "smollm2", environ=docs) as screen:
        begun(screen)
        for typed, shown in steps:
            screen.type(typed)
            screen.until(shown)
            screen.until(">>> ")
        screen.type("/exit\n")
        assert screen.end() == 0
    saved = json.loads((tmp_path / "talk.json").read_text())
    assert (saved["model"], [message["role"] for message in saved["messages"]]) == ("gemma3", ["user", "assistant"])
    assert len(saved["messages"][0]["images"]) == 1


def test_tools_are_called_and_shown(docs: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text("def add(a: int, b: int) -> int:\n    'Add.'\n    return a + b\n")
    with terminal("chat", "qwen3", "--tools", str(tmp_path / "tools.py"), environ=docs) as screen:
        begun(screen)
        screen.type("3 + 3?\n")
        screen.until("-> add(a=3, b=3)")
        screen.until("<- 6")
        screen.until("Light is scattered.")
        screen.until(">>> ")
        ended(screen)


def test_a_tool_does_not_end_a_chat(docs: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text("def add(a: int, b: int) -> int:\n    'Add.'\n    raise SystemExit(3)\n")
    with terminal("chat", "qwen3", "--tools", str(tmp_path / "tools.py"), environ=docs) as screen:
        begun(screen)
        screen.type("3 + 3?\n")
        screen.until("a tool would have ended the program, by SystemExit(3)")
        screen.until(">>> ")
        ended(screen)


def test_lines_can_be_edited_and_recalled(docs: dict[str, str]) -> None:
    pytest.importorskip("readline", reason="this Python has no readline")
    with terminal("chat", "smollm2", environ=docs) as screen:
        begun(screen)
        screen.type("/modex\x7fl\n")  # a slip, taken back
        screen.until("\r\n")
        screen.until("smollm2")
        screen.until(">>> ")
        screen.type("\x1b[A\n")  # the key with the arrow up
        screen.until("\r\n")
        screen.until("smollm2")
        screen.until(">>> ")
        screen.type("/sys\tBe brief.\n")
        screen.until("the system message is set")
        screen.until(">>> ")
        ended(screen)


def test_a_chat_with_an_unknown_model_ends_at_once(docs: dict[str, str]) -> None:
    with terminal("chat", "nope", environ=docs) as screen:
        assert screen.end() == 1
    assert "model 'nope' not found" in plain(screen.shown)
