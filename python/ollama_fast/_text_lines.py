"""Files with a text a line, as the command line and the benchmarks read them; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple


class WrongLineError(ValueError):
    """A line is not what it should be; its text says which, and why."""


class TextLine(NamedTuple):
    """
    A line that is not blank.

    Args:
        number: Its number in the file, from 1.

        size: Its bytes, with its end.

        text: Without its end.
    """

    number: int
    size: int
    text: str


def text_lines(lines: Iterable[bytes]) -> Iterator[TextLine]:
    """
    Give each line that is not blank.

    Args:
        lines: Of UTF-8, with their ends; the first may have a byte order mark. Only what ends a line of a file does so:
            U+2028, a form feed and their like are of the text.

    Raises WrongLineError at the first that is no UTF-8.
    """
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as exc:
            raise WrongLineError(f"line {number} is not text in UTF-8: {exc}") from exc
        if text.strip():
            yield TextLine(number, len(line), text)


def is_json_lines(path: Path) -> bool:
    """Whether a file has JSON in its lines, by its name."""
    return path.suffix.lower() in (".jsonl", ".ndjson")
