"""The blocking half: the drivers of steps, and what makes builders functions."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from ._lift import Examination, build_for, face
from ._lift import hint as hint
from ._request import Request
from ._steps import (
    Ask,
    At,
    Course,
    Effect,
    Limited,
    Need,
    Pause,
    Run,
    Steps,
    Tell,
    Telling,
    Try,
    Uploading,
    addressed,
    asked,
    viewed,
)
from ._stream import Latest
from ._sync_aside import attempted, check_blocking, together, uploading
from ._sync_stream import AnyHost, Stream, begin, check_host, receive, send
from .errors import HostError

P = ParamSpec("P")
R = TypeVar("R")
E = TypeVar("E")

_MODULE = "ollama_fast"

# --- steps -----------------------------------------------------------------------------------------------------------


def perform(host: AnyHost, steps: Steps[R], /) -> R:
    """Do *steps* and give what comes of them."""
    check_host(host)
    return _perform(host, steps)


def _perform(host: AnyHost, steps: Steps[R]) -> R:
    course = Course(steps)
    with closing(steps):
        while (effect := course.advance()) is not None:
            with course:
                course.reply = _perform_one(host, effect)
            del effect  # an error in it would hold itself, by this frame
    return course.result


def watch(host: AnyHost, steps: Telling[E, Any], /) -> Stream[E]:
    """Do *steps* and give the parts of their answers, and what they tell, as they come."""
    check_host(host)
    latest = Latest()
    return Stream(_watch(host, steps, latest), latest)


def _watch(host: AnyHost, steps: Telling[E, Any], latest: Latest) -> Generator[E]:
    course = Course(steps)
    with closing(steps), latest:
        while (effect := course.advance()) is not None:
            with course:
                for event in _watch_one(host, effect, course, latest):
                    latest.tells(event)
                    yield event
                latest.check_open()
            event = effect = None  # an error in one would hold itself, by this frame
    latest.result = course.result


def _watch_one(host: AnyHost, effect: Effect[E], course: Course[Any], latest: Latest) -> Generator[E]:
    match effect:
        case Tell():
            yield effect.event
        case Request() | Ask() if (request := asked(effect)).memory is not None:
            stream, memory = begin(host, request)
            latest.turn_to(stream, memory)
            latest.within = request.within
            view = viewed(effect)
            with stream:
                for part in stream:
                    event = view(part)
                    if event is not None:
                        yield event
            course.reply = memory.whole()
        case Uploading(request, view):
            course.reply = yield from uploading(partial(send, host), request, view, latest)
        case Try(jobs, view):
            course.reply = []
            for place, job in enumerate(jobs):
                event = view(place, attempted(job))
                course.reply.append(event)
                yield event
        case _:
            course.reply = _perform_one(host, effect)


def _perform_one(host: AnyHost, effect: Effect[Any]) -> Any:
    match effect:
        case Request() | Ask() | At() | Limited() | Uploading():
            return send(*addressed(host, effect))
        case Pause(seconds):
            time.sleep(seconds)
        case Run(jobs):
            return together(jobs)
        case Try(jobs, view):
            return [view(place, attempted(job)) for place, job in enumerate(jobs)]
        case Need(functions):
            check_blocking(functions)
        case Tell():
            pass
    return None


# --- public functions ------------------------------------------------------------------------------------------------


def call(build: Callable[P, Request[R]], /, name: str | None = None) -> Callable[Concatenate[AnyHost, P], R]:
    """Make an endpoint a function that gives the whole answer."""

    def run(host: AnyHost, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return send(host, build_for(run, build, *args, **kwargs))

    face(run, build, name, module=_MODULE)
    return run


def stream(build: Callable[P, Request[R]], /) -> Callable[Concatenate[AnyHost, P], Stream[R]]:
    """Make an endpoint a function that gives the answer part by part."""

    def run(host: AnyHost, /, *args: P.args, **kwargs: P.kwargs) -> Stream[R]:
        return receive(host, build_for(run, build, *args, **kwargs))

    face(run, build, None, module=_MODULE, gives="Stream")
    return run


def procedure(build: Callable[P, Telling[E, R]], /) -> Callable[Concatenate[AnyHost, P], R]:
    """Make steps a function that gives what comes of them."""

    def run(host: AnyHost, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return perform(host, build_for(run, build, *args, **kwargs))

    face(run, build, None, module=_MODULE)
    return run


def procedure_stream(build: Callable[P, Telling[E, R]], /) -> Callable[Concatenate[AnyHost, P], Stream[E]]:
    """Make steps a function that gives the parts of their answers, and what they tell, as they come."""

    def run(host: AnyHost, /, *args: P.args, **kwargs: P.kwargs) -> Stream[E]:
        return watch(host, build_for(run, build, *args, **kwargs))

    face(run, build, None, module=_MODULE, gives="Stream")
    return run


def task(build: Callable[P, Steps[R]], /) -> Callable[P, R]:
    """Make steps that ask no host a function that gives what comes of them."""

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return _perform(None, build(*args, **kwargs))

    face(run, build, None, module=_MODULE, takes_host=False)
    return run


def examination(build: Callable[Concatenate[Any, P], Steps[R]], /) -> Examination[AnyHost, P, R]:
    """Make steps that look at a host, perhaps at one that cannot be understood, a function."""

    def run(host: AnyHost = None, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with suppress(HostError):
            check_host(host)
        return _perform(None, build_for(run, build, host, *args, **kwargs))

    face(run, build, None, module=_MODULE, takes_host=False)
    return run
