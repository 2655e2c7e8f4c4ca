"""
An exchange: one request to Ollama and its answer, as a JSON file in which each chunk has a line of its own.

Pure: it makes values of files and files of values.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ollama_fast.testing import Chunk, Reply

__all__ = [
    "EXCHANGES",
    "Chunk",
    "Exchange",
    "RecordedCall",
    "RecordedRequest",
    "Reply",
    "at_once",
    "decode",
    "dump",
    "encode",
    "load",
    "load_all",
]

EXCHANGES: Final = Path(__file__).with_name("exchanges")
"""Where the recorded ones are."""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """The call that made the exchange: a public function, and its arguments after the host."""

    function: str
    kwargs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """What was sent; *body* is the decoded JSON, or None if there was no body or another one."""

    method: str
    path: str
    body: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer; *expect* is what a hand-made one says should come of it."""

    about: str
    server: str
    call: RecordedCall
    request: RecordedRequest
    response: Reply
    expect: Mapping[str, Any] | None = None

    @property
    def body(self) -> bytes:
        """The whole body of the answer."""
        return self.response.body


def at_once(reply: Reply) -> Reply:
    """Give *reply* without the pauses that were between its chunks."""
    return replace(reply, chunks=tuple(Chunk(0, chunk.data) for chunk in reply.chunks))


def load(path: Path) -> Exchange:
    """Read the exchange in the file *path*."""
    try:
        return decode(path.read_text(encoding="utf-8"))
    except (KeyError, TypeError, ValueError) as exc:
        raise ValueError(f"{path} holds no exchange: {exc!r}") from exc


def load_all(folder: Path = EXCHANGES) -> dict[str, Exchange]:
    """Read every exchange in *folder*, by name."""
    return {path.stem: load(path) for path in sorted(folder.glob("*.json"))}


def dump(exchange: Exchange, path: Path) -> None:
    """Write *exchange* to the file *path*: the same text for the same exchange."""
    path.write_text(encode(exchange), encoding="utf-8", newline="\n")


def decode(text: str) -> Exchange:
    """Make an exchange of a file's text."""
    whole = json.loads(text)
    call, request, response = whole["call"], whole["request"], whole["response"]
    return Exchange(
        about=whole["about"],
        server=whole["server"],
        call=RecordedCall(call["function"], call["kwargs"]),
        request=RecordedRequest(request["method"], request["path"], request["body"], request["headers"]),
        response=Reply(
            response["status"],
            tuple((name, value) for name, value in response["headers"]),
            tuple(Chunk(ms, _bytes(data)) for ms, data in response["chunks"]),
        ),
        expect=whole.get("expect"),
    )


def encode(exchange: Exchange) -> str:
    """Make a file's text of an exchange."""
    call, request, response = exchange.call, exchange.request, exchange.response
    fields = {
        "about": _json(exchange.about),
        "server": _json(exchange.server),
        "call": _object({"function": _json(call.function), "kwargs": _json(call.kwargs)}, 1),
        "request": _object(
            {
                "method": _json(request.method),
                "path": _json(request.path),
                "body": _json(request.body),
                "headers": _json(request.headers),
            },
            1,
        ),
        "response": _object(
            {
                "status": _json(response.status),
                "headers": _list([_json(header) for header in response.headers], 2),
                "chunks": _list([_json([chunk.ms, _text(chunk.data)]) for chunk in response.chunks], 2),
            },
            1,
        ),
    }
    if exchange.expect is not None:
        fields["expect"] = _json(exchange.expect)
    return _object(fields, 0) + "\n"


def _text(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _bytes(data: str | dict[str, str]) -> bytes:
    return data.encode() if isinstance(data, str) else base64.b64decode(data["base64"], validate=True)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _object(fields: Mapping[str, str], depth: int) -> str:
    return _lines("{", [f"{_json(name)}: {value}" for name, value in fields.items()], "}", depth)


def _list(items: list[str], depth: int) -> str:
    return _lines("[", items, "]", depth)


def _lines(opening: str, items: list[str], closing: str, depth: int) -> str:
    if not items:
        return opening + closing
    indent = "  " * depth
    return f"{opening}\n" + ",\n".join(f"{indent}  {item}" for item in items) + f"\n{indent}{closing}"
