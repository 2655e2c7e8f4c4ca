"""
Functions as the tools of `ollama`: the same as of the genuine package, and beside that what it loses of types.

No `from __future__ import annotations` here: some functions have string annotations, and others must not.
"""

import copy
import dataclasses
import enum
import functools
import gc
import inspect
import json
import weakref
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict, Union, Unpack

import ollama._utils as genuine
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import callables
import tool_table
from ollama_fast.compat import Tool, _utils
from ollama_fast.compat._types import ChatRequest
from ollama_fast.compat._utils import convert_function_to_tool
from ollama_fast.errors import ToolSchemaError

pytestmark = pytest.mark.unsent

Function = Callable[..., Any]


def told(function: Function) -> dict[str, Any]:
    made: dict[str, Any] = convert_function_to_tool(function).model_dump(exclude_none=True)
    return made


def parameters(function: Function) -> dict[str, Any]:
    found: dict[str, Any] = told(function)["function"]["parameters"]
    return found


def property_of(function: Function, name: str = "x") -> dict[str, Any]:
    found: dict[str, Any] = parameters(function)["properties"][name]
    return found


def with_types_in_order(made: dict[str, Any]) -> dict[str, Any]:
    """Put the members of unions into an order, which the genuine package does not keep."""
    made = copy.deepcopy(made)
    for schema in made["function"]["parameters"]["properties"].values():
        schema["type"] = sorted(schema["type"].split(", "))
    return made


# --- as the genuine package does -------------------------------------------------------------------------------------

SIMPLE: list[Function] = []


def simple(function: Function) -> Function:
    SIMPLE.append(function)
    return function


@simple
def no_parameters() -> None: ...


@simple
def plain_types(a: int, b: str, c: float, d: bool, e: Any) -> None:
    """
    Take one of each.

    They are described below.

    Args:
        a: the first
        b (string): the second
        c (float, optional): the third, which goes
            on in the next line

            and after an empty one
        d(boolean):the fourth
        e :
            (maybe) anything at all
    Returns:
        x: nothing
    """


@simple
def unions(
    a: int | str,
    b: Optional[int],  # noqa: UP045 - as people write it
    c: Union[int, str, None] = None,  # noqa: UP007 - the same
    d: float | bool | None = 3,
) -> None:
    """Take unions."""


@simple
def defaults(a: int = 1, *, b: str = "b", c: bool | None = True) -> None:
    pass


defaults.__doc__ = """
    Take defaults.
    args:
      a: one
      b: two
    YIELDS:
      c: three
"""


@simple
def positional(a: int, /, b: int) -> None:
    """Take one by its place."""


@simple
def with_example(city: str) -> str:
    """
    Look up the weather.

    Example:
        with_example("Paris")

    Args:
        city: where

    Raises:
        ValueError: if there is none
    """
    return city


@simple
def only_returns() -> int:
    """
    Count.

    Returns:
        how many
    """
    return 1


@simple
def named_by_underscore(a: int, _client: Path, _b: int = 2) -> None:
    """Keep two to itself."""


@simple
def generating(a: int) -> Iterator[int]:
    """Give a few."""
    yield a


@simple
async def awaited(a: int) -> None:
    """Wait."""


class Adder:
    """Adds."""

    def __init__(self, a: int) -> None:
        """Take one."""

    @classmethod
    def of_class(cls, a: int, b: int) -> int:
        """
        Add.

        Args:
            a: one
            b: two
        """
        return a + b

    @staticmethod
    def static(a: int) -> int:
        """Give it."""
        return a

    def method(self, a: int) -> int:
        """Give it."""
        return a


for each in (Adder, Adder.of_class, Adder.static, Adder(1).method, lambda a, b=1: None):
    simple(each)
for each in (tool_table.without_annotation, tool_table.a_bare_list, tool_table.a_bare_dict):
    simple(each)


def name_of(function: Function) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)


@pytest.mark.parametrize("function", SIMPLE, ids=name_of)
def test_a_simple_function_is_told_as_the_genuine_package_tells_it(function: Function) -> None:
    ours, theirs = convert_function_to_tool(function), genuine.convert_function_to_tool(function)
    assert with_types_in_order(ours.model_dump()) == with_types_in_order(theirs.model_dump())
    assert fields_set(ours) == fields_set(theirs)


def fields_set(model: Any) -> Any:
    """Give which fields of a model, and of those in it, were set: they are what `in` asks for."""
    if isinstance(model, dict):
        return {name: fields_set(below) for name, below in model.items()}
    if isinstance(model, pydantic.BaseModel):
        return {name: fields_set(getattr(model, name)) for name in model.model_fields_set}
    return None


def union_of(types: list[Any]) -> Any:
    union: Any = Union
    return union[tuple(types)]


WORDS = st.sampled_from(["a", "b", "one", "(int)", ":", "x:", "Returns", "(of: them)", ""])
LINES = st.one_of(
    st.sampled_from(["", "Args:", "  args: these", "Returns:", "Yields: it", "RAISES:"]),
    st.builds(lambda words: "  " + " ".join(words).strip(), st.lists(WORDS, min_size=1, max_size=5)),
)


@given(lines=st.lists(LINES, max_size=12))
def test_a_docstring_is_read_as_the_genuine_package_reads_it(lines: list[str]) -> None:
    doc = "\n".join(lines)
    assert _utils._parse_docstring(doc) == genuine._parse_docstring(doc)


def test_no_docstring_has_a_text_for_each_name() -> None:
    assert _utils._parse_docstring(None)["any"] == ""


PLAIN = st.sampled_from([int, str, float, bool, list, dict, Any, inspect.Parameter.empty])
PARAMETERS = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d", "_e"]),
    st.tuples(
        st.one_of(
            PLAIN, st.lists(st.sampled_from([int, str, bool, None]), min_size=2, max_size=3, unique=True).map(union_of)
        ),
        st.sampled_from([inspect.Parameter.empty, None, 1, "x"]),
    ),
    max_size=4,
)


@given(parameters=PARAMETERS, lines=st.lists(LINES, max_size=6))
def test_any_simple_function_is_told_as_the_genuine_package_tells_it(
    parameters: dict[str, tuple[Any, Any]], lines: list[str]
) -> None:
    def function(**kwargs: Any) -> None: ...

    function.__doc__ = "\n".join(lines)
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=type_, default=default)
            for name, (type_, default) in parameters.items()
        ]
    )
    ours, theirs = convert_function_to_tool(function), genuine.convert_function_to_tool(function)
    assert with_types_in_order(ours.model_dump()) == with_types_in_order(theirs.model_dump())


# --- types that the genuine package loses ----------------------------------------------------------------------------


def joined(schema: dict[str, Any]) -> str:
    """Give the types in a schema, but null, as one text."""
    types: list[str] = []
    for member in schema.get("anyOf", [schema]):
        found = member.get("type", "string")
        types += [found] if isinstance(found, str) else found
    kept = [kind for kind in dict.fromkeys(types) if kind != "null"]
    return ", ".join(kept or types)


def is_null(schema: dict[str, Any]) -> bool:
    return schema == tool_table.NULL or "null" in schema.get("type", "") or tool_table.NULL in schema.get("anyOf", [])


@pytest.mark.parametrize("function", tool_table.TABLE, ids=name_of)
def test_every_type_is_told_in_full(function: Function) -> None:
    found, table = parameters(function), tool_table.TABLE[function]["properties"]
    told_of = [name for name in table if not name.startswith("_")]
    assert list(found["properties"]) == told_of
    for name in told_of:
        schema = table[name]
        ours = found["properties"][name]
        assert ours["type"] == joined(schema)
        for keyword in ("items", "properties", "required"):
            assert ours.get(keyword) == (schema.get(keyword) or None)
        assert [value for value in ours.get("enum", []) if value is not None] == [
            value for value in schema.get("enum", []) if value is not None
        ]
        if "default" not in schema.get("description", ""):
            assert ours["description"] == schema.get("description", "")
        if ours.get("anyOf") is not None:
            assert ours["anyOf"] == [member for member in schema["anyOf"] if member != tool_table.NULL]
        else:
            assert all(set(member) <= {"type"} for member in schema.get("anyOf", []))


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    """A place."""

    x: int
    y: Annotated[float, "up"] = 0.0


class Trip(pydantic.BaseModel):
    stops: list[Point]
    by: Literal["car", "bike"] = "car"


class Query(TypedDict):
    text: str
    limit: NotRequired[int]


class Tree(pydantic.BaseModel):
    name: str
    below: list["Tree"] = []


POINT = {
    "type": "object",
    "description": "A place.",
    "properties": {"x": {"type": "integer"}, "y": {"type": "number", "description": "up (default 0.0)"}},
    "required": ["x"],
}
TRIP = {
    "type": "object",
    "properties": {
        "stops": {"type": "array", "items": POINT},
        "by": {"type": "string", "enum": ["car", "bike"], "description": 'default "car"'},
    },
    "required": ["stops"],
}
MENDED: dict[str, tuple[Any, dict[str, Any]]] = {
    "list": (list[str], {"type": "array", "items": {"type": "string"}}),
    "list of lists": (list[list[int]], {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}),
    "list of anything": (list[Any], {"type": "array"}),
    "optional list": (list[int] | None, {"type": "array", "items": {"type": "integer"}}),
    "dict": (dict[str, int], {"type": "object", "description": "each value: integer"}),
    "Literal": (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
    "Literal of a number": (Literal[1], {"type": "integer", "enum": [1]}),
    "Literal of both": (Literal[1, "a"], {"type": "integer, string", "enum": [1, "a"]}),
    "optional Literal": (Literal["a"] | None, {"type": "string", "enum": ["a"]}),
    "Literal with None": (Literal["a", None], {"type": "string", "enum": ["a", None]}),  # noqa: PYI061 - as people write it
    "Enum": (Colour, {"type": "string", "enum": ["red", "blue"]}),
    "dataclass": (Point, POINT),
    "optional dataclass": (Point | None, POINT),
    "model": (Trip, TRIP),
    "TypedDict": (
        Query,
        {
            "type": "object",
            "properties": {"text": {"type": "string"}, "limit": {"type": "integer"}},
            "required": ["text"],
        },
    ),
    "union with a list": (
        int | list[int],
        {"type": "integer, array", "anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]},
    ),
    "union with a dataclass": (
        str | Point | None,
        {"type": "string, object", "anyOf": [{"type": "string"}, POINT]},
    ),
    "text": (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
    "bounds": (
        Annotated[int, pydantic.Field(ge=1, le=5, description="how many")],
        {"type": "integer", "description": "how many (from 1 to 5)"},
    ),
    "format": (date, {"type": "string", "description": "date as YYYY-MM-DD"}),
    "None": (None, {"type": "null"}),
}


@pytest.mark.parametrize("kind", MENDED)
def test_a_type_is_told_with_what_is_in_it(kind: str) -> None:
    type_, schema = MENDED[kind]

    def function(x: Any) -> None: ...

    function.__annotations__["x"] = type_
    assert property_of(function) == {"description": "", **schema}
    assert "$defs" not in json.dumps(told(function))
    takes_none = "optional" in kind or "None" in kind or type_ == str | Point | None
    assert parameters(function)["required"] == ([] if takes_none else ["x"])


def test_a_union_is_told_in_the_order_in_which_it_is_written() -> None:
    def one(x: int | str | bool) -> None: ...

    def other(x: bool | str | int) -> None: ...

    assert property_of(one)["type"] == "integer, string, boolean"
    assert property_of(other)["type"] == "boolean, string, integer"


def test_a_type_that_contains_itself_is_told_with_its_definition() -> None:
    def function(x: Tree, y: list[Tree], z: int) -> None:  # noqa: D417 - some have no text
        """
        Grow.

        Args:
            x: a tree
        """

    found = parameters(function)
    reference = {"$ref": "#/$defs/Tree"}
    assert found["properties"] == {
        "x": {"type": "object", "description": "a tree", **reference},
        "y": {"type": "array", "items": reference, "description": ""},
        "z": {"type": "integer", "description": ""},
    }
    assert found["defs"]["Tree"]["properties"]["below"]["items"] == reference
    sent = ChatRequest(model="m", tools=[convert_function_to_tool(function)]).model_dump(exclude_none=True)
    assert sent["tools"][0]["function"]["parameters"]["$defs"] == found["defs"]


def test_annotations_may_be_texts() -> None:
    def function(
        a: "int | None",
        b: "Literal['a', 'b']",
        c: "Point",
        d: "Colour | None",
        e: "list[Query]" = [],  # noqa: B006
    ) -> None: ...

    function.__annotations__["return"] = "nowhere"

    def plain(a: int | None, b: Literal["a", "b"], c: Point, d: Colour | None, e: list[Query] = []) -> None:  # noqa: B006
        ...

    assert parameters(function) == parameters(plain)
    assert parameters(function)["required"] == ["b", "c", "e"]


def test_a_field_as_a_default_says_more() -> None:
    def function(x: int = pydantic.Field(3, ge=1, description="how many")) -> None: ...

    assert property_of(function) == {"type": "integer", "description": "how many (at least 1)"}


def test_a_type_that_cannot_be_told_is_named() -> None:
    def function(x: Callable[[], int]) -> None: ...

    with pytest.raises(ToolSchemaError, match=r"function's parameter 'x'"):
        convert_function_to_tool(function)


def test_a_secret_default_stays_secret() -> None:
    def function(x: str = "hunter2", y: list[str] | None = None) -> None: ...

    assert "hunter2" not in json.dumps(told(function))


# --- callables and docstrings that it does not know ------------------------------------------------------------------


@pytest.mark.parametrize("shape", callables.SHAPES)
def test_a_callable_of_any_shape_is_told(shape: str) -> None:
    function, name, expected = callables.SHAPES[shape]
    made = told(function)["function"]
    assert made["name"] == name
    assert made["description"] == "Add."
    assert made["parameters"]["required"] == expected["required"]
    assert made["parameters"]["properties"] == {
        key: {**schema, "description": ""} for key, schema in expected["properties"].items()
    }


@pytest.mark.parametrize("function", callables.STYLES, ids=name_of)
def test_a_docstring_of_any_style_is_read(function: Function) -> None:
    made = told(function)["function"]
    assert made["description"] == "Weigh two things.\n\nIt takes its time: a second or so."
    texts = {name: " ".join(schema["description"].split()) for name, schema in made["parameters"]["properties"].items()}
    assert texts == {"a": "The first thing: in kg, or so: roughly.", "b": "The second thing.", "c": "A note."}


class Keywords(TypedDict):
    more: int
    less: NotRequired[int]


def test_arguments_without_names_are_not_required() -> None:
    def function(a: int, *args: int, **kwargs: str) -> None:
        """
        Take any.

        Args:
            a: one
            *args: numbers
            **kwargs: texts
        """

    assert parameters(function) == {
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": {"type": "integer", "description": "one"},
            "args": {"type": "array", "items": {"type": "integer"}, "description": "numbers"},
            "kwargs": {"type": "object", "description": "texts (each value: string)"},
        },
    }


def test_keywords_of_a_typed_dict_are_parameters() -> None:
    def function(*, a: int = 1, **kwargs: Unpack[Keywords]) -> None: ...

    assert parameters(function)["required"] == ["a", "more"]
    assert list(parameters(function)["properties"]) == ["a", "more", "less"]


def test_a_wrapper_that_hides_its_parameters_is_told_as_it_is() -> None:
    wrapper: Function = lambda *args, **kwargs: None  # noqa: E731 - it has no annotations

    assert {name: schema["type"] for name, schema in parameters(wrapper)["properties"].items()} == {
        "args": "array",
        "kwargs": "object",
    }
    assert parameters(wrapper).get("required") == []


def test_an_unbound_method_takes_no_self() -> None:
    assert parameters(Adder.method) == parameters(Adder(1).method)


def test_a_continued_line_may_have_colons() -> None:
    def function(first: int, second: str, third: int) -> None:  # noqa: D417 - what is described is the matter
        """
        Take three.

        Args:
            first: a number
                such as: one
                  second: a text, which stands too far right
                and: no more
            third: the last
        """

    texts = {name: schema["description"] for name, schema in parameters(function)["properties"].items()}
    assert texts == {
        "first": "a number such as: one",
        "second": "a text, which stands too far right",
        "third": "the last",
    }


def test_a_parameter_may_be_called_as_a_section_is() -> None:
    def function(args: list[str], returns: int) -> None:  # noqa: D417 - what is described is the matter
        """
        Take two.

        Args:
            args: some texts
        """

    assert property_of(function, "args")["description"] == "some texts"
    assert property_of(function, "returns")["description"] == ""


def test_the_docstring_is_heard_before_the_annotation() -> None:
    def function(x: Annotated[int, "of the type"], y: Annotated[int, "of the type"]) -> None:  # noqa: D417 - what is described is the matter
        """
        Take two.

        Args:
            x: of the docstring
        """

    assert property_of(function, "x")["description"] == "of the docstring"
    assert property_of(function, "y")["description"] == "of the type"


# --- what is remembered ----------------------------------------------------------------------------------------------


def test_each_tool_is_a_new_one() -> None:
    def function(x: list[Point]) -> None: ...

    first: Any = convert_function_to_tool(function)
    kept = told(function)
    first.function.name = "other"
    first.function.parameters.required.append("more")
    first.function.parameters.properties["x"].items["properties"]["x"]["type"] = "string"
    first.function.parameters.properties["y"] = Tool.Function.Parameters.Property()
    assert told(function) == kept


def test_a_function_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def function(x: int) -> None: ...

    seen: list[Any] = []
    encoded = _utils._encoded

    def spy(function: Function) -> bytes:
        seen.append(function)
        return encoded(function)

    monkeypatch.setattr(_utils, "_encoded", spy)
    for _ in range(3):
        convert_function_to_tool(function)
    assert seen == [function]


def test_a_function_that_was_changed_is_read_again() -> None:
    def function(x: int) -> None:
        """Do one."""

    assert told(function)["function"]["description"] == "Do one."
    function.__doc__ = "Do another."
    assert told(function)["function"]["description"] == "Do another."
    function.__annotations__["x"] = Literal["a", "b"]
    assert property_of(function)["enum"] == ["a", "b"]
    function.__annotations__["x"] = Literal["c"]
    assert property_of(function)["enum"] == ["c"]
    function.__name__ = "other"
    assert told(function)["function"]["name"] == "other"


@pytest.mark.parametrize("shape", ["function", "partial"])
def test_a_function_is_freed_with_what_is_remembered_of_it(shape: str) -> None:
    def make() -> Any:
        def function(x: int = 1, y: Point | None = None) -> None: ...

        return functools.partial(function, y=None) if shape == "partial" else function

    made = make()
    convert_function_to_tool(made)
    key = (id(made), type(made))
    assert key in _utils._remembered
    gone = weakref.ref(made)
    del made
    gc.collect()
    assert gone() is None
    assert key not in _utils._remembered
