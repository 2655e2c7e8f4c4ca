"""
Programs that use libraries on the package `ollama`, unchanged, through `python -m ollama_fast.compat`.

`make test-downstream-real` makes an environment with the libraries for them, and a genuine server.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

import ollama_fast
import sdists
from real.target import Genuine

pytestmark = [pytest.mark.downstream, pytest.mark.timeout(300)]

PROGRAMS: Final = Path(__file__).parent / "programs"
QUESTION: Final = "Why is the sky blue?"
OPTIONS: Final = {"temperature": 0, "num_predict": 8}


def ask(library: str, real: Genuine, *before: str) -> Any:
    command = [os.environ["DOWNSTREAM_PYTHON"], *before, str(PROGRAMS / f"with_{library}.py"), real.url, real.model]
    ended = subprocess.run(
        [*command, QUESTION], env=sdists.environment(), capture_output=True, text=True, check=False, timeout=200
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.parametrize("library", ["langchain", "haystack", "llama_index", "opentelemetry"])
def test_a_library_gets_what_the_functions_get(library: str, real: Genuine) -> None:
    messages: list[ollama_fast.types.Message] = [{"role": "user", "content": QUESTION}]
    expected = ollama_fast.chat(real.url, real.model, messages, options=OPTIONS)["message"]["content"]
    vector = ollama_fast.embed(real.url, real.model, QUESTION)["embeddings"][0]

    told = ask(library, real, "-m", "ollama_fast.compat")

    assert told["served"] == "ollama_fast.compat._client"
    assert told["whole"] == expected
    assert "".join(told["parts"]) == expected
    assert len([part for part in told["parts"] if part]) > 1
    assert told["embedding"] == pytest.approx(vector, abs=1e-3)
    if library == "opentelemetry":
        assert told["spans"] == [["ollama.chat", 8], ["ollama.chat", 8], ["ollama.embeddings", None]]


def test_a_program_is_served_by_the_genuine_package_without_us(real: Genuine) -> None:
    assert ask("langchain", real)["served"] == "ollama._client"
