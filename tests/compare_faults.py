"""
What the package `ollama` and this one do about each fault of the matrix: `make compare-faults`.

Each call has a deadline, and is made by a process that is replaced if a call misses it. The table goes into
docs/reliability.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Final, Literal, TypeAlias, get_args

import ollama

import ollama_fast
from fault_matrix import KWARGS, MATRIX, MODES, NEXT_OVER_HTTPX, PARTS, Mode, Row, answer, fault_of
from ollama_fast.testing import serve

Client: TypeAlias = Literal["ollama", "ollama_fast"]
CLIENTS: Final[tuple[Client, ...]] = ("ollama", "ollama_fast")

PAGE: Final = Path(__file__).parent.parent / "docs" / "reliability.md"
BEGIN: Final = "<!-- made by make compare-faults: begin -->"
END: Final = "<!-- made by make compare-faults: end -->"

DEADLINE: Final = 60.0
LONG_DEADLINE: Final = 150.0
"""Where nothing but a limit ends the call; longer than the default limits of either package that there are."""
MEMORY: Final = 4 << 30
"""Bytes of address space that a call's process may have."""
LIMIT: Final = 2.0
"""Seconds of the limit in the second table."""


Case: TypeAlias = tuple[Row, Mode, Client]

# --- calls, which a worker makes -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What a call came to.

    Args:
        texts: Of the parts that were delivered, or of the answer.

        error: The name of the class that was raised; None for none, "" if the call did not end.

        typed: Whether the docs of the package name the class, or one that it is a kind of.

        then: What the next call came to; None if there was none.
    """

    texts: list[str]
    error: str | None
    typed: bool = False
    then: Outcome | None = None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Outcome:
        """Make it of its fields, as `asdict` gives them."""
        then = fields["then"]
        return cls(fields["texts"], fields["error"], fields["typed"], None if then is None else cls.of(then))


def one(client: Client, mode: Mode, url: str, limit: float | None, *, again: bool) -> Outcome:
    """Make one call; with *again* another, on the same client, once what follows the first has arrived."""
    call, promised = (_official if client == "ollama" else _ours)(url, limit)
    first = _attempt(call, promised, mode)
    if not again:
        return first
    time.sleep(0.5)
    return replace(first, then=_attempt(call, promised, mode))


def _attempt(call: Callable[..., Any], promised: tuple[type[Exception], ...], mode: Mode) -> Outcome:
    texts: list[str] = []
    try:
        if mode == "whole":
            texts.append(call(stream=False)["message"]["content"])
        else:
            for part in call(stream=True):
                texts.append(part["message"]["content"])  # noqa: PERF401 - those before an error count
    except Exception as exc:  # noqa: BLE001 - it is what is looked at
        kind = type(exc)
        name = (
            kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
        )
        return Outcome(texts, name, isinstance(exc, promised))
    return Outcome(texts, None)


def _official(url: str, limit: float | None) -> tuple[Callable[..., Any], tuple[type[Exception], ...]]:
    made = ollama.Client(host=url) if limit is None else ollama.Client(host=url, timeout=limit)
    return partial(made.chat, **KWARGS), (ollama.ResponseError, ollama.RequestError, ConnectionError)


def _ours(url: str, limit: float | None) -> tuple[Callable[..., Any], tuple[type[Exception], ...]]:
    host = ollama_fast.Host(url) if limit is None else ollama_fast.Host(url, timeout=limit)

    def call(*, stream: bool) -> Any:
        return (ollama_fast.chat_stream if stream else ollama_fast.chat)(host, **KWARGS)

    return call, (ollama_fast.errors.OllamaError,)


def work() -> None:
    """Make the calls that come in, a line each, and give what came of them; each has a thread of its own."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    lock = threading.Lock()

    def run(number: int, wanted: dict[str, Any]) -> None:
        found = one(**wanted)
        with lock:
            print(json.dumps([number, asdict(found)]), flush=True)

    print("ready", flush=True)
    for line in sys.stdin:
        threading.Thread(target=run, args=json.loads(line), daemon=True).start()
    os._exit(0)  # threads may hang


class Worker:
    """A process that makes calls, and is replaced by another if one of them does not end."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        command = [sys.executable, __file__, "--work"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._lines: Queue[str] = Queue()
        threading.Thread(target=self._read, args=(self._process.stdout, self._lines), daemon=True).start()
        assert self._lines.get(timeout=DEADLINE) == "ready\n"

    @staticmethod
    def _read(stdout: Iterable[str], lines: Queue[str]) -> None:
        for line in stdout:
            lines.put(line)
        lines.put("")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def make(self, calls: list[dict[str, Any]], seconds: float) -> list[Outcome]:
        """Make *calls* at once, and give what came of each in that time."""
        assert self._process.stdin is not None
        for number, wanted in enumerate(calls):
            print(json.dumps([number, wanted]), file=self._process.stdin, flush=True)
        found: dict[int, Outcome] = {}
        otherwise, deadline = "", time.monotonic() + seconds
        while len(found) < len(calls):
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                break
            if not line:  # by the bound on memory, where even the error had no place
                otherwise = "MemoryError"
                break
            number, fields = json.loads(line)
            found[number] = Outcome.of(fields)
        outcomes = [found.get(number, Outcome([], otherwise)) for number in range(len(calls))]
        if any(outcome.error in ("", "MemoryError") for outcome in outcomes):
            self.close()
            self._begin()
        return outcomes


# --- all of them -----------------------------------------------------------------------------------------------------


def all_of(cases: list[Case], limit: float | None) -> dict[Case, Outcome]:
    """Have every case met: those that only wait at once, the others by themselves."""
    waiting = [case for case in cases if case[0].waits]
    found: dict[Case, Outcome] = {}
    worker = Worker()
    try:
        for batch in [waiting, *([case] for case in cases if not case[0].waits)]:
            seconds = DEADLINE if limit is not None or batch is not waiting else LONG_DEADLINE
            found |= zip(batch, meet(worker, batch, limit, seconds), strict=True)
    finally:
        worker.close()
    return {case: found[case] for case in cases}


def meet(worker: Worker, cases: list[Case], limit: float | None, seconds: float) -> list[Outcome]:
    """Have cases met at once."""
    calls: list[dict[str, Any]] = []
    with ExitStack() as stack:
        elsewhere = stack.enter_context(serve(answer))
        for row, mode, client in cases:
            server = stack.enter_context(serve(answer))
            fault, again = fault_of(row.name, elsewhere.url), row.name in NEXT_OVER_HTTPX
            server.fault = [fault] if again else fault
            calls.append({"client": client, "mode": mode, "url": server.url, "limit": limit, "again": again})
        outcomes = worker.make(calls, seconds)
    for (row, mode, client), outcome in zip(cases, outcomes, strict=True):
        print(f"{row.name:40} {mode:9} {client:12} {verdict(row, mode, outcome)}", flush=True)
    return outcomes


# --- verdicts --------------------------------------------------------------------------------------------------------


Kind: TypeAlias = Literal["right", "hung", "lost data", "untyped", "out of memory"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a client did: one of the kinds that are counted, and what it raised, if that tells something."""

    kind: Kind
    error: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: `{self.error}`" if self.error else self.kind


def verdict(row: Row, mode: Mode, outcome: Outcome) -> Verdict:
    """Judge an outcome, by the rules that stand beside the table."""
    expected = row.expected(mode)
    texts = [part["message"]["content"] for part in PARTS[mode]]
    came = mode == "whole" or outcome.texts[: expected.parts] == texts[: expected.parts]
    fine = expected.error is None
    match outcome:
        case Outcome(error=""):
            return Verdict("hung")
        case Outcome(error="MemoryError"):
            return Verdict("out of memory")
        case Outcome(then=Outcome() as then) if then.texts != texts:
            return Verdict("lost data", f"{then.error} of the next call")
        case Outcome(error=None):
            return Verdict("right" if outcome.texts == texts and (fine or row.either) else "lost data")
        case Outcome(typed=False):
            return Verdict("untyped", outcome.error or "")
        case _:
            right = row.either or (came and not fine)
            return Verdict("right") if right else Verdict("lost data", outcome.error or "")


# --- the page --------------------------------------------------------------------------------------------------------


def report(found: Mapping[Case, Outcome], limited: Mapping[Case, Outcome]) -> str:
    """Give both tables, the rules and the count."""
    judged = {case: verdict(case[0], case[1], outcome) for case, outcome in found.items()}
    again = {case: verdict(case[0], case[1], outcome) for case, outcome in limited.items()}
    today = datetime.now(tz=UTC).date().isoformat()
    return f"""`make compare-faults` made this on {today} with `ollama` {version("ollama")} and this package, both
blocking and with their default settings; do not edit.

{_counts(judged)}

Of {len(MATRIX)} faults, each met by a streamed and by a whole call:

* **right**: the whole answer if the fault does it no harm; else an error that the package's docs promise, behind all
  parts that arrived before it. For `ollama` those are `ollama.ResponseError`, `ollama.RequestError` and
  `ConnectionError`; for this package `OllamaError`.
* **hung**: not ended after {DEADLINE:.0f} s, or {LONG_DEADLINE:.0f} s where only a limit can end it.
* **lost data**: an answer that was cut off, or that was none, was taken for whole; or parts that had arrived were not
  delivered; or a whole answer was refused; or bytes behind an answer were taken for that of the next call.
* **untyped**: another exception, such as those of httpx, json and pydantic, which its docs do not promise.
* **out of memory**: more than {MEMORY >> 30} GiB.

Where the answer is there but something beside it is wrong, such as a NaN in a field that nobody reads or a connection
that breaks behind the last part, to give it and to refuse it with a promised error are both right.

{_table(judged)}

`ollama` has no limit of time unless `Client(timeout=...)` sets one. This package waits 120 s
between two parts, and for the first, which a server may need minutes for, as long as it takes. With {LIMIT:.0f} s for
each limit, in both packages, where only a limit ends a call:

{_table(again)}"""


def _counts(judged: Mapping[Case, Verdict]) -> str:
    counts = {client: Counter(found.kind for (_, _, by), found in judged.items() if by == client) for client in CLIENTS}
    lines = [f"| Of {len(judged) // 2} calls | " + " | ".join(KINDS) + " |", "|---|" + "---:|" * len(KINDS)]
    lines += [f"| `{client}` | " + " | ".join(str(counts[client][kind]) for kind in KINDS) + " |" for client in CLIENTS]
    return "\n".join(lines)


def _table(judged: Mapping[Case, Verdict]) -> str:
    lines = [
        "| Fault | `ollama`, streamed | `ollama`, whole | `ollama_fast`, streamed | `ollama_fast`, whole |",
        "|---|---|---|---|---|",
    ]
    for row in dict.fromkeys(row for row, _, _ in judged):
        cells = [str(judged[row, mode, client]) for client in CLIENTS for mode in MODES]
        lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def written(page: str, text: str) -> str:
    """Give *page* with *text* between the marks."""
    found, count = re.subn(
        f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: f"{BEGIN}\n\n{text}\n\n{END}", page, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f"{PAGE} has the marks {count} times")
    return found


def _cases(rows: Iterable[Row]) -> Iterator[Case]:
    return ((row, mode, client) for row in rows for mode in MODES for client in CLIENTS)


def main() -> None:
    """Make one call, or all, and write the page."""
    parser = argparse.ArgumentParser(description="Have the package ollama and this one meet every fault.")
    parser.add_argument("--work", action="store_true", help="make calls that are read from standard input")
    parser.add_argument("names", nargs="*", help="faults; with any the verdicts are only printed")
    arguments = parser.parse_args()
    if arguments.work:
        work()
        return
    rows = [row for row in MATRIX if not arguments.names or row.name in arguments.names]
    by_default = all_of(list(_cases(rows)), None)
    limited = all_of(list(_cases(row for row in rows if row.waits)), LIMIT)
    if not arguments.names:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), report(by_default, limited)), encoding="utf-8")
        print(f"written into {PAGE}")


if __name__ == "__main__":
    main()
