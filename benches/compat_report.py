"""What `make bench-compat` measured, as its part of benches/RESULTS.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from . import machine
from .compat_rows import (
    ASYNCIO,
    BLOCKING,
    COLOURS,
    DUMP,
    EMBED,
    GENERATE,
    GENUINE,
    ITEMS,
    LENGTH,
    MODELS,
    OURS,
    PACED_STREAM,
    PARTS,
    PLAIN,
    STOCK,
    STREAM,
    TLS,
    VECTORS,
    WHOLE,
    WHOLES,
)
from .compat_server import PACE, PACED
from .table import Figure, over, short, table

PROCESS: Final = "process"
IMPORT: Final = "import"
NAMES: Final = "import of names"
FIRST_CHAT: Final = "import and a first chat"

Key: TypeAlias = tuple[str, str, str]
"""Section, colour (or that it is a process), row."""

Found: TypeAlias = dict[Key, tuple[list[float], list[float]]]
"""Microseconds of CPU and of wall: a figure per round."""

_PEERS: Final = ("httpx", "httpcore", "h11", "ollama", "pydantic", "orjson")


@dataclass(frozen=True)
class _Target:
    """How many times as fast as the official client a row should be at least."""

    what: str
    section: str
    colour: str
    row: str
    bound: float

    @property
    def key(self) -> Key:
        return self.section, self.colour, self.row

    def measured(self, found: Found) -> tuple[Figure, float] | None:
        """Give the ratio within a round, and that of the least figures; None if it was not measured."""
        ours, theirs = found.get(self.key), found.get((self.section, self.colour, GENUINE))
        if ours is None or theirs is None:
            return None
        return over(theirs[0], ours[0]), min(theirs[0]) / min(ours[0])


_TARGETS: Final = (
    _Target("import", IMPORT, PROCESS, OURS, 2),
    *(_Target(f"Making a client, {colour}", PLAIN, colour, OURS, 50) for colour in COLOURS),
    *(_Target(f"Making a client for https, {colour}", TLS, colour, OURS, 50) for colour in COLOURS),
    *(_Target(f"A part of a burst of chat, {colour}", STREAM, colour, OURS, 6) for colour in COLOURS),
    _Target("A whole chat, blocking", WHOLE, BLOCKING, OURS, 2),
    _Target("A whole chat, asyncio", WHOLE, ASYNCIO, OURS, 3.5),
    *(_Target(f"embed of {VECTORS} x {LENGTH}, {colour}", EMBED, colour, OURS, 3) for colour in COLOURS),
    *(_Target(f"A part of a burst, {colour}, over httpx's transport", STREAM, colour, STOCK, 1) for colour in COLOURS),
    *(_Target(f"A whole chat, {colour}, over httpx's transport", WHOLE, colour, STOCK, 1) for colour in COLOURS),
    *(_Target(f"embed, {colour}, over httpx's transport", EMBED, colour, STOCK, 1) for colour in COLOURS),
)


def missed(found: Found) -> set[Key]:
    """Give the rows whose targets are not met."""
    measured = {target: target.measured(found) for target in _TARGETS}
    return {target.key for target, ratio in measured.items() if ratio is not None and ratio[0].median < target.bound}


def report(found: Found, rounds: int) -> str:
    """Give the whole text."""
    return "\n\n".join([_head(rounds), _targets(found), *_sections(found)]) + "\n"


def _head(rounds: int) -> str:
    today = datetime.now(tz=UTC).date().isoformat()
    return f"""# `import ollama_fast.compat as ollama`

`make bench-compat` made this on {today}; do not edit. Every figure is a median, with the middle half of the figures
behind it, over {rounds} rounds in which all rows take turns, after one that warms up. Ratios are taken within a round.
Compare only within a table. Every row checks its own answer.

Calls, parts and clients are timed in one process, collector off, over a connection that is open, with a server in
another process. Clients are used as they come, in an environment without proxies. The rows over httpx's transport are
of clients that were given `transport=httpx.HTTPTransport()` or `httpx.AsyncHTTPTransport()`. Those with a hook have one
that does nothing, and so all of httpx's client in their way. The functions are those of `ollama_fast`, which give
dicts.

* Machine: {machine.machine()}
* Versions: {machine.versions(_PEERS)}"""


def _targets(found: Found) -> str:
    lines: list[tuple[object, ...]] = []
    met = 0
    for target in _TARGETS:
        measured = target.measured(found)
        if measured is None:
            continue
        ratio, least = measured
        kept = ratio.median >= target.bound
        met += kept
        lines.append(
            (target.what, f"at least {target.bound:.3g}", ratio, short(least), "met" if kept else "**not met**")
        )
    text = f"""## Targets

{met} of {len(lines)} are met. A figure is how many times the CPU time of `ollama_fast.compat` the official client
takes; the median is judged. The column before the last compares the least figures of all rounds: noise of a shared
machine only ever adds."""
    return f"{text}\n\n" + table(("what", "target", "measured", "between the least", ""), lines)


_TEXTS: Final = {
    IMPORT: (
        "import, ms",
        1e3,
        "The statement in fresh interpreters. The official client imports httpx and pydantic at once.",
    ),
    NAMES: ("from ... import names, ms", 1e3, "`from ... import AsyncClient, ChatResponse, Client, Message, ...`"),
    FIRST_CHAT: (
        "import and a first chat, ms",
        1e3,
        "The same with `ollama.chat(...)` after it: what was put off at import is paid here.",
    ),
    PLAIN: ("Making a client, us", 1, 'With the host `"http://127.0.0.1:11434"`.'),
    TLS: ("Making a client for https, us", 1, 'With the host `"https://example.com"`.'),
    STREAM: (
        "A burst, us per part",
        1,
        f"A chat's stream of {PARTS:,} lines at once, an HTTP chunk per line; each part's `message.content` is read.",
    ),
    PACED_STREAM: (
        "A stream with a pace, us per part",
        1,
        (
            f"A chat's stream of {PACED} lines, one every {PACE * 1e3:.0f} ms, which is what a model does. To wait, to "
            "wake and to read costs both the same, and a burst has little of it: this is nearer to an ordinary stream."
        ),
    ),
    ITEMS: ("A burst, read by items, us per part", 1, 'The same with `part["message"]["content"]`.'),
    DUMP: ("A burst, each part dumped, us per part", 1, "The same with `part.model_dump()`."),
    GENERATE: ("A burst of generate, us per part", 1, "The same for generate and `part.response`."),
    WHOLE: ("A whole chat, us", 1, f"One of {WHOLES} small answers in one piece."),
    MODELS: (
        "A part into models, us",
        1,
        (
            "The parts of that burst, decoded before, into a ChatResponse with a Message each: `ChatResponse(**part)`, "
            "pydantic's `model_construct` for both, and what `ollama_fast.compat` does."
        ),
    ),
    EMBED: (
        "Many vectors, ms",
        1e3,
        f"An embed of {VECTORS} texts, whose answer has as many vectors of {LENGTH} numbers, as lists of floats.",
    ),
}


def _sections(found: Found) -> Iterator[str]:
    for section, (title, unit, text) in _TEXTS.items():
        tables = [_table(found, section, colour, unit) for colour in (PROCESS, *COLOURS)]
        there = [text for text in tables if text]
        if there:
            yield "\n\n".join([f"## {title}", text, *there])


def _table(found: Found, section: str, colour: str, unit: float) -> str:
    rows = {row: figures for (where, how, row), figures in found.items() if (where, how) == (section, colour)}
    if not rows:
        return ""
    genuine = rows[GENUINE]
    lines = [
        (
            row,
            Figure.of(figure / unit for figure in cpu),
            short(min(cpu) / unit),
            over(genuine[0], cpu),
            Figure.of(figure / unit for figure in wall),
            over(genuine[1], wall),
        )
        for row, (cpu, wall) in rows.items()
    ]
    head = ("row", "CPU", "least", "official client's, times this", "wall", "official client's, times this")
    title = "" if colour == PROCESS else f"### {colour}\n\n"
    return title + table(head, lines)
