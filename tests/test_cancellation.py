"""Every way to leave an answer frees its connection: the server sees the end, and the next call has the place."""

from __future__ import annotations

import asyncio
import gc
import inspect
import warnings
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

import pytest

import ollama_fast
from leaving import Place, becomes, ways_of
from ollama_fast import Host, Limits, Timeout, _sync_pool, aio
from replay import Received, ReplayServer, replay
from transports import CHUNKED, GENEROUS, KINDS, Kind, chunk, eventually, kept_by_loop

PART: Final = b'{"model":"m","created_at":"","message":{"role":"assistant","content":"x"},"done":false}\n'
VERSION: Final = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"version":"1"}'


def respond(request: Received) -> Iterator[bytes | float]:
    if request.path == "/api/version":
        yield VERSION
        return
    if request.json["model"] != "silent":
        yield CHUNKED + chunk(PART)
    yield 60.0


@pytest.mark.parametrize(
    ("kind", "way"), [pytest.param(kind, way, id=f"{kind}-{way.__name__}") for kind in KINDS for way in ways_of(kind)]
)
def test_leaving_frees_the_connection(kind: Kind, way: Any) -> None:
    with replay(respond=respond) as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        host = Host(server.url, limits=Limits(max_connections=1), timeout=Timeout(connect=GENEROUS))
        place = Place(host, {"model": "m"}, {"model": "silent"}, lambda: server.requests, kind)
        try:
            if kind.factory is None:
                way(place)
                check(place, server)
            elif inspect.iscoroutinefunction(way):
                place.run(leave_and_check(place, way, server))
            else:
                way(place)
                place.end()
                place.run(acheck(place, server))
        finally:
            place.end()
        gc.collect()
        assert place.complaints == []
        assert len(server.abandoned) == 1


def check(place: Place, server: ReplayServer) -> None:
    eventually(lambda: server.abandoned)
    assert ollama_fast.version(place.host) == {"version": "1"}
    (transport,) = _sync_pool._pools.values()
    counts = transport._pool.counts()
    check_counts(counts if counts != (0, 0) else counts_of_httpx(transport))


async def leave_and_check(
    place: Place, way: Callable[[Place], Coroutine[Any, Any, None]], server: ReplayServer
) -> None:
    await way(place)
    await acheck(place, server)


async def acheck(place: Place, server: ReplayServer) -> None:
    await becomes(lambda: server.abandoned)
    assert await aio.version(place.host) == {"version": "1"}
    transport, pool = kept_by_loop()
    check_counts(counts_of_httpx(transport) if pool is None else pool.counts())
    assert len(asyncio.all_tasks()) == 1


def counts_of_httpx(transport: Any) -> tuple[int, int]:
    (other,) = transport._plan._others.values()
    connections = other._pool.connections
    return len(connections), sum(connection.is_idle() for connection in connections)


def check_counts(counts: tuple[int, int]) -> None:
    """One is open, that of the call after all this, and nobody uses it."""
    assert counts == (1, 1)
