"""
Calls of `ollama_fast.compat` beside those of the genuine package: the same requests, results and errors.

What differs on purpose is in tests/dropin/differences.py, and each such difference is undone here by name.

No `from __future__ import annotations` here: the genuine package does not know the types of tools then.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, Optional, TypeAlias, TypeVar, Union, get_args
from uuid import UUID

import httpx
import ollama
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import exchange
import replay
from beside import CAUGHT, Beside, Made, Outcome, beside
from dropin import differences
from ollama_fast import types
from ollama_fast.compat import ResponseError
from ollama_fast.compat._client import CONNECTION_ERROR_MESSAGE
from ollama_fast.errors import ToolSchemaError
from ollama_fast.testing import Chunk, Fault, Reply
from ollama_fast.testing._faults import faulty
from ollama_fast.testing._replies import whole
from packages import GENUINE, OURS, PACKAGES, Colour, Package

Body: TypeAlias = dict[str, Any]
Call: TypeAlias = tuple[str, dict[str, Any]]
Test = TypeVar("Test", bound=Callable[..., None])

MODULES = (GENUINE, OURS)
COLOURS: tuple[Colour, ...] = get_args(Colour)

SHOWN: set[str] = set()
"""What of the list has a test of its own here."""


def shows(difference: str) -> Callable[[Test], Test]:
    """Say which difference a test shows."""

    def note(test: Test) -> Test:
        SHOWN.add(difference)
        return test

    return note


@pytest.fixture(scope="module")
def pair() -> Iterator[Beside]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OLLAMA_API_KEY", raising=False)
        with beside() as running:
            yield running


# --- calls -----------------------------------------------------------------------------------------------------------

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def add(a: int, b: int = 2) -> int:
    """
    Add two numbers.

    Args:
        a: the first
        b (int): the second
    """
    return a + b


def look_up(city: str, days: Optional[int] = None, exact: Union[bool, None] = None) -> str:  # noqa: UP007, UP045
    """Look up the weather."""
    return f"{city} {days} {exact}"


def either(x: int | str, *, y: float) -> None: ...


def of_lists(x: list[str], y: Literal["a", "b"], z: dict[str, int]) -> None:
    """Take lists."""


RAW_TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "plain",
            "description": "Plain.",
            "parameters": {
                "type": "object",
                "required": ["q"],
                "properties": {"q": {"type": "string", "description": "what", "enum": ["a", "b"]}},
            },
        },
    },
    {"type": "function", "function": {"name": "empty"}, "callable": add},
    {
        "type": "function",
        "items": {"type": "string"},
        "function": {
            "name": "rich",
            "strict": True,
            "callable": add,
            "parameters": {
                "type": "object",
                "$defs": {"P": {"type": "object", "properties": {"x": {"type": "integer"}}}},
                "additionalProperties": False,
                "properties": {
                    "p": {"$ref": "#/$defs/P"},
                    "q": {"type": ["string", "null"], "pattern": "a+"},
                    "r": {"type": "array", "items": {"type": "object", "properties": {"z": {"type": "number"}}}},
                    "s": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
                    "t": {"type": "object", "properties": {"u": {"type": "string"}}, "required": ["u"]},
                },
            },
        },
    },
]
WRONG_TOOL = {"type": "function", "function": {"name": "wrong", "parameters": {"type": "array"}}}


def mostly(right: list[Any], *wrong: Any) -> st.SearchStrategy[Any]:
    """Give right values, and now and then a wrong one."""
    return st.sampled_from([*right * (1 + 12 * len(wrong) // len(right)), *wrong])


MODELS = mostly(["m", "smollm2:135m", "registry/ü/x"], "")
TEXTS = st.sampled_from(["", "hi", "Grüße 🦙", 'line\n"two"', "\u2028\x85"])
KEEP = mostly([0, 5, -1.5, "5m", "", True, None], timedelta(minutes=5))
FORMATS = mostly(["", "json", {"type": "object", "properties": {"a": {"type": "integer"}}}, None], "xml")
THINK = st.sampled_from([True, False, "high", "", None])
NUMBERS = mostly([0, 1, 8, -1, 2.0, "3"], "x")

NAMED = {
    "temperature": st.sampled_from([0, 0.5, 1.0]),
    "num_ctx": st.sampled_from([0, 4096]),
    "seed": st.just(7),
    "stop": st.lists(TEXTS, max_size=2),
    "numa": st.booleans(),
    "top_k": NUMBERS,
    "min_p": st.just(0.1),
}
FIELDS = st.fixed_dictionaries({}, optional=NAMED)
OPTIONS = st.one_of(FIELDS, FIELDS.map(lambda fields: Made("Options", fields)), mostly([None], "wrong"))


def several(values: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[Any]:
    lists = st.lists(values, max_size=most)
    return st.one_of(lists, lists.map(tuple))


def of_class(cls: str, fields: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Any]:
    """Give what may be a dict or an object."""
    return st.one_of(fields, fields.map(lambda given: Made(cls, given)))


ENCODED = base64.b64encode(PICTURE).decode()
IMAGES = mostly(
    [
        *(PICTURE, ENCODED, b"", "", Path(__file__).with_name("exchange.py"), __file__),
        *(Made("Image", {"value": PICTURE}), Made("Image", {"value": ENCODED})),
    ],
    *("nowhere.PNG", "no base64!", 5),
)
KEPT: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(["Content", "row"], mostly(["OTHER TEXT", [None, {"a": 1}]])),
    "tool_call_id": mostly(["call_1"], 5, None),
}
"""What programs keep in the parts of a conversation, besides what the API knows."""
CALLED = of_class(
    "Message.ToolCall.Function",
    st.fixed_dictionaries(
        {"name": st.sampled_from(["add", "look_up"]), "arguments": st.sampled_from([{}, {"a": 1, "b": [None, "x"]}])},
        optional={"index": mostly([0], "0", True), **KEPT},
    ),
)
TOOL_CALLS = of_class(
    "Message.ToolCall",
    st.fixed_dictionaries({"function": CALLED}, optional={"id": mostly(["call_1"], 5), "type": st.just("f"), **KEPT}),
)
MESSAGES = of_class(
    "Message",
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "tool", "system"])},
        optional={
            "content": TEXTS,
            "thinking": TEXTS,
            "images": several(IMAGES, 2),
            "tool_calls": several(TOOL_CALLS, 2),
            "tool_name": TEXTS,
            **KEPT,
        },
    ),
)
USER = {"role": "user", "content": "hi"}
MESSAGES_OR_WRONG = st.one_of(MESSAGES, mostly([USER], {"content": "no role"}, "wrong", {"role": 5}))
TOOLS = st.one_of(
    st.sampled_from([add, look_up, either]),
    mostly(RAW_TOOLS, WRONG_TOOL),
    st.sampled_from(RAW_TOOLS).map(lambda raw: Made("Tool", raw)),
)
COMMON = {
    "stream": st.booleans(),
    "think": THINK,
    "logprobs": st.sampled_from([True, False, None]),
    "top_logprobs": NUMBERS,
    "format": FORMATS,
    "options": OPTIONS,
    "keep_alive": KEEP,
}
QUESTIONS = mostly(
    [
        {"type": "choice", "instructions": "which", "criteria": {"a": "the first", "b": None}},
        {"type": "noul", "instructions": ["is it"]},
        {"type": "score", "instructions": {"how": "much"}, "criteria": ["low", "high"]},
        Made("SystemOneNoulQuestion", {"instructions": "is it", "criteria": {"true": "yes", "false": "no"}}),
    ],
    {"type": "unknown", "instructions": "which"},
)
METHODS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "generate": st.fixed_dictionaries(
        {"model": MODELS},
        optional={
            **COMMON,
            **dict.fromkeys(["prompt", "suffix", "system", "template"], TEXTS),
            "context": several(NUMBERS),
            "raw": st.booleans(),
            "images": several(IMAGES, 2),
            **dict.fromkeys(["width", "height", "steps"], NUMBERS),
        },
    ),
    "chat": st.fixed_dictionaries(
        {"model": MODELS},
        optional={**COMMON, "messages": several(MESSAGES_OR_WRONG), "tools": several(TOOLS)},
    ),
    "embed": st.fixed_dictionaries(
        {"model": MODELS},
        optional={
            "input": st.one_of(TEXTS, several(TEXTS)),
            "truncate": st.booleans(),
            "dimensions": NUMBERS,
            "options": OPTIONS,
            "keep_alive": KEEP,
        },
    ),
    "embeddings": st.fixed_dictionaries(
        {"model": MODELS}, optional={"prompt": TEXTS, "options": OPTIONS, "keep_alive": KEEP}
    ),
    "pull": st.fixed_dictionaries({"model": MODELS}, optional={"insecure": st.booleans(), "stream": st.booleans()}),
    "push": st.fixed_dictionaries({"model": MODELS}, optional={"insecure": st.booleans(), "stream": st.booleans()}),
    "create": st.fixed_dictionaries(
        {"model": MODELS},
        optional={
            **dict.fromkeys(["quantize", "from_", "template", "system"], TEXTS),
            **dict.fromkeys(["files", "adapters"], mostly([{}, {"a.gguf": "sha256:00"}], {"a": 1})),
            "license": st.one_of(TEXTS, st.lists(TEXTS, max_size=2)),
            "parameters": OPTIONS,
            "messages": several(MESSAGES_OR_WRONG),
            "stream": st.booleans(),
        },
    ),
    "delete": st.fixed_dictionaries({"model": MODELS}),
    "copy": st.fixed_dictionaries({"source": MODELS, "destination": MODELS}),
    "show": st.fixed_dictionaries({"model": MODELS}),
    "list": st.just({}),
    "ps": st.just({}),
    "systemone": st.fixed_dictionaries(
        {
            "model": MODELS,
            "state": mostly(["text", {"a": 1}, [1, "b"]], 5),
            "questions": st.dictionaries(st.sampled_from(["p", "q"]), QUESTIONS, max_size=2),
        },
        optional={"keep_alive": KEEP},
    ),
}
HOW_MANY = {"chat": 150, "generate": 100, "create": 60, "list": 1, "ps": 1}

ANSWERS: dict[str, Any] = {
    "generate": {"response": "hi", "done": True},
    "chat": {"message": {"role": "assistant", "content": "hi"}, "done": True},
    "embed": {"model": "m", "embeddings": [[0.5, 1]]},
    "embeddings": {"embedding": [0.5]},
    "show": {"model_info": {}},
    "list": {"models": []},
    "ps": {"models": []},
    "systemone": {"model": "m", "answers": {}, "usage": {"input_tokens": 1, "output_tokens": 1}},
}


def answer_to(method: str) -> Callable[[replay.Received], Any]:
    body = json.dumps(ANSWERS.get(method, {"status": "success"})).encode()
    return lambda _: faulty(None, whole(200, body, "application/json"))


# --- what differs in requests ----------------------------------------------------------------------------------------

OPTIONS_THERE = set(NAMED) - {"min_p"}


def without_unknown_options(body: Body) -> None:
    for name in ("options", "parameters"):
        for unknown in set(body.get(name) or ()) - OPTIONS_THERE:
            del body[name][unknown]


def without_unknown_parts_of_messages(body: Body) -> None:
    for message in body.get("messages") or ():
        message.pop("tool_call_id", None)
        for call in message.get("tool_calls") or ():
            call.pop("id", None)
            call["function"].pop("index", None)


def without_what_else_is_in_messages(body: Body) -> None:
    for message in body.get("messages") or ():
        calls = message.get("tool_calls") or ()
        for part, shape in (
            (message, types.Message),
            *((call, types.ToolCall) for call in calls),
            *((call["function"], types.ToolCallFunction) for call in calls),
        ):
            for unknown in set(part) - {*shape.__annotations__}:
                del part[unknown]


def without_unknown_keywords(body: Body) -> None:
    for tool in body.get("tools") or ():
        tool.pop("items", None)
        parameters = tool["function"].get("parameters", {})
        for unknown in set(parameters) - {"type", "$defs", "items", "required", "properties"}:
            del parameters[unknown]
        for schema in parameters.get("properties", {}).values():
            for unknown in set(schema) - {"type", "items", "description", "enum"}:
                del schema[unknown]


def schemas_in(body: Body) -> Iterator[Body]:
    for tool in body.get("tools") or ():
        yield from tool["function"].get("parameters", {}).get("properties", {}).values()


def with_types_in_order(body: Body) -> None:
    for schema in schemas_in(body):
        if isinstance(schema.get("type"), str):
            schema["type"] = ", ".join(sorted(schema["type"].split(", ")))


def with_names_of_types_alone(body: Body) -> None:
    for schema in schemas_in(body):
        schema["description"] = schema["description"].partition("each value")[0]
        for keyword in ("items", "enum", "properties", "required"):
            schema.pop(keyword, None)


def without_what_is_told_of_parameters(body: Body) -> None:
    for schema in schemas_in(body):
        schema["description"] = ""
        schema.pop("items", None)


def without_choices(body: Body) -> None:
    with_names_of_types_alone(body)
    for tool in body["tools"]:
        tool["function"]["parameters"]["required"] = []


def without_parameters(*names: str) -> Callable[[Body], None]:
    def undo(body: Body) -> None:
        for tool in body["tools"]:
            parameters = tool["function"]["parameters"]
            parameters["required"] = [name for name in parameters["required"] if name not in names]
            for name in names:
                parameters["properties"].pop(name, None)

    return undo


def with_the_first_line_alone(body: Body) -> None:
    without_what_is_told_of_parameters(body)
    for tool in body["tools"]:
        tool["function"]["description"] = tool["function"]["description"].partition("\n")[0]


UNDONE: dict[str, Callable[[Body], None]] = {
    "unknown options": without_unknown_options,
    "unknown parts of messages": without_unknown_parts_of_messages,
    "what else is in messages": without_what_else_is_in_messages,
    "unknown keywords of tools": without_unknown_keywords,
    "the order of a union": with_types_in_order,
}
"""What undoes a difference in bodies, of whatever call; it is done to both."""


def requests_of(outcome: Outcome, undone: Iterable[Callable[[Body], None]]) -> Any:
    requests = outcome.requests
    for _, _, body in requests:
        for undo in undone if body else ():
            undo(body)
    return requests


def of_four_types(x: str | int | float | bool) -> None: ...  # noqa: PYI041 - each is told


def of_four_types_reversed(x: bool | float | int | str) -> None: ...  # noqa: PYI041 - each is told


def of_formats(day: date, key: UUID, path: Path, data: bytes, all_of: set[int]) -> None:
    """Take what JSON has as texts and lists."""


def with_texts(
    x: Annotated[int, pydantic.Field(description="The first.")], y: int = pydantic.Field(description="y")
) -> None:
    """Take numbers."""


def of_some(x: Literal["a", None]) -> None:  # noqa: PYI061 - meant so
    """Take a choice."""


def of_many(x: int, *args: int, **kwargs: str) -> None:
    """Take many."""


class Adder:
    def add(self, x: int) -> int:
        """Add."""
        return x


def in_numpys_style(x: int) -> None:
    """
    Take a number.

    Parameters
    ----------
    x
        The number.
    """


def in_sphinxs_style(x: int) -> None:
    """
    Take a number.

    :param x: The number.
    """


def with_a_colon(x: int) -> None:
    """
    Take a number.

    Args:
        x: The number,
            note: above 0
    """


CASES: dict[str, tuple[Call, Callable[[Body], None]]] = {
    "unknown options": (
        ("chat", {"model": "m", "options": Made("Options", {"min_p": 0.1, "seed": 7})}),
        without_unknown_options,
    ),
    "unknown parts of messages": (
        ("chat", {"model": "m", "messages": [{"role": "tool", "content": "3", "tool_call_id": "call_1"}]}),
        without_unknown_parts_of_messages,
    ),
    "what else is in messages": (
        ("create", {"model": "m", "messages": [{"role": "user", "content": "", "row": [1], "Content": "OTHER TEXT"}]}),
        without_what_else_is_in_messages,
    ),
    "unknown keywords of tools": (("chat", {"model": "m", "tools": RAW_TOOLS}), without_unknown_keywords),
    "the order of a union": (
        ("chat", {"model": "m", "tools": [of_four_types, of_four_types_reversed]}),
        with_types_in_order,
    ),
    "what is in the types of functions": (("chat", {"model": "m", "tools": [of_lists]}), with_names_of_types_alone),
    "formats in the types of functions": (
        ("chat", {"model": "m", "tools": [of_formats]}),
        without_what_is_told_of_parameters,
    ),
    "texts in the types of functions": (
        ("chat", {"model": "m", "tools": [with_texts]}),
        without_what_is_told_of_parameters,
    ),
    "None among the choices of a Literal": (("chat", {"model": "m", "tools": [of_some]}), without_choices),
    "*args and **kwargs of functions": (
        ("chat", {"model": "m", "tools": [of_many]}),
        without_parameters("args", "kwargs"),
    ),
    "self of a function in a class": (("chat", {"model": "m", "tools": [Adder.add]}), without_parameters("self")),
    "docstrings in another style than Google's": (
        ("chat", {"model": "m", "tools": [in_numpys_style, in_sphinxs_style]}),
        with_the_first_line_alone,
    ),
    "lines with a colon under Args": (
        ("chat", {"model": "m", "tools": [with_a_colon]}),
        without_what_is_told_of_parameters,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_difference_in_a_body_is_one_and_no_more(name: str, pair: Beside) -> None:
    (method, arguments), undo = CASES[name]
    pair.answer = answer_to(method)
    outcomes = pair.all(method, arguments)
    theirs, ours = ([outcomes[one] for one in PACKAGES if one.is_ours is which] for which in (False, True))
    for their, our in zip(theirs, ours, strict=True):
        assert their.requests != our.requests
        assert requests_of(their, [undo]) == requests_of(our, [undo])


def keeping(thing: Any) -> tuple[list[Any], list[Any]]:
    """Give messages and tools, as dicts and as objects, that hold *thing* where nothing is sent of it."""
    kept = {"row": thing, "Content": "OTHER TEXT"}
    function = {"name": "f", "arguments": {"row": 1}, "index": 0, **kept}
    call = {"function": function, "id": "call_1", "type": "function", **kept}
    made = Made("Message.ToolCall", {**call, "function": Made("Message.ToolCall.Function", function)})
    odd = {"function": {**function, "index": "0"}, "id": 5}
    tool = {
        "type": "function",
        "function": {
            "name": "f",
            "strict": True,
            "parameters": {"properties": {"a": {"type": "string", "const": None}}, "title": "A"},
            **kept,
        },
        **kept,
    }
    return [
        {"role": "user", "content": "hi", "tool_call_id": 5, **kept},
        {"role": "assistant", "tool_calls": [call, odd], **kept},
        {"role": "assistant", "tool_calls": [made], **kept},
        Made("Message", {"role": "assistant", "tool_calls": [made, call], **kept}),
        Made("Message", {"role": "tool", "content": "3", "tool_call_id": "call_1", "tool_name": "f", **kept}),
    ], [tool, Made("Tool", tool), add]


CALL_SENT = {"function": {"name": "f", "arguments": {"row": 1}, "index": 0}, "id": "call_1"}
MESSAGES_SENT: list[dict[str, Any]] = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "tool_calls": [CALL_SENT, {"function": {"name": "f", "arguments": {"row": 1}}}]},
    {"role": "assistant", "tool_calls": [CALL_SENT]},
    {"role": "assistant", "tool_calls": [CALL_SENT, CALL_SENT]},
    {"role": "tool", "content": "3", "tool_name": "f", "tool_call_id": "call_1"},
]
PARAMETERS_SENT = {"type": "object", "properties": {"a": {"type": "string", "const": None}}, "title": "A"}
TOOL_SENT = {"type": "function", "function": {"name": "f", "parameters": PARAMETERS_SENT}}


LOOP = deque[Any]()
LOOP.append(LOOP)


@pytest.mark.parametrize("thing", [object(), add, {1: 2}, LOOP], ids=["object", "function", "dict", "loop"])
def test_what_a_program_keeps_in_messages_and_tools_is_not_sent(thing: Any, pair: Beside) -> None:
    pair.answer = answer_to("chat")
    messages, tools = keeping(thing)
    outcomes = pair.all("chat", {"model": "m", "messages": messages, "tools": tools})
    expected, *others = [outcome.requests[0][2] for outcome in outcomes.values()]
    for package, body in zip(PACKAGES[1:], others, strict=True):
        if package.is_ours:
            assert body["messages"] == MESSAGES_SENT
            assert body["tools"][:2] == [TOOL_SENT, TOOL_SENT]
            without_unknown_parts_of_messages(body)
            without_unknown_keywords(body)
        assert body == expected


def test_what_a_program_keeps_in_messages_for_a_new_model_is_not_sent(pair: Beside) -> None:
    pair.answer = answer_to("create")
    messages, _ = keeping(object())
    for package, outcome in pair.all("create", {"model": "m", "messages": messages}).items():
        if not package.is_ours:
            assert isinstance(outcome.error, TypeError)
        else:
            ((_, _, body),) = outcome.requests
            assert body["messages"] == MESSAGES_SENT


CALLING = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"x": [1, {"y": add}]}}}]}
SHOWING = {"function": {"parameters": {"properties": {"a": {"default": object()}}}}}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"messages": [USER, CALLING]}, "messages[1].tool_calls[0].function.arguments.x[1].y"),
        ({"tools": [add, SHOWING]}, "tools[1].function.parameters.properties.a.default"),
        ({"options": {"a": 1, "b": (0.5, float("inf"))}}, "options.b[1]"),
        ({"options": {"a": {b"b": 1}}}, "options.a"),
    ],
)
def test_what_has_no_json_form_is_told_with_its_place(
    arguments: dict[str, Any], place: str, stream: bool, pair: Beside
) -> None:
    pair.answer = answer_to("chat")
    outcomes = pair.all("chat", {"model": "m", "stream": stream, **arguments})
    for package, outcome in outcomes.items():
        if package.is_ours:
            assert isinstance(outcome.error, TypeError | ValueError)
            assert outcome.error.__notes__ == [f"in {place}"]
            assert outcome.sent == []
        if "tools" not in arguments:  # of which the genuine package does not send the default
            assert outcome.failure == outcomes[PACKAGES[0]].failure


@pytest.mark.parametrize("method", ["chat", "create"])
def test_nothing_is_taken_out_of_the_messages_of_a_program(method: str, pair: Beside) -> None:
    pair.answer = answer_to(method)
    mine, same = ([one for one in keeping(add)[0] if isinstance(one, dict)][:2] for _ in range(2))
    getattr(pair.clients[Package(OURS, "blocking")], method)("m", messages=mine)
    assert json.loads(pair.server.requests[-1].body)["messages"] == MESSAGES_SENT[:2]
    assert mine == same


def test_keys_that_are_no_text_are_not_sent(pair: Beside) -> None:
    pair.answer = answer_to("chat")
    for outcome in pair.all("chat", {"model": "m", "messages": [{"role": "user", "content": "a", 5: 1}]}).values():
        assert outcome.requests[0][2]["messages"] == [{"role": "user", "content": "a"}]


@shows("dates and Enums")
def test_dates_and_enums_are_sent_as_text(pair: Beside) -> None:
    pair.answer = answer_to("chat")
    now = {"at": datetime(2026, 1, 2, tzinfo=UTC), "id": UUID(int=1), "kind": Kind.ONE}
    for package, outcome in pair.all("chat", {"model": "m", "options": now}).items():
        if not package.is_ours:
            assert isinstance(outcome.error, TypeError)
        else:
            ((_, _, body),) = outcome.requests
            assert body["options"] == {"at": "2026-01-02T00:00:00+00:00", "id": str(UUID(int=1)), "kind": "one"}


class Kind(Enum):
    ONE = "one"


@shows("types that no JSON schema has")
def test_a_type_that_has_no_schema_is_an_error_with_its_place(pair: Beside) -> None:
    def takes(x: Adder) -> None: ...

    for package, outcome in pair.all("chat", {"model": "m", "tools": [takes]}).items():
        assert outcome.requests == []
        if not package.is_ours:
            assert isinstance(outcome.error, pydantic.errors.PydanticSchemaGenerationError)
        else:
            assert isinstance(outcome.error, ToolSchemaError)
            assert "takes's parameter 'x'" in str(outcome.error)


@shows("the User-Agent")
def test_the_user_agent_says_more(pair: Beside) -> None:
    pair.answer = answer_to("ps")
    theirs, _, ours, _ = [outcome.headers[0]["user-agent"] for outcome in pair.all("ps", {}).values()]
    assert ours == f"{theirs} ollama-fast/{version('ollama_fast')}"


@shows("the length of a file")
def test_a_file_is_sent_with_its_length(pair: Beside, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100_000)
    pair.answer = lambda _: faulty(None, whole(201, b"", "text/plain"))
    outcomes = pair.all("create_blob", {"path": path})
    seen = {(*map(str, outcome.parts), outcome.sent[0].path, outcome.sent[0].sha256) for outcome in outcomes.values()}
    assert len(seen) == 1
    assert [outcome.headers[0].get("content-length") for outcome in outcomes.values()] == ["100000", None] + 2 * [
        "100000"
    ]


class Refusing(httpx.MockTransport):
    """Keeps what is sent, and answers with nothing of use."""

    def __init__(self) -> None:
        super().__init__(self._answered)
        self.requests: list[httpx.Request] = []

    def _answered(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(200, json={"results": [{"url": "u"}], "models": [], "title": "t"})


def asked(package: Package, method: str, arguments: dict[str, Any], **options: Any) -> tuple[httpx.Request | None, str]:
    """Give the request that a client of its own makes, or the error that it raises."""
    transport = Refusing()
    try:
        if package.asynchronous:

            async def ask() -> None:
                async with package.kind(transport=transport, **options) as client:
                    await getattr(client, method)(**arguments)

            asyncio.run(ask())
        else:
            with package.kind(transport=transport, **options) as client:
                getattr(client, method)(**arguments)
    except ValueError as exc:
        return None, str(exc)
    return transport.requests[0], ""


@pytest.mark.parametrize("key", ["of the client", "of the environment", "none"])
@pytest.mark.parametrize("call", [("web_search", {"query": "q", "max_results": 2}), ("web_fetch", {"url": "u"})])
@pytest.mark.parametrize("colour", COLOURS)
def test_the_web_is_asked_alike(call: Call, key: str, colour: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    if key == "of the environment":
        monkeypatch.setenv("OLLAMA_API_KEY", "k")
    options: dict[str, Any] = {"headers": {"Authorization": "Bearer k"}} if key == "of the client" else {}
    (theirs, their_error), (ours, our_error) = (asked(Package(module, colour), *call, **options) for module in MODULES)
    assert our_error == their_error
    assert (their_error == "") is (colour == "asyncio" or key != "none")
    if theirs is not None and ours is not None:
        assert (ours.method, ours.url, json.loads(ours.read())) == (
            theirs.method,
            theirs.url,
            json.loads(theirs.read()),
        )
        assert ours.headers.get("authorization") == theirs.headers.get("authorization")


@shows("the key of the environment")
@pytest.mark.parametrize(
    ("host", "theirs_has", "ours_has"),
    [("https://example.com", True, False), ("https://ollama.com", True, True), ("http://127.0.0.1:1", True, True)],
)
def test_the_key_of_the_environment_goes_where_it_belongs(
    host: str, theirs_has: bool, ours_has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "k")
    for package in PACKAGES:
        request, _ = asked(package, "ps", {}, host=host)
        assert request is not None
        assert ("authorization" in request.headers) is (ours_has if package.is_ours else theirs_has)


def test_spaces_around_a_key_of_the_environment_are_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, theirs, ours in ((" k ", "Bearer  k", "Bearer k"), ("a\nb", "Bearer a\nb", None)):
        monkeypatch.setenv("OLLAMA_API_KEY", key)
        for package in PACKAGES:
            request, error = asked(package, "ps", {}, host="http://127.0.0.1:1")
            wanted = ours if package.is_ours else theirs
            assert (request and request.headers["authorization"].rstrip(" ")) == wanted
            assert (error != "") is (wanted is None)


@shows("proxies of the environment")
def test_the_proxy_of_the_environment_is_not_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with beside(trust_env=True) as pair:
        pair.answer = answer_to("ps")
        for package, outcome in pair.all("ps", {}).items():
            assert isinstance(outcome.error, type(None) if package.is_ours else ConnectionError)


@shows("credentials in a host")
def test_credentials_in_a_host_are_sent() -> None:
    for package in PACKAGES:
        request, _ = asked(package, "ps", {}, host="http://user:password@127.0.0.1:1")
        assert request is not None
        assert request.headers.get("authorization") == ("Basic dXNlcjpwYXNzd29yZA==" if package.is_ours else None)


# --- requests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_the_same_call_sends_the_same_request(method: str, pair: Beside) -> None:
    pair.answer = answer_to(method)
    undone = UNDONE.values()

    @settings(max_examples=HOW_MANY.get(method, 15))
    @given(arguments=METHODS[method])
    def compare(arguments: dict[str, Any]) -> None:
        outcomes = pair.all(method, arguments)
        (_, expected), *others = outcomes.items()
        for package, outcome in others:
            where = f"{package}: {method}(**{arguments!r})"
            assert requests_of(outcome, undone) == requests_of(expected, undone), where
            assert headers_of(outcome) == headers_of(expected), where
            assert outcome.failure == expected.failure, where
            assert outcome.dumps == expected.dumps, where

    compare()


def headers_of(outcome: Outcome) -> list[Any]:
    """Give the headers but that of the program, and the length, which is that of a body that has been compared."""
    for headers in (found := outcome.headers):
        del headers["user-agent"]
        headers.pop("content-length", None)
    return found


HOSTS = sorted({case["input"] for case in json.loads(Path(__file__).with_name("host-cases.json").read_text("utf-8"))})


@pytest.mark.parametrize("text", HOSTS)
def test_a_host_is_read_alike_but_for_what_is_listed(text: str) -> None:
    def read(package: ModuleType) -> str:
        try:
            found: str = sys.modules[f"{package.__name__}._client"]._parse_host(text)
        except ValueError:
            return "ValueError"
        return found

    theirs, ours = map(read, MODULES)
    assert (theirs != ours) is (text in differences.HOSTS)


def test_the_listed_hosts_are_all_looked_at() -> None:
    assert set(differences.HOSTS) <= set(HOSTS)


# --- answers ---------------------------------------------------------------------------------------------------------

ASKING: dict[str, Call] = {
    "/api/generate": ("generate", {"model": "m", "prompt": "x"}),
    "/api/chat": ("chat", {"model": "m", "messages": [USER]}),
    "/api/embed": ("embed", {"model": "m", "input": "x"}),
    "/api/embeddings": ("embeddings", {"model": "m", "prompt": "x"}),
    "/api/pull": ("pull", {"model": "m"}),
    "/api/push": ("push", {"model": "m"}),
    "/api/create": ("create", {"model": "m", "from_": "x"}),
    "/api/delete": ("delete", {"model": "m"}),
    "/api/copy": ("copy", {"source": "a", "destination": "b"}),
    "/api/show": ("show", {"model": "m"}),
    "/api/tags": ("list", {}),
    "/api/ps": ("ps", {}),
    "/v1/systemone": ("systemone", {"model": "m", "state": "x", "questions": {}}),
}
"""Which method asks for a path."""


def answers(*folders: str) -> dict[str, exchange.Exchange]:
    """Give what can be asked for by the methods of clients, by name."""
    return {
        name: found
        for folder in folders
        for name, found in exchange.load_all(Path(__file__).with_name(folder)).items()
        if found.request.path in ASKING
    }


ANSWERED = answers("exchanges", "newer")
FAULTS = answers("faults")


def call_for(recorded: exchange.Exchange) -> Call:
    method, arguments = ASKING[recorded.request.path]
    streamed = recorded.call.function.endswith("_stream") or (
        recorded in FAULTS.values() and "ndjson" in (recorded.response.header("content-type") or "")
    )
    return method, arguments | ({"stream": True} if streamed else {})


def pruned(ours: Any, theirs: Any) -> Any:
    """Leave out of a dump the fields that the other has not."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return {name: pruned(value, theirs[name]) for name, value in ours.items() if name in theirs}
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [pruned(one, other) for one, other in zip(ours, theirs, strict=True)]
    return ours


def outcomes_of(pair: Beside, recorded: exchange.Exchange) -> list[tuple[Outcome, Outcome]]:
    """Give what the genuine package and ours make of an answer, in both colours."""
    pair.answer = lambda _: faulty(None, recorded.response, recorded.request.method)
    outcomes = pair.all(*call_for(recorded))
    return [(outcomes[Package(GENUINE, colour)], outcomes[Package(OURS, colour)]) for colour in COLOURS]


@pytest.mark.parametrize("name", ANSWERED)
def test_the_same_answer_gives_the_same_result(name: str, pair: Beside) -> None:
    for theirs, ours in outcomes_of(pair, ANSWERED[name]):
        assert theirs.parts or theirs.error
        assert ours.failure == theirs.failure
        assert pruned(ours.dumps, theirs.dumps) == theirs.dumps
        assert [type(part).__name__ for part in ours.parts] == [type(part).__name__ for part in theirs.parts]


@shows("types of scalars")
def test_a_scalar_of_another_type_is_taken_as_it_is(pair: Beside) -> None:
    body = json.dumps({"message": {"role": "assistant", "content": "hi"}, "created_at": 5, "done": True}).encode()
    pair.answer = lambda _: faulty(None, whole(200, body, "application/json"))
    for package, outcome in pair.all("chat", {"model": "m"}).items():
        if not package.is_ours:
            assert isinstance(outcome.error, pydantic.ValidationError)
        else:
            assert outcome.parts[0].created_at == 5


@shows("unknown fields")
def test_fields_that_only_a_newer_server_sends_are_kept(pair: Beside) -> None:
    for theirs, ours in outcomes_of(pair, ANSWERED["chat_native_tools"]):
        assert theirs.dumps != ours.dumps
        (call, *_), (kept, *_) = (
            next(part.message.tool_calls for part in outcome.parts if part.message.tool_calls)
            for outcome in (theirs, ours)
        )
        assert "id" not in call.model_dump()
        assert kept.model_dump()["id"] == kept.id == kept["id"] != ""


# --- failures --------------------------------------------------------------------------------------------------------

WORTH_CATCHING = {*CAUGHT} - {"AttributeError", "TypeError", "ValueError", "ValidationError"}
"""The others tell of a defect: nobody catches them for what the server sent."""


def is_still_caught(ours: Outcome, theirs: Outcome) -> bool:
    if theirs.failure is None or ours.failure is None:
        return True
    return set(theirs.failure[0]) & WORTH_CATCHING <= set(ours.failure[0])


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_raised_alike_but_for_what_is_listed(name: str, pair: Beside) -> None:
    for theirs, ours in outcomes_of(pair, FAULTS[name]):
        assert is_still_caught(ours, theirs)
        alike = (ours.failure, pruned(ours.dumps, theirs.dumps)) == (theirs.failure, theirs.dumps)
        assert alike is (name not in differences.FAILURES)
        if ours.error is not None:
            assert alike or isinstance(ours.error, ResponseError | ConnectionError)
            assert str(ours.error).partition(" (status code")[0] != ""


@shows("refused")
@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_the_builtin_error_for_a_stream_too(stream: bool) -> None:
    with beside(host="http://127.0.0.1:1") as pair:
        for package, outcome in pair.all("chat", {"model": "m", "stream": stream}).items():
            assert outcome.failure is not None
            kinds, text, _ = outcome.failure
            of_stream = ["ConnectionError", "ConnectError"] if package.is_ours else ["ConnectError"]
            assert kinds == (of_stream if stream else ["ConnectionError"])
            assert (not package.is_ours and stream) or text == CONNECTION_ERROR_MESSAGE


@shows("cut by the network")
def test_a_stream_that_the_network_cuts_is_a_response_error_too(pair: Beside) -> None:
    part = json.dumps({"message": {"role": "assistant", "content": "Hel"}, "done": False}).encode() + b"\n"
    reply = Reply(200, (("Content-Type", "application/x-ndjson"),), (Chunk(0, part),))

    def answer(_: replay.Received) -> Iterator[replay.Action]:
        return faulty(Fault.cut("close", byte=-5), reply)

    pair.answer = answer
    for package, outcome in pair.all("chat", {"model": "m", "stream": True}).items():
        assert len(outcome.parts) == 1
        assert isinstance(outcome.error, httpx.RemoteProtocolError)
        assert isinstance(outcome.error, ResponseError) is package.is_ours


@pytest.mark.parametrize("stream", [False, True])
def test_a_timeout_is_that_of_httpx(stream: bool) -> None:
    with beside(timeout=0.05) as pair:
        pair.answer = lambda _: [1.0]
        for outcome in pair.all("chat", {"model": "m", "stream": stream}).values():
            assert isinstance(outcome.error, httpx.ReadTimeout)
            assert not isinstance(outcome.error, ResponseError | ollama.ResponseError)


# --- behaviour -------------------------------------------------------------------------------------------------------


@shows("import under a bad OLLAMA_HOST")
@pytest.mark.parametrize("package", MODULES, ids=lambda package: package.__name__)
def test_a_bad_environment_matters_at_the_first_call_only(package: ModuleType) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {package.__name__}"],
        env={**os.environ, "OLLAMA_HOST": "localhost:abc"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode == 0) is (package is not ollama)


LOOPS = """
import asyncio, sys
import {package} as package
client = package.AsyncClient(sys.argv[1])
for _ in range(2):
    asyncio.run(client.ps())
"""


@shows("several event loops")
@pytest.mark.parametrize("package", MODULES, ids=lambda package: package.__name__)
def test_a_client_serves_several_event_loops(package: Any, pair: Beside) -> None:
    pair.answer = answer_to("ps")
    program = LOOPS.format(package=package.__name__)
    done = subprocess.run([sys.executable, "-c", program, pair.server.url], capture_output=True, text=True, check=False)
    assert ("Event loop is closed" in done.stderr) is (package is ollama)
    assert (done.returncode == 0) is (package is not ollama)


# --- the list --------------------------------------------------------------------------------------------------------


def test_all_that_is_listed_is_shown_and_all_that_is_shown_is_listed() -> None:
    listed = {*differences.REQUESTS, *differences.ANSWERS, *differences.FAILURES, *differences.BEHAVIOUR}
    assert listed - FAULTS.keys() == {*CASES, *SHOWN}
    assert set(UNDONE) < set(CASES)
