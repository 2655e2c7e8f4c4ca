"""A report as one page of HTML that needs nothing else: no script, no other file, no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from ollama_fast._whole_file import replaced

from ._compare import Comparison, compare_runs, told_apart
from ._doubts import find_doubts
from ._metrics import COUNTS, SERVER, SPREADS, number, shown
from ._plots import by_load, distributions, left_out, timeline
from ._tables import ceiling, comparison_table, counts_table, errors_table, settings, spreads_table
from ._values import Run

_HEADLINE = ("output_rate", "ttft.p50", "itl.p50", "e2e.p50")
_COLOURS = (
    "A ratio has a colour where it is more than 10 % from 1, and a p90 or p99 only where ten values lie beyond it in both "
    "runs: what is less is mostly chance."
)
_HOW = (
    "Latencies are of the requests that were done, and begin when a request was to be sent: in an open loop that is "
    "when it arrived, whatever the others did. Percentiles are by linear interpolation."
)


def make_html(runs: Sequence[Run]) -> str:
    """
    Give the report of one run, or of several, which are compared to the first one.

    Args:
        runs: One run, or several, which are shown beside each other.

    Raises ImportError, which names the extra, without matplotlib.
    """
    if not runs:
        raise ValueError("no run: a report needs at least one")
    runs, several = told_apart(runs), len(runs) > 1
    title = "Streaming benchmark: " + " and ".join(dict.fromkeys(run.workload.model for run in runs))
    parts = [f"<h1>{escape(title)}</h1>", f"<p class=soft>{escape(' · '.join(_subtitle(run) for run in runs))}</p>"]
    parts += [_doubts(run, several=several) for run in runs]
    comparisons = [compare_runs(runs[0], other) for other in runs[1:]]
    parts += [_compared(comparison, place) for place, comparison in enumerate(comparisons, 1)] or [_tiles(runs[0])]
    parts += [_plots("Throughput and waits, by load", by_load(runs)), _plots("Latencies", distributions(runs))]
    parts.append(f"<p class=note>{_HOW}</p>")
    parts += [_compared_in_full(comparison, place) for place, comparison in enumerate(comparisons, 1)]
    parts += [_of_run(run, place, several=several) for place, run in enumerate(runs)]
    parts.append(_definitions())
    style = files("ollama_fast.bench").joinpath("_page.css").read_text(encoding="utf-8")
    return (
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
        '<meta name=viewport content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n"
    )


def write_html(runs: Sequence[Run], path: str | Path) -> None:
    """
    Write the report of *runs* to a file, which is whole or not there.

    Args:
        runs: One run, or several, which are shown beside each other.

        path: The file, which is replaced if it is there.
    """
    page = make_html(runs).encode()
    with replaced(path) as file:
        file.write(page)


def _subtitle(run: Run) -> str:
    server = f"Ollama {run.server}" if run.server else "server of unknown version"
    return f"{run.label} ({server}), {run.began_at}"


def _doubts(run: Run, *, several: bool) -> str:
    found = find_doubts(run)
    if not found:
        return ""
    heading = f"What to doubt of {run.label}" if several else "What to doubt"
    items = "".join(f"<li>{escape(doubt)}</li>" for doubt in found)
    return f"<div class=doubts><b>{escape(heading)}</b><ul>{items}</ul></div>"


def _tiles(run: Run) -> str:
    from ._aggregate import summarise_level

    best = max(
        ((summarise_level(level), level) for level in run.levels), key=lambda pair: pair[0].output_rate, default=None
    )
    if best is None:
        return ""
    summary, level = best
    tiles = [
        (shown(summary.output_rate, "/s"), f"output tokens/s, most: at {level.load}"),
        (shown(number(summary, "stream_rate.p50"), "/s"), f"tokens/s of a stream, median at {level.load}"),
        (shown(number(summary, "ttft.p50"), "s"), f"TTFT, median at {level.load}"),
        (shown(number(summary, "ttft.p99"), "s"), f"TTFT, p99 at {level.load}"),
    ]
    if run.ceiling is not None:
        tiles.append((shown(run.ceiling.tokens_per_second, "/s"), "tokens/s that this client read in the self-test"))
    cells = "".join(f"<div class=tile><b>{escape(value)}</b><span>{escape(name)}</span></div>" for value, name in tiles)
    return f"<div class=tiles>{cells}</div>"


def _plots(heading: str, plots: Iterable[str]) -> str:
    figures = "".join(f"<figure>{plot}</figure>" for plot in plots)
    return f"<h2>{escape(heading)}</h2>\n<div class=plots>{figures}</div>" if figures else ""


def _compared(comparison: Comparison, index: int) -> str:
    notes = [f"Not the same: {difference}." for difference in comparison.differences]
    notes += [f"Only one of them had {load}, so it is not compared." for load in comparison.unmatched]
    said = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        f"<h2>{escape(comparison.second)} compared to {escape(comparison.first)}</h2>"
        + (f"<ul class=note>{said}</ul>" if said else "")
        + comparison_table(comparison, index, keys=_HEADLINE)
        + f"<p class=note>{_COLOURS}</p>"
    )


def _compared_in_full(comparison: Comparison, index: int) -> str:
    title = f"{comparison.second} compared to {comparison.first}, in full"
    return f"<h2>{escape(title)}</h2>" + comparison_table(comparison, index)


def _of_run(run: Run, index: int, *, several: bool) -> str:
    name = f"{run.label}: " if several else ""
    lines = [timeline(run, index, place) for place in range(len(run.levels))]
    hidden = sum(map(left_out, run.levels))
    return "\n".join(
        [
            f"<h2>{escape(name)}Throughput</h2>",
            counts_table(run, index),
            f"<h2>{escape(name)}Latencies and rates</h2>",
            spreads_table(run, index, SPREADS),
            f"<h2>{escape(name)}The server's own durations</h2>",
            spreads_table(run, index, SERVER),
            errors_table(run),
            _plots(f"{name}Timeline of requests", lines),
            f"<p class=note>Of each load the first requests; {hidden} more are in the JSON.</p>" if hidden else "",
            f"<h2>{escape(name)}Self-test of the client</h2>",
            ceiling(run.ceiling, index),
            f"<h2>{escape(name)}Settings</h2>",
            settings(run),
        ]
    )


def _definitions() -> str:
    rows = "".join(
        f"<dt>{escape(metric.label)}</dt><dd>{escape(metric.definition)}</dd>"
        for metric in (*COUNTS, *SPREADS, *SERVER)
    )
    return f"<h2>Definitions</h2>\n<dl>{rows}</dl>"
