"""
What goes wrong with a reply, as a value; and what a server does to make it so.

Pure: a Fault and a Reply become a sequence of bytes to send, pauses, and an end of the connection.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import repeat
from typing import Final, Literal, TypeAlias, get_args

from ._replies import JSON, LINES, failed
from ._values import Action, Chunk, End, Reply
from ._wire import Wire, chunk, wire

Ending: TypeAlias = Literal["close", "reset", "half-close", "stall"]
Piece: TypeAlias = bytes | tuple[bytes, int]
"""Bytes, or bytes that many times over, so that what is large is small to keep."""


# --- where, and what ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """A place on the wire: a byte, or the beginning of a part; below 0 from the end; with neither, the end itself."""

    byte: int | None = None
    part: int | None = None

    def __post_init__(self) -> None:
        if self.byte is not None and self.part is not None:
            raise ValueError("a place is a byte or a part, not both")
        for name, value in (("byte", self.byte), ("part", self.part)):
            if value is not None:
                _check(name, value)

    def on(self, sent: Wire) -> int:
        if self.part is not None:
            return sent.start_of(self.part)
        if self.byte is None:
            return len(sent)
        return min(self.byte, len(sent)) if self.byte >= 0 else max(0, len(sent) + self.byte)


@dataclass(frozen=True, slots=True)
class _Refuse:
    """No connection is accepted."""


@dataclass(frozen=True, slots=True)
class _Instead:
    """Another reply."""

    reply: Reply

    def change(self, _reply: Reply) -> Reply:
        return self.reply


@dataclass(frozen=True, slots=True)
class _NoModel:
    """What Ollama replies if it has not the model that is asked for."""

    model: str = ""

    def change(self, _reply: Reply) -> Reply:
        return failed(404, f"model '{self.model}' not found")


@dataclass(frozen=True, slots=True)
class _Edit:
    """Other content in a part."""

    part: int
    old: bytes
    new: tuple[Piece, ...]

    def __post_init__(self) -> None:
        _check("part", self.part)
        _check_data("old", self.old, least=1)
        for piece in self.new:
            data, times = piece if isinstance(piece, tuple) else (piece, 1)
            _check_data("new", data)
            _check("times", times, 0)

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
class _Finish:
    """Content that ends early, with other bytes in place of a part and all behind it."""

    part: int
    data: bytes

    def __post_init__(self) -> None:
        _check("part", self.part)
        _check_data("data", self.data)

    def change(self, reply: Reply) -> Reply:
        place = _index(self.part, reply)
        ms = reply.chunks[place].ms if reply.chunks else 0
        last = (Chunk(ms, self.data),) if self.data else ()
        return _with_content(reply, (*reply.chunks[:place], *last))


@dataclass(frozen=True, slots=True)
class _Headers:
    """Other headers; None takes one away."""

    changes: tuple[tuple[str, str | None], ...]

    def change(self, reply: Reply) -> Reply:
        changed = {name.lower() for name, _ in self.changes}
        kept = [pair for pair in reply.headers if pair[0].lower() not in changed]
        added = [(name, value) for name, value in self.changes if value is not None]
        return replace(reply, headers=(*kept, *added))


@dataclass(frozen=True, slots=True)
class _Length:
    """A Content-Length that is off by so much."""

    off: int

    def __post_init__(self) -> None:
        _check("off", self.off)

    def change(self, reply: Reply) -> Reply:
        length = str(len(reply.body) + self.off)
        return _Headers((("Transfer-Encoding", None), ("Content-Length", length))).change(reply)


@dataclass(frozen=True, slots=True)
class _Chunks:
    """Chunks of so many bytes; with None the parts, each a chunk."""

    size: int | None

    def __post_init__(self) -> None:
        if self.size is not None:
            _check("size", self.size, 1)

    def change(self, reply: Reply) -> Reply:
        changed = _Headers((("Content-Length", None), ("Transfer-Encoding", "chunked"))).change(reply)
        if self.size is None:
            return changed
        cut = [
            Chunk(ms, data[start : start + self.size])
            for ms, data in reply.chunks
            for start in range(0, len(data), self.size)
        ]
        return replace(changed, chunks=tuple(cut))


@dataclass(frozen=True, slots=True)
class _Insert:
    """Bytes between those of the reply; for ever with None as *times*."""

    place: _Place
    data: bytes
    times: int | None

    def __post_init__(self) -> None:
        _check_data("data", self.data, least=1)
        if self.times is not None:
            _check("times", self.times, 1)

    def again(self) -> Iterator[Action]:
        return repeat(self.data) if self.times is None else repeat(self.data, self.times - 1)


@dataclass(frozen=True, slots=True)
class _Cut:
    """Nothing more of the reply."""

    place: _Place
    how: Ending

    def __post_init__(self) -> None:
        if self.how not in (known := get_args(Ending)):
            raise ValueError(f"how must be one of {', '.join(map(repr, known))}, not {self.how!r}")

    def actions(self) -> Iterator[Action]:
        yield math.inf if self.how == "stall" else End(self.how)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Writes of so many bytes each, with a pause before each."""

    size: int
    seconds: float

    def __post_init__(self) -> None:
        _check("size", self.size, 1)
        if not isinstance(self.seconds, int | float):
            raise TypeError(f"seconds must be a number, not {self.seconds!r}")
        if not self.seconds >= 0:
            raise ValueError(f"seconds must be at least 0, not {self.seconds}")

    def slow(self, actions: Iterator[Action]) -> Iterator[Action]:
        for action in actions:
            if not isinstance(action, bytes):
                yield action
                continue
            for start in range(0, len(action), self.size):
                if self.seconds:
                    yield self.seconds
                yield action[start : start + self.size]


Change: TypeAlias = _Instead | _NoModel | _Edit | _Finish | _Headers | _Length | _Chunks
Step: TypeAlias = Change | _Insert | _Cut | _Pieces | _Refuse


def _check(name: str, value: int, least: int | None = None) -> None:
    """Refuse what is no int, or too small, where a fault is made: a server would tell it much later."""
    if not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if least is not None and value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")


def _check_data(name: str, data: bytes, *, least: int = 0) -> None:
    if not isinstance(data, bytes):
        raise TypeError(f"{name} must be bytes, not {data!r}")
    if len(data) < least:
        raise ValueError(f"{name} must not be empty")


def _index(part: int, reply: Reply) -> int:
    count = len(reply.chunks)
    return min(part, count - 1) if part >= 0 else max(0, count + part)


def _with_content(reply: Reply, chunks: tuple[Chunk, ...]) -> Reply:
    changed = replace(reply, chunks=chunks)
    if reply.header("content-length") is None:
        return changed
    return _Headers((("Content-Length", str(len(changed.body))),)).change(changed)


# --- faults ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fault:
    """
    What goes wrong with a reply; `one + other` is both at once.

    Make one with the functions below. Where it happens is *byte*, counted from the first of the status line, or *part*,
    which is the place before that part of the content, or before the last if there are not as many; below 0 both count
    from the end. With neither it is the end of the reply. Bytes that a fault inserts do not count for other places.
    """

    steps: tuple[Step, ...]

    def __add__(self, other: Fault) -> Fault:
        return Fault(self.steps + other.steps)

    @property
    def refuses(self) -> bool:
        """Whether connections are refused, so that no request arrives."""
        return any(isinstance(step, _Refuse) for step in self.steps)

    @classmethod
    def refuse(cls) -> Fault:
        """Refuse connections, and close those that are there."""
        return cls((_Refuse(),))

    @classmethod
    def cut(cls, how: Ending, *, byte: int | None = None, part: int | None = None) -> Fault:
        """
        Send nothing from the place on.

        Args:
            how: "close" ends the connection, "reset" breaks it, "half-close" ends the server's direction alone, "stall"
                keeps it open and says nothing.

            byte: Where.

            part: Where.
        """
        return cls((_Cut(_Place(byte, part), how),))

    @classmethod
    def insert(cls, data: bytes, *, byte: int | None = None, part: int | None = None, times: int | None = 1) -> Fault:
        """
        Send *data* on the wire, where HTTP has another meaning for it.

        Args:
            data: The bytes; no frame is made for them.

            byte: Where.

            part: Where.

            times: How often; None is without end.
        """
        return cls((_Insert(_Place(byte, part), data, times),))

    @classmethod
    def edit(cls, old: bytes, *new: Piece, part: int) -> Fault:
        """Put *new* in place of the first *old* in the content of *part*; a pair is bytes and how often."""
        return cls((_Edit(part, old, new),))

    @classmethod
    def finish(cls, data: bytes = b"", *, part: int) -> Fault:
        """End the content with *data*, in place of *part* and all behind it, as HTTP wants it."""
        return cls((_Finish(part, data),))

    @classmethod
    def instead(cls, status: int, content: bytes = b"", kind: str = "", **headers: str) -> Fault:
        """
        Reply otherwise.

        Args:
            status: Of HTTP.

            content: The body.

            kind: The Content-Type; empty for none.

            headers: More headers, with _ for -.
        """
        pairs = [("Content-Type", kind)] if kind else []
        pairs += [(name.replace("_", "-"), value) for name, value in headers.items()]
        _check("status", status, 100)
        _check_data("content", content)
        length = ("Content-Length", str(len(content)))
        return cls((_Instead(Reply(status, (*pairs, length), (Chunk(0, content),))),))

    @classmethod
    def header(cls, name: str, value: str | None) -> Fault:
        """Send another value of a header; None takes it away."""
        return cls((_Headers(((name, value),)),))

    @classmethod
    def length(cls, off: int) -> Fault:
        """Send a Content-Length that is *off* by so many bytes; what was sent in chunks is not."""
        return cls((_Length(off),))

    @classmethod
    def chunks(cls, size: int | None = None) -> Fault:
        """Send chunks of so many bytes; without *size* what is sent in one piece is one chunk."""
        return cls((_Chunks(size),))

    @classmethod
    def pieces(cls, size: int = 1, seconds: float = 0.0) -> Fault:
        """Write so many bytes at a time, and wait before each."""
        return cls((_Pieces(size, seconds),))


def faulty(
    fault: Fault | None,
    reply: Reply,
    method: str = "POST",
    moved: list[str] | None = None,
    model: str = "",
    version: str = "1.1",
) -> Iterator[Action]:
    """
    Give what a server does to send *reply* with *fault*.

    Args:
        fault: What goes wrong; None for nothing.

        reply: What would be sent without it.

        method: Of the request.

        moved: Gets why a place is that of another part.

        model: That the request names.

        version: Of HTTP, the request's.
    """
    steps = () if fault is None else fault.steps
    moved = [] if moved is None else moved
    for step in steps:
        if isinstance(step, Change):
            _told(step, len(reply.chunks), moved)
            reply = (replace(step, model=model) if isinstance(step, _NoModel) else step).change(reply)
    for step in steps:
        if not isinstance(step, Change):
            _told(step, len(reply.chunks), moved)
    sent = wire(reply, method, version)
    placed = sorted(
        ((step.place.on(sent), step) for step in steps if isinstance(step, _Insert | _Cut)), key=lambda pair: pair[0]
    )
    actions = _between(placed, sent.actions())
    for step in steps:
        if isinstance(step, _Pieces):
            actions = step.slow(actions)
    return actions


def _told(step: Step, count: int, moved: list[str]) -> None:
    """Add to *moved* if *step* names a part that a reply of so many has not."""
    part = step.place.part if isinstance(step, _Insert | _Cut) else getattr(step, "part", None)
    if part is not None and not -count <= part < count:
        moved.append(f"there is no part {part}: the reply has {count}")


def _between(placed: list[tuple[int, _Insert | _Cut]], actions: Iterator[Action]) -> Iterator[Action]:
    """Send a reply with what happens at places of it."""
    waiting, now = list(placed), 0
    for action in actions:
        if not isinstance(action, bytes):
            yield action
            continue
        left = action
        while waiting and waiting[0][0] <= now + len(left):
            place, step = waiting.pop(0)
            before, left, now = left[: place - now], left[place - now :], place
            if isinstance(step, _Cut):
                yield from (before, *step.actions()) if before else step.actions()
                return
            yield before + step.data  # one write, so that a client reads both at once
            yield from step.again()
        if left:
            yield left
            now += len(left)


# --- those that have a name ------------------------------------------------------------------------------------------

_OTHER_REPLY: Final = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"error":"evil"}'
_AFTER_STATUS: Final = len(b"HTTP/1.1 200 OK\r\n")
_MARK: Final = b',"done":'
"""What every part of a generate or chat holds, for fields more before it."""


def _field(*pieces: Piece, part: int = 2) -> Fault:
    return Fault.edit(_MARK, b',"extra":', *pieces, _MARK, part=part)


class _Named(dict[str, Fault]):
    """Faults by name, which know what may be meant by a name that none has."""

    def __missing__(self, name: object) -> Fault:
        near = get_close_matches(name, self, cutoff=0.5) if isinstance(name, str) else []
        meant = f"did you mean {' or '.join(map(repr, near))}?" if near else "list(FAULTS) gives all names"
        raise KeyError(f"no fault is called {name!r}; {meant}")


FAULTS: Final[Mapping[str, Fault]] = _Named(
    {
        # The connection.
        "refused": Fault.refuse(),
        "nothing is said": Fault.cut("stall", byte=0),
        "closed before the head": Fault.cut("close", byte=0),
        "reset before the head": Fault.cut("reset", byte=0),
        "closed in the head": Fault.cut("close", byte=40),
        "reset in the head": Fault.cut("reset", byte=40),
        "stalled in the head": Fault.cut("stall", byte=40),
        "closed behind the head": Fault.cut("close", part=0),
        "stalled behind the head": Fault.cut("stall", part=0),
        "closed between parts": Fault.cut("close", part=3),
        "reset between parts": Fault.cut("reset", part=3),
        "half-closed between parts": Fault.cut("half-close", part=3),
        "stalled between parts": Fault.cut("stall", part=3),
        "closed inside a part": Fault.chunks() + Fault.cut("close", byte=-60),
        "reset inside a part": Fault.chunks() + Fault.cut("reset", byte=-60),
        "stalled inside a part": Fault.chunks() + Fault.cut("stall", byte=-60),
        "closed behind the answer": Fault.cut("close"),
        "reset behind the answer": Fault.cut("reset"),
        # How the bytes are cut.
        "one byte at a time": Fault.pieces(1),
        "chunks of one byte": Fault.chunks(1),
        # HTTP.
        "garbage for a head": Fault.insert(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", byte=0),
        "another protocol": Fault.insert(b"SSH-2.0-OpenSSH_9.2p1\r\n", byte=0),
        "wrong status line": Fault.insert(b"X", byte=9),
        "garbage between chunks": Fault.chunks() + Fault.insert(b"\x00\xffgarbage\r\n", part=3),
        "no last chunk": Fault.chunks() + Fault.cut("close", byte=-5),
        "length too long": Fault.length(100) + Fault.cut("close"),
        "length too long, stalled": Fault.length(100) + Fault.cut("stall"),
        "length too short": Fault.length(-100),
        "length of 10 GB": Fault.length(10 * 2**30) + Fault.cut("close"),
        "two lengths": Fault.length(0) + Fault.insert(b"Content-Length: 7\r\n", byte=_AFTER_STATUS),
        "huge chunk": Fault.chunks() + Fault.insert(b"7fffffffffff\r\n", part=3) + Fault.cut("close", part=3),
        "chunk size beyond 64 bits": Fault.chunks()
        + Fault.insert(b"fffffffffffffffff\r\n", part=3)
        + Fault.cut("close", part=3),
        "a second response": Fault.insert(_OTHER_REPLY),
        "informational first": Fault.insert(b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n", byte=0),
        "not compressed as it says": Fault.header("Content-Encoding", "gzip"),
        "redirect of a POST": Fault.instead(301, Location="/api/elsewhere"),
        "redirect in a circle": Fault.instead(307, Location="/api/chat"),
        # Without end.
        "endless headers": Fault.insert(b"X-Padding: %s\r\n" % (b"a" * 1000), byte=_AFTER_STATUS, times=None),
        "endless header": Fault.insert(b"a" * 4096, byte=_AFTER_STATUS, times=None),
        "endless line": Fault.chunks() + Fault.insert(chunk(b"a" * 65536), part=3, times=None),
        "endless informational": Fault.insert(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 40, byte=0, times=None),
        "line of 100 MB": _field(b'"', (b"a", 100 * 2**20), b'"'),
        # What is no answer.
        "empty": Fault.instead(200, b"", LINES),
        "HTML with 200": Fault.instead(200, b"<!DOCTYPE html><title>Log in</title>", "text/html"),
        "HTML with 502": Fault.instead(502, b"<html><h1>502 Bad Gateway</h1></html>", "text/html"),
        "no JSON": Fault.finish(b"Hello!\n", part=3),
        "JSON of another shape": Fault.finish(b'[{"done":true}]\n', part=3),
        "half of a line": Fault.finish(b'{"model":"m","message":{"role":"assist', part=3),
        "no last part": Fault.finish(part=-1),
        "not done": Fault.edit(b'"done":true,"done_reason":', b'"done":false,"extra":', part=-1),
        "nested 10^5 deep": _field((b"[", 10**5), (b"]", 10**5)),
        "NaN": _field(b"NaN"),
        "invalid UTF-8": _field(b'"\xff\xfe"'),
        "lone surrogate": _field(b'"\\ud800"'),
        "duplicated keys": Fault.edit(_MARK, b',"model":"other","model":"smollm2"', _MARK, part=2),
        "null byte": _field(b'"\x00"'),
        # Errors, in every shape in which Ollama and what stands before it say them.
        "error": Fault.instead(400, b'{"error":"invalid options"}', JSON),
        "error of no model": Fault((_NoModel(),)),
        "error before the first part": Fault.instead(
            500, b'{"error":"llama runner has terminated"}', "application/json"
        ),
        "error before the first part, with 200": Fault.instead(200, b'{"error":"busy","status":503}\n', LINES),
        "error between parts": Fault.finish(b'{"error":"an error was encountered while running the model"}\n', part=3),
        "error of nobody": Fault.instead(
            401, b'{"error":"unauthorized","signin_url":"https://ollama.com/connect"}', JSON
        ),
        "error of nobody, as a line": Fault.instead(401, b'{"error":"unauthorized"}\n', LINES),
        "error of a struct": Fault.instead(
            404, b'{"StatusCode":404,"Status":"404 Not Found","error":"not here"}', LINES
        ),
        "error of a struct between parts": Fault.finish(
            b'{"StatusCode":500,"Status":"500 Internal Server Error","error":"upstream"}', part=3
        ),
        "error of nobody between parts": Fault.finish(
            b'{"error":"unauthorized","signin_url":"https://ollama.com/connect"}', part=3
        ),
        "error of no route": Fault.instead(404, b"404 page not found", "text/plain"),
        "error of the host": Fault.instead(403),
        "error of a panic": Fault.instead(500),
        "error of too many": Fault.instead(429, b'{"error":"too many requests"}', JSON, Retry_After="1"),
        "error that is JSON in a text": Fault.instead(400, b'{"error":"{\\"error\\":{\\"code\\":400}}"}', JSON),
        "error that is an object": Fault.instead(500, b'{"error":{"message":"overloaded"}}', JSON),
    }
)
"""Faults by name. Those that change content do it to a generate or a chat."""
