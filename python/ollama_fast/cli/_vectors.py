"""Vectors to a file, as JSONL or Parquet, as many at a time as fit easily into memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import IO, Any, Final, TypeAlias

from ollama_fast._text_lines import WrongLineError

from ._columns import column, types_of
from ._texts import Row

Put: TypeAlias = Callable[[Row, "memoryview[float]"], None]
"""Takes a row and its vector, as float32."""

GROUP: Final = 4096
"""Rows of a group of Parquet, which are in memory together."""


@contextmanager
def jsonl(file: IO[bytes], key: str) -> Generator[Put]:
    """
    Write rows as lines of JSON.

    Args:
        file: Where to.

        key: What the vector is called in each.
    """
    import orjson

    def put(row: Row, vector: memoryview[float]) -> None:
        file.write(orjson.dumps({**_free(row, key), key: vector.tolist()}, option=orjson.OPT_APPEND_NEWLINE))

    yield put
    file.flush()


@contextmanager
def parquet(file: IO[bytes], key: str) -> Generator[Put]:
    """
    Write rows as Parquet, with the vectors as a fixed-size list of float32.

    Args:
        file: Where to.

        key: The column of the vectors. The others are the keys of the rows, with the types that the first group has.
    """
    group = _Groups(file, key)
    try:
        yield group.put
        group.end()
    finally:
        group.close()  # else it would close itself, and complain, when the file is closed already


class _Groups:
    """Rows that become groups of a Parquet file."""

    def __init__(self, file: IO[bytes], key: str) -> None:
        self._file = file
        self._key = key
        self._rows: list[Row] = []
        self._values = bytearray()
        self._length: int | None = None
        self._writer: Any = None
        self._fields: Any = None

    def put(self, row: Row, vector: memoryview[float]) -> None:
        _free(row, self._key)
        if self._length is None:
            self._length = len(vector)
        elif len(vector) != self._length:
            raise WrongLineError(
                f"line {row.line} has a vector of length {len(vector)}, and those before of {self._length}: "
                "do all hosts have the same model?"
            )
        self._rows.append(row)
        self._values += vector.cast("B")
        if len(self._rows) == GROUP:
            self._write()

    def end(self) -> None:
        if self._rows:
            self._write()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _write(self) -> None:
        import pyarrow as pa
        from pyarrow import parquet as pq

        values = pa.Array.from_buffers(pa.float32(), len(self._values) // 4, [None, pa.py_buffer(bytes(self._values))])
        vectors = pa.FixedSizeListArray.from_arrays(values, self._length)
        if self._fields is None:
            self._fields = types_of(self._rows)
        schema = self._fields.append(pa.field(self._key, vectors.type))
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, schema)
        columns = [column(self._rows, field) for field in self._fields]
        self._writer.write_batch(pa.RecordBatch.from_arrays([*columns, vectors], schema=schema))
        _check_known(self._rows, self._fields.names)
        self._rows.clear()
        self._values.clear()


def _free(row: Row, key: str) -> dict[str, Any]:
    if key in row.fields:
        raise WrongLineError(f"line {row.line} has {key!r} already: call the vector something else by --output-key")
    return row.fields


def _check_known(rows: Sequence[Row], names: Sequence[str]) -> None:
    known = set(names)
    for row in rows:
        if more := row.fields.keys() - known:
            raise WrongLineError(
                f"line {row.line} has {min(more)!r}, which the first {GROUP} do not: a column cannot be added"
            )
