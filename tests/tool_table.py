"""
Functions as people annotate them, each with the schema of its parameters, written out by hand.

No `from __future__ import annotations` here: a test compiles this file a second time with it.
"""

import dataclasses
import datetime as dt
import enum
import ipaddress
import typing
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, NewType, NotRequired, Optional, TypeAlias, Union

import annotated_types
import msgspec
import pydantic
from pydantic import BaseModel, Field
from typing_extensions import Doc, TypeAliasType, TypedDict, Unpack

Schema: TypeAlias = dict[str, Any]

TABLE: Final[dict[Callable[..., Any], Schema]] = {}
"""What `parameters` of each function's tool must be."""

STRING: Final = {"type": "string"}
INTEGER: Final = {"type": "integer"}
NUMBER: Final = {"type": "number"}
BOOLEAN: Final = {"type": "boolean"}
NULL: Final = {"type": "null"}


def takes(*optional: str, **properties: Schema) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put a function into the table: the properties of its parameters, and which of them may be left out."""

    def put(function: Callable[..., Any]) -> Callable[..., Any]:
        required = [name for name in properties if name not in optional]
        needs = {"required": required} if required else {}
        TABLE[function] = {"type": "object", **needs, "properties": properties}
        return function

    return put


# --- plain types -----------------------------------------------------------------------------------------------------


@takes()
def no_parameters() -> None: ...


@takes(x=STRING)
def a_str(x: str) -> None: ...


@takes(x=INTEGER)
def an_int(x: int) -> None: ...


@takes(x=NUMBER)
def a_float(x: float) -> None: ...


@takes(x=BOOLEAN)
def a_bool(x: bool) -> None: ...


@takes(x=NULL)
def a_none(x: None) -> None: ...


@takes(x={})
def an_any(x: Any) -> None: ...


@takes(x={})
def an_object(x: object) -> None: ...


@takes(x={})
def without_annotation(x) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001  # pyright: ignore[reportMissingParameterType, reportUnknownParameterType]


@takes(_x=STRING)
def an_underscore(_x: str) -> None: ...


@takes(schema=STRING, json=INTEGER, model_config=BOOLEAN, type=STRING, default=STRING, fields=STRING)
def names_that_pydantic_uses(
    schema: str, json: int, model_config: bool, type: str, default: str, fields: str
) -> None: ...


@takes(
    "b",
    "c",
    a=INTEGER,
    b={"type": "number", "description": "default 2.5"},
    c=BOOLEAN | {"description": "default false"},
)
def defaults(a: int, b: float = 2.5, c: bool = False) -> None: ...


@takes("a", "b", a=STRING, b=INTEGER | {"description": "default 0"})
def empty_defaults(a: str = "", b: int = 0) -> None: ...


MARK: Final = object()


@takes("a", a={})
def a_default_without_json(a: Any = MARK) -> None: ...


@takes("b", a=INTEGER, b=INTEGER | {"description": "default 1"})
def keyword_only(*, a: int, b: int = 1) -> None: ...


@takes("b", a=INTEGER, b=INTEGER | {"description": "default 1"})
def positional_only(a: int, b: int = 1, /) -> None: ...


@takes("rest", first=STRING, rest={"type": "array", "items": INTEGER})
def star_args(first: str, *rest: int) -> None: ...


@takes("options", first=STRING, options={"type": "object", "description": "each value: integer"})
def star_star_kwargs(first: str, **options: int) -> None: ...


class Settings(TypedDict):
    """Settings."""

    depth: int
    name: NotRequired[Annotated[str, "Whose."]]


@takes("name", first=STRING, depth=INTEGER, name=STRING | {"description": "Whose."})
def unpacked_kwargs(first: str, **settings: Unpack[Settings]) -> None: ...


@takes("name", depth=INTEGER, name=STRING | {"description": "Whose."})
def kwargs_unpacked_by_typing(**settings: typing.Unpack[Settings]) -> None: ...


# --- choices ---------------------------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Shade(enum.StrEnum):
    """How dark it is."""

    LIGHT = "light"
    DARK = "dark"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(enum.Enum):
    ONE = 1
    TWO = "two"


class Aliased(enum.Enum):
    ONE = 1
    FIRST = 1  # noqa: PIE796 - an alias
    TWO = 2


class Single(enum.Enum):
    ONLY = "only"


@takes(x={"type": "string", "enum": ["a", "b"]})
def a_literal(x: Literal["a", "b"]) -> None: ...


@takes(x={"type": "string", "enum": ["a"]})
def a_literal_of_one(x: Literal["a"]) -> None: ...


@takes(x={"type": "integer", "enum": [1, 2]})
def a_literal_of_ints(x: Literal[1, 2]) -> None: ...


@takes(x={"type": ["integer", "string", "null"], "enum": [1, "a", None]})
def a_mixed_literal(x: Literal[1, "a"] | None) -> None: ...


@takes(x={"type": "boolean", "enum": [True]})
def a_literal_bool(x: Literal[True]) -> None: ...


@takes(x={"type": "string", "enum": ["red", "blue"]})
def an_enum(x: Colour) -> None: ...


@takes(x={"type": "string", "description": "How dark it is.", "enum": ["light", "dark"]})
def a_str_enum(x: Shade) -> None: ...


@takes(x={"type": "integer", "description": "1 is LOW, 2 is HIGH", "enum": [1, 2]})
def an_int_enum(x: Level) -> None: ...


@takes(x={"type": ["integer", "string"], "description": '1 is ONE, "two" is TWO', "enum": [1, "two"]})
def a_mixed_enum(x: Mixed) -> None: ...


@takes(x={"type": "integer", "description": "1 is ONE, 2 is TWO", "enum": [1, 2]})
def an_enum_with_an_alias(x: Aliased) -> None: ...


@takes(x={"type": "string", "enum": ["red", "a"]})
def a_literal_of_an_enum_and_its_value(x: Literal[Colour.RED, "red", "a"]) -> None: ...


@takes(x={"type": "string", "enum": ["only"]})
def an_enum_of_one(x: Single) -> None: ...


@takes("x", x={"type": "string", "description": 'default "red"', "enum": ["red", "blue"]})
def an_enum_by_default(x: Colour = Colour.RED) -> None: ...


@takes(x={"type": "string", "enum": ["red"]})
def a_literal_of_an_enum(x: Literal[Colour.RED]) -> None: ...


# --- unions ----------------------------------------------------------------------------------------------------------


@takes(x={"type": ["integer", "null"]})
def int_or_none(x: int | None) -> None: ...


@takes("x", x=INTEGER)
def int_or_none_by_default(x: int | None = None) -> None: ...


@takes("x", x={"type": ["integer", "null"], "description": "default 3"})
def int_or_none_with_another_default(x: int | None = 3) -> None: ...


@takes("x", x=STRING)
def an_optional(x: Optional[str] = None) -> None: ...  # noqa: UP045


@takes(x={"anyOf": [INTEGER, STRING]})
def int_or_str(x: int | str) -> None: ...


@takes(x={"anyOf": [STRING, INTEGER]})
def str_or_int(x: Union[str, int]) -> None: ...  # noqa: UP007


@takes(x={"anyOf": [INTEGER, STRING, NULL]})
def int_or_str_or_none(x: int | str | None) -> None: ...


@takes("x", x={"anyOf": [INTEGER, STRING]})
def int_or_str_or_none_by_default(x: int | str | None = None) -> None: ...


@takes(x={"type": ["string", "null"], "enum": ["a", "b", None]})
def literal_or_none(x: Literal["a", "b"] | None) -> None: ...


@takes(x={"type": ["array", "null"], "items": INTEGER})
def list_or_none(x: list[int] | None) -> None: ...


@takes(x={"anyOf": [STRING, {"type": "array", "items": STRING}]})
def one_or_several(x: str | list[str]) -> None: ...


@takes(x={"anyOf": [{"type": "string", "description": "date as YYYY-MM-DD"}, INTEGER]})
def date_or_int(x: dt.date | int) -> None: ...


# --- collections -----------------------------------------------------------------------------------------------------


@takes(x={"type": "array", "items": {}})
def a_bare_list(x: list) -> None: ...  # type: ignore[type-arg]  # pyright: ignore[reportMissingTypeArgument, reportUnknownParameterType]


@takes(x={"type": "array", "items": STRING})
def a_list(x: list[str]) -> None: ...


@takes(x={"type": "array", "items": {"type": "array", "items": INTEGER}})
def a_list_of_lists(x: list[list[int]]) -> None: ...


@takes(x={"type": "array", "items": {"anyOf": [INTEGER, STRING]}})
def a_list_of_a_union(x: list[int | str]) -> None: ...


@takes(x={"type": "array", "items": {"type": ["integer", "null"]}})
def a_list_with_none(x: list[int | None]) -> None: ...


@takes(x={"type": "array", "items": {"type": "string", "enum": ["red", "blue"]}})
def a_list_of_an_enum(x: list[Colour]) -> None: ...


@takes(x={"type": "array", "items": INTEGER})
def a_sequence(x: Sequence[int]) -> None: ...


@takes(x={"type": "array", "items": INTEGER})
def an_iterable(x: Iterable[int]) -> None: ...


@takes(x={"type": "array", "description": "items in order: integer, string", "items": {"anyOf": [INTEGER, STRING]}})
def a_tuple(x: tuple[int, str]) -> None: ...


@takes(x={"type": "array", "description": "items in order: number, number", "items": NUMBER})
def a_tuple_of_equals(x: tuple[float, float]) -> None: ...


@takes(x={"type": "array", "items": INTEGER})
def a_tuple_of_any_length(x: tuple[int, ...]) -> None: ...


@takes(x={"type": "array", "description": "without duplicates", "items": STRING})
def a_set(x: set[str]) -> None: ...


@takes(x={"type": "array", "description": "without duplicates", "items": INTEGER})
def a_frozenset(x: frozenset[int]) -> None: ...


@takes(x={"type": "array", "description": "without duplicates", "items": INTEGER})
def an_abstract_set(x: AbstractSet[int]) -> None: ...


@takes(x={"type": "object"})
def a_bare_dict(x: dict) -> None: ...  # type: ignore[type-arg]  # pyright: ignore[reportMissingTypeArgument, reportUnknownParameterType]


@takes(x={"type": "object", "description": "each value: integer"})
def a_dict(x: dict[str, int]) -> None: ...


@takes(x={"type": "object", "description": "each value: string"})
def a_dict_by_int(x: dict[int, str]) -> None: ...


@takes(x={"type": "object", "description": 'each value: {"type": "array", "items": {"type": "integer"}}'})
def a_dict_of_lists(x: dict[str, list[int]]) -> None: ...


@takes(
    x={
        "type": "object",
        "description": 'each key: {"type": "string", "enum": ["a", "b"]}; each value: integer',
    }
)
def a_dict_by_literal(x: dict[Literal["a", "b"], int]) -> None: ...


@takes(x={"type": "object", "description": "each value: number"})
def a_mapping(x: Mapping[str, float]) -> None: ...


@takes(x={"type": "object", "description": "each value: integer"})
def a_mutable_mapping(x: MutableMapping[str, int]) -> None: ...


@takes(x={"type": "object", "description": "each value: integer"})
def an_ordered_dict(x: OrderedDict[str, int]) -> None: ...


# --- records ---------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Point:
    """
    A place.

    Attributes:
        x: Metres to the east.
    """

    x: float
    y: float = 0.0
    """Metres to the north."""


POINT: Final = {
    "type": "object",
    "description": "A place.",
    "properties": {
        "x": NUMBER | {"description": "Metres to the east."},
        "y": NUMBER | {"description": "Metres to the north. (default 0.0)"},
    },
    "required": ["x"],
}


class Person(TypedDict):
    """Someone."""

    name: Annotated[str, "First and last."]
    age: NotRequired[int]


PERSON: Final = {
    "type": "object",
    "description": "Someone.",
    "properties": {"name": STRING | {"description": "First and last."}, "age": INTEGER},
    "required": ["name"],
}


class Stop(typing.TypedDict):  # pydantic refuses this kind before Python 3.12
    """A place on the way."""

    town: str
    """Its name."""
    nights: NotRequired[int]


class Way(typing.TypedDict, total=False):
    stops: typing.Required[list[Stop]]
    guide: Person


class Journey(TypedDict):
    way: Way


STOP: Final = {
    "type": "object",
    "description": "A place on the way.",
    "properties": {"town": STRING | {"description": "Its name."}, "nights": INTEGER},
    "required": ["town"],
}
WAY: Final = {
    "type": "object",
    "properties": {"stops": {"type": "array", "items": STOP}, "guide": PERSON},
    "required": ["stops"],
}
JOURNEY: Final = {"type": "object", "properties": {"way": WAY}, "required": ["way"]}


class Partial(TypedDict, total=False):
    a: int
    b: list[Point]


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Address(BaseModel):
    """
    Where someone lives.

    Parameters
    ----------
    street : str
        With the number.
    """

    street: str
    zip_code: str = Field(pattern=r"^\d{5}$", description="Five digits.")
    country: str = "DE"


ADDRESS: Final = {
    "type": "object",
    "description": "Where someone lives.",
    "properties": {
        "street": STRING | {"description": "With the number."},
        "zip_code": STRING | {"description": r"Five digits. (matches the regular expression ^\d{5}$)"},
        "country": STRING | {"description": 'default "DE"'},
    },
    "required": ["street", "zip_code"],
}


class Customer(BaseModel):
    name: str
    addresses: list[Address]
    level: Level | None = None


class Order(msgspec.Struct):
    """What was bought."""

    number: int
    items: list[str] = []
    weight: Annotated[float, msgspec.Meta(gt=0, description="In kg.")] | None = None


ORDER: Final = {
    "type": "object",
    "description": "What was bought.",
    "properties": {
        "number": INTEGER,
        "items": {"type": "array", "items": STRING},
        "weight": NUMBER | {"description": "In kg. (more than 0)"},
    },
    "required": ["number"],
}


@dataclasses.dataclass
class Cart:
    orders: list[Order]
    first: Order | None = None


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


Pet: TypeAlias = Annotated[Cat | Dog, Field(discriminator="kind")]

CAT: Final = {
    "type": "object",
    "properties": {"kind": {"type": "string", "enum": ["cat"]}, "lives": INTEGER},
    "required": ["kind", "lives"],
}
DOG: Final = {
    "type": "object",
    "properties": {"kind": {"type": "string", "enum": ["dog"]}, "name": STRING},
    "required": ["kind", "name"],
}


@takes(x=POINT)
def a_dataclass(x: Point) -> None: ...


@takes("x", x=POINT | {"description": 'A place. (default {"x": 1.0, "y": 2.0})'})
def a_dataclass_by_default(x: Point = Point(1.0, 2.0)) -> None: ...  # noqa: B008


@takes(x={"type": "array", "items": POINT})
def a_list_of_dataclasses(x: list[Point]) -> None: ...


@takes(a=POINT, b=POINT | {"type": ["object", "null"]})
def the_same_dataclass_twice(a: Point, b: Point | None) -> None: ...


@takes(x=PERSON)
def a_typed_dict(x: Person) -> None: ...


@takes("c", a=STOP, b=WAY, c=STOP)
def typed_dicts_of_typing(a: Stop, b: Way, c: Stop | None = None) -> None: ...


@takes(x={"type": "array", "items": JOURNEY}, y=STOP | {"description": "Where.", "type": ["object", "null"]})
def typed_dicts_of_typing_within(x: list[Journey], y: Annotated[Stop | None, "Where."]) -> None: ...


@takes(x={"type": "object", "properties": {"a": INTEGER, "b": {"type": "array", "items": POINT}}})
def a_partial_typed_dict(x: Partial) -> None: ...


@takes(
    x={
        "type": "array",
        "description": 'items in order: left: integer, right: string (default "r"); from 1 to 2 items',
        "items": {"anyOf": [INTEGER, {"type": "string", "description": 'default "r"'}]},
    }
)
def a_named_tuple(x: Pair) -> None: ...


@takes(x=ADDRESS)
def a_model(x: Address) -> None: ...


@takes(
    x={
        "type": "object",
        "properties": {
            "name": STRING,
            "addresses": {"type": "array", "items": ADDRESS},
            "level": {"type": "integer", "description": "1 is LOW, 2 is HIGH", "enum": [1, 2]},
        },
        "required": ["name", "addresses"],
    }
)
def a_model_of_models(x: Customer) -> None: ...


@takes(x={"anyOf": [CAT, DOG]})
def a_union_of_models(x: Cat | Dog) -> None: ...


@takes(x={"anyOf": [CAT, DOG]})
def a_discriminated_union(x: Pet) -> None: ...


@takes(x=ORDER)
def a_struct(x: Order) -> None: ...


@takes("b", "c", a={"type": "array", "items": ORDER}, b=ORDER, c={"anyOf": [ORDER, STRING]})
def structs_inside(a: list[Order], b: Order | None = None, c: Order | str | None = None) -> None: ...


@takes(
    x={
        "type": "object",
        "properties": {"orders": {"type": "array", "items": ORDER}, "first": ORDER},
        "required": ["orders"],
    }
)
def structs_in_a_dataclass(x: Cart) -> None: ...


# --- texts and constraints -------------------------------------------------------------------------------------------


@takes(x=INTEGER | {"description": "How many."})
def a_text(x: Annotated[int, "How many."]) -> None: ...


@takes(x=INTEGER | {"description": "How many."})
def a_doc(x: Annotated[int, Doc("How many.")]) -> None: ...


@takes(x=INTEGER | {"description": "How many. (from 1 to 10)"})
def a_field(x: Annotated[int, Field(ge=1, le=10, description="How many.")]) -> None: ...


@takes("x", x=INTEGER | {"description": "How many. (at least 1; default 5)"})
def a_field_by_default(x: int = Field(5, ge=1, description="How many.")) -> None: ...


@takes("x", x=INTEGER | {"description": "How many. (at least 1)"})
def a_text_inside_an_optional(x: Annotated[int, Field(ge=1), "How many."] | None = None) -> None: ...


@takes(x=INTEGER | {"description": "more than 0"}, y=NUMBER | {"description": "less than 1.5"})
def exclusive_bounds(
    x: Annotated[int, annotated_types.Gt(0)], y: Annotated[float, annotated_types.Lt(1.5)]
) -> None: ...


@takes(x=INTEGER | {"description": "a multiple of 5"})
def a_multiple(x: Annotated[int, annotated_types.MultipleOf(5)]) -> None: ...


@takes(x=STRING | {"description": "from 1 to 8 characters"}, y=STRING | {"description": "at least 1 character"})
def lengths(x: Annotated[str, annotated_types.Len(1, 8)], y: Annotated[str, annotated_types.MinLen(1)]) -> None: ...


@takes(x=STRING | {"description": "matches the regular expression ^[a-z]+$"})
def a_pattern(x: Annotated[str, Field(pattern="^[a-z]+$")]) -> None: ...


@takes(x={"type": "array", "description": "at most 3 items", "items": INTEGER})
def a_short_list(x: Annotated[list[int], annotated_types.MaxLen(3)]) -> None: ...


@takes(x={"type": "array", "items": INTEGER | {"description": "at least 0"}})
def a_list_of_bounded(x: list[Annotated[int, Field(ge=0)]]) -> None: ...


@takes(x={"type": "object", "description": "at least 1 entry; each value: integer"})
def a_dict_that_is_not_empty(x: Annotated[dict[str, int], annotated_types.MinLen(1)]) -> None: ...


@takes(x=STRING | {"description": 'such as "Rome", "Paris"'})
def examples(x: Annotated[str, Field(examples=["Rome", "Paris"])]) -> None: ...


@takes(x=INTEGER | {"description": "more than 0"})
def a_positive_int(x: pydantic.PositiveInt) -> None: ...


@takes(x=STRING | {"description": "text that is JSON; its content: integer"})
def json_text(x: pydantic.Json[int]) -> None: ...


# --- names for types -------------------------------------------------------------------------------------------------

UserId = NewType("UserId", int)
Tags: TypeAlias = list[str]
Ratio: TypeAlias = Annotated[float, Field(ge=0, le=1), "A share."]
Alias = TypeAliasType("Alias", Annotated[int, "An alias."])


@takes(x=INTEGER)
def a_new_type(x: UserId) -> None: ...


@takes(x={"type": "array", "items": STRING})
def a_type_alias(x: Tags) -> None: ...


@takes(x=NUMBER | {"description": "A share. (from 0 to 1)"})
def an_alias_with_bounds(x: Ratio) -> None: ...


@takes(x=INTEGER | {"description": "An alias."})
def an_alias_by_type(x: Alias) -> None: ...


@takes(x={"type": "array", "items": POINT})
def a_string_annotation(x: "list[Point]") -> None: ...


@takes(x=STRING)
def a_forward_reference(x: "Later") -> None: ...


Later: TypeAlias = str


# --- the standard library's types ------------------------------------------------------------------------------------


@takes(x=STRING | {"description": "date and time as YYYY-MM-DDTHH:MM:SS, with Z or +HH:MM if the zone is known"})
def a_datetime(x: dt.datetime) -> None: ...


@takes(x=STRING | {"description": "date as YYYY-MM-DD"})
def a_date(x: dt.date) -> None: ...


@takes("x", x=STRING | {"description": 'date as YYYY-MM-DD; default "2024-01-31"'})
def a_date_by_default(x: dt.date = dt.date(2024, 1, 31)) -> None: ...


@takes(x=STRING | {"description": "time as HH:MM:SS"})
def a_time(x: dt.time) -> None: ...


@takes(x=STRING | {"description": "duration as in ISO 8601, such as PT1H30M"})
def a_timedelta(x: dt.timedelta) -> None: ...


@takes(x=STRING | {"description": "UUID"})
def a_uuid(x: uuid.UUID) -> None: ...


@takes(x=STRING | {"description": "path"})
def a_path(x: Path) -> None: ...


@takes(x=NUMBER)
def a_decimal(x: Decimal) -> None: ...


@takes(x=NUMBER | {"description": "at least 0"})
def a_bounded_decimal(x: Annotated[Decimal, Field(ge=0)]) -> None: ...


@takes(x=STRING | {"description": "text, taken as bytes in UTF-8"})
def some_bytes(x: bytes) -> None: ...


@takes(x=STRING | {"description": "IPv4 address"})
def an_ip_address(x: ipaddress.IPv4Address) -> None: ...


@takes(x=STRING | {"description": "URL; at least 1 character"})
def a_url(x: pydantic.AnyUrl) -> None: ...
