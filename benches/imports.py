"""What `import ollama_fast` costs a fresh interpreter, beside a bare one and the official client."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import Final

ROUNDS: Final = 21

BARE: Final = "bare interpreter"
OURS: Final = "ollama_fast"
ROWS: Final = {
    BARE: "pass",
    OURS: "import ollama_fast",
    "ollama_fast and its aio": "import ollama_fast.aio; ollama_fast.aio.chat",
    "httpx": "import httpx",
    "asyncio": "import asyncio",
    "official client": "import ollama",
}

# Linux hands the peak of the parent's memory on through exec into ru_maxrss, so the child's own peak is asked for.
_REPORT: Final = """
import sys, time
cpu = time.process_time()
try:
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
except OSError:
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(cpu, peak)
"""


@dataclass(frozen=True)
class Row:
    """What fresh interpreters cost, a figure per round: milliseconds of wall and of CPU, peak memory in MB."""

    wall: list[float] = field(default_factory=list[float])
    cpu: list[float] = field(default_factory=list[float])
    memory: list[float] = field(default_factory=list[float])


def measure() -> dict[str, Row]:
    """Start interpreters in interleaved rounds; the first one writes the bytecode and does not count."""
    rows = {name: Row() for name in ROWS}
    with tempfile.TemporaryDirectory() as cache:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environ["PYTHONPYCACHEPREFIX"] = cache
        for number in range(1 + ROUNDS):
            for name, code in ROWS.items():
                command = [sys.executable, "-c", code + _REPORT]
                began = time.perf_counter()
                said = subprocess.run(command, env=environ, check=True, capture_output=True).stdout
                wall = time.perf_counter() - began
                if number:
                    cpu, peak = said.split()
                    rows[name].wall.append(wall * 1e3)
                    rows[name].cpu.append(float(cpu) * 1e3)
                    rows[name].memory.append(int(peak) / 1e6)
    return rows
