"""The scripted server: what a model says, several answers in turn, and a server with models around it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import ollama
import pytest

import ollama_fast
from colours import Colour
from ollama_fast import testing
from ollama_fast.errors import ModelNotFoundError, ResponseError
from ollama_fast.testing import (
    FAULTS,
    Chunk,
    Fault,
    Received,
    Reply,
    models,
    reply,
    reply_error,
    script,
    serve,
    tool_call,
)
from ollama_fast.testing._faults import faulty

HELLO: list[Any] = [{"role": "user", "content": "What is three plus four?"}]
ANY: Any = None
ANY_REPLY: Any = vars(testing)["reply"]
"""For arguments of wrong types."""
ANY_ERROR: Any = vars(testing)["reply_error"]
DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


# --- what a model says -----------------------------------------------------------------------------------------------


def test_thoughts_texts_and_calls_are_the_same_whole_and_in_parts(every: Colour) -> None:
    said = reply("It is seven.", thinking="Hm. Well.", tool_calls=[tool_call("add", a=3, b=4), tool_call("stop")])
    with serve(said) as server:
        whole = every.whole("chat", server.url, "m", HELLO)
        seen = every.parts("chat_stream", server.url, "m", HELLO)
    calls = whole["message"]["tool_calls"]
    assert whole["message"] == {
        "role": "assistant",
        "content": "It is seven.",
        "thinking": "Hm. Well.",
        "tool_calls": calls,
    }
    assert [call["function"] for call in calls] == [
        {"index": 0, "name": "add", "arguments": {"a": 3, "b": 4}},
        {"index": 1, "name": "stop", "arguments": {}},
    ]
    assert len({call["id"] for call in calls}) == 2
    assert all(call["id"].startswith("call_") for call in calls)
    assert seen.error is None
    assert seen.partial == whole
    assert [part["message"].get("thinking", "") for part in seen.parts[:2]] == ["Hm.", " Well."]
    assert [part["message"]["content"] for part in seen.parts[2:5]] == ["It", " is", " seven."]


def test_a_generate_has_its_own_keys(every: Colour) -> None:
    with serve(reply("Yes.", thinking="Hm.")) as server:
        whole = every.whole("generate", server.url, "m", "Hi!")
        assert (whole["response"], whole["thinking"]) == ("Yes.", "Hm.")
        assert every.parts("generate_stream", server.url, "m", "Hi!").partial == whole
        assert "thinking" not in every.whole("generate", server.url, "m", "Hi!", think=False)


def test_the_last_part_has_what_a_genuine_server_counts() -> None:
    with serve(reply("one two three", thinking="four", first_ms=20, token_ms=10)) as server:
        last: Any = list(ollama_fast.chat_stream(server.url, "m", HELLO))[-1]
        assert (last["done"], last["done_reason"], last["eval_count"]) == (True, "stop", 4)
        assert last["prompt_eval_count"] == 5
        assert last["prompt_eval_duration"] == 20_000_000
        assert last["eval_duration"] == 40_000_000
        assert last["total_duration"] == sum(last[name] for name in DURATIONS[1:])
        server.answer = reply("x", tokens=7, prompt_tokens=26, done_reason="length")
        last = list(ollama_fast.generate_stream(server.url, "m", "Hi!"))[-1]
        assert (last["eval_count"], last["prompt_eval_count"], last["done_reason"]) == (7, 26, "length")


def test_parts_come_when_they_should() -> None:
    with serve(reply("one two", first_ms=80, token_ms=40)) as server:
        began = time.monotonic()
        times = [time.monotonic() - began for _ in ollama_fast.generate_stream(server.url, "m", "Hi!")]
        began = time.monotonic()
        ollama_fast.generate(server.url, "m", "Hi!")
        whole = time.monotonic() - began
    for at, least in zip(times, (0.08, 0.12, 0.16), strict=True):
        assert at >= least
    assert whole >= 0.16


@pytest.mark.parametrize(
    ("made", "error", "says"),
    [
        (partial(ANY_REPLY, 5), TypeError, "text must be a str, not 5"),
        (partial(reply, thinking=ANY), TypeError, "thinking must be a str, not None"),
        (partial(reply, first_ms=-1), ValueError, "first_ms must be between 0 and 3600000 milliseconds, not -1"),
        (partial(reply, token_ms=math.nan), ValueError, "token_ms must be between 0 and"),
        (partial(ANY_REPLY, token_ms="1"), TypeError, "token_ms must be a number of milliseconds, not '1'"),
        (partial(reply, tokens=-1), ValueError, "tokens must be an int of at least 0, or None, not -1"),
        (partial(ANY_REPLY, tool_calls=["add"]), TypeError, "tool_calls must be calls as tool_call"),
        (partial(reply, tool_calls=[{"name": "add"}]), TypeError, "tool_calls must be calls as tool_call"),
        (partial(ANY_REPLY, tool_calls=tool_call("add")), TypeError, "tool_calls must be a list of calls"),
        (partial(tool_call, ""), TypeError, "name must be that of a tool, not ''"),
        (partial(tool_call, "add", a=object()), TypeError, "the arguments of add must be JSON"),
        (partial(reply_error, 200, "x"), ValueError, "status must be that of an error, 400 to 599, not 200"),
        (partial(ANY_ERROR, status="404", error="x"), TypeError, "status must be an int, not '404'"),
        (partial(ANY_ERROR, status=404, error=1), TypeError, "error must be a str, not 1"),
        (lambda: script(ANY), TypeError, "a script is of functions, such as reply"),
        (lambda: models(ANY), TypeError, "a model is a name, such as 'llama3', not None"),
        (lambda: models("m", says=ANY), TypeError, "says must be a function, such as reply"),
        (lambda: models("m", dimensions=0), ValueError, "dimensions must be an int between 1 and 16384, not 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_arguments_are_told_where_they_are_given(
    made: Callable[[], Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        made()


# --- in turn ---------------------------------------------------------------------------------------------------------


def test_a_script_answers_in_turn_and_says_when_it_has_ended(every: Colour) -> None:
    with serve(script(reply("one"), reply_error(500, "llama runner has terminated"), reply("two"))) as server:
        assert every.whole("generate", server.url, "m", "Hi!")["response"] == "one"
        assert str(every.attempt("version", server.url).error).startswith("GET ")  # is no turn
        assert "llama runner has terminated" in str(every.attempt("generate", server.url, "m", "Hi!").error)
        assert (every.parts("chat_stream", server.url, "m", HELLO).partial or {})["message"]["content"] == "two"
        seen = every.attempt("chat", server.url, "m", HELLO)
    assert isinstance(seen.error, ResponseError)
    assert seen.error.status == 501
    assert "the script has ended: it has 3 replies, and this is request 4, POST /api/chat for model 'm'" in str(
        seen.error
    )


def test_each_turn_is_had_once_by_threads(tmp_path: Any) -> None:
    with serve(script(*[reply(str(number)) for number in range(40)])) as server, ThreadPoolExecutor(8) as threads:
        said = list(threads.map(lambda _: ollama_fast.generate(server.url, "m", "Hi!")["response"], range(40)))
    assert sorted(said, key=int) == [str(number) for number in range(40)]


def test_an_agent_with_tools_runs_by_a_script(both: Colour) -> None:
    turns = script(reply(tool_calls=[tool_call("add", a=3, b=4)]), reply("It is seven."))
    with serve(models("llama3", says=turns)) as server:
        conversation = both.whole("run_tools", server.url, "llama3", HELLO, [add])
        asked = [request.json for request in server.requests]
    assert conversation.answer["message"]["content"] == "It is seven."
    assert asked[1]["messages"][-1]["content"] == "7"
    assert [message["role"] for message in asked[1]["messages"]] == ["user", "assistant", "tool"]


# --- a server with models --------------------------------------------------------------------------------------------


def test_models_are_listed_shown_loaded_copied_pulled_and_deleted(every: Colour) -> None:
    call = every.whole
    with serve(models("llama3", "me/embed:small", version="9.8.7")) as server:
        url = server.url

        def names() -> list[str]:
            return [model["name"] for model in call("list", url)["models"]]

        assert call("version", url) == {"version": "9.8.7"}
        assert names() == ["llama3:latest", "me/embed:small"]
        assert "tools" in call("show", url, "llama3")["capabilities"]
        assert call("ps", url)["models"] == []
        assert call("generate", url, "llama3")["done_reason"] == "load"
        assert [model["name"] for model in call("ps", url)["models"]] == ["llama3:latest"]
        assert call("chat", url, "llama3", [], keep_alive=0)["done_reason"] == "unload"
        assert call("ps", url)["models"] == []
        call("copy", url, "llama3", "other:1")
        call("delete", url, "llama3")
        assert names() == ["me/embed:small", "other:1"]
        seen = every.parts("pull_stream", url, "new")
        assert (seen.error, seen.parts[-1]) == (None, {"status": "success"})
        assert [part["completed"] for part in seen.parts if "completed" in part][-1] == seen.parts[1]["total"]
        assert call("pull", url, "newer") == {"status": "success"}
        assert names() == ["me/embed:small", "other:1", "new:latest", "newer:latest"]
        assert call("generate", url, "new", "Hi!")["response"].startswith("Hello!")


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("generate", ["nope", "Hi!"]),
        ("chat", ["nope", HELLO]),
        ("show", ["nope"]),
        ("embed", ["nope", "x"]),
        ("copy", ["nope", "other"]),
        ("delete", ["nope"]),
    ],
)
def test_a_model_that_is_not_there_is_a_404_as_ollama_has_it(function: str, arguments: list[Any], both: Colour) -> None:
    with serve(models("llama3", says=script())) as server:
        seen = both.attempt(function, server.url, *arguments)
    assert isinstance(seen.error, ModelNotFoundError)
    assert "model 'nope' not found" in str(seen.error)


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_an_embedding_is_of_its_text_and_near_to_one_of_the_same_words(every: Colour) -> None:
    texts = ["The sky is blue", "the sky is grey", "Bread and butter"]
    with serve(models("m", dimensions=64)) as server, serve(models("m", dimensions=64)) as another:
        one, near, far = every.whole("embed", server.url, "m", texts)["embeddings"]
        assert every.whole("embed", another.url, "m", texts[0])["embeddings"] == [one]
        (short,) = every.whole("embed", server.url, "m", texts[0], dimensions=8)["embeddings"]
        assert every.whole("embeddings", server.url, "m", texts[0]) == {"embedding": one}
        assert every.whole("embed", server.url, "m", [])["embeddings"] == []
    assert len(one) == 64
    assert cosine(one, one) == pytest.approx(1, abs=1e-5)
    assert cosine(one, near) > 0.5 > abs(cosine(one, far))
    assert len(short) == 8
    assert cosine(short, short) == pytest.approx(1, abs=1e-5)


def test_the_official_client_runs_against_it() -> None:
    turns = script(reply(tool_calls=[tool_call("add", a=3, b=4)], thinking="Hm."), reply("7"))
    with serve(models("llama3", says=turns)) as server:
        client = ollama.Client(host=server.url)
        first = client.chat("llama3", HELLO, tools=[add], think=True)
        assert first.message.thinking == "Hm."
        (call,) = first.message.tool_calls or []
        assert (call.function.name, call.function.arguments) == ("add", {"a": 3, "b": 4})
        assert "".join(part["response"] for part in client.generate("llama3", "?", stream=True)) == "7"
        assert len(client.embed("llama3", ["a", "b"]).embeddings) == 2
        assert [model.model for model in client.list().models] == ["llama3:latest"]
        assert [model.model for model in client.ps().models] == ["llama3:latest"]
        assert client.show("llama3").capabilities
        assert [part.status for part in client.pull("new", stream=True)][-1] == "success"
        client._client.close()


# --- faults ----------------------------------------------------------------------------------------------------------


def test_the_fault_of_no_model_names_the_one_that_was_asked_for(both: Colour) -> None:
    with serve(fault=FAULTS["error of no model"]) as server:
        seen = both.attempt("generate", server.url, "mistral", "Hi!")
        assert isinstance(seen.error, ModelNotFoundError)
        assert "model 'mistral' not found" in str(seen.error)
        assert isinstance(both.attempt("version", server.url).error, ResponseError)


def test_a_reply_without_content_has_no_part_to_edit_and_can_be_finished() -> None:
    empty = Reply(204)
    with pytest.raises(ValueError, match=r"there is no part to edit: the reply has no content, so it holds no b'x'"):
        list(faulty(Fault.edit(b"x", b"y", part=0), empty))
    sent = b"".join(piece for piece in faulty(Fault.finish(b"bye", part=0), Reply(200)) if isinstance(piece, bytes))
    assert sent.endswith(b"\r\n\r\nbye")


def test_a_function_of_replies_can_be_a_turn() -> None:
    def count(request: Received) -> Reply:
        line = {"model": "m", "created_at": "x", "response": str(len(request.body)), "done": True}
        return Reply(200, (("Content-Type", "application/json"),), (Chunk(0, json.dumps(line).encode()),))

    with serve(script(count)) as server:
        assert int(ollama_fast.generate(server.url, "m", "Hi!")["response"]) > 10
