"""
Types to validators and JSON schemas, by pydantic; msgspec's Structs, which pydantic does not know, by msgspec.

Importing this imports pydantic: only what converts a type does so.
"""

from __future__ import annotations

import inspect
import sys
import types
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NewType,
    NotRequired,
    Required,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import ConfigDict, TypeAdapter
from pydantic.errors import (
    PydanticErrorMixin,
    PydanticSchemaGenerationError,
    PydanticUserError,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import SchemaValidator, core_schema
from typing_extensions import TypeAliasType, TypedDict, is_typeddict

from . import _docstrings

_STRUCT = "x-struct"
"""Marks in pydantic's schema where one of msgspec's belongs: it knows only its own references."""


@dataclass(frozen=True, slots=True)
class Adapted:
    """What pydantic made of a type."""

    schema: dict[str, Any]
    validator: SchemaValidator


def adapt(type_: Any) -> Adapted:
    """Convert any type. Raises TypeError, which names it, if it has no schema."""

    def core(any_class: bool) -> dict[str, Any]:
        # Within a list, because a class with a configuration of its own takes no other.
        several: Any = list.__class_getitem__(known)
        adapter: TypeAdapter[Any] = TypeAdapter(several, config=ConfigDict(arbitrary_types_allowed=any_class))
        if not adapter.pydantic_complete:
            adapter.rebuild(force=True, raise_errors=True)
        found = cast("dict[str, Any]", adapter.core_schema)
        if found["type"] == "definitions":
            return {**found, "schema": found["schema"]["items_schema"]}
        items: dict[str, Any] = found["items_schema"]
        return items

    try:
        known = _Twins({}).of(type_)
        return _adapted(core)
    except Exception as exc:  # a class's own hooks, and what a type needs, raise what they like
        raise TypeError(f"{shown(type_)} has no JSON schema: {_reason(exc)}") from exc


def adapt_fields(
    fields: Mapping[str, Any], optional: Collection[str], namespace: Mapping[str, Any] | None = None
) -> Adapted:
    """
    Convert the named types of arguments, to be validated together; others than these are forbidden.

    Args:
        fields: A type for each name.

        optional: Names that may be missing.

        namespace: Where names in string annotations of classes are looked up, after their modules.

    Raises TypeError for types that have no schema.
    """
    hints: dict[str, Any] = {}

    def core(any_class: bool) -> dict[str, Any]:
        # mypy knows TypedDicts that are written out only.
        made: Any = cast("Any", TypedDict)("Arguments", hints)
        made.__pydantic_config__ = ConfigDict(
            extra="forbid", coerce_numbers_to_str=True, arbitrary_types_allowed=any_class
        )
        adapter: TypeAdapter[Any] = TypeAdapter(made)
        if not adapter.pydantic_complete:
            adapter.rebuild(force=True, raise_errors=True, _types_namespace=namespace)
        found = cast("dict[str, Any]", adapter.core_schema)
        _refuse_aliases(found)
        return found

    try:
        twins = _Twins(namespace or {})
        for name, type_ in fields.items():
            # typing remembers what it made of an equal type, and `int | str` equals `str | int`: nothing equals this.
            own: Any = Annotated[twins.of(type_), object()]
            hints[name] = NotRequired[own] if name in optional else Required[own]
        return _adapted(core)
    except Exception as exc:  # a class's own hooks, and what a type needs, raise what they like
        raise TypeError(_reason(exc)) from exc


def _refuse_aliases(core: Mapping[str, Any]) -> None:
    """Refuse another name for an argument: the function itself knows only its parameter's."""
    arguments: Mapping[str, Any] = core["schema"] if core["type"] == "definitions" else core
    for name, field in arguments.get("fields", {}).items():
        if field.get("validation_alias", name) != name:
            raise TypeError(f"its Field has an alias, {field['validation_alias']!r}: leave that out")


def _adapted(core_of: Callable[[bool], dict[str, Any]]) -> Adapted:
    try:
        core = core_of(False)
    except PydanticSchemaGenerationError:
        if "msgspec" not in sys.modules:
            raise
        # A Struct may be in it, which is unknown to pydantic. What is no type at all only gets a warning then.
        # Filters are the process's, so this is only for pydantic's warning, and for one thread at a time.
        with _docstrings.lock, warnings.catch_warnings():
            warnings.filterwarnings("error", r"(?s).* is not a Python type", UserWarning)
            core = core_of(True)
    validator = SchemaValidator(cast("core_schema.CoreSchema", _reworked(core)))
    return Adapted(_json_schema(cast("core_schema.CoreSchema", core)), validator)


def shown(type_: Any) -> str:
    """Give a type as people write it."""
    return inspect.formatannotation(type_)


_EXPECTED = (
    *(PydanticUserError, UserWarning),
    *(NameError, TypeError, ValueError, AttributeError, RecursionError),
)
"""What pydantic, typing and annotations raise, with a text that says all."""


def _reason(exc: BaseException) -> str:
    if isinstance(exc, NameError) and exc.name:
        return f"the name {exc.name!r} in an annotation cannot be found: define it where its class is, in the module"
    text = str(exc.message if isinstance(exc, PydanticErrorMixin) else exc)
    said = text.partition("\n")[0].partition(". Set `")[0]
    kind = type(exc).__name__
    return said if said and isinstance(exc, _EXPECTED) else f"{kind}: {said}" if said else kind


# --- TypedDicts of typing --------------------------------------------------------------------------------------------


class _Twins:
    """
    Types with twins by typing_extensions for the TypedDicts of typing, which pydantic refuses before Python 3.12.

    Within a dataclass, NamedTuple or pydantic model there is no way to put one: there pydantic's error stays.

    Args:
        namespace: Where names in their annotations are looked up, after their modules.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = dict(namespace)
        self._hints: dict[Any, dict[str, Any]] = {}
        self._made: dict[Any, Any] = {}

    def of(self, type_: Any) -> Any:
        """Give the type with twins in it, or itself if it needs none."""
        if sys.version_info >= (3, 12) or not self._is_refused(type_, set()):
            return type_
        if is_typeddict(type_):
            return self._twin(type_)
        meant = _meant(type_)
        if meant is not type_:
            return self.of(meant)
        arguments = tuple(self.of(argument) for argument in _arguments(type_))
        origin: Any = get_origin(type_)
        if origin is Annotated:
            arguments += type_.__metadata__
        # A twin equals no other type, so what typing remembers of equal types does no harm.
        origin = Union if origin is types.UnionType else self.of(origin)
        return origin[arguments if len(arguments) != 1 else arguments[0]]

    def _is_refused(self, type_: Any, seen: set[int]) -> bool:
        if id(type_) in seen:
            return False
        seen.add(id(type_))
        if is_typeddict(type_):
            if type(type_).__module__ == "typing":
                return True
            try:
                hints = self._hints_of(type_)
            except Exception:  # noqa: BLE001 - annotations may do anything: pydantic says what is wrong with them
                return False
            return any(self._is_refused(hint, seen) for hint in hints.values())
        meant = _meant(type_)
        if meant is not type_:
            return self._is_refused(meant, seen)
        return any(self._is_refused(below, seen) for below in (get_origin(type_), *_arguments(type_)))

    def _hints_of(self, class_: Any) -> dict[str, Any]:
        if class_ not in self._hints:
            try:
                hints = get_type_hints(class_, include_extras=True)
            except NameError:
                hints = {}  # not kept: the error refers to this frame
            if not hints:
                hints = get_type_hints(class_, localns=self._namespace, include_extras=True)
            self._hints[class_] = hints
        return self._hints[class_]

    def _twin(self, class_: Any) -> Any:
        if class_ not in self._made:
            generic: Any = Generic
            parameters = getattr(class_, "__parameters__", ())
            bases = (TypedDict, generic[parameters]) if parameters else (TypedDict,)
            twin: Any = types.new_class(class_.__name__, bases)
            # Its module and its name in there lead to its source, too, and to the strings under its keys.
            for name, value in vars(class_).items():
                if name not in {"__dict__", "__weakref__", "__annotations__", "__orig_bases__"}:
                    setattr(twin, name, value)
            self._made[class_] = twin  # before its keys: they may hold itself
            twin.__annotations__ = {name: self.of(hint) for name, hint in self._hints_of(class_).items()}
        return self._made[class_]


def _meant(type_: Any) -> Any:
    """Give the type that another name stands for."""
    if isinstance(type_, NewType):
        return type_.__supertype__
    return type_.__value__ if isinstance(type_, TypeAliasType) else type_


def _arguments(type_: Any) -> tuple[Any, ...]:
    """Give the types in brackets."""
    origin = get_origin(type_)
    if origin is Literal or origin is Callable:
        return ()
    return get_args(type_)[:1] if origin is Annotated else get_args(type_)


# --- pydantic's schema of a type, with what it does not know ---------------------------------------------------------


def _is_struct(type_: Any) -> bool:
    msgspec = sys.modules.get("msgspec")  # who has made a Struct has imported it
    return msgspec is not None and isinstance(type_, type) and issubclass(type_, msgspec.Struct)


def _convert(struct: type, value: Any) -> Any:
    import msgspec

    try:
        return msgspec.convert(value, struct, strict=False)
    except msgspec.ValidationError as exc:
        raise ValueError(str(exc)) from exc


_VALUES = frozenset({"cls", "config", "default", "expected", "members", "metadata", "serialization"})
"""Keys of a pydantic schema that hold no schemas."""
_BY_NAME = frozenset({"fields", "choices"})
"""Keys that may hold schemas by names that are not pydantic's."""


def _reworked(part: Any) -> Any:
    """Let a Struct be made by msgspec, choices be wide, and an Iterable be read at once: wrong items show now."""
    if isinstance(part, list | tuple):
        items = [_reworked(item) for item in part]
        return tuple(items) if isinstance(part, tuple) else items
    if not isinstance(part, dict):
        return part
    kind = part.get("type")
    if kind == "is-instance" and _is_struct(part["cls"]):
        return core_schema.no_info_plain_validator_function(partial(_convert, part["cls"]))
    if kind in {"model", "dataclass"} and "__pydantic_validator__" in vars(part["cls"]):
        _refuse_structs(part, part["cls"])
        return part  # pydantic uses the validator that the class has
    if kind in {"literal", "enum"}:
        return _choice(part)
    if kind == "generator":
        part = {**part, "type": "list"}
    return {
        key: value
        if key in _VALUES
        else {name: _reworked(below) for name, below in value.items()}
        if key in _BY_NAME and isinstance(value, dict)
        else _reworked(value)
        for key, value in part.items()
    }


def _choice(part: dict[str, Any]) -> Any:
    """Let a Literal or Enum take all that its JSON schema shows: values of members; and for an int its text, too."""
    taken: list[Any] = part["expected"] if part["type"] == "literal" else part["members"]
    values = [item.value if isinstance(item, Enum) else item for item in taken]
    classes: dict[type[Enum], list[Enum]] = {}
    for item in taken if part["type"] == "literal" else ():
        if isinstance(item, Enum):
            classes.setdefault(type(item), []).append(item)
    by_text = "sub_type" not in part and any(type(value) is int for value in values)
    if part.get("strict") or not (classes or by_text):
        return part
    own: Any = {key: value for key, value in part.items() if key != "ref"}
    ways: list[Any] = [own]
    for class_, members in classes.items():  # an Enum may have a rule of its own that gives another member
        ways.append(core_schema.chain_schema([core_schema.enum_schema(class_, members), own]))
    if by_text:
        ways.append(core_schema.chain_schema([core_schema.int_schema(), _first_of(ways, part["type"], values)]))
    return _first_of(ways, part["type"], values, part.get("ref"))


def _first_of(ways: list[Any], error: str, values: list[Any], ref: str | None = None) -> core_schema.UnionSchema:
    *first, last = dict.fromkeys(map(repr, values))
    return core_schema.union_schema(
        list(ways),
        mode="left_to_right",
        custom_error_type="literal_error" if error == "literal" else "enum",
        custom_error_context={"expected": f"{', '.join(first)} or {last}" if first else last},
        ref=ref,
    )


def _refuse_structs(part: Any, class_: type) -> None:
    if isinstance(part, dict):
        if part.get("type") == "is-instance" and _is_struct(part["cls"]):
            raise TypeError(f"pydantic's {class_.__name__} cannot hold {part['cls'].__name__}, a Struct of msgspec")
        for key, value in part.items():
            if key not in _VALUES:
                _refuse_structs(value, class_)
    elif isinstance(part, list | tuple):
        for item in part:
            _refuse_structs(item, class_)


# --- JSON schemas ----------------------------------------------------------------------------------------------------


def _json_schema(core: core_schema.CoreSchema) -> dict[str, Any]:
    maker = _JsonSchema()
    made = maker.generate(core)
    if not maker.structs:
        return made
    import msgspec

    names, definitions = msgspec.json.schema_components(maker.structs, ref_template="#/$defs/msgspec.{name}")
    made = cast("dict[str, Any]", _filled(made, names))
    made["$defs"] = {**made.get("$defs", {}), **{f"msgspec.{name}": below for name, below in definitions.items()}}
    return made


def _filled(part: Any, names: tuple[dict[str, Any], ...]) -> Any:
    if isinstance(part, dict):
        beside = {key: _filled(value, names) for key, value in part.items() if key != _STRUCT}
        return {**names[part[_STRUCT]], **beside} if isinstance(part.get(_STRUCT), int) else beside
    return [_filled(item, names) for item in part] if isinstance(part, list) else part


class _JsonSchema(GenerateJsonSchema):
    """pydantic's JSON schemas, with descriptions from docstrings, names as they are, and without what misleads."""

    def __init__(self) -> None:
        super().__init__()
        self.structs: list[type] = []

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        del parent_key  # the order of the source says more than that of the alphabet
        return value

    def get_title_from_name(self, name: str) -> str:
        return name

    def is_instance_schema(self, schema: core_schema.IsInstanceSchema) -> JsonSchemaValue:
        if not _is_struct(schema["cls"]):
            return super().is_instance_schema(schema)
        if schema["cls"] not in self.structs:
            self.structs.append(schema["cls"])
        return {_STRUCT: self.structs.index(schema["cls"])}

    def is_subclass_schema(self, schema: core_schema.IsSubclassSchema) -> JsonSchemaValue:
        return self.handle_invalid_for_json_schema(schema, f"a class below {schema['cls'].__name__}")  # not "anything"

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        # Not "a number, or a string of a pattern": no grammar can be made of that pattern, and models write numbers.
        found: JsonSchemaValue = {"type": "number"}
        self.update_with_validations(found, cast("core_schema.CoreSchema", schema), self.ValidationsMapping.numeric)
        return found

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        if not _are_plain([value.value if isinstance(value, Enum) else value for value in schema["expected"]]):
            return self.handle_invalid_for_json_schema(schema, "a Literal whose values are not all texts or numbers")
        found = super().literal_schema(schema)
        if "enum" in found:  # a member of an Enum may have the value of another
            found["enum"] = list({(type(value), value): value for value in found["enum"]}.values())
        return found

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        # An alias is its member once more.
        members = list({member.name: member for member in cast("list[Enum]", schema["members"])}.values())
        if not _are_plain([member.value for member in members]):
            name = schema["cls"].__name__
            return self.handle_invalid_for_json_schema(schema, f"{name}, whose values are not all texts or numbers")
        found = super().enum_schema({**schema, "members": members})
        if not all(isinstance(member.value, str) for member in members):
            found["x-names"] = {member.name: member.value for member in members}
        return found

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return _described(super().model_schema(schema), schema["cls"])

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        return _described(super().dataclass_schema(schema), schema["cls"])

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> JsonSchemaValue:
        found = super().typed_dict_schema(schema)
        class_ = schema.get("cls")
        # That of arguments is made above, and has no source to look for.
        return found if class_ is None or class_.__module__ == __name__ else _described(found, class_)


def _are_plain(values: Sequence[object]) -> bool:
    # pydantic shows a tuple as a list, and then takes no list for it.
    return len(values) > 0 and all(isinstance(value, str | int | float | None) for value in values)


def _described(found: JsonSchemaValue, class_: type) -> JsonSchemaValue:
    texts = _docstrings.of_class(class_)
    whole = inspect.cleandoc(vars(class_).get("__doc__") or "")
    if found.get("description", whole) == whole:  # not one that the class's configuration gives
        found.pop("description", None)
        if texts.description:
            found["description"] = texts.description
    for name, text in texts.parts.items():
        below = found.get("properties", {}).get(name)
        if isinstance(below, dict):
            below.setdefault("description", text)
    return found
