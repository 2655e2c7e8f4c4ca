"""The server: replies, faults and sockets together."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TypeAlias

from ._faults import Fault, faulty
from ._loopback import Loopback, once_whole
from ._replies import Answer
from ._scripted import GREETING, model_of
from ._values import Action, Received, Reply

Faults: TypeAlias = Fault | Iterable[Fault | None] | None


class Server:
    """
    A running server, which `serve` starts and ends.

    Args:
        answer: What it replies.

        port: Of 127.0.0.1; 0 takes a free one.
    """

    __slots__ = ("_answer", "_fault", "_lock", "_loopback", "_moved", "_next")  # a misspelt `fault` is an error

    def __init__(self, answer: Answer, port: int) -> None:
        self.answer = answer
        self._lock = Lock()
        self._moved: list[str] = []
        self._fault: Fault | None = None
        self._next: Iterator[Fault | None] | None = None
        self._loopback = Loopback(once_whole(self._respond), port)

    @property
    def answer(self) -> Answer:
        """What it replies; can be set at any time."""
        return self._answer

    @answer.setter
    def answer(self, answer: Answer) -> None:
        if not callable(answer):
            raise TypeError(f"answer must be a function, such as reply('Yes.') makes, not {answer!r}")
        self._answer = answer

    @property
    def url(self) -> str:
        """Where it is."""
        return self._loopback.url

    @property
    def requests(self) -> list[Received]:
        """The requests that arrived."""
        return self._loopback.requests

    @property
    def abandoned(self) -> list[Received]:
        """Those of them whose client hung up before the reply was whole."""
        return self._loopback.abandoned

    @property
    def rejected(self) -> list[str]:
        """Why something that arrived was no request of HTTP; to that a 400 was replied."""
        return self._loopback.rejected

    @property
    def moved(self) -> list[str]:
        """Why a fault met another part than its own: there were not as many, so it was the last one, or the first."""
        return self._moved

    @property
    def connections(self) -> int:
        """How many connections were accepted."""
        return self._loopback.connections

    @property
    def underway(self) -> int:
        """How many replies are being sent; one that stalls, and so waits for its client to leave, is not."""
        return self._loopback.underway

    @property
    def fault(self) -> Fault | None:
        """
        What goes wrong with every reply from now on; None for nothing.

        It is set to that, or to several, of which each request gets the next, and none once they have run out.
        """
        return self._fault

    @fault.setter
    def fault(self, fault: Faults) -> None:
        if not (fault is None or isinstance(fault, Fault)):
            fault = _several(fault)
            if any(each is not None and each.refuses for each in fault):
                raise ValueError(
                    "a refused connection has no request: set a fault that refuses by itself, and then None"
                )
        with self._lock:
            one = fault if isinstance(fault, Fault) else None
            self._fault, self._next = one, iter(fault) if isinstance(fault, list) else None
        self._loopback.refuses = one is not None and one.refuses

    def _respond(self, request: Received) -> Iterator[Action]:
        with self._lock:
            fault = self._fault if self._next is None else next(self._next, None)
        said: object = self.answer(request)
        if not isinstance(said, Reply):
            raise TypeError(f"what answers {request.method} {request.path} must give a Reply, not {said!r}")
        return faulty(fault, said, request.method, self._moved, model_of(request), request.version)

    def _stop(self) -> None:
        self._loopback.stop()
        if self._loopback.failure is not None:
            raise self._loopback.failure


def _several(faults: Iterable[Fault | None]) -> list[Fault | None]:
    found = None if isinstance(faults, str) or not isinstance(faults, Iterable) else list(faults)
    if found is None or not all(each is None or isinstance(each, Fault) for each in found):
        raise TypeError(f"fault must be a Fault, such as FAULTS['refused'], several of them, or None, not {faults!r}")
    return found


@contextmanager
def serve(
    answer: Answer = GREETING,
    *,
    fault: Faults = None,
    port: int = 0,
) -> Generator[Server]:
    """
    Serve on 127.0.0.1 until the block ends.

    Args:
        answer: Gives the reply to a request, as what `reply("Yes.")` makes does. By default generates and chats are
            answered with a greeting, whatever the model.

        fault: What goes wrong with every reply; or several, of which each request gets the next, until they run out.

        port: By default a free one.

    Raises at the end what went wrong in *answer*.
    """
    server = Server(answer, port)
    try:
        server.fault = fault
        yield server
    finally:
        server._stop()  # noqa: SLF001 - nobody else may stop it
