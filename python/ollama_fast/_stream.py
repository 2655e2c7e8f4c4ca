"""What a stream of either colour is, besides how it waits: how it ends, what it has measured, who may read it."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ._memory import Ending, Newest
from .errors import IncompleteStreamError, OllamaError, StreamClosedError

if TYPE_CHECKING:
    from types import TracebackType

    from ._exchange import Exchange
    from ._memory import Memory, Part
    from ._observe import Agent

SOON: Final = 0.5
"""Seconds to wait behind the last part for the end of its response, by which a connection can be kept."""
_CAUSES: Final = 8
"""How many causes of an error are remembered with it, at most."""
_UNKNOWN: Final = object()


class Latest(Ending):
    """What a stream over several requests remembers: the answer to the last of them, and what came of all."""

    __slots__ = ("_memory", "began_at", "closed", "count", "first_at", "result", "stream", "within")

    def __init__(self) -> None:
        super().__init__()
        self._memory: Memory | Latest = Newest()
        self.began_at: float | None = None
        self.first_at: float | None = None
        self.count = 0
        self.stream: Any = None
        """The stream of the request that is done now, if it has one."""
        self.within: Agent | None = None
        """What the request belongs to, if that is observed."""
        self.closed = False
        """Whether it was closed, perhaps while somebody else reads it."""
        self.result: Any = _UNKNOWN
        """What the steps returned."""

    def __enter__(self) -> None:
        self.began_at = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.ends(value)

    def turn_to(self, stream: Any, memory: Memory | Latest | None = None) -> None:
        """
        Look at another request's parts from now on, if it has parts; *stream* can end it.

        Raises StreamClosedError if it was closed: who closes says so first, and then may have found no stream to end.
        """
        self.stream = stream
        if memory is not None:
            self._memory = memory
        self.check_open()

    def tells(self, event: Any) -> None:
        """Notice an *event*, and remember it if it is progress of no request."""
        if self.first_at is None:
            self.first_at = perf_counter()
        self.count += 1
        if event is not self._memory.last and isinstance(event, dict) and isinstance(self._memory, Newest):
            self._memory.add(event)

    def is_left(self) -> None:
        """Notice that it was closed, and that nobody reads it who would end what is observed."""
        if self.within is not None:
            self.within.ends(None, by="close")

    def check_open(self) -> None:
        """Raise StreamClosedError if it was closed."""
        if self.closed:
            raise StreamClosedError("the stream was closed while it was read", partial=self.merged())

    @property
    def last(self) -> Part | None:
        """The newest part."""
        return self._memory.last

    def merged(self) -> Part | None:
        """Give the last answer so far."""
        return self._memory.merged()

    @property
    def complete(self) -> bool:
        """Whether the steps are done."""
        return self.result is not _UNKNOWN

    def whole(self) -> Any:
        """Give what the steps returned."""
        return self.result


@dataclass(frozen=True, slots=True)
class Stats:
    """
    What a stream has measured of itself.

    Args:
        first_part: Seconds from sending the request to the first part; None before it.

        parts: How many parts came.

        tokens_per_second: The server's own count of tokens over its time for them; None before the last part, and for
            streams without tokens.

        total: Seconds from sending the request to the end of the stream, or until now.
    """

    first_part: float | None
    parts: int
    tokens_per_second: float | None
    total: float


class Reading:
    """What a stream of either colour knows of itself, besides how to wait."""

    _BLOCK: ClassVar = "a `with`"
    __slots__ = ("_closed", "_exchange", "_memory")

    def __init__(self, memory: Memory | Latest, exchange: Exchange[Any] | None) -> None:
        self._memory = memory
        self._exchange = exchange
        self._closed = False

    @property
    def partial(self) -> Part | None:
        """
        The answer so far, merged from the parts that arrived; None before the first.

        For a pull, push or create it is the newest part, and in `layers` the newest of each digest.
        """
        return self._memory.merged()

    @property
    def stats(self) -> Stats:
        """What was measured so far: time to the first part, parts, tokens per second, time in all."""
        memory = self._memory
        began = self._began_at
        if began is None:
            return Stats(None, 0, None, 0.0)
        ended = perf_counter() if memory.ended_at is None else memory.ended_at
        first = None if memory.first_at is None else memory.first_at - began
        return Stats(first, memory.count, _tokens_per_second(memory.last), ended - began)

    @property
    def _began_at(self) -> float | None:
        if isinstance(self._memory, Latest):
            return self._memory.began_at
        return None if self._exchange is None else self._exchange.began_at

    def _check_open(self) -> None:
        if self._closed:
            raise self._error(StreamClosedError, "the stream is closed: nothing more can be read from it")

    def _check_end(self) -> None:
        """
        Raise again what ended the stream, unless that is its end: it shall not look as if it were whole.

        A cancellation or Ctrl-C was for who read then; whoever reads now is told that the answer is incomplete.
        """
        if not self._has_ended():
            return
        failure = self._memory.failure
        if failure is not None:  # perhaps behind the last part
            raise failure
        if not self._memory.complete:
            text = "the stream is incomplete: reading it was broken off before its last part"
            raise self._error(IncompleteStreamError, text)

    def _error(self, kind: type[OllamaError], text: str) -> OllamaError:
        """Give an error of *kind* that says *text*, of which call, and what had arrived."""
        memory = self._memory
        asks = self if not isinstance(memory, Latest) else memory.stream
        exchange: Exchange[Any] | None = None if asks is None else asks._exchange  # noqa: SLF001 - of this class
        if exchange is None:
            return kind(text, partial=self.partial)
        return kind(exchange.context.say(text), **exchange.context.facts(), partial=self.partial)

    def _whole(self) -> Any:
        self._check_end()
        return self._memory.whole()

    def _has_ended(self) -> bool:
        """Whether nothing is left to be closed."""
        raise NotImplementedError

    def __del__(self) -> None:
        # A stream whose last reference is dropped is closed by that. But it is by chance when this happens, and on
        # another interpreter it may be late: who keeps a stream closes it, best by `with`.
        # A program that ends closes all that it has.
        if sys.is_finalizing() or not hasattr(self, "_parts"):  # Ctrl-C came before it was made
            return
        exchange = self._exchange
        is_open = self._began_at is not None if exchange is None else exchange.response is not None
        if is_open and not self._closed and not self._has_ended():
            text = f"unclosed {self!r}; use it in {self._BLOCK} block"
            warnings.warn(text, ResourceWarning, stacklevel=2, source=self)


def two_readers(kind: str) -> RuntimeError:
    """Say that a stream has a reader already; it is no error of a call, but of the program, as in asyncio."""
    return RuntimeError(f"another {kind} waits for a part of this stream: each part goes to one reader, so give it one")


def _tokens_per_second(part: Part | None) -> float | None:
    count, nanoseconds = (part or {}).get("eval_count"), (part or {}).get("eval_duration")
    if not isinstance(count, int) or not isinstance(nanoseconds, int) or nanoseconds <= 0:
        return None
    try:
        return count / (nanoseconds / 1e9)
    except OverflowError:  # no float is as large, and no server has counted that
        return None
