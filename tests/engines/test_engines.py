"""
The examples for Ray and Dask, as programs of their own with the real engines, against servers that make vectors.

`make test-engines` makes an environment with the engines for them.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from engines.vectors import LENGTH, as_stored, responder
from replay import Action, Received, ReplayServer, replay

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]

ROOT: Final = Path(__file__).parent.parent.parent
PAGE: Final = ROOT / "docs" / "scale.md"
MODEL: Final = "all-minilm"
TEXTS: Final = [f"text {number}, with 🌊 and {'x' * (number % 50)}" for number in range(2000)]
BATCH: Final = 16
ENGINES: Final = ("ray", "dask")
CONNECTIONS: Final = {"ray": 6, "dask": 8}
"""How many one host may see: of six workers with a thread, or of two with four."""


@dataclass(frozen=True)
class Ended:
    """How an example ended."""

    code: int
    out: str
    err: str


class Place:
    """A folder to run examples in, and what they leave behind there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = f"ENGINES_TEST={uuid.uuid4()}"

    def run(self, command: Sequence[str]) -> Ended:
        """Run an example, with what it may leave behind in the folder."""
        name, _, value = self.mark.partition("=")
        environ = os.environ | {
            name: value,
            "HOME": str(self.folder),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
            "RAY_TMPDIR": str(self.folder),
            "RAY_USAGE_STATS_ENABLED": "0",
            "TMPDIR": str(self.folder),
        }
        ended = subprocess.run(command, cwd=self.folder, env=environ, capture_output=True, text=True, check=False)
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def example(self, engine: str, source: str, hosts: Sequence[str], *, model: str = MODEL) -> Ended:
        """Run the example of *engine*."""
        program = [sys.executable, str(ROOT / "examples" / f"{engine}_embed.py"), source, "vectors.parquet"]
        where = [word for host in hosts for word in ("--host", host)]
        return self.run([*program, "--model", model, "--batch-size", str(BATCH), *where])

    def processes(self) -> dict[int, str]:
        """Give the command lines, by their ids, of all processes that an example started and that still run."""
        found: dict[int, str] = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                    found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # it has ended, or belongs to somebody else
        return found


@pytest.fixture
def place() -> Iterator[Place]:
    # The paths of Ray's sockets must be short, so it is not pytest's folder.
    with tempfile.TemporaryDirectory(prefix="e", dir="/tmp") as folder:
        place = Place(Path(folder))
        (place.folder / "texts.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
        yield place
        deadline = time.monotonic() + 30
        while place.processes() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert place.processes() == {}


@pytest.fixture
def servers() -> Iterator[list[ReplayServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(replay(respond=responder(MODEL))) for _ in range(3)]


def embedded(path: Path) -> list[tuple[str, bytes]]:
    """Read the texts of a Parquet file, and their vectors as they are stored."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    assert table.schema.field("text").type == pa.string()
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), LENGTH)
    assert table["embedding"].null_count == 0
    vectors: list[Any] = [vector.values for vector in table["embedding"]]
    stored = [vector.to_numpy().tobytes() for vector in vectors]
    return list(zip(table["text"].to_pylist(), stored, strict=True))


EXPECTED: Final = [(text, as_stored(text)) for text in TEXTS]


def texts_of(server: ReplayServer) -> list[str]:
    """Give all texts that a server was sent."""
    return [text for request in server.requests for text in request.json["input"]]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_command_of_the_docs_embeds_every_text(engine: str, place: Place, servers: list[ReplayServer]) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if f"{engine}_embed.py" in block]
    there = iter(servers)
    command = re.sub(r"gpu\d:11434", lambda _: next(there).url.removeprefix("http://"), block)
    command = command.replace("examples/", f"{ROOT}/examples/")
    ended = place.run(["bash", "-euc", command])
    assert ended.code == 0, ended
    assert ended.out.splitlines()[-1] == f"{len(TEXTS)} texts are in vectors.parquet"
    assert embedded(place.folder / "vectors.parquet") == EXPECTED
    first, second, third = (texts_of(server) for server in servers)
    assert sorted(first + second) == sorted(TEXTS)
    assert first
    assert second
    assert not third


@pytest.mark.parametrize("engine", ENGINES)
def test_hosts_share_the_work_over_few_connections(engine: str, place: Place, servers: list[ReplayServer]) -> None:
    ended = place.example(engine, "texts.txt", [server.url for server in servers])
    assert ended.code == 0, ended
    assert embedded(place.folder / "vectors.parquet") == EXPECTED
    assert sorted(text for server in servers for text in texts_of(server)) == sorted(TEXTS)
    for server in servers:
        assert len(server.requests) > len(TEXTS) / BATCH / 4
        assert server.connections <= CONNECTIONS[engine] < len(server.requests) / 3
    made = {"texts.txt", "vectors.parquet", "ray", "dask-scratch-space"}
    assert {entry.name for entry in place.folder.iterdir() if not entry.name.startswith(".")} <= made
    assert not [file for file in place.folder.glob("dask-scratch-space/*") if file.is_dir()]
    progress = "execution finished" if engine == "ray" else f"\n{len(TEXTS)} texts"
    assert progress in ended.err


@pytest.mark.parametrize("engine", ENGINES)
def test_the_others_do_the_work_of_a_host_that_dies(engine: str, place: Place, servers: list[ReplayServer]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"number": range(len(TEXTS)), "text": TEXTS}), place.folder / "texts.parquet")
    with replay(respond=responder(MODEL, dies_after=3)) as dying:
        ended = place.example(engine, "texts.parquet", [dying.url, servers[0].url, servers[1].url])
    assert ended.code == 0, ended
    assert embedded(place.folder / "vectors.parquet") == EXPECTED
    assert len(dying.requests) > 3
    assert len(set(texts_of(servers[0]) + texts_of(servers[1]))) >= len(TEXTS) - 3 * BATCH
    assert dying.url in ended.err


@pytest.mark.parametrize("engine", ENGINES)
def test_without_a_host_the_job_fails_and_keeps_what_was_done(engine: str, place: Place) -> None:
    with (
        replay(respond=responder(MODEL, dies_after=30)) as first,
        replay(respond=responder(MODEL, dies_after=30)) as second,
    ):
        ended = place.example(engine, "texts.txt", [first.url, second.url])
    assert ended.code == 1, ended
    assert "ollama_fast.errors." in ended.err
    assert "POST" in ended.err
    assert not (place.folder / "vectors.parquet").exists()
    kept = place.folder / "vectors.parquet.part"
    if engine == "ray":
        assert not kept.exists()  # there are fewer texts than it writes at once
    else:
        rows = embedded(kept)
        assert 0 < len(rows) <= 60 * BATCH
        assert rows == EXPECTED[: len(rows)]


@pytest.mark.parametrize(("engine", "worker"), [("ray", "ray::MapWorker"), ("dask", "spawn_main")])
def test_the_batches_of_a_worker_that_is_killed_are_done_again(engine: str, worker: str, place: Place) -> None:
    numbers, answer = itertools.count(), responder(MODEL)
    killed: list[int] = []

    def respond(received: Received) -> Iterable[Action]:
        if next(numbers) == 20:
            killed.append(next(number for number, command in place.processes().items() if worker in command))
            os.kill(killed[0], signal.SIGKILL)
        yield from answer(received)

    with replay(respond=respond) as server:
        ended = place.example(engine, "texts.txt", [server.url])
    assert ended.code == 0, ended
    assert len(killed) == 1
    assert embedded(place.folder / "vectors.parquet") == EXPECTED


@pytest.mark.parametrize("engine", ENGINES)
def test_an_unknown_model_ends_the_job(engine: str, place: Place, servers: list[ReplayServer]) -> None:
    ended = place.example(engine, "texts.txt", [server.url for server in servers], model="nope")
    assert ended.code == 1, ended
    assert 'model "nope" not found, try pulling it first' in ended.err
    assert [file.name for file in place.folder.glob("vectors.parquet*")] == []
