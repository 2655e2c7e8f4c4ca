"""What it costs to remember: the answer so far of a stream, per part; and what a function is as a tool."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ollama_fast._core import LineDecoder
from ollama_fast._memory import Chatted
from ollama_fast.tools import tool

PARTS: Final = 20_000
ROUNDS: Final = 25
TOOLS: Final = 1_000
_LINE: Final = b'{"model":"m","created_at":"","message":{"role":"assistant","content":" word%d"},"done":false}\n'


def _book(
    city: str, nights: int = 1, room: Literal["single", "double"] = "single", tags: list[str] | None = None
) -> str:
    """
    Book a room.

    Args:
        city: Where.
        nights: How many.
        room: Which kind.
        tags: What else matters.
    """
    return f"{city} {nights} {room} {tags}"


@dataclass(frozen=True)
class Remembered:
    """A figure per round: microseconds of CPU and bytes that a part costs, microseconds of a tool's dict."""

    microseconds: list[float] = field(default_factory=list[float])
    bytes: list[float] = field(default_factory=list[float])
    tool: list[float] = field(default_factory=list[float])


def measure() -> Remembered:
    """Follow the same parts with a memory and without, in turn."""
    body = b"".join(_LINE % number for number in range(PARTS))
    parts = list(LineDecoder().feed(body))
    found = Remembered()
    for number in range(1 + ROUNDS):
        memory = Chatted()
        without = _seconds(_checked((parts,)))
        kept = _seconds(memory.follow(ValueError, (parts,)))
        if number:
            found.microseconds.append((kept - without) / PARTS * 1e6)
            found.bytes.append(_bytes(body))
            found.tool.append(_seconds(tool(_book) for _ in range(TOOLS)) / TOOLS * 1e6)
        answer = memory.merged()
        if answer is None or len(answer["message"]["content"]) != sum(len(f" word{n}") for n in range(PARTS)):
            raise SystemExit("the answer is not what was sent")
    return found


def _checked(batches: Iterable[Iterable[Any]]) -> Generator[Any]:
    """Check parts as a stream does, and remember nothing."""
    for lines in batches:
        for part in lines:
            if "error" in part and part["error"] is not None:
                raise ValueError(part)
            message = part["message"]
            message["content"]
            if "thinking" in message or "tool_calls" in message or "logprobs" in part:
                raise ValueError(part)
            yield part


def _seconds(followed: Iterable[Any]) -> float:
    gc.disable()
    began = time.process_time()
    for _ in followed:
        pass
    ended = time.process_time()
    gc.enable()
    return ended - began


def _bytes(body: bytes) -> float:
    """Give the bytes per part that are held when all parts are gone."""
    memory = Chatted()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in memory.follow(ValueError, (LineDecoder().feed(body),)):
        pass
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return held / PARTS
