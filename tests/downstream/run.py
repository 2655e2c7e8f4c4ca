"""
Run the tests of libraries on the package `ollama` with this package in its place.

They come with the libraries' source distributions, which are fetched once into a cache. `--genuine` runs them with the
package that they were made for. Other arguments choose libraries by parts of their names.
"""

from __future__ import annotations

import importlib.metadata
import sys
import tempfile
from pathlib import Path

import sdists
from downstream.suites import SUITES, Suite
from dropin.running import run


def main(arguments: list[str]) -> int:
    """Run them all, also after one has failed, and give how many have."""
    genuine = "--genuine" in arguments
    parts = [argument for argument in arguments if argument != "--genuine"]
    chosen = [suite for suite in SUITES if not parts or any(part in suite.library for part in parts)]
    failed = [suite.library for suite in chosen if _run(suite, genuine=genuine)]
    print(f"\n{len(chosen) - len(failed)} libraries pass their tests; these do not: {', '.join(failed) or 'none'}")
    return len(failed)


def _run(suite: Suite, *, genuine: bool) -> int:
    version = importlib.metadata.version(suite.library)
    print(f"\n=== {suite.library} {version}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        root = sdists.unpack(suite.library, version, [*suite.tests, *suite.needed, "pyproject.toml"], Path(folder))
        settings = ["asyncio_mode=auto", "asyncio_default_fixture_loop_scope=function"]
        options = ["--quiet", "--disable-warnings", *(f"--override-ini={setting}" for setting in settings)]
        return run(
            root,
            [*suite.tests, *options, *suite.options],
            plugins=["pytest_asyncio.plugin"],
            genuine=genuine,
            failing=suite.failing,
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
