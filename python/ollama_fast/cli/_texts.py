"""Texts to embed, out of the lines of a file, each with what else its line holds; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from ollama_fast._text_lines import WrongLineError, text_lines

_LONG: Final = re.compile(r"\d{19}")
"""What all whole numbers of more than 64 bits have in them."""


class Row(NamedTuple):
    """
    A text to embed.

    Args:
        line: Its number in the file, from 1.

        size: Bytes of the line.

        fields: What goes into the output with the vector: for a line that is JSON its keys, else the text alone.

        text: To embed.
    """

    line: int
    size: int
    fields: dict[str, Any]
    text: str


def rows_of_lines(lines: Iterable[bytes], key: str) -> Iterator[Row]:
    """
    Give a row for each line that is not blank.

    Args:
        lines: Of UTF-8, with their ends.

        key: What the text is called in the output.
    """
    for number, size, text in text_lines(lines):
        yield Row(number, size, {key: text}, text)


def rows_of_jsonl(lines: Iterable[bytes], key: str) -> Iterator[Row]:
    """
    Give a row for each line that is not blank, and must be a JSON object with the text under *key*.

    Raises WrongLineError at the first that is not.
    """
    import orjson

    for number, size, text in text_lines(lines):
        try:
            fields = orjson.loads(text)
        except ValueError as exc:
            raise WrongLineError(f"line {number} is no JSON: {exc}") from exc
        if _LONG.search(text):
            _check_whole_numbers(number, text)
        if not isinstance(fields, dict):
            raise WrongLineError(f"line {number} is no JSON object, such as {{{key!r}: ...}}")
        found = fields.get(key)
        if not isinstance(found, str):
            what = (
                f"no {key!r}; it has {', '.join(map(repr, fields)) or 'nothing'}"
                if found is None
                else f"{key!r} as no text"
            )
            raise WrongLineError(f"line {number} has {what} (--input-key names what to embed)")
        yield Row(number, size, fields, found)


def _check_whole_numbers(number: int, text: str) -> None:
    """Refuse whole numbers that would be others in the output."""

    def check(digits: str) -> int:
        if not -(2**63) <= (found := int(digits)) < 2**64:
            raise WrongLineError(f"line {number} has a whole number of more than 64 bits, {digits}: make it a text")
        return found

    json.loads(text, parse_int=check)
