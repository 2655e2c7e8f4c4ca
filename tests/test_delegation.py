"""What is left to httpx's own transport: where tools replaced something, where a proxy is, where it is asked for."""

from __future__ import annotations

import itertools
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from delegation_cases import TOOLS, program
from ollama_fast._delegation import forced, patched, transports_patched
from ollama_fast._routes import Routes
from ollama_fast.errors import HostError

# --- what tools replace ----------------------------------------------------------------------------------------------


def run(text: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", text],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stderr}"


@pytest.mark.parametrize("late", [False, True], ids=["before our import", "after our use"])
@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_is_noticed_while_it_is_active(name: str, late: bool, tmp_path: Path) -> None:
    run(program(TOOLS[name], late=late), tmp_path)


def test_pytest_httpx_is_noticed(request: pytest.FixtureRequest) -> None:
    assert not patched()
    request.getfixturevalue("httpx_mock")
    assert transports_patched()


@pytest.mark.parametrize(
    "harmless",
    [
        "import gevent, gevent.socket",
        "import eventlet, eventlet.green.socket",
        "import respx, vcr, pytest_socket, socks",
        "import ollama_fast, httpx, socket\nclass Mine(httpx.HTTPTransport):\n handle_request = None",
        "import httpx\nhttpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200)))",
    ],
)
def test_nothing_is_noticed_where_nothing_is_replaced(harmless: str, tmp_path: Path) -> None:
    look = "from ollama_fast._delegation import patched as p\nassert not p()\nimport httpx, httpcore\nassert not p()"
    run(f"{harmless}\n{look}", tmp_path)


def test_looking_imports_nothing(tmp_path: Path) -> None:
    run(
        "import sys; from ollama_fast import _delegation\nbefore = set(sys.modules)\n_delegation.patched()\n"
        "assert set(sys.modules) == before and not {'httpx', 'httpcore'} & before",
        tmp_path,
    )


# --- which proxy serves a URL ----------------------------------------------------------------------------------------

PROXIES: list[dict[str, str]] = [
    {"HTTP_PROXY": "http://one:1"},
    {"http_proxy": "one:1", "HTTPS_PROXY": "https://two:2"},
    {"ALL_PROXY": "http://user:word@three:3"},
    {"all_proxy": "three", "https_proxy": "http://two:2", "HTTP_PROXY": ""},
    {"HTTP_PROXY": "http://one:1", "REQUEST_METHOD": "GET"},
    {"http_proxy": "http://one:1", "REQUEST_METHOD": "GET", "TRAVIS_APT_PROXY": "http://four:4"},
    {},
]
EXCEPTIONS = [
    "",
    "*",
    "example.com",
    ".example.com",
    "*.example.com",
    "EXAMPLE.com,other.org",
    "example.com:8080",
    "www.example.com, *",
    " localhost , 127.0.0.1 ",
    "LOCALHOST",
    "192.168.0.0/16",
    "192.168.0.1:8080",
    "::1",
    "[::1]",
    "fd00::1/64",
    "http://example.com",
    "https://",
    "http://",
    "all://www.example.com:8080,http://example.com:80",
    "ample.com,com",
    "bücher.example",
    ".",
    "example.com.",
    "a b",
    "exa_mple.com,,",
]
URLS = [
    "http://example.com",
    "https://example.com/path",
    "http://www.example.com:8080",
    "https://www.example.com:8443",
    "http://wwwexample.com",
    "http://EXAMPLE.com:80",
    "http://example.com.",
    "https://other.org",
    "http://localhost:11434",
    "http://sub.localhost",
    "http://127.0.0.1:11434",
    "http://192.168.0.1:8080",
    "http://192.168.0.0",
    "http://[::1]:11434",
    "http://[fd00::1]",
    "http://bücher.example",
]
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading them takes 20 ms a time


def origin(proxy: Any) -> str | None:
    if proxy is None:
        return None
    url = (proxy if isinstance(proxy, httpx.Proxy) else httpx.Proxy(proxy)).url
    return f"{url.scheme}://{url.host}:{url.port}"


def chosen_by_httpx(client: httpx.Client, url: str) -> str | None:
    transport: Any = client._transport_for_url(httpx.URL(url))
    if transport is client._transport:
        return None
    proxy = transport._pool._proxy_url
    return f"{proxy.scheme.decode()}://{proxy.host.decode()}:{proxy.port}"


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize("exceptions", EXCEPTIONS)
def test_proxies_are_those_that_httpx_chooses(exceptions: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for proxies in PROXIES:
        with monkeypatch.context() as patch:
            for key, value in {**proxies, name: exceptions}.items():
                patch.setenv(key, value)
            try:
                client = httpx.Client(verify=NO_CERTIFICATES)
            except httpx.InvalidURL:
                with pytest.raises(httpx.InvalidURL):
                    Routes.of(None, trust_env=True)
                continue
            routes = Routes.of(None, trust_env=True)
            with client:
                expected = {url: chosen_by_httpx(client, url) for url in URLS}
        assert {url: origin(routes.proxy_for(url)) for url in URLS} == expected, proxies
        assert {url: origin(routes.proxy_for(httpx.URL(url))) for url in URLS} == expected, proxies


def test_a_proxy_that_is_given_is_for_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://one:1")
    monkeypatch.setenv("NO_PROXY", "*")
    given = httpx.Proxy("http://mine:1", auth=("user", "word"))
    for trust_env, url in itertools.product((True, False), URLS):
        assert Routes.of(given, trust_env=trust_env).proxy_for(url) is given


def test_without_proxies_there_are_no_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Routes.of(None, trust_env=True) == Routes()
    monkeypatch.setenv("HTTP_PROXY", "http://one:1")
    assert Routes.of(None, trust_env=False) == Routes()
    assert Routes().proxy_for("http://example.com") is None
    assert Routes().rules == ()


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://one:1")
    routes = Routes.of(None, trust_env=True)
    monkeypatch.delenv("HTTP_PROXY")
    assert routes.proxy_for("http://example.com") == "http://one:1"


@pytest.mark.parametrize("proxy", ["gopher://one:1", "http://one:x"])
def test_a_proxy_that_cannot_be_used_is_an_error_at_once(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises((ValueError, httpx.InvalidURL)):
        Routes.of(proxy, trust_env=False)
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises((ValueError, httpx.InvalidURL)):
        Routes.of(None, trust_env=True)


# --- what is asked for -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "expected"), [(None, False), ("", False), ("fast", False), ("httpx", True)])
def test_the_environment_can_ask_for_httpx(text: str | None, expected: bool) -> None:
    assert forced({} if text is None else {"OLLAMA_FAST_TRANSPORT": text}) is expected


@pytest.mark.parametrize("text", ["HTTPX", "1", " ", "slow"])
def test_an_unknown_wish_is_an_error(text: str) -> None:
    with pytest.raises(HostError, match=r"OLLAMA_FAST_TRANSPORT.*'fast', 'httpx'") as caught:
        forced({"OLLAMA_FAST_TRANSPORT": text})
    assert repr(text) in str(caught.value)
