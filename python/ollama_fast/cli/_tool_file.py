"""The functions of a Python file, as tools."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.util import module_from_spec, spec_from_file_location
from inspect import iscoroutinefunction, isfunction
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any, Final

import click

import ollama_fast

from ._signals import TerminatedError

_NAME: Final = "ollama_fast_tools"


def tools_in(path: Path) -> list[Callable[..., Any]]:
    """
    Give the functions of a file that a model may call: those in `__all__`, or else the public ones that it defines.

    Raises click.ClickException if the file fails, defines none, or one that cannot be told to a model.
    """
    module = _run(path)
    names: Any = getattr(module, "__all__", None)
    if names is None:
        names = [name for name, value in vars(module).items() if not name.startswith("_") and _is_own(value, module)]
    elif not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise click.ClickException(f"{path}: __all__ is no list of names")
    missing = [name for name in names if not callable(getattr(module, name, None))]
    if missing:
        raise click.ClickException(f"{path}: {missing[0]} is in __all__, but is no function")
    if not names:
        raise click.ClickException(f"{path} defines no function that a model could call")
    tools = [getattr(module, name) for name in names]
    for tool in tools:
        if iscoroutinefunction(tool):
            raise click.ClickException(
                f"{path}: {tool.__name__} is an `async def`, which this does not await: use `def`"
            )
        try:
            ollama_fast.tool(tool)
        except ollama_fast.errors.ToolSchemaError as exc:
            raise click.ClickException(f"{path}: {exc}") from exc
    return tools


def _is_own(value: object, module: ModuleType) -> bool:
    return isfunction(value) and value.__module__ == module.__name__


def _run(path: Path) -> ModuleType:
    spec = spec_from_file_location(_NAME, path)
    if spec is None or spec.loader is None:
        raise click.ClickException(f"{path} is no file of Python: its name must end with .py")
    module = module_from_spec(spec)
    sys.modules[_NAME] = module  # where types look for what annotations name
    sys.path.insert(0, str(path.resolve().parent))  # as for a program: it may import what lies beside it
    try:
        with redirect_stdout(sys.stderr):  # stdout is for answers
            spec.loader.exec_module(module)
    except TerminatedError:
        raise
    except (Exception, SystemExit) as exc:
        raise click.ClickException(f"{path}{_line_in(path, exc)}: {type(exc).__name__}: {exc}") from exc
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module


def _line_in(path: Path, exc: BaseException) -> str:
    """Say in which line of the file an error was raised."""
    if isinstance(exc, SyntaxError):
        return f", line {exc.lineno}"
    lines = [frame.lineno for frame in extract_tb(exc.__traceback__) if Path(frame.filename) == path]
    return f", line {lines[-1]}" if lines else ""
