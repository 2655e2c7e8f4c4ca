"""A server that chats by a script: what it says depends on how often it has spoken already."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from replay import Received, ReplayServer, replay

PIECE: dict[str, Any] = {"model": "m", "created_at": "2026-01-01T00:00:00Z"}
END: dict[str, Any] = {"done": True, "done_reason": "stop", "eval_count": 3, "eval_duration": 1_000_000}


def says(content: str = "", **more: Any) -> dict[str, Any]:
    """Give a message of the model."""
    return {"role": "assistant", "content": content, **more}


def calls(*named: tuple[str, Any], content: str = "", **more: Any) -> dict[str, Any]:
    """Give a message that calls functions with arguments."""
    made = [
        {"id": f"call_{place}", "function": {"index": place, "name": name, "arguments": arguments}}
        for place, (name, arguments) in enumerate(named)
    ]
    return says(content, tool_calls=made, **more)


@contextmanager
def chatting(*script: Mapping[str, Any], end: Mapping[str, Any] = END, pause: float = 0.0) -> Generator[ReplayServer]:
    """
    Serve a chat whose model says *script*, one message after the other, and the last again and again.

    Args:
        script: Messages; in parts each letter of the content is one, and the calls are the one before the last. One
            with "error" is an error of the server.

        end: What the last part has beside.

        pause: Seconds before each part.
    """

    def respond(request: Received) -> Iterator[bytes | float]:
        body = request.json
        spoken = sum(message["role"] == "assistant" for message in body["messages"])
        message = script[min(spoken, len(script) - 1)]
        if "error" in message:
            refusal = json.dumps(message).encode()
            yield b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: %d\r\n\r\n%s" % (len(refusal), refusal)
            return
        parts = list(_parts(message, end)) if body["stream"] else [{**PIECE, "message": message, **end}]
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
        for part in parts:
            if pause:
                yield pause
            line = json.dumps(part).encode() + b"\n"
            yield b"%x\r\n%s\r\n" % (len(line), line)
        yield b"0\r\n\r\n"

    with replay(respond=respond) as server:
        yield server


def _parts(message: Mapping[str, Any], end: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if message.get("thinking"):
        yield {**PIECE, "message": says(thinking=message["thinking"]), "done": False}
    for letter in message["content"]:
        yield {**PIECE, "message": says(letter), "done": False}
    if message.get("tool_calls"):
        yield {**PIECE, "message": says(tool_calls=message["tool_calls"]), "done": False}
    yield {**PIECE, "message": says(), **end}
