"""
Tools that replace parts of httpx or of sockets, and a program that asks at each step whether they have.

Some patch a whole process for good, so each case is a process of its own: see `program`.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Tool(NamedTuple):
    """What starts a tool, what undoes it (None if nothing does), and whether httpx's transports are concerned."""

    start: str
    stop: str | None
    transports: bool = True


_OPENTELEMETRY = "from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor as Tool; tool = Tool()"
_REPLACE = "from unittest import mock; import httpx, socket; tool = mock.patch.object({}); tool.start()"
_SUBCLASS = "import httpx; genuine = httpx.Client; httpx.Client = type('Client', (genuine,), {})"
_WRAP = """
import functools, httpx
genuine = httpx.HTTPTransport.handle_request
@functools.wraps(genuine)
def wrapper(self, request): return genuine(self, request)
httpx.HTTPTransport.handle_request = wrapper
"""

TOOLS: Final = {
    "respx": Tool("import respx; tool = respx.mock; tool.start()", "tool.stop()"),
    "respx-httpx": Tool("import respx; tool = respx.MockRouter(using='httpx'); tool.start()", "tool.stop()", False),
    "vcrpy": Tool("import vcr; tool = vcr.use_cassette('c.yaml'); tool.__enter__()", "tool.__exit__(None, None, None)"),
    "opentelemetry": Tool(f"{_OPENTELEMETRY}; tool.instrument()", "tool.uninstrument()"),
    "pytest-socket": Tool("import pytest_socket as tool; tool.disable_socket()", "tool.enable_socket()"),
    "pytest-socket-hosts": Tool(
        "import pytest_socket as tool; tool.socket_allow_hosts(['192.0.2.1'])", "tool._remove_restrictions()"
    ),
    "PySocks": Tool(
        "import socket, socks; old = socket.socket; socket.socket = socks.socksocket", "socket.socket = old"
    ),
    "gevent": Tool("import gevent.monkey; gevent.monkey.patch_all()", None),
    "gevent-socket": Tool("import gevent.monkey; gevent.monkey.patch_socket()", None),
    "eventlet": Tool("import eventlet; eventlet.monkey_patch()", None),
    # What other tools do, and people by hand.
    "send": Tool(_REPLACE.format("httpx.Client, 'send'"), "tool.stop()", False),
    "asyncio send": Tool(_REPLACE.format("httpx.AsyncClient, 'send'"), "tool.stop()", False),
    "single": Tool(_REPLACE.format("httpx.Client, '_send_single_request', autospec=True"), "tool.stop()", False),
    "subclass": Tool(_SUBCLASS, "httpx.Client = genuine", False),
    "client's beginning": Tool(_REPLACE.format("httpx.Client, '__init__', lambda *a, **k: None"), "tool.stop()", False),
    "transport": Tool(_REPLACE.format("httpx, 'HTTPTransport'"), "tool.stop()"),
    "pool's class": Tool("import httpcore; " + _REPLACE.format("httpcore, 'ConnectionPool'"), "tool.stop()"),
    "wraps": Tool(_WRAP, "httpx.HTTPTransport.handle_request = genuine"),
    "pool": Tool(
        "import httpcore; " + _REPLACE.format("httpcore.AsyncConnectionPool, 'handle_async_request'"), "tool.stop()"
    ),
    "getaddrinfo": Tool(_REPLACE.format("socket, 'getaddrinfo', lambda *a, **k: []"), "tool.stop()"),
    "create_connection": Tool(_REPLACE.format("socket, 'create_connection', autospec=True"), "tool.stop()"),
    "connect": Tool(_REPLACE.format("socket.socket, 'connect', lambda *a: None"), "tool.stop()"),
    "no sockets": Tool("import socket; old = socket.socket; del socket.socket", "socket.socket = old"),
}


def program(tool: Tool, *, late: bool) -> str:
    """Give a program that starts *tool* before the package is imported, or after it was used."""
    look = """
def look(clients, transports):
    for _ in range(2):
        found = delegation.patched(), delegation.transports_patched()
        assert found == (clients, transports), found
"""
    use = f"import ollama_fast; from ollama_fast import _delegation as delegation\n{look}"
    begin = f"{use}\nimport httpx, socket\nlook(False, False)\n{tool.start}" if late else f"{tool.start}\n{use}"
    again = "" if tool.stop is None else f"{tool.stop}\nlook(False, False)\n"
    if tool.stop is not None and "del socket" not in tool.start:
        again += f"{tool.start}\nlook(True, {tool.transports})\n"
    return f"{begin}\nlook(True, {tool.transports})\n{again}"
