"""Plots of the tables in benches/RESULTS.md, and of nothing else: who measures and draws anew has new plots."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure

OURS: Final = "ollama_fast"

_OURS, _OTHER, _RANGE = "#c2410c", "#94a3b8", "#334155"
_HEADING: Final = re.compile(r"^(#+) (.*)$")
_FIGURE: Final = re.compile(r"^(-?[\d.]+)(?: \((-?[\d.]+)\.\.(-?[\d.]+)\))?$")


@dataclass(frozen=True)
class Measured:
    """A figure of a table: the median, and the middle half."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Panel:
    """
    What one half of a plot shows.

    Args:
        title: Above it.

        heading: Headings of the results that lead to the table, such as `("A burst", "asyncio")`.

        column: Head of the column.

        unit: Below it.

        rows: Those to show; None shows all.

        logarithmic: Whether its scale is.
    """

    title: str
    heading: tuple[str, ...]
    column: str
    unit: str
    rows: tuple[str, ...] | None = None
    logarithmic: bool = False


@dataclass(frozen=True)
class Plot:
    """A picture: the name of its file, and its panels."""

    name: str
    panels: tuple[Panel, ...]


STREAMS: Final = "Streams beside other clients"
PLOTS: Final = (
    Plot(
        "burst",
        (
            Panel("blocking", (STREAMS, "A burst", "blocking"), "CPU us/part", "us of CPU per part"),
            Panel("asyncio", (STREAMS, "A burst", "asyncio"), "CPU us/part", "us of CPU per part"),
        ),
    ),
    Plot(
        "live",
        (
            Panel(
                "400 live streams",
                (STREAMS, "Live streams", "400 streams"),
                "CPU us/token",
                "us of CPU per token",
            ),
            Panel(
                "1,000 live streams",
                (STREAMS, "Live streams", "1,000 streams"),
                "CPU us/token",
                "us of CPU per token, logarithmic",
                logarithmic=True,
            ),
        ),
    ),
    Plot(
        "first-part",
        (
            Panel("blocking", (STREAMS, "The first part", "blocking"), "us", "us from the call to the first part"),
            Panel("asyncio", (STREAMS, "The first part", "asyncio"), "us", "us from the call to the first part"),
        ),
    ),
    Plot(
        "vectors",
        (
            Panel("time", ("Results of the benches", "Many vectors"), "CPU ms", "ms of CPU for 512 vectors of 1024"),
            Panel("memory", ("Results of the benches", "Many vectors"), "memory MB", "MB at the peak"),
        ),
    ),
    Plot(
        "footprint",
        (
            Panel(
                "import",
                ("Results of the benches", "import"),
                "more than bare, ms",
                "ms more than a bare interpreter",
                ("ollama_fast", "ollama_fast and its aio", "httpx", "official client"),
            ),
            Panel("an idle stream", (STREAMS, "Memory of idle streams"), "KiB a stream", "KiB of memory"),
        ),
    ),
    Plot(
        "compat",
        (
            Panel(
                "a part of a burst, asyncio",
                ("`import ollama_fast.compat as ollama`", "A burst, us per part", "asyncio"),
                "CPU",
                "us of CPU",
            ),
            Panel(
                "a whole chat, asyncio",
                ("`import ollama_fast.compat as ollama`", "A whole chat, us", "asyncio"),
                "CPU",
                "us of CPU",
            ),
        ),
    ),
)


def table(results: str, heading: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Give the first table below *heading*: its rows by their names, and their cells by the heads of columns."""
    way: list[tuple[int, str]] = []
    lines = iter(results.splitlines())
    for line in lines:
        if found := _HEADING.match(line):
            way = [step for step in way if step[0] < len(found[1])] + [(len(found[1]), found[2])]
        elif line.startswith("| row |") and tuple(text for _, text in way) == heading:
            head = _cells(line)
            next(lines)
            return {cells[0]: dict(zip(head, cells, strict=True)) for cells in _rows(lines)}
    raise LookupError(f"the results have no table below {' / '.join(heading)}")


def measured(text: str) -> Measured:
    """Read a figure, such as `15.6 (15.5..15.7)`."""
    found = _FIGURE.match(text)
    if found is None:
        raise ValueError(f"{text!r} is no figure")
    median = float(found[1])
    return Measured(median, float(found[2] or median), float(found[3] or median))


def figures(panel: Panel, results: str) -> dict[str, Measured]:
    """Give what *panel* shows: the figure of each row, the least first."""
    rows = table(results, panel.heading)
    chosen = rows if panel.rows is None else {name: rows[name] for name in panel.rows}
    found = {name.replace("`", ""): measured(cells[panel.column]) for name, cells in chosen.items()}
    return dict(sorted(found.items(), key=lambda row: row[1].median))


def draw(plot: Plot, results: str) -> str:
    """Give a plot as SVG. The same figures give the same text."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ollama_fast", "font.size": 10}):
        shown = [figures(panel, results) for panel in plot.panels]
        figure = Figure(figsize=(12, 0.7 + 0.38 * max(map(len, shown))), layout="constrained")
        for axes, panel, found in zip(
            figure.subplots(1, len(shown), squeeze=False)[0], plot.panels, shown, strict=True
        ):
            names = list(found)[::-1]
            values = [found[name] for name in names]
            medians = [value.median for value in values]
            errors = [[v.median - v.low for v in values], [v.high - v.median for v in values]]
            axes.barh(names, medians, color=[_OURS if name.startswith(OURS) else _OTHER for name in names], height=0.62)
            axes.errorbar(medians, names, xerr=errors, fmt="none", ecolor=_RANGE, elinewidth=1.2, capsize=2.5)
            if panel.logarithmic:
                axes.set_xscale("log")
            for name, value in found.items():
                axes.annotate(
                    f"{value.median:g}", (value.high, name), xytext=(6, 0), textcoords="offset points", va="center"
                )
            axes.margins(x=0.16)
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.tick_params(axis="y", length=0)
            axes.set_xlabel(panel.unit)
            axes.set_title(panel.title, loc="left", fontweight="bold")
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None}, facecolor="white")
    return text.getvalue()


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _rows(lines: Iterator[str]) -> Iterator[list[str]]:
    for line in lines:
        if not line.startswith("|"):
            return
        yield _cells(line)
