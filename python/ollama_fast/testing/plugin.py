"""The pytest plugin: a fixture with a running server, and nothing that works unasked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ._serving import Server, serve


@pytest.fixture
def ollama_server() -> Iterator[Server]:
    """
    Run a server in place of Ollama, on a free port: pass `ollama_server.url` to what is tested.

    It answers generates and chats with a greeting; set `ollama_server.answer` for other replies and
    `ollama_server.fault` for what should go wrong. `requests`, `connections` and `abandoned` tell what it saw.
    """
    with serve() as server:
        yield server
