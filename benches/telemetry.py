"""
What being observed costs, and what the possibility does: `make bench-telemetry`.

The same work is done by this checkout without an observer, with OpenTelemetry's API alone, and with its SDK; and, with
`--before REVISION`, by the Python of another revision over the same core. The CPU time is taken in interleaved rounds.
With `--count`, on Linux, callgrind counts instructions, too, of which the difference of a long run and a short one is
given, so that what a start costs cancels out. Only the client's process counts.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from .machine import machine
from .processes import ROOT, Way, Work, instructions, server, time_rounds
from .table import table

LINES: Final = 5_000
ROUNDS: Final = 15
PYTHON: Final = ROOT / "python"
WORKS: Final = [
    Work("`chat`, a small answer", "whole", 20, 120),
    Work("`aio.chat`, a small answer", "whole_asyncio", 20, 120),
    Work(f"`chat_stream`, a part of {LINES:,}", "burst", 1, 3, LINES),
    Work(f"`aio.chat_stream`, a part of {LINES:,}", "burst_asyncio", 1, 3, LINES),
]


def earlier(revision: str, folder: Path) -> Path:
    """Put the Python of *revision* into *folder*, with the core that is built here."""
    archive = subprocess.run(["git", "archive", revision, "python"], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    for core in (PYTHON / "ollama_fast").glob("_core*.so"):
        shutil.copy(core, folder / "python" / "ollama_fast")
    return folder / "python"


def _way(mode: str, python: Path = PYTHON) -> Way:
    return Way("benches.telemetry_works", (mode,), python)


def main() -> None:
    """Print the tables; a minute, and many with counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--before", metavar="REVISION", help="a revision to compare with")
    parser.add_argument("--count", action="store_true", help="count instructions, too; valgrind is needed")
    options = parser.parse_args()
    ways = {"off": _way("off"), "API alone": _way("api"), "SDK": _way("sdk")}
    with TemporaryDirectory() as folder, server("benches.telemetry_server", LINES) as port:
        if options.before is not None:
            ways = {f"before ({options.before})": _way("off", earlier(options.before, Path(folder))), **ways}
        print(f"{machine()}\n\nMicroseconds of CPU per call or part, the least and the median of {ROUNDS} rounds:\n")
        rounds = [(work.title, time_rounds(work, ways, port, ROUNDS).values()) for work in WORKS]
        print(table(["", *ways], [[title, *map(_shown, each)] for title, each in rounds]), flush=True)
        if options.count:
            counts = [[work.title, *(f"{instructions(work, way, port):,}" for way in ways.values())] for work in WORKS]
            print(f"\nInstructions per call or part:\n\n{table(['', *ways], counts)}")


def _shown(rounds: list[float]) -> str:
    return f"{min(rounds):.3f} / {median(rounds):.3f}"


if __name__ == "__main__":
    main()
