"""
Who is told of calls while they happen: the seam for tracing, which knows no tracer.

Nobody is told, unless `observer` is set. Without one a call pays for a look at it, and a part for nothing. Who observes
raises nothing: a call has its own answer or error, whatever becomes of what is recorded of it.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from types import TracebackType

    from ._memory import Memory
    from ._request import Request

Job: TypeAlias = Callable[[], Any]


class Observed(Protocol):
    """
    One call of a model or of the server, as who observes it sees it.

    It is made at the call, in the caller's context, and is told when the request is sent. Of one that is dropped before
    it is told of its end nobody else tells it: it has to see to that itself.
    """

    memory: Memory | None
    """What is kept of the parts, if the answer comes in parts; to be looked at when the call ends."""
    answer: Any
    """The whole answer, once it is there; None where it comes in parts."""
    attempts: int
    """How often the request was sent, or tried to be."""

    def sending(self) -> AbstractContextManager[None]:
        """Give a block in which the request is sent and its head waited for, which is in one task or thread."""
        ...

    def mark(self, headers: MutableMapping[str, str], /) -> None:
        """Add to the *headers* of the request what tells the server of whom it is asked."""

    def ends(self, error: BaseException | None, /) -> None:
        """
        Take note that the call is over, and of what ended it, if that was not its own end.

        Any thread may say so, and more than one: the first counts. A GeneratorExit may come from a finalizer, amid
        whatever its thread was doing, so that no lock may be waited for then.
        """


class Agent(Protocol):
    """Several calls, and what happens between them, to one end; its block is around all of it."""

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

    def ends(self, error: BaseException | None, /, by: str = "") -> None:
        """Take note that it is over before its block is, or of nothing if that is known; *by* says what ended it."""


class Observer(Protocol):
    """Makes what is told of one call."""

    def call(self, request: Request[Any], url: str, /, *, stream: bool) -> Observed:
        """Take note of a call of *request* to *url* that is about to be made."""
        ...

    def agent(self, model: str, /) -> Agent:
        """Take note that *model* is about to be asked, with tools, until it answers."""
        ...

    def tool(self, call: Any, job: Job, within: Agent | None, /) -> Job:
        """Give *job*, which does a model's *call* of a tool, as one that is told of; it may be a coroutine function."""
        ...


observer: Observer | None = None
"""Who is told; `ollama_fast.telemetry` sets it."""

_UNSEEN: Final = nullcontext()


def agent(model: str) -> Agent | None:
    """Have a conversation with *model* observed, from the caller's context; None if nobody observes."""
    seer = observer  # once, since another thread may change it
    return None if seer is None else seer.agent(model)


def around(seen: Agent | None) -> AbstractContextManager[object]:
    """Give the block of *seen*."""
    return _UNSEEN if seen is None else seen


def tool(call: Any, job: Job, within: Agent | None = None) -> Job:
    """Have *job*, which does a model's *call*, observed."""
    seer = observer
    return job if seer is None else seer.tool(call, job, within)
