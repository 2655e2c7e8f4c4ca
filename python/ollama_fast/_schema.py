"""Types as the shapes of answers: what goes out as `format`, and what comes back as a value."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

T = TypeVar("T")

_OF_TYPES = frozenset({"collections.abc", "types", "typing", "typing_extensions"})
"""Where that comes from which is a type, though no class: unions, Literals, aliases, `list[int]`."""
_REMEMBERED = 256
"""How many types are remembered."""


class Shape(Generic[T]):
    """A type that an answer shall have. pydantic, which knows how, is imported by :meth:`of`."""

    __slots__ = ("_validator", "schema")

    def __init__(self, schema: dict[str, Any], validator: SchemaValidator) -> None:
        self.schema = schema
        """Its JSON schema, to be sent as `format`. It is shared: to change it, copy it."""
        self._validator = validator

    @staticmethod
    def of(type_: type[T]) -> Shape[T]:
        """
        Give the shape of a type.

        Args:
            type_: A pydantic model, dataclass, TypedDict, NamedTuple, msgspec Struct, `list[int]`, a Literal, a union:
                whatever has a JSON schema.

        Raises TypeError, which names the type, for one that has none, and for what is no type.
        """
        if not (isinstance(type_, type) or type(type_).__module__ in _OF_TYPES):
            what = "it is no type, as a dataclass or list[int] is"
            raise TypeError(f"{type_!r:.100} has no JSON schema: {what}, but of type {type(type_).__name__}")
        try:
            return cast("Shape[T]", _remembered(cast("Hashable", type_), repr(type_)))
        except TypeError:
            try:
                hash(type_)
            except TypeError:  # such as an Annotated with a list
                return cast("Shape[T]", _made(type_))
            raise

    def decode(self, text: str | bytes) -> T:
        """Turn JSON into a value. Raises ValueError for a text that is no JSON, or JSON of another shape."""
        value: T = self._validator.validate_json(text)
        return value


def _made(type_: Any, _shown: str = "") -> Shape[Any]:
    # How it is written tells `int | str` from `str | int`, which are equal.
    from ._adapt import adapt

    adapted = adapt(type_)
    return Shape(_without_patterns(adapted.schema), adapted.validator)


def _without_patterns(schema: Any) -> Any:
    r"""
    Leave out regular expressions, which are for :meth:`Shape.decode` to check.

    Ollama makes grammars of them, and many do not get through: `\d` stops the model's runner, `(?!x)` the whole
    server, `[]a]` had no answer in ten minutes, a quotation mark gives what is no JSON, and an umlaut broken text.
    """
    if isinstance(schema, list):
        return [_without_patterns(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _without_patterns(below) for name, below in value.items()}
        if key in {"properties", "$defs"}
        else value
        if key in {"default", "const", "enum", "examples"}
        else _without_patterns(value)
        for key, value in schema.items()
        if key not in {"pattern", "patternProperties"}
    }


_remembered = lru_cache(_REMEMBERED)(_made)
