"""Both transports behind one face that blocks, on every kind of event loop: a test is written once."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import httpx
import uvloop

from ollama_fast import _async_pool, _core
from ollama_fast._async_transport import AsyncTransport as AsyncTransport
from ollama_fast._readiness import watches
from ollama_fast._transport import Transport as Transport

Reader: TypeAlias = Literal["parts", "batches", "whole", "raw", "bytes", "read"]
"""How a body is read: decoded one by one, decoded by batches, all at once, and by httpx's three ways."""

READERS: Final[tuple[Reader, ...]] = ("parts", "batches", "whole", "raw", "bytes", "read")
GENEROUS: Final = 10.0
"""Seconds after which something that should happen counts as never happening."""


@dataclass(frozen=True)
class Outcome:
    """What a request gave: of a response the head and, as far as it came, the body; and the error that ended it."""

    status: int = 0
    headers: httpx.Headers = field(default_factory=httpx.Headers)
    parts: list[Any] = field(default_factory=list[Any])
    content: bytes = b""
    error: Exception | None = None
    extensions: dict[str, Any] = field(default_factory=dict[str, Any])


def request(
    url: str,
    method: str = "GET",
    *,
    timeout: float | httpx.Timeout | None = GENEROUS,
    content: Any = None,
    headers: Any = None,
) -> httpx.Request:
    """Make a request with the limits that a client would give it."""
    limits = httpx.Timeout(timeout).as_dict()
    return httpx.Request(method, url, content=content, headers=headers, extensions={"timeout": limits})


class Session:
    """
    One transport, and for asyncio an event loop for all its calls.

    Args:
        kind: The colour and the loop.

        options: Arguments of the transport.
    """

    def __init__(self, kind: Kind, **options: Any) -> None:
        self.kind = kind
        self._runner = None if kind.factory is None else asyncio.Runner(loop_factory=kind.factory)
        self.transport: Any = (AsyncTransport if kind.factory else Transport)(**options)

    def close(self) -> None:
        """Close the transport, and the loop."""
        if self._runner is None:
            self.transport.close()
        else:
            self._runner.run(self.transport.aclose())
            self._runner.close()
        del self.transport

    def run(self, coroutine: Any) -> Any:
        """Run *coroutine* on the loop of this session, but not for ever."""
        assert self._runner is not None
        return self._runner.run(within(coroutine))

    def counts(self) -> tuple[int, int]:
        """How many connections are open, and how many of them idle."""
        if self._runner is None:
            counts: tuple[int, int] = self.transport._pool.counts()
        else:
            watch = watches.get(self._runner.get_loop())
            assert watch is not None
            counts = watch.pools[self.transport].counts()
        return counts

    def open(self, request: httpx.Request) -> Opened:
        """Send *request* and wait for the head. Raises what the transport raises."""
        if self._runner is None:
            return Opened(self, self.transport.handle_request(request))
        return Opened(self, self.run(self.transport.handle_async_request(request)))

    def send(self, request: httpx.Request, reader: Reader = "parts") -> Outcome:
        """Send *request* and read all of the response; errors are part of the outcome."""
        try:
            opened = self.open(request)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return Outcome(error=error)
        try:
            return opened.read(reader)
        finally:
            opened.close()

    def get(self, url: str, reader: Reader = "parts", timeout: float | None = GENEROUS) -> Outcome:
        """Send a GET and read all of the response."""
        return self.send(request(url, timeout=timeout), reader)


class Opened:
    """A response whose head is in."""

    def __init__(self, session: Session, response: httpx.Response) -> None:
        self.session = session
        self.response = response
        self.reply: Any = response.extensions.get("ndjson")

    def read(self, reader: Reader) -> Outcome:
        """Read the rest of the body in the way that *reader* says."""
        parts: list[Any] = []
        pieces: list[bytes] = []
        error: Exception | None = None
        try:
            if self.session.kind.factory is None:
                self._read(reader, parts, pieces)
            else:
                self.session.run(self.read_async(reader, parts, pieces))
        except Exception as exc:  # noqa: BLE001 - the test looks at it
            error = exc
        response = self.response
        return Outcome(
            response.status_code, response.headers, parts, b"".join(pieces), error, dict(response.extensions)
        )

    def next(self) -> Any:
        """Give the next decoded part. Raises what the stream raises; StopAsyncIteration, too, at the end."""
        if self.session.kind.factory is None:
            try:
                return next(self.reply)
            except StopIteration:
                raise StopAsyncIteration from None
        return self.session.run(_next(self.reply))

    def close(self) -> None:
        """Close the response."""
        if self.session.kind.factory is None:
            self.response.close()
        else:
            self.session.run(self.response.aclose())

    def _read(self, reader: Reader, parts: list[Any], pieces: list[bytes]) -> None:
        if reader in {"parts", "batches"}:
            parts.extend(_each(self.reply))  # keeps what came before an error
        elif reader == "whole":
            pieces.append(self.reply.read())
        elif reader == "read":
            pieces.append(self.response.read())
        else:
            ways = {"raw": self.response.iter_raw, "bytes": self.response.iter_bytes}
            pieces.extend(_each(ways[reader]()))

    async def read_async(self, reader: Reader, parts: list[Any], pieces: list[bytes]) -> None:
        """Add to *parts* or *pieces* what the rest of the body holds."""
        if reader == "parts":
            async for part in self.reply:
                parts.append(part)  # noqa: PERF401 - the parts before an error count
        elif reader == "batches":
            while await self.reply.ready():
                parts.extend(self.reply.arrived())
        elif reader == "whole":
            pieces.append(await self.reply.read())
        elif reader == "read":
            pieces.append(await self.response.aread())
        else:
            ways = {"raw": self.response.aiter_raw, "bytes": self.response.aiter_bytes}
            async for piece in ways[reader]():
                pieces.append(piece)  # noqa: PERF401 - the same


def _each(iterable: Any) -> Generator[Any]:
    yield from iterable


async def _next(reply: Any) -> Any:
    return await anext(reply)


async def within(coroutine: Any, seconds: float = GENEROUS) -> Any:
    """Await *coroutine*, but fail rather than hang."""
    task = asyncio.ensure_future(coroutine)
    done, _ = await asyncio.wait([task], timeout=seconds)
    if not done:
        task.cancel()
        raise AssertionError(f"it still hung after {seconds} s: {task!r}")
    return task.result()


@dataclass(frozen=True)
class Kind:
    """A colour of the transport, and for asyncio how its loop is made."""

    name: str
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None

    def __str__(self) -> str:
        return self.name

    @contextmanager
    def session(self, **options: Any) -> Generator[Session]:
        """Give a session that is closed in the end."""
        session = Session(self, **options)
        try:
            yield session
        finally:
            session.close()


BLOCKING: Final = Kind("blocking")
LOOPS: Final = (Kind("asyncio", asyncio.new_event_loop), Kind("uvloop", uvloop.new_event_loop))
KINDS: Final = (BLOCKING, *LOOPS)


def open_files() -> list[str]:
    """List the kinds of what this process has open, after a collection of garbage."""
    gc.collect()
    found: list[str] = []
    for name in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(name.readlink()).split(":")[0])
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
    return sorted(found)


def resident() -> int:
    """How many bytes of memory this process uses."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def kept_by_loop() -> tuple[Any, _core.AsyncPool | None]:
    """Give the only transport that is kept for the running event loop, and its pool if the core serves."""
    loop = asyncio.get_running_loop()
    pools, watch = _async_pool._pools.get(loop), watches.get(loop)
    assert pools is not None
    (transport,) = pools.transports.values()
    return transport, None if watch is None else watch.pools.get(transport)


def eventually(condition: Callable[[], Any], seconds: float = GENEROUS) -> None:
    """Wait until *condition* holds. Raises AssertionError with what was seen instead."""
    deadline = time.monotonic() + seconds
    while not (seen := condition()):
        assert time.monotonic() < deadline, f"{condition} is still {seen!r} after {seconds} s"
        time.sleep(0.005)


class Crowd:
    """The requests that a server serves at once; the first ones wait until there are *size*, on a slow machine, too."""

    def __init__(self, size: int) -> None:
        self.most = 0
        self._size = size
        self._now = 0
        self._changed = threading.Condition()

    def serve(self, reply: bytes) -> Generator[bytes | float]:
        """Give *reply* as a `respond` does, a moment after the request."""
        with self._changed:
            self._now += 1
            self.most = max(self.most, self._now)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.most >= self._size, GENEROUS)
        yield 0.002
        with self._changed:
            self._now -= 1
        yield reply


# --- what servers say ------------------------------------------------------------------------------------------------

CHUNKED: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
END: Final = b"0\r\n\r\n"
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def says(*pieces: bytes | float) -> list[bytes | float]:
    """Give what a `respond` says: pieces, and pauses in seconds."""
    return list(pieces)


def chunk(data: bytes) -> bytes:
    """Frame *data* as a chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def line(number: int) -> bytes:
    """Give a chunk with one line."""
    return chunk(b'{"n":%d}\n' % number)
