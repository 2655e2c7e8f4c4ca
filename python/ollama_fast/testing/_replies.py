"""What is replied where no model says anything: errors, and where Ollama knows no such path. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from ._values import Chunk, Received, Reply

ROUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "/": ("GET", "HEAD"),
    "/api/version": ("GET", "HEAD"),
    "/api/generate": ("POST",),
    "/api/chat": ("POST",),
    "/api/embed": ("POST",),
    "/api/embeddings": ("POST",),
    "/api/tags": ("GET", "HEAD"),
    "/api/ps": ("GET",),
    "/api/show": ("POST",),
    "/api/pull": ("POST",),
    "/api/push": ("POST",),
    "/api/create": ("POST",),
    "/api/copy": ("POST",),
    "/api/delete": ("DELETE",),
    "/api/status": ("GET",),
    "/api/me": ("POST",),
    "/api/signout": ("POST",),
    "/api/experimental/web_search": ("POST",),
    "/api/experimental/web_fetch": ("POST",),
    "/api/experimental/model-recommendations": ("GET",),
}
"""Paths that Ollama knows, and their methods; blobs are beside this, since their path has a digest."""

JSON: Final = "application/json; charset=utf-8"
LINES: Final = "application/x-ndjson"
"""Content-Types of Ollama."""

Answer: TypeAlias = Callable[[Received], Reply]
"""What a server is given: it makes the reply to a request."""

_BLOBS: Final = "/api/blobs/"


def reply_error(status: int, error: str) -> Answer:
    """
    Answer every request with an error as Ollama gives it, such as `reply_error(404, "model 'm' not found")`.

    Args:
        status: Of HTTP, at least 400.

        error: What the JSON under "error" says.
    """
    if not isinstance(status, int) or isinstance(status, bool):
        raise TypeError(f"status must be an int, not {status!r}")
    if not 400 <= status <= 599:
        raise ValueError(f"status must be that of an error, 400 to 599, not {status}")
    if not isinstance(error, str):
        raise TypeError(f"error must be a str, not {error!r}")
    said = failed(status, error)
    return lambda _: said


def of_no_model(request: Received, known: Iterable[str] = ()) -> Reply | None:
    """Give what Ollama replies where it needs no model; None where it does, or if *known* has the method, too."""
    methods = {*known, *ROUTES.get(request.path, ())}
    if request.path.startswith(_BLOBS):
        methods |= {"HEAD", "POST"}
    if not methods:
        return whole(404, b"404 page not found", "text/plain")
    if request.method not in methods:
        return whole(405, b"405 method not allowed", "text/plain", ("Allow", ", ".join(sorted(methods))))
    return whole(200, b"Ollama is running", "text/plain") if request.path == "/" else None


def missing(why: str) -> Reply:
    """Give the reply to a request for which none is there."""
    return failed(501, why)


def failed(status: int, why: str) -> Reply:
    """Give an error as Ollama does."""
    return whole(status, json.dumps({"error": why}, ensure_ascii=False).encode("utf-8", "replace"), JSON)


def whole(status: int, content: bytes, kind: str, *headers: tuple[str, str]) -> Reply:
    """Give a reply that is sent at once."""
    length = ("Content-Length", str(len(content)))
    return Reply(status, (*headers, ("Content-Type", kind), length), (Chunk(0, content),))
