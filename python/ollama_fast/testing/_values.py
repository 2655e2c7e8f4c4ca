"""What arrives at the server, what it replies, and what it does to send that: the values that its rooms share. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple, TypeAlias


@dataclass(frozen=True, slots=True)
class Received:
    """
    A request that arrived; *body* is empty if it was longer than 1 MiB, but its length and SHA-256 are known.

    *version* is that of HTTP: a client of 1.0 gets no chunks, and the end of the connection for that of a stream.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    length: int
    sha256: str
    version: str = "1.1"

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

    def __post_init__(self) -> None:
        status, headers, chunks = _anything(self.status), _anything(self.headers), _anything(self.chunks)
        if not isinstance(status, int):
            raise TypeError(f"status must be an int, not {status!r}")
        if not isinstance(headers, tuple | list) or not all(map(_is_pair, headers)):
            raise TypeError(
                f"headers must be pairs of texts, such as (('Content-Type', 'text/plain'),), not {headers!r}"
            )
        if not isinstance(chunks, tuple | list) or not all(isinstance(chunk, Chunk) for chunk in chunks):
            raise TypeError(f"chunks must be a tuple of Chunk, such as (Chunk(0, b'...'),), not {_short(chunks)}")
        for chunk in self.chunks:
            _check_chunk(_anything(chunk.ms), _anything(chunk.data))

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


_MOST_MS: Final = 24 * 60 * 60 * 1000

Action: TypeAlias = bytes | float | End
"""What a server does: it sends bytes, pauses for so many seconds, or ends the connection."""


def _anything(value: object) -> Any:
    """Give *value*, which may be of another type than it says."""
    return value


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(isinstance(text, str) for text in value)


def _check_chunk(ms: Any, data: Any) -> None:
    if not isinstance(ms, int | float):
        raise TypeError(f"ms of a Chunk must be an int, not {ms!r}")
    if not 0 <= ms <= _MOST_MS:
        raise ValueError(f"ms of a Chunk must be between 0 and {_MOST_MS}, not {_short(ms)}")
    if not isinstance(data, bytes):
        raise TypeError(f"data of a Chunk must be bytes, not {_short(data)}")


def _short(value: object) -> str:
    """Show the beginning of *value*."""
    try:
        return repr(value)[:200]
    except ValueError:  # an int of more digits than Python writes
        return "what is far beyond"


def _first(headers: tuple[tuple[str, str], ...], name: str) -> str | None:
    return next((value for key, value in headers if key.lower() == name.lower()), None)
