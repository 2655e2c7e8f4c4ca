"""The exchanges of the tests: the recorded ones, and all that reads and writes such files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ollama_fast.testing import Chunk, Exchange, Reply, load
from ollama_fast.testing import load_all as load_folder
from ollama_fast.testing._exchange import RecordedCall, RecordedRequest, decode, dump, encode

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


def load_all(folder: Path = EXCHANGES) -> dict[str, Exchange]:
    """Read every exchange in *folder*, by name."""
    return load_folder(folder)
