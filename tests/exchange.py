"""
An exchange of the tests: one request to Ollama and its answer, beside the call that made it, as a JSON file.

Request and answer are as in a recording of `ollama_fast.testing`; the rest says what a test is to do with them. Pure:
it makes values of files and files of values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ollama_fast.testing import Chunk, Reply
from ollama_fast.testing._recording import Recorded, RecordedRequest
from ollama_fast.testing._recording_file import Pieces, Place, block_of, fields_of, one, recorded_of

__all__ = [
    "EXCHANGES",
    "Chunk",
    "Exchange",
    "RecordedCall",
    "RecordedRequest",
    "Reply",
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

    @property
    def recorded(self) -> Recorded:
        """What a recording would have of it."""
        return Recorded(self.request, self.response)


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
    call, found = whole["call"], recorded_of(Place(whole, "the file"))
    if found.response is None:
        raise ValueError("there is no response")
    return Exchange(
        about=whole["about"],
        server=whole["server"],
        call=RecordedCall(call["function"], call["kwargs"]),
        request=found.request,
        response=found.response,
        expect=whole.get("expect"),
    )


def encode(exchange: Exchange) -> str:
    """Make a file's text of an exchange."""
    call = exchange.call
    fields: dict[str, Pieces] = {
        "about": one(exchange.about),
        "server": one(exchange.server),
        "call": block_of({"function": one(call.function), "kwargs": one(call.kwargs)}, 1),
        **fields_of(exchange.recorded, 1),
    }
    if exchange.expect is not None:
        fields["expect"] = one(exchange.expect)
    return "".join(block_of(fields, 0)) + "\n"
