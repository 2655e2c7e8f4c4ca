"""
What functions cost as tools, and what the libraries that could convert them know; for decision 0013.

`make bench-schemas` prints it. griffe is looked at if it can be imported.
"""

from __future__ import annotations

import functools
import gc
import importlib.util
import inspect
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import docstring_parser
import msgspec
from pydantic import TypeAdapter

import callables
import tool_table
from ollama_fast.tools import prepare, tool

IMPORTS: Final = ["pydantic", "msgspec", "docstring_parser", "griffe", "ollama_fast.tools"]
ROUNDS: Final = 7


def cpu_of(function: Callable[[], object], count: int) -> float:
    """Give the microseconds of CPU of one call: the median of rounds."""
    seen: list[float] = []
    gc.disable()
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(count):
            function()
        seen.append((time.process_time() - began) / count * 1e6)
    gc.enable()
    return statistics.median(seen)


def import_times() -> dict[str, float]:
    """Give the milliseconds of CPU that importing takes in a fresh interpreter, without those of the interpreter."""
    seen: dict[str, list[float]] = {name: [] for name in IMPORTS if importlib.util.find_spec(name)}
    for _ in range(ROUNDS):
        for name, times in seen.items():
            program = f"import time; t = time.process_time(); import {name}; print(time.process_time() - t)"
            said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
            times.append(float(said) * 1e3)
    return {name: statistics.median(times) for name, times in seen.items()}


def parameter_types() -> list[Any]:
    """Give the types of the table's parameters."""
    return [
        parameter.annotation
        for function in tool_table.TABLE
        for parameter in inspect.signature(function).parameters.values()
        if parameter.annotation is not parameter.empty
    ]


def known_to(convert: Callable[[Any], object]) -> str:
    """Say how many types of the table a library has a schema for."""
    types = parameter_types()
    known = 0
    for type_ in types:
        try:
            convert(type_)
        except Exception:  # noqa: BLE001 - whatever it raises, it does not know the type
            continue
        known += 1
    return f"{known} of {len(types)}"


def fresh(function: Any) -> Callable[[], object]:
    """Convert a new copy of a function each time."""
    return lambda: tool(functools.partial(function))


def main() -> None:
    small: Callable[..., object] = callables.google
    large: Callable[..., object] = tool_table.a_model_of_models
    print("import, ms of CPU")
    for name, spent in import_times().items():
        print(f"  {name:40} {spent:8.1f}")
    print("types of the table with a schema")
    print(f"  {'pydantic':40} {known_to(lambda type_: TypeAdapter(type_).json_schema())}")
    print(f"  {'msgspec':40} {known_to(msgspec.json.schema)}")
    print("us of CPU")
    call = {"function": {"name": "google", "arguments": {"a": "1", "b": 2}}}
    rows: dict[str, tuple[Callable[[], object], int]] = {
        "convert a function of 3 parameters": (fresh(small), 50),
        "convert one of nested models": (fresh(large), 20),
        "the same again, 3 parameters": (lambda: tool(small), 5000),
        "the same again, nested models": (lambda: tool(large), 5000),
        "prepare a call, 3 parameters": (lambda: prepare([small], call), 2000),
        "docstring_parser, a docstring": (lambda: docstring_parser.parse(inspect.cleandoc(small.__doc__ or "")), 200),
    }
    for name, (function, count) in rows.items():
        function()
        print(f"  {name:40} {cpu_of(function, count):8.1f}")
    print("styles of docstrings whose texts are found")
    for style in callables.STYLES:
        found = len(docstring_parser.parse(inspect.cleandoc(style.__doc__ or "")).params)
        print(f"  {style.__name__:40} {found} of 3")


if __name__ == "__main__":
    main()
