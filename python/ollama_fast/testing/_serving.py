"""The server: replies, faults and sockets together."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

from ._fault_turns import Faults, Turns
from ._faults import Fault
from ._loopback import Loopback, once_whole
from ._replies import Answer
from ._scripted import GREETING
from ._values import Action, Received, Reply


class Server:
    """
    A running server, which `serve` starts and ends.

    Args:
        answer: What it replies.

        port: Of 127.0.0.1; 0 takes a free one.
    """

    __slots__ = ("_answer", "_loopback", "_turns")  # a misspelt `fault` is an error

    def __init__(self, answer: Answer, port: int) -> None:
        self.answer = answer
        self._turns = Turns()
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
        return self._turns.moved

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
        return self._turns.one

    @fault.setter
    def fault(self, fault: Faults) -> None:
        self._turns.begin(fault)
        self._loopback.refuses = self._turns.refuses

    def _respond(self, request: Received) -> Iterator[Action]:
        fault = self._turns.next()
        said: object = self.answer(request)
        if not isinstance(said, Reply):
            raise TypeError(f"what answers {request.method} {request.path} must give a Reply, not {said!r}")
        return self._turns.sent(fault, said, request)

    def _stop(self) -> None:
        self._loopback.stop()
        if self._loopback.failure is not None:
            raise self._loopback.failure


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
