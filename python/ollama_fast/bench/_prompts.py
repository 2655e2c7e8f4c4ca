"""A file of prompts to values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ._values import Prompt


def read_prompts(path: str | Path) -> tuple[Prompt, ...]:
    """
    Read a file of prompts: one a line, or where the name ends in .jsonl or .ndjson one JSON value a line.

    Args:
        path: Of UTF-8 text. Blank lines are skipped. A JSON value is a text, an object with `prompt`, or an object with
            `messages`, as chat takes them.

    Raises OSError if it cannot be read, and ValueError, which names the line, if it is not of this form or empty.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as exc:
        raise ValueError(f"{path} is not UTF-8 text: {exc}") from exc
    is_json = path.suffix.lower() in (".jsonl", ".ndjson")
    prompts = tuple(_decoded(path, lines) if is_json else (Prompt(line) for line in lines if line.strip()))
    if not prompts:
        raise ValueError(f"{path} holds no prompt: write one a line")
    return prompts


def _decoded(path: Path, lines: Iterable[str]) -> Iterator[Prompt]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield _prompt(json.loads(line))
        except ValueError as exc:
            raise ValueError(f"{path}, line {number}: {exc}") from exc


def _prompt(value: Any) -> Prompt:
    match value:
        case str() if value:
            return Prompt(value)
        case {"prompt": str(text)} if text:
            return Prompt(text)
        case {"messages": [_, *_] as messages} if all(isinstance(message, dict) for message in messages):
            return Prompt(messages=tuple(messages))
        case _:
            raise ValueError('neither a text, nor {"prompt": "..."}, nor {"messages": [...]}')
