"""
Work that is observed and has not ended: what is dropped, and what is under way when the program ends, ends, too.

A finalizer may run amid whatever its thread does, even inside of what records spans, and waits for no lock: it leaves
the rest to another thread.
"""

from __future__ import annotations

import _thread
import atexit
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Protocol
from weakref import ReferenceType, ref


class Unended(Protocol):
    """What can be ended."""

    def ends(self, error: BaseException | None, /, by: str = "") -> None:
        """End, unless it has ended."""


_open: set[ReferenceType[Unended]] = set()
_waiting: deque[Callable[[], None]] = deque()
_settling = threading.Lock()
"""Held while what waits is done; no finalizer takes it."""


def add(work: Unended) -> None:
    """Have *work* ended with the program, if it is there then."""
    _see_to_the_end()
    _open.add(ref(work, _open.discard))


def later(job: Callable[[], None]) -> None:
    """Do *job* in another thread, soon; this one waits for nothing."""
    _waiting.append(job)
    with suppress(RuntimeError):  # no more threads may be started: then it is done at the end
        _thread.start_new_thread(_settle, ())


def _settle() -> None:
    with _settling:
        while _waiting:
            _waiting.popleft()()


@cache
def _see_to_the_end() -> None:
    # At the first work, when who records has been made, so that this comes before its own end: the last comes first.
    atexit.register(_end)


def _end() -> None:
    for work in list(_open):
        found = work()
        if found is not None:
            found.ends(None, by="exit")
    _settle()


def _forget() -> None:
    global _settling  # noqa: PLW0603 - a child of fork begins anew
    _open.clear()
    _waiting.clear()
    _settling = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
