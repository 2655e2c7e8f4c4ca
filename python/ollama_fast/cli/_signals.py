"""Signals that end a process: for the time of a command an exception, so that nothing half-written stays behind."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_NAMES: Final = ("SIGTERM", "SIGHUP")
"""What `timeout`, a service manager and a shutdown send, and a terminal that is closed."""

_AGAIN: Final = 1.0
"""Seconds in which a second signal says what the first did: a terminal and its shell may both tell of its end."""


class TerminatedError(SystemExit):
    """A signal ended the process; its code is that of a shell, 128 and the signal's number."""


@contextmanager
def ending_in_order() -> Generator[None]:
    """Raise TerminatedError in the block for a signal that would end the process; one that is ignored stays so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told_at: float | None = None

    def end(number: int, _: FrameType | None) -> None:
        nonlocal told_at
        if told_at is not None and time.monotonic() - told_at < _AGAIN:
            return
        told_at = time.monotonic()
        raise TerminatedError(128 + number)

    found = [number for name in _NAMES if (number := getattr(signal, name, None)) is not None]
    ours = [number for number in found if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
