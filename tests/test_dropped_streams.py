"""A blocking stream that the garbage collector finds while its own thread is inside of httpcore's pool."""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Final

import httpx
import pytest

import ollama_fast
from ollama_fast import Host, Limits, Timeout, _sync_pool
from ollama_fast._delegation import VARIABLE
from replay import Received, replay
from transports import CHUNKED, GENEROUS, chunk, eventually

PART: Final = b'{"model":"m","created_at":"","message":{"role":"assistant","content":"x"},"done":false}\n'
VERSION: Final = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"version":"1"}'


def respond(request: Received) -> Iterator[bytes | float]:
    if request.path == "/api/version":
        yield VERSION
    else:
        yield CHUNKED + chunk(PART)
        yield 60.0


def entered(host: Any) -> Any:
    return ollama_fast.chat_stream(host, "m").__enter__()


def begun(host: Any) -> Any:
    stream = ollama_fast.chat_stream(host, "m")
    next(stream)
    return stream


def in_a_loop(host: Any) -> Any:
    parts = iter(ollama_fast.chat_stream(host, "m"))
    next(parts)
    return parts


def of_steps(host: Any) -> Any:
    stream = ollama_fast.run_tools_stream(host, "m", [{"role": "user", "content": "Hi!"}], [])
    next(stream)
    return stream


def in_a_block_of_a_generator(host: Any) -> Any:
    def parts(make: Callable[[Any], Any]) -> Iterator[Any]:
        with make(host) as stream:
            yield from stream

    both = [parts(lambda host: ollama_fast.chat_stream(host, "m"))]
    next(both[0])
    return both


@pytest.mark.parametrize("begin", [entered, begun, in_a_loop, of_steps, in_a_block_of_a_generator])
@pytest.mark.parametrize("cyclic", [False, True], ids=["counted", "cyclic"])
@pytest.mark.parametrize("own", [False, True], ids=["host", "client"])
def test_a_stream_that_is_dropped_inside_of_the_pool_holds_nobody_up(
    own: bool, cyclic: bool, begin: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the only connection, which the request that is under way there waits for."""
    monkeypatch.setenv(VARIABLE, "httpx")
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings(action="ignore", category=ResourceWarning))
        server = stack.enter_context(replay(respond=respond))
        if own:
            limits = httpx.Limits(max_connections=1)
            client = stack.enter_context(httpx.Client(base_url=server.url, limits=limits, timeout=GENEROUS))
            host: Any = client
            held: list[Any] = [begin(host)]
            pool: Any = client._transport._pool  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
        else:
            host = Host(server.url, limits=Limits(max_connections=1), timeout=Timeout(connect=GENEROUS))
            held = [begin(host)]
            (transport,) = _sync_pool._pools.values()
            (other,) = transport._plan._others.values()
            pool = other._pool
        if cyclic:
            held[0] = [held[0]]
            held[0].append(held[0])
        genuine = pool._assign_requests_to_connections

        def assign_while_it_is_dropped() -> Any:
            lock = pool._optional_thread_lock
            assert getattr(lock, "_lock", lock).locked()  # inside of httpcore's own, where it is that
            held.clear()
            gc.collect()
            return genuine()

        monkeypatch.setattr(pool, "_assign_requests_to_connections", assign_while_it_is_dropped)
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.append(ollama_fast.version(host)), daemon=True)
        asking.start()
        asking.join(GENEROUS)
        assert answers == [{"version": "1"}]
        eventually(lambda: len(server.abandoned) == 1)
