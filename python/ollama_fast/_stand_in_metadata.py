"""What `importlib.metadata` tells of `ollama` where that is replaced and not installed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, DistributionFinder
from os import PathLike
from pathlib import Path
from typing import Any, Final

from ._stand_in import VERSION

_TEXTS: Final = {
    "METADATA": f"Metadata-Version: 2.1\nName: ollama\nVersion: {VERSION}\n",
    "top_level.txt": "ollama\n",
}
"""Of the release whose surface this package has."""


class _Metadata(Distribution):
    def read_text(self, filename: str) -> str | None:
        return _TEXTS.get(filename)

    def locate_file(self, path: str | PathLike[str]) -> Path:
        return Path(__file__).parent / path


def found(context: Any, *, others: Iterable[Any]) -> Iterator[Distribution]:
    """
    Give the distribution, unless something else is asked for or another finder has it.

    Args:
        context: What is asked for, by `importlib.metadata` or by its backport, which has a class of its own for it.

        others: The other finders. The backport takes the ability from the one that usually has it.
    """
    asked: dict[str, Any] = {} if context is None else vars(context)
    name = asked.get("name")
    if "path" in asked or (name is not None and re.sub(r"[-_.]+", "-", name).lower() != "ollama"):
        return
    able = [finder.find_distributions for finder in others if hasattr(finder, "find_distributions")]
    if not any(True for find in able for _ in find(DistributionFinder.Context(name="ollama"))):
        yield _Metadata()
