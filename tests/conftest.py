"""For all tests: the colours, an environment that says nothing about Ollama, and which transport serves."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import hypothesis
import pytest

import ollama_fast
from colours import BOTH, EVERY, EVERY_AND_MOCKED, Colour
from ollama_fast._delegation import VARIABLE, forced
from ollama_fast._plan import HERE

hypothesis.settings.register_profile("unhurried", deadline=None)  # a busy machine is not a failure
hypothesis.settings.load_profile("unhurried")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Of a shell that runs this in the background: the programs that tests start would ignore Ctrl-C, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _why_not_fast() -> str | None:
    """Say why the Rust transport does not serve in this run; None if it does."""
    if forced(os.environ):
        return f"it is about the Rust transport, and {VARIABLE} asks for httpx's"
    return None if HERE else "it is about the Rust transport, which has no sockets on this system"


def pytest_report_header() -> str:
    why = _why_not_fast()
    return (
        f"transport: {'the fast path' if why is None else 'that of httpx'} ({VARIABLE}={os.environ.get(VARIABLE, '')})"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the tests marked `fast` where the Rust transport does not serve; leave out those that it never serves."""
    why = _why_not_fast()
    for item in items:
        if why is not None and item.get_closest_marker("fast") is not None:
            item.add_marker(pytest.mark.skip(reason=why))
    if forced(os.environ) and (left_out := [item for item in items if item.get_closest_marker("unsent") is not None]):
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.get_closest_marker("unsent") is None]


@pytest.fixture(params=EVERY, ids=str)
def every(request: pytest.FixtureRequest) -> Colour:
    """Both colours, each in every way that has sockets: through a host, and through clients of a caller's own."""
    colour: Colour = request.param
    return colour


@pytest.fixture(
    params=[
        pytest.param(colour, marks=pytest.mark.mocked if colour.way == "client-mock" else ())
        for colour in EVERY_AND_MOCKED
    ],
    ids=str,
)
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


@pytest.fixture(params=[pytest.param("fast", marks=pytest.mark.fast), "httpx"])
def over(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let calls through a host go over each transport in turn, and say which it is."""
    ollama_fast.close()  # what was made for the other one
    monkeypatch.setenv(VARIABLE, request.param)
    name: str = request.param
    return name


@pytest.fixture(autouse=True)
def no_connections_left() -> Iterator[None]:
    """Close the blocking pools after each test, so that each begins without connections."""
    yield
    ollama_fast.close()
