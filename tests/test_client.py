"""A caller's own httpx client: used as it is, with nothing of ours added."""

from __future__ import annotations

import httpx
import pytest

import ollama_fast
from colours import BOTH, Colour
from ollama_fast import aio
from ollama_fast.errors import ResponseError, TimeoutError, TransportError

pytestmark = pytest.mark.mocked

ANSWER = {"model": "m", "created_at": "", "message": {"role": "assistant", "content": "hi"}, "done": True}


class Recorder:
    """A handler that keeps what it was asked."""

    def __init__(self, response: httpx.Response | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self._response = response

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._response or httpx.Response(200, json=ANSWER)


def test_its_url_headers_and_auth_are_used_and_nothing_is_added(both: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "secret")
    recorder = Recorder()
    client = both.mock(
        recorder,
        base_url="https://ollama.example/prefix",
        headers={"X-Mine": "1", "User-Agent": "mine/1"},
        auth=("ada", "pw"),
        params={"tenant": "7"},
    )
    assert both.whole("chat", client, "m", [{"role": "user", "content": "hi"}]) == ANSWER
    (request,) = recorder.requests
    assert str(request.url) == "https://ollama.example/prefix/api/chat?tenant=7"
    plain = httpx.Client(base_url="https://ollama.example", auth=("ada", "pw"), headers={"User-Agent": "mine/1"})
    expected = {**plain.build_request("POST", "/", json={}).headers, "x-mine": "1"}
    found = dict(request.headers)
    assert found.pop("authorization") == "Basic YWRhOnB3"
    assert found.pop("content-length") == str(len(request.content))
    expected.pop("content-length")
    assert found == expected


def test_its_hooks_see_request_and_response(both: Colour) -> None:
    seen: list[str] = []

    def note(message: httpx.Request | httpx.Response) -> None:
        seen.append(type(message).__name__)

    async def note_later(message: httpx.Request | httpx.Response) -> None:
        note(message)

    hook = note_later if both.asynchronous else note
    client = both.mock(Recorder(), base_url="http://h", event_hooks={"request": [hook], "response": [hook]})
    assert both.parts("chat_stream", client, "m").parts == [ANSWER]
    assert seen == ["Request", "Response"]


def test_one_without_base_url_is_refused_before_any_io(both: Colour) -> None:
    recorder = Recorder()
    with pytest.raises(ValueError, match="no base_url"):
        both.whole("chat", both.mock(recorder), "m")
    with pytest.raises(ValueError, match="no base_url"):
        both.module.chat_stream(both.mock(recorder), "m")
    assert recorder.requests == []


@pytest.mark.parametrize("function", ["chat", "chat_stream"])
def test_one_of_the_other_colour_is_a_type_error_that_names_the_other_module(both: Colour, function: str) -> None:
    other = next(colour for colour in BOTH if colour is not both)
    wrong = other.mock(Recorder(), base_url="http://h")
    with pytest.raises(TypeError, match=f"call the function in {other.module.__name__}$"):
        both.parts(function, wrong, "m") if function.endswith("stream") else both.whole(function, wrong, "m")


@pytest.mark.parametrize("host", [5, b"localhost", object(), {"url": "x"}])
def test_something_else_is_a_type_error_that_says_what_a_host_is(both: Colour, host: object) -> None:
    with pytest.raises(TypeError, match="host must be a Host, a str, an httpx"):
        both.whole("version", host)


def test_ollama_com_is_asked_through_it_too(both: Colour) -> None:
    recorder = Recorder(httpx.Response(200, json={"results": []}))
    assert both.whole("web_search", both.mock(recorder, base_url="http://h"), "x") == {"results": []}
    assert str(recorder.requests[0].url) == "https://ollama.com/api/web_search"


def test_its_own_timeouts_and_failures_become_errors_of_ours(both: Colour) -> None:
    def late(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("", request=request)

    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.UnsupportedProtocol("no such protocol", request=request)

    with pytest.raises(TimeoutError, match=r"POST http://h/api/chat for model 'm': the client's own timeout ran out"):
        both.whole("chat", both.mock(late, base_url="http://h"), "m")
    with pytest.raises(TransportError, match="no such protocol") as caught:
        both.whole("chat", both.mock(broken, base_url="http://h"), "m")
    assert isinstance(caught.value.__cause__, httpx.UnsupportedProtocol)


def test_its_own_rule_for_redirects_counts(both: Colour) -> None:
    def elsewhere(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/version":
            return httpx.Response(307, headers={"Location": "/other"})
        return httpx.Response(200, json={"version": "1"})

    assert both.whole("version", both.mock(elsewhere, base_url="http://h", follow_redirects=True)) == {"version": "1"}
    with pytest.raises(ResponseError, match="redirects to /other"):
        both.whole("version", both.mock(elsewhere, base_url="http://h"))


def test_credentials_in_its_url_are_in_no_message(both: Colour) -> None:
    client = both.mock(Recorder(httpx.Response(500)), base_url="http://ada:secret@h")
    with pytest.raises(ResponseError) as caught:
        both.whole("version", client)
    assert "secret" not in str(caught.value) + str(caught.value.url)


def test_it_is_not_closed(both: Colour) -> None:
    client = both.mock(Recorder(), base_url="http://h")
    both.whole("chat", client, "m")
    ollama_fast.close()
    assert not client.is_closed
    assert aio.chat.__name__ == "chat"
