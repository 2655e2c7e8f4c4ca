"""The command `embed`."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Final

import click

import ollama_fast
from ollama_fast import Host
from ollama_fast._text_lines import WrongLineError, is_json_lines
from ollama_fast._whole_file import replaced
from ollama_fast.errors import InputsError
from ollama_fast.types import KeepAlive, Options

from . import _vectors
from ._advice import said
from ._asking import checked, keep_alive_option, run_option
from ._counted import counted
from ._options import hosts_option, json_option, model_argument
from ._output import on_terminal, print_json
from ._texts import Row, rows_of_jsonl, rows_of_lines

_KEY: Final = "text"


@click.command
@model_argument
@click.argument(
    "source", metavar="[FILE]", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to: Parquet if it ends with .parquet, else JSONL; without it JSONL on stdout.",
)
@click.option("--input-key", metavar="KEY", help=f"Take lines as JSON, and embed what they have under KEY; {_KEY}.")
@click.option("--output-key", metavar="KEY", default="embedding", help="What the vectors are called; embedding.")
@click.option("--dimensions", type=click.IntRange(1), help="Length of the vectors, if shorter than the model's own.")
@click.option("--batch-size", type=click.IntRange(1), default=32, help="Texts in a request; 32.")
@click.option("--concurrency", type=click.IntRange(1), default=4, help="Requests at a time, for each host; 4.")
@click.option("--truncate/--no-truncate", default=None, help="Whether a text that is too long is cut, or an error.")
@run_option
@keep_alive_option
@json_option("with --output, `texts`, `dimensions` and `output` at the end")
@hosts_option
def embed(
    hosts: tuple[Host, ...],
    model: str,
    source: Path | None,
    output: Path | None,
    input_key: str | None,
    output_key: str,
    dimensions: int | None,
    batch_size: int,
    concurrency: int,
    truncate: bool | None,
    options: Options | None,
    keep_alive: KeepAlive | None,
    as_json: bool,
) -> None:
    """
    Turn each line of FILE, or of what comes by a pipe, into a vector.

    Lines are texts; in a file that ends with .jsonl, or with --input-key, they are JSON objects, whose other keys go
    along. Blank lines are left out. Texts are read as they are needed, so a file can be of any size. The output is
    there when all is done, and not before.
    """
    write = _writer(output)
    where = source.name if source else "standard input"
    pending: deque[Row] = deque()
    texts = length = 0
    with _explained(where, pending), _opened(source) as lines, _to(output) as file, write(file, output_key) as put:
        rows = _rows(lines, source, input_key)
        with checked():
            vectors = ollama_fast.embed_many(
                hosts,
                model,
                _remembered(rows, pending),
                batch_size=batch_size,
                concurrency=concurrency,
                dimensions=dimensions,
                truncate=truncate,
                options=options,
                keep_alive=keep_alive,
            )
        total = source.stat().st_size if source else None
        with vectors, counted(total, visible=bool(output) or not on_terminal()) as count:
            for vector in vectors:
                row = pending.popleft()
                put(row, vector)
                count(row.size)
                texts, length = texts + 1, len(vector)
        if not texts:
            raise click.ClickException(f"{where}: there is no text to embed")
    if as_json and output:
        print_json({"texts": texts, "dimensions": length, "output": str(output)})


def _writer(output: Path | None) -> Callable[[IO[bytes], str], AbstractContextManager[_vectors.Put]]:
    if output is None or output.suffix != ".parquet":
        return _vectors.jsonl
    from importlib.util import find_spec

    if find_spec("pyarrow") is None:
        raise click.ClickException("Parquet needs pyarrow, which is not installed: pip install 'ollama_fast[parquet]'")
    return _vectors.parquet


@contextmanager
def _opened(source: Path | None) -> Generator[IO[bytes]]:
    if source is not None:
        with source.open("rb") as file:
            yield file
    elif sys.stdin is None or sys.stdin.isatty():
        raise click.UsageError("there is nothing to embed: give a FILE, or lines by a pipe")
    else:
        yield sys.stdin.buffer


@contextmanager
def _to(output: Path | None) -> Generator[IO[bytes]]:
    if output is None:
        yield sys.stdout.buffer
    else:
        with replaced(output) as file:
            yield file


def _rows(lines: IO[bytes], source: Path | None, input_key: str | None) -> Iterator[Row]:
    if input_key is not None or (source is not None and is_json_lines(source)):
        return rows_of_jsonl(lines, input_key or _KEY)
    return rows_of_lines(lines, _KEY)


def _remembered(rows: Iterator[Row], pending: deque[Row]) -> Iterator[str]:
    """Give the texts of *rows*, which wait for their vectors."""
    for row in rows:
        pending.append(row)
        yield row.text


@contextmanager
def _explained(where: str, pending: deque[Row]) -> Generator[None]:
    """Say of what goes wrong which lines it is about."""
    try:
        yield
    except WrongLineError as exc:
        raise click.ClickException(f"{where}: {exc}") from exc
    except InputsError as exc:
        failed = list(pending)[: len(exc.inputs)]
        about = f"lines {failed[0].line} to {failed[-1].line}" if len(failed) > 1 else f"line {failed[0].line}"
        cause = exc.__cause__ if isinstance(exc.__cause__, Exception) else exc
        raise click.ClickException(f"{where}, {about}: {said(cause)}") from exc
