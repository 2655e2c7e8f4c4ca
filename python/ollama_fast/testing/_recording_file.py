"""
The file of a recording: JSON that people can read and git can compare, with a line for each chunk.

It is written piece by piece, so that a long recording is nowhere as one text. docs/testing.md describes it.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias, get_args

from ollama_fast._whole_file import replaced

from ._recording import Ending, Recorded, RecordedRequest, RecordingError, Upload
from ._values import Chunk, Reply

VERSION: Final = 1
"""Of the file's form. A file of a later one is refused, and none before is."""

Pieces: TypeAlias = Iterable[str]
"""JSON, in pieces; gone through once."""

_KIND: Final = "recording"
_IN_HEADERS: Final = re.compile("[^\\r\\n\\0\\u0100-\\U0010ffff]*")


def load(path: str | os.PathLike[str]) -> tuple[Recorded, ...]:
    """Read the recording in a file; raise RecordingError if it is none, and OSError if it cannot be read."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")  # as editors of Windows write it
    except UnicodeDecodeError as exc:
        raise RecordingError(f"{os.fspath(path)} holds no recording: it is no UTF-8 at byte {exc.start}") from exc
    return decode(text, os.fspath(path))


def save(path: str | os.PathLike[str], recorded: Iterable[Recorded]) -> None:
    """Write a recording in one step: the file is the old one, or all of the new one."""
    with replaced(path) as file:
        for piece in encoded(recorded):
            file.write(piece.encode())


def encode(recorded: Iterable[Recorded]) -> str:
    """Make a file's text of a recording: the same text for the same recording."""
    return "".join(encoded(recorded))


def encoded(recorded: Iterable[Recorded]) -> Iterator[str]:
    """Give the same in pieces."""
    fields: dict[str, Pieces] = {
        "ollama_fast": one(_KIND),
        "version": one(VERSION),
        "exchanges": _block("[", (block_of(fields_of(each, 3), 2) for each in recorded), "]", 1),
    }
    yield from block_of(fields, 0)
    yield "\n"


def decode(text: str, name: str) -> tuple[Recorded, ...]:
    """Make a recording of a file's text; *name* is for errors."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise RecordingError(f"{name} holds no recording: it is no JSON, or its end is missing: {exc}") from exc
    found = Place(whole, name)
    if found.get("ollama_fast").value != _KIND:
        raise found.get("ollama_fast").wrong(f'must be "{_KIND}"')
    version = found.get("version")
    if version.value != VERSION or isinstance(version.value, bool):
        raise version.wrong(f"must be {VERSION}: a later ollama_fast may have written it")
    return tuple(recorded_of(each) for each in found.get("exchanges").items())


def fields_of(recorded: Recorded, depth: int) -> dict[str, Pieces]:
    """Give the fields of an exchange, to be indented *depth* times."""
    request, response = recorded.request, recorded.response
    asked = {"method": one(request.method), "path": one(request.path), **_body_fields(request.body)}
    fields: dict[str, Pieces] = {"request": block_of({**asked, "headers": one(dict(request.headers))}, depth)}
    if response is not None:
        said = {
            "status": one(response.status),
            "headers": _block("[", map(one, response.headers), "]", depth + 1),
            "chunks": _block("[", map(_chunk, response.chunks), "]", depth + 1),
        }
        fields["response"] = block_of(said, depth)
    if recorded.end is not None:
        fields["end"] = one(recorded.end)
    return fields


def recorded_of(place: Place) -> Recorded:
    """Make an exchange of its decoded fields."""
    end = place.get("end", None).value
    if end not in (None, *get_args(Ending)):
        raise place.get("end").wrong(f"must be one of {', '.join(get_args(Ending))}")
    response = place.get("response", *(() if end is None else (None,)))
    if response.value is None and end is None:
        raise response.wrong("must be an object, unless there is an end")
    asked = place.get("request")
    headers = asked.get("headers", {})
    if not isinstance(headers.value, dict):
        raise headers.wrong("must be an object")
    return Recorded(
        RecordedRequest(
            asked.get("method").text(), asked.get("path").text(), _body(asked), MappingProxyType(headers.value)
        ),
        None if response.value is None else _reply(response),
        end,
    )


# --- its parts -------------------------------------------------------------------------------------------------------


_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Place:
    """A decoded value, with its file's name and the way to it."""

    value: Any
    name: str
    way: str = ""

    def get(self, key: str, *default: Any) -> Place:
        value = self.value.get(key, *(default or (_MISSING,))) if isinstance(self.value, dict) else _MISSING
        if value is _MISSING:
            what = f"has no {key!r}" if isinstance(self.value, dict) else f"is no object with {key!r}"
            raise RecordingError(f"{self.name} holds no recording: {self.way or 'the whole'} {what}")
        return Place(value, self.name, f"{self.way}.{key}".lstrip("."))

    def items(self) -> list[Place]:
        if not isinstance(self.value, list):
            raise self.wrong("must be a list")
        return [Place(value, self.name, f"{self.way}[{index}]") for index, value in enumerate(self.value)]

    def pair(self) -> tuple[Place, Place]:
        if len(items := self.items()) != 2:
            raise self.wrong("must be a pair")
        return items[0], items[1]

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.wrong("must be a text")
        return self.value

    def header(self) -> str:
        if _IN_HEADERS.fullmatch(text := self.text()) is None:
            raise self.wrong("must be a text of Latin-1 without line breaks")
        return text

    def bytes(self) -> bytes:
        try:
            if isinstance(self.value, str):
                return self.value.encode()
            return base64.b64decode(self.value["base64"], validate=True)
        except (KeyError, TypeError, ValueError) as exc:
            raise self.wrong('must be a text, or {"base64": ...}') from exc

    def wrong(self, what: str) -> RecordingError:
        shown = json.dumps(self.value, ensure_ascii=True)
        shown = shown if len(shown) <= 80 else f"{shown[:80]}..."
        return RecordingError(f"{self.name} holds no recording: {self.way or 'the whole'} {what}, and is {shown}")


def _reply(place: Place) -> Reply:
    status, headers, chunks = (place.get(name) for name in ("status", "headers", "chunks"))
    if not isinstance(status.value, int) or isinstance(status.value, bool) or not 200 <= status.value <= 999:
        raise status.wrong("must be a status of HTTP that is a reply's")
    made = [(each, *each.pair()) for each in chunks.items()]
    for each, ms, _ in made:
        if isinstance(ms.value, bool) or not isinstance(ms.value, int):
            raise each.wrong("must begin with milliseconds")
    pairs = tuple((name.header(), value.header()) for name, value in (each.pair() for each in headers.items()))
    found = tuple(Chunk(ms.value, data.bytes()) for _, ms, data in made)
    try:
        return Reply(status.value, pairs, found)
    except ValueError as exc:
        raise RecordingError(f"{place.name} holds no recording: {place.way}: {exc}") from exc


def _body(asked: Place) -> Any:
    if "upload" in asked.value:
        upload = asked.get("upload")
        digest, length = upload.get("sha256").text(), upload.get("length")
        if isinstance(length.value, bool) or not isinstance(length.value, int):
            raise length.wrong("must be how many bytes")
        return Upload(digest, length.value)
    return asked.get("bytes").bytes() if "bytes" in asked.value else asked.get("body", None).value


def _body_fields(body: Any) -> dict[str, Pieces]:
    if isinstance(body, Upload):
        return {"upload": one({"sha256": body.sha256, "length": body.length})}
    return {"bytes": one(_text(body))} if isinstance(body, bytes) else {"body": one(body)}


def _chunk(chunk: Chunk) -> Pieces:
    return one([chunk.ms, _text(chunk.data)])


def _text(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def one(value: Any) -> Pieces:
    """Give a value as JSON in one piece."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can say and UTF-8 cannot
        text = json.dumps(value)
    return (text,)


def block_of(fields: Mapping[str, Pieces], depth: int) -> Iterator[str]:
    """Give an object, with a line for each field, inside *depth* others."""
    return _block("{", (chain(one(name), (": ",), value) for name, value in fields.items()), "}", depth)


def _block(opening: str, items: Iterable[Pieces], closing: str, depth: int) -> Iterator[str]:
    """Give *items*, a line each, inside *depth* others."""
    before = opening
    for item in items:
        yield f"{before}\n{'  ' * (depth + 1)}"
        yield from item
        before = ","
    yield f"\n{'  ' * depth}{closing}" if before == "," else opening + closing
