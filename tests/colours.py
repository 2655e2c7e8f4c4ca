"""Both colours of the public functions, and every way to name a host, behind one face: a test is written once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import httpx

import mocked
import ollama_fast
from ollama_fast import Stats, aio
from ollama_fast.errors import OllamaError

Way: TypeAlias = Literal["host", "client", "client-transport", "client-mock"]
"""
How a host is named: as the test gives it, or by a caller's own httpx client for that URL.

The client has httpx's own transport, or one of this package, or a MockTransport, which says what the replay server at
the URL would say.
"""


@dataclass(frozen=True)
class Seen:
    """What a call gave: its parts, then its error if it raised one."""

    parts: list[Any] = field(default_factory=list)
    error: OllamaError | None = None
    partial: dict[str, Any] | None = None


@dataclass(frozen=True)
class Colour:
    """
    One way to call the public functions.

    Args:
        asynchronous: Whether `ollama_fast.aio` is called, with an event loop per call.

        way: How the host is named.

        run: Runs a coroutine, by default on an event loop of its own.
    """

    asynchronous: bool
    way: Way = "host"
    run: Callable[[Coroutine[Any, Any, Any]], Any] = asyncio.run

    def __str__(self) -> str:
        return f"{'asyncio' if self.asynchronous else 'blocking'}-{self.way}"

    @property
    def module(self) -> Any:
        """The public module."""
        return aio if self.asynchronous else ollama_fast

    def whole(self, function: str, host: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Give what the function gives."""
        if not self.asynchronous:
            with self._blocking(host) as where:
                return getattr(ollama_fast, function)(where, *args, **kwargs)

        async def run() -> Any:
            async with self._asyncio(host) as where:
                return await getattr(aio, function)(where, *args, **kwargs)

        return self.run(run())

    def attempt(self, function: str, host: Any, /, *args: Any, **kwargs: Any) -> Seen:
        """Give what the function gives as the only part, or its error."""
        try:
            return Seen([self.whole(function, host, *args, **kwargs)])
        except OllamaError as error:
            return Seen([], error, error.partial)

    def parts(self, function: str, host: Any, /, *args: Any, **kwargs: Any) -> Seen:
        """Give all parts of a stream, and the error that ended it."""
        parts: list[Any] = []
        if not self.asynchronous:
            with self._blocking(host) as where:
                stream = getattr(ollama_fast, function)(where, *args, **kwargs)
                try:
                    with stream:
                        for part in stream:
                            parts.append(part)  # noqa: PERF402 - the parts before an error count
                except OllamaError as error:
                    return Seen(parts, error, stream.partial)
                return Seen(parts, None, stream.partial)

        async def run() -> Seen:
            async with self._asyncio(host) as where:
                stream = getattr(aio, function)(where, *args, **kwargs)
                try:
                    async with stream:
                        async for part in stream:
                            parts.append(part)  # noqa: PERF401 - the parts before an error count
                except OllamaError as error:
                    return Seen(parts, error, stream.partial)
                return Seen(parts, None, stream.partial)

        seen: Seen = self.run(run())
        return seen

    def collect(self, function: str, host: Any, /, *args: Any, taken: int = 0, **kwargs: Any) -> tuple[Any, Stats]:
        """Give what `collect` makes of a stream of which *taken* parts were read before, and the stream's stats."""
        if not self.asynchronous:
            with self._blocking(host) as where, getattr(ollama_fast, function)(where, *args, **kwargs) as stream:
                for _ in range(taken):
                    next(stream)
                return ollama_fast.collect(stream), stream.stats

        async def run() -> tuple[Any, Stats]:
            async with self._asyncio(host) as where, getattr(aio, function)(where, *args, **kwargs) as stream:
                for _ in range(taken):
                    await anext(stream)
                return await aio.collect(stream), stream.stats

        collected: tuple[Any, Stats] = self.run(run())
        return collected

    def mock(self, handler: Callable[[httpx.Request], httpx.Response], **options: Any) -> Any:
        """Give a client of this colour whose answers come from *handler*."""
        kind = httpx.AsyncClient if self.asynchronous else httpx.Client
        return kind(transport=httpx.MockTransport(handler), **options)

    @contextmanager
    def _blocking(self, host: Any) -> Generator[Any]:
        if self.way == "host":
            yield host
            return
        transport: httpx.BaseTransport | None = None
        if self.way == "client-transport":
            transport = ollama_fast.Transport()
        elif self.way == "client-mock":
            transport = httpx.MockTransport(mocked.answer)
        with httpx.Client(base_url=host, timeout=30, trust_env=False, transport=transport) as client:
            yield client

    @asynccontextmanager
    async def _asyncio(self, host: Any) -> AsyncGenerator[Any]:
        if self.way == "host":
            yield host
            return
        transport: httpx.AsyncBaseTransport | None = None
        if self.way == "client-transport":
            transport = ollama_fast.AsyncTransport()
        elif self.way == "client-mock":
            transport = httpx.MockTransport(mocked.answer)
        async with httpx.AsyncClient(base_url=host, timeout=30, trust_env=False, transport=transport) as client:
            yield client


def _both(*ways: Way) -> list[Colour]:
    return [Colour(asynchronous, way) for asynchronous in (False, True) for way in ways]


BOTH = _both("host")
"""Both colours, through a host."""

EVERY = _both("host", "client", "client-transport")
"""Both colours, each in every way that has sockets."""

EVERY_AND_MOCKED = _both("host", "client", "client-transport", "client-mock")
"""Both colours, each in every way, without sockets, too."""
