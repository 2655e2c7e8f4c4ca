"""The clients of `ollama` and of `ollama_fast.compat`, of either colour, behind one face for tests."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from types import ModuleType
from typing import Any, Final, Literal

import ollama

import ollama_fast.compat
from replay import HangUpError, Received

GENUINE: Final = ollama
OURS: Final = ollama_fast.compat

Colour = Literal["blocking", "asyncio"]


_made: Final[list[Any]] = []
"""Clients that a test made, to be closed at its end: the genuine ones leave their sockets open."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package and a colour. What its clients give is awaited where it must be."""

    module: ModuleType
    colour: Colour

    @property
    def is_ours(self) -> bool:
        """Whether it is the one under test; the genuine one shows what is expected."""
        return self.module is OURS

    @property
    def asynchronous(self) -> bool:
        """Whether its clients are for asyncio."""
        return self.colour == "asyncio"

    @property
    def kind(self) -> Any:
        """The class of its clients."""
        return self.module.AsyncClient if self.asynchronous else self.module.Client

    def client(self, *args: Any, **kwargs: Any) -> Any:
        """Make a client."""
        made = self.kind(*args, **kwargs)
        _made.append(made)
        return made

    async def get(self, value: Any) -> Any:
        """Give what a method gives."""
        return await value if inspect.isawaitable(value) else value

    async def parts(self, stream: Any) -> list[Any]:
        """Read what is left of a stream."""
        return list(stream) if self.colour == "blocking" else [part async for part in stream]

    async def next(self, stream: Any) -> Any:
        """Read one part; None at the end."""
        return next(stream, None) if self.colour == "blocking" else await anext(stream, None)

    async def close_stream(self, stream: Any) -> None:
        """Close a stream."""
        if self.colour == "blocking":
            stream.close()
        else:
            await stream.aclose()

    def __str__(self) -> str:
        return f"{self.module.__name__}-{self.colour}"


PACKAGES: Final = [Package(module, colour) for module in (GENUINE, OURS) for colour in ("blocking", "asyncio")]
OF_OURS: Final = [package for package in PACKAGES if package.is_ours]


def on_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a coroutine function a test, at whose end the clients that it made are closed."""

    async def tidy(*args: Any, **kwargs: Any) -> None:
        try:
            await test(*args, **kwargs)
        finally:
            while _made:
                closed = _made.pop().close()
                if closed is not None:
                    await closed

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(tidy(*args, **kwargs))

    return run


def says(*lines: bytes | None, status: str = "200 OK") -> Callable[[Received], Iterator[bytes]]:
    """Give a reply of these lines, whatever is asked; None ends the connection there."""

    def respond(_request: Received) -> Iterator[bytes]:
        yield b"HTTP/1.1 %s\r\nTransfer-Encoding: chunked\r\n\r\n" % status.encode()
        for line in lines:
            if line is None:
                raise HangUpError
            if line:
                yield b"%x\r\n%s\r\n" % (len(line), line)
        yield b"0\r\n\r\n"

    return respond
