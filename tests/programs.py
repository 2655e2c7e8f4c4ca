"""Programs in a process of their own: with the transports, for signals and forks and ends; and runs of pytest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BEFORE: Final = """
import asyncio, gc, logging, os, signal, sys, threading, time
import httpx
from transports import AsyncTransport, Transport, request
url = sys.argv[1]
logging.getLogger("asyncio").setLevel(logging.ERROR)  # in development mode it warns on a machine that is busy
def say(*words): print(*words, flush=True)
"""


@dataclass(frozen=True)
class Ended:
    """How a program ended, and how long that took since it was let go on or was sent a signal."""

    code: int
    out: str
    err: str
    seconds: float


class Program:
    """A running program."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def heard(self) -> str:
        """Wait for the next line that the program says."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def say(self, words: str) -> None:
        """Send a line to the program's standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{words}\n")
        self._process.stdin.flush()

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def end(self, seconds: float = 10) -> Ended:
        """Wait until it ends. Raises AssertionError if it does not."""
        began = time.monotonic()
        try:
            out, err = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)  # faulthandler, which is on, says where it hung
            out, err = self._process.communicate()
            raise AssertionError(f"the program still ran after {seconds} s; it said {out!r}, {err}") from None
        return Ended(self._process.returncode, out, err, time.monotonic() - began)


@contextmanager
def program(code: str, url: str = "", *, develop: bool = True) -> Generator[Program]:
    """Run *code* behind `_BEFORE`, with warnings as errors, and by default in development mode."""
    arguments = [sys.executable, "-X", "dev" if develop else "faulthandler", "-W", "error", "-c", _BEFORE + code, url]
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with subprocess.Popen(
        arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            yield Program(process)
        finally:
            process.kill()


def pytest_in(folder: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> str:
    """Run pytest with the plugin, in a process of its own, and give what it prints."""
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["--strict-config", "-c", os.devnull, *arguments, str(folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env={**os.environ, **(environ or {})}, check=False
    )
    return done.stdout + done.stderr
