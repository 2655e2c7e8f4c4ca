"""The page of the command line is true: its blocks run, what is shown under them is printed, its tables are whole."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from docs_server import docs_server
from ollama_fast.cli import _slash
from ollama_fast.cli._group import COMMANDS

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"

pytestmark = [
    pytest.mark.skipif(not PAGE.is_file(), reason="the suite runs with a wheel, without the docs"),
    pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash"),
]

GENEROUS = 120
FILES = {
    "notes.txt": "The sky is blue.\nGrass is green.\n",
    "texts.jsonl": '{"id": 1, "body": "The sky is blue."}\n',
    "schema.json": '{"type": "object", "properties": {"name": {"type": "string"}}}',
    "tools.py": 'def add(a: int, b: int) -> int:\n    "Add two numbers."\n    return a + b\n',
    "Modelfile": "FROM smollm2\nPARAMETER temperature 0\n",
    "model.gguf": "GGUF" + "\0" * 1000,
    "cat.png": "\x89PNG\r\n\x1a\n" + "\0" * 16,
}
"""What the page takes for granted."""


@dataclass(frozen=True)
class Block:
    """Commands of the page, and what is shown under them; None if nothing is."""

    line: int
    commands: str
    shown: str | None

    def __str__(self) -> str:
        return f"line {self.line}"


def blocks(text: str) -> list[Block]:
    found = re.finditer(r"^```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", text, re.MULTILINE | re.DOTALL)
    return [Block(text.count("\n", 0, one.start()) + 1, one[1], one[2]) for one in found]


def ran(commands: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run *commands* in a folder with the files of the page, and with a server of its own."""
    for name, content in FILES.items():
        (folder / name).write_bytes(content.encode("latin-1"))
    programs = folder / "programs"
    programs.mkdir()
    program = programs / "ollama-fast"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ollama_fast "$@"\n')
    program.chmod(0o755)
    with docs_server() as port:
        here = f"127.0.0.1:{port}"
        # A reader's server is at localhost:11434; this one is wherever there was room.
        commands = re.sub(r"\blocalhost(:11434)?\b", here, commands)
        environ = {**os.environ, "OLLAMA_HOST": here, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        return subprocess.run(
            ["bash", "-eu", "-c", commands],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environ,
            timeout=GENEROUS,
            check=False,
        )


BLOCKS = (
    [block for block in blocks(PAGE.read_text("utf-8")) if "pip install" not in block.commands]
    if PAGE.is_file()
    else []
)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_of_the_page_runs(block: Block, tmp_path: Path) -> None:
    ended = ran(block.commands, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    if block.shown is not None:
        assert ended.stdout == block.shown


def test_all_blocks_are_found_and_a_wrong_one_is_caught(tmp_path: Path) -> None:
    assert len(BLOCKS) == PAGE.read_text("utf-8").count("```sh\n") - 1
    assert ran("ollama-fast generate nope Hi", tmp_path).returncode == 1


def test_every_command_is_on_the_page() -> None:
    text = PAGE.read_text("utf-8")
    assert [name for name in COMMANDS if f"ollama-fast {name}" not in text and f"`{name}`" not in text] == []
    with_json = text.partition("| Command | With `--json` |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", with_json)) >= set(COMMANDS) - {"completion"}
    described = re.findall(r"`/(\w+)", text.partition("| Command | Does |")[2].partition("\n\n")[0])
    assert described == list(_slash.COMMANDS)
