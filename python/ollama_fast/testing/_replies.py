"""What is replied to a request: by a model that always says the same, and where Ollama knows no such path. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

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

_BLOBS = "/api/blobs/"
_JSON = "application/json; charset=utf-8"


def reply(text: str) -> Callable[[Received], Reply]:
    """
    Answer every generate and chat, of whatever model, with *text*: a part for each word, or one answer for all.

    Args:
        text: What the model says.

    To a request for anything else it replies with an error: 404 or 405 where Ollama does, and else 501. At `/` it says
    that Ollama is running.
    """
    words = [word if place == 0 else f" {word}" for place, word in enumerate(text.split(" "))]

    def answer(request: Received) -> Reply:
        fields, chat = request.json, request.path == "/api/chat"
        if request.method != "POST" or not (chat or request.path == "/api/generate") or not isinstance(fields, dict):
            return of_no_model(request) or missing(f"no reply is there for {request.method} {request.path}")
        model = fields.get("model")
        if fields.get("stream") is False:
            return whole(200, _line(model, text, chat=chat, done=True).rstrip(), _JSON)
        lines = [_line(model, word, chat=chat, done=False) for word in words] + [_line(model, "", chat=chat, done=True)]
        return Reply(200, (("Content-Type", "application/x-ndjson"),), tuple(Chunk(0, line) for line in lines))

    return answer


def _line(model: Any, text: str, *, chat: bool, done: bool) -> bytes:
    said = {"message": {"role": "assistant", "content": text}} if chat else {"response": text}
    end = {"done_reason": "stop", "eval_count": 1} if done else {}
    part = {"model": model, "created_at": "2026-01-01T00:00:00Z", **said, "done": done, **end}
    return json.dumps(part, separators=(",", ":")).encode() + b"\n"


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
    return whole(501, json.dumps({"error": why}).encode(), _JSON)


def whole(status: int, content: bytes, kind: str, *headers: tuple[str, str]) -> Reply:
    """Give a reply that is sent at once."""
    length = ("Content-Length", str(len(content)))
    return Reply(status, (*headers, ("Content-Type", kind), length), (Chunk(0, content),))
