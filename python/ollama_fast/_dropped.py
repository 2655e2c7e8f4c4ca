"""How a blocking response of httpx's is closed if whoever reads it is dropped."""

from __future__ import annotations

import _thread
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar
from weakref import finalize

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


class Droppable:
    """
    A response, and who iterates over its body, for as long as *reader* reads it. If that is dropped it is let go.

    Closing it takes locks of httpcore's, and so does the end of httpcore's generators. But the garbage collector
    finalizes in whatever thread it finds, amid whatever that does: if it holds such a lock, as it may inside of a pool,
    it would wait for itself for ever. So another thread closes, and up to then the registry of `finalize` keeps all of
    it from the collector. Nothing of it may refer to *reader*.
    """

    __slots__ = ("_chunks", "_open")

    def __init__(self, response: httpx.Response, reader: object) -> None:
        self._open = [response]
        self._chunks: Iterator[object] = iter(())
        finalize(reader, self.let_go).atexit = False

    def over(self, chunks: Iterable[T]) -> Iterator[T]:
        """Iterate over *chunks*, which are of this response."""
        iterator = iter(chunks)
        self._chunks = iterator
        return iterator

    def let_go(self) -> None:
        """Have the response closed, but wait for no lock."""
        if sys.is_finalizing():
            return  # a program that ends closes all that it has
        with suppress(IndexError, RuntimeError):  # it was let go before; no more threads may be started
            response = self._open.pop()
            if not response.is_closed:
                _thread.start_new_thread(self._close, (response,))  # threading's way to start one takes locks, too

    def _close(self, response: httpx.Response) -> None:
        response.close()
