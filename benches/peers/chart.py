"""The figures as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import matplotlib as mpl
from benches.table import Figure, short
from matplotlib.figure import Figure as Picture

from . import rounds
from .exchange import BURST as PARTS
from .rounds import COLOURS, Results, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHADES: Final = {
    rounds.OURS: "#c2410c",
    rounds.OFFICIAL: "#1d4ed8",
    rounds.UNBOUNDED: "#93c5fd",
    rounds.HTTPX: "#0891b2",
    rounds.AIOHTTP: "#15803d",
    rounds.PYREQWEST: "#a16207",
    rounds.FLOOR: "#525252",
    rounds.GO: "#7e22ce",
    rounds.JS: "#be185d",
}
"""Rows in the picture: the decoded stream is a part of ollama_fast, and stands in the tables."""


def draw(results: Results, path: Path) -> None:
    """Write a picture of bursts and live streams, if both were measured; the format is that of the name of *path*."""
    if rounds.BURST not in results.found or not any(section in results.found for section in rounds.LIVE.values()):
        return
    # Text stays text, and the same figures make the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ollama_fast", "font.size": 10}):
        picture = Picture(figsize=(12, 5.2), layout="constrained")
        bursts, live = picture.subplots(1, 2)
        _draw_bursts(results, bursts)
        _draw_live(results, live)
        for axes in (bursts, live):
            axes.spines[["top", "right"]].set_visible(False)
        metadata = {"Date": None} if path.suffix == ".svg" else None
        picture.savefig(path, metadata=metadata, facecolor="white", dpi=100)


def _cpu(results: Results, section: str, row: Row, unit: float) -> float:
    return Figure.of(results.figures(section, row, "cpu")).median / unit


def _draw_bursts(results: Results, axes: Axes) -> None:
    rows = [row for row in results.rows(rounds.BURST) if row[1] in _SHADES]
    rows.sort(key=lambda row: _cpu(results, rounds.BURST, row, PARTS), reverse=True)
    costs = [_cpu(results, rounds.BURST, row, PARTS) for row in rows]
    names = [f"{name}, {colour}" if colour in COLOURS else name for colour, name in rows]
    axes.scatter(costs, names, c=[_SHADES[name] for _, name in rows], s=50, zorder=2)
    for cost, name in zip(costs, names, strict=True):
        axes.annotate(short(cost), (cost, name), xytext=(8, 0), textcoords="offset points", va="center")
    axes.set_xscale("log")
    ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(min(costs) / 1.3, max(costs) * 2.5)
    axes.grid(alpha=0.3)
    axes.set_xlabel("us of CPU per part (logarithmic)")
    axes.set_title(f"A burst of {PARTS:,} parts")


def _draw_live(results: Results, axes: Axes) -> None:
    measured = {count: section for count, section in rounds.LIVE.items() if section in results.found}
    lines: dict[Row, list[tuple[int, float]]] = {}
    for count, section in measured.items():
        for row in results.rows(section):
            if row[1] in _SHADES:
                cost = _cpu(results, section, row, count * rounds.LINES_OF_LIVE)
                lines.setdefault(row, []).append((count, cost))
    for row, points in sorted(lines.items(), key=lambda line: -line[1][-1][1]):
        width = 2.6 if row[1] == rounds.OURS else 1.4
        counts, costs = zip(*points, strict=True)
        axes.plot(counts, costs, marker="o", color=_SHADES[row[1]], linewidth=width, label=row[1])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(list(measured), [f"{count:,}" for count in measured])
    axes.minorticks_off()
    ticks = [5, 10, 20, 50, 100, 200, 500]
    axes.set_yticks(ticks, list(map(str, ticks)))
    axes.grid(axis="y", alpha=0.3)
    axes.set_xlabel("streams at once")
    axes.set_ylabel("us of CPU per token (logarithmic)")
    axes.set_title(f"Live streams, a token every {rounds.MILLISECONDS} ms each")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
