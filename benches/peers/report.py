"""What was measured beside other clients, as a part of benches/RESULTS.md."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from benches import machine
from benches.table import Figure, over, short, table

from . import rounds
from .exchange import BURST as PARTS
from .rounds import ASYNCIO, COLOURS, OFFICIAL, OURS, Results, Row
from .targets import targets

_PEERS: Final = ("httpx", "httpcore", "h11", "ollama", "pydantic", "orjson", "aiohttp")


def report(results: Results, chart: str | None) -> str:
    """Give the whole text; *chart* is the name of the picture beside it, if there is one."""
    sections: dict[str, Callable[[Results], str]] = {
        rounds.BURST: _burst,
        rounds.LIVE[50]: _live,
        rounds.FIRST: _first,
        rounds.WHOLE: _whole,
        rounds.LINES: _lines,
        rounds.IDLE: _idle,
    }
    texts = [write(results) for section, write in sections.items() if section in results.found]
    picture = [] if chart is None else [f"![The figures as a picture]({chart})"]
    return "\n\n".join([_head(results), targets(results), *picture, *texts]) + "\n"


def _head(results: Results) -> str:
    today = datetime.now(tz=UTC).date().isoformat()
    peers = [*_PEERS, *(["pyreqwest"] if rounds.PYREQWEST not in results.skipped else [])]
    skipped = "".join(f"\n* Not measured: {name}, because {reason}" for name, reason in results.skipped.items())
    return f"""# Streams beside other clients

`make bench-streams` made this on {today}; do not edit. Every figure is a median, with the middle half of the
figures behind it, over {results.rounds} rounds in which all rows take turns, or as many as a row says. Ratios are
taken within a round. Every row is a process of its own with all of its modules imported and warmed up, and CPU is
that of all of its threads in user and kernel. Garbage is collected before the clock runs, and as usual while it
does. The text of every answer is checked against what was sent. Compare
only within a table: another machine, or the same one on another day, has other figures.

The server (`benches/peers/replay_server.c`, one thread of C) sends an HTTP chunk per line, as Ollama does. Clients
are used as they come, but where a bound on connections would let a stream wait for another, it is lifted, for the
official client in a row of its own. Rows with orjson take the lines from the library's own reader of lines, or
split its chunks where it has none.

* Machine: {machine.machine()}, Linux {platform.release()}
* Versions: {machine.versions(peers)}; {"; ".join(results.versions)}{skipped}"""


def _name(row: Row) -> str:
    return row[1]


def _ratio(results: Results, section: str, row: Row, other: Row, name: str) -> object:
    """Give how many times as much a row has as another one, if there are rounds with both."""
    if other not in results.rows(section):
        return ""
    mine, theirs = results.pairs(section, row, other, name)
    return over(mine, theirs) if mine else ""


def _figure(results: Results, section: str, row: Row, name: str, unit: float) -> Figure:
    return Figure.of(figure / unit for figure in results.figures(section, row, name))


def _colours(results: Results, section: str) -> Iterator[tuple[str, list[Row]]]:
    for colour in (*COLOURS, rounds.OTHER):
        rows = [row for row in results.rows(section) if row[0] == colour]
        if rows:
            yield colour, rows


def _burst(results: Results) -> str:
    text = f"""## A burst

{PARTS:,} lines of a chat at once, over a connection that is open; the median of {rounds.BURSTS} in each round. The
decoded stream is `response.extensions["ndjson"]` of `ollama_fast`'s transport in a client of httpx: what is more in
`chat_stream` is the check of each part and the memory of the answer. The row in C decodes nothing."""
    for colour, rows in _colours(results, rounds.BURST):
        lines = [
            (
                _name(row),
                _figure(results, rounds.BURST, row, "cpu", PARTS),
                short(min(results.figures(rounds.BURST, row, "cpu")) / PARTS),
                _ratio(results, rounds.BURST, row, (ASYNCIO if colour == rounds.OTHER else colour, OURS), "cpu"),
                _figure(results, rounds.BURST, row, "wall", PARTS),
            )
            for row in rows
        ]
        compared = "times ollama_fast" + (", asyncio" if colour == rounds.OTHER else "")
        head = ("row", "CPU us/part", "least", compared, "wall us/part")
        text += f"\n\n### {colour}\n\n" + table(head, lines)
    return text


def _live(results: Results) -> str:
    seconds = rounds.LINES_OF_LIVE * rounds.MILLISECONDS / 1000
    text = f"""## Live streams

So many streams at once on one event loop (goroutines in Go), each of {rounds.LINES_OF_LIVE} lines, one every
{rounds.MILLISECONDS} ms at a phase of its own, for {seconds:g} s: {1000 // rounds.MILLISECONDS} tokens a second and
stream. The clock runs from the first request, with no connection open, to the end of the last stream. Behind is by
how much later than the server sent it the last line of a stream was read, with the end of the stream: that of the
stream where it is most. The server is late by how much later than it should it sent a line, at worst. The row in C
has one set of all sockets inside another, as an event loop has, and receives: it decodes nothing."""
    for count, section in rounds.LIVE.items():
        if section not in results.found:
            continue
        tokens = count * rounds.LINES_OF_LIVE
        lines = [
            (
                _name(row),
                len(results.figures(section, row, "cpu")),
                _figure(results, section, row, "cpu", tokens),
                short(min(results.figures(section, row, "cpu")) / tokens),
                _ratio(results, section, row, (ASYNCIO, OURS), "cpu"),
                _figure(results, section, row, "wall", 1e6),
                _figure(results, section, row, "lags", 1e3),
                _figure(results, section, row, "server cpu", tokens),
                _figure(results, section, row, "server late", 1e3),
            )
            for row in results.rows(section)
        ]
        head = (
            "row",
            "rounds",
            "CPU us/token",
            "least",
            "times ollama_fast",
            "wall s",
            "behind, ms",
            "server CPU us/token",
            "server late, ms",
        )
        text += f"\n\n### {count:,} streams\n\n" + table(head, lines)
    return text


def _by_colour(results: Results, section: str, head: Sequence[str], names: Sequence[str], text: str) -> str:
    """Give a table for each colour with some figures, and how the first compares with the official client's."""
    for colour, rows in _colours(results, section):
        lines = [
            (
                _name(row),
                *(_figure(results, section, row, name, 1) for name in names),
                _ratio(results, section, (colour, OFFICIAL), row, names[0]),
            )
            for row in rows
        ]
        text += f"\n\n### {colour}\n\n" + table(["row", *head, "official client's, times this"], lines)
    return text


def _first(results: Results) -> str:
    text = f"""## The first part

From the call to the first part of a stream of two lines, over a connection that is open: the median of
{rounds.SHORT_STREAMS} in each round."""
    text = _by_colour(results, rounds.FIRST, ["us"], ["first"], text)
    if rounds.AHEAD in results.found:
        text += """

Nobody may hold a part back until the next one comes: the server sends a line, and another one 300 ms later. The first
part was there so much before the second line was sent:"""
        lines = [
            (f"{_name(row)}, {row[0]}", _figure(results, rounds.AHEAD, row, "early", 1e3))
            for row in results.rows(rounds.AHEAD)
        ]
        text += "\n\n" + table(("row", "ms"), lines)
    return text


def _whole(results: Results) -> str:
    text = f"""## A small answer in one piece

`chat` without streaming, over a connection that is open: one of {rounds.WHOLE_CALLS} in each round."""
    return _by_colour(results, rounds.WHOLE, ["CPU us", "wall us"], ["cpu", "wall"], text)


def _lines(results: Results) -> str:
    text = f"""## A line into a dict

{PARTS:,} different lines of a chat, without any I/O."""
    lines = [(f"`{_name(row)}`", _figure(results, rounds.LINES, row, "cpu", 1)) for row in results.rows(rounds.LINES)]
    return f"{text}\n\n" + table(("row", "CPU us"), lines)


def _idle(results: Results) -> str:
    text = f"""## Memory of idle streams

{rounds.IDLE_STREAMS:,} streams of which the first part was read, each with a task that waits for the second, in a
fresh process: the growth of its resident memory, and so without the buffers of the kernel."""
    lines = [
        (_name(row), _figure(results, rounds.IDLE, row, "bytes", 1024 * rounds.IDLE_STREAMS))
        for row in results.rows(rounds.IDLE)
    ]
    return f"{text}\n\n" + table(("row", "KiB a stream"), lines)
