"""What a stream remembers of its parts: merged, they are what the whole call would have given."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_fast._memory import Chatted, Generated, Memory, Newest, is_last

HEAD = {"model": "m", "created_at": "t"}
METRICS = {"total_duration": 5, "eval_count": 2, "eval_duration": 4}
DONE: Any = {"done": True, "done_reason": "stop", **METRICS}
LIKELY = [{"token": "a", "logprob": -0.5, "top_logprobs": []}, {"token": "b", "logprob": -1}]


def call(name: str) -> dict[str, Any]:
    return {"id": f"call_{name}", "function": {"index": 0, "name": name, "arguments": {"x": 1}}}


def text(response: str, **more: Any) -> dict[str, Any]:
    return {**HEAD, "response": response, "done": False, **more}


def says(content: str, *, message: Any = None, **more: Any) -> dict[str, Any]:
    return {**HEAD, "message": {"role": "assistant", "content": content, **(message or {})}, "done": False, **more}


GENERATED: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
    ([text("a")], text("a")),
    ([text("a"), text("b"), text("", **DONE)], text("ab", **DONE)),
    ([text("a"), text("b", **DONE)], text("ab", **DONE)),
    ([text("", thinking="x"), text("", thinking="y"), text("a"), text("", **DONE)], text("a", thinking="xy", **DONE)),
    ([text("a", thinking="x"), text("b", **DONE)], text("ab", thinking="x", **DONE)),
    ([text("a"), text("", tool_calls=[call("f")], **DONE)], text("a", tool_calls=[call("f")], **DONE)),
    (
        [text("", tool_calls=[call("f")]), text("", tool_calls=[call("g"), call("h")]), text("", **DONE)],
        text("", tool_calls=[call("f"), call("g"), call("h")], **DONE),
    ),
    (
        [text("a", logprobs=LIKELY[:1]), text("", logprobs=LIKELY[1:]), text("", **DONE)],
        text("a", logprobs=LIKELY, **DONE),
    ),
    ([text("a", logprobs=None, tool_calls=None), text("b")], text("ab")),
    ([text("a"), text("", context=[1, 2], **DONE)], text("a", context=[1, 2], **DONE)),
    ([text("a", remote_model="r"), text("b", remote_model="r", new="key")], text("ab", remote_model="r", new="key")),
    ([text("", _debug_info={"rendered_template": "t"})], text("", _debug_info={"rendered_template": "t"})),
    ([{"response": "a"}, {"response": "b", "done": True}], {"response": "ab", "done": True}),
    ([{"response": "a", "thinking": "x"}, {"response": "b"}], {"response": "ab", "thinking": "x"}),
    (
        [{"model": "m", "response": "a", "thinking": "x", "done": False}, text("b")],
        text("ab", thinking="x"),
    ),
]

CHATTED: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
    ([says("a")], says("a")),
    ([says("a"), says("b"), says("", **DONE)], says("ab", **DONE)),
    ([says("a"), says("b", **DONE)], says("ab", **DONE)),
    (
        [says("", message={"thinking": "x"}), says("", message={"thinking": "y"}), says("a", **DONE)],
        says("a", message={"thinking": "xy"}, **DONE),
    ),
    (
        [says("a"), says("b", message={"thinking": "x", "tool_calls": [call("f")]}, **DONE)],
        says("ab", message={"thinking": "x", "tool_calls": [call("f")]}, **DONE),
    ),
    (
        [
            says("", message={"tool_calls": [call("f")]}),
            says("", message={"tool_calls": [call("g")]}),
            says("", **DONE),
        ],
        says("", message={"tool_calls": [call("f"), call("g")]}, **DONE),
    ),
    (
        [says("a", logprobs=LIKELY[:1]), says("b", logprobs=LIKELY[1:]), says("", **DONE)],
        says("ab", logprobs=LIKELY, **DONE),
    ),
    ([says("", logprobs=LIKELY), says("a", **DONE)], says("a", logprobs=LIKELY, **DONE)),
    ([says("a", message={"tool_calls": None}, logprobs=None), says("b", **DONE)], says("ab", **DONE)),
    (
        [{"message": {"role": "assistant", "content": "a", "thinking": "x"}}, says("b")],
        says("ab", message={"thinking": "x"}),
    ),
    ([{"message": {"content": "a"}}, {"message": {"content": "b"}}], {"message": {"content": "ab"}}),
    (
        [
            {"message": {"role": "assistant", "content": "a"}, "logprobs": LIKELY, "done": False, "model": "m"},
            says("b"),
        ],
        says("ab", logprobs=LIKELY),
    ),
]


def merged(memory: Memory, parts: list[dict[str, Any]]) -> dict[str, Any] | None:
    for part in parts:
        memory.add(part)
    return memory.merged()


@pytest.mark.parametrize(("parts", "expected"), GENERATED)
def test_parts_of_generate_merge_into_the_whole(parts: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    assert merged(Generated(), parts) == expected


@pytest.mark.parametrize(("parts", "expected"), CHATTED)
def test_parts_of_chat_merge_into_the_whole(parts: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    assert merged(Chatted(), parts) == expected


def test_the_keys_of_a_merged_answer_stand_in_the_order_of_the_last_part() -> None:
    answer = merged(Generated(), [text("a"), text("b", **DONE)])
    assert list(answer or ()) == ["model", "created_at", "response", "done", "done_reason", *METRICS]


def test_progress_is_its_newest_part_and_the_newest_of_each_digest() -> None:
    one = {"status": "pulling 1", "digest": "sha256:1", "total": 5}
    two = {"status": "pulling 2", "digest": "sha256:2", "total": 7}
    parts: list[dict[str, Any]] = [{"status": "pulling manifest"}, one, two, {**one, "completed": 5}]
    assert merged(Newest(), parts[:1]) == {"status": "pulling manifest"}
    layers = {"sha256:1": {**one, "completed": 5}, "sha256:2": two}
    assert merged(Newest(), parts) == {**one, "completed": 5, "layers": layers}
    assert merged(Newest(), [*parts, {"status": "success"}]) == {"status": "success", "layers": layers}


def test_the_whole_of_progress_is_what_a_call_without_parts_gives() -> None:
    memory = Newest()
    memory.add({"status": "pulling 1", "digest": "sha256:1", "total": 5})
    memory.add({"status": "success"})
    assert memory.whole() == {"status": "success"}
    assert memory.count == 2


def test_what_is_given_of_progress_is_a_copy() -> None:
    memory = Newest()
    memory.add({"status": "pulling 1", "digest": "sha256:1", "total": 5})
    given = memory.merged() or {}
    given["layers"]["sha256:1"]["total"] = 6
    given["total"] = 6
    assert memory.merged() == {
        "status": "pulling 1",
        "digest": "sha256:1",
        "total": 5,
        "layers": {"sha256:1": {"status": "pulling 1", "digest": "sha256:1", "total": 5}},
    }


@pytest.mark.parametrize("digest", [[], {}, {"a": 1}])
def test_a_digest_that_is_no_key_is_another_shape(digest: Any) -> None:
    with pytest.raises(KeyError):
        Newest().add({"status": "pulling", "digest": digest})


@pytest.mark.parametrize("kind", [Generated, Chatted, Newest])
def test_nothing_came_is_none(kind: type[Memory]) -> None:
    assert kind().merged() is None
    assert kind().last is None


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        (
            Generated,
            [text("a", thinking="x", tool_calls=[call("f")]), text("b", tool_calls=[call("g")], logprobs=LIKELY)],
        ),
        (Chatted, [says("a", message={"tool_calls": [call("f")]}), says("b", message={"tool_calls": [call("g")]})]),
        (Newest, [{"status": "a"}, {"status": "b"}]),
    ],
)
def test_merging_changes_no_part_and_can_be_done_again(kind: type[Memory], parts: list[dict[str, Any]]) -> None:
    before = deepcopy(parts)
    memory = kind()
    first = merged(memory, parts)
    assert parts == before
    assert memory.last is parts[-1]
    assert memory.merged() == first
    assert first is not parts[-1]
    for key in ("tool_calls", "logprobs"):
        if first is not None and key in first:
            first[key].append("more")
            assert memory.merged() != first
    assert parts == before


# Text that is none, and calls or logprobs that are no list: merged, something of them would be lost.
ODD: list[dict[str, Any]] = [
    *({"thinking": value} for value in (5, 0, True, ["a"], [], {"text": "a"})),
    *({key: value} for key in ("tool_calls", "logprobs") for value in (5, True, "abc", {"a": 1})),
]


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        (Generated, {}),
        (Generated, {"status": "x"}),
        (Generated, []),
        (Generated, None),
        (Generated, "response"),
        (Chatted, {}),
        (Chatted, {"message": None}),
        (Chatted, {"message": "content"}),
        (Chatted, {"message": {}}),
        *((Generated, {"response": "a", "done": True, **odd}) for odd in ODD),
        *((Generated, {"response": odd["thinking"]}) for odd in ODD if "thinking" in odd),
        *((Chatted, {"message": {"content": "a", "role": "assistant", **odd}, **odd, "done": True}) for odd in ODD),
        *((Chatted, {"message": {"content": odd["thinking"]}}) for odd in ODD if "thinking" in odd),
        (Newest, {}),
        (Newest, 5),
        (Newest, "status"),
    ],
)
def test_a_part_of_another_shape_is_refused(kind: type[Memory], part: Any) -> None:
    memory = kind()
    with pytest.raises((KeyError, TypeError, AttributeError)):
        memory.add(part)
    assert memory.last is None
    first: dict[str, Any] = {"status": "a", "response": "a", "message": {"content": "a", "thinking": "b"}}
    memory.add(first)
    with pytest.raises((KeyError, TypeError, AttributeError)):
        memory.add(part)
    assert memory.last is first
    assert memory.count == 1
    assert memory.merged() == first


@given(st.lists(st.tuples(st.text(), st.text(), st.lists(st.integers(), max_size=2)), min_size=1))
def test_everything_adds_up(pieces: list[tuple[str, str, list[int]]]) -> None:
    expected: dict[str, Any] = {"response": "".join(piece for piece, _, _ in pieces)}
    thinking = "".join(thought for _, thought, _ in pieces)
    calls: list[Any] = [call for _, _, several in pieces for call in several]
    rare = {key: value for key, value in (("thinking", thinking), ("tool_calls", calls)) if value}
    answer = merged(
        Generated(),
        [
            {"response": piece}
            | ({"thinking": thought} if thought else {})
            | ({"tool_calls": several} if several else {})
            for piece, thought, several in pieces
        ],
    )
    assert answer == expected | rare
    said = merged(
        Chatted(),
        [
            {
                "message": {"role": "assistant", "content": piece}
                | ({"thinking": thought} if thought else {})
                | ({"tool_calls": several} if several else {})
            }
            for piece, thought, several in pieces
        ],
    )
    assert said == {"message": {"role": "assistant", "content": expected["response"]} | rare}


NO_BOOLS: list[Any] = ["false", "true", 1, [0], {}]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (None, False),
        ({}, False),
        (text("a"), False),
        (text("a", done=True), True),
        (text("a", done_reason="stop"), False),
        ({"response": "a", "done": None, "done_reason": "stop"}, True),
        *((text("a", done=odd, done_reason="stop"), False) for odd in NO_BOOLS),
        (says("a", status="success"), False),
        (text("a", done_reason=""), False),
        (text("a", done_reason=None), False),
        ({"response": "a", "done_reason": "length"}, True),
        (text("", done=True, done_reason="load"), True),
        (text("", _debug_info={"rendered_template": ""}), True),
        (text("", _debug_info=None), False),
        (says("a"), False),
        (says("a", done=True), True),
        ({"status": "success"}, True),
        ({"status": "SUCCESS"}, False),
        ({"status": "pulling manifest"}, False),
        ({"status": "pulling 1", "total": 5, "completed": 5}, False),
    ],
)
def test_the_last_part_is_known(part: Any, expected: bool) -> None:
    assert is_last(part) is expected
