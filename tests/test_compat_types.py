"""The models of `ollama_fast.compat` against those of the genuine package, and the quick way to make them."""

from __future__ import annotations

import copy
import io
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import ollama._types
import pydantic
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import ollama_fast.compat._types
from exchange import Exchange, load_all
from ollama_fast import _core
from ollama_fast.compat import _types
from ollama_fast.compat._answers import maker
from ollama_fast.compat._client import _copy_messages

pytestmark = pytest.mark.unsent

Types: TypeAlias = Any
"""The module of the models: the genuine one, or ours."""

GENUINE: Types = ollama._types
OURS: Types = ollama_fast.compat._types

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)


class Raised(NamedTuple):
    """What kind of error it was, and its text."""

    kind: str
    text: str


def outcome(types: Types, action: Callable[[Types], Any]) -> Any:
    """Give what *action* gives or raises."""
    try:
        return action(types)
    except Exception as exc:  # noqa: BLE001 - what is raised is the outcome
        return Raised(type(exc).__name__, str(exc))


# --- as the genuine ones ---------------------------------------------------------------------------------------------


def call(types: Types) -> Any:
    return types.Message.ToolCall(function=types.Message.ToolCall.Function(name="add", arguments={"a": 1}))


def chat(types: Types) -> Any:
    return types.ChatResponse(
        model="m",
        created_at="2025-01-01T00:00:00Z",
        message={"role": "assistant", "content": "Hi", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
        done=True,
        eval_count=3,
        logprobs=[{"token": "H", "logprob": 0, "top_logprobs": [{"token": "H", "logprob": -1}]}],
    )


def listing(types: Types) -> Any:
    return types.ListResponse(
        models=[
            {
                "model": "m:latest",
                "modified_at": "2025-01-01T12:00:00.123456789+02:00",
                "digest": "d",
                "size": 1234,
                "details": {"families": ["llama"], "parent_model": ""},
            }
        ]
    )


def tool(types: Types) -> Any:
    return types.Tool(
        function={
            "name": "add",
            "parameters": {
                "$defs": {"A": {"type": "integer"}},
                "required": ["a"],
                "properties": {"a": {"type": ["integer", "null"], "description": "One.", "enum": [1, None]}},
            },
        }
    )


def mutated_message(types: Types) -> Any:
    message = types.Message(role="user")
    message.content = "a"
    message["thinking"] = "b"
    message.images = [types.Image(value=PNG)]
    message.images.append(types.Image(value=b"x"))
    message["tool_calls"] = [call(types)]
    message.tool_calls[0].function.arguments["b"] = 2
    message.role = 3  # nothing is validated here
    with pytest.warns(UserWarning, match="Expected `str`"):
        return message.model_dump()


def mutated_tool(types: Types) -> Any:
    made = types.Tool()
    made.function = types.Tool.Function(name="f")
    made.function.description = "d"
    made.function.parameters = types.Tool.Function.Parameters()
    made.function.parameters.properties = {"x": types.Tool.Function.Parameters.Property(type="string")}
    return made.model_dump(exclude_none=True)


def pickled(value: Any) -> Any:
    twin = pickle.loads(pickle.dumps(value))
    return twin == value, type(twin) is type(value), twin.model_dump(), sorted(twin.model_fields_set)


def error(value: Any) -> Any:
    return value.error, value.status_code, str(value), value.args, isinstance(value, Exception)


def a_pickled_error(types: Types) -> Any:
    return error(pickle.loads(pickle.dumps(types.ResponseError('{"error": "no such model"}', 404))))


SAME: dict[str, Callable[[Types], Any]] = {
    # how fields are read
    "attributes": lambda t: (
        chat(t).message.content,
        chat(t).message.tool_calls[0].function.name,
        chat(t).load_duration,
    ),
    "items": lambda t: (chat(t)["message"]["content"], chat(t)["logprobs"][0]["top_logprobs"][0]["logprob"]),
    "an item that is missing": lambda t: chat(t)["nothing"],
    "an item that was not set": lambda t: chat(t)["load_duration"],
    "an item that is a method": lambda t: chat(t)["model_dump"],
    "an item that is no str": lambda t: chat(t)[0],
    "get": lambda t: (chat(t).get("model"), chat(t).get("load_duration", 1), chat(t).get("no"), chat(t).get("no", 2)),
    "in": lambda t: [key in chat(t) for key in ("model", "message", "load_duration", "no", "model_dump")],
    "in, for a default": lambda t: ["type" in t.Tool(), "function" in t.Tool(), "type" in t.Tool.Function.Parameters()],
    "in, for None": lambda t: ["content" in t.Message(role="a"), "content" in t.Message(role="a", content=None)],
    "in, after a field was set": lambda t: (m := t.Message(role="a"), m.__setitem__("content", None), "content" in m)[
        2
    ],
    "in, for a field that must be": lambda t: "role" in t.Message.model_construct(),
    "truth": lambda t: (bool(t.ChatResponse(message={"role": ""})), bool(t.Message(role="")), bool(t.Options())),
    "no length": lambda t: len(t.Options()),
    "dict": lambda t: {**dict(chat(t)), "message": 0, "logprobs": 0},
    "dict of a tool call": lambda t: dict(dict(call(t))["function"]),
    "iteration": lambda t: [name for name, _ in t.GenerateResponse(response="a")],
    "fields": lambda t: [*t.ChatResponse.model_fields, *t.ChatRequest.model_fields, *t.ShowResponse.model_fields],
    "fields that were set": lambda t: sorted(chat(t).model_fields_set),
    "repr": lambda t: (repr(chat(t)), str(call(t))),
    # how they are made
    "from JSON": lambda t: t.ChatResponse.model_validate_json(chat(t).model_dump_json()).model_dump(),
    "from a dict": lambda t: t.Message.model_validate({"role": "user", "content": "a"}).model_dump(),
    "from itself": lambda t: t.Message.model_validate(message := t.Message(role="a")) is message,
    "a field that is missing": lambda t: t.Message(content="a"),
    "a wrong type": lambda t: t.Message(role="a", content=3),
    "a number as text": lambda t: t.GenerateResponse(eval_count="3").eval_count,
    "a message that is no object": lambda t: t.ChatResponse(message="a"),
    "positional arguments": lambda t: t.Message("user"),
    "options": lambda t: t.Options(temperature=1, stop=["a"], num_ctx="4").model_dump(exclude_none=True),
    "options of a request": lambda t: [
        t.GenerateRequest(model="m", options=options).model_dump(exclude_none=True)
        for options in ({"num_ctx": "1", "min_p": 0.5}, t.Options(num_ctx=1), {})
    ],
    "a request without model": lambda t: t.GenerateRequest(model=""),
    "a wrong format": lambda t: t.ChatRequest(model="m", format="xml"),
    "a schema as format": lambda t: t.ChatRequest(model="m", format={"type": "null"}).model_dump(exclude_none=True),
    "a question": lambda t: t.SystemOneRequest(
        model="m", state=[1], questions={"q": {"type": "score", "instructions": "i", "criteria": ["a"]}}
    ).model_dump(exclude_none=True),
    "a question of no type": lambda t: t.SystemOneRequest(model="m", state="s", questions={"q": {"instructions": "i"}}),
    "an answer": lambda t: t.SystemOneResponse(
        model="m",
        answers={"q": {"type": "choice", "choice": "a", "probabilities": {"a": 1}, "confidence": 1}},
        usage={"input_tokens": 1, "output_tokens": 2},
    ).model_dump(),
    # what comes out
    "dump": lambda t: (chat(t).model_dump(), chat(t).model_dump(warnings=False, exclude_unset=True)),
    "dump as JSON": lambda t: (chat(t).model_dump_json(), chat(t).model_dump_json(exclude_none=True, indent=1)),
    "equality": lambda t: (chat(t) == chat(t), chat(t) == chat(t).model_dump(), call(t) != call(t)),
    "inequality": lambda t: t.Message(role="a") == t.Message(role="b"),
    "no hash": lambda t: hash(t.Message(role="a")),
    "pickling": lambda t: [pickled(value) for value in (chat(t), listing(t), tool(t), t.Options(num_ctx=1))],
    "copies": lambda t: (
        copy.deepcopy(chat(t)) == chat(t),
        copy.copy(chat(t)) == chat(t),
        chat(t).model_copy(update={"model": "n"}).model,
    ),
    "a date": lambda t: (
        type(listing(t).models[0].modified_at) is datetime or listing(t).models[0].modified_at,
        listing(t).models[0].modified_at.timestamp(),
        listing(t).models[0].modified_at.isoformat(),
    ),
    "a size": lambda t: (listing(t).models[0].size.human_readable(), listing(t)["models"][0]["size"] + 1),
    "a wrong date": lambda t: t.ListResponse(models=[{"modified_at": "yesterday"}]),
    "a list": lambda t: (listing(t).model_dump(), listing(t).model_dump_json()),
    "a process": lambda t: t.ProcessResponse(
        models=[{"expires_at": "2025-01-01T00:00:00Z", "size_vram": 1}]
    ).model_dump(),
    "shown": lambda t: (
        t.ShowResponse(model_info={"a": 1}).modelinfo,
        t.ShowResponse(model_info=None)["modelinfo"],
        t.ShowResponse(model_info={}).model_dump(),
        t.ShowResponse(model_info={}).model_dump(by_alias=True, exclude_none=True),
        "model_info" in t.ShowResponse(model_info={}),
    ),
    "shown by the field's name": lambda t: t.ShowResponse(modelinfo={}),
    "vectors": lambda t: (
        type((made := t.EmbedResponse(embeddings=[[1, 0.5]])).embeddings) is list,
        type(made["embeddings"][0]) is list,
        repr(made.embeddings),
        repr(t.EmbeddingsResponse(embedding=(1, 2)).embedding),
    ),
    "a found page": lambda t: t.WebSearchResponse(results=[{"url": "u"}]).model_dump(),
    "a fetched page": lambda t: t.WebFetchResponse(links=("a",)).model_dump(),
    "mutable messages": mutated_message,
    "mutable tools": mutated_tool,
    "a mutable answer": lambda t: (made := chat(t), made.message.__setitem__("content", "b"), made.message.content)[2],
    # requests
    "a chat": lambda t: t.ChatRequest(
        model="m",
        messages=[
            t.Message(role="user", images=[t.Image(value=PNG)]),
            {"role": "user", "images": ["b"]},
            {"any": "thing"},
        ],
        tools=[tool(t), {"function": {"name": "f"}}],
        keep_alive=1,
        think="high",
    ).model_dump(exclude_none=True),
    "a chat by aliases": lambda t: t.ChatRequest(model="m", tools=[tool(t)]).model_dump(
        exclude_none=True, by_alias=True
    ),
    "a tool": lambda t: (tool(t).model_dump(), tool(t).model_dump(by_alias=True), tool(t).model_dump_json()),
    "a tool with definitions by the field's name": lambda t: t.Tool.Function.Parameters(defs={"A": 1}).model_dump(),
    "a tool whose parameters are no object": lambda t: t.Tool(function={"parameters": {"type": "array"}}),
    "a creation": lambda t: t.CreateRequest(model="m", from_="base", parameters={"a": 1}, license=["x"]).model_dump(),
    "a short creation": lambda t: t.CreateRequest(model="m", files={"a": "sha256:0"}).model_dump(exclude_none=True),
    "a copy": lambda t: t.CopyRequest(source="a", destination="b").model_dump(),
    "a request's unknown field": lambda t: t.PullRequest(model="m", insecur=True).model_dump(),
    # errors
    "an error of a request": lambda t: ((e := t.RequestError("no model")).error, str(e), e.args, repr(e)),
    "an error as text": lambda t: error(t.ResponseError("no such model", 404)),
    "an error as JSON": lambda t: error(t.ResponseError('{"error": "no such model"}', 404)),
    "an error as JSON within": lambda t: error(t.ResponseError('{"error": {"message": "no"}}', 404)),
    "an error as other JSON": lambda t: error(t.ResponseError('{"message": "no"}', 500)),
    "an error without status": lambda t: error(t.ResponseError("no")),
    "an error by keywords": lambda t: error(t.ResponseError(error="no", status_code=3)),
    "an error as bytes": lambda t: error(t.ResponseError(b'{"error": "x"}', 400)),
    "an error with a lone surrogate": lambda t: error(t.ResponseError('{"error": "\\ud800", "a": NaN}', 400)),
    "a pickled error": a_pickled_error,
}


RAISING = {
    "an item that is missing": "KeyError",
    "an item that was not set": "KeyError",
    "an item that is a method": "KeyError",
    "an item that is no str": "KeyError",
    "no length": "TypeError",
    "a field that is missing": "ValidationError",
    "a wrong type": "ValidationError",
    "a message that is no object": "ValidationError",
    "positional arguments": "TypeError",
    "a request without model": "ValidationError",
    "a wrong format": "ValidationError",
    "a question of no type": "ValidationError",
    "no hash": "TypeError",
    "a wrong date": "ValidationError",
    "shown by the field's name": "ValidationError",
    "a tool whose parameters are no object": "ValidationError",
}


@pytest.mark.parametrize("name", SAME)
def test_it_is_as_in_the_genuine_package(name: str) -> None:
    ours = outcome(OURS, SAME[name])
    assert ours == outcome(GENUINE, SAME[name])
    assert (ours.kind if isinstance(ours, Raised) else None) == RAISING.get(name)


def models_in(scope: Any, path: str = "") -> Iterator[tuple[str, type[pydantic.BaseModel]]]:
    """Give the models of a module or a model, with the path to each."""
    for name, value in vars(scope).items():
        if isinstance(value, type) and issubclass(value, pydantic.BaseModel) and value.__module__ == GENUINE.__name__:
            yield path + name, value
            yield from models_in(value, f"{path}{name}.")


MODELS = dict(models_in(GENUINE))


def without_texts(schema: Any) -> Any:
    """Leave out of a JSON schema what describes it, the name of the package, and that a model keeps what is unknown."""
    if isinstance(schema, dict):
        return {
            key.removeprefix("ollama_fast__compat__").removeprefix("ollama__"): without_texts(value)
            for key, value in schema.items()
            if (key, value) != ("additionalProperties", True) and not (key == "description" and isinstance(value, str))
        }
    if isinstance(schema, list):
        return [without_texts(value) for value in schema]
    return (
        schema.replace("/ollama_fast__compat__", "/").replace("/ollama__", "/") if isinstance(schema, str) else schema
    )


@pytest.mark.parametrize("mode", ["validation", "serialization"])
@pytest.mark.parametrize("name", MODELS)
def test_the_json_schema_is_that_of_the_genuine_package(
    name: str, mode: Literal["validation", "serialization"]
) -> None:
    ours: type[pydantic.BaseModel] = attrgetter(name)(OURS)
    schema = without_texts(ours.model_json_schema(mode=mode))
    assert schema == without_texts(MODELS[name].model_json_schema(mode=mode))
    assert schema["type"] == "object"


def test_some_of_that_in_figures() -> None:
    assert outcome(OURS, SAME["attributes"]) == ("Hi", "f", None)
    assert outcome(OURS, SAME["in"]) == [True, True, False, False, False]
    assert outcome(OURS, SAME["in, after a field was set"]) is True
    assert outcome(OURS, SAME["vectors"]) == (True, True, "[[1.0, 0.5]]", "(1.0, 2.0)")
    assert outcome(OURS, SAME["an error as JSON"])[2] == "no such model (status code: 404)"


# --- images ----------------------------------------------------------------------------------------------------------

IMAGES: dict[str, Callable[[Path], Any]] = {
    "bytes": lambda _: PNG,
    "no bytes": lambda _: b"",
    "a bytearray": lambda _: bytearray(b"\xff\xfe"),
    "a number": lambda _: 3,
    "a path": lambda folder: folder / "cat.png",
    "a path as text": lambda folder: str(folder / "cat.png"),
    "a path without suffix": lambda folder: str(folder / "cat"),
    "a path that is not there": lambda folder: folder / "dog.png",
    "a path as text that is not there": lambda folder: str(folder / "dog.PNG"),
    "a folder": str,
    "base64": lambda _: "aGVsbG8=",
    "base64 in lines": lambda _: "aGVs\nbG8=\n",
    "base64 of no whole number of bytes": lambda _: "abc",
    "long base64": lambda _: "ab/+" * 50_000,
    "long base64 that is none": lambda _: "ab/+" * 50_000 + "a",
    "no text": lambda _: "",
    "text": lambda _: "a cat, if you please",
    "text that is not ASCII": lambda _: "eine Kätz",
    "text that is no path": lambda _: "\0",
    "a suffix alone": lambda _: "png",
}


@pytest.mark.parametrize("value", IMAGES.values(), ids=IMAGES)
def test_an_image_is_sent_as_by_the_genuine_package(value: Callable[[Path], Any], tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    (tmp_path / "cat").write_bytes(b"a cat")

    def dumped(types: Types) -> Any:
        image = types.Image(value=value(tmp_path))
        request = types.GenerateRequest(model="m", images=[image])
        return image.model_dump(), image.model_dump_json(), request.model_dump(exclude_none=True)["images"]

    assert outcome(OURS, dumped) == outcome(GENUINE, dumped)


def test_an_image_that_is_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"File .*dog\.png does not exist"):
        OURS.Image(value=str(tmp_path / "dog.png")).model_dump()
    with pytest.raises(ValueError, match="Invalid image data, expected base64 string or path to image file"):
        OURS.Image(value="abc").model_dump()
    assert OURS.Image(value=b"hello").model_dump() == "aGVsbG8="


# --- what is better --------------------------------------------------------------------------------------------------

KEPT: dict[str, Callable[[Types], Any]] = {
    "an answer's": lambda t: t.ChatResponse(message={"role": "a"}, new={"field": 1})["new"],
    "a message's": lambda t: t.Message(role="tool", tool_call_id="c1").model_dump(exclude_none=True)["tool_call_id"],
    "a call's id": lambda t: t.Message.ToolCall(id="c1", function={"name": "f", "arguments": {}}).get("id"),
    "a call's index": lambda t: t.Message.ToolCall.Function(name="f", arguments={}, index=0).index,
    "an option's": lambda t: t.GenerateRequest(model="m", options=t.Options(min_p=0.5)).model_dump()["options"][
        "min_p"
    ],
    "a list's": lambda t: t.ListResponse(models=[{"name": "m"}]).models[0].name,
    "by the name of a method": lambda t: t.ShowResponse(model_info={}, copy=1).get("copy") == 1 or 1 / 0,
    "set later": lambda t: (
        m := t.Message(role="a"),
        m.__setitem__("tool_call_id", "c"),
        m.model_dump()["tool_call_id"],
    )[2],
}


@pytest.mark.parametrize("action", KEPT.values(), ids=KEPT)
def test_an_unknown_field_is_kept_that_the_genuine_package_drops(action: Callable[[Types], Any]) -> None:
    with pytest.raises((AttributeError, KeyError, ValueError, ZeroDivisionError, AssertionError)):
        assert action(GENUINE) is not None
    assert action(OURS) in ({"field": 1}, "c1", 0, 0.5, "m", True, "c")


def test_an_unknown_field_is_read_like_any_other() -> None:
    response = OURS.ShowResponse(model_info={}, json="a", tensors=[1])
    assert ("json" in response, response["json"], response.get("json"), response.tensors) == (True, "a", "a", [1])
    assert {**dict(response)}["tensors"] == [1]
    assert response == pickle.loads(pickle.dumps(response)) != OURS.ShowResponse(model_info={}, json="a")


ASKED_FOR = ("keys", "__getnewargs_ex__", "__isabstractmethod__", "__wrapped__", "__array_interface__")
"""What Python, or a library, asks any object for."""


@pytest.mark.parametrize("name", ASKED_FOR)
def test_an_unknown_field_that_python_asks_for_is_an_item_only(name: str) -> None:
    part = {"message": {"role": "a", "content": "b", name: 1}}
    for answer in (OURS.ChatResponse(**part), maker(OURS.ChatResponse)(part)):
        message = answer.message
        assert dict(message) == {**dict(OURS.Message(role="a", content="b")), name: 1}
        assert (message[name], message.get(name), name in message, hasattr(message, name)) == (1, 1, True, False)
        with pytest.raises(AttributeError, match=f"'Message' object has no attribute '{name}'"):
            getattr(message, name)
        assert pickle.loads(pickle.dumps(message)) == copy.deepcopy(message) == message
        assert [*_copy_messages([message])] == [OURS.Message(role="a", content="b")]


def test_an_unknown_field_named_keys_can_be_set() -> None:
    message = OURS.Message(role="a")
    message["keys"] = 1
    assert (message.model_dump()["keys"], dict(message)["keys"]) == (1, 1)


def test_a_property_still_says_itself_what_it_lacks() -> None:
    class Other(_types.Message):
        @property
        def keys(self) -> Any:
            return object.__getattribute__(self, "nothing")

    with pytest.raises(AttributeError, match="'nothing'"):
        _ = Other(role="a").keys


class Ours(pickle.Unpickler):
    """Reads pickles of the genuine package once `install` has put ours into its place."""

    def find_class(self, module: str, name: str) -> Any:
        return super().find_class(module.replace(GENUINE.__name__, OURS.__name__), name)


@pytest.mark.parametrize("made", [chat, tool, listing, call])
def test_what_the_genuine_package_pickled_keeps_what_is_set_later(made: Callable[[Types], Any]) -> None:
    read = Ours(io.BytesIO(pickle.dumps(made(GENUINE)))).load()
    check_same_fields(read, made(OURS))
    read["new"] = 1
    assert (read.new, read.model_dump()["new"]) == (1, 1)


def test_a_request_that_the_genuine_package_pickled_takes_no_more() -> None:
    read = Ours(io.BytesIO(pickle.dumps(GENUINE.PullRequest(model="m")))).load()
    assert read == OURS.PullRequest(model="m")
    with pytest.raises(ValueError, match='object has no field "new"'):
        read.new = 1


TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "plan",
        "description": "Make a plan.",
        "strict": None,
        "parameters": {
            "type": "object",
            "$defs": {"Place": {"type": "object", "properties": {"x": {"type": "number", "default": None}}}},
            "additionalProperties": False,
            "required": ["where"],
            "properties": {
                "where": {"$ref": "#/$defs/Place"},
                "when": {"anyOf": [{"type": "string", "default": None}, {"type": "null"}], "default": None},
                "who": {"type": "array", "items": {"type": "string", "enum": ["a", None]}, "minItems": 1},
                "what": {
                    "type": "object",
                    "properties": {"a": {"const": None}},
                    "additionalProperties": {"type": "null"},
                },
                "why": {"enum": [None], "const": None, "examples": [None]},
            },
        },
    },
}


def test_a_tool_is_sent_as_it_was_written() -> None:
    (sent,) = OURS.ChatRequest(model="m", tools=[TOOL]).model_dump(exclude_none=True)["tools"]
    assert sent == TOOL
    assert json.loads(OURS.ChatRequest(model="m", tools=[TOOL]).model_dump_json(exclude_none=True))["tools"] == [TOOL]
    (lost,) = GENUINE.ChatRequest(model="m", tools=[TOOL]).model_dump(exclude_none=True)["tools"]
    assert lost["function"]["parameters"]["properties"]["where"] == {}


def test_what_a_tool_dumps_can_be_chosen() -> None:
    why = OURS.Tool.Function.Parameters.Property(enum=[None], const=None, examples=[None])
    assert why.model_dump(exclude_none=True, exclude={"const"}) == {"enum": [None], "examples": [None]}
    assert why.model_dump(exclude_none=True, include={"const"}) == {"const": None}
    assert why.model_dump(exclude_none=True, include={"enum"}) == {"enum": [None]}
    assert why.model_dump(exclude_unset=True) == {"enum": [None], "const": None, "examples": [None]}


def test_a_tool_without_parameters_can_be_dumped_with_nulls() -> None:
    request = OURS.ChatRequest(model="m", tools=[{"function": {"name": "f"}}, {}])
    assert [tool["function"] for tool in request.model_dump()["tools"]] == [
        {"name": "f", "description": None, "parameters": None},
        None,
    ]


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("", 503, "Service Unavailable"),
        ("", -1, "no error message"),
        ("", 799, "no error message"),
        ("[1]", 500, "[1]"),
        ("3", 500, "3"),
        ("null", 500, "null"),
        ('"no"', 500, '"no"'),
        ('{"error": ""}', 404, "Not Found"),
        ('{"error": null}', 500, "Internal Server Error"),
        ('{"error": ""}', -1, "no error message"),
        (b"", 503, "Service Unavailable"),
        (b"\xff no", 500, "\ufffd no"),
        (b'{"message": "no"}', 500, '{"message": "no"}'),
        ("\ud800", 500, "\ud800"),
        ("[" * 100_000, 500, "[" * 100_000),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_error_is_never_empty_and_never_crashes(text: str | bytes, status: int, said: str) -> None:
    error = OURS.ResponseError(text, status)
    assert (error.error, str(error), error.args) == (said, f"{said} (status code: {status})", (said,))


def test_the_import_needs_neither_httpx_nor_schemas() -> None:
    program = (
        "import sys, ollama_fast.compat._answers, ollama_fast.compat._types as t\n"
        "print('httpx' in sys.modules, t.ChatResponse.__pydantic_complete__)\n"
        "ollama_fast.compat._answers.maker(t.ChatResponse)({'message': {'role': 'a'}})\n"
        "print(t.ChatResponse.__pydantic_complete__)\n"
        "t.ChatResponse(message={'role': 'a'})\n"
        "print(t.ChatResponse.__pydantic_complete__)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "False", "True"]


# --- recorded exchanges ----------------------------------------------------------------------------------------------

ANSWERS = {
    "/api/chat": "ChatResponse",
    "/api/generate": "GenerateResponse",
    "/api/embed": "EmbedResponse",
    "/api/embeddings": "EmbeddingsResponse",
    "/api/pull": "ProgressResponse",
    "/api/push": "ProgressResponse",
    "/api/create": "ProgressResponse",
    "/api/show": "ShowResponse",
    "/api/tags": "ListResponse",
    "/api/ps": "ProcessResponse",
}
REQUESTS = {
    "/api/chat": "ChatRequest",
    "/api/generate": "GenerateRequest",
    "/api/embed": "EmbedRequest",
    "/api/embeddings": "EmbeddingsRequest",
    "/api/pull": "PullRequest",
    "/api/push": "PushRequest",
    "/api/create": "CreateRequest",
    "/api/show": "ShowRequest",
    "/api/copy": "CopyRequest",
    "/api/delete": "DeleteRequest",
}
RECORDED = load_all()


def parts_of(exchange: Exchange) -> Iterator[dict[str, Any]]:
    for line in exchange.body.splitlines():
        part = _core.decode(line) if line.strip() else {"error": ""}
        if "error" not in part:
            yield part


def known(value: Any, example: Any) -> Any:
    """Give of *value* what *example* has, too."""
    if isinstance(value, dict) and isinstance(example, dict):
        return {key: known(one, example[key]) for key, one in value.items() if key in example}
    if isinstance(value, list) and isinstance(example, list) and len(value) == len(example):
        return [known(one, other) for one, other in zip(value, example, strict=True)]
    return value


ANSWERED = {name: one for name, one in RECORDED.items() if one.request.path in ANSWERS and [*parts_of(one)]}


@pytest.mark.parametrize("exchange", ANSWERED.values(), ids=ANSWERED)
def test_a_recorded_answer_is_as_in_the_genuine_package(exchange: Exchange) -> None:
    name = ANSWERS[exchange.request.path]
    for part in parts_of(exchange):
        theirs = getattr(GENUINE, name)(**copy.deepcopy(part))
        ours = maker(getattr(OURS, name))(part)
        assert known(ours.model_dump(), theirs.model_dump()) == theirs.model_dump()
        assert [*theirs.model_dump()] == [*ours.model_dump()][: len(theirs.model_dump())]
        assert known(json.loads(ours.model_dump_json()), theirs.model_dump()) == json.loads(theirs.model_dump_json())
        check_alike(ours, getattr(OURS, name)(**part))
        assert part.keys() - {"model_info"} <= {name for name, _ in ours}, "nothing is lost"


def test_answers_of_all_kinds_were_recorded() -> None:
    assert {ANSWERS[one.request.path] for one in ANSWERED.values()} == {*ANSWERS.values()}


ASKED = {name: one for name, one in RECORDED.items() if one.request.path in REQUESTS}


@pytest.mark.parametrize("exchange", ASKED.values(), ids=ASKED)
def test_a_recorded_request_is_sent_as_by_the_genuine_package(exchange: Exchange) -> None:
    body = exchange.request.body
    if "from" in body:
        body = {**body, "from_": body["from"]}

    def sent(types: Types) -> Any:
        return getattr(types, REQUESTS[exchange.request.path])(**body).model_dump(exclude_none=True)

    ours, theirs = outcome(OURS, sent), outcome(GENUINE, sent)
    if "tools" not in body:
        assert ours == theirs
    elif isinstance(ours, dict):
        assert {**ours, "tools": 0} == {**theirs, "tools": 0}
        assert known(ours["tools"], theirs["tools"]) == theirs["tools"]
        assert ours["tools"] == body["tools"]


# --- the quick way ---------------------------------------------------------------------------------------------------


def check_alike(made: Any, validated: Any) -> None:
    """Assert that two models differ in nothing."""
    check_same_fields(made, validated)
    assert made == validated
    assert repr(made) == repr(validated)
    assert made.model_dump() == validated.model_dump()
    assert made.model_dump_json() == validated.model_dump_json()
    assert made.model_dump_json(exclude_unset=True) == validated.model_dump_json(exclude_unset=True)
    assert [name for name, _ in made] == [name for name, _ in validated]
    for twin in (pickle.loads(pickle.dumps(made)), copy.copy(made), copy.deepcopy(made), made.model_copy(deep=True)):
        check_same_fields(twin, validated)


def check_same_fields(made: Any, validated: Any) -> None:
    assert type(made) is type(validated)
    if isinstance(made, pydantic.BaseModel):
        assert made.model_fields_set == validated.model_fields_set
        assert made.__pydantic_private__ == validated.__pydantic_private__
        check_same_fields(made.__pydantic_extra__, validated.__pydantic_extra__)
        check_same_fields(vars(made), vars(validated))
    elif isinstance(made, dict):
        assert [*made] == [*validated]
        check_same_fields([*made.values()], [*validated.values()])
    elif isinstance(made, list):
        assert len(made) == len(validated)
        for one, other in zip(made, validated, strict=True):
            check_same_fields(one, other)
    else:
        assert repr(made) == repr(validated)  # an int is no float, and -0.0 not 0.0


Shape: TypeAlias = st.SearchStrategy[dict[str, Any]]

text = st.text(max_size=5)
integer = st.integers(-3, 2**63 - 1)
number = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-2, 2) | st.just(-0.0)
anything = st.recursive(
    st.none() | st.booleans() | integer | number | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)


def objects(needed: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]) -> Shape:
    """Objects that have the *needed* keys, some of the *optional* ones, in any order, and sometimes unknown ones."""
    usual: Shape = st.fixed_dictionaries(needed, optional={key: one | st.none() for key, one in optional.items()})
    unknown = st.dictionaries(
        st.sampled_from(["id", "index", "new", "copy", "keys", "__class__", "model_extra", "self", ""]),
        anything,
        max_size=2,
    )
    mixed: Shape = st.tuples(unknown, usual, st.booleans()).map(
        lambda three: (
            three[0] | three[1] if three[2] else three[1] | {k: v for k, v in three[0].items() if k not in three[1]}
        )
    )
    return usual | mixed


common = {
    **dict.fromkeys(["model", "created_at", "done_reason"], text),
    "done": st.booleans(),
    **dict.fromkeys(["total_duration", "load_duration", "prompt_eval_count", "eval_count", "eval_duration"], integer),
}
token = objects({"token": text, "logprob": number})
logprobs = st.lists(objects({"token": text, "logprob": number}, top_logprobs=st.lists(token, max_size=2)), max_size=2)
function = objects({"name": text, "arguments": st.dictionaries(text, anything, max_size=3)})
calls = st.lists(objects({"function": function}), max_size=2)
image = st.fixed_dictionaries({"value": text})
message = objects(
    {"role": text}, content=text, thinking=text, tool_calls=calls, tool_name=text, images=st.lists(image, max_size=1)
)
vector = st.lists(number, max_size=3)
PARTS: dict[str, Shape] = {
    "ChatResponse": objects({"message": message}, logprobs=logprobs, **common),
    "GenerateResponse": objects(
        {}, response=text, thinking=text, context=st.lists(integer, max_size=3), logprobs=logprobs, image=text, **common
    ),
    "EmbedResponse": objects({"embeddings": st.lists(vector, max_size=3)}, **common),
    "EmbeddingsResponse": objects({"embedding": vector}),
    "ProgressResponse": objects({}, status=text, completed=integer, total=integer, digest=text),
    "StatusResponse": objects({}, status=text),
    "ListResponse": objects(
        {"models": st.lists(objects({}, model=text, digest=text, size=st.integers(0, 9)), max_size=2)}
    ),
}


@pytest.mark.parametrize("name", PARTS)
@given(data=st.data())
def test_a_model_is_the_one_that_validation_makes(name: str, data: st.DataObject) -> None:
    part = data.draw(PARTS[name])
    before = copy.deepcopy(part)
    cls = getattr(OURS, name)
    made = maker(cls)(part)
    assert part == before
    validated = cls(**part)
    if "images" in part.get("message", {}):  # which are read when they are dumped
        check_same_fields(made, validated)
    else:
        check_alike(made, validated)


ODD: dict[str, dict[str, tuple[Any, ...]]] = {
    # the places of what is no scalar, or must be there
    "ChatResponse": {
        "part": (),
        "message": ("message",),
        "role": ("message", "role"),
        "images": ("message", "images"),
        "image": ("message", "images", 0),
        "calls": ("message", "tool_calls"),
        "call": ("message", "tool_calls", 0),
        "function": ("message", "tool_calls", 0, "function"),
        "name": ("message", "tool_calls", 0, "function", "name"),
        "arguments": ("message", "tool_calls", 0, "function", "arguments"),
        "logprobs": ("logprobs",),
        "logprob": ("logprobs", 0),
        "token": ("logprobs", 0, "token"),
        "its logprob": ("logprobs", 0, "logprob"),
        "top logprobs": ("logprobs", 0, "top_logprobs"),
        "top logprob": ("logprobs", 0, "top_logprobs", 0),
    },
    "GenerateResponse": {"part": (), "context": ("context",), "logprobs": ("logprobs",), "logprob": ("logprobs", 0)},
    "EmbedResponse": {
        "part": (),
        "embeddings": ("embeddings",),
        "vector": ("embeddings", 0),
        "number": ("embeddings", 0, 0),
    },
    "EmbeddingsResponse": {"part": (), "vector": ("embedding",), "number": ("embedding", 0)},
    "ProgressResponse": {"part": ()},
    "StatusResponse": {"part": ()},
}
WHOLE: dict[str, Any] = {
    "model": "m",
    "message": {
        "role": "assistant",
        "images": [{"value": "aaaa"}],
        "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}],
    },
    "logprobs": [{"token": "a", "logprob": -1, "top_logprobs": [{"token": "a", "logprob": 0}]}],
    "context": [1, 2],
    "embeddings": [[1, 0.5]],
    "embedding": [1, 0.5],
    "status": "success",
}
FIELDS = {"ChatResponse": ("model", "message", "logprobs"), "GenerateResponse": ("model", "context", "logprobs")}
MISSING = object()


def changed(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """Give a copy of *value* that has *new* in *place*, or nothing there if that is MISSING."""
    if not place:
        return new
    value, (key, *rest) = copy.copy(value), place
    if rest or new is not MISSING:
        value[key] = changed(value[key], tuple(rest), new)
    else:
        del value[key]
    return value


OTHERS: dict[str, Any] = {
    "missing": MISSING,
    "null": None,
    "text": "a",
    "a number as text": "1.5",
    "a number": 3,
    "true": True,
    "a huge number": 10**400,
    "a list": [1],
    "a list of lists": [[1]],
    "a list of text": ["a"],
    "an empty list": [],
    "an empty object": {},
    "an object": {"a": 1},
}
CASES = [
    pytest.param(name, place, other, id=f"{name}, {where}: {what}")
    for name, places in ODD.items()
    for where, place in places.items()
    for what, other in OTHERS.items()
    if place or other is not MISSING
]
SCALARS = {"role", "name", "token"}
"""Of the places, those of scalars: taken as they are, if they are there."""


@pytest.mark.parametrize(("name", "place", "other"), CASES)
def test_an_odd_part_is_left_to_validation(name: str, place: tuple[Any, ...], other: Any) -> None:
    whole = {key: WHOLE[key] for key in FIELDS.get(name, WHOLE)}
    part = changed(whole, place, other)
    cls: Any = getattr(OURS, name)

    def validated() -> Any:
        return cls(**part)

    expected = outcome(None, lambda _: validated())
    made = outcome(None, lambda _: maker(cls)(part))
    if place and place[-1] in SCALARS and other is not MISSING:
        assert isinstance(made, cls)
    elif isinstance(expected, pydantic.BaseModel):
        check_same_fields(made, expected)
    else:
        assert made == expected


@given(data=st.data())
def test_an_odd_part_is_never_taken_for_another(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([*ODD]))
    place = ODD[name][data.draw(st.sampled_from([*ODD[name]]))]
    test_an_odd_part_is_left_to_validation(name, place, data.draw(anything))


@pytest.mark.parametrize("name", ODD)
def test_an_error_of_an_odd_part_has_no_other_behind_it(name: str) -> None:
    with pytest.raises(TypeError, match="argument after \\*\\* must be a mapping, not list") as caught:
        maker(getattr(OURS, name))([])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert caught.value.__context__ is None
    with pytest.raises(pydantic.ValidationError, match=r"message\n  Field required"):
        maker(_types.ChatResponse)({"model": "m"})


def test_a_scalar_of_a_wrong_type_is_taken_as_it_is() -> None:
    made = maker(_types.ChatResponse)(
        {"message": {"role": "a", "content": 3, "thinking": [1]}, "eval_count": "many", "done_reason": {}}
    )
    assert (repr(made.message.content), repr(made.eval_count)) == ("3", "'many'")
    with pytest.warns(UserWarning, match="Pydantic serializer warnings"):
        assert made.model_dump()["message"]["thinking"] == [1]
    with pytest.warns(UserWarning, match="Pydantic serializer warnings"):
        assert json.loads(made.model_dump_json())["done_reason"] == {}


JSON_OF_PYTHON = {
    "ChatResponse": """{"message": {"role": "a", "content": "\\ud800", "new": NaN, "tool_calls": [
        {"function": {"name": "\\ud800", "arguments": {"x": Infinity}}}]},
        "logprobs": [{"token": "\\ud800", "logprob": -Infinity, "top_logprobs": [{"token": "", "logprob": NaN}]}],
        "eval_count": 1000000000000000000000000, "eval_count": 3}""",
    "GenerateResponse": '{"response": "\\ud800", "context": [100000000000000000000], "total_duration": 1}',
    "EmbedResponse": '{"embeddings": [[NaN, 1, -Infinity], [1e999]]}',
    "EmbeddingsResponse": '{"embedding": [NaN, 100000000000000000000]}',
    "ProgressResponse": '{"status": "\\udfff", "total": 100000000000000000000}',
    "ListResponse": '{"models": [{"model": "\\ud800"}]}',
}


@pytest.mark.parametrize("name", JSON_OF_PYTHON)
def test_what_only_pythons_json_reads_makes_a_model(name: str) -> None:
    cls, part = getattr(OURS, name), json.loads(JSON_OF_PYTHON[name])
    with pytest.raises(ValueError, match="at column"):
        _core.decode(JSON_OF_PYTHON[name].encode())
    made = maker(cls)(part)
    check_same_fields(made, cls(**part))
    theirs = getattr(GENUINE, name)(**json.loads(JSON_OF_PYTHON[name]))
    assert repr(known(made.model_dump(), theirs.model_dump())) == repr(theirs.model_dump())


def test_anything_callable_makes_of_a_part_what_it_will() -> None:
    class Other(_types.ChatResponse):
        """One of a caller's own."""

    def keys(**part: Any) -> list[str]:
        return [*part]

    part = {"message": {"role": "a"}, "model": 3}
    assert maker(keys)(part) == ["message", "model"]
    with pytest.raises(pydantic.ValidationError, match="Input should be a valid string"):
        maker(Other)(part)
    assert type(maker(Other)({**part, "model": "m"})) is Other
    assert maker(_types.ChatResponse) is maker(_types.ChatResponse)


def test_models_that_were_made_share_nothing_and_can_be_changed() -> None:
    make: Callable[[Any], Any] = maker(_types.ChatResponse)
    part: dict[str, Any] = {"message": {"role": "a", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}}
    one, other = make(part), make(part)
    one.message.content = "b"
    one["new"] = 1
    one.message.tool_calls[0].function.arguments["a"] = 1
    assert one.model_fields_set - {"new"} == {"message"}  # of which pydantic tells from 2.14 on
    assert (one["new"], "new" in one) == (1, True)
    assert one.message.model_fields_set == {"role", "tool_calls", "content"}
    check_alike(other, _types.ChatResponse(**part))


@example(text="", status=0)
@given(text=st.text(), status=st.integers(-1, 999))
def test_any_text_makes_an_error(text: str, status: int) -> None:
    error = _types.ResponseError(text, status)
    assert error.error
    assert str(error).endswith(f" (status code: {status})")
