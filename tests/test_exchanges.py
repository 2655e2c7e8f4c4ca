"""Every recorded exchange in every colour: the same request goes out, and what came back is what the bytes say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from colours import Colour, Seen
from exchange import Exchange, load_all
from ollama_fast import errors
from ollama_fast.testing._recording import body_of
from replay import replay

ROOT = Path(__file__).parent.parent
WITHOUT_JSON = ("copy", "delete", "signout")
TO_OLLAMA_COM = ("/api/web_search", "/api/web_fetch")
"""Asked over TLS: test_credentials.py and test_client.py look at these without a socket."""
ASKED_BEFORE = {"create_blob": "has_blob_before_upload", "create_blob_mismatch": "has_blob_before_mismatch"}
"""Exchanges of calls that make two requests, and the exchange of the first."""

RECORDED = load_all()
NEWER = {
    name: exchange
    for name, exchange in load_all(ROOT / "tests" / "newer").items()
    if exchange.response.status < 300 and exchange.request.path not in TO_OLLAMA_COM
}


def decoded(exchange: Exchange) -> Any:
    """Give the answer as the standard library reads it."""
    function = exchange.call.function
    if function in WITHOUT_JSON:
        return None
    if function == "create_blob":
        return exchange.request.path.rpartition("/")[2]
    if function == "has_blob":
        return exchange.response.status == 200
    if function == "is_running":
        return exchange.body == b"Ollama is running"
    return json.loads(exchange.body)


def lines(exchange: Exchange) -> list[Any]:
    return [json.loads(line) for line in exchange.body.split(b"\n") if line.strip()]


def error_of(exchange: Exchange) -> str | None:
    """Give the error that the bytes stand for."""
    status = exchange.response.status
    if status >= 300 and not (exchange.call.function == "has_blob" and status == 404):
        if status == 404 and exchange.body.startswith(b"{"):
            return "ModelNotFoundError"
        return "ResponseError"
    if exchange.call.function.endswith("_stream") and "error" in lines(exchange)[-1]:
        return "ResponseError"
    return None


def call(colour: Colour, exchange: Exchange, url: str) -> Seen:
    function, kwargs = exchange.call.function, exchange.call.kwargs
    if function.endswith("_stream"):
        return colour.parts(function, url, **kwargs)
    return colour.attempt(function, url, **kwargs)


@pytest.mark.parametrize("name", [*RECORDED, *NEWER])
def test_an_exchange_gives_what_its_bytes_say(
    every_or_mocked: Colour, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)  # files that were uploaded are named from there
    exchange = RECORDED.get(name) or NEWER[name]
    before = [RECORDED[ASKED_BEFORE[name]]] if name in ASKED_BEFORE else []
    hand_made = exchange.server == "hand-made"
    with replay([*before, exchange], pace="fast", strict=not hand_made) as server:
        seen = call(every_or_mocked, exchange, server.url)
        *_, received = server.requests
    if not hand_made:
        assert body_of(received) == exchange.request.body
    assert (received.method, received.path) == (exchange.request.method, exchange.request.path)
    expected_error = error_of(exchange)
    assert type(seen.error).__name__ == (expected_error or "NoneType"), seen.error
    if exchange.call.function.endswith("_stream") and exchange.response.status < 300:
        found = lines(exchange)
        assert seen.parts == (found[:-1] if expected_error else found)
    elif expected_error is None:
        assert seen.parts == [decoded(exchange)]
    else:
        assert isinstance(seen.error, errors.ResponseError)
        assert seen.error.status == exchange.response.status
        assert seen.error.message in exchange.body.decode() or json.loads(exchange.body)["error"] == seen.error.message


def test_every_endpoint_that_the_genuine_server_has_is_recorded() -> None:
    surface = json.loads((ROOT / "tests" / "api-surface.json").read_text())
    recorded = {
        (exchange.request.method, exchange.request.path.partition("sha256:")[0]) for exchange in RECORDED.values()
    }
    elsewhere = {"signout_legacy", "web_search", "web_fetch", "web_search_local", "web_fetch_local"}
    wanted = {
        (endpoint["method"], endpoint["path"].partition(":digest")[0])
        for endpoint in surface["endpoints"]
        if endpoint["name"] not in elsewhere
    }
    assert wanted - recorded == set()
