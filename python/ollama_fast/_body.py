"""The body of a request: its fields as JSON, or where in them what has no form in JSON is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields as fields_of
from dataclasses import is_dataclass
from functools import partial
from typing import Any, Final

from ._images import Sealed

_SHOWN: Final = 300
"""How many characters of a place an error shows."""


def encode(fields: Mapping[str, Any], path: str, images: list[Sealed] | None = None) -> bytes:
    """
    Give the JSON of *fields* for *path*; a sealed image leaves a gap, and is put into *images*.

    Raises TypeError or ValueError for a value that has no JSON form.
    """
    import orjson

    try:
        body = _dumped([] if images is None else images, fields)
    except orjson.JSONEncodeError as exc:
        place = _place_of(fields, partial(_dumped, []))
        if isinstance(exc.__cause__, TypeError):
            raise TypeError(f"{place}: {exc.__cause__}") from exc.__cause__.__cause__
        raise TypeError(f"{place}, for {path}, cannot be sent as JSON: {exc}") from exc
    if b"null" in body:
        _refuse_infinite(fields)
    return body


def _dumped(images: list[Sealed], value: object) -> bytes:
    import orjson

    form = partial(_json_form, images)
    try:
        return orjson.dumps(value, default=form)
    except orjson.JSONEncodeError as exc:
        if "64-bit" not in str(exc):
            raise
    images.clear()
    return orjson.dumps(_spelled_out(value), default=form)


def _spelled_out(value: object) -> object:
    """Give *value* with integers beyond 64 bits as JSON: orjson refuses them, and a model's arguments may be such."""
    import orjson

    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return orjson.Fragment(f"{value:d}")
    if isinstance(value, Mapping):
        return {name: _spelled_out(item) for name, item in value.items()}
    return [_spelled_out(item) for item in value] if isinstance(value, list | tuple) else value


def _place_of(value: object, encode: Callable[[object], bytes], place: str = "") -> str:
    """Say where in *value* the first is that `encode` refuses, such as "messages[0].content"."""
    for name, item in _items(value):
        try:
            encode(item)
        except TypeError:
            if len(place) > _SHOWN:
                break
            return _place_of(item, encode, f"{place}{name}" if place else name.removeprefix("."))
    return place or "the arguments"


def _items(value: object) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(f".{name}", item) for name, item in value.items()]
    if isinstance(value, list | tuple):
        return [(f"[{index}]", item) for index, item in enumerate(value)]
    if is_dataclass(value) and not isinstance(value, type):
        return [(f".{each.name}", getattr(value, each.name)) for each in fields_of(value)]
    return []


def _json_form(images: list[Sealed], value: object) -> object:
    if isinstance(value, Sealed):
        import orjson

        images.append(value)
        return orjson.Fragment(b'"\0"')  # a gap for the core: orjson writes no raw NUL into anything else
    if isinstance(value, Mapping):
        return dict(value)
    hint = "; a class can give its own schema as a dict" if isinstance(value, type) else ""
    raise TypeError(f"a value of type {type(value).__name__} has no JSON form{hint}")


def _refuse_infinite(value: object, place: str = "") -> None:
    # JSON has no form for these numbers, and orjson writes null, which Ollama takes for its own default.
    if isinstance(value, float) and value - value != 0:
        raise ValueError(f"{place.removeprefix('.')}: {value} has no JSON form: it is no finite number")
    for name, item in _items(value):
        _refuse_infinite(item, place + name)
