"""What the figures should be, beside what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from benches.table import Figure, over, short, table

from . import lines, rounds
from .exchange import BURST as PARTS
from .rounds import ASYNCIO, BLOCKING, COLOURS, DECODED, OFFICIAL, OTHER, OURS, Results, Row

MINE: Final = (ASYNCIO, OURS)


@dataclass(frozen=True)
class Target:
    """
    A bound, and what was measured.

    Args:
        bound: It is kept if the figure is at most, or at least, that.

        judged: The figure that is held against it: the median of all rounds, or the worst of them.

        least: The same between the least figures of all rounds, where two rows are compared.
    """

    what: str
    bound: float
    measured: Figure
    judged: float
    least: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether it is met."""
        return self.judged >= self.bound if self.at_least else self.judged <= self.bound

    def cells(self) -> tuple[str, ...]:
        """Give the row of a table."""
        bound = f"at {'least' if self.at_least else 'most'} {self.bound:.3g}"
        least = "" if self.least is None else short(self.least)
        return self.what, bound, str(self.measured), least, "met" if self.met else "**not met**"


def targets(results: Results) -> str:
    """Give the table of all targets whose rows were measured."""
    known = list(_targets(results))
    met = sum(target.met for target in known)
    text = f"""## Targets

{met} of {len(known)} are met. The median is judged, but of delays and of the time before the second line the worst
round. The column before the last compares the least figures of all rounds: noise of a shared machine only ever adds."""
    head = ("what", "target", "measured", "between the least", "")
    return "\n\n".join([text, table(head, [target.cells() for target in known]), *_remark(results)])


def _remark(results: Results) -> Iterator[str]:
    section, theirs = rounds.LIVE[400], (ASYNCIO, rounds.UNBOUNDED)
    if theirs in results.rows(section):
        ratio = over(*results.pairs(section, theirs, MINE, "cpu"))
        behind = Figure.of(figure / 1e6 for figure in results.figures(section, theirs, "lags"))
        yield f"""The official client of the targets is used as it comes. Of 400 streams it reads 100 at a time, because
httpx opens no more connections if it is not told to. Told to, it costs {ratio} times the CPU of ollama_fast per token,
and its last parts come up to {behind} s late: who is behind gets several parts at once, which makes each cheaper."""


def _targets(results: Results) -> Iterator[Target]:
    makers: dict[str, Callable[[Results], Iterator[Target]]] = {
        rounds.BURST: _burst,
        rounds.LIVE[50]: _live_50,
        rounds.LIVE[400]: _live_400,
        rounds.LIVE[1000]: _live_1000,
        rounds.FIRST: _first,
        rounds.AHEAD: _ahead,
        rounds.WHOLE: _whole,
        rounds.LINES: _lines,
        rounds.IDLE: _idle,
    }
    for section, make in makers.items():
        if section in results.found:
            yield from make(results)


def _burst(results: Results) -> Iterator[Target]:
    for colour, times in {BLOCKING: 18, ASYNCIO: 15}.items():
        what = f"A part of a burst, {colour}: times as cheap as the official client's"
        yield _times(results, rounds.BURST, (colour, OFFICIAL), (colour, OURS), what, times)
    for colour, bound in {BLOCKING: 0.15, ASYNCIO: 0.45}.items():
        ours, decoded = results.pairs(rounds.BURST, (colour, OURS), (colour, DECODED), "cpu")
        more = Figure.of((a - b) / PARTS for a, b in zip(ours, decoded, strict=True))
        what = f"A part of a burst, {colour}: CPU us more than of the decoded stream alone"
        yield Target(what, bound, more, more.median, (min(ours) - min(decoded)) / PARTS)


def _live_50(results: Results) -> Iterator[Target]:
    what = "50 live streams: CPU as a part of that of aiohttp + orjson"
    yield _ratio(results, rounds.LIVE[50], MINE, (ASYNCIO, rounds.AIOHTTP), "cpu", what, 1)


def _live_400(results: Results) -> Iterator[Target]:
    section = rounds.LIVE[400]
    what = "400 live streams: times as cheap as the official client"
    yield _times(results, section, (ASYNCIO, OFFICIAL), MINE, what, 8)
    wall = [figure / 1e6 for figure in results.figures(section, MINE, "wall")]
    yield Target("400 live streams of 2 s: s of wall", 2.2, Figure.of(wall), Figure.of(wall).median, min(wall))
    what = "400 live streams: CPU over that of C with epoll and recv alone"
    yield _ratio(results, section, MINE, (OTHER, rounds.FLOOR), "cpu", what, 3)


def _live_1000(results: Results) -> Iterator[Target]:
    lags = [figure / 1e6 for figure in results.figures(rounds.LIVE[1000], MINE, "lags")]
    what = f"1,000 live streams, all complete in {len(lags)} rounds: s by which a last part came late at worst"
    yield Target(what, 0.5, Figure.of(lags), max(lags))


def _first(results: Results) -> Iterator[Target]:
    for colour in COLOURS:
        what = f"Time to first part, {colour}, as a part of the official client's"
        yield _ratio(results, rounds.FIRST, (colour, OURS), (colour, OFFICIAL), "first", what, 1 / 3)


def _ahead(results: Results) -> Iterator[Target]:
    for colour in COLOURS:
        early = [figure / 1e3 for figure in results.figures(rounds.AHEAD, (colour, OURS), "early")]
        what = f"No read-ahead, {colour}: ms from the first part to when the second line is sent, of 300"
        yield Target(what, 0, Figure.of(early), min(early), at_least=True)


def _whole(results: Results) -> Iterator[Target]:
    for colour, bound in {BLOCKING: 3, ASYNCIO: 5}.items():
        what = f"A small whole call, {colour}: times as cheap as the official client's"
        yield _times(results, rounds.WHOLE, (colour, OFFICIAL), (colour, OURS), what, bound)


def _lines(results: Results) -> Iterator[Target]:
    what = "A line into a dict, without I/O, as a part of orjson's CPU"
    yield _ratio(results, rounds.LINES, (BLOCKING, lines.OURS), (BLOCKING, lines.ORJSON), "cpu", what, 1)


def _idle(results: Results) -> Iterator[Target]:
    size = [growth / rounds.IDLE_STREAMS / 1024 for growth in results.figures(rounds.IDLE, MINE, "bytes")]
    what = "Memory of an idle stream and the task that waits for it, KiB"
    yield Target(what, 8, Figure.of(size), Figure.of(size).median, min(size))


def _ratio(results: Results, section: str, ours: Row, theirs: Row, name: str, what: str, bound: float) -> Target:
    mine, other = results.pairs(section, ours, theirs, name)
    ratio = Figure.of(a / b for a, b in zip(mine, other, strict=True))
    return Target(what, bound, ratio, ratio.median, min(mine) / min(other))


def _times(results: Results, section: str, theirs: Row, ours: Row, what: str, bound: float) -> Target:
    other, mine = results.pairs(section, theirs, ours, "cpu")
    ratio = Figure.of(a / b for a, b in zip(other, mine, strict=True))
    return Target(what, bound, ratio, ratio.median, min(other) / min(mine), at_least=True)
