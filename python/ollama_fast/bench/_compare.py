"""Two runs, side by side. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ._aggregate import Summary, summarise_level
from ._metrics import COUNTS, SPREADS, Metric, Unit, number
from ._values import Level, Run

_COMPARED = ("request_rate", "output_rate")
_STATISTICS = ("mean", "p50", "p90", "p99")
_NOTHING: Final = 0.1
"""Share by which two runs of the same server may differ: a smaller change is called neither better nor worse."""
_ENOUGH: Final = {"p90": 100, "p99": 1000}
"""Values of each run from which ten lie beyond a percentile; with fewer it is mostly chance."""


@dataclass(frozen=True, slots=True)
class ComparedNumber:
    """
    A number under one load in both runs.

    Args:
        key: As `summary` has it, such as "ttft.p99".

        ratio: The second one divided by the first one; None if one was not measured, or the first one is 0.
    """

    load: str
    key: str
    label: str
    unit: Unit
    first: float | None
    second: float | None
    ratio: float | None
    better: bool | None
    """Whether the second one is better; None if nobody can say, also since one server differs from itself so much."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    Two runs, by the loads that both had.

    Args:
        unmatched: Loads that only one of them had.

        differences: What else was not the same, and so may be why the numbers differ.
    """

    first: str
    second: str
    rows: tuple[ComparedNumber, ...]
    unmatched: tuple[str, ...]
    differences: tuple[str, ...]


def told_apart(runs: Sequence[Run]) -> list[Run]:
    """Give *runs* with labels that differ: those of one host get when they began, and those of one moment a number."""
    labels = Counter(run.label for run in runs)
    dated = [run if labels[run.label] == 1 else replace(run, label=f"{run.label} {run.began_at[:19]}") for run in runs]
    again = Counter(run.label for run in dated)
    return [
        run if again[run.label] == 1 else replace(run, label=f"{run.label} #{number}")
        for number, run in enumerate(dated, 1)
    ]


def compare_runs(first: Run, second: Run) -> Comparison:
    """
    Compare two runs, of one host or of two, load by load.

    Args:
        first: The run that ratios are over.

        second: The other one.
    """
    ours = {str(level.load): level for level in first.levels}
    theirs = {str(level.load): level for level in second.levels}
    rows = [row for load in ours if load in theirs for row in _rows(load, ours[load], theirs[load])]
    return Comparison(
        first.label,
        second.label,
        tuple(rows),
        tuple(load for load in (*ours, *theirs) if (load in ours) != (load in theirs)),
        tuple(_differences(first, second)),
    )


def _rows(load: str, first: Level, second: Level) -> list[ComparedNumber]:
    ours, theirs = summarise_level(first), summarise_level(second)
    counts = [
        _row(load, metric, metric.key, metric.label, ours, theirs) for metric in COUNTS if metric.key in _COMPARED
    ]
    return counts + [
        _row(load, metric, f"{metric.key}.{statistic}", f"{metric.label} {statistic}", ours, theirs)
        for metric in SPREADS
        if metric.key != "lag"
        for statistic in _STATISTICS
    ]


def _row(load: str, metric: Metric, key: str, label: str, ours: Summary, theirs: Summary) -> ComparedNumber:
    first, second = number(ours, key), number(theirs, key)
    ratio = second / first if first and second is not None else None
    better = None
    is_known = all(_are_enough(summary, key) for summary in (ours, theirs))
    if (
        is_known
        and ratio is not None
        and second is not None
        and metric.better is not None
        and abs(ratio - 1) > _NOTHING
    ):
        better = (ratio < 1) == (metric.better == "less")
    return ComparedNumber(load, key, label, metric.unit, first, second, ratio, better)


def _are_enough(summary: Summary, key: str) -> bool:
    name, _, statistic = key.partition(".")
    return statistic not in _ENOUGH or (number(summary, f"{name}.count") or 0) >= _ENOUGH[statistic]


def _differences(first: Run, second: Run) -> list[str]:
    pairs = {
        "host": (first.host, second.host),
        "server": (first.server, second.server),
        "model": (first.workload.model, second.workload.model),
        "API": (first.workload.api, second.workload.api),
        "num_predict": (first.workload.num_predict, second.workload.num_predict),
        "options": (dict(first.workload.options), dict(second.workload.options)),
        "client machine": (
            (first.machine.processor, first.machine.cores, first.machine.system),
            (second.machine.processor, second.machine.cores, second.machine.system),
        ),
        "client versions": (dict(first.machine.versions), dict(second.machine.versions)),
        "requests": (first.amount.requests, second.amount.requests),
        "seconds": (first.amount.seconds, second.amount.seconds),
    }
    found = [f"{name}: {ours} and {theirs}" for name, (ours, theirs) in pairs.items() if ours != theirs]
    if first.workload.prompts != second.workload.prompts:
        found.append("the prompts are not the same")
    return found
