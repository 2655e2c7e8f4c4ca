"""
The single things that may go wrong with a reply: where on the wire, and what is done to it there. Pure.

A fault is some of these. They are refused where they are made if they make no sense: a server would tell it much later.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Literal, TypeAlias, get_args

from ._replies import failed
from ._values import Action, Chunk, End, Reply
from ._wire import Wire

Ending: TypeAlias = Literal["close", "reset", "half-close", "stall"]
Piece: TypeAlias = bytes | tuple[bytes, int]
"""Bytes, or bytes that many times over, so that what is large is small to keep."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place on the wire: a byte, or the beginning of a part; below 0 from the end; with neither, the end itself."""

    byte: int | None = None
    part: int | None = None

    def __post_init__(self) -> None:
        if self.byte is not None and self.part is not None:
            raise ValueError("a place is a byte or a part, not both")
        for name, value in (("byte", self.byte), ("part", self.part)):
            if value is not None:
                check(name, value)

    def on(self, sent: Wire) -> int:
        if self.part is not None:
            return sent.start_of(self.part)
        if self.byte is None:
            return len(sent)
        return min(self.byte, len(sent)) if self.byte >= 0 else max(0, len(sent) + self.byte)


@dataclass(frozen=True, slots=True)
class Refuse:
    """No connection is accepted."""


@dataclass(frozen=True, slots=True)
class Instead:
    """Another reply."""

    reply: Reply

    def change(self, _reply: Reply) -> Reply:
        return self.reply


@dataclass(frozen=True, slots=True)
class NoModel:
    """What Ollama replies if it has not the model that is asked for."""

    model: str = ""

    def change(self, _reply: Reply) -> Reply:
        return failed(404, f"model '{self.model}' not found")


@dataclass(frozen=True, slots=True)
class Edit:
    """Other content in a part."""

    part: int
    old: bytes
    new: tuple[Piece, ...]

    def __post_init__(self) -> None:
        check("part", self.part)
        check_data("old", self.old, least=1)
        for piece in self.new:
            data, times = piece if isinstance(piece, tuple) else (piece, 1)
            check_data("new", data)
            check("times", times, 0)

    def change(self, reply: Reply) -> Reply:
        if not reply.chunks:
            raise ValueError(f"there is no part to edit: the reply has no content, so it holds no {self.old!r}")
        place = _index(self.part, reply)
        ms, data = reply.chunks[place]
        if self.old not in data:
            raise ValueError(f"part {place} holds no {self.old!r}: {data[:200]!r}")
        new = b"".join(piece if isinstance(piece, bytes) else piece[0] * piece[1] for piece in self.new)
        edited = Chunk(ms, data.replace(self.old, new, 1))
        return _with_content(reply, (*reply.chunks[:place], edited, *reply.chunks[place + 1 :]))


@dataclass(frozen=True, slots=True)
class Finish:
    """Content that ends early, with other bytes in place of a part and all behind it."""

    part: int
    data: bytes

    def __post_init__(self) -> None:
        check("part", self.part)
        check_data("data", self.data)

    def change(self, reply: Reply) -> Reply:
        place = _index(self.part, reply)
        ms = reply.chunks[place].ms if reply.chunks else 0
        last = (Chunk(ms, self.data),) if self.data else ()
        return _with_content(reply, (*reply.chunks[:place], *last))


@dataclass(frozen=True, slots=True)
class Headers:
    """Other headers; None takes one away."""

    changes: tuple[tuple[str, str | None], ...]

    def __post_init__(self) -> None:
        for name, value in self.changes:
            _check_header("name", name)
            if value is not None:
                _check_header("value", value)

    def change(self, reply: Reply) -> Reply:
        changed = {name.lower() for name, _ in self.changes}
        kept = [pair for pair in reply.headers if pair[0].lower() not in changed]
        added = [(name, value) for name, value in self.changes if value is not None]
        return replace(reply, headers=(*kept, *added))


@dataclass(frozen=True, slots=True)
class Length:
    """A Content-Length that is off by so much."""

    off: int

    def __post_init__(self) -> None:
        check("off", self.off)

    def change(self, reply: Reply) -> Reply:
        length = str(len(reply.body) + self.off)
        return Headers((("Transfer-Encoding", None), ("Content-Length", length))).change(reply)


@dataclass(frozen=True, slots=True)
class Chunks:
    """Chunks of so many bytes; with None the parts, each a chunk."""

    size: int | None

    def __post_init__(self) -> None:
        if self.size is not None:
            check("size", self.size, 1)

    def change(self, reply: Reply) -> Reply:
        changed = Headers((("Content-Length", None), ("Transfer-Encoding", "chunked"))).change(reply)
        if self.size is None:
            return changed
        cut = [
            Chunk(ms, data[start : start + self.size])
            for ms, data in reply.chunks
            for start in range(0, len(data), self.size)
        ]
        return replace(changed, chunks=tuple(cut))


@dataclass(frozen=True, slots=True)
class Insert:
    """Bytes between those of the reply; for ever with None as *times*."""

    place: Place
    data: bytes
    times: int | None

    def __post_init__(self) -> None:
        check_data("data", self.data, least=1)
        if self.times is not None:
            check("times", self.times, 1)

    def again(self) -> Iterator[Action]:
        return repeat(self.data) if self.times is None else repeat(self.data, self.times - 1)


@dataclass(frozen=True, slots=True)
class Cut:
    """Nothing more of the reply."""

    place: Place
    how: Ending

    def __post_init__(self) -> None:
        if self.how not in (known := get_args(Ending)):
            raise ValueError(f"how must be one of {', '.join(map(repr, known))}, not {self.how!r}")

    def actions(self) -> Iterator[Action]:
        yield math.inf if self.how == "stall" else End(self.how)


@dataclass(frozen=True, slots=True)
class Pieces:
    """Writes of so many bytes each, with a pause before each."""

    size: int
    seconds: float

    def __post_init__(self) -> None:
        check("size", self.size, 1)
        if not isinstance(self.seconds, int | float):
            raise TypeError(f"seconds must be a number, not {self.seconds!r}")
        if not 0 <= self.seconds < math.inf:
            raise ValueError(f"seconds must be at least 0, and not without end, not {self.seconds}")

    def slow(self, actions: Iterator[Action]) -> Iterator[Action]:
        for action in actions:
            if not isinstance(action, bytes):
                yield action
                continue
            for start in range(0, len(action), self.size):
                if self.seconds:
                    yield self.seconds
                yield action[start : start + self.size]


Change: TypeAlias = Instead | NoModel | Edit | Finish | Headers | Length | Chunks
Step: TypeAlias = Change | Insert | Cut | Pieces | Refuse


def check(name: str, value: int, least: int | None = None) -> None:
    """Refuse what is no int, or too small, where a fault is made: a server would tell it much later."""
    if not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if least is not None and value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")


def check_data(name: str, data: bytes, *, least: int = 0) -> None:
    if not isinstance(data, bytes):
        raise TypeError(f"{name} must be bytes, not {data!r}")
    if len(data) < least:
        raise ValueError(f"{name} must not be empty")


def _check_header(name: str, text: str) -> None:
    if not isinstance(text, str):
        raise TypeError(f"{name} of a header must be a str, not {text!r}")
    if re.search(r"[\r\n]|[^\x00-\xff]", text):
        raise ValueError(f"{name} of a header must be one line of Latin-1, not {text!r}; Fault.insert sends any bytes")


def _index(part: int, reply: Reply) -> int:
    count = len(reply.chunks)
    return min(part, count - 1) if part >= 0 else max(0, count + part)


def _with_content(reply: Reply, chunks: tuple[Chunk, ...]) -> Reply:
    changed = replace(reply, chunks=chunks)
    if reply.header("content-length") is None:
        return changed
    return Headers((("Content-Length", str(len(changed.body))),)).change(changed)
