"""Modelfiles: read as Ollama's own command reads them, with errors that say where, and made into models."""

from __future__ import annotations

import json
import pickle
import time
import warnings
from copy import deepcopy
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


def test_parameters_that_are_gone_are_left_out_with_a_warning_where_it_was_asked_for(
    tmp_path: Path, both: Colour
) -> None:
    text = "FROM x\nPARAMETER mirostat 1\n"
    says = "line 2: Ollama no longer has the parameter 'mirostat'; left out"
    with pytest.warns(UserWarning, match=says) as warned:
        found = parse_modelfile(text)
    assert (found.parameters, found.dropped) == ({}, (says,))
    assert [one.filename for one in warned] == [__file__]
    path = tmp_path / "Modelfile"
    path.write_text(text)
    with replay(respond=Blobs()) as server:
        with pytest.warns(UserWarning, match=rf"Modelfile', {says}") as warned:
            both.whole("create", server.url, "mine", modelfile=path)
        assert not [one.filename for one in warned if "ollama_fast" in Path(one.filename).parts]
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # who has the value was told
            both.whole("create", server.url, "mine", modelfile=found)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("temperature 1e999", "line 2: the parameter 'temperature' is a number of 32 bits, not '1e999'"),
        ("num_ctx 99999999999999999999", "line 2: the parameter 'num_ctx' is a whole number of 64 bits, not '9999"),
        (f"num_ctx {'9' * 5000}", "line 2: the parameter 'num_ctx' is a whole number of 64 bits, not '9999"),
    ],
    ids=["infinite", "large", "digits"],
)
def test_a_number_that_no_server_has_is_refused_with_its_line(text: str, says: str) -> None:
    with pytest.raises(ModelfileError) as caught:
        parse_modelfile(f"FROM x\nPARAMETER {text}\n")
    assert str(caught.value).startswith(says)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("text", [b"FROM x", None, Path("Modelfile")], ids=lambda text: type(text).__name__)
def test_what_is_no_text_is_a_type_error(text: Any) -> None:
    with pytest.raises(TypeError, match="the text of a Modelfile is a str, not "):
        parse_modelfile(text)


def test_long_texts_are_read_in_time() -> None:
    messages = "".join(f"MESSAGE user {number}\n" for number in range(100_000))
    licence = "a line of a licence\n" * 200_000
    began = time.process_time()
    found = parse_modelfile(f'FROM x\n{messages}LICENSE """{licence}"""\n')
    assert time.process_time() - began < 30  # it was several minutes when each line was looked for from the beginning
    assert (len(found.messages), found.license) == (100_000, (licence,))


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


def test_a_name_that_is_too_long_for_a_file_is_that_of_a_model() -> None:
    name = f"hf.co/{'x' * 300}/y"
    assert arguments(parse_modelfile(f"FROM {name}\n")) == {"from_": name}


@pytest.mark.parametrize(
    "text",
    ["FROM ~nobody-of-this-name/x", "FROM ./no.gguf", "FROM no.gguf", "FROM ../no", "FROM /no", "FROM x\nADAPTER no"],
)
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
    one = parse_modelfile("FROM x\nSYSTEM a\nLICENSE MIT\nPARAMETER stop b\nMESSAGE user hi\n")
    same = Modelfile(
        ("x",), system="a", license=("MIT",), parameters={"stop": ("b",)}, messages=({"role": "user", "content": "hi"},)
    )
    assert one == same
    assert hash(one) == hash(same)
    assert pickle.loads(pickle.dumps(one)) == deepcopy(one) == one
    change: Any = one
    with pytest.raises(AttributeError):
        change.system = "b"
    for mapping in (change.parameters, *change.messages):
        with pytest.raises(TypeError):
            mapping["temperature"] = 7
    with pytest.raises(AttributeError):
        change.parameters["stop"].append("c")
    given = {"seed": 1}
    kept = Modelfile(("x",), parameters=given)
    given["seed"] = 2
    assert kept.parameters == {"seed": 1}
