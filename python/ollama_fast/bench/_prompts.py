"""A file of prompts to values, and whether they can be sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ollama_fast import _endpoints
from ollama_fast._text_lines import TextLine, is_json_lines, text_lines

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
        with path.open("rb") as file:
            lines = text_lines(file)
            prompts = tuple(_decoded(lines) if is_json_lines(path) else (Prompt(line.text) for line in lines))
    except ValueError as exc:
        raise ValueError(f"{path}: {exc}") from exc
    if not prompts:
        raise ValueError(f"{path} holds no prompt: write one a line")
    return prompts


def _decoded(lines: Iterator[TextLine]) -> Iterator[Prompt]:
    import orjson

    for line in lines:
        try:
            prompt = _prompt(orjson.loads(line.text))
            refuse_unsendable(prompt)
        except ValueError as exc:
            raise ValueError(f"line {line.number}: {exc}") from exc
        yield prompt


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


def messages_of(prompt: Prompt) -> list[Any]:
    """Give what chat is asked with."""
    return list(prompt.messages) or [{"role": "user", "content": prompt.text}]


def refuse_unsendable(prompt: Prompt) -> None:
    """Raise ValueError if no request can be made of *prompt*: in the midst of a load would be too late."""
    try:
        _endpoints.chat("any", messages_of(prompt)).encode(stream=True)
    except TypeError as exc:
        raise ValueError(str(exc)) from exc
