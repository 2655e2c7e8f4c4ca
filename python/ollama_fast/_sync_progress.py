"""Progress for threads: the parts of a stream, seen as something else while they are read."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from ._collect import Collected
from ._lift import build_for, face_of_parts
from ._lift import hint as hint
from ._stream import Latest, Reading
from ._sync_stream import Stream

if TYPE_CHECKING:
    from ._progress import View
    from .types import ProgressResponse

P = ParamSpec("P")
E = TypeVar("E")


def relay(build: Callable[P, View[E]], /) -> Callable[Concatenate[Iterable[ProgressResponse], P], Stream[E]]:
    """Make a builder of a View a function of parts that gives a Stream of what they are seen as."""

    def run(parts: Iterable[ProgressResponse], /, *args: P.args, **kwargs: P.kwargs) -> Stream[E]:
        latest = Latest()
        if isinstance(parts, Stream):
            latest.turn_to(parts, parts._memory)  # noqa: SLF001 - to close this one closes that one, from any thread
        elif isinstance(parts, Reading):
            raise TypeError("this stream is one of asyncio: see its progress by ollama_fast.aio")
        elif not isinstance(parts, Iterable):
            raise TypeError(f"parts must be a Stream, or parts that were kept, not {type(parts).__name__}")
        return Stream(_relay(parts, build_for(run, build, *args, **kwargs), latest), latest)

    face_of_parts(run, build, module="ollama_fast")
    return run


def _relay(parts: Iterable[ProgressResponse], view: View[E], latest: Latest) -> Generator[E]:
    kept = None if isinstance(parts, Stream) else Collected()
    event: Any = None
    with latest, view.within:
        with parts if isinstance(parts, Stream) else nullcontext():
            for part in parts:
                if kept is not None:
                    kept.add(part)
                event = view.see(part)
                latest.tells(event)
                yield event
                latest.check_open()
        if kept is not None:
            kept.whole()
    latest.result = event
