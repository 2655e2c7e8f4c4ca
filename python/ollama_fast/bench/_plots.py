"""The plots of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from ._aggregate import Summary, e2e, itls, summarise_level, ttft
from ._metrics import shown
from ._svg import figure
from ._values import ClosedLoop, Level, Run, Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS: Final = ("#2f7ed8", "#e0752d", "#2a9d6f", "#b265c9", "#c9a227", "#d64561")
"""Of the runs, and in a plot of one run of its loads; they are told apart on white and on black."""
_DASHES: Final = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))
_MOST_BARS: Final = 400
_MOST_STEPS: Final = 500
_WIDE: Final = 50
"""How many times the least value the most is, when only powers of ten have room for their names."""
_LEAST: Final = 1e-6
"""Seconds: parts that arrived together have no time between them that a logarithm could show."""
_WAITS, _STREAMS, _FAILED, _CUT = "#9db7d5", "#2f7ed8", "#d64561", "#8a8a8a"


def distributions(runs: Sequence[Run]) -> list[str]:
    """Give plots of how TTFT, ITL and E2E are distributed under each load."""
    return [
        _distribution("ttft", "Time to first token", runs, _ttfts),
        _distribution("itl", "Inter-token latency", runs, _itls),
        _distribution("e2e", "End-to-end latency", runs, _e2es),
    ]


def by_load(runs: Sequence[Run]) -> list[str]:
    """Give plots of throughput and of TTFT against the load; none if there is but one load of a kind."""
    found: list[str] = []
    for closed in (True, False):
        chosen = [
            (run, [level for level in run.levels if isinstance(level.load, ClosedLoop) == closed]) for run in runs
        ]
        if max((len(levels) for _, levels in chosen), default=0) < 2:
            continue
        axis = "concurrency (workers)" if closed else "requests that arrive a second"
        kind = "workers" if closed else "rates"
        found.append(_against(f"throughput-{kind}", "Output tokens/s, in all", axis, chosen, _output_rate))
        found.append(_against(f"streams-{kind}", "Tokens/s of each stream, median", axis, chosen, _stream_rate))
        found.append(_against(f"ttft-{kind}", "TTFT: p50 (line) to p99", axis, chosen, _ttft_p50, most=_ttft_p99))
    return found


def timeline(run: Run, number: int, place: int) -> str:
    """Give a plot of the requests of a load in time: how each waits for its first token, and then streams."""
    level = run.levels[place]
    samples = level.samples[:_MOST_BARS]
    from matplotlib.ticker import MaxNLocator

    def draw(axes: Axes) -> None:
        for name, colour, spans in _bars(samples):
            if spans:
                rows, begins, ends = zip(*spans, strict=True)
                width = max(1.0, min(6.0, 180 / len(samples)))
                axes.hlines(rows, begins, ends, colors=colour, linewidth=width, label=name)
        axes.set_ylim(len(samples) + 0.5, -0.5)
        axes.set_title(str(level.load))
        axes.set_xlabel("seconds since the load began")
        axes.set_ylabel("request")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        _legend(axes, 4)

    return figure(f"timeline-{number}-{place}", draw)


def left_out(level: Level) -> int:
    """Give how many requests the timeline of *level* does not show."""
    return max(0, len(level.samples) - _MOST_BARS)


# --- distributions ---------------------------------------------------------------------------------------------------


def _ttfts(samples: Sequence[Sample]) -> Iterator[float]:
    return (first for sample in samples if (first := ttft(sample)) is not None)


def _itls(samples: Sequence[Sample]) -> Iterator[float]:
    return chain.from_iterable(map(itls, samples))


def _e2es(samples: Sequence[Sample]) -> Iterator[float]:
    return map(e2e, samples)


def _distribution(name: str, title: str, runs: Sequence[Run], values_of: Any) -> str:
    def draw(axes: Axes) -> None:
        loads = list(dict.fromkeys(str(level.load) for run in runs for level in run.levels))
        for number, run in enumerate(runs):
            for level in run.levels:
                done = [sample for sample in level.samples if sample.outcome == "done"]
                values = sorted(max(value, _LEAST) for value in values_of(done))
                if not values:
                    continue
                values, shares = _steps(values)
                label = str(level.load) if len(runs) == 1 else f"{level.load}, {run.label}"
                axes.step(
                    [values[0], *values],
                    [0, *shares],
                    where="post",
                    color=_COLOURS[loads.index(str(level.load)) % len(_COLOURS)],
                    linestyle=_DASHES[number % len(_DASHES)],
                    label=label,
                )
        axes.set_title(title)
        axes.set_xscale("log")
        _time_axis(axes.xaxis)
        axes.set_ylim(0, 1.02)
        axes.set_ylabel("share of all" if name == "itl" else "share of requests")
        axes.yaxis.set_major_formatter(lambda value, _place: f"{value:.0%}")
        _legend(axes, 4 if len(runs) == 1 else 1)

    rows = 1 + max(len(run.levels) for run in runs) // 4 if len(runs) == 1 else sum(len(run.levels) for run in runs)
    return figure(name, draw, height=3.2 + 0.22 * rows)


def _steps(values: list[float]) -> tuple[list[float], list[float]]:
    """Give the heights of the steps at *values*, which ascend; of many values, as many as a plot can show."""
    count = len(values)
    places = range(count) if count <= _MOST_STEPS else [count * step // _MOST_STEPS for step in range(_MOST_STEPS)]
    chosen = [*places, count - 1]
    return [values[place] for place in chosen], [(place + 1) / count for place in chosen]


def _legend(axes: Axes, columns: int) -> None:
    """Put a legend below everything, where it hides nothing."""
    if axes.get_legend_handles_labels()[0]:
        drawn = axes.figure.legend(loc="outside lower center", ncols=columns)
        drawn.set_in_layout(True)


def _time_axis(axis: Any) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    least, most = axis.get_view_interval()
    subs = (1,) if most > _WIDE * least else (1, 2, 5)
    axis.set_major_locator(LogLocator(subs=subs, numticks=8))
    axis.set_major_formatter(lambda value, _place: shown(value, "s").replace(".00", "").replace(".0", ""))
    axis.set_minor_formatter(NullFormatter())


# --- against the load ------------------------------------------------------------------------------------------------


def _output_rate(summary: Summary) -> float | None:
    return summary.output_rate if summary.done else None


def _stream_rate(summary: Summary) -> float | None:
    return summary.stream_rate.p50 if summary.stream_rate else None


def _ttft_p50(summary: Summary) -> float | None:
    return summary.ttft.p50 if summary.ttft else None


def _ttft_p99(summary: Summary) -> float | None:
    return summary.ttft.p99 if summary.ttft else None


def _against(
    name: str, title: str, axis: str, chosen: Sequence[tuple[Run, list[Level]]], value_of: Any, *, most: Any = None
) -> str:
    def draw(axes: Axes) -> None:
        ticks: set[float] = set()
        highest_of_all = 0.0
        for number, (run, levels) in enumerate(chosen):
            found = [(_size(level), summarise_level(level)) for level in levels]
            points = sorted(
                (size, value_of(one), most and most(one)) for size, one in found if value_of(one) is not None
            )
            if not points:
                continue
            sizes, values, highest = zip(*points, strict=True)
            ticks.update(sizes)
            highest_of_all = max(highest_of_all, *values, *(highest if most else ()))
            colour = _COLOURS[number % len(_COLOURS)]
            axes.plot(
                sizes, values, marker="o", color=colour, label=run.label, linestyle=_DASHES[number % len(_DASHES)]
            )
            if most:
                axes.fill_between(sizes, values, highest, color=colour, alpha=0.18, linewidth=0)
        axes.set_title(title)
        axes.set_xlabel(axis)
        axes.set_xticks(sorted(ticks), [f"{tick:g}" for tick in sorted(ticks)])
        axes.set_ylim(0, 1.1 * highest_of_all if highest_of_all else None)
        if most:
            axes.yaxis.set_major_formatter(lambda value, _place: shown(value, "s") if value else "0")
        if len(chosen) > 1:
            _legend(axes, 1)

    return figure(name, draw, height=3.2 + 0.22 * len(chosen))


def _size(level: Level) -> float:
    return level.load.workers if isinstance(level.load, ClosedLoop) else level.load.rate


# --- timelines -------------------------------------------------------------------------------------------------------

_Spans = list[tuple[int, float, float]]


def _bars(samples: Sequence[Sample]) -> Iterator[tuple[str, str, _Spans]]:
    waits: _Spans = []
    streams: dict[str, _Spans] = {"done": [], "failed": [], "cut": []}
    for row, sample in enumerate(samples):
        first = sample.arrivals[0] if sample.arrivals else sample.ended
        waits.append((row, sample.intended, first))
        streams[sample.outcome].append((row, first if sample.arrivals else sample.intended, sample.ended))
    yield "waits for its first token", _WAITS, waits
    yield "streams", _STREAMS, streams["done"]
    yield "failed", _FAILED, streams["failed"]
    yield "cut", _CUT, streams["cut"]
