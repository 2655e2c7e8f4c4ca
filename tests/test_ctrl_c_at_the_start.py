"""Ctrl-C while something is just being made or started: it stays Ctrl-C, and nothing goes on behind it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ollama_fast
from ollama_fast import aio
from replay import Received, replay
from transports import eventually


def silent(request: Received) -> Iterator[bytes | float]:
    if request.method == "HEAD":
        yield b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    yield 60.0


def interrupted(start: Callable[[Any], None], number: int, *, before: bool) -> Callable[[Any], None]:
    """Give what starts threads as *start* does, but for the one of that *number*: there Ctrl-C comes."""
    started: list[Any] = []

    def interrupted_start(self: threading.Thread) -> None:
        ours = self.name == "ollama_fast"
        if ours:
            started.append(self)
        if ours and len(started) == number and before:
            raise KeyboardInterrupt
        start(self)
        if ours and len(started) == number:
            raise KeyboardInterrupt

    return interrupted_start


def ours() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ollama_fast"]


@pytest.mark.parametrize("before", [True, False], ids=["before it runs", "when it runs"])
@pytest.mark.usefixtures("over")
def test_many_inputs_whose_threads_are_being_started_end(monkeypatch: pytest.MonkeyPatch, *, before: bool) -> None:
    monkeypatch.setattr(threading.Thread, "start", interrupted(threading.Thread.start, 2, before=before))
    with replay(respond=silent) as server:
        with pytest.raises(KeyboardInterrupt):
            list(ollama_fast.embed_many(server.url, "m", ["a"] * 9, batch_size=1))
        assert ours() == []


@pytest.mark.usefixtures("over")
def test_an_upload_whose_thread_is_being_started_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF" + bytes(1 << 20))
    monkeypatch.setattr(threading.Thread, "start", interrupted(threading.Thread.start, 1, before=False))
    with replay(respond=silent) as server:
        stream = ollama_fast.create_stream(server.url, "m", files={"m.gguf": file})
        with pytest.raises(KeyboardInterrupt):
            list(stream)
        eventually(lambda: ours() == [])


@pytest.mark.parametrize("kind", [ollama_fast.Stream, aio.Stream], ids=["blocking", "asyncio"])
def test_a_stream_that_was_not_made_is_dropped_without_a_word(kind: Any) -> None:
    kind.__new__(kind).__del__()
