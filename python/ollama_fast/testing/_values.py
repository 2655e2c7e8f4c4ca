"""What arrives at the server, what it replies, and what it does to send that: the values that its rooms share. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, TypeAlias


@dataclass(frozen=True, slots=True)
class Received:
    """A request that arrived; *body* is empty if it was longer than 1 MiB, but its length and SHA-256 are known."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    length: int
    sha256: str

    def header(self, name: str) -> str | None:
        """Give the first header of that name, in whatever case."""
        return _first(self.headers, name)

    @property
    def json(self) -> Any:
        """The body as JSON; None if it is empty, no JSON, or nested too deeply."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class Chunk(NamedTuple):
    """What is sent at once: when, in milliseconds since the request, and the bytes, without HTTP's framing."""

    ms: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """
    What comes back.

    Args:
        status: Of HTTP.

        headers: Pairs; how long the content is follows from the content where they do not say it.

        chunks: The content, as it is cut, and when each piece is sent. Ollama sends a part of a stream as one.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    chunks: tuple[Chunk, ...] = ()

    @property
    def body(self) -> bytes:
        """All chunks as one."""
        return b"".join(chunk.data for chunk in self.chunks)

    def header(self, name: str) -> str | None:
        """Give the first header of that name, in whatever case."""
        return _first(self.headers, name)


class End(Enum):
    """How a server ends a connection."""

    CLOSE = "close"
    """Properly: the client reads all that was sent, and then an end."""
    RESET = "reset"
    """By breaking it: the client gets an error."""
    HALF_CLOSE = "half-close"
    """Its own direction alone: the client reads an end, and the connection stays until the client leaves."""


Action: TypeAlias = bytes | float | End
"""What a server does: it sends bytes, pauses for so many seconds, or ends the connection."""


def _first(headers: tuple[tuple[str, str], ...], name: str) -> str | None:
    return next((value for key, value in headers if key.lower() == name.lower()), None)
