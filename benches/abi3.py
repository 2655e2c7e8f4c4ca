"""
What the stable ABI costs: `make bench-abi3`, or `python -m benches.abi3` from the root of the checkout.

It builds the extension twice, with the stable ABI and for this Python alone, and does the same work with both: once
under callgrind, which counts instructions, and in interleaved rounds, of which it gives the CPU time. Only the client's
process counts; where a work needs a server, that is another one.

Instructions are the difference of a long run and a short one, so that what a start costs cancels out.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from .abi3_works import STREAMS
from .machine import machine
from .processes import ROOT, Way, Work, instructions, server, time_rounds

LINES: Final = 20_000
LIVE_ROUNDS: Final = 50
ROUNDS: Final = 25

FOLDER: Final = ROOT / "target" / "abi3"
BUILDS: Final = {"abi3": [], "specific": ["--no-default-features", "--features", "python"]}
"""What cargo is told for each of the two."""

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
    cpu: list[float]


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
    ways = {name: Way("benches.abi3_works", (), installed) for name, installed in folders.items()}
    with server("benches.abi3_server", LINES, STREAMS, LIVE_ROUNDS) as port:
        for work in WORKS:
            counts = {name: instructions(work, way, port) for name, way in ways.items()}
            rounds = time_rounds(work, ways, port, ROUNDS)
            print(row(work, {name: Found(counts[name], rounds[name]) for name in ways}), flush=True)


if __name__ == "__main__":
    main()
