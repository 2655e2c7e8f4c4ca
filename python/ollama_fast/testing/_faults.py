"""
What goes wrong with a reply, as a value; and what a server does to make it so.

Pure: a Fault and a Reply become a sequence of bytes to send, pauses, and an end of the connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from ._fault_steps import (
    Change,
    Chunks,
    Cut,
    Edit,
    Ending,
    Finish,
    Headers,
    Insert,
    Instead,
    Length,
    NoModel,
    Piece,
    Pieces,
    Place,
    Refuse,
    Step,
    check,
    check_data,
)
from ._values import Action, Chunk, Reply
from ._wire import wire


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
        if not isinstance(_anything(other), Fault):
            return NotImplemented
        return Fault(self.steps + other.steps)

    @property
    def refuses(self) -> bool:
        """Whether connections are refused, so that no request arrives."""
        return any(isinstance(step, Refuse) for step in self.steps)

    @classmethod
    def refuse(cls) -> Fault:
        """Refuse connections, and close those that are there."""
        return cls((Refuse(),))

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
        return cls((Cut(Place(byte, part), how),))

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
        return cls((Insert(Place(byte, part), data, times),))

    @classmethod
    def edit(cls, old: bytes, *new: Piece, part: int) -> Fault:
        """Put *new* in place of the first *old* in the content of *part*; a pair is bytes and how often."""
        return cls((Edit(part, old, new),))

    @classmethod
    def finish(cls, data: bytes = b"", *, part: int) -> Fault:
        """End the content with *data*, in place of *part* and all behind it, as HTTP wants it."""
        return cls((Finish(part, data),))

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
        check("status", status, 100)
        check_data("content", content)
        length = ("Content-Length", str(len(content)))
        return cls((Instead(Reply(status, (*pairs, length), (Chunk(0, content),))),))

    @classmethod
    def header(cls, name: str, value: str | None) -> Fault:
        """Send another value of a header; None takes it away."""
        return cls((Headers(((name, value),)),))

    @classmethod
    def length(cls, off: int) -> Fault:
        """Send a Content-Length that is *off* by so many bytes; what was sent in chunks is not."""
        return cls((Length(off),))

    @classmethod
    def chunks(cls, size: int | None = None) -> Fault:
        """Send chunks of so many bytes; without *size* what is sent in one piece is one chunk."""
        return cls((Chunks(size),))

    @classmethod
    def pieces(cls, size: int = 1, seconds: float = 0.0) -> Fault:
        """Write so many bytes at a time, and wait before each."""
        return cls((Pieces(size, seconds),))


def faulty(
    fault: Fault | None,
    reply: Reply,
    method: str = "POST",
    moved: list[str] | None = None,
    model: str = "",
    version: str = "1.1",
    ends: Action | None = None,
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

        ends: What comes in place of the end of the content, if that broke off by itself.
    """
    steps = () if fault is None else fault.steps
    moved = [] if moved is None else moved
    for step in steps:
        if isinstance(step, Change):
            _told(step, len(reply.chunks), moved)
            reply = (replace(step, model=model) if isinstance(step, NoModel) else step).change(reply)
    for step in steps:
        if not isinstance(step, Change):
            _told(step, len(reply.chunks), moved)
    sent = wire(reply, method, version)
    if ends is not None:
        sent = replace(sent, end=b"")
    placed = sorted(
        ((step.place.on(sent), step) for step in steps if isinstance(step, Insert | Cut)), key=lambda pair: pair[0]
    )
    actions = _between(placed, sent.actions() if ends is None else chain(sent.actions(), (ends,)))
    for step in steps:
        if isinstance(step, Pieces):
            actions = step.slow(actions)
    return actions


def _told(step: Step, count: int, moved: list[str]) -> None:
    """Add to *moved* if *step* names a part that a reply of so many has not."""
    part = step.place.part if isinstance(step, Insert | Cut) else getattr(step, "part", None)
    if part is not None and not -count <= part < count:
        moved.append(f"there is no part {part}: the reply has {count}")


def _between(placed: list[tuple[int, Insert | Cut]], actions: Iterator[Action]) -> Iterator[Action]:
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
            if isinstance(step, Cut):
                yield from (before, *step.actions()) if before else step.actions()
                return
            yield before + step.data  # one write, so that a client reads both at once
            yield from step.again()
        if left:
            yield left
            now += len(left)


def _anything(value: object) -> Any:
    """Give *value*, which may be of another type than it says."""
    return value
