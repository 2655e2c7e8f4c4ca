"""What another thread ends a request by, whoever sends it: the core, or httpx's own blocking transport."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Final

from . import _core

if TYPE_CHECKING:
    import socket

_CORE_HAS_SOCKETS: Final = hasattr(_core, "Leash")
_LOOK_AT_SIGNALS: Final = 0.05
"""Seconds after which a pause looks whether a signal came: one that comes just before a wait does not end it."""
_turn = threading.RLock()
"""
Between who waits and who pulls; one for all, since it is held for a moment only.

A finalizer may pull another leash meanwhile, in the same thread.
"""


def _renew() -> None:
    global _turn  # noqa: PLW0603 - the thread that held it at the fork is not in the child
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


class Pulled(Exception):  # noqa: N818 - it tells, and is caught where it is raised
    """The leash was pulled before the wait began."""


def shut(connection: socket.socket) -> None:
    """End every wait on *connection*, whoever waits."""
    import socket  # which is loaded by now, but not for who only imports this package

    with suppress(OSError):  # it is closed already
        # Not the method of a TLS socket, which would take the encryption away from who reads.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class Leash:
    """
    Goes with one request, and can end it.

    The core has its own kind, in `core`, which is None where the core has no sockets. Over httpx's own transport each
    wait on a socket happens inside `with leash.wait(socket):`.
    """

    __slots__ = ("_paused", "_pulled", "_socket", "core", "holds")

    def __init__(self) -> None:
        self.core = _core.Leash() if _CORE_HAS_SOCKETS else None
        self.holds = False
        """Whether a thread is in a block of `holding`: perhaps between two waits, and then freed at the next."""
        self._pulled = False
        self._socket: socket.socket | None = None
        self._paused: threading.Event | None = None

    @property
    def is_pulled(self) -> bool:
        """Whether somebody has pulled it."""
        return self._pulled

    def pull(self) -> bool:
        """
        End the request: whoever waits on its connection is freed, and nobody will wait on it later.

        Gives whether it held somebody, who is freed now.
        """
        held = self.core is not None and self.core.pull()
        with _turn:
            self._pulled = True
            if self._paused is not None:
                self._paused.set()
            waited = self._socket
            if waited is not None:
                shut(waited)
        return held or self.holds

    def pause(self, seconds: float) -> bool:
        """Wait for *seconds*, and give whether nobody pulled the leash before or meanwhile."""
        with _turn:
            if self._pulled:
                return False
            ending = self._paused = threading.Event()
        until = perf_counter() + seconds
        while (left := until - perf_counter()) > 0:
            if ending.wait(min(left, _LOOK_AT_SIGNALS)):
                return False
        return True

    def wait(self, on: socket.socket) -> _Wait:
        """Give the block of one wait. Raises Pulled on entering it if the leash was pulled."""
        return _Wait(self, on)

    def _turn_to(self, on: socket.socket | None) -> None:
        with _turn:
            if self._pulled and on is not None:
                raise Pulled
            self._socket = on


class _Wait:
    __slots__ = ("_leash", "_socket")

    def __init__(self, leash: Leash, on: socket.socket) -> None:
        self._leash = leash
        self._socket = on

    def __enter__(self) -> None:
        self._leash._turn_to(self._socket)  # noqa: SLF001 - of this module

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leash._turn_to(None)  # noqa: SLF001 - of this module


class _Here(threading.local):
    leash: Leash | None = None


_here: Final = _Here()


class holding:  # noqa: N801 - used like a function
    """A block whose waits, in this thread, are on the leash; on none if it is None."""

    __slots__ = ("_before", "_leash")

    def __init__(self, leash: Leash | None) -> None:
        self._leash = leash

    def __enter__(self) -> None:
        self._before = _here.leash
        _here.leash = self._leash
        if self._leash is not None:
            self._leash.holds = True

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._leash is not None:
            self._leash.holds = False
        _here.leash = self._before


def current() -> Leash | None:
    """Give the leash that the waits of this thread are on."""
    return _here.leash
