"""Which secrets go where. No socket: what an exchange would send is looked at."""

from __future__ import annotations

import re
from typing import Any, Final

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_fast import Host, _endpoints
from ollama_fast._exchange import Exchange
from ollama_fast._url import origin
from ollama_fast.errors import AuthenticationError

SIGNS: Final = "/@?#:%.[]h\t \\\u2100\u0660"
PIECES: Final = [*SIGNS, "http:", "https:", "//", "::1", "127.0.0.1", "300", "99999", "80", "xn--", "a" * 64]
LOCATIONS: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.lists(
    st.sampled_from(PIECES), max_size=10
).map("".join)


def sent(host: Any, request: Any = None) -> httpx.Headers:
    exchange = Exchange(host, request or _endpoints.version(), stream=False)
    return exchange.outgoing(exchange.body).headers


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", " the-key ")


@pytest.mark.parametrize(
    "host", ["ollama.com", "https://ollama.com", "localhost", "127.0.0.1:1", "127.8.9.1", "[::1]", "a.localhost", None]
)
def test_the_key_goes_to_ollama_com_and_to_this_machine(host: str | None) -> None:
    assert sent(host)["authorization"] == "Bearer the-key"


@pytest.mark.parametrize(
    "host",
    ["10.0.0.5", "http://ollama.com", "https://ollama.com.evil.example", "https://www.ollama.com", "localhost.evil"],
)
def test_the_key_goes_to_nobody_else(host: str) -> None:
    assert "authorization" not in sent(host)


def test_the_key_goes_to_the_host_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "https://gpu.example/ollama")
    for host in (None, "https://gpu.example", "https://GPU.example:443/other"):
        assert sent(host)["authorization"] == "Bearer the-key"
    for host in ("http://gpu.example", "https://gpu.example:8443"):
        assert "authorization" not in sent(host)


def test_a_host_that_cannot_be_read_from_the_environment_names_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "http://example.com:0")
    assert "authorization" not in sent("example.com")


def test_auth_given_by_name_wins() -> None:
    assert sent(Host("10.0.0.5", auth="mine"))["authorization"] == "Bearer mine"
    assert sent(Host("localhost", auth=("ada", "pw")))["authorization"] == "Basic YWRhOnB3"
    assert sent("http://ada:p%40w@10.0.0.5")["authorization"] == "Basic YWRhOnBAdw=="
    assert sent(Host("localhost", headers={"authorization": "Custom x"}))["authorization"] == "Custom x"


def test_a_search_takes_the_key_to_ollama_com_and_nothing_of_the_host() -> None:
    host = Host("10.0.0.5", headers={"X-Secret": "1"}, auth="mine")
    exchange = Exchange(host, _endpoints.web_search("x"), stream=False)
    request = exchange.outgoing(exchange.body)
    assert str(request.url) == "https://ollama.com/api/web_search"
    assert request.headers["authorization"] == "Bearer the-key"
    assert "x-secret" not in request.headers
    cloud = Host("ollama.com", headers={"X-Secret": "1"}, auth="mine")
    assert sent(cloud, _endpoints.web_search("x"))["authorization"] == "Bearer mine"
    assert sent(cloud, _endpoints.web_search("x"))["x-secret"] == "1"
    local = Exchange(host, _endpoints.web_search("x", via_server=True), stream=False)
    assert local.url == "http://10.0.0.5:11434/api/experimental/web_search"
    assert local.outgoing(local.body).headers["authorization"] == "Bearer mine"


def test_a_401_says_that_a_key_was_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    def text(host: Any) -> str:
        exchange = Exchange(host, _endpoints.version(), stream=False)
        error = exchange.error(httpx.Response(401), b'{"error": "unauthorized"}')
        assert type(error) is AuthenticationError
        return str(error)

    assert "OLLAMA_API_KEY was not sent" in text("10.0.0.5")
    assert "the-key" not in text("10.0.0.5")
    assert "OLLAMA_API_KEY" not in text("localhost")
    assert "OLLAMA_API_KEY" not in text(Host("10.0.0.5", auth="mine"))
    assert "OLLAMA_API_KEY" not in text(Host("10.0.0.5", headers={"Authorization": "mine"}))
    monkeypatch.delenv("OLLAMA_API_KEY")
    assert "OLLAMA_API_KEY" not in text("10.0.0.5")


@pytest.mark.parametrize(
    ("location", "kept"),
    [
        ("/elsewhere", True),
        ("http://127.0.0.1:11434/elsewhere", True),
        ("http://127.0.0.1:9/x", False),
        ("https://127.0.0.1:11434/x", False),
        ("//other.example/x", False),
    ],
)
def test_secrets_stay_at_their_origin_when_redirected(location: str, *, kept: bool) -> None:
    exchange = Exchange(Host(headers={"X-Secret": "1"}, auth="mine"), _endpoints.show("m"), stream=False)
    exchange.outgoing(exchange.body)
    assert exchange.goes_on(httpx.Response(307, headers={"Location": location}))
    onward = exchange.outgoing(exchange.body)
    assert ("authorization" in onward.headers, "x-secret" in onward.headers) == (kept, kept)
    assert (onward.method, onward.content) == ("POST", exchange.body)


@settings(max_examples=100)
@given(location=LOCATIONS, base=st.sampled_from(["http://127.0.0.1:11434", "http://h:1/ollama", "https://[::1]"]))
def test_any_location_leads_somewhere_or_nowhere(location: str, base: str) -> None:
    exchange = Exchange(Host(base, auth="mine"), _endpoints.show("m"), stream=False)
    exchange.outgoing(exchange.body)
    if not exchange.goes_on(httpx.Response(307, headers=[(b"Location", location.encode())])):
        return
    onward = exchange.outgoing(exchange.body)
    name = onward.url.raw_host.decode("ascii")
    assert name
    assert max(map(len, name.split("."))) < 64
    assert 0 < (onward.url.port or 1) < 65536
    assert not onward.url.userinfo
    assert not re.search(r"[?#\\]", exchange.context.url)
    assert exchange.context.url.startswith(f"{base.partition(':')[0]}://") or base.startswith("http:")
    assert ("authorization" in onward.headers) is (origin(str(onward.url)) == origin(exchange.host.url))


@pytest.mark.parametrize(
    ("method", "status", "follows"),
    [("POST", 301, False), ("POST", 302, False), ("POST", 303, False), ("POST", 308, True), ("GET", 301, True)],
)
def test_a_redirect_that_loses_the_body_is_not_followed(method: str, status: int, *, follows: bool) -> None:
    request: Any = _endpoints.show("m") if method == "POST" else _endpoints.version()
    exchange = Exchange(None, request, stream=False)
    exchange.outgoing(exchange.body)
    assert exchange.goes_on(httpx.Response(status, headers={"Location": "/x"})) is follows


def test_what_is_encrypted_is_never_sent_in_the_clear() -> None:
    exchange = Exchange("https://ollama.example", _endpoints.show("m"), stream=False)
    exchange.outgoing(b"")
    assert not exchange.goes_on(httpx.Response(308, headers={"Location": "http://ollama.example/api/show"}))
    assert exchange.goes_on(httpx.Response(308, headers={"Location": "https://other.example/api/show"}))


@pytest.mark.parametrize("auth", ["geheim\r\nX: y", "geheim\0", "gehe\u00efm"])
def test_a_secret_that_cannot_be_sent_is_refused_and_not_shown(auth: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="auth holds") as caught:
        Host(auth=auth)
    assert "gehe" not in str(caught.value)
    if "\0" not in auth:
        monkeypatch.setenv("OLLAMA_API_KEY", auth)
        with pytest.raises(ValueError, match="OLLAMA_API_KEY holds") as caught:
            sent(None)
        assert "gehe" not in str(caught.value)


def test_redirects_end_after_five_and_never_leave_http() -> None:
    exchange = Exchange(None, _endpoints.version(), stream=False)
    exchange.outgoing(b"")
    assert not exchange.goes_on(httpx.Response(307, headers={"Location": "file:///etc/passwd"}))
    assert not exchange.goes_on(httpx.Response(307))
    assert [exchange.goes_on(httpx.Response(307, headers={"Location": "/"})) for _ in range(6)] == [True] * 5 + [False]
