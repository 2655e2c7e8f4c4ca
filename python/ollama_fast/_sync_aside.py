"""What a blocking driver does in threads beside its own: jobs together, and a file that is sent."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Sequence
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from inspect import iscoroutine, iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from ._leash import Leash
from ._steps import Outcome

if TYPE_CHECKING:
    from ._request import Request
    from ._stream import Latest
    from ._upload import Counted, Upload

R = TypeVar("R")
E = TypeVar("E")

_PATIENCE: Final = 2.0
"""Seconds that leaving an upload waits for its thread; once its connection is ended it needs a millisecond."""

# --- jobs ------------------------------------------------------------------------------------------------------------


def together(jobs: Sequence[Callable[[], R]]) -> list[R]:
    """Do *jobs* in threads, as many at a time as there are processors, and give their results in order."""
    if len(jobs) < 2:
        return [job() for job in jobs]
    from concurrent.futures import ThreadPoolExecutor

    threads = ThreadPoolExecutor(min(len(jobs), os.cpu_count() or 1), "ollama_fast")
    try:
        return [done.result() for done in [threads.submit(copy_context().run, job) for job in jobs]]
    finally:
        threads.shutdown(wait=False, cancel_futures=True)  # after a Ctrl-C, too: the steps hold the rest back


def check_blocking(functions: Sequence[Callable[..., Any]]) -> None:
    """Raise TypeError if one of *functions* is a coroutine function."""
    for function in functions:
        if iscoroutinefunction(function):
            raise _coroutine_function(function)


def attempted(job: Callable[[], R]) -> Outcome[R | None]:
    """Do *job*, and give what came of it."""
    try:
        result = job()
    except Exception as exc:  # noqa: BLE001 - it is what came of the job
        return Outcome(None, exc)
    if iscoroutine(result):  # of a function that does not look like a coroutine function, or it had been refused before
        result.close()
        return Outcome(None, _coroutine_function(job))
    return Outcome(result)


def _coroutine_function(function: Any) -> TypeError:
    name = getattr(function, "__name__", None) or repr(getattr(function, "func", function))
    return TypeError(f"{name} is a coroutine function, which is for ollama_fast.aio: here nothing awaits it")


# --- a file that is sent ---------------------------------------------------------------------------------------------


def uploading(
    send: Callable[[Request[R], Leash], R], request: Request[R], view: Callable[[int], E], latest: Latest
) -> Generator[E, None, R]:
    """
    Send a file in a thread, and give meanwhile what *view* makes of how many bytes have gone.

    Args:
        send: Does a request, which its leash ends.

        request: Whose body is the file.

        view: Makes an event of the bytes.

        latest: What the stream that gives the events looks at.
    """
    from ._upload import BETWEEN, Counted

    counted = Counted(cast("Upload", request.upload))
    aside = _Aside(partial(send, replace(request, upload=counted)), counted)
    latest.turn_to(aside)
    try:
        aside.start()
        while not aside.wait(BETWEEN):
            yield view(counted.sent)
    finally:
        aside.end()
    latest.check_open()
    return aside.result()


class _Aside(Generic[R]):
    """A request in a thread of its own, which other threads can end."""

    _exchange = None  # an error of the stream that has it says nothing of a request

    def __init__(self, sending: Callable[[Leash], R], counted: Counted) -> None:
        self._leash = Leash()
        self._counted = counted
        self._came: list[Outcome[R | None] | BaseException] = []
        """Taken out again, since an error holds the frames below by its traceback, and would hold itself."""
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._send, sending), name="ollama_fast", daemon=True
        )

    def start(self) -> None:
        """Start the thread: in the block that ends it, since Ctrl-C may come before this returns."""
        self._thread.start()

    def _send(self, sending: Callable[[Leash], R]) -> None:
        try:
            self._came.append(Outcome(sending(self._leash)))
        except BaseException as exc:  # noqa: BLE001 - it is for who waits
            self._came.append(exc)

    def wait(self, seconds: float) -> bool:
        """Wait for its end, and give whether it came."""
        if self._thread.is_alive():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def end(self) -> None:
        """End it, unless it has ended."""
        if not self._came:
            self._leave(None)
            self.wait(_PATIENCE)

    def _leave(self, _kind: type[BaseException] | None) -> None:
        self._counted.held = True
        self._leash.pull()

    def result(self) -> R:
        """Give what came of it, once."""
        came = self._came.pop()
        if isinstance(came, BaseException):
            raise came
        return cast("R", came.result)
