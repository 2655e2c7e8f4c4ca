"""What shall happen to each stream, and whether it did: pure, and known to the server and to its clients alike."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from ollama_fast import errors

Fault: TypeAlias = Literal[
    "none",
    "farewell",
    "bytes",
    "reset",
    "hang-up",
    "cut",
    "stall",
    "silence",
    "error",
    "busy",
    "bad line",
    "bad chunk",
    "bad head",
    "endless",
]
"""
What the server does: nothing wrong; it closes the connection behind a whole answer; it writes byte by byte; it resets
the connection, closes it unanswered, cuts it inside a part, or does that after a while; it says nothing more; it says
an error line, or a status 429 or 503; it sends garbage in place of a line, a chunk or a head; it never comes to an end,
so that the client has to leave.
"""

Leave: TypeAlias = Literal["break", "with", "cancel", "timeout", "close"]
"""
How a client leaves: out of the loop alone, or out of a `with` block, too; its task is cancelled, by another task or by
`asyncio.timeout`; the stream is closed by another task or thread.
"""

_FAULTS: Final[dict[Fault, int]] = {
    "none": 40,
    "farewell": 8,
    "bytes": 2,
    "reset": 6,
    "hang-up": 2,
    "cut": 6,
    "stall": 3,
    "silence": 3,
    "error": 5,
    "busy": 3,
    "bad line": 3,
    "bad chunk": 2,
    "bad head": 2,
    "endless": 15,
}
_LEAVES: Final[dict[bool, tuple[Leave, ...]]] = {
    True: ("break", "with", "cancel", "timeout", "close"),
    False: ("break", "with", "close"),
}
_SLOW: Final = 0.04
_EXPECTED: Final[dict[Fault, type[errors.OllamaError] | None]] = {
    "none": None,
    "farewell": None,
    "bytes": None,
    "reset": errors.IncompleteStreamError,
    "hang-up": errors.TransportError,
    "cut": errors.IncompleteStreamError,
    "stall": errors.IncompleteStreamError,
    "silence": errors.TimeoutError,
    "error": errors.ResponseError,
    "busy": errors.ResponseError,
    "bad line": errors.DecodeError,
    "bad chunk": errors.IncompleteStreamError,
    "bad head": errors.TransportError,
    "endless": None,
}
_LEFT_BY: Final[dict[Leave | None, type[BaseException]]] = {
    "cancel": asyncio.CancelledError,
    "timeout": TimeoutError,
    "close": errors.StreamClosedError,
}
_WITHOUT_PARTS: Final = frozenset({"hang-up", "busy", "bad head"})


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What shall happen to one stream.

    Args:
        number: The stream's own; odd if a thread reads it, even if a task does.

        fault: What the server does.

        parts: How many whole parts come before the fault, or in all.

        size: Characters of each part's text, at least.

        pause: Seconds that the server waits after each few parts.

        leave: How the client leaves; None if it reads to the end.

        leave_after: Parts before it breaks off, or seconds before something else ends it.

        linger: Seconds that the client rests after each part.
    """

    number: int
    fault: Fault
    parts: int
    size: int
    pause: float
    leave: Leave | None
    leave_after: float
    linger: float

    @classmethod
    def of(cls, seed: int, number: int) -> Plan:
        """Give the plan of the stream with that *number*: the same ones in every process."""
        chance = random.Random(seed << 48 | number)
        fault = chance.choices(tuple(_FAULTS), tuple(_FAULTS.values()))[0]
        parts, size, pause = chance.randint(1, 40), chance.choice((0, 20, 400)), chance.uniform(0.02, 0.2)
        leave: Leave | None = None
        leave_after = linger = 0.0
        if fault == "endless":
            leave = chance.choice(_LEAVES[number % 2 == 0])
            leave_after = chance.randint(1, 8) if leave in ("break", "with") else chance.uniform(0.001, 1.5)
        elif fault == "bytes":
            parts, size = min(parts, 4), 20
        elif fault in _WITHOUT_PARTS:
            parts = 0
        elif fault not in ("none", "farewell"):
            parts -= 1  # there may be none before a fault
        if chance.random() < _SLOW:
            size, linger = 16_000, 0.03
        return cls(number, fault, parts, size, pause, leave, leave_after, linger)

    def text(self, index: int) -> str:
        """Give the text of a part, which no part of any stream shares."""
        return f"{self.number}:{index};".ljust(self.size, ".")

    def line(self, index: int) -> bytes:
        """Give the line of a part."""
        last = b"true" if self.is_whole and index == self.parts - 1 else b"false"
        text = self.text(index).encode()
        return b'{"model":"soak","created_at":"","response":"%b","done":%b}\n' % (text, last)

    @property
    def is_whole(self) -> bool:
        """Whether the answer comes to its end."""
        return _EXPECTED[self.fault] is None and self.fault != "endless"

    def bursts(self) -> Iterator[range]:
        """Give which parts are sent at once; without end if they have none."""
        chance = random.Random(self.number)
        start = 0
        while self.fault == "endless" or start < self.parts:
            stop = start + chance.randint(1, 6)
            yield range(start, stop if self.fault == "endless" else min(stop, self.parts))
            start = stop


@dataclass(slots=True)
class Seen:
    """What a client saw of one stream."""

    plan: Plan
    parts: int = 0
    """How many came, in their order."""
    strange: str = ""
    """The first that was not the one whose turn it was."""
    ended_by: BaseException | None = None
    partial: dict[str, Any] | None = field(default=None)

    def part(self, part: Any) -> bool:
        """Look at a part; give whether the plan is to break off here."""
        plan = self.plan
        if not self.strange and part["response"] != plan.text(self.parts):
            self.strange = f"{part['response'][:40]!r} in place of {plan.text(self.parts)[:40]!r}"
        self.parts += 1
        return plan.leave in ("break", "with") and self.parts == plan.leave_after

    @property
    def unanswered(self) -> bool:
        """Whether the connection broke before an answer, and not by plan: then the server must not know the stream."""
        planned = _EXPECTED[self.plan.fault] is errors.TransportError or self.plan.fault == "reset"
        return not self.parts and type(self.ended_by) is errors.TransportError and not planned

    def wrong(self) -> str:
        """Say what should not have happened; nothing if all is well."""
        said = self.strange or (self._wrong_end() if self.plan.leave is None else self._wrong_leave())
        if not said:
            return ""
        return f"{said}; {self.parts} parts, ended by {self.ended_by!r}; {self.plan}"

    def _wrong_end(self) -> str:
        plan, ended_by = self.plan, self.ended_by
        if plan.fault == "reset" and not self.parts and type(ended_by) is errors.TransportError:
            return ""  # what had arrived of the head is gone with it
        expected = _EXPECTED[plan.fault]
        if type(ended_by) is not (type(None) if expected is None else expected):
            return f"{getattr(expected, '__name__', 'no error')} was expected"
        # A reset takes with it what the client had not read yet, and a limit can be over before all has arrived.
        if self.parts > plan.parts or (self.parts < plan.parts and plan.fault not in ("reset", "silence")):
            return f"{plan.parts} parts were sent"
        return self._wrong_partial()

    def _wrong_partial(self) -> str:
        merged = "".join(self.plan.text(index) for index in range(self.parts))
        for name, partial in (
            ("the stream", self.partial),
            ("the error", getattr(self.ended_by, "partial", self.partial)),
        ):
            if (partial or {}).get("response", "") != merged:
                return f"`partial` of {name} is not what came"
        return ""

    def _wrong_leave(self) -> str:
        expected = _LEFT_BY.get(self.plan.leave, type(None))
        if type(self.ended_by) is not expected:
            return f"{expected.__name__} was expected"
        if expected is type(None) and self.parts != self.plan.leave_after:
            return f"{self.plan.leave_after} parts were to be read"
        return ""
