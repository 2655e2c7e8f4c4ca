"""
Calls that the genuine server answered twice, whole and in parts: the parts make the whole answer.

Every pair is recorded so that both answers are the same run of the model: temperature 0, a seed, and the prompt in the
model's cache (tests/recorded_calls.py). So nothing may differ but clocks, and the ids of tool calls, which the server
makes up anew each time.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Final

import pytest

import ollama_fast
from colours import Colour
from exchange import Exchange, load_all
from ollama_fast import errors
from replay import replay

ROOT: Final = Path(__file__).parent.parent
RECORDED: Final = load_all()
PAIRS: Final = {name: (RECORDED[name], RECORDED[f"{name}_stream"]) for name in RECORDED if f"{name}_stream" in RECORDED}
ANSWERED: Final = {name: pair for name, pair in PAIRS.items() if pair[0].response.status == 200}
REFUSED: Final = {name: pair for name, pair in PAIRS.items() if pair[0].response.status != 200}
WHOLE: Final = [
    name
    for name, exchange in RECORDED.items()
    if exchange.response.status == 200
    and exchange.call.function in ("generate", "chat", "pull", "push", "create")
    and not name.endswith("_rendered")  # what a model would be given, and no answer of one
]

CLOCKS: Final = {"total_duration", "load_duration", "prompt_eval_duration", "eval_duration"}
"""In nanoseconds."""


def whole_of(exchange: Exchange) -> Any:
    return json.loads(exchange.body)


def parts_of(exchange: Exchange) -> list[Any]:
    return [json.loads(line) for line in exchange.body.split(b"\n") if line.strip()]


def steady(answer: Any) -> str:
    """Give an answer as text, in which 1, 1.0 and true differ, with a type for what each run has of its own."""
    told = copy.deepcopy(answer)
    for name in told.keys() & CLOCKS:
        told[name] = type(told[name]).__name__
    if "created_at" in told:
        told["created_at"] = type(told["created_at"]).__name__
    for call in told.get("message", told).get("tool_calls", ()):
        call["id"] = call["id"][: len("call_")]
    return json.dumps(told, sort_keys=True)


@pytest.mark.parametrize("name", ANSWERED)
def test_recorded_parts_make_the_whole_answer(name: str) -> None:
    whole, streamed = ANSWERED[name]
    assert streamed.call.kwargs == whole.call.kwargs
    assert steady(ollama_fast.collect(parts_of(streamed))) == steady(whole_of(whole))


@pytest.mark.parametrize("name", ANSWERED)
def test_a_replayed_stream_makes_the_whole_answer(both: Colour, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # files that were uploaded are named from there
    whole, streamed = ANSWERED[name]
    with replay([streamed], pace="fast") as server:
        found, stats = both.collect(streamed.call.function, server.url, **streamed.call.kwargs)
    assert steady(found) == steady(whole_of(whole))
    assert stats.parts == len(parts_of(streamed))


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_says_the_same_among_parts(both: Colour, name: str) -> None:
    whole, streamed = REFUSED[name]
    said: list[tuple[type[Exception], str]] = []
    for exchange, function in ((whole, both.attempt), (streamed, both.parts)):
        with replay([exchange], pace="fast") as server:
            error = function(exchange.call.function, server.url, **exchange.call.kwargs).error
        assert isinstance(error, errors.ResponseError)
        said.append((type(error), error.message))
    assert said[0] == said[1]


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_answer_is_a_stream_of_one_part(name: str) -> None:
    answer = whole_of(RECORDED[name])
    assert ollama_fast.collect([answer]) == answer


def test_there_are_pairs_of_each_kind() -> None:
    wholes = [whole_of(whole) for whole, _ in ANSWERED.values()]
    chats = [answer["message"] for answer in wholes if "message" in answer]
    assert {pair[0].call.function for pair in ANSWERED.values()} == {"generate", "chat", "pull", "push", "create"}
    assert {key for answer in wholes for key in answer} >= {"thinking", "logprobs", "context", "response"}
    assert {key for message in chats for key in message} >= {"thinking", "tool_calls", "content"}
    assert {answer.get("done_reason") for answer in wholes} >= {"stop", "length", "load"}
    assert any(isinstance(whole.call.kwargs.get("format"), dict) for whole, _ in ANSWERED.values())
    assert {whole_of(RECORDED[name]).get("done_reason") for name in WHOLE} >= {"unload"}
    assert max(len(parts_of(streamed)) for _, streamed in ANSWERED.values()) > 50
    assert {whole.call.function for whole, _ in REFUSED.values()} == {"generate", "chat", "pull", "push", "create"}
