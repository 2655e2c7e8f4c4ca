"""
A pytest plugin: tests that import `ollama` get this package.

It fails the run unless all of them did: a file of the genuine package that runs, from wherever, is noticed. With
DROPIN_GENUINE in the environment it leaves the genuine package in place, and only holds the tests to what is expected.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import sys
from pathlib import Path
from types import CodeType
from typing import Any, Final

import pytest

GENUINE: Final = bool(os.environ.get("DROPIN_GENUINE"))
COLLECTED: Final = os.environ.get("DROPIN_COLLECTED")
"""A file for the names of the tests: it is written with the genuine package, and read with ours."""
FAILING: Final[dict[str, str]] = json.loads(os.environ.get("DROPIN_FAILING", "{}"))
"""Tests that fail with the genuine package, and must fail with ours, each with the reason."""

_PLACE: Final = str(importlib.metadata.distribution("ollama").locate_file("ollama"))
_ran: Final[set[str]] = set()
"""Files of the genuine package that ran."""


def _notice(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "exec" and isinstance(code := arguments[0], CodeType) and code.co_filename.startswith(_PLACE + os.sep):
        _ran.add(code.co_filename)


if any(name == "ollama" or name.startswith("ollama.") for name in sys.modules):
    raise pytest.UsageError("ollama was imported before it could be replaced")
sys.addaudithook(_notice)
if not GENUINE:
    from ollama_fast.compat import install

    install()


@pytest.hookimpl(tryfirst=True)  # before any are deselected
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    names = {item.nodeid for item in items}
    if unknown := FAILING.keys() - names:
        raise pytest.UsageError(f"there are no tests of these names: {sorted(unknown)}")
    if COLLECTED:
        file = Path(COLLECTED)
        if GENUINE:
            file.write_text(json.dumps(sorted(names)), encoding="utf-8")
        elif different := names ^ set(json.loads(file.read_text(encoding="utf-8"))):
            raise pytest.UsageError(f"not with both packages there are the tests {sorted(different)}")
    for item in items:
        if reason := FAILING.get(item.nodeid):
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    import ollama

    served = ollama.Client.__module__
    terminalreporter.write_line(f"served: {served}; files of the genuine package that ran: {len(_ran)}")
    for wrong in _wrong():
        terminalreporter.write_line(f"failed: {wrong}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _wrong() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _wrong() -> list[str]:
    if GENUINE:
        return [] if _ran else ["the genuine package did not run"]
    modules = [importlib.import_module(name) for name in ("ollama", "ollama._client", "ollama._types", "ollama._utils")]
    strange = [module.__name__ for module in modules if not module.__name__.startswith("ollama_fast.compat")]
    return [*(f"{file} ran" for file in sorted(_ran)), *(f"{name} is not ours" for name in strange)]
