"""What is public, as the reference shows it: modules, the groups of their functions, and their values."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

MODULES: Final = (
    "ollama_fast",
    "ollama_fast.aio",
    "ollama_fast.types",
    "ollama_fast.tools",
    "ollama_fast.errors",
    "ollama_fast.compat",
    "ollama_fast.compat.errors",
    "ollama_fast.testing",
    "ollama_fast.telemetry",
    "ollama_fast.bench",
)

GROUPS_PAGE: Final = Path("docs/functions.md")
"""The page whose table puts the functions into groups."""

_ROW: Final = re.compile(r"^\| ([^|`]+) \| ((?:`\w+` ?)+) \|$", re.MULTILINE)


def names(module: ModuleType) -> list[str]:
    """Give the public names of *module*, of the package's own making, without its submodules."""
    return sorted(name for name in {*getattr(module, "__all__", ()), *dir(module)} if _is_own(module, name))


def functions(module: ModuleType) -> list[str]:
    """Give the names of the public functions of *module*."""
    return [name for name in names(module) if inspect.isroutine(getattr(module, name))]


def values(module: ModuleType) -> list[str]:
    """Give its other public names: classes, aliases of types, tables."""
    return [name for name in names(module) if not inspect.isroutine(getattr(module, name))]


def groups(page: str) -> dict[str, list[str]]:
    """Give the groups of functions that the table of *page* makes."""
    return {title: re.findall(r"\w+", row) for title, row in _ROW.findall(page)}


def ungrouped(page: str) -> set[str]:
    """Give the functions that are in no group of *page*, and what it groups that is none of both colours."""
    grouped = {name for group in groups(page).values() for name in group}
    colours = (set(functions(import_module(name))) for name in ("ollama_fast", "ollama_fast.aio"))
    return set().union(*(grouped ^ found for found in colours))


def _is_own(module: ModuleType, name: str) -> bool:
    found = getattr(module, name)
    if inspect.ismodule(found) or name.startswith("_"):
        return False
    if not hasattr(module, "__all__"):  # one of errors alone
        return inspect.isclass(found) and found.__module__ == module.__name__
    # `compat` has functions, too, that `from ... import *` leaves out, as that of `ollama` does.
    beside = inspect.isroutine(found) and module.__name__ == "ollama_fast.compat"
    return name in module.__all__ or beside
