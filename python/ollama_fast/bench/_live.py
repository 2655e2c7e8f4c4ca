"""
The table that grows on a terminal while a server is measured.

Drawing it takes rich some ten milliseconds, which would be seen in the latencies. So it is drawn between two loads;
while one runs, a line below says how far it is, and that is one short write.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from ._aggregate import Spread, Summary, summarise_level
from ._metrics import shown
from ._running import Begun, Told
from ._values import Ceiling, Level, Run, Sample

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ._compare import ComparedNumber, Comparison

HEADS: Final = ("Load", "Done", "Req/s", "Tok/s", "/stream", "TTFT", "ITL", "E2E")
_PAUSE: Final = 0.25
"""Seconds from one writing of the line to the next, at least."""


def cells(level: Level, summary: Summary) -> list[str]:
    """Give a row of the table; of a latency p50 and p99."""
    return [
        f"{level.load}{' (cut)' if level.cut else ''}",
        f"{summary.done}{f' ({summary.failed} failed)' if summary.failed else ''}",
        shown(summary.request_rate, "/s"),
        shown(summary.output_rate, "/s"),
        shown(summary.stream_rate.p50 if summary.stream_rate else None, "/s"),
        *map(_middle_and_tail, (summary.ttft, summary.itl, summary.e2e)),
    ]


def _middle_and_tail(found: Spread | None) -> str:
    if found is None:
        return "-"
    middle, unit = shown(found.p50, "s").split()
    tail, other = shown(found.p99, "s").split()
    return f"{middle} / {tail} {unit}" if unit == other else f"{middle} {unit} / {tail} {other}"


def said_of(ceiling: Ceiling | None) -> str:
    """Say in a sentence what the client can do at most."""
    if ceiling is None:
        return "Self-test: the client's own ceiling was not measured."
    what = (
        f"this client reads {shown(ceiling.tokens_per_second, '/s')} tokens/s in {shown(ceiling.streams, '')} streams"
    )
    shares = f"client {ceiling.client_cpu:.0%}, server {ceiling.server_cpu:.0%} of a core"
    limit = {
        "client": "the client was the limit",
        "server": "the server was the limit, so the client can do more",
        "neither": "other programs took the rest",
    }
    return f"Self-test: {what} ({shares}: {limit[ceiling.limited_by]})."


@contextmanager
def table(console: Console, title: str) -> Generator[Callable[[Told], None]]:
    """Show a table of what is measured, and give what is to be told of it; nothing is shown before a load begins."""
    if console.is_terminal:
        with _live(console, title) as tell:
            yield tell
    else:
        yield _plain(console, title)


def _plain(console: Console, title: str) -> Callable[[Told], None]:
    """Give what writes lines: that a load begins, and what came of it, at once, so that a log shows where it is."""
    begun = False

    def tell(what: Told) -> None:
        nonlocal begun
        match what:
            case Begun(load=load):
                if not begun:
                    console.file.write(f"{title}; latencies: p50 / p99\n")
                begun = True
                console.file.write("self-test of the client ...\n" if load is None else f"{load} ...\n")
            case Level():
                row = cells(what, summarise_level(what))
                console.file.write(", ".join(f"{head} {cell}" for head, cell in zip(HEADS, row, strict=True)) + "\n")
            case Sample():
                return
        console.file.flush()

    return tell


@contextmanager
def _live(console: Console, title: str) -> Generator[Callable[[Told], None]]:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    rows: list[Sequence[str]] = []
    state: dict[str, Any] = {"load": "", "done": 0, "failed": 0, "written": 0.0, "began": monotonic()}

    def tell(what: Told) -> None:
        match what:
            case Begun():
                live.start(refresh=True)
                load = "self-test of the client" if what.load is None else str(what.load)
                state.update(load=load, done=0, failed=0, began=monotonic(), written=0.0)
                write()
            case Sample():
                state["failed" if what.outcome == "failed" else "done"] += 1
                write()
            case Level():
                rows.append(cells(what, summarise_level(what)))
                live.update(drawn(), refresh=True)

    def write() -> None:
        now = monotonic()
        if now - state["written"] < _PAUSE:
            return
        state["written"] = now
        failed = f", {state['failed']} failed" if state["failed"] else ""
        console.file.write(f"\r\x1b[2K{state['load']}: {state['done']} done{failed}, {now - state['began']:.0f} s")
        console.file.flush()

    def drawn() -> Group:
        return Group(_drawn(title, rows), Text(""))  # the line below is the one that is written over

    live = Live(drawn(), console=console, auto_refresh=False)
    try:
        yield tell
        if live.is_started:
            live.update(drawn(), refresh=True)
    finally:
        live.stop()


def _drawn(title: str, rows: Sequence[Sequence[str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    found = Table(title=Text(f"{title}; latencies: p50 / p99"), title_justify="left", box=None, pad_edge=False)
    found.collapse_padding = True  # so that it goes into 80 columns
    for place, head in enumerate(HEADS):
        found.add_column(Text(head, style="bold"), justify="right" if place else "left", no_wrap=place == 0)
    for row in rows:
        found.add_row(*map(Text, row))
    return found


def print_comparison(console: Console, runs: Sequence[Run]) -> None:
    """Print how each of *runs* but the first one compares to that, a line a number."""
    from ._compare import compare_runs, told_apart

    first, *others = told_apart(runs)
    for other in others:
        found = compare_runs(first, other)
        if console.is_terminal:
            _print_table(console, found)
        else:
            console.file.write(f"{found.second} compared to {found.first}\n")
            for load, label, ours, theirs, ratio in map(_compared, _chosen(found)):
                console.file.write(f"{load}, {label}: {ours} and {theirs}, ratio {ratio}\n")
            console.file.flush()
        for difference in found.differences:
            say(console, f"Not the same: {difference}.")


def say(console: Console, text: str) -> None:
    """Write a sentence in one line, which a terminal breaks where it is too long."""
    console.out(text.translate(_NO_CONTROLS), highlight=False)


_NO_CONTROLS: Final = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), "\ufffd")
"""What a terminal would obey: labels are from files, and messages from servers."""


def _chosen(comparison: Comparison) -> list[ComparedNumber]:
    return [row for row in comparison.rows if not row.key.endswith((".mean", ".p90"))]  # the others are in the report


def _compared(row: ComparedNumber) -> tuple[str, str, str, str, str]:
    ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
    return row.load, row.label, shown(row.first, row.unit), shown(row.second, row.unit), ratio


def _print_table(console: Console, comparison: Comparison) -> None:
    from rich.table import Table
    from rich.text import Text

    first, second = (name.translate(_NO_CONTROLS) for name in (comparison.first, comparison.second))
    drawn = Table("Load", "Metric", title=Text(f"{second} compared to {first}"), box=None, pad_edge=False)
    for head in (Text(first, overflow="fold"), Text(second, overflow="fold"), Text("Ratio")):
        drawn.add_column(head, justify="right", overflow="fold")
    for row in _chosen(comparison):
        style = "" if row.better is None else "green" if row.better else "red"
        *texts, ratio = _compared(row)
        drawn.add_row(*map(Text, texts), Text(ratio, style=style))
    console.print(drawn)
