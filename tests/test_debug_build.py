"""A core built without optimisation warns whoever imports the package; the real one says nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest

from ollama_fast import _core

CORE_FROM_ITS_FILE: Final = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("ollama_fast._core", sys.argv[1])
core = importlib.util.module_from_spec(spec)
spec.loader.exec_module(core)
core.DEBUG = {debug}
sys.modules["ollama_fast._core"] = core
"""
CAUGHT: Final = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import ollama_fast
assert sys.modules["ollama_fast._core"] is core
(warning,) = caught
assert warning.category is RuntimeWarning and "--release" in str(warning.message), warning
"""


def run(text: str, *flags: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, *flags, "-c", text, str(_core.__file__)]
    return subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)


def test_a_debug_build_warns_at_import() -> None:
    done = run(CORE_FROM_ITS_FILE.format(debug=True) + CAUGHT)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_debug_build_cannot_be_overlooked_where_warnings_are_errors() -> None:
    done = run(CORE_FROM_ITS_FILE.format(debug=True) + "import ollama_fast", "-W", "error")
    assert done.returncode == 1
    assert "RuntimeWarning: the core of ollama_fast is a build without optimisation" in done.stderr


@pytest.mark.parametrize("text", ["import ollama_fast", "import ollama_fast.aio; ollama_fast.Transport"])
@pytest.mark.parametrize("first", ["", CORE_FROM_ITS_FILE.format(debug=False)], ids=["imported", "from its file"])
def test_a_release_build_says_nothing(first: str, text: str) -> None:
    done = run(first + text, "-W", "error")
    assert (done.returncode, done.stderr) == (0, "")
