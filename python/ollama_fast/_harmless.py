"""
What records calls harms none: what it raises is told once, by the logger, and goes no further.

A program's own processors, exporters, samplers, propagators and instruments run amid its calls.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from . import _log

if TYPE_CHECKING:
    from types import TracebackType


class Harmless:
    """
    A block in which something is recorded, which any number of threads and tasks may be in at once.

    Args:
        what: What cannot be done if something is raised in it, in the words of the log.
    """

    __slots__ = ("_is_told", "_what")

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_told = False

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> bool:
        if not isinstance(value, Exception):
            return False  # such as Ctrl-C, which is for the program
        if not self._is_told:
            self._is_told = True
            with suppress(Exception):  # of a handler that fails, too
                _log.unrecorded(self._what, value)
        return True
