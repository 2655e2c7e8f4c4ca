"""A recording: what clients asked of a server and what it replied, without what lets somebody in. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from ollama_fast.errors import OllamaError

from ._secrets import is_secret, without_secret_fields, without_secrets
from ._values import Received, Reply

Ending: TypeAlias = Literal["close", "reset", "left"]
"""How a reply ended that is not whole: the server closed the connection, broke it, or the client left."""

_KEPT_OF_REQUESTS: Final = frozenset({"content-type", "content-encoding"})
_NOT_OF_REPLIES: Final = frozenset({"date", "authentication-info", "proxy-authenticate", "proxy-authentication-info"})
_BLOBS: Final = "/api/blobs/"


class RecordingError(OllamaError, ValueError):
    """A file holds no recording, or a broken one; the text names the file and the place in it."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A body that is not kept, since it is a file or too long: its SHA-256 in hex digits, and how many bytes."""

    sha256: str
    length: int


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """What was sent; *body* is decoded JSON, bytes that are none, an Upload, or None for no body."""

    method: str
    path: str
    body: Any
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request and its reply; None if none came; *end* is how the reply ended if it is not whole."""

    request: RecordedRequest
    response: Reply | None
    end: Ending | None = None


def request_of(received: Received) -> RecordedRequest:
    """Give what a recording keeps of a request: nothing that lets somebody in."""
    headers = {name.lower(): value for name, value in received.headers if name.lower() in _KEPT_OF_REQUESTS}
    return RecordedRequest(received.method, without_secrets(received.path), body_of(received), headers)


def body_of(received: Received) -> Any:
    """Give a request's body as a recording has it."""
    if not received.length:
        return None
    upload = Upload(received.sha256, received.length)
    if not received.body or received.path.startswith(_BLOBS):
        return upload
    found = received.json
    if found is None:
        return received.body
    try:
        shown = without_secret_fields(found)
        json.dumps(shown)
    except (ValueError, RecursionError):  # what is nested just not too deeply to be read
        return upload
    return shown


def headers_of(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Give what a recording keeps of a reply's headers: nothing secret, and no time of day."""
    kept = (pair for pair in headers if not (pair[0].lower() in _NOT_OF_REPLIES or is_secret(pair[0])))
    return tuple((name, without_secrets(value)) for name, value in kept)
