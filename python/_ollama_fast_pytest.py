"""
The pytest plugin: a fixture with a running server, and nothing that works unasked.

Every run of pytest loads it where the package is installed. So it is outside of the package, whose import takes a
hundred times longer, and loads that when the fixture is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ollama_fast.testing import Server


@pytest.fixture
def ollama_server() -> Iterator[Server]:
    """
    Run a server in place of Ollama, on a free port: pass `ollama_server.url` to what is tested.

    It answers generates and chats with a greeting; set `ollama_server.answer` for other replies and
    `ollama_server.fault` for what should go wrong. `requests`, `connections` and `abandoned` tell what it saw.
    """
    from ollama_fast.testing import serve

    with serve() as server:
        yield server
