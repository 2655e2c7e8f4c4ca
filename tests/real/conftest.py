"""The genuine server of the tests in this folder: the user's own, or one that is built and started here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

import ollama_fast
from real import genuine
from real.target import Genuine


@pytest.fixture(scope="session")
def real() -> Iterator[Genuine]:
    """Give the server that OLLAMA_HOST and OLLAMA_MODEL name, else start one with models and a registry."""
    model = os.environ.get("OLLAMA_MODEL")
    if os.environ.get("OLLAMA_HOST") and model:
        url = ollama_fast.Host.from_env().url
        able = ollama_fast.show(url, model).get("capabilities", [])
        print(f"\nreal: the user's server at {url}, model {model}")
        yield Genuine(url, model, model if "tools" in able else None, model if "thinking" in able else None)
        return
    with ExitStack() as stack:
        paths = genuine.build()
        server = stack.enter_context(genuine.server(paths))
        registry = stack.enter_context(genuine.registry())
        genuine.make_models(server, paths)
        print(f"\nreal: a server that was built here, at {server.url}; its registry at {registry.address}")
        yield Genuine(
            server.url,
            genuine.MODEL,
            genuine.MODEL_WITH_TOOLS,
            genuine.MODEL_THAT_THINKS,
            paths.model,
            registry,
            server.log,
        )
