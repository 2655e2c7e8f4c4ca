"""What is printed on stdout: text as a terminal may show it, exact text in pipes, and JSON."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Any, Final, TextIO

import click

from ._plain import shown
from ._standard_streams import holds_any_text

_HIDDEN: Final = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What JSON may hold as it is, but a terminal obeys, some readers take for the end of a line, or no encoding takes."""


def on_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout.isatty()


def colourful(stream: TextIO | None = None) -> bool:
    """Whether a stream, by default stdout, may have colours and bold or dim text."""
    out = sys.stdout if stream is None else stream
    return out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def write(text: str) -> None:
    """Write a piece of text at once; what a terminal would obey is shown by pictures."""
    sys.stdout.write(shown(text) if on_terminal() else text)
    sys.stdout.flush()


def say(text: str) -> None:
    """Write text, and end the line."""
    write(f"{text}\n")


def dim(text: str) -> None:
    """Write a piece of text that matters less, if there are colours dimmed."""
    if not colourful():
        write(text)
        return
    sys.stdout.write(click.style(shown(text), dim=True))
    sys.stdout.flush()


def encoded(value: Any, *, ascii_alone: bool = False) -> str:
    """
    Give *value* as JSON in a line, readable, and without what a terminal would obey.

    Args:
        value: What JSON can hold.

        ascii_alone: Whether all other characters are escapes, as where they could not be written.
    """
    text = json.dumps(value, ensure_ascii=ascii_alone, separators=(", ", ": "))
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def print_json(value: Mapping[str, Any]) -> None:
    """Write *value* as a line of JSON, at once."""
    sys.stdout.write(f"{encoded(value, ascii_alone=not holds_any_text())}\n")
    sys.stdout.flush()
