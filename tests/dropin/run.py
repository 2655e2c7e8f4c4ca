"""
Run the tests of the package `ollama`, and the examples in its docstrings, with this package in its place.

They come with its source distribution, which is fetched once into a cache. `--genuine` runs them with the package that
they are of, which shows that they pass here with it. Further arguments are pytest's.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
import tempfile
from pathlib import Path

import sdists
from dropin.running import run


def main(arguments: list[str]) -> int:
    """Run them, and give pytest's exit status."""
    version = importlib.metadata.version("ollama")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = sdists.unpack("ollama", version, ["tests", "pyproject.toml"], folder)
        sources = sdists.unpack("ollama", version, ["ollama"], folder / "not to be imported") / "ollama"
        shutil.copy(Path(__file__).with_name("doctests.py"), root)
        return run(
            root,
            ["tests", "doctests.py", *(argument for argument in arguments if argument != "--genuine")],
            plugins=["anyio.pytest_plugin", "pytest_httpserver.pytest_plugin"],
            genuine="--genuine" in arguments,
            more={"DROPIN_SOURCES": str(sources)},
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
