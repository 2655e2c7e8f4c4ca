"""Both colours of the public functions, and both ways to name a host, behind one face: a test is written once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

import ollama_fast
from ollama_fast import aio
from ollama_fast.errors import OllamaError


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

        own_client: Whether the host is a caller's own httpx client, else what the test gives.
    """

    asynchronous: bool
    own_client: bool = False

    def __str__(self) -> str:
        return f"{'asyncio' if self.asynchronous else 'blocking'}-{'client' if self.own_client else 'host'}"

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

        return asyncio.run(run())

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

        return asyncio.run(run())

    def mock(self, handler: Callable[[httpx.Request], httpx.Response], **options: Any) -> Any:
        """Give a client of this colour whose answers come from *handler*."""
        kind = httpx.AsyncClient if self.asynchronous else httpx.Client
        return kind(transport=httpx.MockTransport(handler), **options)

    @contextmanager
    def _blocking(self, host: Any) -> Generator[Any]:
        if not self.own_client:
            yield host
            return
        with httpx.Client(base_url=host, timeout=30, trust_env=False) as client:
            yield client

    @asynccontextmanager
    async def _asyncio(self, host: Any) -> AsyncGenerator[Any]:
        if not self.own_client:
            yield host
            return
        async with httpx.AsyncClient(base_url=host, timeout=30, trust_env=False) as client:
            yield client


BOTH = [Colour(asynchronous=False), Colour(asynchronous=True)]
"""Both colours, through a host."""

EVERY = [Colour(asynchronous, own_client) for asynchronous in (False, True) for own_client in (False, True)]
"""Both colours, each through a host and through a caller's own client."""
