"""Where and with what the figures were made."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import Final

from ollama_fast import _core
from ollama_fast.bench._machine import this_machine

PEERS: Final = ("httpx", "httpcore", "h11", "ollama", "pydantic", "orjson", "msgspec", "pytest-benchmark")


def refuse_debug_build() -> None:
    """Exit if the core was built without optimisation."""
    if _core.DEBUG:
        raise SystemExit("ollama_fast._core is a debug build, which nobody should measure: run `make build` first")


def machine() -> str:
    """Say what runs the benches: processor, system, Python."""
    found = this_machine()
    return f"{found.processor}, {found.cores} cores; {found.system}; {found.python}"


def versions(peers: Iterable[str] = PEERS) -> str:
    """Say which versions are compared."""
    return ", ".join([f"ollama_fast {_core.__version__}", *(f"{name} {version(name)}" for name in peers)])
