"""What the command line decides and formats, by values: no server, no terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

import ollama_fast
from ollama_fast import Conversation, ToolResult
from ollama_fast._text_lines import WrongLineError
from ollama_fast.cli import _phrases, _slash, _talk
from ollama_fast.cli._advice import _OF_PYTHON, in_shell, said
from ollama_fast.cli._answer import Ink, Piece, laid_out, measured, piece_of
from ollama_fast.cli._asking import format_of, joined, keep_alive_of, think_of
from ollama_fast.cli._bash import whole_words
from ollama_fast.cli._converse import piece_of_event
from ollama_fast.cli._exits import said_by_system
from ollama_fast.cli._models import described, list_rows, ps_rows
from ollama_fast.cli._options import host_of
from ollama_fast.cli._output import encoded
from ollama_fast.cli._plain import shown
from ollama_fast.cli._question import read_question
from ollama_fast.cli._run_options import WrongOptionError, options_of
from ollama_fast.cli._tables import aligned, columns_for
from ollama_fast.cli._talk import Talk
from ollama_fast.cli._texts import Row, rows_of_jsonl, rows_of_lines
from ollama_fast.cli._tool_file import tools_in
from ollama_fast.errors import AuthenticationError, ConnectError, ModelNotFoundError, OllamaError

pytestmark = pytest.mark.unsent

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DETAILS: Any = {"family": "llama", "parameter_size": "134.52M", "quantization_level": "Q4_1"}


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2026-01-01T23:59:59Z", "1 second ago"),
        ("2026-01-01T23:58:30Z", "90 seconds ago"),
        ("2026-01-01T20:00:00.123456789Z", "3 hours ago"),
        ("2026-01-01T02:00:00+02:00", "24 hours ago"),
        ("2025-12-01T00:00:00Z", "4 weeks ago"),
        ("2026-01-02T00:05:00Z", "in 5 minutes"),
        ("2026-01-02T00:00:00Z", "less than a second ago"),
        ("2026-01-01T00:00:00", "2026-01-01T00:00:00"),
        ("yesterday", "yesterday"),
        ("", ""),
    ],
)
def test_a_moment_is_said_by_its_distance(moment: str, text: str) -> None:
    assert _phrases.since(moment, NOW) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2026-01-02T00:05:00Z", "5 minutes from now"),
        ("2026-01-01T00:00:00Z", "now"),
        ("2318-04-11T00:00:00Z", "for ever"),
        ("?", "?"),
    ],
)
def test_it_is_said_until_when_a_model_stays(moment: str, text: str) -> None:
    assert _phrases.until(moment, NOW) == text


@pytest.mark.parametrize(
    ("total", "on_gpu", "text"),
    [
        (100, 0, "100% CPU"),
        (100, 100, "100% GPU"),
        (100, 120, "100% GPU"),
        (100, 75, "25%/75% CPU/GPU"),
        (0, 0, "100% CPU"),
    ],
)
def test_it_is_said_on_what_a_model_runs(total: int, on_gpu: int, text: str) -> None:
    assert _phrases.processor(total, on_gpu) == text


def test_a_terminal_gets_no_control_characters() -> None:
    assert shown("a\x1b[31mred\x07\r\n\tb\x7f\x9b2J") == "a\u241b[31mred\u2407\n\tb\u2421\ufffd2J"
    assert shown("Grüße, 你好 👋") == "Grüße, 你好 👋"


def test_json_is_readable_and_holds_nothing_that_a_terminal_obeys() -> None:
    value = {"text": "Grüße \x1b[31m \x9b2J \ud83d \u2028", "n": 1}
    assert encoded(value) == r'{"text": "Grüße \u001b[31m \u009b2J \ud83d \u2028", "n": 1}'
    assert json.loads(encoded(value)) == value
    assert encoded({"text": "Grüße"}, ascii_alone=True) == r'{"text": "Gr\u00fc\u00dfe"}'


# --- tables ----------------------------------------------------------------------------------------------------------


def test_a_table_in_a_pipe_is_aligned_and_has_a_line_for_each_row() -> None:
    assert aligned(("NAME", "SIZE"), [("a", "1 B"), ("long\nname", "")]) == "NAME       SIZE\na          1 B\nlong name"
    assert aligned(("NAME", "SIZE"), []) == "NAME  SIZE"


@pytest.mark.parametrize(
    ("name", "room", "shows"),
    [
        ("smollm2:latest", 80, 4),
        ("smollm2:latest", 53, 4),
        ("smollm2:latest", 40, 3),
        ("smollm2:latest", 20, 1),
        ("smollm2:latest", 1, 1),
        ("x" * 150, 60, 4),
        ("x" * 150, 200, 4),
    ],
)
def test_the_name_is_what_a_narrow_terminal_shows(name: str, room: int, shows: int) -> None:
    rows = [(name, "0123456789ab", "98 MB", "24 hours ago")]
    assert columns_for(("NAME", "ID", "SIZE", "MODIFIED"), rows, room) == shows


def test_models_become_rows() -> None:
    model: Any = {"name": "m:latest", "digest": "sha256:0123456789abcdef", "size": 98_363_007, "details": DETAILS}
    times: Any = {"modified_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-02T00:05:00Z"}
    run: Any = {"size_vram": 98_363_007, "context_length": 4096}
    assert list_rows([model | times], NOW) == [("m:latest", "0123456789ab", "98 MB", "24 hours ago")]
    assert list_rows([model | times | {"remote_model": "m"}], NOW)[0][2] == "-"
    assert ps_rows([model | times | run], NOW) == [
        ("m:latest", "0123456789ab", "98 MB", "100% GPU", "4096", "5 minutes from now")
    ]
    bare: Any = {"name": "bare"}  # of an odd server
    assert list_rows([bare], NOW) == [("bare", "", "0 B", "")]


def test_a_model_is_described_in_sections() -> None:
    info = {"general.architecture": "llama", "llama.context_length": 8192, "llama.embedding_length": 576}
    answer: Any = {
        "details": DETAILS,
        "model_info": info,
        "capabilities": ["completion"],
        "parameters": 'stop    "x"\ntemperature 0',
        "license": "Apache\n\nVersion 2\nmore",
    }
    model = "  architecture      llama\n  parameters        134.52M\n  context length    8192\n"
    assert described(answer).split("\n\n") == [
        f"Model\n{model}  embedding length  576\n  quantization      Q4_1",
        "Capabilities\n  completion",
        'Parameters\n  stop    "x"\n  temperature 0',
        "License\n  Apache\n  Version 2\n  ...",
    ]
    bare: Any = {"details": {}, "model_info": {}}
    assert described(bare) == ""


# --- options of runs -------------------------------------------------------------------------------------------------


def test_options_have_the_types_that_ollama_wants() -> None:
    pairs = ["temperature=0.5", "seed=-1", "use_mmap=False", "stop=a=b", "stop= c", " top_k =3"]
    assert options_of(pairs) == {"temperature": 0.5, "seed": -1, "use_mmap": False, "stop": ["a=b", " c"], "top_k": 3}
    assert options_of([]) is None


@pytest.mark.parametrize(
    ("pair", "why"),
    [
        ("temperature", "is no KEY=VALUE"),
        ("temprature=1", "did you mean temperature?"),
        ("zzz=1", "there are draft_num_predict, "),
        ("seed=1.5", "seed must be a whole number, not '1.5'"),
        ("temperature=warm", "temperature must be a number, not 'warm'"),
        ("use_mmap=yes", "use_mmap must be true or false, not 'yes'"),
        ("seed=1_000", "seed must be a whole number, not '1_000'"),
        ("temperature=nan", "temperature must be a number, not 'nan'"),
    ],
)
def test_a_wrong_option_is_explained(pair: str, why: str) -> None:
    with pytest.raises(WrongOptionError) as caught:
        options_of([pair])
    assert why in str(caught.value)


# --- what is asked ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "given", "text"),
    [
        ("Why?", None, "Why?"),
        (None, "notes\n", "notes"),
        ("Why?", "a\nb\n\n", "a\nb\n\nWhy?"),
        ("Why?", " \n", "Why?"),
        ("", "", ""),
        (None, None, ""),
    ],
)
def test_a_prompt_follows_what_came_by_a_pipe(prompt: str | None, given: str | None, text: str) -> None:
    assert joined(prompt, given) == text


def test_other_arguments_are_understood(tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object"}')
    assert [format_of(None), format_of("json"), format_of(str(schema))] == [None, "json", {"type": "object"}]
    assert [keep_alive_of(text) for text in (None, "0", "-1", "5m")] == [None, 0.0, -1.0, "5m"]
    assert [think_of(None, None), think_of(False, None), think_of(True, "high")] == [None, False, "high"]
    with pytest.raises(click.UsageError, match="contradict"):
        think_of(False, "low")
    schema.write_text("[1]")
    for wrong in (str(schema), str(tmp_path / "none"), str(Path(__file__))):
        with pytest.raises(click.BadParameter):
            format_of(wrong)


def test_a_host_comes_from_the_command_line_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "10.0.0.5:1")
    assert host_of(None).url == "http://10.0.0.5:1"
    assert host_of("b:2", 3).url == "http://b:2"
    assert host_of("b:2", 3).timeout.first_part == 3
    with pytest.raises(click.BadParameter) as caught:
        host_of("http://a b")
    assert caught.value.param_hint == "'--host'"
    monkeypatch.setenv("OLLAMA_HOST", "http://a b")
    with pytest.raises(click.BadParameter) as caught:
        host_of(None)
    assert caught.value.param_hint == "'OLLAMA_HOST'"


# --- answers ---------------------------------------------------------------------------------------------------------


def ink(*pieces: Piece, asides: bool = True) -> str:
    """Give what is written, with what is dim in angle brackets."""
    return "".join(f"<{one.text}>" if one.dim else one.text for one in laid_out(pieces, asides=asides))


def test_parts_become_pieces() -> None:
    assert piece_of({"response": "a"}) == Piece(text="a")
    assert piece_of({"response": "", "thinking": "t"}) == Piece(thinking="t")
    assert piece_of({"message": {"role": "assistant", "content": "a", "thinking": "t"}}) == Piece("t", "a")
    assert piece_of({"message": {"role": "assistant"}}) == Piece()


def test_tools_become_notes() -> None:
    call = {"function": {"name": "add", "arguments": {"a": 1, "b": "x"}}}
    assert piece_of_event({"message": {"content": "", "tool_calls": [call]}}).note == '-> add(a=1, b="x")'
    assert piece_of_event({"message": {"content": "", "tool_calls": [{}]}}).note == "-> None()"
    message: Any = {"role": "tool", "content": "a\n b"}
    assert piece_of_event(ToolResult(call, message)).note == "<- a b"
    assert len(piece_of_event(ToolResult(call, message | {"content": "x" * 9999})).note) < 600
    answer: Any = {}
    assert piece_of_event(Conversation(answer, (), 0)) == Piece()


def test_an_answer_is_laid_out() -> None:
    thought, text, note = Piece(thinking="Hm."), Piece(text="Yes."), Piece(note="-> add()")
    assert ink(text, text) == "Yes.Yes.\n"
    assert ink(Piece(text="Yes.\n")) == "Yes.\n"
    assert ink(thought, text) == "<Hm.>\n\nYes.\n"
    assert ink(Piece(thinking="Hm.\n"), text) == "<Hm.\n>\nYes.\n"
    assert ink(thought, note, note, text) == "<Hm.>\n<-> add()\n><-> add()\n>Yes.\n"
    assert ink(text, note) == "Yes.\n<-> add()\n>"
    assert ink(thought, note, text, asides=False) == "Yes.\n"
    assert ink() == ""
    assert list(laid_out([Piece()], asides=True)) == []
    assert next(iter(laid_out([thought], asides=True))) == Ink("Hm.", dim=True)


def test_an_answer_is_measured() -> None:
    last = {"eval_count": 3, "eval_duration": 30_000_000, "prompt_eval_count": 9, "load_duration": 10_000_000}
    assert measured(0.5, 2.0, last) == (
        "2.00 s in all, first part after 0.50 s, 9 tokens read, 3 tokens written at 100.0/s, model loaded in 0.01 s"
    )
    assert measured(None, 2.0, {}) == "2.00 s in all"


# --- errors ----------------------------------------------------------------------------------------------------------


def test_an_error_says_which_command_helps() -> None:
    assert said(ModelNotFoundError("no", model="m")).endswith("`ollama-fast pull m` downloads it.")
    assert said(ModelNotFoundError("no")) == "no"
    assert said(ConnectError("no")).endswith("`ollama-fast doctor` looks for the cause.")
    absent = ConnectError("no", url="http://h:1/base/api/tags")
    assert said(absent).endswith("`ollama-fast doctor --host http://h:1/base` looks for the cause.")
    assert said(OllamaError("no")) == "no"
    signed_out = AuthenticationError("no")
    signed_out.signin_url = "https://ollama.com/x"
    assert said(signed_out) == "no\nSign in at https://ollama.com/x"


def test_what_is_said_to_python_is_said_to_a_shell() -> None:
    sources = "".join(path.read_text("utf-8") for path in Path(ollama_fast.__file__).parent.glob("*.py"))
    for theirs, ours in _OF_PYTHON.items():
        assert in_shell(f"a {theirs} b") == f"a {ours} b"
        if not theirs.startswith("(Timeout."):
            assert theirs in sources  # else it is said otherwise by now


def test_an_error_of_the_system_names_its_file() -> None:
    assert said_by_system(FileNotFoundError(2, "No such file", "x.txt")) == "x.txt: No such file"
    assert said_by_system(OSError(28, "No space left on device")) == "No space left on device"
    assert said_by_system(OSError("became shorter")) == "became shorter"
    assert said_by_system(OSError()) == "OSError"


# --- chats -----------------------------------------------------------------------------------------------------------


def typed(*lines: str) -> Callable[[str], str]:
    left = list(lines)

    def ask(prompt: str) -> str:
        assert prompt in (">>> ", "... ")
        if not left:
            raise EOFError
        return left.pop(0)

    return ask


@pytest.mark.parametrize(
    ("lines", "question"),
    [
        (["Why?"], "Why?"),
        (['"""a', "b", 'c"""'], "a\nb\nc"),
        (['"""', "", "b", '""" '], "b"),
        (['"""a"""'], "a"),
        ([' """a', '"b""""'], 'a\n"b"'),
    ],
)
def test_a_question_is_a_line_or_several_between_quotes(lines: list[str], question: str) -> None:
    assert read_question(typed(*lines)) == question


def test_a_question_without_end_is_none() -> None:
    with pytest.raises(EOFError):
        read_question(typed('"""a'))


def test_a_conversation_grows() -> None:
    talk = Talk("m", system="Be brief.", images=("aW1n",))
    question = {"role": "user", "content": "Why?", "images": ["aW1n"]}
    answer = {"role": "assistant", "content": "So."}
    asked = _talk.asked(talk, "Why?")
    assert (asked.messages, asked.images) == ((question,), ())
    assert _talk.to_send(_talk.answered(asked, answer)) == [
        {"role": "system", "content": "Be brief."},
        question,
        answer,
    ]
    assert _talk.interrupted(talk, asked, "So").messages == (question, {"role": "assistant", "content": "So"})
    assert _talk.interrupted(talk, asked, "") == talk


def test_slash_commands_change_the_conversation(tmp_path: Path) -> None:
    image = tmp_path / "i.png"
    image.write_bytes(b"img")
    talk = Talk("m")
    for line in ("/model other", "/system Be brief.", f"/image {image}", "/think high"):
        talk = _slash.act(talk, line).talk
    assert talk == Talk("other", (), "Be brief.", "high", ("aW1n",))
    assert _slash.act(talk, "/model").said == "other"
    assert _slash.act(talk, "/system").talk.system is None
    assert [_slash.act(talk, f"/think {level}").talk.think for level in ("on", "off", "")] == [True, False, None]
    assert _slash.act(_talk.asked(talk, "Why?"), "/clear").talk.messages == ()
    assert [_slash.act(talk, line).over for line in ("/exit", "/bye", "/quit", "/help")] == [True, True, True, False]
    for name in _slash.COMMANDS:
        assert f"/{name}" in _slash.act(talk, "/help").said


def test_a_conversation_is_saved_and_loaded(tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    talk = _talk.answered(_talk.asked(Talk("m", system="Be brief."), "Why?"), {"role": "assistant", "content": "So."})
    assert "saved" in _slash.act(talk, f"/save {file}").said
    turn = _slash.act(Talk("other", think=True), f"/load {file}")
    assert turn.talk == Talk("m", talk.messages, "Be brief.", True)
    assert turn.said == "2 messages with m"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("/nope", "there is no command /nope; /help lists them"),
        ("/", "there is no command /;"),
        ("/image", "/image needs PATH"),
        ("/save", "/save needs PATH"),
        ("/think much", "not 'much'"),
    ],
)
def test_a_wrong_slash_command_is_explained(line: str, why: str) -> None:
    with pytest.raises(_slash.WrongCommandError) as caught:
        _slash.act(Talk("m"), line)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "saved",
    [
        "no json",
        "[]",
        '{"model": "m"}',
        '{"model": 1, "messages": []}',
        '{"model": "m", "messages": [{"role": 1}]}',
        '{"model": "m", "messages": [1]}',
        '{"model": "m", "messages": [{"role": "user", "content": 1}]}',
    ],
)
def test_what_is_no_conversation_is_not_loaded(saved: str, tmp_path: Path) -> None:
    (tmp_path / "talk.json").write_text(saved)
    with pytest.raises(_slash.WrongCommandError, match=r"talk\.json: "):
        _slash.act(Talk("m"), f"/load {tmp_path / 'talk.json'}")


def test_files_of_slash_commands_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(_slash.WrongCommandError, match="is empty"):
        _slash.act(Talk("m"), f"/image {tmp_path / 'empty'}")
    for line in (f"/image {tmp_path / 'none'}", f"/load {tmp_path / 'none'}", f"/save {tmp_path / 'no' / 'file'}"):
        with pytest.raises(FileNotFoundError):
            _slash.act(Talk("m"), line)


# --- completion in bash ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "args", "typed"),
    [
        (["of", "show", "q"], ["show"], "q"),
        (["of", "show"], ["show"], ""),
        (["of", "show", "q", ":"], ["show"], "q:"),
        (["of", "show", "q", ":", "0"], ["show"], "q:0"),
        (["of", "show", "--host", "a", ":", "1", "q"], ["show", "--host", "a:1"], "q"),
        (["of", "show", "--host", "http", ":", "//a", ":", "1", "q"], ["show", "--host", "http://a:1"], "q"),
        (["of", "generate", "m", "Note:", "x"], ["generate", "m", "Note:"], "x"),
        (["of"], [], ""),
    ],
    ids=str,
)
def test_words_that_bash_split_are_joined(words: list[str], args: list[str], typed: str) -> None:
    place = len(words) if typed == "" else len(words) - 1
    assert whole_words(words, place) == (args, typed)


# --- tools from a file -----------------------------------------------------------------------------------------------


def test_the_public_functions_of_a_file_are_tools(tmp_path: Path) -> None:
    (tmp_path / "beside_the_tools.py").write_text("def other(): ...")
    file = tmp_path / "tools.py"
    file.write_text(
        "from beside_the_tools import other\nfrom pathlib import Path\n"
        "def add(a: int, b: int) -> int:\n    '''Add.'''\n    return a + b\ndef _own(): ...\nx = 1\n"
    )
    (add,) = tools_in(file)
    assert (add.__name__, add(1, 2)) == ("add", 3)
    file.write_text("from beside_the_tools import other\ndef add(): ...\n__all__ = ['other']\n")
    assert [tool.__name__ for tool in tools_in(file)] == ["other"]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("x = 1", "defines no function"),
        ("x = 1\ndef f(:", "line 2: SyntaxError"),
        ("x = 1\n\n1 / 0", "line 3: ZeroDivisionError: division by zero"),
        ("import nope_nope", "line 1: ModuleNotFoundError"),
        ("__all__ = ['f']", "f is in __all__, but is no function"),
        ("__all__ = 5", "__all__ is no list of names"),
        ("__all__ = [5]", "__all__ is no list of names"),
        ("async def f(): ...", "f is an `async def`, which this does not await"),
        ("x = 1\nraise SystemExit(0)", "line 2: SystemExit: 0"),
        ("import threading\ndef f(lock: threading.Event): ...", "tools.py: "),
    ],
)
def test_a_file_that_gives_no_tools_is_explained(code: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "tools.py"
    file.write_text(code)
    with pytest.raises(click.ClickException) as caught:
        tools_in(file)
    assert why in str(caught.value)


def test_what_is_no_python_file_gives_no_tools(tmp_path: Path) -> None:
    (tmp_path / "tools.txt").touch()
    with pytest.raises(click.ClickException, match=r"must end with \.py"):
        tools_in(tmp_path / "tools.txt")


# --- texts to embed --------------------------------------------------------------------------------------------------


def test_lines_are_texts() -> None:
    rows = list(rows_of_lines([b"\xef\xbb\xbfa\r\n", b" \n", b"b"], "text"))
    assert rows == [Row(1, 6, {"text": "a"}, "a"), Row(3, 1, {"text": "b"}, "b")]


def test_lines_of_json_keep_their_keys() -> None:
    rows = list(rows_of_jsonl([b'{"t": "a", "id": 1}\n', b"\n", b'{"t": "b"}'], "t"))
    assert rows == [Row(1, 20, {"t": "a", "id": 1}, "a"), Row(3, 10, {"t": "b"}, "b")]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "line 2 is no JSON"),
        (b"[1]", "line 2 is no JSON object"),
        (b'{"x": "a"}', "line 2 has no 't'; it has 'x'"),
        (b"{}", "line 2 has no 't'; it has nothing"),
        (b'{"t": 1}', "line 2 has 't' as no text"),
        (b"\xff", "line 2 is not text in UTF-8"),
    ],
)
def test_a_wrong_line_is_named(line: bytes, why: str) -> None:
    with pytest.raises(WrongLineError) as caught:
        list(rows_of_jsonl([b'{"t": "a"}\n', line], "t"))
    assert why in str(caught.value)
