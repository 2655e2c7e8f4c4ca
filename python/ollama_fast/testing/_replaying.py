"""The server that replays a recording: the bytes that were recorded, at the times when they came or at once."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, Literal, TypeAlias, get_args

from ._fault_turns import Faults, Turns
from ._faults import Fault
from ._loopback import Loopback, once_whole
from ._matching import Matches, name_of
from ._recording import Ending, Recorded
from ._recording_file import load
from ._replies import missing, of_no_model
from ._values import Action, Chunk, End, Received, Reply
from ._wire import wire

Pace: TypeAlias = Literal["recorded", "fast"]

_ENDS: Final[dict[Ending, Action]] = {"close": End.CLOSE, "reset": End.RESET, "left": math.inf}


class Replayer:
    """A running server, which `replay` starts and ends."""

    __slots__ = ("_loopback", "_replies")  # a misspelt `fault` is an error

    def __init__(self, replies: Replies, port: int) -> None:
        self._replies = replies
        self._loopback = Loopback(once_whole(replies), port)

    @property
    def url(self) -> str:
        """Where it is."""
        return self._loopback.url

    @property
    def requests(self) -> list[Received]:
        """The requests that arrived."""
        return self._loopback.requests

    @property
    def unknown(self) -> list[str]:
        """Why a request was answered with a 501: it is not recorded; and which one is nearest to it."""
        return self._replies.unknown

    @property
    def unused(self) -> list[str]:
        """The recorded requests that nobody has made yet."""
        return [name_of(each.request) for each in self._replies.matches.unused()]

    @property
    def fault(self) -> Fault | None:
        """What goes wrong with every reply from now on; it is set as that of a `Server`."""
        return self._replies.turns.one

    @fault.setter
    def fault(self, fault: Faults) -> None:
        self._replies.turns.begin(fault)
        self._loopback.refuses = self._replies.turns.refuses

    @property
    def moved(self) -> list[str]:
        """Why a fault met another part than its own: there were not as many, so it was the last one, or the first."""
        return self._replies.turns.moved

    def _stop(self) -> None:
        self._loopback.stop()
        if self._loopback.failure is not None:
            raise self._loopback.failure


class Replies:
    """
    What a server does at each request: what is recorded for it.

    Args:
        recorded: The exchanges.

        pace: Whether chunks come when they came at the recording, or at once.

        strict: As `replay` has it.
    """

    def __init__(self, recorded: Iterable[Recorded], *, pace: Pace, strict: bool) -> None:
        self.matches = Matches(recorded, strict=strict)
        self.unknown: list[str] = []
        """Why requests were answered with a 501."""
        self.turns = Turns()
        self._fast = pace == "fast"
        self._lock = threading.Lock()
        self._of: Callable[[int, str, str], Iterable[Action]] = self._at_once if pace == "fast" else self._at_its_times
        self._made: dict[tuple[int, str, str], tuple[Action, ...]] = {}

    def __call__(self, request: Received) -> Iterable[Action]:
        """Give what is done in reply to *request*."""
        with self._lock:
            index = self.matches.next(request)
        fault = self.turns.next()
        if index is not None and fault is not None:
            return self._wrong(fault, self.matches.recorded[index], request)
        if index is not None:
            return self._of(index, request.method, request.version)
        methods = self.matches.methods(request.path)
        reply = None if request.method in methods else of_no_model(request, methods)
        if reply is None:
            why = self.matches.why(request)
            self.unknown.append(why)
            reply = missing(why)
        return self.turns.sent(fault, reply, request)

    def _wrong(self, fault: Fault, recorded: Recorded, request: Received) -> Iterator[Action]:
        ends = None if recorded.end is None else _ENDS[recorded.end]
        if recorded.response is None:
            return iter(() if ends is None else (ends,))
        reply = at_once(recorded.response) if self._fast else recorded.response
        parts = tuple(part for part in reply.chunks if part.data)  # one without says when the head came
        return paced(self.turns.sent(fault, replace(reply, chunks=parts), request, ends))

    def _at_once(self, index: int, method: str, version: str) -> tuple[Action, ...]:
        """Give a reply as one write, which is made once: a bench asks for it as often as it can."""
        made = self._made.get((index, method, version))
        if made is None:
            recorded = self.matches.recorded[index]
            actions = list(_actions(_unhurried(recorded), method, version))
            sent = b"".join(action for action in actions if isinstance(action, bytes))
            end = () if recorded.end is None else (_ENDS[recorded.end],)
            made = self._made[index, method, version] = (*((sent,) if sent else ()), *end)
        return made

    def _at_its_times(self, index: int, method: str, version: str) -> Iterator[Action]:
        return paced(_actions(self.matches.recorded[index], method, version))


def paced(actions: Iterable[Action]) -> Iterator[Action]:
    """Give *actions* with pauses that end when they should, though what is between them takes time, too."""
    began, due = time.monotonic(), 0.0
    for action in actions:
        if not isinstance(action, float) or action == math.inf:
            yield action
            continue
        due += action
        if (left := began + due - time.monotonic()) > 0:
            yield left


def _actions(recorded: Recorded, method: str, version: str) -> Iterator[Action]:
    if recorded.response is not None:
        sent = wire(recorded.response, method, version)
        yield from (sent if recorded.end is None else replace(sent, end=b"")).actions()
    if recorded.end is not None:
        yield _ENDS[recorded.end]


def _unhurried(recorded: Recorded) -> Recorded:
    return recorded if recorded.response is None else replace(recorded, response=at_once(recorded.response))


def at_once(reply: Reply) -> Reply:
    """Give *reply* without the pauses that were between its chunks."""
    return replace(reply, chunks=tuple(Chunk(0, chunk.data) for chunk in reply.chunks))


@contextmanager
def replay(
    path: str | os.PathLike[str],
    *,
    pace: Pace = "recorded",
    strict: bool = True,
    fault: Faults = None,
    port: int = 0,
) -> Generator[Replayer]:
    """
    Serve the recording in a file on 127.0.0.1 until the block ends.

    A request is found by its method, path, query and body; a JSON body by what it says, and not by how it is written.
    Of several equal ones each is served once, in their order, and the last from then on. One that is not recorded gets
    a 501 that names the nearest recorded one, and is in `unknown`.

    Args:
        path: A file that `record` has written.

        pace: "recorded" sends each chunk when it came at the recording, counted from the request; "fast" at once.

        strict: Whether a body must be equal to the recorded one, even if only one was recorded for its method and path.

        fault: What goes wrong with every reply; or several, of which each request gets the next, until they run out.
            A part is a chunk of the recording.

        port: By default a free one.

    Raises RecordingError if the file holds no recording, and OSError if it cannot be read.
    """
    if pace not in (known := get_args(Pace)):
        raise ValueError(f"pace must be {' or '.join(map(repr, known))}, not {pace!r}")
    replayer = Replayer(Replies(load(path), pace=pace, strict=strict), port)
    try:
        replayer.fault = fault
        yield replayer
    finally:
        replayer._stop()  # noqa: SLF001 - nobody else may stop it
