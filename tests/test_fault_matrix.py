"""Every fault, in both colours, streamed and whole, on the fast path and over httpx: see fault_matrix.py."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar

import pytest

import compare_faults
from colours import BOTH, Colour, Seen
from exchange import Exchange, load_all
from fault_matrix import (
    ELSEWHERE,
    KWARGS,
    MATRIX,
    MODES,
    NEXT_OVER_HTTPX,
    OVER_HTTPX,
    PARTS,
    Mode,
    Row,
    answer,
    fault_of,
)
from ollama_fast import Host, Limits, Timeout, errors
from ollama_fast._delegation import VARIABLE
from ollama_fast._plan import HERE
from ollama_fast.testing import FAULTS, Fault, Server, serve
from ollama_fast.testing._replaying import at_once
from ollama_fast.testing._wire import wire
from transports import eventually

T = TypeVar("T")
Over: TypeAlias = Literal["fast", "httpx"]

DEADLINE: Final = 60.0
PATIENT: Final = Timeout(connect=30, first_part=DEADLINE, idle=DEADLINE)
HASTY: Final = Timeout(connect=30, first_part=0.4, idle=0.4)
"""Where only a limit ends the call."""
LOW: Final = Limits(max_line_bytes=1 << 20, max_head_bytes=1 << 15, max_body_bytes=1 << 22)
"""Where there is too much of something, so that it need not be much."""
SECRET: Final = "the-key-of-this-host"


@pytest.fixture(params=["fast", "httpx"])
def over(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Over:
    """Say what calls go over. It is asked for where a pool begins, and each test begins without any."""
    found: Over = request.param
    if found == "fast" and not HERE:
        pytest.skip("the Rust transport has no sockets on this system")
    monkeypatch.setenv(VARIABLE, found)
    return found


@pytest.fixture(params=BOTH, ids=str)
def colour(request: pytest.FixtureRequest) -> Iterator[Colour]:
    """Both colours, for asyncio with one event loop for all calls of a test, so that they share connections."""
    found: Colour = request.param
    with asyncio.Runner() as runner:
        yield replace(found, run=runner.run) if found.asynchronous else found


def ended(work: Callable[[], T], *servers: Server) -> T:
    """Give what *work* gives, but fail rather than hang, with what was seen."""
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as exc:  # noqa: BLE001 - raised in the thread of the test
            failed.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(DEADLINE)
    if failed:
        raise failed[0]
    if not found:
        frame = sys._current_frames().get(thread.ident or 0)
        where = "".join(traceback.format_stack(frame)) if frame else "nowhere"
        saw = [(len(server.requests), server.connections, len(server.abandoned)) for server in servers]
        pytest.fail(f"it still ran after {DEADLINE} s; requests, connections, abandoned: {saw}; it was at\n{where}")
    return found[0]


def call(colour: Colour, host: Host, mode: Mode) -> Seen:
    if mode == "streamed":
        return colour.parts("chat_stream", host, **KWARGS)
    return colour.attempt("chat", host, **KWARGS)


def is_right(seen: Seen, mode: Mode) -> None:
    assert seen.error is None, seen.error
    assert seen.parts == PARTS[mode]


def text(parts: list[Any]) -> str:
    return "".join(part["message"]["content"] for part in parts)


def check(seen: Seen, row: Row, mode: Mode, over: Over) -> None:
    """Compare what a call came to with the matrix."""
    expected, recorded = row.expected(mode), PARTS[mode]
    error = OVER_HTTPX[row.name, mode][0] if over == "httpx" and (row.name, mode) in OVER_HTTPX else expected.error
    assert type(seen.error) is (error or type(None)), seen.error
    assert len(seen.parts) == expected.parts
    for number, (part, right) in enumerate(zip(seen.parts, recorded, strict=False)):
        assert number == row.changed or part == right, number
    if seen.error is not None:
        assert seen.error.partial == seen.partial
    if expected.partial:
        assert text([seen.partial]) == text(recorded[: expected.partial])
    elif expected.error is not None:
        assert seen.partial is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", MATRIX, ids=lambda row: row.name)
def test_every_fault(row: Row, mode: Mode, colour: Colour, over: Over) -> None:
    timeout, limits = HASTY if row.waits else PATIENT, LOW if row.large else Limits()
    with serve(answer) as elsewhere, serve(answer) as server:
        host = Host(server.url, auth=SECRET, timeout=timeout, limits=limits)
        server.fault = fault_of(row.name, elsewhere.url)
        check(ended(lambda: call(colour, host, mode), server, elsewhere), row, mode, over)
        if row.name == ELSEWHERE:
            (request,) = elsewhere.requests
            assert SECRET not in str(request.headers)
        eventually(lambda: server.underway == 0)  # all has gone wrong that was to go wrong
        server.fault = None
        patient = host.with_options(timeout=PATIENT)
        if over == "httpx" and row.name in NEXT_OVER_HTTPX:
            seen = ended(lambda: call(colour, patient, mode), server)
            assert type(seen.error) is NEXT_OVER_HTTPX[row.name][0]
        is_right(ended(lambda: call(colour, patient, mode), server), mode)
        assert all(request.header("authorization") == f"Bearer {SECRET}" for request in server.requests)


def test_the_matrix_has_all_faults_and_each_once() -> None:
    names = [row.name for row in MATRIX]
    assert sorted(names) == sorted({*FAULTS, ELSEWHERE})
    assert len(names) * len(MODES) * len(BOTH) * 2 >= 200
    assert {*NEXT_OVER_HTTPX, *(name for name, _ in OVER_HTTPX)} <= set(names)


def test_the_page_shows_all_faults() -> None:
    page = (Path(__file__).parent.parent / "docs" / "reliability.md").read_text(encoding="utf-8")
    made = page.partition(compare_faults.BEGIN)[2].partition(compare_faults.END)[0]
    by_default, _, limited = made.partition("`ollama` has no limit of time")
    rows = re.compile(r"^\| ([^|]+) \|(?: [^|]+ \|){4}$", re.MULTILINE)
    assert rows.findall(by_default) == ["Fault", *(row.name for row in MATRIX)]
    assert rows.findall(limited) == ["Fault", *(row.name for row in MATRIX if row.waits)]


# --- the cutting of the bytes ----------------------------------------------------------------------------------------


def streams() -> dict[str, Exchange]:
    """Give the recorded streams that came to their end."""
    found = {name: exchange for name, exchange in load_all().items() if exchange.call.function.endswith("_stream")}
    whole = {name: exchange for name, exchange in found.items() if exchange.response.status == 200}
    return {name: exchange for name, exchange in whole.items() if b'"error"' not in exchange.body}


def arrived(exchange: Exchange, byte: int) -> tuple[bool, list[Any]]:
    """Give whether the head is in the first *byte* bytes of a reply, and the parts that are."""
    sent = wire(exchange.response)
    left = byte - len(sent.head)
    content = b""
    for framed, chunk in zip(sent.parts, exchange.response.chunks, strict=True):
        before = framed.index(b"\n") + 1 if framed != chunk.data else 0  # the line with a chunk's size
        content += chunk.data[: max(0, left - before)]
        left -= len(framed)
    # A line that is not ended may be half of one, but behind the last byte of all there is nothing more to come.
    *lines, rest = content.split(b"\n")
    if rest and byte >= len(sent):
        lines.append(rest)
    return byte >= len(sent.head), [json.loads(line) for line in lines]


@pytest.mark.parametrize("exchange", [pytest.param(exchange, id=name) for name, exchange in streams().items()])
def test_what_arrived_before_a_cut_is_delivered_wherever_it_is(exchange: Exchange, colour: Colour, over: Over) -> None:
    length = len(wire(exchange.response))
    _, everything = arrived(exchange, length)
    with serve(lambda _: at_once(exchange.response)) as server:
        host = Host(server.url, timeout=PATIENT)
        for number, byte in enumerate(range(0, length + 1, max(1, length // 23))):
            server.fault = Fault.cut("close", byte=byte) + Fault.pieces([length, 101, 13][number % 3])
            seen = ended(lambda: colour.parts(exchange.call.function, host, **exchange.call.kwargs), server)
            has_head, parts = arrived(exchange, byte)
            assert seen.parts == parts, byte
            cut = errors.IncompleteStreamError if has_head else errors.TransportError
            assert type(seen.error) is (type(None) if parts == everything else cut), (byte, seen.error)
            eventually(lambda: server.underway == 0)
