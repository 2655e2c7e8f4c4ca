"""Which transport serves a host: the core by default and where it is asked for, httpx's own where that is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import pytest

import ollama_fast
from ollama_fast import Host, _sync_pool, aio
from ollama_fast._delegation import VARIABLE
from ollama_fast._plan import HERE
from replay import Received, ReplayServer, replay
from transports import kept_by_loop

HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
PART: Final = b'{"model":"m","created_at":"","message":{"role":"assistant","content":"Hel"},"done":false}\n'
LAST: Final = b'{"model":"m","created_at":"","message":{"role":"assistant","content":"lo"},"done":true}\n'
FAST: Final = (None, "", "fast")
"""What the environment can say for the core to serve; nothing is the default."""


class Served(NamedTuple):
    """Connections of the core, open and idle, and how many transports of httpx's own there are."""

    open: int
    idle: int
    others: int


def blocking() -> Served:
    """Look at the only pool that is kept for blocking calls."""
    (transport,) = _sync_pool._pools.values()
    return Served(*transport._pool.counts(), len(transport._plan._others))


def by_asyncio() -> Served:
    """Look at the only pool that is kept for this event loop."""
    transport, pool = kept_by_loop()
    counts = (0, 0) if pool is None else pool.counts()
    return Served(*counts, len(transport._plan._others))


def blocking_calls(host: Any) -> list[Served]:
    """Look behind a whole call, inside a stream, and behind it."""
    ollama_fast.chat(host, "m")
    found = [blocking()]
    with ollama_fast.chat_stream(host, "m") as parts:
        next(parts)
        found.append(blocking())
        list(parts)
    return [*found, blocking()]


def asyncio_calls(host: Any) -> list[Served]:
    """Do the same for asyncio."""

    async def run() -> list[Served]:
        await aio.chat(host, "m")
        found = [by_asyncio()]
        async with aio.chat_stream(host, "m") as parts:
            await anext(parts)
            found.append(by_asyncio())
            [_ async for _ in parts]
        return [*found, by_asyncio()]

    return asyncio.run(run())


def respond(request: Received) -> Iterator[bytes | float]:
    if request.json["stream"]:
        yield HEAD % len(PART + LAST) + PART
        yield 0.05  # for a look while the stream goes on
        yield LAST
    else:
        yield HEAD % len(LAST) + LAST


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    with replay(respond=respond) as running:
        yield running


def named(kind: str, server: ReplayServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Name the server as a URL, a Host, or by the environment."""
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    return {"url": server.url, "host": Host(server.url), "none": None}[kind]


each_colour = pytest.mark.parametrize("calls", [blocking_calls, asyncio_calls], ids=["blocking", "asyncio"])
each_name = pytest.mark.parametrize("kind", ["url", "host", "none"])


@pytest.mark.skipif(not HERE, reason="the core has no sockets on this system")
@each_colour
@each_name
@pytest.mark.parametrize("asked", FAST, ids=repr)
def test_the_core_serves(
    asked: str | None,
    kind: str,
    calls: Callable[[Any], list[Served]],
    server: ReplayServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if asked is None:
        monkeypatch.delenv(VARIABLE, raising=False)
    else:
        monkeypatch.setenv(VARIABLE, asked)
    assert calls(named(kind, server, monkeypatch)) == [Served(1, 1, 0), Served(1, 0, 0), Served(1, 1, 0)]
    assert server.connections == 1


@each_colour
@each_name
def test_httpx_serves_where_it_is_asked_for(
    kind: str, calls: Callable[[Any], list[Served]], server: ReplayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "httpx")
    assert calls(named(kind, server, monkeypatch)) == [Served(0, 0, 1)] * 3
    assert server.connections == 1
