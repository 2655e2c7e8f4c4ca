"""What came of replies, until the recording is written: in a temporary file once it is much."""

from __future__ import annotations

import os
import shutil
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, Final

from ._values import Chunk

_IN_MEMORY: Final = 1 << 20
"""Bytes up to which there is no file."""
_SIZES: Final = struct.Struct("<QQ")


class Heard:
    """The chunks of one reply, as they come."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - until `close`
        self._sent = 0
        self.any = False
        """Whether there is one."""

    def add(self, chunk: Chunk) -> None:
        """Keep a chunk behind the others."""
        self.any = True
        self._file.write(_SIZES.pack(chunk.ms, len(chunk.data)))
        self._file.write(chunk.data)

    def all_sent(self) -> None:
        """Say that the client was sent what there is so far."""
        self._sent = self._file.tell()

    def forget_unsent(self) -> None:
        """Keep what the client was sent, and no more."""
        self._file.truncate(self._sent)

    def close(self) -> None:
        """Give back what it holds."""
        self._file.close()

    def pour(self, into: IO[bytes]) -> None:
        """Write all of it to another file."""
        self._file.seek(0)
        shutil.copyfileobj(self._file, into)


@dataclass(frozen=True, slots=True)
class Shelved:
    """A reply that ended, whose chunks are on a shelf."""

    status: int
    headers: tuple[tuple[str, str], ...]
    shelf: Shelf
    start: int
    end: int

    @property
    def chunks(self) -> Iterator[Chunk]:
        """What came, one after the other."""
        return self.shelf.between(self.start, self.end)


class Shelf:
    """The chunks of all replies that ended."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - until `close`
        self._lock = threading.Lock()

    def put(self, status: int, headers: tuple[tuple[str, str], ...], heard: Heard) -> Shelved:
        """Keep a reply."""
        with self._lock:
            start = self._file.seek(0, os.SEEK_END)
            heard.pour(self._file)
            return Shelved(status, headers, self, start, self._file.tell())

    def between(self, start: int, end: int) -> Iterator[Chunk]:
        """Give the chunks from one place to another."""
        while start < end:
            with self._lock:
                self._file.seek(start)
                ms, size = _SIZES.unpack(self._file.read(_SIZES.size))
                data = self._file.read(size)
            start += _SIZES.size + size
            yield Chunk(ms, data)

    def close(self) -> None:
        """Give back what it holds."""
        self._file.close()
