"""Bytes cut to pieces of a size that is taken or made at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

SLICE: Final = 65_536
"""Bytes of a body that are handed on at once: a socket takes few, and lines become objects larger than their text."""


def slices(data: bytes, size: int = SLICE) -> Iterable[bytes]:
    """Give *data* in pieces of *size*, the last of which may be smaller; nothing is one piece, too."""
    if len(data) <= size:
        return (data,)
    return (data[start : start + size] for start in range(0, len(data), size))
