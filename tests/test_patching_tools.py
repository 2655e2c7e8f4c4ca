"""Tools that replace parts of httpx or of sockets have their way: they see, answer, bar and yield as with httpx."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_socket
import respx
import vcr  # type: ignore[import-untyped]
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import ollama_fast
from ollama_fast import aio
from replay import Received, ReplayServer, replay
from transports import GENEROUS

public: Any = ollama_fast


def line(text: str) -> bytes:
    return b'{"model":"m","created_at":"","response":"%s","done":true}\n' % text.encode()


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    def respond(_request: Received) -> Iterator[bytes]:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s"
        yield head % (len(line("real")), line("real"))

    with replay(respond=respond) as running:
        yield running


# --- the calls -------------------------------------------------------------------------------------------------------


def whole_by_client(url: str) -> str:
    with httpx.Client(transport=public.Transport()) as client:
        return str(client.post(f"{url}/api/generate", json={"model": "m"}).json()["response"])


def stream_by_client(url: str) -> str:
    with (
        httpx.Client(base_url=url, transport=public.Transport()) as client,
        ollama_fast.generate_stream(client, "m", "Hi!") as stream,
    ):
        return "".join(part["response"] for part in stream)


def stream_by_asyncio_client(url: str) -> str:
    async def run() -> str:
        async with (
            httpx.AsyncClient(base_url=url, transport=public.AsyncTransport()) as client,
            aio.generate_stream(client, "m", "Hi!") as stream,
        ):
            return "".join([part["response"] async for part in stream])

    return asyncio.run(run())


def whole(url: str) -> str:
    return ollama_fast.generate(url, "m", "Hi!")["response"]


def stream(url: str) -> str:
    with ollama_fast.generate_stream(url, "m", "Hi!") as parts:
        return "".join(part["response"] for part in parts)


def whole_by_asyncio(url: str) -> str:
    async def run() -> str:
        return (await aio.generate(url, "m", "Hi!"))["response"]

    return asyncio.run(run())


def stream_by_asyncio(url: str) -> str:
    async def run() -> str:
        async with aio.generate_stream(url, "m", "Hi!") as parts:
            return "".join([part["response"] async for part in parts])

    return asyncio.run(run())


Call: TypeAlias = Callable[[str], str]

CALLS: Final[list[Call]] = [
    whole_by_client,
    stream_by_client,
    stream_by_asyncio_client,
    whole,
    stream,
    whole_by_asyncio,
    stream_by_asyncio,
]


def name(function: Callable[..., Any]) -> str:
    return function.__name__


each_call = pytest.mark.parametrize("call", CALLS, ids=name)
late = pytest.mark.parametrize("late", [False, True], ids=["before a call", "after a call"])


# --- mocks -----------------------------------------------------------------------------------------------------------


@contextmanager
def by_respx(url: str, _request: pytest.FixtureRequest) -> Generator[None]:
    with respx.mock as router:
        router.post(f"{url}/api/generate").respond(content=line("mock"))
        yield


@contextmanager
def by_respx_in_clients(url: str, _request: pytest.FixtureRequest) -> Generator[None]:
    with respx.MockRouter(using="httpx") as router:
        router.post(f"{url}/api/generate").respond(content=line("mock"))
        yield


@contextmanager
def by_pytest_httpx(url: str, request: pytest.FixtureRequest) -> Generator[None]:
    mock = request.getfixturevalue("httpx_mock")
    mock.add_response(url=f"{url}/api/generate", content=line("mock"), is_reusable=True)
    yield


@contextmanager
def by_hand(_url: str, request: pytest.FixtureRequest) -> Generator[None]:
    def send(_client: httpx.Client, request: httpx.Request, **_options: Any) -> httpx.Response:
        return httpx.Response(200, content=line("mock"), request=request)

    async def asend(_client: httpx.AsyncClient, request: httpx.Request, **_options: Any) -> httpx.Response:
        return httpx.Response(200, content=line("mock"), request=request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.Client, "send", send)
        patch.setattr(httpx.AsyncClient, "send", asend)
        yield


MOCKS: Final[list[Callable[[str, pytest.FixtureRequest], AbstractContextManager[None]]]] = [
    by_respx,
    by_respx_in_clients,
    by_pytest_httpx,
    by_hand,
]


@late
@pytest.mark.parametrize("mock", MOCKS, ids=name)
@each_call
def test_a_mock_answers(
    call: Call,
    mock: Callable[[str, pytest.FixtureRequest], AbstractContextManager[None]],
    late: bool,
    server: ReplayServer,
    request: pytest.FixtureRequest,
) -> None:
    if late:
        assert call(server.url) == "real"
    with mock(server.url, request):
        assert call(server.url) == "mock"
        assert len(server.requests) == late
    if mock is not by_pytest_httpx:  # which is undone after the test
        assert call(server.url) == "real"


@late
@each_call
def test_vcrpy_records_and_replays(call: Call, late: bool, server: ReplayServer, tmp_path: Path) -> None:
    if late:
        call(server.url)
    cassette = str(tmp_path / "cassette.yaml")
    for _ in range(2):  # recorded, then replayed
        with vcr.use_cassette(cassette):
            assert call(server.url) == "real"
        assert len(server.requests) == 1 + late
    assert call(server.url) == "real"
    assert len(server.requests) == 2 + late


@late
@each_call
def test_opentelemetry_sees_a_call(call: Call, late: bool, server: ReplayServer) -> None:
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    if late:
        call(server.url)
    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    try:
        assert call(server.url) == "real"
    finally:
        HTTPXClientInstrumentor().uninstrument()
    assert [span.name for span in spans.get_finished_spans()] == ["POST"]
    assert any(name == "traceparent" for name, _ in server.requests[-1].headers)
    call(server.url)
    assert len(spans.get_finished_spans()) == 1


# --- sockets ---------------------------------------------------------------------------------------------------------


@late
@each_call
def test_pytest_socket_bars_a_host(call: Call, late: bool, server: ReplayServer) -> None:
    if late:
        call(server.url)
        ollama_fast.close()
    pytest_socket.socket_allow_hosts(["192.0.2.1"])
    seen = len(server.requests)
    try:
        with (
            pytest.warns(UserWarning, match="tried to use socket"),
            pytest.raises((pytest_socket.SocketConnectBlockedError, ExceptionGroup), match=r"tried to use|TaskGroup"),
        ):  # asyncio's way to connect makes it a group
            call(server.url)
    finally:
        pytest_socket._remove_restrictions()
    assert len(server.requests) == seen
    assert call(server.url) == "real"


@late
@pytest.mark.parametrize("call", [whole_by_client, stream_by_client, whole, stream], ids=name)
def test_who_connects_to_names_himself_gets_the_name(
    call: Call, late: bool, server: ReplayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, asked, genuine = urlsplit(server.url), list[Any](), socket.create_connection

    def tunnel(address: tuple[str, int], *rest: Any, **options: Any) -> socket.socket:
        asked.append(address)
        return genuine((str(place.hostname), int(str(place.port))), *rest, **options)

    if late:
        call(server.url)
    monkeypatch.setattr(socket, "create_connection", tunnel)
    assert call(f"http://known-at-the-far-end.invalid:{place.port}") == "real"
    assert asked == [("known-at-the-far-end.invalid", place.port)]


USE = """
import sys
import time
import ollama_fast
url = sys.argv[1]
def call(_=None): return ollama_fast.generate(url, "m", "Hi!")["response"]
def together(map): assert list(map(call, range(5))) == ["together"] * 5
"""
PROCESSES: Final = {
    "gevent": ("from gevent import monkey; monkey.patch_all()", "from gevent.pool import Pool; together(Pool(5).map)"),
    # Without trio, which cannot be imported under eventlet; httpcore would.
    "eventlet": (
        "import sys; sys.modules['trio'] = None; import eventlet; eventlet.monkey_patch()",
        "together(eventlet.GreenPool(5).imap)",
    ),
    "pytest-socket": (
        "import pytest_socket; pytest_socket.disable_socket()",
        "try: call()\nexcept pytest_socket.SocketBlockedError: pass\nelse: raise SystemExit('not barred')",
    ),
    "PySocks": (
        "import socket, socks; socks.set_default_proxy(socks.SOCKS5, '127.0.0.1', 1); socket.socket = socks.socksocket",
        "try: call()\nexcept ollama_fast.errors.ConnectError: pass\nelse: raise SystemExit('sent without the proxy')",
    ),
}


@late
@pytest.mark.parametrize("tool", PROCESSES)
def test_a_tool_for_a_whole_process_has_its_way(tool: str, late: bool) -> None:
    start, then = PROCESSES[tool]

    came: list[Received] = []

    def respond(request: Received) -> Iterator[bytes | float]:
        came.append(request)
        said = "alone"
        if len(came) > late:  # each waits for all of them
            until = time.monotonic() + GENEROUS
            while len(came) < late + 5 and time.monotonic() < until:
                yield 0.01
            said = "together" if len(came) == late + 5 else "one waited for another"
        yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(line(said)), line(said))

    # Closed before the tool starts, because what it does not see made is none of its business.
    program = f"{USE}\ncall(); ollama_fast.close()\n{start}\n{then}" if late else f"{start}\n{USE}\n{then}"
    with replay(respond=respond) as server:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program, server.url],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, f"{program}\n{done.stdout}{done.stderr}"
    assert len(came) == late + (5 if tool in ("gevent", "eventlet") else 0)
