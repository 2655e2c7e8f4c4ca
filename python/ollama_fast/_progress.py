"""The parts of a pull, push or create, folded into how far all of it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, Generic, NamedTuple, TypeVar

from .errors import DecodeError

E = TypeVar("E")

_WINDOW: Final = 10.0
"""Seconds that the rate is taken over: long enough to be steady, short enough to follow a line that slows down."""
_STEP: Final = 0.25
"""Seconds between two marks in that window: servers send a part every 60 ms."""
_LEAST: Final = 0.5
"""Seconds of movement before a rate is said: the first parts come in one go."""
_ALMOST: Final = 0.999
"""The largest fraction before the end: a server that has all bytes still verifies and writes them."""

_MOST: Final = 2**63
"""Servers count bytes in 64 bits: what claims to be more is no count."""


@dataclass(frozen=True, slots=True)
class Progress:
    """
    How far a pull, push or create is, over all its layers and files.

    None of `completed`, `total` and `fraction` ever falls, whatever the parts say.

    Args:
        status: What the server does now, in its own words; "success" at the end.

        completed: Bytes that are there, over all layers that were named so far.

        total: Bytes of these layers in all. It grows when another layer is named.

        fraction: Of the whole, from 0 to 1; 1 only at the end. It stands still while a layer that was named late
            catches up.

        rate: Bytes per second, over the last ten seconds; None before there is one. What had been there before counts
            as completed, but not as moved.

        eta: Seconds until all named layers are there, at this rate; None if that cannot be said.

        done: Whether this is the end.
    """

    status: str = ""
    completed: int = 0
    total: int = 0
    fraction: float = 0.0
    rate: float | None = None
    eta: float | None = None
    done: bool = False


class Tally:
    """Takes the parts of one pull, push or create, one by one, and says after each how far all of it is."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int]] = {}
        """Bytes there and bytes in all, by digest."""
        self._completed = self._total = self._moved = 0
        self._marks: deque[tuple[float, int]] = deque()
        """When how many bytes had moved, over the window."""
        self._progress = Progress()

    def add(self, part: Mapping[str, Any], now: float) -> Progress:
        """
        Take the next part, which came at *now*, in seconds on any clock that does not go back.

        Raises TypeError if it is the part of something else, such as chat, and DecodeError if it is malformed.
        """
        status = part.get("status")
        if "status" in part and not isinstance(status, str):
            raise DecodeError(f"the status of a part is no text: {part!r}")
        if not isinstance(status, str):
            raise TypeError(f"progress is of the parts of pull, push and create, which have a status, not of {part!r}")
        self._count(part)
        done = status == "success"
        if done:  # whatever a layer's last part said
            self._completed = self._total
        rate = self._rate(now)
        left = self._total - self._completed
        self._progress = Progress(
            status,
            self._completed,
            self._total,
            1.0 if done else self._fraction(),
            rate,
            0.0 if done else left / rate if rate and left else None,
            done,
        )
        return self._progress

    def _count(self, part: Mapping[str, Any]) -> None:
        digest, total, completed = part.get("digest"), _bytes(part, "total"), _bytes(part, "completed")
        if not isinstance(digest, str) or not (total or completed):
            return
        known = self._layers.get(digest)
        there, size = known or (0, 0)
        size = max(size, total, completed)
        now_there = max(there, completed)
        self._layers[digest] = now_there, size
        self._completed += now_there - there
        self._total += size - (known[1] if known else 0)
        if known is not None:  # else it was there before anybody looked
            self._moved += now_there - there

    def _fraction(self) -> float:
        if not self._total:
            return self._progress.fraction
        return max(self._progress.fraction, min(_ALMOST, self._completed / self._total))

    def _rate(self, now: float) -> float | None:
        marks = self._marks
        if not marks or now - marks[-1][0] >= _STEP:
            marks.append((now, self._moved))
        while len(marks) > 1 and now - marks[1][0] >= _WINDOW:
            marks.popleft()
        began, before = marks[0]
        if not self._moved or now - began < _LEAST:
            return self._progress.rate
        return (self._moved - before) / (now - began)


class View(NamedTuple, Generic[E]):
    """
    What parts are seen as.

    Args:
        see: Makes of each part what is given in its place.

        within: A block around all of them.
    """

    see: Callable[[Any], E]
    within: AbstractContextManager[Any]


def progress() -> View[Progress]:
    """
    Turn the parts of a pull, push or create into Progress: bytes done and in all, rate, time left.

    Args:
        parts: A Stream of `pull_stream`, `push_stream`, `create_stream` or `ensure_model_stream`, or parts that were
            kept.

    Gives a Stream: iterate over it, best in a `with` block, which closes the Stream underneath, too. Its last Progress
    is `done`; else it ends by an error: what reading the Stream raises; for parts that were kept a ResponseError,
    DecodeError or IncompleteStreamError. Parts of another call are a TypeError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#pull-a-model
    """
    tally = Tally()
    return View(lambda part: tally.add(part, perf_counter()), nullcontext())


def _bytes(part: Mapping[str, Any], key: str) -> int:
    count = part.get(key)
    if isinstance(count, bool) or not isinstance(count, int):
        return 0
    return count if 0 < count < _MOST else 0
