"""`ollama-fast` against a genuine server: pull with a bar, chat in turns, generate from a pipe, embed a file."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ollama_fast
from real.target import Genuine
from terminal import plain, terminal
from transports import eventually

pytestmark = pytest.mark.real

FEW = ("--option", "num_predict=8", "--option", "temperature=0")


def run(real: Genuine, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ollama_fast", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, "OLLAMA_HOST": real.url},
        timeout=600,
        check=False,
    )


def test_a_model_is_pushed_and_pulled_with_a_bar(real: Genuine) -> None:
    real.need("registry")
    assert real.registry is not None
    name = real.registry.model("smollm2-by-cli")
    assert run(real, "copy", real.model, name).returncode == 0
    refused = run(real, "push", name)
    assert (refused.returncode, refused.stderr.splitlines()[-1]) == (1, "--insecure allows a registry without TLS.")
    assert run(real, "push", name, "--insecure").returncode == 0
    assert run(real, "delete", name).returncode == 0
    assert name not in run(real, "list").stdout
    with terminal("pull", name, "--insecure", environ={"OLLAMA_HOST": real.url}) as screen:
        assert screen.end() == 0
    assert "━" in screen.shown
    assert "100%" in plain(screen.shown)
    assert "success" in plain(screen.shown)
    assert name in run(real, "list").stdout
    assert run(real, "pull", name, "--missing", "--json").stdout == '{"status": "success"}\n'
    assert run(real, "delete", name, "--json").stdout == f'{{"deleted": "{name}"}}\n'
    missing = run(real, "pull", real.registry.model("no-such-model"), "--insecure")
    assert missing.returncode == 1
    assert missing.stderr.splitlines()[-2].startswith("Error: ")
    assert missing.stderr.splitlines()[-1] == "The registry has no such model: is its name right?"


def test_generate_takes_a_pipe_and_gives_parts(real: Genuine) -> None:
    said = run(real, "generate", real.model, "Summarise this.", *FEW, "--stats", stdin="The sky is blue.\n")
    assert (said.returncode, bool(said.stdout.strip())) == (0, True)
    assert "tokens written at" in said.stderr
    parts = [json.loads(line) for line in run(real, "generate", real.model, "Hi", *FEW, "--json").stdout.splitlines()]
    assert (len(parts) > 1, parts[-1]["done"]) == (True, True)


def test_a_schema_is_followed(real: Genuine, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    format = ("--format", str(tmp_path / "schema.json"))
    said = run(real, "generate", real.model, "How old is Ann?", *format, "--option", "num_predict=64")
    assert said.returncode == 0, said.stderr
    assert isinstance(json.loads(said.stdout)["age"], int)


def test_a_chat_remembers_its_turns(real: Genuine, tmp_path: Path) -> None:
    with terminal("chat", real.model, *FEW, environ={"OLLAMA_HOST": real.url}) as screen:
        screen.until("Ctrl-D ends")
        screen.until(">>> ")
        for typed in ("My name is Ann.\n", "Who am I?\n", f"/save {tmp_path}/talk.json\n"):
            screen.type(typed)
            screen.until(typed[:-1])
            screen.until(">>> ")
        screen.type("\x04")
        assert screen.end() == 0
    messages = json.loads((tmp_path / "talk.json").read_text())["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2
    assert all(message["content"] for message in messages)


def test_a_file_becomes_parquet(real: Genuine, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="it is about the extra `parquet`")
    (tmp_path / "in.txt").write_text("The sky is blue.\nGrass is green.\n" * 5)
    output = tmp_path / "out.parquet"
    ended = run(real, "embed", real.model, str(tmp_path / "in.txt"), "-o", str(output), "--batch-size", "3", "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    rows = pq.read_table(output).to_pylist()
    assert (told["texts"], len(rows), told["dimensions"]) == (10, 10, len(rows[0]["embedding"]))
    whole = ollama_fast.embed(real.url, real.model, rows[0]["text"])["embeddings"][0]
    assert math.isclose(sum(a * b for a, b in zip(whole, rows[0]["embedding"], strict=True)), 1.0, abs_tol=0.01)


def test_models_are_made_shown_loaded_and_unloaded(real: Genuine, tmp_path: Path) -> None:
    (tmp_path / "Modelfile").write_text(f"FROM {real.model}\nPARAMETER temperature 0.25\nSYSTEM Be brief.\n")
    assert run(real, "create", "by-cli", "--modelfile", str(tmp_path / "Modelfile")).returncode == 0
    shown = run(real, "show", "by-cli").stdout
    assert "temperature" in shown
    assert "Be brief." in shown
    assert run(real, "unload", real.model).returncode == 0  # else its runner, which has the same file, serves both
    eventually(lambda: f"{real.model}:latest" not in run(real, "ps").stdout, 60)
    assert run(real, "load", "by-cli", "--keep-alive", "-1").stdout == "loaded by-cli\n"
    running = [line for line in run(real, "ps").stdout.splitlines() if line.startswith("by-cli:latest ")]
    assert len(running) == 1
    assert "for ever" in running[0]
    assert run(real, "unload", "by-cli").stdout == "unloaded by-cli\n"
    assert run(real, "delete", "by-cli").returncode == 0
    assert run(real, "show", "by-cli").returncode == 1


def test_the_doctor_is_content(real: Genuine) -> None:
    ended = run(real, "doctor", "--json")
    assert (ended.returncode, json.loads(ended.stdout)["ok"]) == (0, True)
