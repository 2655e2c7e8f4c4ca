"""Typed answers, tools that are called, and whole streams, against a genuine server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from colours import Colour
from ollama_fast import Conversation, Parsed, Partial, ToolResult
from ollama_fast.errors import TruncatedAnswerError
from real.target import Genuine

pytestmark = pytest.mark.real

OPTIONS: dict[str, Any] = {"temperature": 0, "seed": 7, "num_predict": 64}
QUESTION = [{"role": "user", "content": "What is 3 + 4?"}]


@dataclass
class Person:
    """A person."""

    name: str
    age: int
    mood: Literal["happy", "sad"]


def call_of(name: str, **types: str) -> dict[str, Any]:
    """Give the schema of a call, which makes the smallest of models call a tool."""
    properties = {parameter: {"type": kind} for parameter, kind in types.items()}
    parameters = {"type": "object", "properties": properties, "required": list(types)}
    return {
        "type": "object",
        "properties": {"name": {"const": name}, "parameters": parameters},
        "required": ["name", "parameters"],
    }


ANSWER = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}


class Adding:
    """A tool that adds, once: from then on the model is kept to an answer, where it was kept to a call before."""

    def __init__(self) -> None:
        self.format = call_of("add", a="integer", b="integer")
        self.added: list[tuple[int, int]] = []

    def add(self, a: int, b: int) -> int:
        """
        Add two numbers.

        Args:
            a: The first.
            b: The second.
        """
        self.added.append((a, b))
        self.format.clear()
        self.format.update(ANSWER)
        return a + b


def test_a_type_is_answered_with_a_value_of_it(every: Colour, real: Genuine) -> None:
    question = "Ann is 30 years old and happy. Who is she?"
    arguments: dict[str, Any] = {"options": OPTIONS, **real.at_once}
    parsed = every.whole("parse", real.url, real.model, question, Person, **arguments)
    assert type(parsed) is Parsed
    assert type(parsed.value) is Person
    assert parsed.response["done"] is True
    seen = every.parts("parse_stream", real.url, real.model, question, Person, **arguments)
    assert seen.error is None
    *partials, last = seen.parts
    assert last.value == parsed.value
    assert len(partials) > 3
    assert all(type(partial) is Partial for partial in partials)
    assert partials[-1].value == vars(parsed.value)
    many = every.whole("parse", real.url, real.model, "Name two colours.", list[str], **arguments)
    assert all(type(colour) is str for colour in many.value)


def test_an_answer_that_num_predict_cuts_off_is_an_error(both: Colour, real: Genuine) -> None:
    options = {**OPTIONS, "num_predict": 3}
    seen = both.attempt("parse", real.url, real.model, "Who is Ann?", Person, options=options, **real.at_once)
    assert type(seen.error) is TruncatedAnswerError
    assert seen.error.text != ""


def test_the_model_calls_a_tool_and_answers_with_its_result(every: Colour, real: Genuine) -> None:
    real.need("model_with_tools")
    adding = Adding()
    done = every.whole(
        "run_tools", real.url, real.model_with_tools, QUESTION, [adding.add], format=adding.format, options=OPTIONS
    )
    assert type(done) is Conversation
    assert adding.added == [(3, 4)]
    assert done.rounds == 1
    question, called, result, answer = done.messages
    assert question == QUESTION[0]
    (call,) = list(called.get("tool_calls", ()))
    assert call["function"]["name"] == "add"
    assert result == {"role": "tool", "content": "7", "tool_name": "add", "tool_call_id": call.get("id")}
    assert answer == done.answer["message"]
    assert '"sum"' in done.answer["message"]["content"]


def test_parts_and_results_come_as_they_are_made(both: Colour, real: Genuine) -> None:
    real.need("model_with_tools")
    adding = Adding()
    seen = both.parts(
        "run_tools_stream",
        real.url,
        real.model_with_tools,
        QUESTION,
        {"add": adding.add},
        format=adding.format,
        options=OPTIONS,
    )
    assert seen.error is None
    places = [place for place, event in enumerate(seen.parts) if isinstance(event, ToolResult)]
    assert len(places) == 1
    before, after = seen.parts[: places[0]], seen.parts[places[0] + 1 : -1]
    assert any(part["message"].get("tool_calls") for part in before)
    assert "".join(part["message"]["content"] for part in after) == seen.parts[-1].answer["message"]["content"]
    assert seen.parts[places[0]].value == 7


def test_the_model_is_told_what_is_wrong_with_its_call(both: Colour, real: Genuine) -> None:
    real.need("model_with_tools")

    def add(a: int, b: str) -> str:
        """Add a number to a text."""
        return b * a

    wrong = call_of("add", a="string", b="integer")
    done = both.whole("run_tools", real.url, real.model_with_tools, QUESTION, [add], format=wrong, options=OPTIONS)
    told = [message for message in done.messages if message["role"] == "tool"]
    assert len(told) == done.rounds >= 1
    assert told[0]["content"].startswith("Error: add: the argument")


def test_a_stream_that_is_collected_is_the_whole_answer(every: Colour, real: Genuine) -> None:
    arguments: dict[str, Any] = {"options": OPTIONS, **real.at_once}
    whole = every.whole("chat", real.url, real.model, QUESTION, **arguments)
    found, stats = every.collect("chat_stream", real.url, real.model, QUESTION, **arguments, taken=2)
    varies = {"created_at", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration"}
    # Where a prompt is kept from the call before, servers count what of it is new.
    varies |= {"prompt_eval_count"}
    assert {key: found[key] for key in found if key not in varies} == {
        key: whole[key] for key in whole if key not in varies
    }
    print(stats)
    assert stats.parts == pytest.approx(found["eval_count"], abs=2)
    assert stats.tokens_per_second == pytest.approx(found["eval_count"] / found["eval_duration"] * 1e9)
    assert stats.first_part is not None
    assert 0 < stats.first_part < stats.total
