"""Files on their way to the server: which of a folder make up a model, and what is sent of them."""

from __future__ import annotations

import hashlib
import os
from functools import partial
from pathlib import Path

import pytest

from ollama_fast import _upload
from ollama_fast._procedures import create, create_blob
from ollama_fast._steps import Run, Tell
from ollama_fast.errors import StreamClosedError

DIGEST = "sha256:" + "0" * 64


def test_a_file_is_sent_in_pieces_and_never_more_of_it_than_was_announced(tmp_path: Path) -> None:
    file = tmp_path / "growing"
    file.write_bytes(b"x" * 2_500_000)
    upload = _upload.Upload.of(file)
    file.write_bytes(b"x" * 3_000_000)
    assert [len(piece) for piece in upload] == [1 << 20, 1 << 20, 2_500_000 - (2 << 20)]
    empty = tmp_path / "empty"
    empty.touch()
    assert list(_upload.Upload.of(empty)) == []


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_regular_file_is_refused_before_it_is_opened(kind: str, tmp_path: Path) -> None:
    path = {"pipe": tmp_path / "pipe", "device": Path(os.devnull), "folder": tmp_path}[kind]
    if kind == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("there are no named pipes on this system")
        os.mkfifo(path)
    says = "[Dd]irectory" if kind == "folder" else "no regular file"
    for call in (partial(_upload.Upload.of, path), partial(next, create_blob(path)), partial(_upload.digest, path)):
        with pytest.raises(OSError, match=says) as caught:
            call()
        assert caught.value.filename == str(path)
    with pytest.raises(OSError, match=says):
        list(create("m", files={"x": path}))


@pytest.mark.parametrize(("before", "after"), [(3, 2), (3, 4), (0, 1), (2 << 20, 1 << 20), (1 << 20, 2 << 20)])
def test_a_file_that_changed_its_length_has_no_digest(before: int, after: int, tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"x" * before)
    upload = _upload.Upload.of(file)
    assert _upload.Digest(upload)() == f"sha256:{hashlib.sha256(b'x' * before).hexdigest()}"
    file.write_bytes(b"x" * after)
    with pytest.raises(OSError, match=rf"not of {before} bytes any more: it changed while it was read"):
        _upload.Digest(upload)()


def test_steps_that_are_left_hold_their_threads_back(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"x" * 10)
    steps = create_blob(file)
    effect = next(steps)
    assert isinstance(effect, Run)
    steps.close()  # as a driver does that was interrupted, while a thread does the job
    with pytest.raises(StreamClosedError):
        effect.jobs[0]()


# --- which files of a folder make up a model -------------------------------------------------------------------------

FOLDERS = [
    (["model.gguf"], ["model.gguf"]),
    (["a.gguf", "b.gguf", "config.json", "README.md"], ["a.gguf", "b.gguf"]),
    (
        ["model.safetensors", "config.json", "tokenizer.json", "tokenizer.model", "chat_template.jinja"],
        ["model.safetensors", "config.json", "tokenizer.json", "tokenizer.model", "chat_template.jinja"],
    ),
    (
        ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.gguf", ".git/x", "README.md"],
        ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
    ),
    (
        ["model.safetensors", "vision/model.safetensors", "vision/config.json", "a/b/model.safetensors", "a/b/c.json"],
        ["model.safetensors", "vision/model.safetensors", "vision/config.json"],
    ),
    (["part/model-1.safetensors", "config.json"], ["part/model-1.safetensors", "config.json"]),
    (["consolidated.00.safetensors", "params.json"], ["consolidated.00.safetensors", "params.json"]),
    (["model.safetensors", "consolidated.safetensors"], ["model.safetensors"]),
    (["adapter_model.safetensors", "adapter_config.json"], ["adapter_model.safetensors", "adapter_config.json"]),
    (["adapters.safetensors", "config.json"], ["adapters.safetensors", "config.json"]),
]


def make(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


@pytest.mark.parametrize(("names", "expected"), FOLDERS, ids=lambda names: names[0])
def test_a_folder_stands_for_the_files_of_its_model(tmp_path: Path, names: list[str], expected: list[str]) -> None:
    make(tmp_path, names)
    assert _upload.named(tmp_path) == {name: tmp_path / name for name in expected}


@pytest.mark.parametrize("names", [[], ["README.md"], ["config.json"], ["deep/er/model.safetensors"]])
def test_a_folder_without_a_model_is_a_value_error_that_names_it(tmp_path: Path, names: list[str]) -> None:
    make(tmp_path, names)
    for call in (partial(_upload.named, tmp_path), partial(create, "m", files=tmp_path)):
        with pytest.raises(ValueError, match=tmp_path.name):
            call()


def test_names_are_those_that_were_given(tmp_path: Path) -> None:
    make(tmp_path, ["a"])
    assert _upload.named({"x/y.gguf": tmp_path / "a", "z": DIGEST}) == {"x/y.gguf": tmp_path / "a", "z": DIGEST}
    assert _upload.named(None) == {}


@pytest.mark.parametrize(
    ("name", "content", "refused"),
    [("x.bin", b"\x7fELF", True), ("x", b"", True), ("x", b"GGUF\3", False), ("x", b"FUGG\3", False)],
)
def test_a_file_of_no_kind_of_model_is_refused_before_it_is_sent(
    name: str, content: bytes, refused: bool, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    steps = create("m", files=file)
    if refused:
        with pytest.raises(ValueError, match=f"no GGUF or safetensors file, which a model is made of: '{name}'"):
            next(steps)
    else:
        assert isinstance(next(steps), Tell)
        steps.close()
    assert isinstance(next(create("m", files={name: file, "other": DIGEST})), Tell)  # the server may know what that is
