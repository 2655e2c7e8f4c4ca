"""What concerns a whole process: what its environment asks for, and its audit hooks, which can bar connections."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

import pytest

from echo import Echo, serve


@pytest.fixture
def echo() -> Iterator[Echo]:
    with serve() as running:
        yield running


PROGRAM: Final = """
import asyncio, sys
import ollama_fast
from ollama_fast import aio
url, colour = sys.argv[1:]
def call():
    if colour == "asyncio": return asyncio.run(aio.version(url))
    return ollama_fast.version(url)
"""


def program(text: str, url: str, colour: str, **environ: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + text, url, colour],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"


colours = pytest.mark.parametrize("colour", ["blocking", "asyncio"])


@colours
@pytest.mark.parametrize("asked", ["", "fast", "httpx"])
def test_httpcore_is_loaded_only_where_it_serves(colour: str, asked: str, echo: Echo) -> None:
    text = f"call(); assert ('httpcore' in sys.modules) is {asked == 'httpx'}"
    program(text, echo.url, colour, OLLAMA_FAST_TRANSPORT=asked)
    assert echo.lines == ["GET /api/version HTTP/1.1"]


@colours
def test_an_unknown_wish_is_an_error_of_the_package(colour: str, echo: Echo) -> None:
    text = "try: call()\nexcept ollama_fast.errors.HostError: pass\nelse: raise SystemExit('sent')"
    program(text, echo.url, colour, OLLAMA_FAST_TRANSPORT="slow")
    assert echo.lines == []


@colours
@pytest.mark.parametrize("asked", ["fast", "httpx"])
def test_audit_hooks_hear_of_connections(colour: str, asked: str, echo: Echo) -> None:
    text = """
heard = []
def hook(event, args):
    if event == "socket.connect" and not str(args[1]).startswith("b"): heard.append(("connect", tuple(args[1][:2])))
    if event == "socket.getaddrinfo": heard.append(("look up", args[0], args[1]))
sys.addaudithook(hook)
call()
port = int(url.rpartition(":")[2])
assert ("connect", ("127.0.0.1", port)) in heard, heard
assert any(one[0] == "look up" and one[1] in ("localhost", b"localhost") and one[2] == port for one in heard), heard
"""
    program(text, echo.url.replace("127.0.0.1", "localhost"), colour, OLLAMA_FAST_TRANSPORT=asked)


@pytest.mark.fast  # asyncio makes a group of the exception under httpx
@colours
@pytest.mark.parametrize("event", ["socket.connect", "socket.getaddrinfo"])
def test_an_audit_hook_can_bar_a_connection(colour: str, event: str, echo: Echo) -> None:
    text = f"""
class Barred(Exception): pass
def hook(event, args):
    if event == {event!r}: raise Barred(event)
sys.addaudithook(hook)
try: call()
except Barred: pass
else: raise SystemExit("not barred")
"""
    program(text, echo.url.replace("127.0.0.1", "localhost"), colour)
    assert echo.lines == []
