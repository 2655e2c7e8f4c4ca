"""Modelfiles: read as Ollama's own command reads them, with errors that say where, and made into models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from colours import Colour
from ollama_fast import Modelfile, parse_modelfile
from ollama_fast._modelfile import arguments
from ollama_fast.errors import ModelfileError
from replay import replay
from test_create import Blobs, digest_of

ANSWERS = json.loads((Path(__file__).parent / "modelfiles" / "answers.json").read_text("utf-8"))
"""What Ollama's own parser, of 0.24.0, makes of texts."""


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_it_is_read_as_ollamas_own_command_reads_it(answer: dict[str, Any], tmp_path: Path) -> None:
    if "error" in answer:
        with pytest.raises(ModelfileError):
            parse_modelfile(answer["text"])
        return
    # The command reads a file, and drops a mark of its encoding there.
    found = arguments(parse_modelfile(answer["text"].removeprefix("\ufeff"), folder=tmp_path))
    request = {name: value for name, value in answer["request"].items() if value and name != "model"}
    assert json.loads(json.dumps({name.rstrip("_"): value for name, value in found.items()})) == request


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("FROM x\n\nFORM y\n", 3, "'FORM' is no instruction; there are FROM, "),
        ("FROM x\nSYSTEM\n", 2, "SYSTEM has no value"),
        ("FROM x\nPARAMETER num_ctx\n", 2, "PARAMETER needs a name and a value"),
        ("FROM x\nPARAMETER colour blue\n", 2, "no parameter 'colour'; there are draft_num_predict, "),
        ("FROM x\nPARAMETER num_ctx many\n", 2, "'num_ctx' is a whole number, not 'many'"),
        ("FROM x\nPARAMETER temperature inf\n", 2, "'temperature' is a number, not 'inf'"),
        ("FROM x\nPARAMETER use_mmap yes\n", 2, "'use_mmap' is true or false, not 'yes'"),
        ("FROM x\nMESSAGE tool y\n", 2, "'tool' is no role of a message; there are system, "),
        ("FROM x\nREQUIRES soon\n", 2, "'soon' is no version, such as 0.14.0"),
        ('FROM x\nSYSTEM """\nnever\nends\n', 2, "the quotation that begins here does not end"),
        ("SYSTEM y\n", None, "there is no FROM"),
    ],
)
def test_an_error_says_where_and_what(text: str, line: int | None, says: str, tmp_path: Path, both: Colour) -> None:
    with pytest.raises(ModelfileError) as caught:
        parse_modelfile(text)
    assert caught.value.line == line
    assert says in str(caught.value)
    path = tmp_path / "Modelfile"
    path.write_text(text)
    with pytest.raises(ValueError, match="Modelfile") as caught_of_create:
        both.whole("create", "http://127.0.0.1:1", "mine", modelfile=path)
    assert isinstance(caught_of_create.value, ModelfileError)
    assert str(path) in str(caught_of_create.value)
    assert says in str(caught_of_create.value)
    assert line is None or f"line {line}: " in str(caught_of_create.value)


def test_parameters_that_are_gone_are_left_out_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="line 2: Ollama no longer has the parameter 'mirostat'"):
        assert parse_modelfile("FROM x\nPARAMETER mirostat 1\n").parameters == {}


def test_what_newer_servers_know_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "draft.gguf").touch()
    found = parse_modelfile("FROM x\nDRAFT draft.gguf\nPARAMETER draft_num_predict 4\n", folder=tmp_path)
    assert arguments(found) == {
        "from_": "x",
        "draft_files": {"draft.gguf": tmp_path / "draft.gguf"},
        "parameters": {"draft_num_predict": 4},
    }


def test_a_path_is_one_of_the_modelfiles_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("m.gguf", "a.gguf", "sub/model.safetensors", "sub/config.json", "llama3"):
        (tmp_path / name).touch()
    monkeypatch.setenv("HOME", str(tmp_path))

    def files(source: str) -> Any:
        return arguments(parse_modelfile(f"FROM {source}\n", folder=tmp_path)).get("files")

    assert files("./m.gguf") == files("m.gguf") == files("~/m.gguf") == {"m.gguf": tmp_path / "m.gguf"}
    assert files(str(tmp_path / "m.gguf")) == {"m.gguf": tmp_path / "m.gguf"}
    assert set(files("./sub")) == {"model.safetensors", "config.json"}
    assert files("llama3") == {"llama3": tmp_path / "llama3"}
    assert files("llama3:8b") is None
    both = arguments(parse_modelfile("FROM m.gguf\nFROM a.gguf\nADAPTER a.gguf\n", folder=tmp_path))
    assert set(both["files"]) == {"m.gguf", "a.gguf"}
    assert both["adapters"] == {"a.gguf": tmp_path / "a.gguf"}


@pytest.mark.parametrize("text", ["FROM ./no.gguf", "FROM no.gguf", "FROM ../no", "FROM /no", "FROM x\nADAPTER no"])
def test_a_path_where_nothing_is_is_found_before_any_io(text: str, tmp_path: Path, both: Colour) -> None:
    with replay(respond=Blobs()) as server:
        with pytest.raises(FileNotFoundError):
            both.whole("create", server.url, "mine", modelfile=parse_modelfile(text, folder=tmp_path))
        assert server.requests == []


def test_create_takes_one(every_or_mocked: Colour, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    (tmp_path / "Modelfile").write_text(
        'FROM m.gguf\nSYSTEM "a"\nPARAMETER stop x\nPARAMETER stop y\nMESSAGE user hi\n'
    )
    with replay(respond=Blobs()) as server:
        answer = every_or_mocked.whole(
            "create", server.url, "mine", modelfile=tmp_path / "Modelfile", system="b", quantize="q4_K_M"
        )
        assert answer == {"status": "success"}
        assert server.requests[-1].json == {
            "model": "mine",
            "files": {"m.gguf": digest_of(b"GGUF")},
            "system": "b",
            "parameters": {"stop": ["x", "y"]},
            "messages": [{"role": "user", "content": "hi"}],
            "quantize": "q4_K_M",
            "stream": False,
        }


def test_an_argument_counts_in_place_of_what_it_says(both: Colour, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    given = parse_modelfile("FROM m.gguf\nPARAMETER seed 1\n", folder=tmp_path)
    with replay(respond=Blobs()) as server:
        both.whole("create", server.url, "mine", modelfile=given, from_="other", parameters={"seed": 2})
        assert server.requests[-1].json == {
            "model": "mine",
            "from": "other",
            "parameters": {"seed": 2},
            "stream": False,
        }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_its_encoding_is_seen(encoding: str, both: Colour, tmp_path: Path) -> None:
    (tmp_path / "Modelfile").write_text("FROM x\nSYSTEM é\n", encoding=encoding)
    with replay(respond=Blobs()) as server:
        both.whole("create", server.url, "mine", modelfile=tmp_path / "Modelfile")
        assert server.requests[-1].json["system"] == "é"


def test_text_is_no_path(both: Colour, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"pathlib\.Path, or call parse_modelfile"):
        both.whole("create", "http://127.0.0.1:1", "mine", modelfile="FROM x")
    with pytest.raises(FileNotFoundError):
        both.whole("create", "http://127.0.0.1:1", "mine", modelfile=tmp_path / "Modelfile")


def test_it_is_a_frozen_value() -> None:
    one = parse_modelfile("FROM x\nSYSTEM a\nLICENSE MIT\n")
    assert one == Modelfile(("x",), system="a", license=("MIT",), folder=Path())
    with pytest.raises(AttributeError):
        one.system = "b"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue] - what is tried
