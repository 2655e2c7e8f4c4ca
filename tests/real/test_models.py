"""Models and files against a genuine server: progress, Modelfiles, loading, contexts."""

from __future__ import annotations

import os
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from colours import Colour
from ollama_fast import check_context, parse_modelfile, progress
from ollama_fast.errors import ModelNotFoundError, ResponseError
from real import genuine
from real.target import Genuine

pytestmark = pytest.mark.real

SUCCESS = {"status": "success"}
MODELFILE = '''\
# As people write them.
FROM ./model.gguf
TEMPLATE """{{ if .System }}<|im_start|>system
{{ .System }}<|im_end|>
{{ end }}<|im_start|>user
{{ .Prompt }}<|im_end|>
<|im_start|>assistant
"""
SYSTEM """
You are "terse".

Very.
"""
PARAMETER temperature 0.7
PARAMETER num_ctx 512
PARAMETER use_mmap true
PARAMETER stop <|im_end|>
PARAMETER stop "two words"
LICENSE """
MIT
License"""
LICENSE Apache-2.0
MESSAGE user Hello: there
message assistant "Hi"
REQUIRES 0.14.0
'''


# --- progress --------------------------------------------------------------------------------------------------------


def test_a_model_that_is_there_is_not_pulled_and_one_that_is_not_is(both: Colour, real: Genuine) -> None:
    real.need("registry")
    assert real.registry is not None
    assert both.whole("ensure_model", real.url, real.model) == SUCCESS
    name = real.registry.model(f"ensured-{both}")
    both.whole("copy", real.url, real.model, name)
    pushed = list(progress(both.parts("push_stream", real.url, name, insecure=True).parts))
    both.whole("delete", real.url, name)
    seen = both.parts("ensure_model_stream", real.url, name, insecure=True)
    assert seen.error is None
    pulled = list(progress(seen.parts))
    for all_of_it in (pushed, pulled):
        fractions = [now.fraction for now in all_of_it]
        assert fractions == sorted(fractions)
        assert all_of_it[-1].done
        assert all_of_it[-1].completed == all_of_it[-1].total > 90_000_000
    assert both.parts("ensure_model_stream", real.url, name, insecure=True).parts == [SUCCESS]
    both.whole("delete", real.url, name)
    nowhere = real.registry.model("nowhere")
    assert isinstance(both.attempt("ensure_model", real.url, nowhere, insecure=True).error, ResponseError)


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_modelfile_makes_the_model_that_ollamas_own_command_makes(
    both: Colour, real: Genuine, tmp_path: Path
) -> None:
    real.need("gguf")
    assert real.gguf is not None
    (tmp_path / "model.gguf").symlink_to(real.gguf)
    path = tmp_path / "Modelfile"
    path.write_text(MODELFILE)
    command: list[str | Path] = [genuine.build().server, "create", f"theirs-{both}", "-f", path]
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OLLAMA_HOST": real.url}
    subprocess.run(command, env=environ, check=True, capture_output=True, timeout=300)
    assert both.whole("create", real.url, f"ours-{both}", modelfile=path) == SUCCESS
    theirs, ours = (both.whole("show", real.url, f"{whose}-{both}") for whose in ("theirs", "ours"))
    assert comparable(ours) == comparable(theirs)
    assert ours["system"].strip().startswith('You are "terse".')
    assert [message["content"] for message in ours["messages"]] == ["Hello: there", "Hi"]
    for whose in ("theirs", "ours"):
        both.whole("delete", real.url, f"{whose}-{both}")


def comparable(shown: dict[str, Any]) -> dict[str, Any]:
    """Give what does not differ by time or chance: parameters come in any order."""
    shown = {name: value for name, value in shown.items() if name != "modified_at"}
    lines = [line for line in shown["modelfile"].splitlines() if not line.startswith(("# FROM", "# To build"))]
    return shown | {"modelfile": sorted(lines), "parameters": sorted(shown["parameters"].splitlines())}


def test_a_wrong_digest_is_the_servers_error(both: Colour, real: Genuine, tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF" + str(both).encode())
    seen = both.attempt("create_blob", real.url, file, digest="sha256:" + "1" * 64)
    assert isinstance(seen.error, ResponseError)
    assert seen.error.status == 400
    assert "digest mismatch" in str(seen.error)


# --- memory ----------------------------------------------------------------------------------------------------------


def running(both: Colour, real: Genuine) -> list[str]:
    return [model["model"] for model in both.whole("ps", real.url)["models"]]


def wait_until_gone(both: Colour, real: Genuine, name: str) -> None:
    until = time.monotonic() + 60
    while f"{name}:latest" in running(both, real):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_model_is_loaded_with_its_context_and_unloaded(both: Colour, real: Genuine) -> None:
    real.need("gguf")
    both.whole("wait_ready", real.url)
    both.whole("load", real.url, real.model, keep_alive="5m", options={"num_ctx": 512})
    assert both.whole("context_of", real.url, real.model) == 512
    both.whole("unload", real.url, real.model)
    wait_until_gone(both, real, real.model)
    assert both.whole("context_of", real.url, real.model) is None
    both.whole("load", real.url, real.model)
    assert f"{real.model}:latest" in both.whole("unload_all", real.url)
    wait_until_gone(both, real, real.model)
    for function in ("load", "unload"):
        assert isinstance(both.attempt(function, real.url, "no-such-model").error, ModelNotFoundError)


def test_a_model_that_only_makes_embeddings_is_loaded_too(both: Colour, real: Genuine, tmp_path: Path) -> None:
    real.need("gguf")
    assert real.gguf is not None
    name = f"embedding-{both}"
    file = tmp_path / "embedding.gguf"
    file.write_bytes(pooled(real.gguf.read_bytes()))
    both.whole("create", real.url, name, files=file)
    assert both.whole("show", real.url, name)["capabilities"] == ["embedding"]
    with pytest.raises(ResponseError, match="does not support generate"):
        both.whole("generate", real.url, name)
    both.whole("load", real.url, name)
    assert f"{name}:latest" in running(both, real)
    both.whole("unload", real.url, name)
    wait_until_gone(both, real, name)
    both.whole("delete", real.url, name)


def pooled(gguf: bytes) -> bytes:
    """Give a model of text the mark of one of embeddings: a key more, and one that fills up to the alignment."""
    magic, version, tensors, keys = struct.unpack("<4sIQQ", gguf[:24])
    assert (magic, version) == (b"GGUF", 3)
    key = b"llama.pooling_type"
    mark = struct.pack("<Q", len(key)) + key + struct.pack("<II", 4, 1)
    filler = struct.pack("<Q", 6) + b"filler" + struct.pack("<I", 8)
    blanks = -(len(mark) + len(filler) + 8) % 32
    added = mark + filler + struct.pack("<Q", blanks) + b" " * blanks
    return struct.pack("<4sIQQ", magic, version, tensors, keys + 2) + added + gguf[24:]


# --- contexts --------------------------------------------------------------------------------------------------------

LONG = " ".join(f"word{number}" for number in range(400))
STORY = "Write a very long story about a cat and count to one thousand."


@pytest.mark.parametrize(
    ("prompt", "options", "more", "expected"),
    [
        ("Hi", {"num_predict": 4}, {}, (False, False, False)),
        (LONG, {"num_predict": 4}, {}, (True, False, True)),
        (LONG, {"num_predict": 600}, {"shift": False}, (True, True, False)),
        (STORY, {"num_predict": 600, "stop": ["no such word"]}, {}, (False, False, True)),
        (STORY, {"num_predict": 600, "stop": ["no such word"]}, {"shift": False}, (False, True, False)),
    ],
)
def test_an_answer_tells_what_its_context_had_no_room_for(
    real: Genuine, prompt: str, options: dict[str, Any], more: dict[str, Any], expected: tuple[bool, bool, bool]
) -> None:
    real.need("gguf")
    both = Colour(asynchronous=False)
    fixed = {"num_ctx": 256, "temperature": 0, "seed": 1}
    for _ in ("fresh", "cached"):
        answer = both.whole("generate", real.url, real.model, prompt, options=fixed | options, **more)
        use = check_context(answer, both.whole("context_of", real.url, real.model))
        assert use.num_ctx == 256
        assert (use.prompt_cut, use.answer_cut, use.shifted) == expected


def test_a_prompt_that_may_not_be_cut_is_an_error(both: Colour, real: Genuine) -> None:
    real.need("gguf")
    seen = both.attempt("generate", real.url, real.model, LONG, truncate=False, options={"num_ctx": 256})
    assert isinstance(seen.error, ResponseError)
    assert seen.error.status == 400
    assert "exceeds the context length" in str(seen.error)


def test_a_text_is_as_good_as_a_file(both: Colour, real: Genuine) -> None:
    text = f"FROM {real.model}\nSYSTEM You are terse.\n"
    assert both.whole("create", real.url, f"terse-{both}", modelfile=parse_modelfile(text)) == SUCCESS
    assert both.whole("show", real.url, f"terse-{both}")["system"] == "You are terse."
    both.whole("delete", real.url, f"terse-{both}")
