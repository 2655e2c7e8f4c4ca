"""Vectors as numbers: the value that embed_array gives, and how bytes become it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import index
from typing import TYPE_CHECKING, Any, Final, SupportsIndex, TypeAlias, cast

from ._core import VectorDecoder

if TYPE_CHECKING:
    Floats: TypeAlias = memoryview[float]
else:
    Floats = memoryview  # which takes no parameter before Python 3.14

Vector: TypeAlias = Floats

_KEY: Final = "embeddings"
_FLOAT32: Final = "f"
_SIZE: Final = 4


@dataclass(frozen=True, slots=True, repr=False)
class EmbedArray:
    """
    Vectors of one length, one per text, as float32 in one read-only buffer.

    `numpy.asarray(answer)` gives an array of that shape over the same memory. Without numpy, `answer[i]` is a vector,
    and a loop gives all of them.

    Args:
        shape: How many vectors there are, and how many numbers each has; (0, 0) if there are none.

        numbers: The float32 of all vectors, one after the other, in the machine's order of bytes.

        response: What else the server sent, as it sent it. It does not count when answers are compared.
    """

    shape: tuple[int, int]
    numbers: bytes
    response: dict[str, Any] = field(compare=False)

    @property
    def data(self) -> Floats:
        """The numbers as a buffer of that shape; of one dimension if there are none, as Python has no other."""
        if not self.numbers:
            return memoryview(b"").cast(_FLOAT32)
        return memoryview(self.numbers).cast(_FLOAT32, self.shape)

    @property
    def model(self) -> str | None:
        """The model that made the vectors, as the server calls it."""
        return self.response.get("model")

    @property
    def total_duration(self) -> int | None:
        """Nanoseconds that the whole answer took; None if the server did not say."""
        return self.response.get("total_duration")

    @property
    def load_duration(self) -> int | None:
        """Nanoseconds that loading the model took; None if the server did not say."""
        return self.response.get("load_duration")

    @property
    def prompt_eval_count(self) -> int | None:
        """Tokens that all texts had together; None if the server did not say."""
        return self.response.get("prompt_eval_count")

    def tolist(self) -> list[list[float]]:
        """Give the vectors as lists of float, as `embed` does, but each number as float32 holds it."""
        return cast("list[list[float]]", [vector.tolist() for vector in self])  # for typeshed all memory is of ints

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, number: SupportsIndex) -> Vector:
        count, length = self.shape
        at = index(number)
        if not -count <= at < count:
            raise IndexError(f"there are {count} vectors, and none at {at}")
        begin = at % count * length * _SIZE
        return memoryview(self.numbers)[begin : begin + length * _SIZE].cast(_FLOAT32)

    def __iter__(self) -> Iterator[Vector]:
        return map(self.__getitem__, range(len(self)))

    def __repr__(self) -> str:
        return f"<EmbedArray of shape {self.shape}, model {self.model!r}>"

    def __buffer__(self, flags: int, /) -> memoryview:
        """Give the numbers to whoever asks for a buffer, from Python 3.12 on."""
        if not self.numbers:
            raise BufferError("there are no vectors, and a buffer has no shape for that")  # and numpy asks below
        return cast("memoryview", self.data)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """The same for numpy, on any Python."""
        order = "<" if sys.byteorder == "little" else ">"
        return {"version": 3, "shape": self.shape, "typestr": f"{order}f4", "data": self.numbers}


class ArrayDecoder:
    """
    The bytes of an answer of embed to an EmbedArray: neither they nor a Python float for each number are kept.

    It gives one answer, and keeps nothing of it.
    """

    __slots__ = ("_decoder", "_numbers", "_shape")

    def __init__(self) -> None:
        self._decoder = VectorDecoder(_KEY)
        self._numbers = b""
        self._shape = (0, 0)

    def feed(self, chunk: bytes, /) -> None:
        """Take *chunk*. Raises ValueError for a vector that is none."""
        self._decoder.feed(chunk)

    def close(self) -> bytes:
        """Say that no more bytes come, and give the JSON of the answer without its vectors."""
        rest, self._numbers, vectors, length = self._decoder.close()
        del self._decoder
        self._shape = vectors, length
        return rest

    def answer(self, rest: dict[str, Any], /) -> EmbedArray:
        """Give the answer, of which *rest* is decoded. Raises ValueError if it had no array of vectors."""
        instead = rest.pop(_KEY)
        if instead != []:
            raise ValueError(f"{_KEY} is of type {type(instead).__name__}, not an array")
        numbers, self._numbers = self._numbers, b""
        return EmbedArray(self._shape, numbers, rest)
