"""
A function to what is remembered of it as a tool: the dict that a model is told, and what converts arguments.

Nothing here waits or sends. pydantic and docstring_parser are imported with the first function that is converted.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from . import _parameters
from ._by_identity import Memory, recall, remember
from .errors import ToolSchemaError

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

    from ._adapt import Adapted
    from ._parameters import Parameter, Read


@dataclass(frozen=True, slots=True)
class Known:
    """What a function was converted to. It holds little: while it holds the function, neither is freed."""

    name: str
    encoded: bytes
    """The tool's dict as JSON: quicker to read again than a dict is to copy."""
    validator: SchemaValidator
    parameters: tuple[Taken, ...]
    unbound: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """A parameter, without its default, which may hold the function."""

    name: str
    kind: inspect._ParameterKind
    optional: bool


_remembered: Memory[Known] = {}


def known(function: Callable[..., Any]) -> Known:
    """Give what *function* was converted to, or convert it. Raises ToolSchemaError if it cannot be told to a model."""
    found = recall(_remembered, function)
    if found is not None:
        return found
    if not callable(function):
        raise TypeError(f"a tool must be a function or its dict, not {type(function).__name__}")
    label = _parameters.label(function)
    read = _parameters.read(function)
    try:
        converted = _convert(read, label)
    except ToolSchemaError:
        raise
    except Exception as exc:
        said = f"{label} cannot be told to a model: {type(exc).__name__}: {exc}"
        raise ToolSchemaError(said, function=label) from exc
    remember(_remembered, function, converted)
    return converted


def _convert(read: Read, label: str) -> Known:
    from pydantic_core import to_json

    adapted, optional = adapted_of(read, label)
    about: dict[str, Any] = {"name": read.name}
    if read.description:
        about["description"] = read.description
    required = [p.name for p in read.parameters if p.name not in optional]
    about["parameters"] = {
        "type": "object",
        **({"required": required} if required else {}),
        "properties": {p.name: _property(p, p.name in optional, adapted.schema, label) for p in read.parameters},
    }
    encoded = to_json({"type": "function", "function": about})
    taken = tuple(Taken(p.name, p.kind, p.name in optional) for p in read.parameters)
    return Known(read.name, encoded, adapted.validator, taken, read.unbound)


def adapted_of(read: Read, label: str) -> tuple[Adapted, set[str]]:
    """
    Give what pydantic made of all parameters together, and the names of those that may be left out.

    Args:
        read: What a function says.

        label: Which function it is, for errors.

    Raises ToolSchemaError, which names the parameter, for a type that has no schema.
    """
    from ._adapt import adapt_fields

    types, optional = _types_of(read.parameters)
    try:
        return adapt_fields(types, optional, read.namespace), optional
    except TypeError as exc:
        _refuse_types(types, read.namespace, label)
        raise ToolSchemaError(f"{label} cannot be told to a model: {exc}", function=label) from exc


def _types_of(parameters: Sequence[Parameter]) -> tuple[dict[str, Any], set[str]]:
    """Give the parameters' types, and the names of those that may be left out."""
    from pydantic.fields import FieldInfo

    types: dict[str, Any] = {}
    optional: set[str] = set()
    for parameter in parameters:
        default = parameter.default
        field = isinstance(default, FieldInfo)  # as in x: int = Field(5, ge=1)
        types[parameter.name] = Annotated[parameter.type, default] if field else parameter.type
        if not (default is _parameters.EMPTY or (field and default.is_required())):
            optional.add(parameter.name)
    return types, optional


def _refuse_types(types: Mapping[str, Any], namespace: Mapping[str, Any], label: str) -> None:
    """Raise an error that names the first parameter whose type has no schema."""
    from ._adapt import adapt_fields, shown

    for name, type_ in types.items():
        try:
            adapt_fields({name: type_}, (), namespace)
        except TypeError as exc:
            raise ToolSchemaError(
                f"{label}'s parameter {name!r}, of type {shown(type_)}, cannot be told to a model: {exc}; give it"
                " another type, or bind it by functools.partial",
                function=label,
                parameter=name,
            ) from exc


def _property(parameter: Parameter, optional: bool, whole: Mapping[str, Any], label: str) -> dict[str, Any]:
    from . import _keywords

    schema = dict(whole.get("properties", {}).get(parameter.name, {}))
    if optional and parameter.kind not in _SEVERAL:
        schema |= _default_of(parameter.default)
    if parameter.text:
        schema["description"] = parameter.text
    try:
        return _keywords.plain(schema, whole.get("$defs", {}), parameter.name)
    except TypeError as exc:
        raise ToolSchemaError(
            f"{label}'s parameter {parameter.name!r} cannot be told to a model: {exc}",
            function=label,
            parameter=parameter.name,
        ) from exc


_SEVERAL = frozenset({inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD})


def _default_of(default: Any) -> dict[str, Any]:
    """Give a default as a keyword of a schema, unless it has no JSON form, as what only marks a missing argument."""
    from pydantic.fields import FieldInfo
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    if isinstance(default, FieldInfo):
        return {}  # pydantic has put it there
    try:
        return {"default": to_jsonable_python(default)}
    except (PydanticSerializationError, ValueError):
        return {}
