"""What the transports leave to httpx's own: https, proxies, Unix sockets, trio, options of sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextvars import copy_context
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import trio
import trustme
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import ollama_fast
from echo import Echo, serve
from ollama_fast import AsyncTransport, Transport
from ollama_fast._carried import Sending
from ollama_fast._plan import HERE
from ollama_fast._response import CoreResponse
from replay import Received, replay


@pytest.fixture
def echo() -> Iterator[Echo]:
    with serve() as running:
        yield running


def test_what_is_sent_may_be_given_up_in_another_context() -> None:
    """As the garbage collector does with a task that waits."""

    def work() -> Generator[None]:
        with Sending(httpx.Request("GET", "http://ollama")):
            yield

    waiting = work()
    copy_context().run(next, waiting)
    waiting.close()


# --- both colours ----------------------------------------------------------------------------------------------------

Get = Callable[..., httpx.Response]


def blocking(url: str, *, extensions: dict[str, Any] | None = None, **options: Any) -> httpx.Response:
    with httpx.Client(transport=Transport(**options)) as client:
        return client.get(url, extensions=extensions)


async def _get(url: str, *, extensions: dict[str, Any] | None = None, **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=AsyncTransport(**options)) as client:
        return await client.get(url, extensions=extensions)


def by_asyncio(url: str, **options: Any) -> httpx.Response:
    return asyncio.run(_get(url, **options))


each_colour = pytest.mark.parametrize("get", [blocking, by_asyncio], ids=["blocking", "asyncio"])


def by_core(response: httpx.Response) -> bool:
    assert response.status_code == 200
    return isinstance(response, CoreResponse)


@pytest.mark.fast
@each_colour
def test_the_core_does_plain_http(get: Get, echo: Echo) -> None:
    assert by_core(get(echo.url))
    # Encryption is not at stake, and without it httpx speaks HTTP/1.1 also where it may do HTTP/2.
    assert by_core(get(echo.url, http2=True))


# --- proxies ---------------------------------------------------------------------------------------------------------


@pytest.mark.fast
@each_colour
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_serves(
    get: Get, variable: str, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve() as proxy:
        monkeypatch.setenv(variable, proxy.url)
        assert not by_core(get("http://ollama.invalid/a?b=c"))
        assert proxy.lines == ["GET http://ollama.invalid/a?b=c HTTP/1.1"]
        assert by_core(get(echo.url, trust_env=False))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert by_core(get(echo.url))
        assert len(proxy.lines) == 1


@each_colour
def test_a_proxy_that_is_given_serves_in_place_of_others(get: Get, echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as proxy:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("NO_PROXY", "*")
        given = httpx.Proxy(proxy.url, auth=("user", "word"), headers={"X-Proxy": "yes"})
        for each in (given, httpx.URL(proxy.url), proxy.url):
            assert not by_core(get(echo.url, proxy=each))
    assert proxy.lines == [f"GET {echo.url}/ HTTP/1.1"] * 3
    assert proxy.headers[0]["proxy-authorization"] == "Basic dXNlcjp3b3Jk"
    assert proxy.headers[0]["x-proxy"] == "yes"
    assert echo.lines == []


@each_colour
def test_a_proxy_is_asked_for_a_tunnel_to_https(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(httpx.ProxyError, match="502"):
            get("https://ollama.invalid/")
    assert proxy.lines == ["CONNECT ollama.invalid:443 HTTP/1.1"]


@each_colour
def test_a_proxy_that_cannot_be_used_is_an_error_at_once(get: Get) -> None:
    with pytest.raises(ValueError, match="gopher"):
        get("http://127.0.0.1:1", proxy="gopher://127.0.0.1")


# --- other ways to a server ------------------------------------------------------------------------------------------


@each_colour
def test_https_has_its_certificates_checked(get: Get) -> None:
    authority = trustme.CA()
    server_side, client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    authority.configure_trust(client_side)
    with serve(tls=server_side) as echo:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            get(echo.url)
        assert echo.lines == []
        assert not by_core(get(echo.url, verify=client_side))
        assert not by_core(get(echo.url, verify=False))
    assert len(echo.lines) == 2


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")
@each_colour
def test_a_unix_socket_serves(get: Get, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with serve(path=path) as echo:
        assert not by_core(get("http://ollama/api/version", uds=str(path)))
    assert echo.lines == ["GET /api/version HTTP/1.1"]


@each_colour
def test_the_local_address_is_what_was_asked_for(get: Get, echo: Echo) -> None:
    address = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"  # elsewhere there is only one
    assert not by_core(get(echo.url, local_address=address))
    assert echo.peers[0][0] == address


@each_colour
def test_options_of_the_socket_are_set(get: Get, echo: Echo) -> None:
    option = (socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    seen: list[int] = []

    def look(response: httpx.Response) -> None:
        seen.append(response.extensions["network_stream"].get_extra_info("socket").getsockopt(*option))

    if get is blocking:
        with httpx.Client(transport=Transport(socket_options=[(*option, 1)]), event_hooks={"response": [look]}) as one:
            one.get(echo.url)
    else:

        async def run() -> None:
            async def look_too(response: httpx.Response) -> None:
                look(response)

            transport = AsyncTransport(socket_options=[(*option, 1)])
            async with httpx.AsyncClient(transport=transport, event_hooks={"response": [look_too]}) as one:
                await one.get(echo.url)

        asyncio.run(run())
    assert seen == [1]


@each_colour
def test_a_connection_is_tried_again_as_often_as_asked(get: Get, echo: Echo) -> None:
    assert not by_core(get(echo.url, retries=1))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        tries: list[str] = []

        def trace(event: str, _info: Any) -> None:
            tries.append(event)

        async def trace_too(event: str, info: Any) -> None:
            trace(event, info)

        with pytest.raises(httpx.ConnectError):
            get(url, retries=1, extensions={"trace": trace if get is blocking else trace_too})
    assert tries.count("connection.connect_tcp.started") == 2


@each_colour
def test_without_http_1_nothing_is_sent_by_it(get: Get) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        begun: list[bytes] = []

        def accept() -> None:
            connection, _ = listener.accept()
            with connection:
                begun.append(connection.recv(14))

        thread = threading.Thread(target=accept)
        thread.start()
        with pytest.raises(httpx.TransportError):
            get(f"http://127.0.0.1:{listener.getsockname()[1]}", http1=False, http2=True)
        thread.join()
    assert begun == [b"PRI * HTTP/2.0"]


# --- other event loops -----------------------------------------------------------------------------------------------


@pytest.mark.fast
def test_trio_is_served_by_httpx(echo: Echo) -> None:
    assert not by_core(trio.run(_get, echo.url))
    transport = AsyncTransport()

    async def one() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.get(echo.url)

    # One transport, whose loop changes.
    assert not by_core(trio.run(one))
    assert by_core(asyncio.run(one()))
    assert not by_core(trio.run(one))


# --- what is asked for -----------------------------------------------------------------------------------------------


@each_colour
def test_the_environment_can_ask_for_httpx(get: Get, echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_FAST_TRANSPORT", "httpx")
    assert not by_core(get(echo.url))
    monkeypatch.setenv("OLLAMA_FAST_TRANSPORT", "fast")
    assert by_core(get(echo.url))
    monkeypatch.setenv("OLLAMA_FAST_TRANSPORT", "quick")
    with pytest.raises(ollama_fast.errors.HostError, match="OLLAMA_FAST_TRANSPORT"):
        get(echo.url)


@each_colour
def test_a_request_with_a_trace_is_traced(get: Get, echo: Echo) -> None:
    seen: list[str] = []

    def trace(event: str, _info: Any) -> None:
        seen.append(event)

    async def trace_too(event: str, info: Any) -> None:
        trace(event, info)

    get(echo.url, extensions={"trace": trace if get is blocking else trace_too})
    assert "http11.receive_response_headers.complete" in seen


@pytest.mark.fast
@each_colour
def test_one_instrumented_client_is_traced_and_served_by_the_core(get: Get, echo: Echo) -> None:
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))

    def instrument(client: httpx.Client | httpx.AsyncClient) -> None:
        HTTPXClientInstrumentor.instrument_client(client, tracer_provider=provider)

    stop = HTTPXClientInstrumentor.uninstrument_client
    if get is blocking:
        with httpx.Client(transport=Transport()) as client, httpx.Client(transport=Transport()) as other:
            instrument(client)
            assert by_core(client.get(echo.url))
            assert by_core(other.get(echo.url))
            stop(client)
            client.get(echo.url)
    else:

        async def run() -> None:
            async with (
                httpx.AsyncClient(transport=AsyncTransport()) as client,
                httpx.AsyncClient(transport=AsyncTransport()) as other,
            ):
                instrument(client)
                assert by_core(await client.get(echo.url))
                assert by_core(await other.get(echo.url))
                stop(client)
                await client.get(echo.url)

        asyncio.run(run())
    assert len(spans.get_finished_spans()) == 1
    assert ["traceparent" in headers for headers in echo.headers] == [True, False, False]


PORTS: Final = [65536, 123456]


@pytest.mark.fast
@each_colour
@pytest.mark.parametrize("port", PORTS)
def test_a_port_that_cannot_be_is_no_connection(get: Get, port: int) -> None:
    with pytest.raises(httpx.ConnectError):
        get(f"http://127.0.0.1:{port}")


# --- the decoded lines -----------------------------------------------------------------------------------------------


def test_the_lines_are_there_whoever_receives_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def respond(_request: Received) -> Iterator[bytes]:
        yield b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"n":1}\n{"n":2}'

    async def on_a_loop(url: str) -> list[Any]:
        async with httpx.AsyncClient(transport=AsyncTransport()) as client, client.stream("GET", url) as response:
            return [part async for part in response.extensions["ndjson"]]

    with replay(respond=respond) as server:
        for asked in ("fast", "httpx"):
            monkeypatch.setenv("OLLAMA_FAST_TRANSPORT", asked)
            with httpx.Client(transport=Transport()) as client, client.stream("GET", server.url) as response:
                assert by_core(response) is (asked == "fast" and HERE)
                assert list(response.extensions["ndjson"]) == [{"n": 1}, {"n": 2}]
            assert asyncio.run(on_a_loop(server.url)) == [{"n": 1}, {"n": 2}]


def test_what_is_left_to_httpx_works_on_each_loop(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_FAST_TRANSPORT", "httpx")
    transport = AsyncTransport()
    client = httpx.AsyncClient(transport=transport)

    async def get() -> int:
        try:
            return (await client.get(echo.url)).status_code
        finally:
            await transport.aclose()  # of this loop

    assert [asyncio.run(get()) for _ in range(3)] == [200] * 3


@pytest.mark.fast
@each_colour
def test_a_place_that_cannot_be_is_no_connection(get: Get) -> None:
    for url in (f"http://{'a' * 64}.example/", "http://127.0.0.1:0/"):
        with pytest.raises(httpx.ConnectError):
            get(url)
