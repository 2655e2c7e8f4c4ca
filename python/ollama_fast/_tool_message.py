"""What a function gave to the text that a model is sent."""

from __future__ import annotations

from typing import Any


def text_of(result: object) -> str:
    if isinstance(result, str):
        text = str.__str__(result)  # the value of an enum, not its name
    elif isinstance(result, bytes | bytearray | memoryview):
        text = bytes(result).decode("utf-8", "replace")
    else:
        text = as_json(result)
    return text.encode("utf-8", "replace").decode()  # a file's name may hold what is no text


def as_json(result: object) -> str:
    from pydantic_core import to_json

    for bytes_mode in ("utf8", "base64"):
        try:
            return to_json(result, fallback=_fallback, bytes_mode=bytes_mode).decode()
        except ValueError:  # bytes that are no text, or what holds itself
            continue
    return str(result)


def _fallback(value: object) -> Any:
    import sys

    msgspec = sys.modules.get("msgspec")
    if msgspec is not None and isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value, enc_hook=_fallback)
    as_list = getattr(value, "tolist", None)  # numpy's arrays and numbers
    return as_list() if callable(as_list) else str(value)
