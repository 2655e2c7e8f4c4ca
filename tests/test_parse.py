"""Typed answers: a type out, a value of it back; partial values while it arrives; and what is no such value."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any, Literal, NamedTuple

import msgspec
import pydantic
import pytest
from typing_extensions import TypedDict

import ollama_fast
from chatting import END, PIECE, chatting, says
from colours import Colour
from ollama_fast import Parsed, Partial, _answers, _core
from ollama_fast.errors import AnswerError, IncompleteStreamError, TruncatedAnswerError

QUESTION = [{"role": "user", "content": "Who is Ann?"}]
ANN = '{"name": "Ann", "age": 30, "tags": ["a", "b"]}'


@dataclasses.dataclass
class PersonData:
    name: str
    age: int
    tags: list[str]


class PersonDict(TypedDict):
    name: str
    age: int
    tags: list[str]


class PersonTuple(NamedTuple):
    name: str
    age: int
    tags: list[str]


class PersonModel(pydantic.BaseModel):
    name: str
    age: int
    tags: list[str]


class PersonStruct(msgspec.Struct):
    name: str
    age: int
    tags: list[str]


TYPES: list[tuple[Any, str, Any]] = [
    (PersonData, ANN, PersonData("Ann", 30, ["a", "b"])),
    (PersonDict, ANN, {"name": "Ann", "age": 30, "tags": ["a", "b"]}),
    (PersonTuple, '["Ann", 30, ["a", "b"]]', PersonTuple("Ann", 30, ["a", "b"])),
    (PersonModel, ANN, PersonModel(name="Ann", age=30, tags=["a", "b"])),
    (PersonStruct, ANN, PersonStruct("Ann", 30, ["a", "b"])),
    (list[PersonData], f"[{ANN}]", [PersonData("Ann", 30, ["a", "b"])]),
    (dict[str, float], '{"a": 1.5}', {"a": 1.5}),
    (Literal["yes", "no"], '"yes"', "yes"),
    (int | None, "null", None),
    (int, " 5\n", 5),
    (str, '"text"', "text"),
    (bool, "true", True),
]


@pytest.mark.parametrize(("answer", "text", "value"), TYPES, ids=[str(answer) for answer, _, _ in TYPES])
def test_an_answer_is_a_value_of_the_type(both: Colour, answer: Any, text: str, value: Any) -> None:
    with chatting(says(text)) as server:
        parsed = both.whole("parse", server.url, "m", QUESTION, answer)
        seen = both.parts("parse_stream", server.url, "m", QUESTION, answer)
        sent = server.requests[0].json
    assert parsed == Parsed(value, {**PIECE, "message": says(text), **END})  # type: ignore[typeddict-item]  # pyright: ignore[reportArgumentType]
    assert type(parsed.value) is type(value)
    assert seen.error is None
    assert seen.parts[-1] == parsed
    assert sent["messages"] == QUESTION
    assert isinstance(sent["format"], dict)
    assert sent["stream"] is False


def test_every_way_to_a_host_gives_the_same(every: Colour) -> None:
    with chatting(says(ANN)) as server:
        parsed = every.whole("parse", server.url, "m", "Who is Ann?", PersonData, think=False, options={"seed": 1})
        found, _ = every.collect("parse_stream", server.url, "m", "Who is Ann?", PersonData)
        body = server.requests[0].json
    assert parsed.value == PersonData("Ann", 30, ["a", "b"])
    assert found == parsed
    assert (body["messages"], body["think"], body["options"]) == (QUESTION, False, {"seed": 1})


def test_partial_values_grow_while_the_answer_arrives(every: Colour) -> None:
    with chatting(says(ANN, thinking="Hm.")) as server:
        seen = every.parts("parse_stream", server.url, "m", QUESTION, PersonData)
    *partials, last = seen.parts
    assert type(last) is Parsed
    assert {type(partial) for partial in partials} == {Partial}
    values = [partial.value for partial in partials]
    assert values[:4] == [{}, {"name": ""}, {"name": "A"}, {"name": "An"}]
    assert values[-1] == json.loads(ANN)
    assert all(before != after for before, after in itertools.pairwise(values))


def test_a_long_answer_is_not_looked_at_for_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0
    decode = _core.decode_beginning

    def count(data: bytes) -> Any:
        nonlocal looked
        looked += len(data)
        return decode(data)

    monkeypatch.setattr(_core, "decode_beginning", count)
    view = _answers._growing()
    many = 20_000
    shown = [view({"message": {"role": "assistant", "content": piece}}) for piece in ["[1", *[",1"] * many]]  # type: ignore[typeddict-item]  # pyright: ignore[reportArgumentType]
    values = [partial.value for partial in shown if partial is not None]
    assert looked < 400 * 2 * many, "bytes that were decoded, for each byte of the answer"
    assert len(values) > 2000
    assert len(values[-1]) > many * 0.99


INVALID: list[tuple[str, str]] = [
    ("Ann is 30.", "expected"),
    ("", "EOF"),
    ('{"name": "Ann"}', "age"),
    ('{"name": "Ann", "age": "old", "tags": []}', "age"),
    ("[]", "PersonData"),
    (ANN + " and more", "trailing"),
]


@pytest.mark.parametrize(("text", "said"), INVALID)
def test_an_answer_of_another_shape_is_an_error_that_carries_its_text(both: Colour, text: str, said: str) -> None:
    with chatting(says(text)) as server:
        whole = both.attempt("parse", server.url, "m", QUESTION, PersonData).error
        streamed = both.parts("parse_stream", server.url, "m", QUESTION, PersonData).error
    for error in (whole, streamed):
        assert type(error) is AnswerError
        assert isinstance(error, ValueError)
        assert error.text == text
        assert error.model == "m"
        assert str(error).startswith("the answer of model 'm' is not what was asked for: ")
        assert said in str(error)
        assert error.__cause__ is not None


@pytest.mark.parametrize("text", [ANN, ANN[:20], "12"])
def test_an_answer_that_was_cut_off_is_one_whatever_its_text(both: Colour, text: str) -> None:
    with chatting(says(text), end={**END, "done_reason": "length"}) as server:
        whole = both.attempt("parse", server.url, "m", QUESTION, PersonData).error
        streamed = both.parts("parse_stream", server.url, "m", QUESTION, PersonData).error
    for error in (whole, streamed):
        assert type(error) is TruncatedAnswerError
        assert error.text == text
        assert str(error).startswith("the answer of model 'm' was cut off")
        assert "num_predict" in str(error)


def test_a_stream_that_breaks_is_incomplete_with_the_text_so_far(both: Colour) -> None:
    with chatting(says(ANN[:10]), end={"done": False}) as server:
        seen = both.parts("parse_stream", server.url, "m", QUESTION, PersonData)
    assert type(seen.error) is IncompleteStreamError
    assert (seen.error.partial or {})["message"]["content"] == ANN[:10]
    assert seen.parts[-1] == Partial({"name": ""})


class NoSchema:
    """Nothing that a schema could be made of."""


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        (("m", QUESTION, NoSchema), TypeError, "NoSchema"),
        (("m", QUESTION, 5), TypeError, "5"),
        (("m", QUESTION, "Person"), TypeError, "Person.*no type"),
        (("m", QUESTION, "Anna is 31 years old."), TypeError, "no type"),
        (("m", QUESTION, {"type": "object"}), TypeError, "no type.*dict"),
        (("m", QUESTION, PersonData("Ann", 30, [])), TypeError, "no type.*PersonData"),
        (("m", QUESTION, None), TypeError, "no type"),
        (("m", 5, int), TypeError, "messages"),
        (("", QUESTION, int), ValueError, "model"),
    ],
)
@pytest.mark.parametrize("name", ["parse", "parse_stream"])
def test_what_is_wrong_is_refused_at_the_call(
    both: Colour, name: str, arguments: tuple[Any, ...], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        both.whole(name, "http://127.0.0.1:1", *arguments)


def test_two_formats_are_refused() -> None:
    with pytest.raises(TypeError, match="parse\\(\\) got multiple values for keyword argument 'format'"):
        ollama_fast.parse("http://127.0.0.1:1", "m", QUESTION, int, format="json")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
