"""What a reader of a report should doubt. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ._aggregate import Summary, summarise_level
from ._values import Level, OpenLoop, Run

_NEAR: Final = 0.5
"""Share of its ceiling from which a client is near it: beyond, its own waits show in the latencies."""
_BUSY: Final = 0.8
"""Share of a core from which the client is busy."""
_LATE: Final = 0.010
"""Seconds from which a request of an open loop was sent late: timers have a millisecond."""
_FEW: Final = 100
"""Values below which a 99th percentile is little more than the greatest one."""


def find_doubts(run: Run) -> list[str]:
    """
    Say in sentences what may make the numbers of *run* other than they look; none if nothing does.

    Args:
        run: What was measured.
    """
    found = ["The benchmark was broken off: what was measured by then is here."] if run.cut else []
    if run.ceiling is None:
        found.append("The client's own ceiling was not measured, so it may have been what was measured.")
    elif run.ceiling.limited_by == "neither":
        found.append(
            "Other programs took part of this machine's processors in the self-test, and so perhaps before it."
        )
    for level in run.levels:
        found += [f"{level.load}: {doubt}." for doubt in _of_level(level, summarise_level(level), run)]
    if few := [str(level.load) for level in run.levels if 0 < summarise_level(level).done < _FEW]:
        found.append(f"Under {_FEW} requests, p99 of TTFT and E2E is hardly but the greatest one: {', '.join(few)}.")
    return found


def _of_level(level: Level, summary: Summary, run: Run) -> Iterator[str]:
    if run.ceiling is not None and summary.output_rate >= _NEAR * run.ceiling.tokens_per_second:
        share = summary.output_rate / run.ceiling.tokens_per_second
        yield f"the load came to {share:.0%} of what this client can read, so the client may have been the limit"
    if summary.client_cpu >= _BUSY:
        yield f"the client took {summary.client_cpu:.0%} of a core, so it may have been the limit"
    if isinstance(level.load, OpenLoop) and summary.lag is not None and summary.lag.p99 >= _LATE:
        yield f"the client sent requests up to {summary.lag.max * 1e3:.0f} ms late; that counts in their latencies"
    if summary.failed:
        rest = "nothing was measured" if not summary.done else "latencies are of the others"
        yield f"{summary.failed} of {summary.requests} requests failed; {rest}"
        for one in summary.errors:
            yield f"{one.count} {one.kind}: {one.message}"
    if summary.cut:
        longest = max(sample.ended - sample.intended for sample in level.samples if sample.outcome == "cut")
        yield (
            f"{summary.cut} requests, the oldest of {longest:.3g} s, were not answered to their end when it was broken "
            "off; they are missing from the latencies, which so look better than they were"
        )
    if summary.counted_parts:
        yield f"the server did not count the tokens of {summary.counted_parts} answers, so their parts were counted"
