"""Where and with what the figures were made."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Final

from ollama_fast import _core

PEERS: Final = ("httpx", "httpcore", "h11", "ollama", "pydantic", "orjson", "msgspec", "pytest-benchmark")


def refuse_debug_build() -> None:
    """Exit if the core was built without optimisation."""
    if _core.DEBUG:
        raise SystemExit("ollama_fast._core is a debug build, which nobody should measure: run `make build` first")


def machine() -> str:
    """Say what runs the benches: processor, system, Python."""
    cores = os.cpu_count() or 1
    return f"{_processor()}, {cores} cores; {_system()}; {_python()}"


def versions(peers: Iterable[str] = PEERS) -> str:
    """Say which versions are compared."""
    return ", ".join([f"ollama_fast {_core.__version__}", *(f"{name} {version(name)}" for name in peers)])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"


def _python() -> str:
    return f"{platform.python_implementation()} {platform.python_version()} ({platform.machine()})"
