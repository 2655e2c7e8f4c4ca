"""The proxy that records: it passes on what clients ask and what a server replies, as it comes, and writes it down."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from ollama_fast import Host
from ollama_fast._whole_file import check_writable

from ._incoming import PATIENCE, Arriving, ClientLeftError
from ._loopback import Loopback
from ._recording import Ending, Recorded, headers_of, request_of
from ._recording_file import save
from ._replies import failed
from ._secrets import without_secrets
from ._upstream import Line, UnreachableError, Upstream, cuts
from ._values import Action, Chunk, End, Received, Reply
from ._wire import chunk, wire

Headers: TypeAlias = tuple[tuple[str, str], ...]

_FINAL: Final = 200
"""Statuses below are no replies; 101 makes the connection another protocol's."""

_HEAD_ALONE: Final = 0.01
"""Seconds that a head must come before the first chunk to have a time of its own in the recording."""


@dataclass
class _Heard:
    """What has come of a reply."""

    status: int = 0
    headers: Headers = ()
    chunks: list[Chunk] = field(default_factory=list[Chunk])
    sent: int = 0
    """How many of the chunks the client was sent."""
    whole: bool = False
    """Whether the server has said all."""

    def reply(self) -> Reply | None:
        return Reply(self.status, headers_of(self.headers), tuple(self.chunks)) if self.status >= _FINAL else None


class _Passing:
    """What is passed on to a genuine server, and what has been."""

    def __init__(self, upstream: Upstream) -> None:
        self.failures: list[str] = []
        """Why a request got no reply of the genuine server, or not all of one."""
        self._upstream = upstream
        self._lock = threading.Condition()
        self._recorded: dict[int, Recorded | None] = {}
        self._lines: set[Line] = set()
        self._stopping = False

    def recorded(self) -> list[Recorded]:
        """Give what was exchanged, in the order in which requests came."""
        with self._lock:
            return [each for each in self._recorded.values() if each is not None]

    def stop(self) -> None:
        """End what is under way, and what comes from now on."""
        with self._lock:
            self._stopping = True
            self._lock.wait_for(lambda: not self._lines, PATIENCE)
            lines = list(self._lines)
        for line in lines:
            line.end()

    def take(self, request: Arriving, arrived: Callable[[Received], None]) -> Iterator[Action]:
        """Pass a request on, and its reply back."""
        line, heard = Line(), _Heard()
        asked = f"{request.method} {without_secrets(request.path)}"  # as it may be shown
        with self._lock:
            number = len(self._recorded)
            self._recorded[number] = None  # it has its place by when it came, and not by when it ended
            self._lines.add(line)
            if self._stopping:
                line.end()
        end: Ending | None = "left"
        try:
            end = yield from self._passed(request, arrived, line, heard)
        except UnreachableError as exc:
            why = f"{asked} was not recorded: {self._upstream.url} cannot be reached: {exc}"
            self.failures.append(why)
            yield from wire(failed(502, why), request.method, request.version).actions()
            return
        finally:
            received = request.received
            if heard.whole:
                end = None
            elif end == "left":
                del heard.chunks[heard.sent :]
            with self._lock:
                self._lines.discard(line)
                self._lock.notify_all()
                if received is not None and (heard.status >= _FINAL or end not in (None, "left")):
                    self._recorded[number] = Recorded(request_of(received), heard.reply(), end)
        if end is not None:
            self.failures.append(f"{asked}: the server ended the connection ({end})")
            yield End.RESET if end == "reset" else End.CLOSE

    def _passed(
        self, request: Arriving, arrived: Callable[[Received], None], line: Line, heard: _Heard
    ) -> Generator[Action, None, Ending | None]:
        """Give how the server ended the connection, if its reply was not whole."""
        cut: list[Ending] = []
        with cuts(cut), request.passed_on(arrived, line.end) as pieces:
            if not request.has_body:
                _drain(pieces)
            body = pieces if request.has_body else None
            with self._upstream.asked(request.method, request.path, request.headers, body, line) as reply:
                _drain(pieces)  # who refuses an upload may do so before its end
                yield from _replied(request, line, heard, *reply)
        if not cut:
            return None
        if line.ended:
            raise ClientLeftError
        return cut[0]


def _replied(
    request: Arriving, line: Line, heard: _Heard, status: int, headers: Headers, chunks: Iterator[bytes]
) -> Iterator[Action]:
    """Pass a reply back, and keep it."""
    heard.status, heard.headers = status, headers
    framed = wire(Reply(status, headers), request.method, request.version)
    frame = chunk if framed.end else bytes
    kept = _kept(chunks, request, heard)
    try:
        yield framed.head
        for data in kept:
            yield frame(data)
            heard.sent = len(heard.chunks)
        if framed.end:
            yield framed.end
    except GeneratorExit:  # a client may have all that it needs a moment before the server has said all
        with line.ended_after(PATIENCE), suppress(Exception):
            _drain(kept)
        raise


def _kept(chunks: Iterator[bytes], request: Arriving, heard: _Heard) -> Iterator[bytes]:
    head_at = time.monotonic()
    for data in chunks:
        now = time.monotonic()
        if not heard.chunks and now - head_at > _HEAD_ALONE:
            heard.chunks.append(Chunk(_ms(head_at - request.since), b""))
        heard.chunks.append(Chunk(_ms(now - request.since), data))
        yield data
    heard.whole = True


def _drain(pieces: Iterator[bytes]) -> None:
    for _ in pieces:
        pass


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))


class Recorder:
    """A running proxy, which `record` starts and ends."""

    __slots__ = ("_discarded", "_loopback", "_passing")

    def __init__(self, upstream: Upstream, port: int) -> None:
        self._discarded = False
        self._passing = _Passing(upstream)
        self._loopback = Loopback(self._passing.take, port)

    @property
    def url(self) -> str:
        """Where it is; a client asks it in place of the genuine server."""
        return self._loopback.url

    @property
    def requests(self) -> list[Received]:
        """The requests that arrived."""
        return self._loopback.requests

    @property
    def recorded(self) -> int:
        """How many exchanges are in the recording so far."""
        return len(self._passing.recorded())

    @property
    def failures(self) -> list[str]:
        """Why a request got no reply of the genuine server, or not all of one."""
        return self._passing.failures

    def discard(self) -> None:
        """Write nothing at the end: the file stays as it was."""
        self._discarded = True

    def _stop(self) -> None:
        self._passing.stop()
        self._loopback.stop()

    def _save(self, path: Path) -> None:
        if not self._discarded and (recorded := self._passing.recorded()):
            save(path, recorded)
        if self._loopback.failure is not None:
            raise self._loopback.failure


@contextmanager
def record(host: Host | str | None, path: str | os.PathLike[str], /, *, port: int = 0) -> Generator[Recorder]:
    """
    Pass requests on to a genuine server until the block ends, and write what was exchanged.

    Any client can ask the proxy, at its `url`: it gets each chunk when it comes. A reply that breaks off does so for
    the client, too, and in a replay. If the server cannot be reached the client gets a 502, which is not recorded.
    Cookies, and what by its name is a password, a token or a key, are passed on and not written; of uploads only the
    digest is. What models are asked and say is written as it is.

    Args:
        host: The genuine server; None is that of the environment.

        path: The file that `replay` reads. It is written at the end, in one step: it stays as it was if nothing was
            exchanged, or if the program is killed. A device or a pipe is written to, and not replaced.

        port: Of 127.0.0.1; by default a free one.

    Raises HostError if *host* cannot be understood or used, and OSError at once if *path* cannot be written.
    """
    target = Path(path)
    check_writable(target)
    upstream = Upstream(Host.of(host))
    try:
        recorder = Recorder(upstream, port)
        try:
            yield recorder
        finally:
            recorder._stop()  # noqa: SLF001 - nobody else may stop it
            recorder._save(target)  # noqa: SLF001
    finally:
        upstream.close()
