"""Figures to Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles


@dataclass(frozen=True)
class Figure:
    """The median of some figures, and the quarter of them below and above which the middle half lies."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Figure:
        """Take the figures of all rounds."""
        known = list(figures)
        low, _, high = quantiles(known, n=4, method="inclusive") if len(known) > 1 else known * 3
        return cls(median(known), low, high)

    def __str__(self) -> str:
        return f"{short(self.median)} ({short(self.low)}..{short(self.high)})"


def short(number: float) -> str:
    """Give three digits of a number."""
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Give a Markdown table; all columns but the first are numbers."""
    align = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (head, align, *rows))


def minus(ours: Sequence[float], theirs: Sequence[float]) -> Figure:
    """Give the difference within each round."""
    return Figure.of(a - b for a, b in zip(ours, theirs, strict=True))


def over(theirs: Sequence[float], ours: Sequence[float]) -> Figure:
    """Give the ratio within each round."""
    return Figure.of(a / b for a, b in zip(theirs, ours, strict=True))
