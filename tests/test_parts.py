"""Chunks of bytes to the parts of an answer, and how a stream can end, without sockets."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from by_hand import CHAT, GENERATE, LAST, PULL, body_id, context_of, part, received, whole
from ollama_fast import _endpoints, errors
from ollama_fast._request import Parts, Request, answer


def odd_id(value: Any) -> str:
    return repr(value) if isinstance(value, dict) else ""


# --- the end of an answer --------------------------------------------------------------------------------------------

ENDS = [
    (GENERATE, b'{"response":"a","done":true}', True),
    (GENERATE, b'{"response":"a","done_reason":"stop"}', True),
    (GENERATE, b'{"response":"a","done":false,"done_reason":"stop"}', False),
    (GENERATE, b'{"response":"a","done":"true"}', False),
    (GENERATE, b'{"response":"","done":false,"_debug_info":{"rendered_template":"t"}}', True),
    (GENERATE, b'{"response":"a","done":false}', False),
    (GENERATE, b'{"response":"a"}', False),
    (CHAT, b'{"message":{"role":"","content":""},"done":false,"_debug_info":{"rendered_template":"t"}}', True),
    (CHAT, b'{"message":{"role":"assistant","content":""},"done":true,"done_reason":"load"}', True),
    (CHAT, b'{"message":{"role":"assistant","content":"a"},"done":false}', False),
    (PULL, b'{"status":"success"}', True),
    (PULL, b'{"status":"pulling manifest"}', False),
]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"", b"\n\n \n"])
@pytest.mark.parametrize(("request_", "body", "complete"), ENDS, ids=body_id)
def test_an_answer_without_its_last_part_is_incomplete(
    request_: Request[Any], body: bytes, complete: bool, newline: bytes
) -> None:
    expected = json.loads(body)
    parts, error = received(request_, [body + newline])
    assert parts == [expected]
    if complete:
        assert error is None
        assert answer(request_, context_of(request_), 200, body + newline) == expected
    else:
        for found in (error, whole(request_, 200, body + newline)):
            assert type(found) is errors.IncompleteStreamError
            assert found.partial == expected
            assert "'llama3'" in str(found)


@pytest.mark.parametrize(
    ("chunks", "partial", "said"),
    [
        ([], None, "nothing came"),
        ([b"\n"], None, "nothing came"),
        ([part("a")], "a", "before its last part"),
        ([part("a"), part("b")[:-5]], "a", "inside a line"),
        ([part("a"), b'{"respo'], "a", "inside a line"),
        ([b"{"], None, "inside a line"),
    ],
)
def test_an_incomplete_stream_says_how_it_ended(chunks: list[bytes], partial: str | None, said: str) -> None:
    _, error = received(GENERATE, chunks)
    assert type(error) is errors.IncompleteStreamError
    assert (error.partial and error.partial["response"]) == partial
    assert said in str(error)


def test_parts_after_the_last_one_are_parts_too() -> None:
    parts, error = received(GENERATE, [part("a") + LAST + LAST])
    assert (len(parts), error) == (3, None)


def test_what_does_not_stream_has_no_parts() -> None:
    with pytest.raises(TypeError, match="/api/show"):
        Parts(_endpoints.show("m"), context_of(CHAT))


# --- lines of another shape -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [b"5", b"null", b"[]", b'"text"', b"{}", b'{"status":"x"}', b"<html>", b"[1]]"])
def test_a_malformed_line_is_a_decode_error_and_keeps_what_came(line: bytes) -> None:
    parts, error = received(GENERATE, [part("a") + part("b") + line + b"\n" + part("c")])
    assert [found["response"] for found in parts] == ["a", "b"]
    assert type(error) is errors.DecodeError
    assert error.partial is not None
    assert error.partial["response"] == "ab"
    for text in ("POST", "http://h:1/api/generate", "'llama3'", line.decode()[:10]):
        assert text in str(error)


WRONG = [
    (GENERATE, {"response": "a", "done": True, "tool_calls": 5}),
    (CHAT, {"message": "text", "done": True}),
    (CHAT, {"message": None, "done": True}),
    (CHAT, {"message": [], "done": True}),
    (CHAT, {"message": {"role": "assistant", "content": "a", "tool_calls": 5}, "done": True}),
    (CHAT, {"message": {"role": "assistant", "content": "a"}, "logprobs": 5, "done": True}),
]


@pytest.mark.parametrize(("request_", "line"), WRONG, ids=odd_id)
def test_a_line_of_another_shape_is_a_decode_error_that_shows_it_once(request_: Request[Any], line: Any) -> None:
    parts, error = received(request_, [json.dumps(line).encode() + b"\n"])
    assert parts == []
    assert type(error) is errors.DecodeError
    assert str(error).count(request_.path) == 1
    assert json.dumps(line) in str(error)
    assert error.partial is None


@pytest.mark.parametrize("message", [None, "text", 5, []], ids=repr)
def test_a_whole_answer_without_a_message_is_a_decode_error_too(message: Any) -> None:
    body = json.dumps({"message": message, "done": True}).encode()
    assert type(whole(CHAT, 200, body)) is errors.DecodeError


ODD = [
    (GENERATE, {"response": 5}),
    (GENERATE, {"response": None}),
    (GENERATE, {"response": "a", "thinking": None}),
    (GENERATE, {"response": "a", "thinking": 5}),
    (CHAT, {"message": {"role": "assistant", "content": None}}),
    (CHAT, {"message": {"role": "assistant", "content": ["x"]}}),
    (CHAT, {"message": {"role": "assistant", "content": "a", "thinking": None}}),
    (CHAT, {"message": {"role": "assistant"}}),
    (PULL, {"status": 5}),
]


@pytest.mark.parametrize(("request_", "line"), ODD, ids=odd_id)
def test_odd_values_never_hide_the_error_that_ends_a_stream(request_: Request[Any], line: Any) -> None:
    odd = json.dumps(line).encode() + b"\n"
    assert type(received(request_, [odd, b"malformed\n"])[1]) is errors.DecodeError
    assert type(received(request_, [odd])[1]) in {errors.DecodeError, errors.IncompleteStreamError}


# --- any cutting -----------------------------------------------------------------------------------------------------

PIECES = st.lists(
    st.one_of(
        st.text(max_size=5).map(part),
        st.sampled_from([b"\n", b"\r\n", LAST, LAST.strip(), b"bad\n", b"5\n", b"{", b'{"error":"boom"}\n', b"\xff\n"]),
        st.text(max_size=5).map(lambda text: part("", thinking=text, logprobs=[{"token": text, "logprob": -1}])),
    ),
    max_size=6,
).map(b"".join)


def told(outcome: tuple[list[Any], errors.OllamaError | None]) -> tuple[list[Any], Any]:
    parts, error = outcome
    return parts, error and (type(error), str(error), error.__dict__)


@given(PIECES, st.lists(st.integers(min_value=0), max_size=8))
@example(part("é\u0085\u2028") + LAST, [60, 61, 62])
def test_any_cutting_gives_the_same_parts_and_the_same_error(body: bytes, places: list[int]) -> None:
    expected = told(received(GENERATE, [body]))
    bounds = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    assert told(received(GENERATE, [body[begin:end] for begin, end in pairwise(bounds)])) == expected
    assert told(received(GENERATE, [body[at : at + 1] for at in range(len(body))])) == expected
