"""
The command line `ollama-fast`; it comes with the extra `cli`.

`main` imports nothing but what it needs to say that the extra is missing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]

_MISSING = "ollama-fast: the command line needs {name}, which is not installed: pip install 'ollama_fast[cli]'\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command line, and give the exit code.

    Args:
        arguments: Without the program's name; by default those of this process.

    0 is success, 1 a failure, 2 a wrong command line, 130 an interrupt.
    """
    try:
        return _run(arguments)
    except KeyboardInterrupt:  # while the modules of commands were imported; commands have their own way
        return 130


def _run(arguments: Sequence[str] | None) -> int:
    try:
        import click as click
    except ModuleNotFoundError as exc:
        if exc.name != "click":
            raise
        sys.stderr.write(_MISSING.format(name=exc.name))
        return 1
    from ._exits import run

    return run(arguments)
