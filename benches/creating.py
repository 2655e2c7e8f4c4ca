"""
A model of a local GGUF file: `create` beside Ollama's own command, against the same genuine server.

Both read the file for its digest, ask the server to make the model, and send the file, since the server is made to
have no blob before each of them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import ollama_fast
from ollama_fast import aio
from real import genuine

from . import machine, results
from .table import Figure, over, short, table

_ROUNDS: Final = 15
_COMMAND: Final = "`ollama create`, the command"
_BLOCKING: Final = "`create`, blocking"
_ASYNCIO: Final = "`create`, asyncio"
_SHOWN: Final = "`show_progress(create_stream())`, blocking"
_PROGRAM: Final = "a Python program that calls `create`"
_CODE: Final = (
    "import pathlib, sys, ollama_fast; ollama_fast.create(*sys.argv[1:3], modelfile=pathlib.Path(sys.argv[3]))"
)


@dataclass(frozen=True)
class Place:
    """Where all of it happens: a server, its client's binary, a Modelfile and the environment of processes."""

    server: genuine.Server
    binary: Path
    modelfile: Path
    environ: dict[str, str]

    def empty(self) -> None:
        """Let the server have no model and no blob, and the system nothing left to write."""
        for model in ollama_fast.list(self.server.url)["models"] or ():
            ollama_fast.delete(self.server.url, model["model"])
        for blob in (self.server.models_dir / "blobs").glob("*"):
            blob.unlink()
        os.sync()


@dataclass
class Times:
    """Seconds of each round: of the client's processors, and in all."""

    cpu: list[float] = field(default_factory=list[float])
    wall: list[float] = field(default_factory=list[float])


@contextmanager
def _place() -> Generator[Place]:
    paths = genuine.build()
    with genuine.server(paths) as server, tempfile.TemporaryDirectory() as home:
        modelfile = Path(home) / "Modelfile"
        modelfile.write_text(f"FROM {paths.model}\nPARAMETER temperature 0\n")
        environ = {"PATH": os.environ["PATH"], "HOME": home, "OLLAMA_HOST": server.url}
        yield Place(server, paths.server, modelfile, environ)


def _rows(place: Place) -> dict[str, Callable[[], object]]:
    url, modelfile = place.server.url, place.modelfile

    def process(*command: str | Path) -> None:
        subprocess.run(command, env=place.environ, check=True, capture_output=True)

    async def awaited() -> None:
        await aio.create(url, "m", modelfile=modelfile)

    def shown() -> None:
        ollama_fast.collect(ollama_fast.show_progress(ollama_fast.create_stream(url, "m", modelfile=modelfile), to=id))

    return {
        _COMMAND: lambda: process(place.binary, "create", "m", "-f", modelfile),
        _BLOCKING: lambda: ollama_fast.create(url, "m", modelfile=modelfile),
        _ASYNCIO: lambda: asyncio.run(awaited()),
        _SHOWN: shown,
        _PROGRAM: lambda: process(sys.executable, "-c", _CODE, url, "m", modelfile),
    }


def _cpu() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def measure(rounds: int) -> tuple[dict[str, Times], int]:
    """Take turns, after a round that warms up and does not count; the order turns, too."""
    with _place() as place:
        rows = _rows(place)
        found = {row: Times() for row in rows}
        for number in range(1 + rounds):
            print("warming up ..." if number == 0 else f"round {number} of {rounds} ...", flush=True)
            order = list(rows)
            for row in order[number % len(order) :] + order[: number % len(order)]:
                place.empty()
                cpu, began = _cpu(), perf_counter()
                rows[row]()
                wall, cpu = perf_counter() - began, _cpu() - cpu
                if ollama_fast.list(place.server.url)["models"] == []:
                    raise RuntimeError(f"{row} made no model")
                if number:
                    found[row].wall.append(wall)
                    found[row].cpu.append(cpu)
        size = genuine.build().model.stat().st_size
    ollama_fast.close()
    return found, size


def report(found: dict[str, Times], rounds: int, size: int) -> str:
    """Give the part of the results."""
    command = found[_COMMAND]
    ratio = over(command.wall, found[_BLOCKING].wall)
    lines = [
        (
            row,
            Figure.of(seconds * 1e3 for seconds in times.wall),
            short(min(times.wall) * 1e3),
            over(command.wall, times.wall),
            Figure.of(seconds * 1e3 for seconds in times.cpu),
            over(command.cpu, times.cpu),
        )
        for row, times in found.items()
    ]
    verdict = "met" if ratio.median >= 1 else "**not met**"
    least = short(min(command.wall) / min(found[_BLOCKING].wall))
    target = [("`create`, blocking, times as fast as the command", "at least 1", ratio, least, verdict)]
    head = (
        "row",
        "wall, ms",
        "least",
        "the command's, times this",
        "CPU of the client, ms",
        "the command's, times this",
    )
    return f"""# A model of a local file

`make bench-create` made this on {datetime.now(UTC):%Y-%m-%d}; do not edit. Every figure is a median, with the middle
half of the figures behind it, over {rounds} rounds in which all rows take turns, after one that warms up. Ratios are
taken within a round.

A GGUF file of {size:,} bytes becomes a model on a genuine server on loopback, which has none of its blobs before. The
server, which hashes and writes the file, takes most of the time, and is not in the CPU of the client. The command is
`ollama create` of the same version; it is a process, and so has its start in its figures, as the last row has that of
Python and its imports. The rows between are calls of a program that runs. The column before the last of the targets
compares the least figures of all rounds: noise of a shared machine only ever adds.

* Machine: {machine.machine()}
* Versions: {machine.versions(("httpx",))}, Ollama 0.24.0

{table(("what", "target", "measured", "between the least", ""), target)}

{table(head, lines)}
"""


def main() -> None:
    """Measure; a minute or two with all rounds."""
    parser = argparse.ArgumentParser(prog="make bench-create", description=__doc__)
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help=f"at least {_ROUNDS} to write the results")
    rounds = parser.parse_args().rounds
    if rounds < 1:
        parser.error("--rounds must be at least 1")
    machine.refuse_debug_build()
    for name in [name for name in os.environ if name.startswith("OLLAMA_") or name.lower().endswith("_proxy")]:
        del os.environ[name]
    found, size = measure(rounds)
    text = report(found, rounds, size)
    if rounds >= _ROUNDS:
        results.write("bench-create", text)
    print(text)


if __name__ == "__main__":
    main()
