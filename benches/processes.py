"""Works in processes of their own: a server beside them, their instructions counted, their CPU time taken in turn."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent


@dataclass(frozen=True)
class Work:
    """A function of abi3_works, how often it is repeated, and how many lines or calls a repetition is."""

    title: str
    name: str
    short: int
    long: int
    per: int = 1


@dataclass(frozen=True)
class Way:
    """
    One of the ways in which a work is done.

    Args:
        module: What does it, with the arguments, the work's name, how often, and the server's port.

        arguments: Of the module, before those.

        python: The folder in which the package is, before the checkout's.
    """

    module: str
    arguments: tuple[str, ...]
    python: Path

    def command(self, work: Work, times: int, port: str) -> list[str]:
        """Give the command of a process that does the work so often for each line that it reads."""
        return [sys.executable, "-m", self.module, *self.arguments, work.name, str(times), port]

    def environment(self) -> dict[str, str]:
        """Give the environment of that process."""
        return {
            **os.environ,
            "PYTHONPATH": str(self.python),
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
        }


@contextmanager
def server(module: str, *arguments: object) -> Generator[str]:
    """Give the port of a server that runs meanwhile."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("the server has no pipes")
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def instructions(work: Work, way: Way, port: str) -> int:
    """Give the instructions per line or call: those of a long run without those of a short one."""
    more = _count(work, way, port, work.long) - _count(work, way, port, work.short)
    return round(more / (work.long - work.short) / work.per)


def _count(work: Work, way: Way, port: str, times: int) -> int:
    callgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}"]
    run = subprocess.run(
        [*callgrind, *way.command(work, times, port)],
        cwd=ROOT,
        env=way.environment(),
        input="go\n",
        capture_output=True,
        text=True,
        check=False,
    )
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or collected is None:
        raise SystemExit(run.stderr)
    return int(collected[1])


def time_rounds(work: Work, ways: Mapping[str, Way], port: str, rounds: int) -> dict[str, list[float]]:
    """
    Give microseconds of CPU per line or call, of rounds that the ways do in turn; the first round warms up.

    Each way has a process that stays.
    """
    found: dict[str, list[float]] = {name: [] for name in ways}
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(
                subprocess.Popen(
                    way.command(work, work.long, port),
                    cwd=ROOT,
                    env=way.environment(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for name, way in ways.items()
        }
        for number in range(1 + rounds):
            for name, process in processes.items():
                if process.stdin is None or process.stdout is None:
                    raise RuntimeError("the process has no pipes")
                process.stdin.write("go\n")
                process.stdin.flush()
                seconds = float(process.stdout.readline())
                if number:
                    found[name].append(seconds / work.long / work.per * 1e6)
    return found
