"""Which reply a request gets: of recorded exchanges, or of a model that always says the same. Pure."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from ._exchange import Chunk, Exchange, Reply
from ._loopback import Received

Answer: TypeAlias = Callable[[Received], Reply]
"""Gives the reply to a request."""

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


def recorded(exchanges: Iterable[Exchange], *, strict: bool) -> Answer:
    """
    Find the exchange of a request by its method, path and JSON body.

    Of several equal ones each is served once, in their order, and the last from then on.

    Args:
        exchanges: What to find it in.

        strict: Whether a body must be equal to the recorded one, even if only one was recorded for its method and path.
    """
    known: dict[tuple[str, str], list[Exchange]] = defaultdict(list)
    for exchange in exchanges:
        known[exchange.request.method, exchange.request.path].append(exchange)
    served: dict[tuple[str, str, str], int] = defaultdict(int)
    lock = threading.Lock()

    def answer(request: Received) -> Reply:
        candidates = known.get((request.method, request.path), [])
        asked = _canonical(request.json)
        equal = [exchange for exchange in candidates if _canonical(exchange.request.body) == asked]
        if not equal and len(candidates) == 1 and not strict:
            equal = candidates
        if not equal:
            return _without(request, candidates, known)
        with lock:
            turn = served[request.method, request.path, asked]
            served[request.method, request.path, asked] += 1
        return equal[min(turn, len(equal) - 1)].response

    return answer


def _canonical(body: Any) -> str:
    # As text, since to Python 1, 1.0 and True are equal.
    return json.dumps(body, sort_keys=True)


def saying(text: str) -> Answer:
    """
    Answer every generate and chat, of whatever model, with *text*: a part for each word, or one answer for all.

    A request for anything else gets what Ollama says to paths that it does not know.
    """
    words = [word if place == 0 else f" {word}" for place, word in enumerate(text.split(" "))]

    def answer(request: Received) -> Reply:
        fields = request.json
        if (
            request.method != "POST"
            or request.path not in ("/api/generate", "/api/chat")
            or not isinstance(fields, dict)
        ):
            return _without(request, [], {})
        model, chat = fields.get("model"), request.path == "/api/chat"
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


def _without(request: Received, candidates: list[Exchange], known: Mapping[tuple[str, str], list[Exchange]]) -> Reply:
    """Give the reply to a request that no exchange is for."""
    methods = {method for method, path in known if path == request.path} | set(ROUTES.get(request.path, ()))
    if request.path.startswith(_BLOBS):
        methods |= {"HEAD", "POST"}
    if not methods:
        return whole(404, b"404 page not found", "text/plain")
    if request.method not in methods:
        return whole(405, b"405 method not allowed", "text/plain", ("Allow", ", ".join(sorted(methods))))
    if request.path == "/" and not candidates:
        return whole(200, b"Ollama is running", "text/plain")
    asked = request.body.decode(errors="replace") if request.body else f"a body of {request.length} bytes"
    there = [json.dumps(exchange.request.body, ensure_ascii=False) for exchange in candidates]
    text = (
        f"no exchange is recorded for {request.method} {request.path} with {asked}; "
        f"recorded for it: {'; '.join(there) or 'nothing'}"
    )
    return whole(501, json.dumps({"error": text}).encode(), _JSON)


def whole(status: int, content: bytes, kind: str, *headers: tuple[str, str]) -> Reply:
    """Give a reply that is sent at once."""
    length = ("Content-Length", str(len(content)))
    return Reply(status, (*headers, ("Content-Type", kind), length), (Chunk(0, content),))
