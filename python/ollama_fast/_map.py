"""
Many inputs over several hosts: who does what next, and what may be given out. No I/O, no clock, no threads.

A driver of either colour reads the inputs, has workers, and gives out results; it asks a `Schedule` before each step
and tells it what came of it. Whoever gets None, or a no, waits until somebody has told the schedule something.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from heapq import heappop, heappush
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from .errors import IncompleteStreamError, InputsError, ResponseError, TimeoutError, TransportError

T = TypeVar("T")
R = TypeVar("R")

OnDead: TypeAlias = Literal["resend", "raise"]

WINDOW: Final = 4
"""Batches per worker that may be ahead of what was given out: one that takes three times as long stops nobody."""

RESTS: Final = 8
"""Times in a row that a host may say that it is busy; after that it counts as dead, if it does nothing of ours."""

_FIRST_REST: Final = 0.25
"""Seconds that a busy host is left alone; each time in a row twice as long, so up to 32, and 64 together."""


class Blame(Enum):
    """What a failure says is wrong."""

    HOST = "the host is dead"
    BUSY = "the host wants to be asked later"
    INPUTS = "these inputs, or the call as a whole, fail on every host"


def blame(error: BaseException) -> Blame:
    """Say what *error* of a request says is wrong."""
    if isinstance(error, TimeoutError) and _waited_here(error):
        return Blame.BUSY
    if isinstance(error, TransportError | IncompleteStreamError):
        return Blame.HOST
    if isinstance(error, ResponseError):
        if error.status in {429, 503}:
            return Blame.BUSY
        if error.status in {502, 504}:  # a gateway whose Ollama is dead
            return Blame.HOST
    return Blame.INPUTS


def _waited_here(error: TimeoutError) -> bool:
    """Whether the pool of connections was full, so that the host was not asked at all."""
    import httpx

    return isinstance(error.__cause__, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True, order=True)
class Batch(Generic[T]):
    """Inputs that one request is made of; *start* is the index of the first."""

    start: int
    inputs: tuple[T, ...] = field(compare=False)

    @property
    def indices(self) -> range:
        """Where its inputs stand among all."""
        return range(self.start, self.start + len(self.inputs))


class Schedule(Generic[T, R]):
    """
    Which host does which batch, and which result is next.

    Args:
        hosts: How many there are; each is known by its place, from 0.

        concurrency: Requests at a time, for each host.

        batch_size: Inputs in a request; the last one may have fewer.

        on_dead: Whether a dead host's batches go to the others.

        take: Gives an input as it is kept, or raises TypeError for what can be none, which then is the last.

    From the oldest batch with a result still to be given out, at most `window` batches are in existence, so no more
    than `window * batch_size` inputs are read ahead.
    """

    def __init__(
        self,
        hosts: int,
        concurrency: int,
        batch_size: int,
        on_dead: OnDead = "resend",
        take: Callable[[Any], Any] = lambda given: given,
    ) -> None:
        self._take = take
        self.window = WINDOW * hosts * concurrency
        self._concurrency = concurrency
        self._size = batch_size
        self._on_dead = on_dead
        # What was read.
        self._unsent: list[T] = []
        self._read = 0
        self._ended = False
        self._inputs_failed: Exception | None = None
        # What is to be done, and by whom. Batches are known by their start.
        self._queue: list[Batch[T]] = []
        self._batches: dict[int, Batch[T]] = {}
        self._running: set[int] = set()
        self._load = dict.fromkeys(range(hosts), 0)
        self._rests = dict.fromkeys(range(hosts), 0)
        self._resting: set[int] = set()
        self._alive = set(range(hosts))
        # What came of it.
        self._given = 0
        self._first = 0
        self._giving: deque[R] = deque()
        self._results: dict[int, Sequence[R]] = {}
        self._failed: tuple[int, BaseException] | None = None
        self._last_words: BaseException | None = None
        self._stopped = False

    # --- inputs ---

    @property
    def has_room(self) -> bool:
        """Whether one more input may be read now."""
        return (
            not self._ended
            and self._failed is None
            and bool(self._alive)
            and self._read < self._first + self.window * self._size
        )

    def add(self, one: T) -> bool:
        """Take an input; True if that makes a batch, for which somebody may wait."""
        try:
            one = self._take(one)
        except TypeError as exc:
            refusal = InputsError(f"input {self._read} failed: {exc}", inputs=range(self._read, self._read + 1))
            refusal.__cause__ = exc
            return self.end(refusal)
        self._unsent.append(one)
        self._read += 1
        return len(self._unsent) == self._size and self._enqueue()

    def end(self, error: Exception | None = None) -> bool:
        """
        Take note that there are no more inputs, or that reading them raised *error*, which comes out behind them.

        True if there is a last batch, for which somebody may wait.
        """
        self._ended = True
        self._inputs_failed = error
        return bool(self._unsent) and self._enqueue()

    def _enqueue(self) -> bool:
        batch = Batch(self._read - len(self._unsent), tuple(self._unsent))
        self._unsent = []
        self._batches[batch.start] = batch
        heappush(self._queue, batch)
        return True

    # --- workers ---

    def take(self, host: int) -> Batch[T] | None:
        """Give a free worker of *host* a batch, the oldest there is; None if there is nothing for it now."""
        if not self._queue or host not in self._alive or host in self._resting or self._stopped:
            return None
        if self._load[host] == self._concurrency or any(self._load[other] < self._load[host] for other in self._ready):
            return None  # a host that does less has a free worker, too
        if self._failed is not None and self._queue[0].start > self._failed[0]:
            return None  # what stands behind an error is not begun
        batch = heappop(self._queue)
        self._running.add(batch.start)
        self._load[host] += 1
        return batch

    @property
    def _ready(self) -> set[int]:
        return self._alive - self._resting

    def settle(
        self, host: int, batch: Batch[T], results: Sequence[R], error: BaseException | None = None
    ) -> float | None:
        """
        Take the results of a batch, one for each input, or what went wrong.

        Gives the seconds after which the worker has to say that *host* `rested`, if it is to rest.
        """
        self._running.remove(batch.start)
        self._load[host] -= 1
        if error is not None:
            return self._failure(host, batch, error)
        self._rests[host] = 0
        self._results[batch.start] = results
        return None

    def _failure(self, host: int, batch: Batch[T], error: BaseException) -> float | None:
        reason = blame(error)
        if reason is Blame.BUSY:
            if host in self._resting:  # another worker has said so
                heappush(self._queue, batch)
                return None
            if self._rests[host] < RESTS or self._load[host]:  # what works on something of ours is not dead
                heappush(self._queue, batch)
                self._resting.add(host)
                self._rests[host] = min(self._rests[host] + 1, RESTS)
                return float(_FIRST_REST * 2 ** (self._rests[host] - 1))
        if reason is not Blame.INPUTS and host in self._alive:
            self._alive.remove(host)
            self._last_words = error
        if reason is not Blame.INPUTS and self._on_dead == "resend":
            heappush(self._queue, batch)
        elif self._failed is None or batch.start < self._failed[0]:
            self._failed = batch.start, error
        return None

    def is_asked(self, host: int) -> bool:
        """Whether *host* is one of those that are asked, and not dead."""
        return host in self._alive

    def rested(self, host: int) -> None:
        """Take note that *host* may be asked again."""
        self._resting.discard(host)

    # --- results ---

    @property
    def is_over(self) -> bool:
        """Whether all results are given out, and nothing more will come."""
        return self._stopped or (self._ended and self._given == self._read and self._inputs_failed is None)

    @property
    def is_between(self) -> bool:
        """Whether the next result is the first of its batch."""
        return not self._giving

    @property
    def can_give(self) -> bool:
        """Whether `give` has something now: a result, or an error in its place."""
        return not self.is_over and (
            bool(self._giving)
            or self._first in self._results
            or self._is_lost(self._first)
            or (self._ended and self._given == self._read)
        )

    def _is_lost(self, start: int) -> bool:
        if self._failed is not None and self._failed[0] == start:
            return True
        return not self._alive and start in self._batches and start not in self._running and start not in self._results

    def give(self) -> R:
        """
        Give the next result, if it `can_give` one.

        Raises InputsError in place of the results of inputs that failed, or what reading the inputs raised; then it is
        over.
        """
        if not self._giving:
            if self._first not in self._results:
                self._stopped = True
                raise self._error()
            self._giving.extend(self._results.pop(self._first))
        result = self._giving.popleft()
        self._given += 1
        if not self._giving:
            self._first += len(self._batches.pop(self._first).inputs)
        return result

    def _error(self) -> Exception:
        if self._first not in self._batches:
            return self._inputs_failed or RuntimeError("nothing failed")
        indices = self._batches[self._first].indices
        cause, why = self._last_words, "no host is left; the last one: "
        if self._failed is not None and self._failed[0] == self._first:
            cause, why = self._failed[1], ""
        which = f"input {indices[0]}" if len(indices) == 1 else f"inputs {indices[0]} to {indices[-1]}"
        done = {start + index: one for start, found in self._results.items() for index, one in enumerate(found)}
        error = InputsError(
            f"{which} failed: {why}{cause}",
            inputs=indices,
            done=done,
            method=getattr(cause, "method", None),
            url=getattr(cause, "url", None),
            model=getattr(cause, "model", None),
        )
        error.__cause__ = cause
        return error
