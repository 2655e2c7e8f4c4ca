"""The asyncio half: the drivers of steps, and what makes builders functions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

from ._async_aside import Aside, attempted, current_task, together
from ._async_stream import AnyHost, Stream, begin, check_host, receive, send
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
from .errors import HostError

if TYPE_CHECKING:
    from ._upload import Upload

P = ParamSpec("P")
R = TypeVar("R")
E = TypeVar("E")

_MODULE = "ollama_fast.aio"

# --- steps -----------------------------------------------------------------------------------------------------------


async def perform(host: AnyHost, steps: Steps[R], /) -> R:
    """Do *steps* and give what comes of them."""
    check_host(host)
    return await _perform(host, steps)


async def _perform(host: AnyHost, steps: Steps[R]) -> R:
    course = Course(steps)
    with closing(steps):
        while (effect := course.advance()) is not None:
            with course:
                course.reply = await _perform_one(host, effect)
            del effect  # an error in it would hold itself, by this frame
    return course.result


def watch(host: AnyHost, steps: Telling[E, Any], /) -> Stream[E]:
    """Do *steps* and give the parts of their answers, and what they tell, as they come."""
    check_host(host)
    latest = Latest()
    return Stream(_watch(host, steps, latest), latest)


async def _watch(host: AnyHost, steps: Telling[E, Any], latest: Latest) -> AsyncGenerator[E]:
    course = Course(steps)
    with closing(steps), latest:
        while (effect := course.advance()) is not None:
            with course:
                async with aclosing(_watch_one(host, effect, course, latest)) as events:
                    async for event in events:
                        latest.tells(event)
                        yield event
                latest.check_open()
            event = effect = None  # an error in one would hold itself, by this frame
    latest.result = course.result


async def _watch_one(host: AnyHost, effect: Effect[E], course: Course[Any], latest: Latest) -> AsyncGenerator[E]:
    match effect:
        case Tell():
            yield effect.event
        case Request() | Ask() if (request := asked(effect)).memory is not None:
            stream, memory = begin(host, request)
            latest.turn_to(stream, memory)
            latest.within = request.within
            view = viewed(effect)
            async with stream:
                async for part in stream:
                    event = view(part)
                    if event is not None:
                        yield event
            course.reply = memory.whole()
        case Uploading(request, view) if current_task() is not None:
            from ._upload import BETWEEN, Counted

            counted = Counted(cast("Upload", request.upload))
            aside = Aside(send(host, replace(request, upload=counted)))
            latest.turn_to(aside)
            try:
                while not await aside.wait(BETWEEN):
                    yield view(counted.sent)
            finally:
                await aside.aclose()
            latest.check_open()
            course.reply = aside.result()
        case Try(jobs, view):
            tasks = [asyncio.create_task(attempted(place, job, view)) for place, job in enumerate(jobs)]
            try:
                for done in asyncio.as_completed(tasks):
                    yield await done
            finally:
                for unfinished in tasks:
                    unfinished.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)  # they may have to clean up
            course.reply = [done.result() for done in tasks]
        case _:
            course.reply = await _perform_one(host, effect)


async def _perform_one(host: AnyHost, effect: Effect[Any]) -> Any:
    match effect:
        case Request() | Ask() | At() | Limited() | Uploading():
            return await send(*addressed(host, effect))
        case Pause(seconds):
            return await _pause(seconds)
        case Run(jobs):
            return await together(jobs)
        case Try(jobs, view):
            return await asyncio.gather(*(attempted(place, job, view) for place, job in enumerate(jobs)))
        case Need() | Tell():
            return None


async def _pause(seconds: float) -> None:
    """Wait: on asyncio, or on trio, where a caller's own client may run."""
    if current_task() is not None:
        return await asyncio.sleep(seconds)
    import anyio  # which httpx brings

    return await anyio.sleep(seconds)


# --- public functions ------------------------------------------------------------------------------------------------


def call(
    build: Callable[P, Request[R]], /, name: str | None = None
) -> Callable[Concatenate[AnyHost, P], Coroutine[Any, Any, R]]:
    """Make an endpoint a function to await for the whole answer."""

    async def run(host: AnyHost, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await send(host, build_for(run, build, *args, **kwargs))

    face(run, build, name, module=_MODULE)
    return run


def stream(build: Callable[P, Request[R]], /) -> Callable[Concatenate[AnyHost, P], Stream[R]]:
    """Make an endpoint a function that gives the answer part by part."""

    def run(host: AnyHost, /, *args: P.args, **kwargs: P.kwargs) -> Stream[R]:
        return receive(host, build_for(run, build, *args, **kwargs))

    face(run, build, None, module=_MODULE, gives="Stream")
    return run


def procedure(build: Callable[P, Telling[E, R]], /) -> Callable[Concatenate[AnyHost, P], Coroutine[Any, Any, R]]:
    """Make steps a function to await for what comes of them."""

    async def run(host: AnyHost, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await perform(host, build_for(run, build, *args, **kwargs))

    face(run, build, None, module=_MODULE)
    return run


def procedure_stream(build: Callable[P, Telling[E, R]], /) -> Callable[Concatenate[AnyHost, P], Stream[E]]:
    """Make steps a function that gives the parts of their answers, and what they tell, as they come."""

    def run(host: AnyHost, /, *args: P.args, **kwargs: P.kwargs) -> Stream[E]:
        return watch(host, build_for(run, build, *args, **kwargs))

    face(run, build, None, module=_MODULE, gives="Stream")
    return run


def task(build: Callable[P, Steps[R]], /) -> Callable[P, Coroutine[Any, Any, R]]:
    """Make steps that ask no host a function to await for what comes of them."""

    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return await _perform(None, build(*args, **kwargs))

    face(run, build, None, module=_MODULE, takes_host=False)
    return run


def examination(build: Callable[Concatenate[Any, P], Steps[R]], /) -> Examination[AnyHost, P, Coroutine[Any, Any, R]]:
    """Make steps that look at a host, perhaps at one that cannot be understood, a function to await."""

    async def run(host: AnyHost = None, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with suppress(HostError):
            check_host(host)
        return await _perform(None, build_for(run, build, host, *args, **kwargs))

    face(run, build, None, module=_MODULE, takes_host=False)
    return run
