"""The same for asyncio."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from contextlib import aclosing, nullcontext
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from ._async_stream import Stream
from ._collect import Collected
from ._lift import build_for, face_of_parts
from ._lift import hint as hint
from ._stream import Latest, Reading

if TYPE_CHECKING:
    from ._progress import View
    from .types import ProgressResponse

P = ParamSpec("P")
E = TypeVar("E")


def relay(
    build: Callable[P, View[E]], /
) -> Callable[Concatenate[AsyncIterable[ProgressResponse] | Iterable[ProgressResponse], P], Stream[E]]:
    """Make a builder of a View a function of parts that gives a Stream of what they are seen as."""

    def run(
        parts: AsyncIterable[ProgressResponse] | Iterable[ProgressResponse], /, *args: P.args, **kwargs: P.kwargs
    ) -> Stream[E]:
        latest = Latest()
        if isinstance(parts, Stream):
            latest.turn_to(parts, parts._memory)  # noqa: SLF001 - to close this one closes that one, from any task
        elif isinstance(parts, Reading):
            raise TypeError("this stream is a blocking one: see its progress by ollama_fast")
        elif not isinstance(parts, AsyncIterable | Iterable):
            raise TypeError(f"parts must be a Stream, or parts that were kept, not {type(parts).__name__}")
        return Stream(_relay(parts, build_for(run, build, *args, **kwargs), latest), latest)

    face_of_parts(run, build, module="ollama_fast.aio")
    return run


async def _relay(
    parts: AsyncIterable[ProgressResponse] | Iterable[ProgressResponse], view: View[E], latest: Latest
) -> AsyncGenerator[E]:
    kept = None if isinstance(parts, Stream) else Collected()
    event: Any = None
    with latest, view.within:
        async with parts if isinstance(parts, Stream) else nullcontext(), aclosing(_each(parts)) as each:
            async for part in each:
                if kept is not None:
                    kept.add(part)
                event = view.see(part)
                latest.tells(event)
                yield event
                latest.check_open()
        if kept is not None:
            kept.whole()
    latest.result = event


async def _each(
    parts: AsyncIterable[ProgressResponse] | Iterable[ProgressResponse],
) -> AsyncGenerator[ProgressResponse]:
    if isinstance(parts, AsyncIterable):
        async for part in parts:
            yield part
    else:
        for part in parts:
            yield part
