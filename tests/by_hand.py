"""Requests driven by hand, without sockets: bytes in, answers and errors out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from ollama_fast import _endpoints, errors
from ollama_fast._core import LineDecoder
from ollama_fast._request import Parts, Request, answer
from ollama_fast._said import Context

CHAT: Request[Any] = _endpoints.chat("llama3", [{"role": "user", "content": "hi"}])
GENERATE: Request[Any] = _endpoints.generate("llama3", "hi")
PULL: Request[Any] = _endpoints.pull("llama3")

LAST = b'{"model":"llama3","created_at":"2026-01-01T00:00:00Z","response":"","done":true,"done_reason":"stop"}\n'


def context_of(request: Request[Any], *, key_withheld: bool = False) -> Context:
    """Give the context of *request* at a host of the name h."""
    return Context(request.method, f"http://h:1{request.path}", request.model, key_withheld)


def part(text: str, **more: Any) -> bytes:
    """Give a line of generate."""
    fields = {"model": "llama3", "created_at": "2026-01-01T00:00:00Z", "response": text, "done": False, **more}
    return json.dumps(fields).encode() + b"\n"


def received(request: Request[Any], chunks: Iterable[bytes]) -> tuple[list[Any], errors.OllamaError | None]:
    """Drive Parts as a driver does, and give the parts and the final error."""
    parts, decoder = Parts(request, context_of(request)), LineDecoder()
    found: list[Any] = []
    try:
        for chunk in chunks:
            found.extend(parts.take([decoder.feed(chunk)]))  # which keeps those before an error
        found.extend(parts.take([decoder.close()]))
        parts.finish()
    except errors.OllamaError as error:
        return found, error
    except (ValueError, EOFError) as exc:
        return found, parts.broken(exc)
    return found, None


def whole(request: Request[Any], status: int, body: bytes) -> errors.OllamaError:
    """Give the error that a whole answer is."""
    with pytest.raises(errors.OllamaError) as caught:
        answer(request, context_of(request), status, body)
    return caught.value


def body_id(value: Any) -> str | None:
    """Give a short id for a test with a body."""
    return repr(value[:40]) if isinstance(value, bytes) else None
