"""
Turn many texts into vectors with Ray Data and several Ollama hosts, and write them to a Parquet file.

    python examples/ray_embed.py texts.txt vectors.parquet --model all-minilm --host gpu1:11434 --host gpu2:11434

The input is a text file with a text in each line, or Parquet with a column `text`. The output has the texts in the same
order, and their vectors in a column `embedding` of fixed-size lists of float32. It is called NAME.part until it is
whole; a job that failed leaves that.

Ray starts on this machine, unless RAY_ADDRESS names a cluster; then ollama_fast must be installed on all of it.
"""

import argparse
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import ray
import ray.data

import ollama_fast
from ollama_fast.errors import TransportError

ROW_GROUP = 8192
"""Rows of the output that are written together."""


class Embed:
    """
    What a worker does: it is a process of its own, with its own connections, which it keeps.

    It takes the hosts in turn. One that cannot be reached, or that breaks off, is left out from then on, and its batch
    goes to the next, so some texts may be sent twice. Without any host left the job fails, and so it does with any
    other error, such as an unknown model: each host would say the same.
    """

    def __init__(self, hosts: Sequence[str], model: str) -> None:
        self.hosts = deque(hosts)
        self.model = model

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Add the vectors to a batch of texts."""
        texts = batch["text"].to_pylist()
        while True:
            self.hosts.rotate(-1)
            try:
                vectors = ollama_fast.embed_array(self.hosts[0], self.model, texts)
                break
            except TransportError as error:
                if len(self.hosts) == 1:
                    raise
                print(f"going on without {self.hosts.popleft()}: {error}", file=sys.stderr)
        count, length = vectors.shape
        numbers = pa.Array.from_buffers(pa.float32(), count * length, [None, pa.py_buffer(vectors.data)])  # no copy
        return batch.append_column("embedding", pa.FixedSizeListArray.from_arrays(numbers, length))


def embedded(source: Path, hosts: Sequence[str], model: str, batch_size: int, workers: int) -> ray.data.Dataset:
    """Say what is to be done; Ray does it while the rows are read."""
    is_parquet = source.is_dir() or source.suffix == ".parquet"
    texts = ray.data.read_parquet(str(source)) if is_parquet else ray.data.read_text(str(source))
    batches = texts.select_columns("text").repartition(target_num_rows_per_block=batch_size)  # what a worker is given
    return batches.map_batches(
        Embed,
        fn_constructor_args=(hosts, model),
        batch_size=batch_size,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=0.1,  # it waits for its host nearly all the time
    )


def write(tables: Iterator[pa.Table], output: Path) -> int:
    """Write rows as they are done, and give how many there were."""
    first = next(tables, None)
    if first is None:
        raise SystemExit("there are no texts")
    unfinished, done = output.with_name(f"{output.name}.part"), 0
    with pq.ParquetWriter(unfinished, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table)
            done += table.num_rows
    unfinished.replace(output)
    return done


def main() -> None:
    """Read the command line, and do what it says; Ray shows how far it is."""
    parser = argparse.ArgumentParser(description="Turn texts into vectors with Ray Data and several Ollama hosts.")
    parser.add_argument("source", type=Path, help="text file, or Parquet with a column `text`")
    parser.add_argument("output", type=Path, help="Parquet file to write")
    parser.add_argument("--model", required=True)
    parser.add_argument("--host", action="append", required=True, help="an Ollama server; give it several times")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="texts in a request (64)")
    parser.add_argument("--workers", type=int, metavar="N", help="requests at the same time (two for each host)")
    args = parser.parse_args()

    ray.data.DataContext.get_current().execution_options.preserve_order = True
    workers: int = args.workers or 2 * len(args.host)
    dataset = embedded(args.source, args.host, args.model, args.batch_size, workers)
    rows = dataset.iter_batches(batch_size=ROW_GROUP, batch_format="pyarrow")
    print(f"{write(iter(rows), args.output)} texts are in {args.output}")


if __name__ == "__main__":
    main()
