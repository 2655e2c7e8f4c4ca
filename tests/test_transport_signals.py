"""A blocking wait gives way: to Ctrl-C, to other threads, and to a handler that only wants to look."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from peers import deaf_listener, full_listener
from programs import Program, program
from replay import Received, replay
from transports import BLOCKING, CHUNKED, END, chunk, line, request, says

pytestmark = pytest.mark.fast

SOON = 3.0


def flood(_request: Received) -> Iterator[bytes | float]:
    block = b"x" * (1 << 18)
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"  # as much as may be read as a whole
    while True:
        yield block
        yield 0.01  # so that it lasts for longer than the test


def silent(received: Received) -> Iterable[bytes | float]:
    if received.path == "/flood":
        yield from flood(received)
    if received.path != "/head":
        yield from says(CHUNKED, line(1))
    yield 30.0


SEND = """
transport = Transport(limits=httpx.Limits(max_connections=1))
say("go")
response = transport.handle_request(request(url, {method!r}, content={content}, timeout=None))
"""
READ = """
response = Transport().handle_request(request(url, timeout=None))
lines = response.extensions["ndjson"]
say("go")
"""

PROGRAMS: dict[str, str] = {
    "connect": SEND.format(method="GET", content="None"),
    "send": SEND.format(method="POST", content="b'x' * (64 << 20)"),
    "send pieces": SEND.format(method="POST", content="iter(lambda: b'x' * 100_000, b'')"),
    "one large piece": SEND.format(method="POST", content="iter([b'x' * (64 << 20)])"),
    "head": SEND.format(method="GET", content="None"),
    "pool": SEND.format(method="GET", content="None") + "transport.handle_request(request(url, timeout=None))",
    "line": READ + "next(lines); next(lines)",
    "bytes": READ + "response.read()",
    "whole": READ + "lines.read()",
    "flood": READ + "lines.read()",
}


@contextmanager
def started(moment: str, before: str = "") -> Generator[Program]:
    """Run the program of a *moment*, with something *before* it."""
    with replay(respond=silent) as server, full_listener() as port, deaf_listener() as deaf:
        url = {
            "connect": f"http://127.0.0.1:{port}/",
            "head": f"{server.url}/head",
            "flood": f"{server.url}/flood",
        }.get(moment, deaf if "piece" in moment or moment == "send" else server.url)
        with program(before + PROGRAMS[moment], url) as running:
            assert running.heard() == "go"
            yield running


@pytest.mark.parametrize("moment", PROGRAMS)
def test_ctrl_c_at_once(moment: str) -> None:
    with started(moment) as running:
        time.sleep(0.15)
        running.signal(signal.SIGINT)
        ended = running.end()
    assert ended.code == -signal.SIGINT, ended
    assert "KeyboardInterrupt" in ended.err
    assert ended.seconds < SOON


@pytest.mark.parametrize("moment", PROGRAMS)
def test_a_signal_in_the_moment_before_a_wait_ends_it(moment: str) -> None:
    """It interrupts no system call; nor does one that another thread gets, which is how to have it happen each time."""
    elsewhere = "lambda: signal.pthread_kill(threading.get_ident(), signal.SIGINT)"
    with started(moment, f"threading.Timer(0.5, {elsewhere}).start()\n") as running:
        ended = running.end()
    assert ended.code == -signal.SIGINT, ended
    assert "KeyboardInterrupt" in ended.err


def test_a_stream_goes_on_after_an_interruption() -> None:
    """An exception of a signal's handler loses nothing: who catches it reads on."""

    class AlarmError(Exception):
        pass

    armed: list[bool] = []

    def handler(_number: int, _frame: object) -> None:
        if armed:
            armed.clear()
            raise AlarmError

    pieces = [CHUNKED, *(piece for number in range(30) for piece in (line(number)[:5], 0.003, line(number)[5:])), END]
    before = signal.signal(signal.SIGALRM, handler)
    try:
        with replay(respond=lambda _: pieces) as server, BLOCKING.session() as session:
            opened = session.open(request(server.url))
            seen: list[Any] = []
            alarms = 0
            signal.setitimer(signal.ITIMER_REAL, 0.002, 0.0037)
            while True:
                try:
                    armed.append(True)
                    seen.extend(opened.reply)  # in which nothing else runs that could be interrupted
                    armed.clear()
                    break
                except AlarmError:
                    alarms += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert [part["n"] for part in seen] == list(range(30))
            assert alarms > 3
            assert session.counts() == (1, 1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("moment", ["connect", "send", "head", "line", "pool"])
def test_a_handler_that_raises_nothing(moment: str) -> None:
    """The wait goes on, and its limit holds."""
    called: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _frame: called.append(number))
    limit = 0.3
    limits = httpx.Limits(max_connections=1)
    try:
        with (
            replay(respond=silent) as server,
            full_listener() as port,
            deaf_listener() as deaf,
            BLOCKING.session(limits=limits) as session,
        ):
            holder = session.open(request(server.url)) if moment == "pool" else None
            made = {
                "connect": request(f"http://127.0.0.1:{port}/", timeout=limit),
                "send": request(deaf, "POST", content=b"x" * (64 << 20), timeout=limit),
                "head": request(f"{server.url}/head", timeout=limit),
            }.get(moment, request(server.url, timeout=limit))
            signal.setitimer(signal.ITIMER_REAL, 0.02, 0.05)
            began = time.monotonic()
            seen = session.send(made)
            passed = time.monotonic() - began
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert isinstance(seen.error, httpx.TimeoutException)
            assert limit * 0.9 < passed < limit * 5, passed
            assert len(called) > 2
            if holder is not None:
                holder.close()
            assert session.counts() == (0, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_signals_do_not_cut_an_answer_short() -> None:
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        with (
            replay(respond=lambda _: says(0.05, CHUNKED, 0.05, line(1), 0.05, line(2), END)) as server,
            BLOCKING.session() as session,
        ):
            signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
            for _ in range(3):
                made = request(server.url, "POST", content=b"x" * 1_000_000)
                assert session.send(made).parts == [{"n": 1}, {"n": 2}]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("moment", ["connect", "send", "head", "line", "pool"])
def test_other_threads_run_while_one_waits(moment: str) -> None:
    limits = httpx.Limits(max_connections=1)
    with (
        replay(respond=silent) as server,
        full_listener() as port,
        deaf_listener() as deaf,
        BLOCKING.session(limits=limits) as session,
    ):
        holder = session.open(request(server.url)) if moment == "pool" else None
        made = {
            "connect": request(f"http://127.0.0.1:{port}/", timeout=0.3),
            "send": request(deaf, "POST", content=b"x" * (64 << 20), timeout=0.3),
            "head": request(f"{server.url}/head", timeout=0.3),
        }.get(moment, request(server.url, timeout=0.3))
        thread = threading.Thread(target=session.send, args=(made,))
        thread.start()
        turns = 0
        while thread.is_alive():
            turns += 1
            time.sleep(0.001)
        assert turns > 20, f"this thread had {turns} turns in 0.3 s"
        if holder is not None:
            holder.close()


@pytest.mark.parametrize("head", [CHUNKED, b"HTTP/1.1 200 OK\r\n\r\n"], ids=["chunked", "until close"])
@pytest.mark.parametrize("way", ["line", "chunk", "whole"])
def test_close_from_another_thread_frees_a_reader(head: bytes, way: str) -> None:
    with replay(respond=lambda _: says(head, 30.0)) as server, BLOCKING.session() as session:
        opened = session.open(request(server.url))
        errors: list[object] = []

        def read() -> None:
            try:
                errors.append(
                    {"line": opened.reply.__next__, "chunk": opened.reply.chunk, "whole": opened.reply.read}[way]()
                )
            except Exception as exc:  # noqa: BLE001 - it is looked at below
                errors.append(exc)

        thread = threading.Thread(target=read)
        thread.start()
        time.sleep(0.05)
        opened.close()
        thread.join(10)
        assert not thread.is_alive()
        assert [type(error) for error in errors] == [httpx.ReadError], errors
        assert session.counts() == (0, 0)


def test_two_threads_read_at_once() -> None:
    with replay(respond=lambda _: says(CHUNKED, 0.3, line(1), END)) as server, BLOCKING.session() as session:
        opened = session.open(request(server.url))
        seen: list[Any] = []
        thread = threading.Thread(target=lambda: seen.append(next(opened.reply)))
        thread.start()
        time.sleep(0.05)
        for read in (opened.reply.__next__, opened.reply.chunk, opened.reply.read):
            with pytest.raises(RuntimeError, match="already reading"):
                read()
        thread.join(10)
        assert seen == [{"n": 1}]
        assert list(opened.reply) == []
        assert session.counts() == (1, 1)


def test_many_threads_share_a_transport() -> None:
    payload = chunk(b'{"text":"' + b"y" * 3000 + b'"}\n')

    def respond(_request: Received) -> Iterable[bytes | float]:
        yield from says(CHUNKED, payload, 0.0005, payload, END)

    with replay(respond=respond) as server, BLOCKING.session() as session:
        seen: list[int] = []

        def work() -> None:
            for turn in range(10):
                if turn % 4 == 3:
                    session.open(request(server.url)).close()  # unread
                    continue
                seen.append(len(session.get(server.url).parts))

        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert seen == [2] * (16 * 8)
        opened, idle = session.counts()
        assert opened == idle
