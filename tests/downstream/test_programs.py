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

import sdists
from real.target import Genuine

pytestmark = [pytest.mark.downstream, pytest.mark.timeout(300)]

PROGRAMS: Final = Path(__file__).parent / "programs"
QUESTION: Final = "Why is the sky blue?"


def ask(library: str, real: Genuine, *before: str) -> dict[str, Any]:
    command = [os.environ["DOWNSTREAM_PYTHON"], *before, str(PROGRAMS / f"with_{library}.py"), real.url, real.model]
    ended = subprocess.run(
        [*command, QUESTION], env=sdists.environment(), capture_output=True, text=True, check=False, timeout=200
    )
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return told


@pytest.mark.parametrize("library", ["langchain", "haystack", "llama_index", "opentelemetry"])
def test_a_program_gets_what_it_gets_without_us(library: str, real: Genuine) -> None:
    without = ask(library, real)
    with_us = ask(library, real, "-m", "ollama_fast.compat")
    assert (without.pop("served"), with_us.pop("served")) == ("ollama._client", "ollama_fast.compat._client")
    assert with_us["whole"]
    assert "".join(with_us["parts"]) == with_us["whole"]
    assert len(with_us["parts"]) > 2
    assert with_us.pop("embedding") == pytest.approx(without.pop("embedding"), abs=1e-3)
    assert with_us == without
