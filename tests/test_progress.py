"""How far a pull, push or create is: the fold of its parts, and where it is shown."""

from __future__ import annotations

import asyncio
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ollama_fast
from colours import Colour
from exchange import Exchange, load_all
from ollama_fast import Progress, aio
from ollama_fast._progress import Tally
from ollama_fast.errors import DecodeError, IncompleteStreamError, ModelNotFoundError, ResponseError, StreamClosedError
from replay import Received, replay, respond_from

EXCHANGES = load_all()
BIG: Any = {"status": "pulling aa", "digest": "sha256:aa", "total": 1000}
SMALL: Any = {"status": "pulling bb", "digest": "sha256:bb", "total": 100}
SUCCESS: Any = {"status": "success"}


def fold(*parts: dict[str, Any], every: float = 1.0) -> list[Progress]:
    tally = Tally()
    return [tally.add(part, place * every) for place, part in enumerate(parts)]


# --- the fold --------------------------------------------------------------------------------------------------------


def test_bytes_of_all_layers_add_up() -> None:
    seen = fold(
        {"status": "pulling manifest"},
        BIG,
        {**BIG, "completed": 500},
        {**BIG, "completed": 1000},
        SMALL,
        {**SMALL, "completed": 100},
        {"status": "verifying sha256 digest"},
        SUCCESS,
    )
    assert [(each.completed, each.total) for each in seen] == [
        (0, 0),
        (0, 1000),
        (500, 1000),
        (1000, 1000),
        (1000, 1100),
        (1100, 1100),
        (1100, 1100),
        (1100, 1100),
    ]
    assert [each.status for each in seen][-2:] == ["verifying sha256 digest", "success"]
    assert [each.done for each in seen] == [False] * 7 + [True]
    assert [each.fraction for each in seen] == [0, 0, 0.5, 0.999, 0.999, 0.999, 0.999, 1]


def test_a_last_part_below_its_total_is_whole_at_the_end_and_one_that_falls_stands_still() -> None:
    seen = fold({**BIG, "completed": 900}, {**BIG, "completed": 300}, {**BIG, "total": 10}, SUCCESS)
    assert [each.completed for each in seen] == [900, 900, 900, 1000]
    assert [each.total for each in seen] == [1000, 1000, 1000, 1000]


def test_the_rate_is_of_bytes_that_moved_and_not_of_those_that_were_there() -> None:
    seen = fold({**BIG, "completed": 600}, {**BIG, "completed": 700}, {**BIG, "completed": 800})
    assert [each.rate for each in seen] == [None, 100, 100]
    assert [each.eta for each in seen] == [None, 3, 2]


def test_the_rate_follows_the_last_ten_seconds() -> None:
    fast = [{**BIG, "total": 100_000, "completed": 1000 * second} for second in range(20)]
    slow = [{**BIG, "total": 100_000, "completed": 19_000 + 10 * second} for second in range(1, 31)]
    rates = [each.rate for each in fold(*fast, *slow)]
    assert rates[19] == 1000
    assert 10 < (rates[24] or 0) < 1000
    assert rates[-1] == 10
    stalled = fold(*fast, *[fast[-1]] * 20)[-1]
    assert (stalled.rate, stalled.eta) == (0, None)


PARTS = st.lists(
    st.builds(
        lambda digest, total, completed: {
            "status": "pulling",
            **({"digest": digest} if digest else {}),
            **({"total": total} if total is not None else {}),
            **({"completed": completed} if completed is not None else {}),
        },
        st.sampled_from(["", "a", "b", "c"]),
        st.none() | st.integers(-5, 1000),
        st.none() | st.integers(-5, 1500),
    ),
    max_size=30,
)


@given(PARTS, st.floats(0, 5))
def test_nothing_ever_goes_backwards(parts: list[dict[str, Any]], every: float) -> None:
    seen = fold(*parts, SUCCESS, every=every)
    for before, after in pairwise(seen):
        assert before.completed <= after.completed <= after.total >= before.total
        assert 0 <= before.fraction <= after.fraction <= 1
        assert not before.done
        assert before.fraction < 1
    assert seen[-1].done
    assert seen[-1].fraction == 1
    assert seen[-1].completed == seen[-1].total
    assert all(each.rate is None or each.rate >= 0 for each in seen)


@pytest.mark.parametrize("count", [True, 2**63, 10**400, -1, 1.5, "7", None], ids=lambda count: repr(count)[:20])
def test_what_is_no_count_of_bytes_counts_for_nothing(count: Any) -> None:
    (now,) = fold({**BIG, "total": count, "completed": count})
    assert (now.completed, now.total) == (0, 0)


def test_a_status_that_is_no_text_is_a_decode_error(both: Colour) -> None:
    with pytest.raises(DecodeError, match="no text"):
        fold({"status": 5})
    line = b'{"status":5}\n'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n" % len(line)
    with replay(respond=lambda _request: iter([head + line])) as server:
        _, error = drain(both, "show_progress", lambda: both.module.pull_stream(server.url, "m"), to=io.StringIO())
    assert isinstance(error, DecodeError)


def test_what_is_no_stream_is_refused_at_the_call(both: Colour) -> None:
    for name in ("progress", "show_progress"):
        with pytest.raises(TypeError, match=r"parts must be a Stream, or parts that were kept, not int"):
            getattr(both.module, name)(5)


def test_progress_is_a_frozen_value() -> None:
    (one,) = fold(BIG)
    with pytest.raises(AttributeError):
        one.total = 5  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue] - what is tried
    assert one == fold(BIG)[0]


# --- in both colours -------------------------------------------------------------------------------------------------


def drain(colour: Colour, name: str, stream: Callable[[], Any], **options: Any) -> tuple[list[Any], Any]:
    """Give what `progress` or `show_progress` gives of a stream, or of parts, and the error that ended it."""
    seen: list[Any] = []
    relayed = getattr(colour.module, name)
    if not colour.asynchronous:
        try:
            with relayed(stream(), **options) as parts:
                for part in parts:
                    seen.append(part)  # noqa: PERF402 - those before an error count
        except Exception as error:  # noqa: BLE001 - it is what is looked at
            return seen, error
        return seen, None

    async def run() -> tuple[list[Any], Any]:
        try:
            async with relayed(stream(), **options) as parts:
                async for part in parts:
                    seen.append(part)  # noqa: PERF401 - those before an error count
        except Exception as error:  # noqa: BLE001 - it is what is looked at
            return seen, error
        return seen, None

    drained: tuple[list[Any], Any] = colour.run(run())
    return drained


def lines_of(exchange: Exchange) -> list[Any]:
    return [json.loads(line) for line in exchange.body.splitlines()]


@pytest.mark.parametrize("name", ["pull_stream", "push_stream"])
def test_a_recorded_stream_has_progress(both: Colour, over: str, name: str) -> None:
    exchange = EXCHANGES[name]
    with replay([exchange], pace="fast") as server:
        call = exchange.call
        seen, error = drain(both, "progress", lambda: getattr(both.module, name)(server.url, **call.kwargs))
        shown: list[Progress] = []
        parts, wrong = drain(
            both, "show_progress", lambda: getattr(both.module, name)(server.url, **call.kwargs), to=shown.append
        )
    assert (error, wrong) == (None, None), over
    layers = {part["digest"]: part["total"] for part in parts if "digest" in part}
    assert parts == lines_of(exchange)
    assert len(seen) == len(parts)
    assert seen[-1].done
    assert (seen[-1].completed, seen[-1].total) == (sum(layers.values()), sum(layers.values()))
    assert [each.status for each in shown] == [each.status for each in seen] == [part["status"] for part in parts]


def test_an_error_is_raised_as_the_stream_raises_it(both: Colour) -> None:
    with replay([EXCHANGES["pull_unknown_model_stream"]], pace="fast") as server:
        call = EXCHANGES["pull_unknown_model_stream"].call.kwargs
        for name in ("progress", "show_progress"):
            options = {"to": io.StringIO()} if name == "show_progress" else {}
            _, error = drain(both, name, lambda: both.module.pull_stream(server.url, **call), **options)
            assert isinstance(error, ResponseError)
            assert "file does not exist" in str(error)


def test_a_stream_that_ends_without_success_is_incomplete(both: Colour) -> None:
    def respond(_request: Received) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: 30\r\n\r\n"
        yield b'{"status":"pulling manifest"}\n'

    with replay(respond=respond) as server:
        seen, error = drain(both, "progress", lambda: both.module.pull_stream(server.url, "m"))
    assert [each.status for each in seen] == ["pulling manifest"]
    assert isinstance(error, IncompleteStreamError)
    assert error.partial == {"status": "pulling manifest"}


def test_parts_that_were_kept_do_as_well(both: Colour) -> None:
    parts = [BIG, {**BIG, "completed": 1000}, SUCCESS]
    seen, error = drain(both, "progress", lambda: parts)
    assert error is None
    assert [each.completed for each in seen] == [0, 1000, 1000]
    assert isinstance(drain(both, "progress", lambda: parts[:2])[1], IncompleteStreamError)
    assert isinstance(drain(both, "progress", lambda: [BIG, {"error": "no space left on device"}])[1], ResponseError)
    assert isinstance(drain(both, "progress", list)[1], IncompleteStreamError)


def test_parts_of_another_call_are_a_type_error(both: Colour) -> None:
    with replay([EXCHANGES["chat_stream"]], pace="fast") as server:
        call = EXCHANGES["chat_stream"].call.kwargs
        _, error = drain(both, "progress", lambda: both.module.chat_stream(server.url, **call))
    assert isinstance(error, TypeError)
    assert "pull, push and create" in str(error)


def test_a_stream_of_the_other_colour_is_a_type_error_that_names_the_module() -> None:
    with pytest.raises(TypeError, match=r"ollama_fast\.aio"):
        ollama_fast.progress(aio.pull_stream("http://127.0.0.1:1", "m"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"by ollama_fast$"):
        aio.show_progress(ollama_fast.pull_stream("http://127.0.0.1:1", "m"))


class Endless:
    """A pull that goes on until somebody hangs up."""

    def __init__(self) -> None:
        self.left = False

    def __call__(self, _request: Received) -> Iterator[bytes | float]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
        line = json.dumps(BIG).encode() + b"\n"
        try:
            while True:
                yield b"%x\r\n%s\r\n" % (len(line), line)
                yield 0.01
        finally:
            self.left = True


def test_leaving_it_closes_the_stream_underneath(both: Colour) -> None:
    endless = Endless()
    with replay(respond=endless) as server:
        if not both.asynchronous:
            inside = ollama_fast.pull_stream(server.url, "m")
            with ollama_fast.progress(inside) as seen:
                next(seen)
            with pytest.raises(StreamClosedError):
                next(inside)
        else:

            async def run() -> None:
                inside = aio.pull_stream(server.url, "m")
                async with aio.progress(inside) as seen:
                    await anext(seen)
                with pytest.raises(StreamClosedError):
                    await anext(inside)

            asyncio.run(run())
    assert endless.left


def test_an_error_of_the_callers_function_ends_the_stream(both: Colour) -> None:
    endless = Endless()

    def refuse(_progress: Progress) -> None:
        raise RuntimeError("enough")

    with replay(respond=endless) as server:
        seen, error = drain(both, "show_progress", lambda: both.module.pull_stream(server.url, "m"), to=refuse)
    assert (seen, str(error)) == ([], "enough")
    assert endless.left


def test_collect_takes_what_is_shown(both: Colour) -> None:
    exchange = EXCHANGES["pull_stream"]
    with replay(respond=respond_from([exchange], pace="fast")) as server:
        if both.asynchronous:

            async def run() -> Any:
                stream = aio.pull_stream(server.url, **exchange.call.kwargs)
                return await aio.collect(aio.show_progress(stream, to=io.StringIO()))

            assert asyncio.run(run()) == SUCCESS
        else:
            stream = ollama_fast.pull_stream(server.url, **exchange.call.kwargs)
            assert ollama_fast.collect(ollama_fast.show_progress(stream, to=io.StringIO())) == SUCCESS


def test_an_unknown_model_names_itself(both: Colour) -> None:
    def respond(_request: Received) -> Iterator[bytes]:
        body = b'{"error":"model \'nope\' not found"}'
        yield b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        yield body

    with replay(respond=respond) as server:
        _, error = drain(both, "progress", lambda: both.module.push_stream(server.url, "nope"))
    assert isinstance(error, ModelNotFoundError)
    assert "nope" in str(error)


# --- where it is shown -----------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """Text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


HALF: list[Any] = [{"status": "pulling manifest"}, BIG, {**BIG, "completed": 500}, {**BIG, "completed": 1000}, SUCCESS]


def shown(out: io.StringIO, parts: list[Any], label: str = "") -> str:
    with ollama_fast.show_progress(parts, to=out, label=label) as stream:
        assert list(stream) == parts
    return out.getvalue()


def test_where_there_is_no_terminal_there_are_lines() -> None:
    many = [{**BIG, "completed": count} for count in range(1, 1001)]
    text = shown(io.StringIO(), [{"status": "pulling manifest"}, *many, SUCCESS], "llama3")
    lines = text.splitlines()
    assert lines[0] == "llama3: pulling manifest"
    assert lines[1] == "llama3: pulling aa (1 B of 1 KB)"
    assert lines[-1] == "llama3: success (1 KB of 1 KB)"
    assert len(lines) == 1 + 10 + 1
    assert "\x1b" not in text
    assert "\r" not in text


def test_a_line_of_what_moves_no_bytes_tells_of_none() -> None:
    late = [{"status": "parsing GGUF"}, {"status": "writing manifest"}, SUCCESS]
    lines = shown(io.StringIO(), [{"status": "gathering"}, BIG, {**BIG, "completed": 1000}, *late]).splitlines()
    assert lines == [
        "gathering",
        "pulling aa (0 B of 1 KB)",
        "pulling aa (1 KB of 1 KB)",
        "parsing GGUF",
        "writing manifest",
        "success",
    ]


def test_a_servers_words_do_not_reach_a_terminal_as_commands() -> None:
    for out in (io.StringIO(), Terminal()):
        text = shown(out, [{"status": "\x1b]0;owned\x07[bold]x"}, SUCCESS])
        assert "]0;owned\x07" not in text
        assert "?]0;owned?[bold]x" in text


def test_rich_draws_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    text = shown(Terminal(), HALF, "llama3")
    assert "llama3 success" in text
    assert "100%" in text
    assert "━" in text
    assert "\x1b[?25h" in text[text.rindex("success") :]  # the cursor is back


def test_tqdm_draws_where_there_is_no_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    without(monkeypatch, "rich")
    text = shown(Terminal(), HALF, "llama3")
    assert "llama3 success" in text
    assert "100%" in text
    assert "█" in text or "#" in text


def test_with_neither_there_are_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    without(monkeypatch, "rich", "tqdm")
    assert shown(Terminal(), HALF).splitlines()[-1] == "success"
    monkeypatch.undo()
    monkeypatch.setenv("TERM", "dumb")
    assert shown(Terminal(), HALF).splitlines()[-1] == "success"


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] in packages:
            monkeypatch.delitem(sys.modules, name)
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)


@pytest.mark.parametrize("bar", ["rich", "tqdm"])
def test_nothing_is_drawn_before_the_parts_are_read(bar: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    if bar == "tqdm":
        without(monkeypatch, "rich")
    out = Terminal()
    stream = ollama_fast.show_progress(HALF, to=out)
    assert out.getvalue() == ""
    assert list(stream) == HALF
    assert "100%" in out.getvalue()


@pytest.mark.parametrize("columns", [20, 40, 80, 120])
def test_the_bar_and_the_percentage_are_there_at_every_width(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    text = shown(Terminal(), HALF, "127.0.0.1:45087/me/smollm2-with-a-long-name")
    last = re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", text).rstrip().rpartition("\r")[2]
    assert "100%" in last
    assert last.count("━") >= 10
    assert len(last) < columns


def test_a_bar_that_is_left_early_gives_the_terminal_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    with ollama_fast.show_progress([BIG, SUCCESS], to=out) as stream:
        next(stream)
    assert out.getvalue().endswith(("\x1b[?25h", "\n"))
    assert "\x1b[?25h" in out.getvalue()


def test_what_is_no_place_to_show_is_a_type_error(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="to must be a function of a Progress"):
        ollama_fast.show_progress([], to=tmp_path)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_stderr_is_where_it_is_shown_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert ollama_fast.collect(ollama_fast.show_progress([BIG, SUCCESS])) == SUCCESS
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("success (1 KB of 1 KB)\n")
