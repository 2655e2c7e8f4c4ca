"""
Steps: a call that needs several requests, or other work between them, written once for both colours.

It is a generator that yields effects and performs none. A driver performs them and sends back what came of each: the
answer of a Request, the results of a Run. What fails is thrown into the steps, where it can be caught.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from ._host import limited
from ._request import Request

R = TypeVar("R")
E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)

# The effects are named tuples: dataclasses take longer to make, and this is a part of `import ollama_fast`.


class Outcome(NamedTuple, Generic[R]):
    """What came of a job: its result, or the exception that it raised."""

    result: R
    error: Exception | None = None


class Ask(NamedTuple, Generic[E_co]):
    """
    A request whose parts are shown as something else.

    Args:
        request: Whose whole answer is sent back.

        view: Makes an event of each part, or None if there is nothing to show.
    """

    request: Request[Any]
    view: Callable[[Any], E_co | None]


class Run(NamedTuple):
    """Jobs that block: done together, in threads."""

    jobs: tuple[Callable[[], Any], ...]


class Try(NamedTuple, Generic[E_co]):
    """
    Jobs that may fail, or be coroutine functions, which only asyncio can do: done like those of a Run, but all of them.

    Args:
        jobs: What to do.

        view: Makes an event of a job's place and its outcome, shown as soon as it is done. The events are sent back.
    """

    jobs: tuple[Callable[[], Any], ...]
    view: Callable[[int, Outcome[Any]], E_co]


class Tell(NamedTuple, Generic[E_co]):
    """An event for whoever watches."""

    event: E_co


class Need(NamedTuple):
    """Functions that jobs will call: an exception if this colour cannot, before anything is sent."""

    functions: tuple[Callable[..., Any], ...]


class At(NamedTuple):
    """
    A request to a host of its own.

    Args:
        host: In place of the one that the driver has.

        request: Whose whole answer is sent back.
    """

    host: Any
    request: Request[Any]


class Limited(NamedTuple):
    """
    A request that may not take long.

    Args:
        request: Whose whole answer is sent back.

        seconds: For all of it, if the host allows no less; a client of the caller's own has its own limits.
    """

    request: Request[Any]
    seconds: float


class Uploading(NamedTuple, Generic[E_co]):
    """
    A request that sends a file, whose bytes are shown while they go.

    Args:
        request: Whose whole answer is sent back.

        view: Makes an event of how many bytes have gone, which is asked for ten times a second.
    """

    request: Request[Any]
    view: Callable[[int], E_co]


class Pause(NamedTuple):
    """Nothing, for some seconds: in an event loop, others have their turn."""

    seconds: float


Effect: TypeAlias = Request[Any] | Ask[E] | Run | Try[E] | Tell[E] | Need | At | Limited | Pause | Uploading[E]
Steps: TypeAlias = Generator[Effect[Any], Any, R]
"""Steps that give an R in the end."""
Telling: TypeAlias = Generator[Effect[E], Any, R]
"""
Steps that give an R in the end, and tell whoever watches of Es before.

Where one of the two does not matter it is a type variable, too: beside an Any, mypy would take a builder's own type
variables for Any.
"""


def ask(request: Request[R]) -> Steps[R]:
    """Send *request* and give its whole answer; whoever watches sees its parts."""
    answer: R = yield request
    return answer


def ask_viewed(request: Request[R], view: Callable[[Any], E | None]) -> Telling[E, R]:
    """Send *request* and give its whole answer; whoever watches sees what *view* makes of its parts."""
    answer: R = yield Ask(request, view)
    return answer


def run_all(*jobs: Callable[[], R]) -> Steps[list[R]]:
    """Do *jobs* and give their results, in their order."""
    results: list[R] = yield Run(jobs)
    return results


def try_all(*jobs: Callable[[], Any], view: Callable[[int, Outcome[Any]], E]) -> Telling[E, list[E]]:
    """Do *jobs* and give what *view* makes of each one's outcome; whoever watches sees it when the job is done."""
    events: list[E] = yield Try(jobs, view)
    return events


def tell(event: E) -> Telling[E, None]:
    """Show *event* to whoever watches."""
    yield Tell(event)


def need(*functions: Callable[..., Any]) -> Steps[None]:
    """Say which functions jobs will call, so that those which this colour cannot call are refused now."""
    yield Need(functions)


def ask_at(host: Any, request: Request[R]) -> Steps[R]:
    """Send *request* to *host* and give its whole answer."""
    answer: R = yield At(host, request)
    return answer


def ask_within(seconds: float, request: Request[R]) -> Steps[R]:
    """Send *request* and give its whole answer; all of it may take *seconds*."""
    answer: R = yield Limited(request, seconds)
    return answer


def upload(request: Request[R], view: Callable[[int], E]) -> Telling[E, R]:
    """Send *request*, and give its whole answer; whoever watches sees what *view* makes of how many bytes have gone."""
    answer: R = yield Uploading(request, view)
    return answer


def pause(seconds: float) -> Steps[None]:
    """Wait for *seconds*."""
    yield Pause(seconds)


def asked(effect: Request[R] | Ask[Any]) -> Request[R]:
    """Give the request of an effect that is one."""
    return effect.request if isinstance(effect, Ask) else effect


def addressed(host: Any, effect: Request[R] | Ask[Any] | At | Limited | Uploading[Any]) -> tuple[Any, Request[R]]:
    """Give where to send an effect that asks something, and what; *host* is the driver's."""
    if isinstance(effect, At):
        return effect.host, effect.request
    if isinstance(effect, Limited):
        return limited(host, effect.seconds), effect.request
    return host, effect.request if isinstance(effect, Uploading) else asked(effect)


def viewed(effect: Request[Any] | Ask[E]) -> Callable[[Any], E | None]:
    """Give what makes events of the parts of such an effect's answer."""
    return effect.view if isinstance(effect, Ask) else _itself


def _itself(part: Any) -> Any:
    return part


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

    def advance(self) -> Effect[Any] | None:
        """Go on with the last effect's reply or failure to the next effect; None at the end."""
        # No local name for either: an error that comes out of here would hold this frame, and the frame the error.
        try:
            if self._failed is None:
                return self._steps.send(self._take("reply"))
            return self._steps.throw(self._take("_failed"))
        except StopIteration as stop:
            self.result = stop.value
            return None

    def _take(self, name: str) -> Any:
        taken = getattr(self, name)
        setattr(self, name, None)
        return taken

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if isinstance(value, Exception):
            self._failed = value
            return True
        if value is not None and not isinstance(value, GeneratorExit):  # a cancellation or Ctrl-C ends driver and steps
            with suppress(type(value)):
                self._steps.throw(value)
            value.with_traceback(traceback)  # without this frame, which holds it
        return False
