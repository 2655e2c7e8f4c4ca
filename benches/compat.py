"""
What a program gains that says `import ollama_fast.compat as ollama`: `make bench-compat`, which writes that part.

With fewer rounds than 25, or only some sections, the report is printed and nothing is written. Where a target is not
met, a profile of the row says where its time goes.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import os
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import ollama_fast

from . import compat_report, compat_rows, machine, results
from .compat_report import FIRST_CHAT, IMPORT, NAMES, Found
from .compat_rows import MODULES, Task

_ROUNDS: Final = 25
_ROOT: Final = Path(__file__).parent.parent
_CALLS: Final = (
    compat_rows.STREAM,
    compat_rows.PACED_STREAM,
    compat_rows.ITEMS,
    compat_rows.DUMP,
    compat_rows.GENERATE,
    compat_rows.WHOLE,
    compat_rows.EMBED,
    compat_rows.MODELS,
    compat_rows.PLAIN,
    compat_rows.TLS,
)
_SECTIONS: Final = ("import", *_CALLS)


# --- calls -----------------------------------------------------------------------------------------------------------


@contextmanager
def _server() -> Generator[str]:
    numbers = map(str, (compat_rows.PARTS, compat_rows.VECTORS, compat_rows.LENGTH))
    command = [sys.executable, "-m", "benches.compat_server", *numbers]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("the server has no pipes")
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def _measure(task: Task) -> tuple[float, float]:
    """Give the microseconds of CPU and wall of one part, call or client."""
    gc.collect()
    gc.disable()
    try:
        wall, cpu = time.perf_counter(), time.process_time()
        gave = task.run()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    finally:
        gc.enable()
    if not task.right(gave):
        raise RuntimeError(f"{task.row} gave something else than was sent: {task.section}, {task.colour}")
    task.undo(gave)
    return cpu / task.count * 1e6, wall / task.count * 1e6


def _profile(task: Task) -> None:
    print(f"\n--- {task.section}, {task.colour}, {task.row}: where the time of {task.count} goes", flush=True)
    profile = cProfile.Profile()
    profile.enable()
    gave = task.run()
    profile.disable()
    task.undo(gave)
    pstats.Stats(profile).sort_stats("tottime").print_stats(18)


# --- imports ---------------------------------------------------------------------------------------------------------

_TIMED: Final = """
import time
wall, cpu = time.perf_counter(), time.process_time()
{code}
print(time.process_time() - cpu, time.perf_counter() - wall)
"""
_IMPORTS: Final = {
    IMPORT: "import {module} as ollama",
    NAMES: "from {module} import AsyncClient, ChatResponse, Client, Message, Options, ResponseError, chat",
    FIRST_CHAT: (
        "import {module} as ollama\n"
        "answer = ollama.chat('smollm2', [{{'role': 'user', 'content': 'Hi!'}}])\n"
        "assert answer.message.content.startswith('Because')"
    ),
}
_PARTS_OF_GENUINE: Final = {"httpx": "import httpx", "pydantic": "from pydantic import BaseModel"}


def _import(code: str, environ: dict[str, str]) -> tuple[float, float]:
    """Give the microseconds of CPU and wall of *code* in a fresh interpreter."""
    command = [sys.executable, "-c", _TIMED.format(code=code)]
    said = subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout
    cpu, wall = said.split()
    return float(cpu) * 1e6, float(wall) * 1e6


def _import_rows() -> Iterable[tuple[str, str, str]]:
    for section, code in _IMPORTS.items():
        for name, module in MODULES.items():
            yield section, name, code.format(module=module)
    for name, code in _PARTS_OF_GENUINE.items():
        yield IMPORT, name, code


# --- all -------------------------------------------------------------------------------------------------------------


def measure(rounds: int, sections: set[str]) -> Found:
    """Take turns, after a round that warms up and does not count."""
    found: Found = {}
    with _server() as url, asyncio.Runner() as runner, tempfile.TemporaryDirectory() as cache:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environ |= {"PYTHONPYCACHEPREFIX": cache, "OLLAMA_HOST": url}
        tasks = [task for task in compat_rows.tasks(url, runner) if task.section in sections]
        for number in range(1 + rounds):
            print("warming up ..." if number == 0 else f"round {number} of {rounds} ...", flush=True)
            timed = [((task.section, task.colour, task.row), _measure(task)) for task in tasks]
            if "import" in sections:
                timed += [
                    ((section, compat_report.PROCESS, name), _import(code, environ))
                    for section, name, code in _import_rows()
                ]
            for key, (cpu, wall) in timed if number else ():
                found.setdefault(key, ([], []))
                found[key][0].append(cpu)
                found[key][1].append(wall)
        missed = compat_report.missed(found)
        for task in tasks:
            if (task.section, task.colour, task.row) in missed:
                _profile(task)
        runner.run(ollama_fast.aio.close())
        ollama_fast.close()
    return found


def main() -> None:
    """Measure; a minute or two with all rounds."""
    parser = argparse.ArgumentParser(prog="make bench-compat", description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=_ROUNDS, help=f"how many, at least {_ROUNDS} to write the results"
    )
    parser.add_argument("--only", action="append", choices=_SECTIONS, help="a section; may be given several times")
    asked = parser.parse_args()
    if asked.rounds < 1:
        parser.error("--rounds must be at least 1")
    machine.refuse_debug_build()
    for name in [name for name in os.environ if name.startswith("OLLAMA_") or name.lower().endswith("_proxy")]:
        del os.environ[name]
    found = measure(asked.rounds, set(asked.only or _SECTIONS))
    text = compat_report.report(found, asked.rounds)
    if asked.rounds >= _ROUNDS and not asked.only:
        results.write("bench-compat", text)
    print(text)


if __name__ == "__main__":
    main()
