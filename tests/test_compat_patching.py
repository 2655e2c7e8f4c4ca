"""
Tools that replace parts of httpx see and answer what goes through `ollama_fast.compat`, as with the genuine package.

The genuine one is the first parameter of each test, so that no test asks for what it does not do itself.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeAlias

import httpx
import pytest
import respx
import vcr  # type: ignore[import-untyped]
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from replay import Received, ReplayServer, replay

MESSAGES: Final = [{"role": "user", "content": "Hi!"}]

Module: TypeAlias = Any
Say: TypeAlias = Callable[[], str]
"""Chats once, and gives the text of the answer."""


def answer(text: str, *, streamed: bool) -> bytes:
    """Give a chat's answer: a line for each letter, or all of it."""
    shape = (
        '{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"%s"},"done":%s}\n'
    )
    pieces = text if streamed else [text]
    lines = [shape % (piece, "false" if streamed else "true") for piece in pieces]
    return "".join([*lines, shape % ("", "true")] if streamed else lines).encode()


def respond(request: Received) -> Iterator[bytes]:
    body = answer("real", streamed=request.json["stream"])
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with replay(respond=respond) as running:
        yield running


@contextmanager
def imported(name: str, host: str) -> Generator[Module]:
    """Import a module anew with *host* as what its functions talk to, and put back what was imported before."""

    def of_module() -> dict[str, ModuleType]:
        return {key: sys.modules.pop(key) for key in list(sys.modules) if (key + ".").startswith(name + ".")}

    before = of_module()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OLLAMA_HOST", host)
        module: Module = importlib.import_module(name)
        assert str(module._client._client.base_url).startswith(host)  # made now, if not before
        try:
            yield module
        finally:
            module._client.close()
            of_module()
            sys.modules.update(before)
            package, _, attribute = name.rpartition(".")
            if name in before and package:
                setattr(sys.modules[package], attribute, before[name])


@pytest.fixture(scope="module", params=["ollama", "ollama_fast.compat"])
def module(request: pytest.FixtureRequest, server: ReplayServer) -> Iterator[Module]:
    name: str = request.param
    if name == "ollama":
        pytest.importorskip(name, reason="the genuine package is in the group `bench`")
    with imported(name, server.url) as found:
        yield found


# --- the calls -------------------------------------------------------------------------------------------------------


@contextmanager
def whole_by_client(module: Module, url: str, **options: Any) -> Generator[Say]:
    with module.Client(url, **options) as client:
        yield lambda: client.chat("m", MESSAGES).message.content


@contextmanager
def stream_by_client(module: Module, url: str, **options: Any) -> Generator[Say]:
    with module.Client(url, **options) as client:
        yield lambda: "".join(part.message.content for part in client.chat("m", MESSAGES, stream=True))


@contextmanager
def whole_by_asyncio_client(module: Module, url: str, **options: Any) -> Generator[Say]:
    client = module.AsyncClient(url, **options)

    async def say() -> str:
        return str((await client.chat("m", MESSAGES)).message.content)

    with asyncio.Runner() as runner:
        yield lambda: runner.run(say())
        runner.run(client.close())


@contextmanager
def stream_by_asyncio_client(module: Module, url: str, **options: Any) -> Generator[Say]:
    client = module.AsyncClient(url, **options)

    async def say() -> str:
        return "".join([part.message.content async for part in await client.chat("m", MESSAGES, stream=True)])

    with asyncio.Runner() as runner:
        yield lambda: runner.run(say())
        runner.run(client.close())


def whole_over_httpx(module: Module, url: str) -> AbstractContextManager[Say]:
    return whole_by_client(module, url, transport=httpx.HTTPTransport())


def stream_over_httpx(module: Module, url: str) -> AbstractContextManager[Say]:
    return stream_by_client(module, url, transport=httpx.HTTPTransport())


def whole_over_asyncio_httpx(module: Module, url: str) -> AbstractContextManager[Say]:
    return whole_by_asyncio_client(module, url, transport=httpx.AsyncHTTPTransport())


def stream_over_asyncio_httpx(module: Module, url: str) -> AbstractContextManager[Say]:
    return stream_by_asyncio_client(module, url, transport=httpx.AsyncHTTPTransport())


@contextmanager
def whole_by_function(module: Module, _url: str) -> Generator[Say]:
    yield lambda: module.chat("m", MESSAGES).message.content


@contextmanager
def stream_by_function(module: Module, _url: str) -> Generator[Say]:
    yield lambda: "".join(part.message.content for part in module.chat("m", MESSAGES, stream=True))


Way: TypeAlias = Callable[[Module, str], AbstractContextManager[Say]]

WAYS: Final[list[Way]] = [
    whole_by_client,
    stream_by_client,
    whole_by_asyncio_client,
    stream_by_asyncio_client,
    whole_over_httpx,
    stream_over_httpx,
    whole_over_asyncio_httpx,
    stream_over_asyncio_httpx,
    whole_by_function,
    stream_by_function,
]


def name(function: Callable[..., Any]) -> str:
    return function.__name__


each_way = pytest.mark.parametrize("way", WAYS, ids=name)
late = pytest.mark.parametrize("late", [False, True], ids=["before a call", "after a call"])


def mocked(way: Way) -> bytes:
    return answer("mock", streamed=way.__name__.startswith("stream"))


# --- mocks -----------------------------------------------------------------------------------------------------------


@contextmanager
def by_respx(url: str, content: bytes, _request: pytest.FixtureRequest) -> Generator[None]:
    with respx.mock as router:
        router.post(f"{url}/api/chat").respond(content=content)
        yield


@contextmanager
def by_respx_in_clients(url: str, content: bytes, _request: pytest.FixtureRequest) -> Generator[None]:
    with respx.MockRouter(using="httpx") as router:
        router.post(f"{url}/api/chat").respond(content=content)
        yield


@contextmanager
def by_pytest_httpx(url: str, content: bytes, request: pytest.FixtureRequest) -> Generator[None]:
    mock = request.getfixturevalue("httpx_mock")
    mock.add_response(url=f"{url}/api/chat", content=content, is_reusable=True)
    yield


@contextmanager
def by_hand(_url: str, content: bytes, _request: pytest.FixtureRequest) -> Generator[None]:
    def send(_client: httpx.Client, request: httpx.Request, **_options: Any) -> httpx.Response:
        return httpx.Response(200, content=content, request=request)

    async def asend(_client: httpx.AsyncClient, request: httpx.Request, **_options: Any) -> httpx.Response:
        return httpx.Response(200, content=content, request=request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.Client, "send", send)
        patch.setattr(httpx.AsyncClient, "send", asend)
        yield


Mock: TypeAlias = Callable[[str, bytes, pytest.FixtureRequest], AbstractContextManager[None]]


@late
@pytest.mark.parametrize("mock", [by_respx, by_respx_in_clients, by_pytest_httpx, by_hand], ids=name)
@each_way
def test_a_mock_answers(
    module: Module, way: Way, mock: Mock, late: bool, server: ReplayServer, request: pytest.FixtureRequest
) -> None:
    with way(module, server.url) as say:
        if late:
            assert say() == "real"
        seen = len(server.requests)
        with mock(server.url, mocked(way), request):
            assert say() == "mock"
            assert len(server.requests) == seen
        if mock is not by_pytest_httpx:  # which is undone after the test
            assert say() == "real"


@late
@each_way
def test_vcrpy_records_and_replays(module: Module, way: Way, late: bool, server: ReplayServer, tmp_path: Path) -> None:
    cassette = str(tmp_path / "cassette.yaml")
    with way(module, server.url) as say:
        if late:
            assert say() == "real"
        seen = len(server.requests)
        for _ in range(2):  # recorded, then replayed
            with vcr.use_cassette(cassette):
                assert say() == "real"
            assert len(server.requests) == seen + 1
        assert say() == "real"
        assert len(server.requests) == seen + 2


@late
@each_way
def test_opentelemetry_sees_a_call(module: Module, way: Way, late: bool, server: ReplayServer) -> None:
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    with way(module, server.url) as say:
        if late:
            assert say() == "real"
        HTTPXClientInstrumentor().instrument(tracer_provider=provider)
        try:
            assert say() == "real"
        finally:
            HTTPXClientInstrumentor().uninstrument()
        (span,) = spans.get_finished_spans()
        assert span.name == "POST"
        assert span.attributes is not None
        assert span.attributes["http.url"] == f"{server.url}/api/chat"
        assert server.requests[-1].header("traceparent") is not None
        assert say() == "real"
        assert server.requests[-1].header("traceparent") is None
        assert len(spans.get_finished_spans()) == 1
