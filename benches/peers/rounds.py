"""What is measured, and the rounds in which all rows take turns."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from . import exchange, lines
from .build import Program, Skipped, build_go, build_js, compile_c
from .processes import Client, python_client, server, usage

# --- rows ------------------------------------------------------------------------------------------------------------

OURS: Final = "ollama_fast"
DECODED: Final = "decoded stream"
OFFICIAL: Final = "official client"
UNBOUNDED: Final = "official client, unbounded"
HTTPX: Final = "httpx + orjson"
AIOHTTP: Final = "aiohttp + orjson"
PYREQWEST: Final = "pyreqwest + orjson"
FLOOR: Final = "C, epoll and recv alone"
GO: Final = "Go, Ollama's client"
JS: Final = "JavaScript, Ollama's client"

BLOCKING: Final = "blocking"
ASYNCIO: Final = "asyncio"
COLOURS: Final = (BLOCKING, ASYNCIO)
OTHER: Final = "other languages"

Row = tuple[str, str]
"""Colour, or that it is of another language; and name."""

_OTHERS: Final[list[Row]] = [(OTHER, FLOOR), (OTHER, GO), (OTHER, JS)]
_BLOCKING: Final[list[Row]] = [(BLOCKING, name) for name in (OURS, DECODED, OFFICIAL, HTTPX, PYREQWEST)]
_ASYNCIO: Final[list[Row]] = [(ASYNCIO, name) for name in (OURS, DECODED, OFFICIAL, HTTPX, AIOHTTP, PYREQWEST)]


# --- tasks -----------------------------------------------------------------------------------------------------------

BURST: Final = "burst"
FIRST: Final = "first"
WHOLE: Final = "whole"
AHEAD: Final = "ahead"
IDLE: Final = "idle"
LIVE: Final[Mapping[int, str]] = {count: f"live {count}" for count in (50, 400, 1000)}
LINES: Final = "lines"
SECTIONS: Final = (LINES, BURST, FIRST, WHOLE, AHEAD, IDLE, *LIVE.values())

LINES_OF_LIVE: Final = 100
MILLISECONDS: Final = 20
BURSTS: Final = 3
SHORT_STREAMS: Final = 30
WHOLE_CALLS: Final = 50
IDLE_STREAMS: Final = 1_000


@dataclass(frozen=True)
class Task:
    """
    What a row is told in a round.

    Args:
        words: What its process is told.

        model: What the text of the answer belongs to.

        every: In which rounds: every so many, beginning with the first; None for only the first.

        times: How often, one after the other.

        fresh: Whether in a process of its own, started for that.
    """

    section: str
    row: Row
    words: tuple[str, ...]
    model: str
    every: int | None = 1
    times: int = 1
    fresh: bool = False

    def in_round(self, number: int) -> bool:
        """Whether it has its turn in that round."""
        return number == 0 if self.every is None else number % self.every == 0


def _tasks() -> Iterator[Task]:
    burst = f"burst-{exchange.BURST}"
    for row in [*_BLOCKING, *_ASYNCIO, *_OTHERS]:
        yield Task(BURST, row, ("streams", burst, "1"), burst, times=BURSTS)
    for row in [*_BLOCKING, *_ASYNCIO]:
        if row[1] != DECODED:
            yield Task(FIRST, row, ("first", str(SHORT_STREAMS)), exchange.SHORT_MODEL)
            yield Task(WHOLE, row, ("whole", str(WHOLE_CALLS)), exchange.WHOLE_MODEL)
    for row in [*_BLOCKING, *_ASYNCIO]:
        if row[1] in {OURS, OFFICIAL}:
            yield Task(AHEAD, row, ("ahead",), exchange.AHEAD_MODEL)
    for name, every in {OURS: 1, AIOHTTP: 3, UNBOUNDED: 3}.items():
        yield Task(IDLE, (ASYNCIO, name), ("idle", str(IDLE_STREAMS)), exchange.IDLE_MODEL, every=every, fresh=True)
    live = f"live-{LINES_OF_LIVE}-{MILLISECONDS}"
    for count, section in LIVE.items():
        for row in [*_ASYNCIO, (ASYNCIO, UNBOUNDED), *_OTHERS]:
            if row[1] in _EVERY[count]:
                yield Task(section, row, ("streams", live, str(count)), live, every=_EVERY[count][row[1]])


# What takes long, or is there for the record, is measured in fewer rounds; the rest in every one.
_EVERY: Final[Mapping[int, Mapping[str, int | None]]] = {
    50: {**dict.fromkeys((OURS, OFFICIAL, HTTPX, AIOHTTP, FLOOR), 1), GO: 3, JS: 3},
    400: {**dict.fromkeys((OURS, OFFICIAL, UNBOUNDED, AIOHTTP, FLOOR), 1), HTTPX: 3, GO: 3, JS: 3},
    1000: {**dict.fromkeys((OURS, AIOHTTP, FLOOR), 1), OFFICIAL: None, UNBOUNDED: 3, GO: 3, JS: 3},
}

TASKS: Final = tuple(_tasks())


# --- what was found --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Results:
    """Figures by section, row, name and round; what was measured several times in a round has its median there."""

    rounds: int
    versions: list[str] = field(default_factory=list[str])
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    found: dict[str, dict[Row, dict[str, dict[int, float]]]] = field(
        default_factory=dict[str, dict[Row, dict[str, dict[int, float]]]]
    )

    def add(self, section: str, row: Row, name: str, number: int, figure: float) -> None:
        """Keep a figure of a round."""
        self.found.setdefault(section, {}).setdefault(row, {}).setdefault(name, {})[number] = figure

    def rows(self, section: str) -> list[Row]:
        """Give the rows that were measured."""
        return list(self.found.get(section, {}))

    def figures(self, section: str, row: Row, name: str) -> list[float]:
        """Give the figures of all rounds."""
        return list(self.found[section][row][name].values())

    def pairs(self, section: str, row: Row, other: Row, name: str) -> tuple[list[float], list[float]]:
        """Give the figures of two rows in the rounds that have both."""
        mine, theirs = self.found[section][row][name], self.found[section][other][name]
        both = [number for number in mine if number in theirs]
        return [mine[number] for number in both], [theirs[number] for number in both]


def measure(rounds: int, sections: set[str]) -> Results:
    """Measure the *sections* in so many rounds."""
    results = Results(rounds)
    programs = _programs(results)
    tasks = [task for task in TASKS if task.section in sections and task.row[1] not in results.skipped]
    with server(compile_c("replay_server")) as port, ExitStack() as stack:
        clients = {row: stack.enter_context(_client(row, port, programs)) for row in {task.row: None for task in tasks}}
        for row, client in clients.items():
            _warm_up(row, client)
        for number in range(rounds):
            print(f"round {number + 1} of {rounds} ...", flush=True)
            if LINES in sections:
                for name, figure in lines.measure().items():
                    results.add(LINES, (BLOCKING, name), "cpu", number, figure)
            for task in tasks:
                if task.in_round(number):
                    _do(task, clients[task.row], port, programs, results, number)
    return results


def _programs(results: Results) -> dict[str, Program]:
    floor = compile_c("floor")
    results.versions.append(floor.version)
    programs = {FLOOR: floor}
    for name, build in {GO: build_go, JS: build_js}.items():
        built = build()
        if isinstance(built, Skipped):
            results.skipped[name] = built.reason
        else:
            programs[name] = built
            results.versions.append(built.version)
    if importlib.util.find_spec("pyreqwest") is None:
        results.skipped[PYREQWEST] = "pyreqwest is not installed"
    for name, reason in results.skipped.items():
        print(f"{name} is skipped: {reason}", flush=True)
    return programs


def _client(row: Row, port: int, programs: Mapping[str, Program]) -> Client:
    colour, name = row
    url = f"http://127.0.0.1:{port}"
    if colour != OTHER:
        return python_client(colour, name, url)
    return Client([*programs[name].command, str(port) if name == FLOOR else url])


def _warm_up(row: Row, client: Client) -> None:
    client.ask("streams", "burst-2000", "1")
    if row[0] != BLOCKING:
        client.ask("streams", "live-10-20", "20")


def _do(task: Task, client: Client, port: int, programs: Mapping[str, Program], results: Results, number: int) -> None:
    usage(port)
    before = usage(port)["cpu"]
    if task.fresh:
        with _client(task.row, port, programs) as own:
            found = [own.ask(*task.words)]
    else:
        found = [client.ask(*task.words) for _ in range(task.times)]
    served = usage(port)
    right = exchange.expected(task.model)
    if any(one["text"] != right for one in found):
        raise RuntimeError(f"{' '.join(task.row)} gave something else than was sent: {task.words}")
    for name, figure in _summary(found).items():
        results.add(task.section, task.row, name, number, figure)
    results.add(task.section, task.row, "server cpu", number, (served["cpu"] - before) / task.times)
    results.add(task.section, task.row, "server late", number, served["late"])


def _summary(found: list[dict[str, Any]]) -> dict[str, float]:
    """Give one figure of each name: the median of its figures, but of lags the greatest."""
    names = {name for one in found for name in one} - {"text"}
    together = {name: [figure for one in found for figure in _several(one[name])] for name in names}
    return {name: max(figures) if name == "lags" else median(figures) for name, figures in together.items()}


def _several(figures: float | list[float]) -> list[float]:
    return figures if isinstance(figures, list) else [figures]
