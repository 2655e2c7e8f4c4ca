"""
Turn many texts into vectors with Dask and several Ollama hosts, and write them to a Parquet file.

    python examples/dask_embed.py texts.txt vectors.parquet --model all-minilm --host gpu1:11434 --host gpu2:11434

The input is a text file with a text in each line, or Parquet with a column `text`. The output has the texts in the same
order, and their vectors in a column `embedding` of fixed-size lists of float32. It is called NAME.part until it is
whole; a job that failed leaves that.

Dask starts on this machine, unless `--scheduler` names a cluster; then ollama_fast must be installed on all of it.
"""

import argparse
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from distributed import Client, Future

import ollama_fast
from ollama_fast.errors import TransportError


def embed(batch: pa.RecordBatch, hosts: Sequence[str], model: str) -> pa.RecordBatch:
    """
    Add the vectors to a batch of texts.

    The first of *hosts* does it. If it cannot be reached, or breaks off, the next does, so some texts may be sent
    twice. Without any host left the job fails, and so it does with any other error, such as an unknown model: each host
    would say the same. Connections are kept by the process, and its threads share them.
    """
    host, *others = hosts
    try:
        vectors = ollama_fast.embed_array(host, model, batch["text"].to_pylist())
    except TransportError as error:
        if not others:
            raise
        print(f"the next host does what {host} has not done: {error}", file=sys.stderr)
        return embed(batch, others, model)
    count, length = vectors.shape
    numbers = pa.Array.from_buffers(pa.float32(), count * length, [None, pa.py_buffer(vectors.data)])  # no copy
    return batch.append_column("embedding", pa.FixedSizeListArray.from_arrays(numbers, length))


def read(source: Path, batch_size: int) -> Iterator[pa.RecordBatch]:
    """Give the texts of a file in batches."""
    if source.suffix == ".parquet":
        yield from pq.ParquetFile(source).iter_batches(batch_size, columns=["text"])
    else:
        lines = [line for line in source.read_text("utf-8").split("\n") if line]
        yield from pa.table({"text": lines}).to_batches(batch_size)


def embedded(
    client: Client, batches: Iterable[pa.RecordBatch], hosts: Sequence[str], model: str
) -> Iterator[pa.RecordBatch]:
    """Give the batches with their vectors, in order; the hosts take turns, and only so many batches are in memory."""
    waiting: deque[Future] = deque()
    room = 2 * sum(client.nthreads().values())
    for number, batch in enumerate(batches):
        first = number % len(hosts)
        waiting.append(client.submit(embed, batch, [*hosts[first:], *hosts[:first]], model, pure=False))
        if len(waiting) == room:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def write(batches: Iterator[pa.RecordBatch], output: Path) -> int:
    """Write batches as they are done, say how far that is, and give how many rows there were."""
    first = next(batches, None)
    if first is None:
        raise SystemExit("there are no texts")
    unfinished, done = output.with_name(f"{output.name}.part"), 0
    with pq.ParquetWriter(unfinished, first.schema) as writer:
        for batch in chain([first], batches):
            writer.write_batch(batch)
            done += batch.num_rows
            print(f"\r{done} texts", end="", file=sys.stderr, flush=True)
    unfinished.replace(output)
    return done


def main() -> None:
    """Read the command line, and do what it says."""
    parser = argparse.ArgumentParser(description="Turn texts into vectors with Dask and several Ollama hosts.")
    parser.add_argument("source", type=Path, help="text file, or Parquet with a column `text`")
    parser.add_argument("output", type=Path, help="Parquet file to write")
    parser.add_argument("--model", required=True)
    parser.add_argument("--host", action="append", required=True, help="an Ollama server; give it several times")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="texts in a request (64)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes to start here (2)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="a running Dask cluster, in place of these")
    args = parser.parse_args()

    # Threads, because what they do is wait for their host.
    here = {"n_workers": args.workers, "threads_per_worker": 4, "dashboard_address": None}
    with Client(args.scheduler) if args.scheduler else Client(**here) as client:
        batches = embedded(client, read(args.source, args.batch_size), args.host, args.model)
        done = write(batches, args.output)
    print(f"\n{done} texts are in {args.output}")


if __name__ == "__main__":
    main()
