"""
Many inputs, blocking: worker threads that ask a Schedule what to do.

The inputs are read in the caller's thread, since generators, cursors of databases and the like belong to one.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from contextvars import copy_context
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeAlias, TypeVar
from weakref import WeakSet, finalize

from ._leash import Leash
from ._lift import lift_many
from ._many import Many, tell_of_host
from ._map import Schedule
from ._sync_stream import check_call, send
from .errors import StreamClosedError

if TYPE_CHECKING:
    import httpx

    from ._host import Host
    from ._map import Batch

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F")

Hosts: TypeAlias = "Host | str | httpx.Client | Sequence[Host | str | httpx.Client | None] | None"
"""One host, or several that share the work; a str is one."""

_PATIENCE = 2.0
"""Seconds that closing waits for threads whose requests were ended; they need a millisecond."""


class _Crew(Generic[R]):
    """The threads behind Answers, and what they share. It does not know the Answers, which may be dropped."""

    def __init__(self, hosts: Sequence[Any], many: Many[R]) -> None:
        self.schedule: Schedule[Any, R] = Schedule(
            len(hosts), many.concurrency, many.batch_size, many.on_dead, many.take
        )
        self.changed = threading.Condition()  # its lock is for the schedule
        self.closing = threading.Event()
        self.process = os.getpid()
        self._hosts = hosts
        self._many = many
        self._threads: list[threading.Thread] = []
        self._requests: dict[threading.Thread, Leash] = {}
        """What each thread that waits for an answer is held by."""
        _crews.add(self)

    def start(self) -> None:
        """Start the threads, if they are not."""
        if self._threads:
            return
        for place in list(range(len(self._hosts))) * self._many.concurrency:
            # A context each, for who traces calls. Daemons, as what waits for a foreign client cannot be ended.
            context = copy_context()
            thread = threading.Thread(target=context.run, args=(self._work, place), name="ollama_fast", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self, place: int) -> None:
        while (batch := self._wait(lambda: self.schedule.take(place))) is not None:
            results, error = self._attempt(place, batch)
            with self.changed:
                asked = self.schedule.is_asked(place)
                rest = self.schedule.settle(place, batch, results, error)
                lost = asked and not self.schedule.is_asked(place)
                self.changed.notify_all()
            if error is not None and not self.closing.is_set():
                tell_of_host(error, rest, lost=lost)
            if rest is not None and not self.closing.wait(rest):
                with self.changed:
                    self.schedule.rested(place)
                    self.changed.notify_all()

    def _wait(self, ask: Callable[[], F | None]) -> F | None:
        """Ask after every change until there is something; None if all is closed."""
        with self.changed:
            while not self.closing.is_set():
                if (found := ask()) is not None:
                    self.changed.notify_all()  # it may be another's turn now
                    return found
                self.changed.wait()
        return None

    def _attempt(self, place: int, batch: Batch[Any]) -> tuple[Sequence[R], BaseException | None]:
        leash = self._requests[threading.current_thread()] = Leash()
        try:
            if self.closing.is_set():  # since nobody pulls any more
                return (), StreamClosedError("closed")
            answer = send(self._hosts[place], self._many.build(batch.inputs), leash=leash)
            return self._many.split(answer, len(batch.inputs)), None
        except BaseException as exc:  # noqa: BLE001 - it is raised to the caller; a lost one would let them wait for ever
            return (), exc
        finally:
            del self._requests[threading.current_thread()]

    def close(self) -> None:
        """End the threads, and the requests that they wait for."""
        if self.process != os.getpid():
            return  # a child of fork has no threads, and locks that perhaps nobody will release
        held = self._end()
        deadline = time.monotonic() + _PATIENCE
        if threading.current_thread() not in self._threads:
            for thread in self._threads:
                # The answer to a foreign client comes when it comes, and nobody gets it. One that is not alive may not
                # even have been started, if Ctrl-C came before, and cannot be waited for.
                if held.get(thread, True) and thread.is_alive():
                    thread.join(max(0, deadline - time.monotonic()))

    def _end(self) -> dict[threading.Thread, bool]:
        """Have the threads end, and give of those with a request whether they waited for it."""
        self.closing.set()
        with self.changed:
            self.changed.notify_all()
        return {thread: leash.pull() for thread, leash in list(self._requests.items())}

    def let_go(self) -> None:
        """
        Have all of it ended, but wait for no lock and no thread.

        It is what a finalizer does, and the garbage collector finalizes in whatever thread it finds: one that holds a
        lock of this crew would wait for itself, and one that holds another lock keeps up who needs that to end.
        """
        if self.process == os.getpid() and not sys.is_finalizing():
            with suppress(RuntimeError):  # no more threads may be started, and the program closes all crews
                # threading's way to start one takes locks, too. It waits for none of the others: as soon as such a
                # thread asks which it is, threading lists it as one that never ends.
                _thread.start_new_thread(self._end, ())


_crews: WeakSet[_Crew[Any]] = WeakSet()


@atexit.register
def _close_all() -> None:
    for crew in list(_crews):
        crew.close()


class Answers(Generic[R]):
    """
    What comes of many inputs, in their order.

    Iterate over it, best in a `with` block, which closes it. It begins at the first `next()`. It also ends when it is
    dropped, on any exception, and with the program.
    """

    __slots__ = ("__weakref__", "_crew", "_inputs", "_turn", "_whole")

    def __init__(self, hosts: Sequence[Any], many: Many[R]) -> None:
        if not isinstance(many.inputs, Iterable):
            raise TypeError("inputs must be an iterable; for an async one call the function in ollama_fast.aio")
        self._inputs = iter(many.inputs)
        self._crew = _Crew(hosts, many)
        self._turn = threading.RLock()
        finalize(self, self._crew.let_go).atexit = False

    def __iter__(self) -> Iterator[R]:
        return self

    def __next__(self) -> R:
        if self._crew.process != os.getpid():
            raise RuntimeError("these answers are another process's: call the function in this one")
        with self._turn:
            try:
                return self._next()
            except BaseException:
                self._crew.close()
                raise

    def _next(self) -> R:
        crew, schedule = self._crew, self._crew.schedule
        may_give = False  # before one is given, one is read: so the workers do not run out
        while True:
            with crew.changed:
                if schedule.is_over:
                    raise StopIteration
                if crew.closing.is_set():
                    raise StreamClosedError("the answers are closed: nothing more can be read from them")
                may_read = schedule.has_room
                if schedule.can_give and (may_give or not may_read):
                    return schedule.give()
                if not may_read:
                    crew.changed.wait()
                    continue
            may_give = True
            self._read()

    def _read(self) -> None:
        crew, error = self._crew, None
        nothing = object()
        try:
            one = next(self._inputs, nothing)
        except Exception as exc:  # noqa: BLE001 - it is raised in its place
            one, error = nothing, exc
        with crew.changed:
            is_batch = crew.schedule.end(error) if one is nothing else crew.schedule.add(one)
            if is_batch:
                crew.start()
                crew.changed.notify_all()

    def close(self) -> None:
        """
        End the work: requests under way are broken off, and the server stops with them.

        Who reads in another thread gets a StreamClosedError. A request through an httpx client of your own is not
        broken off but left alone; its thread ends with its answer, which nobody gets.
        """
        self._crew.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def many(build: Callable[P, Many[R]], /) -> Callable[Concatenate[Hosts, P], Answers[R]]:
    """Make a builder of a Many a function that gives the answers."""
    return lift_many(build, Answers, check_call, module="ollama_fast")
