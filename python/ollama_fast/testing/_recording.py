"""
A recording: what clients asked of a server and what it replied, as JSON that people can read and git can compare.

Pure but for `load` and `save`. docs/testing.md describes the file.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, get_args

from ollama_fast.errors import OllamaError

from ._values import Chunk, Received, Reply

VERSION: Final = 1
"""Of the file's form. A file of a later one is refused, and none before is."""

Ending: TypeAlias = Literal["close", "reset", "left"]
"""How a reply ended that is not whole: the server closed the connection, broke it, or the client left."""

_KIND: Final = "recording"
_HIDDEN: Final = "hidden"
_SECRET: Final = re.compile(r"(?i)((?:^|[?&;])[^=&;]*(?:key|token|secret|passw|auth|sign|sig)[^=&;]*=)[^&;#]+")
_KEPT_OF_REQUESTS: Final = frozenset({"content-type", "content-encoding"})
_NOT_OF_REPLIES: Final = frozenset({"date", "set-cookie", "set-cookie2", "authorization", "proxy-authenticate"})
_BLOBS: Final = "/api/blobs/"


class RecordingError(OllamaError, ValueError):
    """A file holds no recording, or a broken one; the text names the file and the place in it."""


# --- the values ------------------------------------------------------------------------------------------------------


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
    if not received.body or received.path.startswith(_BLOBS):
        return Upload(received.sha256, received.length)
    found = received.json
    return received.body if found is None or not _is_text(found) else found


def headers_of(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Give what a recording keeps of a reply's headers: nothing secret, and no time of day."""
    kept = (pair for pair in headers if pair[0].lower() not in _NOT_OF_REPLIES)
    return tuple((name, without_secrets(value) if name.lower() == "location" else value) for name, value in kept)


def without_secrets(path: str) -> str:
    """Give *path* without the values of what seems to be a key, a token or a signature in its query."""
    place, mark, query = path.partition("?")
    return place + mark + _SECRET.sub(rf"\g<1>{_HIDDEN}", query)


# --- the file --------------------------------------------------------------------------------------------------------


def load(path: str | os.PathLike[str]) -> tuple[Recorded, ...]:
    """Read the recording in a file; raise RecordingError if it is none, and OSError if it cannot be read."""
    try:
        text = Path(path).read_bytes().decode()
    except UnicodeDecodeError as exc:
        raise RecordingError(f"{os.fspath(path)} holds no recording: it is no UTF-8 at byte {exc.start}") from exc
    return decode(text, os.fspath(path))


def save(path: str | os.PathLike[str], recorded: Iterable[Recorded]) -> None:
    """Write a recording in one step: the file is the old one, or all of the new one."""
    target = Path(path).resolve()  # what a link names, and not the link
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}.draft")
    text = encode(recorded)
    try:
        with draft.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            draft.chmod(stat.S_IMODE(target.stat().st_mode))
        draft.replace(target)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def encode(recorded: Iterable[Recorded]) -> str:
    """Make a file's text of a recording: the same text for the same recording, a line for each chunk."""
    fields = {
        "ollama_fast": _json(_KIND),
        "version": _json(VERSION),
        "exchanges": block("[", [block_of(fields_of(each, 3), 2) for each in recorded], "]", 1),
    }
    return block_of(fields, 0) + "\n"


def decode(text: str, name: str) -> tuple[Recorded, ...]:
    """Make a recording of a file's text; *name* is for errors."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise RecordingError(f"{name} holds no recording: it is no JSON, or its end is missing: {exc}") from exc
    found = _Place(whole, name, "")
    if found.get("ollama_fast").value != _KIND:
        raise found.get("ollama_fast").wrong(f'must be "{_KIND}"')
    version = found.get("version")
    if version.value != VERSION or isinstance(version.value, bool):
        raise version.wrong(f"must be {VERSION}: a later ollama_fast may have written it")
    return tuple(recorded_of(each) for each in found.get("exchanges").items())


def fields_of(recorded: Recorded, depth: int) -> dict[str, str]:
    """Give the fields of an exchange as JSON, to be indented *depth* times."""
    request, response = recorded.request, recorded.response
    fields = {
        "request": block_of(
            {
                "method": _json(request.method),
                "path": _json(request.path),
                **_body_fields(request.body),
                "headers": _json(dict(request.headers)),
            },
            depth,
        )
    }
    if response is not None:
        fields["response"] = block_of(
            {
                "status": _json(response.status),
                "headers": block("[", [_json(header) for header in response.headers], "]", depth + 1),
                "chunks": block("[", [_chunk(chunk) for chunk in response.chunks], "]", depth + 1),
            },
            depth,
        )
    if recorded.end is not None:
        fields["end"] = _json(recorded.end)
    return fields


def place_in(value: Any, name: str) -> _Place:
    """Give a decoded value as a place that errors can name; *name* is of its file."""
    return _Place(value, name, "")


def recorded_of(place: _Place) -> Recorded:
    """Make an exchange of its decoded fields."""
    end = place.get("end", None).value
    if end not in (None, *get_args(Ending)):
        raise place.get("end").wrong(f"must be one of {', '.join(get_args(Ending))}")
    response = place.get("response", *(() if end is None else (None,)))
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
class _Place:
    """A decoded value, with its file's name and the way to it."""

    value: Any
    name: str
    way: str

    def get(self, key: str, *default: Any) -> _Place:
        value = self.value.get(key, *(default or (_MISSING,))) if isinstance(self.value, dict) else _MISSING
        if value is _MISSING:
            what = f"has no {key!r}" if isinstance(self.value, dict) else f"is no object with {key!r}"
            raise RecordingError(f"{self.name} holds no recording: {self.way or 'the whole'} {what}")
        return _Place(value, self.name, f"{self.way}.{key}".lstrip("."))

    def items(self) -> list[_Place]:
        if not isinstance(self.value, list):
            raise self.wrong("must be a list")
        return [_Place(value, self.name, f"{self.way}[{index}]") for index, value in enumerate(self.value)]

    def pair(self) -> tuple[_Place, _Place]:
        if len(items := self.items()) != 2:
            raise self.wrong("must be a pair")
        return items[0], items[1]

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.wrong("must be a text")
        return self.value

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


def _reply(place: _Place) -> Reply:
    status, headers, chunks = (place.get(name) for name in ("status", "headers", "chunks"))
    if not isinstance(status.value, int) or isinstance(status.value, bool) or not 100 <= status.value <= 999:
        raise status.wrong("must be a status of HTTP")
    made = [(each, *each.pair()) for each in chunks.items()]
    for each, ms, _ in made:
        if isinstance(ms.value, bool) or not isinstance(ms.value, int):
            raise each.wrong("must begin with milliseconds")
    pairs = tuple((name.text(), value.text()) for name, value in (each.pair() for each in headers.items()))
    found = tuple(Chunk(ms.value, data.bytes()) for _, ms, data in made)
    try:
        return Reply(status.value, pairs, found)
    except ValueError as exc:
        raise RecordingError(f"{place.name} holds no recording: {place.way}: {exc}") from exc


def _body(asked: _Place) -> Any:
    if "upload" in asked.value:
        upload = asked.get("upload")
        digest, length = upload.get("sha256").text(), upload.get("length")
        if isinstance(length.value, bool) or not isinstance(length.value, int):
            raise length.wrong("must be how many bytes")
        return Upload(digest, length.value)
    return asked.get("bytes").bytes() if "bytes" in asked.value else asked.get("body", None).value


def _body_fields(body: Any) -> dict[str, str]:
    if isinstance(body, Upload):
        return {"upload": _json({"sha256": body.sha256, "length": body.length})}
    return {"bytes": _json(_text(body))} if isinstance(body, bytes) else {"body": _json(body)}


def _chunk(chunk: Chunk) -> str:
    return _json([chunk.ms, _text(chunk.data)])


def _text(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can say and UTF-8 cannot
        return json.dumps(value)
    return text


def _is_text(value: Any) -> bool:
    """Whether *value* can be written again: what is nested just not too deeply to be read can be."""
    try:
        json.dumps(value)
    except (ValueError, RecursionError):
        return False
    return True


def block_of(fields: Mapping[str, str], depth: int) -> str:
    """Give an object of fields that are JSON already, a line each, inside *depth* others."""
    return block("{", [f"{_json(name)}: {value}" for name, value in fields.items()], "}", depth)


def block(opening: str, items: list[str], closing: str, depth: int) -> str:
    """Give *items*, which are JSON already, a line each, inside *depth* others."""
    if not items:
        return opening + closing
    indent = "  " * depth
    return f"{opening}\n" + ",\n".join(f"{indent}  {item}" for item in items) + f"\n{indent}{closing}"
