"""
What being observed costs, and what the possibility does: `make bench-telemetry`.

The same work is done by this checkout without an observer, with OpenTelemetry's API alone, and with its SDK; and, with
`--before REVISION`, by the Python of another revision over the same core. The CPU time is taken in interleaved rounds.
With `--count`, on Linux, callgrind counts instructions, too, of which the difference of a long run and a short one is
given, so that what a start costs cancels out. Only the client's process counts.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from .abi3 import ROOT, Work, environment
from .machine import machine
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


@contextmanager
def server() -> Generator[str]:
    """Give the port of a server that runs meanwhile."""
    command = [sys.executable, "-m", "benches.telemetry_server", str(LINES)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("the server has no pipes")
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def command(mode: str, work: Work, times: int, port: str) -> list[str]:
    return [sys.executable, "-m", "benches.telemetry_works", mode, work.name, str(times), port]


def count(work: Work, mode: str, python: Path, port: str) -> int:
    """Give the instructions per part or call."""

    def run(times: int) -> int:
        callgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}"]
        done = subprocess.run(
            [*callgrind, *command(mode, work, times, port)],
            cwd=ROOT,
            env=environment(python),
            input="go\n",
            capture_output=True,
            text=True,
            check=False,
        )
        collected = re.search(r"Collected : (\d+)", done.stderr)
        if done.returncode != 0 or collected is None:
            raise SystemExit(done.stderr)
        return int(collected[1])

    return round((run(work.long) - run(work.short)) / (work.long - work.short) / work.per)


def time_rounds(work: Work, ways: dict[str, tuple[str, Path]], port: str) -> dict[str, list[float]]:
    """Give microseconds of CPU per part or call, of rounds that the ways do in turn; the first round warms up."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(
                subprocess.Popen(
                    command(mode, work, work.long, port),
                    cwd=ROOT,
                    env=environment(python),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for name, (mode, python) in ways.items()
        }
        for number in range(1 + ROUNDS):
            for name, process in processes.items():
                if process.stdin is None or process.stdout is None:
                    raise RuntimeError("the process has no pipes")
                process.stdin.write("go\n")
                process.stdin.flush()
                seconds = float(process.stdout.readline())
                if number:
                    found[name].append(seconds / work.long / work.per * 1e6)
    return found


def main() -> None:
    """Print the tables; a minute, and many with counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--before", metavar="REVISION", help="a revision to compare with")
    parser.add_argument("--count", action="store_true", help="count instructions, too; valgrind is needed")
    options = parser.parse_args()
    ways = {"off": ("off", PYTHON), "API alone": ("api", PYTHON), "SDK": ("sdk", PYTHON)}
    with TemporaryDirectory() as folder, server() as port:
        if options.before is not None:
            ways = {f"before ({options.before})": ("off", earlier(options.before, Path(folder))), **ways}
        print(f"{machine()}\n\nMicroseconds of CPU per call or part, the least and the median of {ROUNDS} rounds:\n")
        rounds = [(work.title, time_rounds(work, ways, port).values()) for work in WORKS]
        print(table(["", *ways], [[title, *map(_shown, each)] for title, each in rounds]), flush=True)
        if options.count:
            counts = [[work.title, *(f"{count(work, *way, port):,}" for way in ways.values())] for work in WORKS]
            print(f"\nInstructions per call or part:\n\n{table(['', *ways], counts)}")


def _shown(rounds: list[float]) -> str:
    return f"{min(rounds):.3f} / {median(rounds):.3f}"


if __name__ == "__main__":
    main()
