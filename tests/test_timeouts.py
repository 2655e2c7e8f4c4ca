"""Every limit raises a TimeoutError that names it. The limits are short; what is waited for never comes."""

from __future__ import annotations

import builtins
from collections.abc import Iterator

import pytest

from colours import Colour
from ollama_fast import Host, Limits, Timeout
from ollama_fast.errors import TimeoutError
from replay import Received, replay

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
PART = b'{"model":"m","created_at":"","message":{"role":"assistant","content":"Hel"},"done":false}\n'
STALL = 5.0


def silent(_request: Received) -> Iterator[bytes | float]:
    yield STALL


def silent_after_a_part(_request: Received) -> Iterator[bytes | float]:
    yield HEAD + b"%x\r\n%s\r\n" % (len(PART), PART)
    yield STALL


def test_no_first_part(both: Colour) -> None:
    with replay(respond=silent) as server:
        host = Host(server.url, timeout=Timeout(first_part=0.2))
        for seen in (both.attempt("chat", host, "m"), both.attempt("version", host)):
            assert type(seen.error) is TimeoutError
            assert isinstance(seen.error, builtins.TimeoutError)
            assert "no answer within 0.2 s (Timeout.first_part)" in str(seen.error)


def test_no_further_part(both: Colour) -> None:
    with replay(respond=silent_after_a_part) as server:
        host = Host(server.url, timeout=Timeout(first_part=30, idle=0.2))
        seen = both.parts("chat_stream", host, "m")
        assert len(seen.parts) == 1
        assert type(seen.error) is TimeoutError
        assert "no further part within 0.2 s (Timeout.idle)" in str(seen.error)
        assert seen.partial == seen.error.partial == seen.parts[0]


def test_no_free_connection() -> None:
    import ollama_fast

    with replay(respond=silent_after_a_part) as server:
        host = Host(server.url, timeout=Timeout(connect=0.2), limits=Limits(max_connections=1))
        with ollama_fast.chat_stream(host, "m") as stream:
            next(stream)
            with pytest.raises(TimeoutError, match=r"none of the 1 connections became free within 0.2 s"):
                ollama_fast.version(host)


def test_a_number_is_every_limit_and_none_is_no_limit() -> None:
    assert Host(timeout=3).timeout == Timeout(3, 3, 3)
    assert Host(timeout=None).timeout == Timeout(None, None, None)
    assert Host().with_options(timeout=7).timeout == Timeout(7, 7, 7)


@pytest.mark.parametrize(("function", "idle"), [("generate", 120), ("chat", 120), ("pull", None), ("push", None)])
def test_each_endpoint_has_its_own_idle_limit(function: str, idle: float | None) -> None:
    from ollama_fast import _endpoints

    assert getattr(_endpoints, function)("m").idle == idle
