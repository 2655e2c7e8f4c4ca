"""Servers that turn any text into a vector of its own, in the shape that Ollama's answers have."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Sequence

from replay import HangUpError, Received, Respond

LENGTH = 384


def vector(text: str) -> list[float]:
    """Make a vector of *text*: no other text has it."""
    digest = hashlib.shake_256(text.encode()).digest(4 * LENGTH)
    return [round(number / 2**31, 9) for number in struct.unpack(f"{LENGTH}i", digest)]


def as_stored(text: str) -> bytes:
    """Give the vector of *text* as float32."""
    return struct.pack(f"{LENGTH}f", *vector(text))


def answer(model: str, texts: Sequence[str]) -> bytes:
    """Make an answer of embed: its keys, their order and its head are those of tests/exchanges/embed.json."""
    embeddings = [vector(text) for text in texts]
    body = {"model": model, "embeddings": embeddings, "total_duration": 1, "load_duration": 1, "prompt_eval_count": 6}
    content = json.dumps(body, separators=(",", ":")).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)


def refusal(model: str) -> bytes:
    """Make the answer for an unknown model: its text is that of tests/exchanges/embed_unknown_model.json."""
    content = json.dumps({"error": f'model "{model}" not found, try pulling it first'}).encode()
    head = "HTTP/1.1 404 Not Found\r\nContent-Type: application/json; charset=utf-8\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def responder(model: str, *, seconds: float = 0.02, dies_after: int | None = None) -> Respond:
    """
    Make the replies of a server that has *model*.

    Args:
        model: The only one that it has.

        seconds: How long it works at a request.

        dies_after: How many requests it answers before it hangs up at each.
    """
    answered = 0

    def respond(received: Received) -> Iterable[bytes | float]:
        nonlocal answered
        asked = received.json
        assert (received.method, received.path, set(asked)) == ("POST", "/api/embed", {"model", "input"}), received
        yield seconds
        if answered == dies_after:
            raise HangUpError
        answered += 1
        yield answer(model, asked["input"]) if asked["model"] == model else refusal(asked["model"])

    return respond
