"""
The examples in the docstrings of the genuine package's sources, with the names of whatever `ollama` is.

They are read out of its source distribution, which `run.py` unpacks; nothing of it is imported.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

SOURCES: Final = Path(os.environ["DROPIN_SOURCES"])
MODULES: Final = ("_client", "_types", "_utils")


def examples(module: str) -> Iterator[doctest.DocTest]:
    """Give the examples of one module, without names to look up, by definition."""
    text = (SOURCES / f"{module}.py").read_text(encoding="utf-8")
    parser = doctest.DocTestParser()

    def walk(node: ast.AST, name: str) -> Iterator[doctest.DocTest]:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{name}.{node.name}"
            found = parser.get_doctest(ast.get_docstring(node) or "", {}, name, f"{module}.py", node.lineno)
            if found.examples:
                yield found
        for child in ast.iter_child_nodes(node):
            yield from walk(child, name)

    return walk(ast.parse(text), module)


EXAMPLES: Final = [(module, found) for module in MODULES for found in examples(module)]


@pytest.mark.parametrize(("module", "found"), EXAMPLES, ids=[found.name for _, found in EXAMPLES])
def test_examples_give_what_they_say(module: str, found: doctest.DocTest) -> None:
    found.globs = dict(vars(importlib.import_module(f"ollama.{module}")))
    said: list[str] = []
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(found, out=said.append)
    assert results.attempted == len(found.examples)
    assert not results.failed, "".join(said)
