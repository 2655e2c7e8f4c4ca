"""
What the stable ABI costs: `make bench-abi3`, or `python -m benches.abi3` from the root of the checkout.

It builds the extension twice, with the stable ABI and for this Python alone, and does the same work with both: once
under callgrind, which counts instructions, and in interleaved rounds, of which it gives the CPU time. Only the client's
process counts; where a work needs a server, that is another one.

Instructions are the difference of a long run and a short one, so that what a start costs cancels out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from .abi3_works import STREAMS
from .machine import machine

LINES: Final = 20_000
LIVE_ROUNDS: Final = 50
ROUNDS: Final = 25

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = ROOT / "target" / "abi3"
BUILDS: Final = {"abi3": [], "specific": ["--no-default-features", "--features", "python"]}
"""What cargo is told for each of the two."""


@dataclass(frozen=True)
class Work:
    """A function of abi3_works, how often it is repeated, and how many lines or calls a repetition is."""

    title: str
    name: str
    short: int
    long: int
    per: int = 1


WORKS: Final = [
    Work("`LineDecoder`, a line per chunk", "line_per_chunk", 2_000, 22_000),
    Work("`LineDecoder`, 100 lines per chunk", "lines_per_chunk", 2_000, 22_000),
    Work(f"`chat_stream`, {LINES:,} lines at once", "burst", 1, 3, LINES),
    Work(f"`aio.chat_stream`, {LINES:,} lines at once", "burst_asyncio", 1, 3, LINES),
    Work(f"`aio.chat_stream`, {STREAMS} live streams", "live_asyncio", 1, 3, STREAMS * LIVE_ROUNDS),
    Work("`chat`, a small answer", "whole", 100, 500),
    Work("`aio.chat`, a small answer", "whole_asyncio", 100, 500),
]


@dataclass(frozen=True)
class Found:
    """What a work cost with one build, per line or call: instructions, and microseconds of CPU per round."""

    instructions: int
    cpu: list[float] = field(default_factory=list[float])


def build(name: str) -> Path:
    """Build the extension, and give the folder that the package is installed into."""
    out, installed = FOLDER / f"{name}-wheel", FOLDER / name
    command = [sys.executable, "-m", "maturin", "build", "--quiet", "--release", "--out", str(out), *BUILDS[name]]
    for old in out.glob("*.whl"):
        old.unlink()
    built = subprocess.run(
        [*command, "--target-dir", str(FOLDER / f"{name}-target")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode != 0:
        raise SystemExit(built.stderr)
    (wheel,) = out.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--upgrade", "--target", str(installed)]
    subprocess.run([*pip, str(wheel)], check=True)
    (library,) = installed.glob("ollama_fast/_core*.so")
    print(f"{name}: {wheel.name}, {wheel.stat().st_size:,} bytes; the library {library.stat().st_size:,}", flush=True)
    return installed


def environment(installed: Path) -> dict[str, str]:
    """Give the environment in which Python finds the package in that folder, before the checkout's."""
    return {**os.environ, "PYTHONPATH": str(installed), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def server() -> Generator[str]:
    """Give the port of a server that runs meanwhile."""
    command = [sys.executable, "-m", "benches.abi3_server", str(LINES), str(STREAMS), str(LIVE_ROUNDS)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("the server has no pipes")
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def count(work: Work, installed: Path, port: str, times: int) -> int:
    """Give the instructions of a process that does the work so often."""
    callgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}"]
    command = [*callgrind, sys.executable, "-m", "benches.abi3_works", work.name, str(times), port]
    run = subprocess.run(
        command, cwd=ROOT, env=environment(installed), input="go\n", capture_output=True, text=True, check=False
    )
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or collected is None:
        raise SystemExit(run.stderr)
    return int(collected[1])


def instructions(work: Work, installed: Path, port: str) -> int:
    """Give the instructions per line or call."""
    more = count(work, installed, port, work.long) - count(work, installed, port, work.short)
    return round(more / (work.long - work.short) / work.per)


def time_rounds(work: Work, folders: dict[str, Path], port: str, found: dict[str, Found]) -> None:
    """Let the builds do the work in turn, each in a process that stays; the first round warms up."""
    command = [sys.executable, "-m", "benches.abi3_works", work.name, str(work.long), port]
    with ExitStack() as stack:
        processes: dict[str, subprocess.Popen[str]] = {}
        for name, installed in folders.items():
            processes[name] = stack.enter_context(
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=environment(installed),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
        for number in range(1 + ROUNDS):
            for name, process in processes.items():
                if process.stdin is None or process.stdout is None:
                    raise RuntimeError("the process has no pipes")
                process.stdin.write("go\n")
                process.stdin.flush()
                seconds = float(process.stdout.readline())
                if number:
                    found[name].cpu.append(seconds / work.long / work.per * 1e6)


def row(work: Work, found: dict[str, Found]) -> str:
    """Give the row of a work."""
    ours, theirs = found["abi3"], found["specific"]

    def more(first: float, second: float) -> str:
        return f"{(first / second - 1) * 100:+.1f} %"

    counted = f"{ours.instructions:,} | {theirs.instructions:,} | {more(ours.instructions, theirs.instructions)}"
    least = f"{min(ours.cpu):.2f} | {min(theirs.cpu):.2f} | {more(min(ours.cpu), min(theirs.cpu))}"
    return f"| {work.title} | {counted} | {least} | {more(median(ours.cpu), median(theirs.cpu))} |"


def main() -> None:
    """Print a table; some ten minutes."""
    folders = {name: build(name) for name in BUILDS}
    print(f"\n{machine()}\n")
    print("| Per line or call | instructions, abi3 | specific | | least CPU in µs, abi3 | specific | | median CPU |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    with server() as port:
        for work in WORKS:
            found = {name: Found(instructions(work, installed, port)) for name, installed in folders.items()}
            time_rounds(work, folders, port, found)
            print(row(work, found), flush=True)


if __name__ == "__main__":
    main()
