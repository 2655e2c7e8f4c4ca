"""Fixtures for all tests: the colours, and an environment that says nothing about Ollama."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

import ollama_fast
from colours import BOTH, EVERY, EVERY_AND_MOCKED, Colour
from ollama_fast._delegation import VARIABLE

hypothesis.settings.register_profile("unhurried", deadline=None)  # a busy machine is not a failure
hypothesis.settings.load_profile("unhurried")


@pytest.fixture(params=EVERY, ids=str)
def every(request: pytest.FixtureRequest) -> Colour:
    """Both colours, each in every way that has sockets: through a host, and through clients of a caller's own."""
    colour: Colour = request.param
    return colour


@pytest.fixture(params=EVERY_AND_MOCKED, ids=str)
def every_or_mocked(request: pytest.FixtureRequest) -> Colour:
    """Both colours, each in every way, without sockets, too: for a test that looks at no connection."""
    colour: Colour = request.param
    return colour


@pytest.fixture(params=BOTH, ids=str)
def both(request: pytest.FixtureRequest) -> Colour:
    """Both colours, through a host."""
    colour: Colour = request.param
    return colour


@pytest.fixture(autouse=True)
def quiet_environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's own Ollama, key and proxies out of the offline tests; the suite runs with each transport."""
    if request.node.get_closest_marker("real") is not None:
        return
    for name in list(os.environ):
        if (name.startswith("OLLAMA_") and name != VARIABLE) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_connections_left() -> Iterator[None]:
    """Close the blocking pools after each test, so that each begins without connections."""
    yield
    ollama_fast.close()
