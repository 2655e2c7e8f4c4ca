"""Types as the shapes of answers: schemas for `format=`, and JSON to values."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import subprocess
import sys
import threading
import typing
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NewType, NotRequired, TypeVar

import msgspec
import orjson
import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypeAliasType, TypedDict

from ollama_fast import _endpoints
from ollama_fast._schema import Shape
from tool_table import Address, Aliased, Cart, Cat, Colour, Customer, Dog, Mixed, Order, Pair, Person, Pet, Point

pytestmark = pytest.mark.unsent

T = TypeVar("T")


class Leaf(typing.TypedDict):  # pydantic refuses this kind before Python 3.12
    """At the end."""

    size: int
    "In cm."
    colour: NotRequired[str]


class Branch(typing.TypedDict):
    leaves: dict[str, Leaf]
    branches: NotRequired[list[Branch]]


class Twig(typing.TypedDict, total=False):
    leaf: Leaf


class Root(TypedDict):
    branch: Branch


class Boxed(typing.TypedDict, Generic[T]):
    inside: T


class Strict(typing.TypedDict):
    __pydantic_config__ = {"extra": "forbid"}  # type: ignore[misc]  # noqa: RUF012  # pyright: ignore[reportGeneralTypeIssues]
    size: int


LeafType = NewType("LeafType", Leaf)  # type: ignore[valid-newtype]  # pyright: ignore[reportGeneralTypeIssues]
Leaves = TypeAliasType("Leaves", list[Leaf])

SHAPES: dict[str, tuple[Any, str, Any]] = {
    "model": (Address, '{"street":"S","zip_code":"12345"}', Address(street="S", zip_code="12345")),
    "models": (Customer, '{"name":"N","addresses":[]}', Customer(name="N", addresses=[])),
    "dataclass": (Point, '{"x":1,"y":2}', Point(1.0, 2.0)),
    "typed dict": (Person, '{"name":"N"}', {"name": "N"}),
    "typing": (Leaf, '{"size":"1"}', {"size": 1}),
    "typing in typing": (
        Branch,
        '{"leaves":{},"branches":[{"leaves":{"a":{"size":2}}}]}',
        {"leaves": {}, "branches": [{"leaves": {"a": {"size": 2}}}]},
    ),
    "typing in another": (Root, '{"branch":{"leaves":{"a":{"size":"1"}}}}', {"branch": {"leaves": {"a": {"size": 1}}}}),
    "list of typing": (list[Leaf], '[{"size":1}]', [{"size": 1}]),
    "tuple of typing": (tuple[Leaf, ...], '[{"size":1}]', ({"size": 1},)),
    "dict of typing": (dict[str, Leaf], '{"a":{"size":1}}', {"a": {"size": 1}}),
    "union with typing": (int | Leaf, '{"size":1}', {"size": 1}),
    "typing or none": (typing.Optional[Leaf], '{"size":1}', {"size": 1}),  # noqa: UP045 - people have both
    "annotated typing": (Annotated[Leaf, Field(description="L")], '{"size":1}', {"size": 1}),
    "generic typing": (Boxed[Leaf], '{"inside":{"size":"1"}}', {"inside": {"size": 1}}),
    "new type of typing": (LeafType, '{"size":1}', {"size": 1}),
    "alias of typing": (Leaves, '[{"size":1}]', [{"size": 1}]),
    "named tuple": (Pair, '[1,"b"]', Pair(1, "b")),
    "struct": (Order, '{"number":1}', Order(1)),
    "structs": (Cart, '{"orders":[{"number":1,"items":["a"]}]}', Cart([Order(1, ["a"])])),
    "list of structs": (list[Order], '[{"number":1}]', [Order(1)]),
    "list": (list[int], "[1,2]", [1, 2]),
    "list of dataclasses": (list[Point], '[{"x":1}]', [Point(1.0)]),
    "dict": (dict[str, float], '{"a":1}', {"a": 1.0}),
    "int": (int, "3", 3),
    "str": (str, '"a"', "a"),
    "bool": (bool, "true", True),
    "literal": (Literal["a", "b"], '"b"', "b"),
    "enum": (Colour, '"red"', Colour.RED),
    "optional": (Point | None, "null", None),
    "union": (Cat | Dog, '{"kind":"dog","name":"R"}', Dog(kind="dog", name="R")),
    "discriminated": (Pet, '{"kind":"cat","lives":9}', Cat(kind="cat", lives=9)),
    "annotated": (Annotated[int, Field(ge=0)], "0", 0),
    "unhashable": (Annotated[int, ["a list"]], "0", 0),
    "decimal": (Decimal, "0.10", Decimal("0.10")),
    "date": (dt.date, '"2024-01-31"', dt.date(2024, 1, 31)),
    "tuple": (tuple[int, str], '[1,"b"]', (1, "b")),
}


@pytest.mark.parametrize(("type_", "text", "value"), SHAPES.values(), ids=SHAPES)
def test_a_type_is_the_shape_of_an_answer(type_: Any, text: str, value: Any) -> None:
    shape: Shape[Any] = Shape.of(type_)
    for given in (text, text.encode()):
        decoded = shape.decode(given)
        assert decoded == value
        assert type(decoded) is type(value)
    assert isinstance(shape.schema, dict)
    assert orjson.loads(orjson.dumps(shape.schema)) == shape.schema


@pytest.mark.parametrize(("type_", "text", "value"), SHAPES.values(), ids=SHAPES)
def test_another_text_is_a_value_error(type_: Any, text: str, value: Any) -> None:
    shape: Shape[Any] = Shape.of(type_)
    for wrong in (text + "]", "no JSON", '{"x":{}}', ""):
        with pytest.raises(ValueError, match="validation error"):
            shape.decode(wrong)


def test_a_shape_is_remembered() -> None:
    assert Shape.of(Point) is Shape.of(Point)
    assert Shape.of(list[int]) is Shape.of(list[int])
    assert Shape.of(list[int]).schema != Shape.of(list[str]).schema


def test_the_order_of_a_union_is_kept() -> None:
    types: list[Any] = [int | str, str | int]
    orders = [[member["type"] for member in Shape.of(type_).schema["anyOf"]] for type_ in types]
    assert orders == [["integer", "string"], ["string", "integer"]]


def test_schemas_are_as_a_grammar_needs_them() -> None:
    assert Shape.of(int).schema == {"type": "integer"}
    assert Shape.of(list[int]).schema == {"type": "array", "items": {"type": "integer"}}
    assert Shape.of(Decimal).schema == {"type": "number"}  # pydantic's pattern makes no grammar
    assert Shape.of(Point).schema["required"] == ["x"]
    assert list(Shape.of(Address).schema["properties"]) == ["street", "zip_code", "country"]


class Guess(enum.Enum):
    """With a rule for what is no value of it."""

    ONE = 1
    NONE = 0

    @classmethod
    def _missing_(cls, value: object) -> Guess:
        del value
        return cls.NONE


class Choices(TypedDict):
    number: Literal[1, 2]
    colour: Literal[Colour.RED]
    by_number: dict[Literal[1], list[Aliased]]


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (Literal[1, 2], '"2"', 2),
        (Literal[1, "1"], '"1"', "1"),
        (Literal[1, "1"], "1", 1),
        (Literal[Colour.RED], '"red"', Colour.RED),
        (Literal[Colour.RED, Aliased.TWO, "a"], '"red"', Colour.RED),
        (Literal[Colour.RED, Aliased.TWO, "a"], "2", Aliased.TWO),
        (Literal[Colour.RED, Aliased.TWO, "a"], '"2"', Aliased.TWO),
        (Literal[Colour.RED, Aliased.TWO, "a"], '"a"', "a"),
        (Aliased, "1", Aliased.ONE),
        (Aliased, '"1"', Aliased.ONE),
        (Mixed, '"1"', Mixed.ONE),
        (Mixed, '"two"', Mixed.TWO),
        (Guess, "1", Guess.ONE),
        (Guess, '"1"', Guess.NONE),  # its own rule is first
        (list[Aliased] | Aliased, '["1","2"]', [Aliased.ONE, Aliased.TWO]),
        # What a union holds that takes the value as it is comes first.
        (Literal[1] | str, '"1"', "1"),
        (str | Aliased, '"1"', "1"),
        (Aliased | str, "1", Aliased.ONE),
        (Literal[Colour.RED] | str, '"red"', "red"),
        (
            Choices,
            '{"number":"1","colour":"red","by_number":{"1":["1",2]}}',
            {"number": 1, "colour": Colour.RED, "by_number": {1: [Aliased.ONE, Aliased.TWO]}},
        ),
    ],
)
def test_a_choice_takes_what_its_schema_shows_and_an_int_as_text(type_: Any, text: str, value: Any) -> None:
    decoded = Shape.of(type_).decode(text)
    assert decoded == value
    assert type(decoded) is type(value)


@pytest.mark.parametrize(
    ("type_", "text", "says"),
    [
        (Literal[1, 2], '"3"', r"Input should be 1 or 2 \["),
        (Literal[1, 2], '"a"', r"Input should be 1 or 2 \["),
        (Literal[Colour.RED], '"blue"', r"Input should be 'red' \["),
        (Literal[Guess.ONE], "5", r"Input should be 1 \["),
        (Aliased, '"3"', r"Input should be 1 or 2 \["),
        (Annotated[Aliased, Field(strict=True)], '"1"', r"Input should be 1"),
    ],
)
def test_a_choice_takes_nothing_else_and_says_what_it_takes(type_: Any, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=rf"1 validation error for .*\n  {says}"):
        Shape.of(type_).decode(text)


def test_a_choice_shows_each_value_once() -> None:
    assert Shape.of(Aliased).schema["enum"] == [1, 2]
    literal: Any = Literal[Colour.RED, "red", "a"]
    assert Shape.of(literal).schema["enum"] == ["red", "a"]


class Odd(TypedDict):
    pattern: Annotated[str, Field(pattern="^a$")]
    many: list[Annotated[str, Field(pattern="^a$")]]


def test_patterns_are_not_sent_but_checked() -> None:
    # They crash the server: see tests/real/test_tools.py for what is sent.
    schema = Shape.of(Odd).schema
    assert schema["properties"]["pattern"] == {"title": "pattern", "type": "string"}
    assert schema["properties"]["many"]["items"] == {"type": "string"}
    assert Shape.of(Odd).decode('{"pattern":"a","many":[]}') == {"pattern": "a", "many": []}
    with pytest.raises(ValueError, match="pattern"):
        Shape.of(Odd).decode('{"pattern":"b","many":[]}')


def test_a_typed_dict_of_typing_keeps_what_it_says() -> None:
    leaf = Shape.of(Leaf).schema
    assert (leaf["title"], leaf["description"], leaf["required"]) == ("Leaf", "At the end.", ["size"])
    assert leaf["properties"]["size"] == {"type": "integer", "title": "size", "description": "In cm."}
    assert Shape.of(Branch).schema["$defs"]["Branch"]["required"] == ["leaves"]
    assert "required" not in Shape.of(Twig).schema
    assert Shape.of(Strict).schema["additionalProperties"] is False
    with pytest.raises(ValueError, match="Extra inputs"):
        Shape.of(Strict).decode('{"size":1,"more":1}')
    with pytest.raises(ValueError, match="Field required"):
        Shape.of(list[Leaf]).decode("[{}]")


@dataclasses.dataclass
class Hidden:
    leaf: Leaf


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="pydantic takes every TypedDict since Python 3.12")
def test_a_typed_dict_of_typing_within_a_class_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"Hidden has no JSON schema: Please use `typing_extensions.TypedDict`"):
        Shape.of(Hidden)


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


@dataclasses.dataclass
class Chain:
    value: int
    after: Chain | None = None


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (Tree, '{"value":1,"children":[{"value":2}]}', Tree(value=1, children=[Tree(value=2)])),
        (Chain, '{"value":1,"after":{"value":2}}', Chain(1, Chain(2))),
        (list[Chain], '[{"value":1,"after":{"value":2}}]', [Chain(1, Chain(2))]),
    ],
)
def test_a_type_may_contain_itself(type_: Any, text: str, value: Any) -> None:
    shape: Shape[Any] = Shape.of(type_)
    assert shape.decode(text) == value
    assert "$defs" in shape.schema


class Unknown:
    pass


class Vague(TypedDict):
    x: NoSuchName  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable]


class Raising:
    @classmethod
    def __get_pydantic_core_schema__(cls, *_: Any) -> Any:
        raise ImportError("more is needed")


def struct_of_one_name() -> Any:
    class Same(msgspec.Struct):
        x: int

    return Same


SAME: Any = (struct_of_one_name(), struct_of_one_name())


class VagueOfTyping(typing.TypedDict):
    x: NoSuchName  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable]


@pytest.mark.parametrize(
    ("type_", "says"),
    [
        (Unknown, r"test_schema\.Unknown has no JSON schema"),
        (list[Unknown], r"list\[.*Unknown\] has no JSON schema"),
        (Callable[[int], int], r"Callable\[\[int\], int\] has no JSON schema"),
        (type[int], r"type\[int\] has no JSON schema"),
        (threading.Thread, r"threading\.Thread has no JSON schema"),
        (Vague, r"Vague has no JSON schema: the name 'NoSuchName'"),
        (Raising, r"Raising has no JSON schema: ImportError: more is needed"),
        (tuple[SAME], r"Same\] has no JSON schema: KeyError: .*Same"),
        (VagueOfTyping, r"VagueOfTyping has no JSON schema: the name 'NoSuchName'"),
        (5, r"5 has no JSON schema"),
        ([int], r"\[.*int.*\] has no JSON schema"),
        (Point(1.0), r"Point\(.*\) has no JSON schema"),
    ],
)
def test_a_type_without_a_schema_is_a_type_error_at_the_call(type_: Any, says: str) -> None:
    for function in (
        lambda: Shape.of(type_),
        lambda: _endpoints.chat("m", format=type_),
        lambda: _endpoints.generate("m", "p", format=type_),
    ):
        with pytest.raises(TypeError, match=says) as caught:
            function()
        assert (caught.value.__cause__ is None) == ("it is no type" in str(caught.value))


# --- in a request ----------------------------------------------------------------------------------------------------


def sent(format: Any) -> Any:
    chat, generate = (
        orjson.loads(request.encode(stream=False)).get("format")
        for request in (_endpoints.chat("m", format=format), _endpoints.generate("m", "p", format=format))
    )
    assert chat == generate
    return chat


@pytest.mark.parametrize("given", [None, "", "json", {}, {"type": "object", "x-own": [1]}])
def test_text_and_dicts_are_sent_as_they_are(given: Any) -> None:
    assert sent(given) == given
    request = _endpoints.chat("m", format=given)
    assert request.body is not None
    assert request.body["format"] is given


@pytest.mark.parametrize("type_", [Point, Address, Order, Person, list[int], int, int | None, Literal["a"], Pet])
def test_a_type_is_sent_as_its_schema(type_: Any) -> None:
    assert sent(type_) == Shape.of(type_).schema


def test_pydantic_is_imported_with_the_first_type() -> None:
    program = (
        "import sys\nfrom ollama_fast import _endpoints, _schema\n"
        "_endpoints.chat('m', format={}); _endpoints.chat('m', format='json'); print('pydantic' in sys.modules)\n"
        "_endpoints.chat('m', format=list[int]); print('pydantic' in sys.modules, 'docstring_parser' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout) == ("", "False\nTrue False\n")
