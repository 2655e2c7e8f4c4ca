"""Every way to leave an answer ends its generation on a genuine Ollama server, as the server's own log tells."""

from __future__ import annotations

import inspect
import re
import time
import warnings
from pathlib import Path
from typing import Any, Final

import pytest

import ollama_fast
from leaving import Place, ways_of
from ollama_fast import Host, aio
from ollama_fast._delegation import VARIABLE
from real.target import Genuine
from transports import BLOCKING, LOOPS, Kind, eventually

pytestmark = pytest.mark.real

OPTIONS: Final = {"num_predict": 3000, "temperature": 0, "num_ctx": 4096}
STORY: Final = [{"role": "user", "content": "Write a story that never ends. Once upon a time"}]
SECONDS: Final = 30.0
"""A generation that is not stopped takes longer than this; one that is, ends at once."""


def chats(log: Path) -> list[float]:
    """Give how long each chat took, in seconds, as the server's log tells."""
    units = {"ms": 1e-3, "s": 1.0, "m": 60.0, "µs": 1e-6}
    shown = re.findall(r"\| +([\dmsµ.]+) \|[^|]+\| POST +\"/api/chat\"", log.read_text("utf-8", "replace"))
    each = (re.findall(r"([\d.]+)(ms|µs|m|s)", text) for text in shown)
    return [sum(float(number) * units[unit] for number, unit in pieces) for pieces in each]


@pytest.mark.parametrize("transport", ["fast", "httpx"])
@pytest.mark.parametrize(
    ("kind", "way"),
    [
        pytest.param(kind, way, id=f"{kind}-{way.__name__}")
        for kind in (BLOCKING, LOOPS[0])
        for way in ways_of(kind)
        if "head" not in way.__name__ and "enters" not in way.__name__  # it comes too soon; but see the whole calls
    ],
)
def test_leaving_ends_the_generation(
    kind: Kind, way: Any, transport: str, real: Genuine, monkeypatch: pytest.MonkeyPatch
) -> None:
    real.need("log")
    log = real.log
    assert log is not None
    monkeypatch.setenv(VARIABLE, transport)
    ollama_fast.chat(real.url, real.model, [], options={"num_ctx": 4096})  # loads the model
    ollama_fast.close()
    host, before, began = Host(real.url), len(chats(log)), time.monotonic()
    talks = {"model": real.model, "messages": STORY, "options": OPTIONS}
    # Of a whole answer no head comes before its end. The model, which is loaded, begins in less than half a second.
    place = Place(host, talks, talks, lambda: time.monotonic() > began + 0.5, kind)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if inspect.iscoroutinefunction(way):
                place.run(way(place))
            else:
                way(place)
            left = time.monotonic()
            if kind.factory is None:
                ollama_fast.version(host)
            else:
                place.run(aio.version(host))  # during which the loop closes what was abandoned
    finally:
        place.end()
    eventually(lambda: len(chats(log)) > before, SECONDS)
    taken = chats(log)[before:]
    print(f"\n{way.__name__}: in the server's log {time.monotonic() - left:.2f} s later, after {taken} s in all")
    assert len(taken) == 1
