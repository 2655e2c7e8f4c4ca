"""Whole responses cut anywhere, by the chunks of HTTP and by TCP: it makes no difference, in any colour."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colours import Colour, Seen
from exchange import load_all
from replay import HangUpError, Received, replay

HERE: Final = Path(__file__).parent
MOST: Final = 20_000
"""Bodies beyond so many bytes are as others, only slower."""


@dataclass(frozen=True)
class Answer:
    """What a server says to a call of *function*."""

    function: str
    arguments: dict[str, Any]
    status: int
    body: bytes

    def wire(self, sizes: list[int]) -> bytes:
        """Give the whole response, its body in chunks of these *sizes* and one of what is left."""
        head = b"HTTP/1.1 %d x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" % self.status
        chunks, left = b"", self.body
        for size in [*sizes, len(left)]:
            if left[:size]:
                chunks += b"%x\r\n%s\r\n" % (len(left[:size]), left[:size])
                left = left[size:]
        return head + chunks + b"0\r\n\r\n"


RECORDED: Final = [
    Answer(each.call.function, dict(each.call.kwargs), each.response.status, each.response.body)
    for folder in ("exchanges", "faults")
    for each in load_all(HERE / folder).values()
    if each.call.function.removesuffix("_stream") in {"chat", "generate", "embed", "show"}
    and 0 < len(each.response.body) < MOST
]


def part(text: str, *, done: bool = False) -> bytes:
    message = {"role": "assistant", "content": text}
    return json.dumps({"model": "m", "message": message, "done": done}, ensure_ascii=False).encode()


@st.composite
def made_up(draw: st.DrawFn) -> Answer:
    """Make a stream, often one that something is wrong with."""
    lines = [part(text) for text in draw(st.lists(st.text(max_size=20), max_size=5))]
    lines.append(
        draw(st.sampled_from([part("", done=True), part("!", done=True), part("?"), b'{"error":"e"}', b"", b"{"]))
    )
    at = draw(st.integers(0, len(lines)))
    lines[at:at] = draw(
        st.sampled_from([[], [], [], [b""], [b" \r"], [b"x"], [b'{"error":""}'], [b"[]"], [b'{"a":"\xff"}']])
    )
    body = draw(st.sampled_from([b"\n", b"\r\n", b"\n\n"])).join(lines) + draw(st.sampled_from([b"\n", b""]))
    arguments = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    return Answer("chat_stream", arguments, draw(st.sampled_from([200, 200, 200, 404])), body)


def facts(seen: Seen) -> list[Any]:
    return [seen.parts, seen.partial, type(seen.error), str(seen.error)]


def test_no_cut_makes_a_difference(every: Colour) -> None:
    pieces: list[bytes] = []

    def respond(_request: Received) -> Iterator[bytes | float]:
        for piece in pieces:
            yield piece
            yield 0.0003  # so that they arrive apart, more often than not
        raise HangUpError

    with replay(respond=respond) as server:

        def ask(answer: Answer, *wire: bytes) -> list[Any]:
            pieces[:] = wire
            way = every.parts if answer.function.endswith("_stream") else every.attempt
            return facts(way(answer.function, server.url, **answer.arguments))

        @settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
        @given(
            st.sampled_from(RECORDED) | made_up(),
            st.lists(st.integers(1, 300), max_size=6),
            st.lists(st.floats(0, 1), max_size=5),
            st.none() | st.floats(0, 1),
        )
        def check(answer: Answer, sizes: list[int], cuts: list[float], end: float | None) -> None:
            wire = answer.wire(sizes)
            if end is None:
                expected = ask(answer, answer.wire([]))
            else:
                wire = wire[: int(end * len(wire))]
                expected = ask(answer, wire)
            places = sorted(int(cut * len(wire)) for cut in cuts)
            found = ask(answer, *(wire[begin:stop] for begin, stop in pairwise([0, *places, len(wire)])))
            assert found == expected

        check()
