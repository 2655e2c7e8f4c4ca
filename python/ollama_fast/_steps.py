"""
Steps: a call that needs several requests, or other work between them, written once for both colours.

It is a generator that yields effects and performs none. A driver performs them and sends back what came of each: the
answer of a Request, the results of a Run. What fails is thrown into the steps, where it can be caught.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeAlias, TypeVar

from ._request import Request

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Run:
    """Jobs that block: done in turn, or together in threads on asyncio."""

    jobs: tuple[Callable[[], Any], ...]


@dataclass(frozen=True, slots=True)
class Tell:
    """An event for whoever watches."""

    event: Any


Effect: TypeAlias = Request[Any] | Run | Tell
Steps: TypeAlias = Generator[Effect, Any, R]


def ask(request: Request[R]) -> Steps[R]:
    """Send *request* and give its whole answer."""
    answer: R = yield request
    return answer


def run_all(*jobs: Callable[[], R]) -> Steps[list[R]]:
    """Do *jobs* and give their results, in their order."""
    results: list[R] = yield Run(jobs)
    return results


def tell(event: Any) -> Steps[None]:
    """Show *event* to whoever watches."""
    yield Tell(event)


class Course(Generic[R]):
    """
    Where steps have got to, for the driver of either colour.

    While `advance` gives an effect, the driver performs it inside `with course:` and leaves what came of it in
    `reply`; an exception in there goes into the steps instead. At the end `result` is what the steps return.
    """

    __slots__ = ("_failed", "_steps", "reply", "result")

    result: R

    def __init__(self, steps: Steps[R]) -> None:
        self._steps = steps
        self._failed: Exception | None = None
        self.reply: Any = None

    def advance(self) -> Effect | None:
        """Go on with the last effect's reply or failure to the next effect; None at the end."""
        reply, failed = self.reply, self._failed
        self.reply = self._failed = None
        try:
            return self._steps.send(reply) if failed is None else self._steps.throw(failed)
        except StopIteration as stop:
            self.result = stop.value
            return None

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if isinstance(value, Exception):  # a cancellation or Ctrl-C is none: it ends driver and steps
            self._failed = value
            return True
        return False
