"""Standard input, output and errors, as this program takes them for granted: there, and able to hold any text."""

from __future__ import annotations

import codecs
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final

_MODES: Final = {"stdin": "r", "stdout": "w", "stderr": "w"}


def prepare() -> None:
    """
    Have all three standard streams, of which no text is an error.

    One that is closed (`>&-`, some daemons) becomes the null device, so that no connection gets its number. Pipes and
    files get UTF-8, whatever the system's own encoding is, unless PYTHONIOENCODING names another; what that lacks is
    written as an escape, and shown by a terminal as a question mark.
    """
    for name, mode in _MODES.items():
        if getattr(sys, name) is None:
            nowhere: Any = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - open as long as the process
            setattr(sys, name, nowhere)
    wanted = os.environ.get("PYTHONIOENCODING", "").partition(":")[0]
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, TextIOWrapper):
            continue
        if stream.isatty():
            stream.reconfigure(errors="replace")
        else:
            stream.reconfigure(encoding=wanted or "utf-8", errors="backslashreplace")


def holds_any_text() -> bool:
    """Whether stdout is in UTF-8, which lacks no character."""
    encoding = sys.stdout.encoding
    return codecs.lookup(encoding or "utf-8").name == "utf-8"
