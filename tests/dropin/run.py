"""
Run the tests of the package `ollama`, and the examples in its docstrings, with this package in its place.

They come with its source distribution, which is fetched once into a cache. `--genuine` runs them with the package that
they are of, which shows that they pass here with it.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import sdists

HERE: Final = Path(__file__).parent
PLUGINS: Final = ["anyio.pytest_plugin", "pytest_httpserver.pytest_plugin", "pytest_timeout", "dropin.substitute"]
OPTIONS: Final = ["--override-ini=addopts=", "--timeout=60", "-ra"]
"""Not its own `--doctest-modules`, which would import its sources."""


def main(arguments: list[str]) -> int:
    """Run them; further arguments are pytest's."""
    genuine = "--genuine" in arguments
    rest = [argument for argument in arguments if argument != "--genuine"]
    with tempfile.TemporaryDirectory() as folder:
        version = importlib.metadata.version("ollama")
        root = sdists.unpack("ollama", version, ["tests", "pyproject.toml"], Path(folder))
        sources = sdists.unpack("ollama", version, ["ollama"], Path(folder) / "sources") / "ollama"
        shutil.copy(HERE / "doctests.py", root)
        environment = sdists.environment() | {
            "DROPIN_COLLECTED": str(Path(folder) / "collected.json"),
            "DROPIN_SOURCES": str(sources),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": str(HERE.parent),
        }
        with_genuine = environment | {"DROPIN_GENUINE": "1"}
        plugins = [word for plugin in PLUGINS for word in ("-p", plugin)]
        command = [sys.executable, "-m", "pytest", *plugins, *OPTIONS, "tests", "doctests.py"]
        if genuine:
            return subprocess.run([*command, *rest], cwd=root, env=with_genuine, check=False).returncode
        # What there is to run does not depend on what is tested.
        subprocess.run(
            [*command, "--collect-only", "--quiet", "--quiet"],
            cwd=root,
            env=with_genuine,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return subprocess.run([*command, *rest], cwd=root, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
