"""The processes of a measurement: the server, and a client for each row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from . import exchange
from .build import Program

_ROOT: Final = Path(__file__).parent.parent.parent
_DIRECTLY: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Talk:
    """A process that answers a line on its standard input with one on its output, and ends with its input."""

    def __init__(self, command: Sequence[str]) -> None:
        names = [name for name in os.environ if not name.startswith("OLLAMA_") and not name.lower().endswith("_proxy")]
        environ = {name: os.environ[name] for name in names}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=_ROOT, env=environ, stdin=pipe, stdout=pipe, text=True)
        self._name = " ".join(command)

    def tell(self, line: str) -> None:
        """Write a line."""
        stdin = _there(self._process.stdin)
        stdin.write(line + "\n")
        stdin.flush()

    def hear(self) -> str:
        """Read a line. Raises RuntimeError if the process ended instead."""
        line = _there(self._process.stdout).readline()
        if not line:
            raise RuntimeError(f"{self._name} ended; what it said of that is above")
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()  # it may be waiting for what does not come
        with suppress(BrokenPipeError):
            _there(self._process.stdin).close()
        self._process.wait(timeout=30)
        _there(self._process.stdout).close()


def _there(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the process has no pipes")
    return pipe


class Client(Talk):
    """A process that asks the server, as benches/peers/client.py says."""

    def ask(self, *words: str) -> dict[str, Any]:
        """Have a task done, and give what it found."""
        self.tell(" ".join(words))
        found: dict[str, Any] = json.loads(self.hear())
        return found


def python_client(colour: str, row: str, url: str) -> Client:
    """Start a client process for a row of Python."""
    return Client([sys.executable, "-m", "benches.peers.client", colour, row, url])


@contextmanager
def server(program: Program) -> Generator[int]:
    """Start the replay server, and give its port."""
    with tempfile.TemporaryDirectory() as folder:
        files = exchange.write_lines(Path(folder))
        with Talk([*program.command, *map(str, files)]) as process:
            yield int(process.hear())


def usage(port: int) -> dict[str, int]:
    """Give the CPU time of the server, and how late it was at worst since this was asked last, in microseconds."""
    with _DIRECTLY.open(f"http://127.0.0.1:{port}/usage") as response:
        found: dict[str, int] = json.load(response)
        return found
