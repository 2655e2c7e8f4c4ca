"""What no healthy server sends, in every colour: the parts before the fault come first, then the right error."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ollama_fast
from colours import EVERY_AND_MOCKED, Colour, Seen
from exchange import Exchange, load
from ollama_fast import errors
from ollama_fast._stream import SOON
from ollama_fast.errors import OllamaError
from replay import HangUpError, Received, ReplayServer, Respond, replay

HERE = Path(__file__).parent
FILES = sorted([*HERE.glob("faults/*.json"), *HERE.glob("newer/*.json")])


def expectations(how: str) -> list[Any]:
    """Give each hand-made exchange with what is expected of it when called `stream` or `whole`."""
    found = []
    for file in FILES:
        expected = json.loads(file.read_text())["expect"]
        if how in expected:
            found.append(pytest.param(load(file), expected[how], id=file.stem))
    return found


def content(partial: dict[str, Any] | None) -> str | None:
    return partial["message"]["content"] if partial and "message" in partial else None


def check(seen: Seen, expected: dict[str, Any], exchange: Exchange, url: str) -> None:
    assert len(seen.parts) == expected["parts"]
    assert content(seen.partial) == expected.get("content")
    error = seen.error
    assert type(error).__name__ == expected.get("error", "NoneType"), error
    if error is None:
        return
    assert isinstance(error, OllamaError)
    request = exchange.request
    for fact in (request.method, f"{url}{request.path}", repr("m"), expected["says"]):
        assert fact in str(error)
    assert (error.method, error.url, error.model) == (request.method, f"{url}{request.path}", "m")
    assert error.partial == seen.partial
    if "status" in expected:
        assert isinstance(error, errors.ResponseError)
        assert error.status == expected["status"]
    if "signin_url" in expected:
        assert isinstance(error, errors.AuthenticationError)
        assert error.signin_url == expected["signin_url"]


@pytest.mark.parametrize(("exchange", "expected"), expectations("stream"))
def test_a_stream_gives_what_came_and_then_the_error(
    every_or_mocked: Colour, exchange: Exchange, expected: dict[str, Any]
) -> None:
    with replay([exchange], pace="fast", strict=False) as server:
        call = exchange.call
        seen = every_or_mocked.parts(f"{call.function}_stream", server.url, **call.kwargs)
        check(seen, expected, exchange, server.url)


@pytest.mark.parametrize(("exchange", "expected"), expectations("whole"))
def test_a_whole_call_raises_the_same_error(
    every_or_mocked: Colour, exchange: Exchange, expected: dict[str, Any]
) -> None:
    with replay([exchange], pace="fast", strict=False) as server:
        seen = every_or_mocked.attempt(exchange.call.function, server.url, **exchange.call.kwargs)
        check(seen, expected, exchange, server.url)


# --- faults of the connection ----------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
PART = b'{"model":"m","created_at":"","message":{"role":"assistant","content":"Hel"},"done":false}\n'
LAST = b'{"model":"m","created_at":"","message":{"role":"assistant","content":"lo"},"done":true}\n'


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


CUTS = {
    # name: (bytes sent before the server closes, parts that arrive, the error)
    "nothing": (b"", 0, errors.TransportError),
    "half a head": (HEAD[:20], 0, errors.TransportError),
    "no part": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", 0, errors.IncompleteStreamError),
    "a part": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(PART), 1, errors.IncompleteStreamError),
    "half a chunk": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(PART) + chunk(PART)[:20],
        1,
        errors.IncompleteStreamError,
    ),
    "a length": (HEAD + b"Content-Length: 1000\r\n\r\n" + PART, 1, errors.IncompleteStreamError),
    "no length": (HEAD + b"Connection: close\r\n\r\n" + PART, 1, errors.IncompleteStreamError),
    "garbage": (b"\x15\x03\x01\x00\x02\x02\x46", 0, errors.TransportError),
    # Whoever has the last part has the answer, whatever becomes of the connection.
    "behind the last part": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(PART) + chunk(LAST), 2, None),
}


def hang_up_behind(sent: bytes, *, reset: bool) -> Respond:
    def respond(_request: Received) -> Iterator[bytes | float]:
        yield sent
        if reset:
            yield 0.02  # so that what was sent is read before
        raise HangUpError(reset=reset)

    return respond


closed_or_broken = pytest.mark.parametrize("reset", [False, True], ids=["closed", "broken"])


@closed_or_broken
@pytest.mark.parametrize(("sent", "parts", "error"), CUTS.values(), ids=CUTS)
def test_a_cut_connection_is_told_from_a_finished_answer(
    every_or_mocked: Colour, sent: bytes, parts: int, error: type[OllamaError] | None, reset: bool
) -> None:
    with replay(respond=hang_up_behind(sent, reset=reset)) as server:
        seen = every_or_mocked.parts("chat_stream", server.url, "m")
        assert len(seen.parts) == parts
        assert type(seen.error) is (error or type(None)), seen.error
        if parts:
            assert (seen.partial or {})["message"]["content"] == ("Hello" if error is None else "Hel")


@pytest.mark.parametrize(
    "odd",
    [
        b'{"message":{"role":"assistant","content":[{"type":"text","text":"lo"}]},"done":true}\n',
        b'{"message":{"role":"assistant","content":"lo","thinking":5},"done":true}\n',
        b'{"message":{"role":"assistant","content":"lo","tool_calls":{"f":{}}},"done":true}\n',
        b'{"message":{"role":"assistant","content":"lo"},"logprobs":"abc","done":true}\n',
    ],
    ids=["content", "thinking", "tool calls", "logprobs"],
)
def test_what_cannot_be_merged_is_refused_and_leaves_nothing_in_the_answer(every_or_mocked: Colour, odd: bytes) -> None:
    def respond(request: Received) -> Iterator[bytes]:
        body = PART + odd if request.json["stream"] else odd
        yield HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)

    with replay(respond=respond) as server:
        seen = every_or_mocked.parts("chat_stream", server.url, "m")
        assert seen.parts == [json.loads(PART)]
        assert type(seen.error) is errors.DecodeError
        assert seen.error.partial == seen.partial == json.loads(PART)
        assert type(every_or_mocked.attempt("chat", server.url, "m").error) is errors.DecodeError


@pytest.mark.parametrize(
    "looks", [{"done_reason": "stop"}, {"status": "success"}, {"done": "false"}, {"_debug_info": None}], ids=str
)
def test_what_only_looks_like_the_last_part_ends_nothing(every_or_mocked: Colour, looks: dict[str, Any]) -> None:
    early = {**json.loads(PART), **looks}

    def respond(_request: Received) -> Iterator[bytes | float]:
        yield HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(json.dumps(early).encode() + b"\n")
        yield 2 * SOON
        yield chunk(LAST) + chunk(b"")

    with replay(respond=respond) as server:
        seen = every_or_mocked.parts("chat_stream", server.url, "m")
    assert (seen.parts, seen.error) == ([early, json.loads(LAST)], None)


@pytest.mark.parametrize("cut", [b"", b'{"model":"m",'], ids=["no body", "half a body"])
def test_a_whole_answer_that_is_cut_is_incomplete(every_or_mocked: Colour, cut: bytes) -> None:
    def respond(_request: Received) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 200\r\n\r\n" + cut
        raise HangUpError

    with replay(respond=respond) as server:
        seen = every_or_mocked.attempt("chat", server.url, "m")
        assert type(seen.error) is errors.IncompleteStreamError


def test_a_refused_connection_is_a_connect_error_that_names_the_url(every_or_mocked: Colour) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        for seen in (every_or_mocked.attempt("chat", url, "m"), every_or_mocked.attempt("embed", url, "m", "x")):
            assert type(seen.error) is errors.ConnectError
            assert isinstance(seen.error, ConnectionError)
            assert f"{url}/api/" in str(seen.error)
        assert every_or_mocked.whole("is_running", url) is False


def test_after_every_fault_the_next_call_succeeds(every_or_mocked: Colour) -> None:
    answers = iter([b"", CUTS["half a chunk"][0], None, b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", None])
    good = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(LAST), LAST)

    def respond(_request: Received) -> Iterator[bytes]:
        answer = next(answers)
        yield good if answer is None else answer
        if answer is not None and b"Length: 0" not in answer:
            raise HangUpError

    with replay(respond=respond) as server:
        found = [type(every_or_mocked.parts("chat_stream", server.url, "m").error).__name__ for _ in range(5)]
    assert found == ["TransportError", "IncompleteStreamError", "NoneType", "ResponseError", "NoneType"]


# --- no caller can tell which way was taken --------------------------------------------------------------------------


def told(seen: Seen) -> tuple[Any, ...]:
    """Give all that a caller is told, except what a transport says in words of its own, which is the error's cause."""
    error = seen.error
    if error is None:
        return seen.parts, seen.partial
    cause = error.__cause__
    words = str(error).replace(str(cause) or type(cause).__name__, "...")
    facts = error.method, error.url, error.model, getattr(error, "status", None), error.partial
    return seen.parts, seen.partial, type(error), type(cause), words, facts


def ways(function: str, server: ReplayServer, **kwargs: Any) -> dict[str, tuple[Any, ...]]:
    """Give what a caller is told, for each way."""
    found: dict[str, tuple[Any, ...]] = {}
    for colour in EVERY_AND_MOCKED:
        call = colour.parts if function.endswith("_stream") else colour.attempt
        found[str(colour)] = told(call(function, server.url, **kwargs))
    return found


# Without those that go to ollama.com whatever the host is: a machine may have no way there, and each way its own words.
HERE_ANSWERED = [file for file in FILES if not file.stem.startswith("web_")]


@pytest.mark.parametrize("exchange", [pytest.param(load(file), id=file.stem) for file in HERE_ANSWERED])
def test_every_way_tells_the_same_of_an_answer(exchange: Exchange) -> None:
    function = exchange.call.function
    functions = [name for name in (function, f"{function}_stream") if hasattr(ollama_fast, name)]
    with replay([exchange], pace="fast", strict=False) as server:
        for name in functions:
            found = ways(name, server, **exchange.call.kwargs)
            assert all(each == found["blocking-host"] for each in found.values()), found


@closed_or_broken
@pytest.mark.parametrize("function", ["chat", "chat_stream"])
@pytest.mark.parametrize("name", CUTS)
def test_every_way_tells_the_same_of_a_fault(name: str, function: str, reset: bool) -> None:
    with replay(respond=hang_up_behind(CUTS[name][0], reset=reset)) as server:
        found = ways(function, server, model="m")
        assert all(each == found["blocking-host"] for each in found.values()), found
