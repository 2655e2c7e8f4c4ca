"""Which fault each request meets: one for all of them, or several in turn. Used by all threads of a server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from threading import Lock
from typing import TypeAlias

from ._faults import Fault, faulty
from ._scripted import model_of
from ._values import Action, Received, Reply

Faults: TypeAlias = Fault | Iterable[Fault | None] | None


class Turns:
    """The faults that a server was told, and where they did not fit."""

    def __init__(self) -> None:
        self.one: Fault | None = None
        """What every request meets."""
        self.moved: list[str] = []
        """Why a fault met another part than its own."""
        self._next: Iterator[Fault | None] | None = None
        self._lock = Lock()

    @property
    def refuses(self) -> bool:
        """Whether connections are refused, so that there are no requests."""
        return self.one is not None and self.one.refuses

    def begin(self, faults: Faults) -> None:
        """Take one fault for all requests from now on, or several, of which each gets the next; None for nothing."""
        several = None if faults is None or isinstance(faults, Fault) else _several(faults)
        with self._lock:
            self.one = faults if isinstance(faults, Fault) else None
            self._next = None if several is None else iter(several)

    def next(self) -> Fault | None:
        """Give what the next request meets."""
        with self._lock:
            return self.one if self._next is None else next(self._next, None)

    def sent(
        self, fault: Fault | None, reply: Reply, request: Received, ends: Action | None = None
    ) -> Iterator[Action]:
        """Give what a server does to send *reply* to *request* with *fault*; `faulty` says the rest."""
        return faulty(fault, reply, request.method, self.moved, model_of(request), request.version, ends)


def _several(faults: Iterable[Fault | None]) -> list[Fault | None]:
    found = None if isinstance(faults, str) or not isinstance(faults, Iterable) else list(faults)
    if found is None or not all(each is None or isinstance(each, Fault) for each in found):
        raise TypeError(f"fault must be a Fault, such as FAULTS['refused'], several of them, or None, not {faults!r}")
    if any(each is not None and each.refuses for each in found):
        raise ValueError("a refused connection has no request: set a fault that refuses by itself, and then None")
    return found
