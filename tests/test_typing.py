"""Both type checkers find in typing/api.py and typing/rooms.py what they say, no more and no less."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from ollama_fast import aio, bench, telemetry, testing

pytestmark = pytest.mark.unsent

ROOT = Path(__file__).parents[1]
API = (ROOT / "tests" / "typing" / "api.py").read_text("utf-8")
ROOMS = (ROOT / "tests" / "typing" / "rooms.py").read_text("utf-8")

WRONG_STATEMENT = ('["response"], str)', '["response"], bytes)')
"""A statement of typing/api.py, and a wrong one."""

MISTAKE = 'propmt="p")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]'
"""A mistake that typing/api.py expects."""


def mypy(folder: Path) -> list[str]:
    """Give the errors that mypy finds in the folder's api.py."""
    options = [
        "--config-file",
        str(ROOT / "pyproject.toml"),
        "--no-error-summary",
        "--no-pretty",
        "--hide-error-context",
    ]
    said = run("mypy", *options, str(folder / "api.py"))
    return [line for line in said.splitlines() if ": error: " in line]


def basedpyright(folder: Path) -> list[str]:
    """Give the errors that basedpyright finds in the folder's api.py, unless a comment of its own expects them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["basedpyright"]
    own = {
        "include": ["api.py"],
        "extraPaths": [str(ROOT / "python")],
        "enableTypeIgnoreComments": False,  # those are mypy's
        "reportUnnecessaryTypeIgnoreComment": "error",
    }
    config = folder / "pyrightconfig.json"
    config.write_text(json.dumps(settings | own))
    said = run("basedpyright", "--project", str(config), "--pythonpath", sys.executable, "--outputjson")
    found = json.loads(said)
    assert found["summary"]["filesAnalyzed"] == 1
    return [
        f"line {problem['range']['start']['line'] + 1}: {problem['message']} ({problem.get('rule')})"
        for problem in found["generalDiagnostics"]
    ]


def run(checker: str, *options: str) -> str:
    if importlib.util.find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed")
    done = subprocess.run(
        [sys.executable, "-m", checker, *options],
        cwd=ROOT,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return done.stdout


CHECKERS: list[Callable[[Path], list[str]]] = [mypy, basedpyright]


@pytest.fixture(params=CHECKERS, ids=["mypy", "basedpyright"])
def check(request: pytest.FixtureRequest) -> Callable[[Path], list[str]]:
    checker: Callable[[Path], list[str]] = request.param
    return checker


@pytest.mark.parametrize("text", [API, ROOMS], ids=["api", "rooms"])
def test_what_users_may_write_is_right_and_what_they_may_not_is_wrong(
    check: Callable[[Path], list[str]], text: str, tmp_path: Path
) -> None:
    (tmp_path / "api.py").write_text(text)
    assert check(tmp_path) == []


def test_a_wrong_statement_and_a_mistake_that_is_none_are_found(
    check: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    assert API.count(WRONG_STATEMENT[0]) == API.count(MISTAKE) == 1
    text = API.replace(*WRONG_STATEMENT).replace(MISTAKE, MISTAKE.replace("propmt", "prompt"))
    (tmp_path / "api.py").write_text(text)
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line not in API.splitlines()]
    found = [int(re.findall(r"(?:api\.py:|^line )(\d+)", error)[0]) for error in check(tmp_path)]
    assert (len(lines), set(found)) == (2, set(lines))


def test_every_function_is_stated_in_both_colours() -> None:
    surface = inspect.getsource(aio)
    functions = re.findall(r"^(\w+) = ", surface.partition("]\n")[2], re.MULTILINE)
    assert len(functions) > 25
    for name in functions:
        for module in ("ollama_fast", "aio"):
            assert re.search(rf"(assert_type\(|^    )(await )?{module}\.{name}\(", API, re.MULTILINE), (module, name)


@pytest.mark.parametrize("module", [testing, telemetry, bench], ids=lambda module: module.__name__)
def test_every_name_of_the_other_rooms_is_stated(module: ModuleType) -> None:
    stated = ROOMS.partition("# ---")[2]  # an import alone states nothing
    assert [name for name in module.__all__ if re.search(rf"\b{name}\b", stated) is None] == []
