"""Calls of models to calls of functions: arguments, errors that a model can read, messages."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import enum
import functools
import inspect
import os
import pickle
import uuid
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter
from typing_extensions import TypedDict

import callables
from callables import SHAPES
from ollama_fast.errors import OllamaError, ToolCallError, ToolSchemaError
from ollama_fast.tools import error_message, prepare, result_message, tool
from tool_table import Address, Cart, Colour, Customer, Level, Order, Pair, Person, Pet, Point, UserId

pytestmark = pytest.mark.unsent


def call_of(name: str, arguments: Any, **more: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}, **more}


def echo_of(annotation: Any, default: Any = inspect.Parameter.empty) -> Callable[..., Any]:
    """Give a function of one parameter that gives its argument."""

    def echo(x: Any) -> Any:
        return x

    echo.__annotations__["x"] = annotation
    if default is not inspect.Parameter.empty:
        echo.__defaults__ = (default,)
    return echo


def converted(annotation: Any, value: Any, **more: Any) -> Any:
    return prepare([echo_of(annotation, **more)], call_of("echo", {"x": value}))()


# --- callables -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("function", "name", "parameters"), SHAPES.values(), ids=SHAPES)
def test_a_callable_of_any_shape_is_called(function: Any, name: str, parameters: dict[str, Any]) -> None:
    arguments = {key: value for key, value in {"a": "1", "b": 2.0}.items() if key in parameters["properties"]}
    prepared = prepare([callables.google, function], call_of(name, arguments))
    assert isinstance(prepared, functools.partial)
    waits = "async" in next(title for title, (shape, _, _) in SHAPES.items() if shape is function)
    assert inspect.iscoroutinefunction(prepared) is waits
    assert (asyncio.run(prepared()) if waits else prepared()) == 3


def test_a_function_is_found_by_the_name_of_a_mapping() -> None:
    tools = {"plus": callables.add, "times": lambda a, b: a * b}
    assert prepare(tools, call_of("plus", {"a": 1, "b": 2}))() == 3
    assert prepare(tools, call_of("times", {"a": 3, "b": 2}))() == 6
    with pytest.raises(ToolCallError, match="there is no tool 'add'; the tools are: plus, times"):
        prepare(tools, call_of("add", {"a": 1, "b": 2}))


@pytest.mark.parametrize(
    ("arguments", "gives"),
    [
        ({"a": 1}, 2),
        ({"a": 1, "b": 2}, 3),
        ({"a": 1, "rest": [10, 20]}, 32),
        ({"a": 1, "b": 5, "rest": ["10"], "more": 100}, 116),
        ({"a": 1, "others": {"z": 1000}}, 1002),
        ({"a": 1, "b": 2, "rest": [3], "more": 4, "others": {"y": 5}}, 15),
        ({"a": 1, "rest": [], "others": {}}, 2),
    ],
)
def test_stars_take_lists_and_objects(arguments: dict[str, Any], gives: int) -> None:
    assert prepare([callables.spread], call_of("spread", arguments))() == gives


@pytest.mark.parametrize(("arguments", "gives"), [({"a": 1}, 111), ({"a": 1, "c": 2}, 13), ({"a": 1, "b": 2}, 103)])
def test_positional_defaults_stand_in_for_what_is_missing(arguments: dict[str, Any], gives: int) -> None:
    assert prepare([callables.positional_defaults], call_of("positional_defaults", arguments))() == gives


def test_defaults_are_left_to_the_function() -> None:
    marked = object()
    prepared = prepare([echo_of(Any, marked)], call_of("echo", {}))
    assert (prepared.args, prepared.keywords) == ((), {})
    assert prepared() is marked


def test_the_default_of_a_field_is_its_value() -> None:
    assert prepare([echo_of(int, Field(5, ge=1))], call_of("echo", {}))() == 5
    assert prepare([echo_of(list[int], Field(default_factory=list))], call_of("echo", None))() == []
    with pytest.raises(ToolCallError, match="greater than or equal to 1"):
        prepare([echo_of(int, Field(5, ge=1))], call_of("echo", {"x": 0}))


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "value", "gives"),
    [
        (int, "3", 3),
        (int, 3.0, 3),
        (float, "2.5", 2.5),
        (float, 2, 2.0),
        (bool, "true", True),
        (str, 12345, "12345"),
        (str, "3", "3"),
        (dt.date, "2024-01-31", dt.date(2024, 1, 31)),
        (dt.datetime, "2024-01-31T12:00:00Z", dt.datetime(2024, 1, 31, 12, tzinfo=dt.UTC)),
        (dt.timedelta, "PT90S", dt.timedelta(seconds=90)),
        (uuid.UUID, "12345678-1234-5678-1234-567812345678", uuid.UUID("12345678-1234-5678-1234-567812345678")),
        (Path, "/tmp/a", Path("/tmp/a")),
        (Decimal, "0.10", Decimal("0.10")),
        (Decimal, 0.1, Decimal("0.1")),
        (bytes, "hällo", "hällo".encode()),
        (Colour, "red", Colour.RED),
        (Level, 2, Level.HIGH),
        (Level, "2", Level.HIGH),
        (Level, 2.0, Level.HIGH),
        (list[Colour], ["red", "blue"], [Colour.RED, Colour.BLUE]),
        (Point, {"x": 1}, Point(1.0)),
        (Point | None, {"x": "1", "y": 2}, Point(1.0, 2.0)),
        (Point | dict[str, Any], {"x": 1}, Point(1.0)),
        (Person, {"name": "A", "age": "3"}, {"name": "A", "age": 3}),
        (Pair, [1, "b"], Pair(1, "b")),
        (tuple[int, str], ["1", "b"], (1, "b")),
        (set[int], [1, 1, 2], {1, 2}),
        (Iterable[int], ["1", 2], [1, 2]),
        (dict[int, str], {"1": "a"}, {1: "a"}),
        (UserId, "7", 7),
        (Address, {"street": "S", "zip_code": 12345}, None),
        (Order, {"number": "1", "items": ["a"]}, Order(1, ["a"])),
        (list[Order] | None, [{"number": 1.0}], [Order(1)]),
        (Cart, {"orders": [{"number": 1}]}, Cart([Order(1)])),
        (Any, {"a": [1, None]}, {"a": [1, None]}),
        (int | str, "3", "3"),
        (int | str, 3, 3),
        (str | int, 3, 3),
        (Literal["a", 1], 1, 1),
        # What models do besides: JSON as text in JSON, and null for what they do not give.
        (list[int], "[1, 2]", [1, 2]),
        (Point, '{"x": 1}', Point(1.0)),
        (str, "[1, 2]", "[1, 2]"),
        (int | None, None, None),
    ],
)
def test_a_value_is_converted(annotation: Any, value: Any, gives: Any) -> None:
    if annotation is Address:  # a model has rules of its own: numbers are no texts
        with pytest.raises(ToolCallError, match=r"the argument 'x\.zip_code' is 12345: Input should be a valid string"):
            converted(annotation, value)
        return
    given = converted(annotation, value)
    assert given == gives
    assert type(given) is type(gives)


def test_null_for_an_argument_with_a_default_is_the_default() -> None:
    assert converted(int, None, default=5) == 5
    assert converted(int | None, None, default=5) is None
    with pytest.raises(ToolCallError, match="'x' is null: Input should be a valid integer"):
        converted(int, None)


@pytest.mark.parametrize("arguments", ['{"a": 1, "b": "2"}', b'{"a": 1, "b": "2"}'])
def test_arguments_may_be_json_text(arguments: Any) -> None:
    assert prepare([callables.add], call_of("add", arguments))() == 3


@pytest.mark.parametrize("arguments", [None, "", {}, "{}"])
def test_no_arguments_are_no_arguments(arguments: Any) -> None:
    def function(x: int = 1) -> int:
        return x

    assert prepare([function], call_of("function", arguments))() == 1
    call = {"function": {"name": "function"}}
    assert prepare([function], call)() == 1


def test_a_call_is_not_changed() -> None:
    call = call_of("echo", {"x": '[{"x": 1}]'})
    before = repr(call)
    assert prepare([echo_of(list[Point])], call)() == [Point(1.0)]
    assert repr(call) == before


# --- round trips -----------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
MOMENTS = st.datetimes(timezones=st.just(dt.UTC))
POINTS = st.builds(Point, NUMBERS, NUMBERS)
ORDERS = st.builds(Order, st.integers(-(2**53), 2**53), st.lists(TEXT), st.none() | st.floats(0.5, 100))
ADDRESSES = st.builds(Address, street=TEXT, zip_code=st.from_regex(r"\A[0-9]{5}\Z"), country=TEXT)

ROUND_TRIPS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "str": (str, TEXT),
    "int": (int, st.integers()),
    "float": (float, NUMBERS),
    "bool": (bool, st.booleans()),
    "bytes": (bytes, TEXT.map(str.encode)),
    "optional": (int | None, st.none() | st.integers()),
    "union": (int | str | None, st.none() | st.integers() | TEXT),
    "float or int": (float | int, st.integers() | NUMBERS),
    "literal": (Literal["a", 1] | None, st.sampled_from(["a", 1, None])),
    "enum": (Colour, st.sampled_from(Colour)),
    "int enum": (Level, st.sampled_from(Level)),
    "list": (list[str], st.lists(TEXT)),
    "list of lists": (list[list[int]], st.lists(st.lists(st.integers()))),
    "tuple": (tuple[int, str, bool], st.tuples(st.integers(), TEXT, st.booleans())),
    "long tuple": (tuple[int, ...], st.lists(st.integers()).map(tuple)),
    "set": (set[int], st.sets(st.integers())),
    "frozenset": (frozenset[str], st.frozensets(TEXT)),
    "dict": (dict[str, list[int]], st.dictionaries(TEXT, st.lists(st.integers()))),
    "dict by int": (dict[int, str], st.dictionaries(st.integers(), TEXT)),
    "date": (dt.date, st.dates()),
    "datetime": (dt.datetime, MOMENTS),
    "time": (dt.time, st.times()),
    "timedelta": (dt.timedelta, st.timedeltas(dt.timedelta(-9999), dt.timedelta(9999))),
    "uuid": (uuid.UUID, st.uuids()),
    "path": (Path, st.lists(st.from_regex(r"\A[a-z]{1,8}\Z"), min_size=1).map(lambda steps: Path(*steps))),
    "decimal": (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    "dataclass": (Point, POINTS),
    "dataclasses": (dict[str, list[Point | None]], st.dictionaries(TEXT, st.lists(st.none() | POINTS))),
    "typed dict": (Person, st.fixed_dictionaries({"name": TEXT}, optional={"age": st.integers()})),
    "named tuple": (Pair, st.builds(Pair, st.integers(), TEXT)),
    "model": (Address, ADDRESSES),
    "models": (Customer, st.builds(Customer, name=TEXT, addresses=st.lists(ADDRESSES, max_size=3))),
    "struct": (Order, ORDERS),
    "structs": (Cart, st.builds(Cart, st.lists(ORDERS, max_size=3), st.none() | ORDERS)),
    "bounds": (Annotated[int, Field(ge=0, le=9)], st.integers(0, 9)),
}


def json_of(annotation: Any, value: Any) -> Any:
    if annotation in (Order, Cart):
        return msgspec.to_builtins(value)
    return TypeAdapter(annotation).dump_python(value, mode="json")


FUNCTIONS = {name: echo_of(annotation) for name, (annotation, _) in ROUND_TRIPS.items()}


@pytest.mark.parametrize("name", ROUND_TRIPS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_value_comes_back_from_its_json(name: str, data: st.DataObject) -> None:
    annotation, strategy = ROUND_TRIPS[name]
    value = data.draw(strategy)
    given_back = prepare([FUNCTIONS[name]], call_of("echo", {"x": json_of(annotation, value)}))()
    assert given_back == value
    assert type(given_back) is type(value)


# --- errors ----------------------------------------------------------------------------------------------------------


def refused(tools: Any, call: Any) -> ToolCallError:
    with pytest.raises(ToolCallError) as caught:
        prepare(tools, call)
    assert isinstance(caught.value, OllamaError)
    assert caught.value.tool == call["function"]["name"]
    assert caught.value.call is call
    return caught.value


def test_an_unknown_tool_is_an_error_that_names_the_tools() -> None:
    error = refused([callables.add, callables.google], call_of("ad", {}))
    assert (error.kind, str(error)) == ("unknown", "there is no tool 'ad'; the tools are: add, google")
    assert str(refused([], call_of("ad", {}))) == "there is no tool 'ad'; there are no tools"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            {"a": "x", "b": 1},
            (
                "add: the argument 'a' is \"x\": Input should be a valid integer, unable to parse string as an "
                "integer; the arguments are: a, b"
            ),
        ),
        ({"a": 1}, "add: the argument 'b' is missing; the arguments are: a, b"),
        ({"a": 1, "b": 2, "c": 3}, "add: there is no argument 'c'; the arguments are: a, b"),
        ([1, 2], "add: the arguments must be an object; the arguments are: a, b"),
        ("{", "add: the arguments are no JSON"),
        ("3", "add: the arguments must be an object; the arguments are: a, b"),
        ({"a": [1] * 1000, "b": 1}, "add: the argument 'a' is [1,1,"),
        ({"a": 1.5, "b": 1}, "add: the argument 'a' is 1.5: Input should be a valid integer, got a number with"),
    ],
)
def test_wrong_arguments_are_an_error_that_a_model_can_read(arguments: Any, says: str) -> None:
    error = refused([callables.add], call_of("add", arguments))
    assert error.kind == "arguments"
    assert str(error).startswith(says)
    assert len(str(error)) < 500
    assert error.__cause__ is not None


class Unruly:
    """What raises the error that it is given the name of."""

    def __init__(self, error: str) -> None:
        raise {"TypeError": TypeError, "KeyError": KeyError, "RecursionError": RecursionError}[error]("why")


@dataclasses.dataclass
class Share:
    whole: int
    parts: int

    def __post_init__(self) -> None:
        self.each = self.whole // self.parts


def test_what_types_raise_when_arguments_are_converted_is_told() -> None:
    call = call_of("echo", {"x": {"whole": 1, "parts": 0}})
    error = refused([echo_of(Share)], call)
    said = "echo: the arguments cannot be converted: ZeroDivisionError: "
    assert (error.kind, str(error)[: len(said)]) == ("arguments", said)
    assert isinstance(error.__cause__, ZeroDivisionError)
    # The second reading, of JSON as text within the JSON, is no exception.
    error = refused([echo_of(Share)], call_of("echo", {"x": '{"whole": 1, "parts": 0}'}))
    assert isinstance(error.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("name", ["TypeError", "KeyError", "RecursionError"])
def test_any_error_of_a_validator_is_one_of_the_arguments(name: str) -> None:
    error = refused([echo_of(Annotated[str, AfterValidator(Unruly)])], call_of("echo", {"x": name}))
    assert error.kind == "arguments"
    assert f"cannot be converted: {name}: " in str(error)
    assert type(error.__cause__).__name__ == name


def test_a_wrong_field_is_named_by_its_place() -> None:
    error = refused([echo_of(list[Point])], call_of("echo", {"x": [{"x": 1}, {"y": 2}]}))
    assert "the argument 'x.1.x' is missing" in str(error)
    error = refused([echo_of(Order)], call_of("echo", {"x": {"number": "x"}}))
    assert 'the argument \'x\' is {"number":"x"}: Expected `int`' in str(error)
    error = refused([echo_of(Colour)], call_of("echo", {"x": "green"}))
    assert "the argument 'x' is \"green\": Input should be 'red' or 'blue'" in str(error)


def test_a_dict_is_only_a_schema() -> None:
    error = refused([dict(tool(callables.add))], call_of("add", {"a": 1, "b": 2}))
    assert (error.kind, error.__cause__) == ("uncallable", None)
    assert str(error) == "the tool 'add' is only a dict, so it cannot be called: give the function itself"


def test_a_method_without_its_object_cannot_be_called() -> None:
    error = refused([callables.Adder.method], call_of("method", {"a": 1, "b": 2}))
    assert error.kind == "uncallable"
    assert "is a method without its object" in str(error)


def test_two_functions_of_one_name_are_a_schema_error() -> None:
    with pytest.raises(ToolSchemaError, match="two tools are called 'add'"):
        prepare([callables.add, tool(callables.add)], call_of("add", {"a": 1, "b": 2}))


@pytest.mark.parametrize("call", [None, {}, {"function": None}, {"function": {}}, {"function": {"name": 1}}, "add"])
def test_what_is_no_call_is_a_type_error(call: Any) -> None:
    for function in (
        lambda: prepare([callables.add], call),
        lambda: result_message(call, 1),
        lambda: error_message(call, ValueError("x")),
    ):
        with pytest.raises(TypeError, match="a call must be a mapping"):
            function()


@pytest.mark.parametrize(
    "error",
    [
        ToolCallError("a", kind="arguments", tool="t", call={"function": {"name": "t"}}),
        ToolSchemaError("b", function="f", parameter="p"),
    ],
)
def test_errors_survive_a_pickle(error: OllamaError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))


# --- messages --------------------------------------------------------------------------------------------------------


class Struct(msgspec.Struct):
    a: int
    when: dt.date = dt.date(2024, 1, 31)


class Strange:
    def __repr__(self) -> str:
        return "strange"


class Text(str):
    __slots__ = ()


class Word(str, enum.Enum):  # noqa: UP042 - people have both
    YES = "yes"


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


class Named(NamedTuple):
    a: int


class Typed(TypedDict):
    a: int


@pytest.mark.parametrize(
    ("result", "content"),
    [
        ("text", "text"),
        ("", ""),
        (Text("text"), "text"),
        (Word.YES, "yes"),
        (None, "null"),
        (True, "true"),
        (7, "7"),
        (2.5, "2.5"),
        (Decimal("0.10"), '"0.10"'),
        (dt.date(2024, 1, 31), '"2024-01-31"'),
        (Colour.RED, '"red"'),
        ([1, "ä", None], '[1,"ä",null]'),
        ((1, 2), "[1,2]"),
        ({1}, "[1]"),
        ({"a": Path("/x"), 1: uuid.UUID(int=0)}, '{"a":"/x","1":"00000000-0000-0000-0000-000000000000"}'),
        (Point(1.0), '{"x":1.0,"y":0.0}'),
        ([Named(1)], "[[1]]"),
        (Typed(a=1), '{"a":1}'),
        (Struct(1), '{"a":1,"when":"2024-01-31"}'),
        ([{"b": Struct(1)}], '[{"b":{"a":1,"when":"2024-01-31"}}]'),
        (Address(street="S", zip_code="12345"), '{"street":"S","zip_code":"12345","country":"DE"}'),
        (np.array([[1, 2], [3, 4]]), "[[1,2],[3,4]]"),
        ({"a": np.float32(0.5)}, '{"a":0.5}'),
        (b"text", "text"),
        ([b"text"], '["text"]'),
        ([b"\xff"], '["_w=="]'),
        (Strange(), '"strange"'),
        ([Strange()], '["strange"]'),
        (CIRCLE, "[[...]]"),
        (os.fsdecode(b"a\xff"), "a?"),
        pytest.param((n for n in range(3)), "[0,1,2]", id="a generator-[0,1,2]"),
    ],
    ids=str,
)
def test_a_result_is_a_text_that_a_model_can_read(result: object, content: str) -> None:
    assert dict(result_message(call_of("t", {}), result)) == {"role": "tool", "content": content, "tool_name": "t"}


def test_a_message_names_its_call_if_that_has_an_id() -> None:
    for message in (
        result_message(call_of("t", {}, id="c1"), "r"),
        error_message(call_of("t", {}, id="c1"), OSError()),
    ):
        assert message.get("tool_call_id") == "c1"
    assert "tool_call_id" not in result_message(call_of("t", {}, id=""), "r")


def test_an_error_is_a_message_that_a_model_can_act_on() -> None:
    call = call_of("add", {"a": 1})
    error = refused([callables.add], call)
    assert dict(error_message(call, error)) == {
        "role": "tool",
        "content": "Error: add: the argument 'b' is missing; the arguments are: a, b",
        "tool_name": "add",
    }
    assert error_message(call, KeyError("x")).get("content") == "Error: KeyError: 'x'"
    assert error_message(call, ZeroDivisionError()).get("content") == "Error: ZeroDivisionError"


@dataclasses.dataclass
class Deep:
    pets: list[Pet]


def test_models_are_told_apart_by_their_kind() -> None:
    deep = prepare([echo_of(Deep)], call_of("echo", {"x": {"pets": [{"kind": "dog", "name": "Rex"}]}}))()
    assert [type(pet).__name__ for pet in deep.pets] == ["Dog"]
    assert isinstance(deep.pets[0], BaseModel)


def read_below(root: Literal["/safe"], **options: str) -> str:
    return f"{root} {options}"


def ask_for(user: int, **filters: str) -> str:
    return f"{user} {filters}"


@pytest.mark.parametrize(
    ("function", "arguments", "said"),
    [
        (read_below, {"root": "/safe", "options": {"root": "/etc"}}, "root"),
        (functools.partial(ask_for, user=5), {"filters": {"user": "6"}}, "user"),
        (functools.partial(ask_for, 5), {"filters": {"user": "6"}}, "user"),
        (functools.partial(ask_for, 5, team="a"), {"filters": {"team": "b"}}, "team"),
        (functools.partial(functools.partial(ask_for, team="a"), 5), {"filters": {"team": "b"}}, "team"),
    ],
)
def test_further_keywords_take_no_parameters_place(function: Any, arguments: dict[str, Any], said: str) -> None:
    name = getattr(function, "__name__", "ask_for")
    with pytest.raises(ToolCallError, match=f"there is no further argument '{said}'") as caught:
        prepare([function], {"function": {"name": name, "arguments": arguments}})
    assert caught.value.kind == "arguments"


def test_further_keywords_of_other_names_are_given() -> None:
    arguments = {"root": "/safe", "options": {"a": "b"}}
    ready = prepare([read_below], {"function": {"name": "read_below", "arguments": arguments}})
    assert ready() == "/safe {'a': 'b'}"
