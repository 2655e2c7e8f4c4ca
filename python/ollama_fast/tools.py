"""
Python functions as tools: a function to what a model is told of it, and a model's call to a call of the function.

Nothing here waits or sends. pydantic and docstring_parser are imported with the first function that is converted.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast

from . import _parameters
from .errors import ToolCallError, ToolSchemaError
from .types import Message, Tool, ToolCall

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails, SchemaValidator

    from ._parameters import Parameter, Read

__all__ = ["Tools", "describe", "error_message", "prepare", "result_message", "tool"]

Tools: TypeAlias = Sequence[Callable[..., Any] | Tool | Mapping[str, Any]] | Mapping[str, Callable[..., Any]]
"""Functions and tools' dicts, mixed; or functions by the names that the model shall know them by."""

_SHOWN = 200
"""How many characters of a wrong argument an error shows."""


def tool(function: Callable[..., Any], *, name: str | None = None, description: str | None = None) -> Tool:
    """
    Give the dict that tells a model of *function*, as a new object.

    Args:
        function: Any callable whose parameters have types: a function, a bound method, a partial, an object with
            `__call__`. A parameter with a default may be left out by the model.

        name: In place of the function's own.

        description: In place of what its docstring says.

    Texts come from the docstring (Google, NumPy, Sphinx or Epydoc), and for a parameter also from
    `Annotated[int, "text"]`, a pydantic Field or a Doc, which win. What Ollama would drop, such as bounds, formats and
    defaults, is said in the descriptions. It is remembered as long as the function lives.

    Raises ToolSchemaError, which names the function and the parameter, for what cannot be told.
    """
    from pydantic_core import from_json

    known = _known(function)
    made: Tool = from_json(known.encoded)
    about = made["function"]
    about["name"] = name or known.name or _refuse_nameless(function)
    if description is not None:
        about["description"] = description
    return made


def describe(tools: Tools) -> list[Tool | Mapping[str, Any]]:
    """
    Give the tools' dicts: those of functions, and those that are dicts as they are.

    Raises ToolSchemaError if two have the same name.
    """
    if isinstance(tools, Mapping):
        return [tool(function, name=name) for name, function in _by_name(tools).items()]
    found = [tool(given) if callable(given) else _checked(given) for given in tools]
    _refuse_twins([_name_of(made) for made in found])
    return found


def prepare(tools: Tools, call: ToolCall | Mapping[str, Any]) -> functools.partial[Any]:
    """
    Find the function that *call* names and convert the arguments: what is given only needs to be called.

    Args:
        tools: The functions, as they were given to the model.

        call: As it stands in an answer's `tool_calls`. Arguments may also be JSON text.

    :func:`inspect.iscoroutinefunction` says of the result whether it must be awaited. Arguments that the model left
    out are left to the function's defaults.

    Raises ToolCallError, from its cause, if there is no such tool or its arguments are wrong; ToolSchemaError for
    tools that cannot be told.
    """
    name, arguments = _parts_of(call)
    functions = _by_name(tools) if isinstance(tools, Mapping) else _by_own_names(tools)
    if name not in functions:
        names = ", ".join(functions)
        said = f"the tools are: {names}" if names else "there are no tools"
        raise ToolCallError(f"there is no tool {name!r}; {said}", kind="unknown", tool=name, call=call)
    function = functions[name]
    if function is None:
        raise ToolCallError(
            f"the tool {name!r} is only a dict, so it cannot be called: give the function itself",
            kind="uncallable",
            tool=name,
            call=call,
        )
    known = _known(function)
    if known.unbound:
        raise ToolCallError(
            f"the tool {name!r} is a method without its object, so it cannot be called: give the object's method",
            kind="uncallable",
            tool=name,
            call=call,
        )
    try:
        values = _validated(known, arguments)
    except ValueError as exc:
        raise ToolCallError(f"{name}: {_said(exc, known)}", kind="arguments", tool=name, call=call) from exc
    positional, keywords = _arranged(known.parameters, values)
    return functools.partial(_parameters.target(function), *positional, **keywords)


def result_message(call: ToolCall | Mapping[str, Any], result: object) -> Message:
    """
    Give the message that tells a model what its call gave.

    Args:
        call: The call that was made.

        result: A str is sent as it is; anything else as JSON, and what has no JSON form as `str()` has it.
    """
    return _message(call, _text(result))


def error_message(call: ToolCall | Mapping[str, Any], error: BaseException) -> Message:
    """
    Give the message that tells a model why its call failed.

    Args:
        call: The call that failed.

        error: A ToolCallError, whose text the model can act on, or what the function raised.
    """
    if isinstance(error, ToolCallError):
        return _message(call, f"Error: {error}")
    return _message(call, f"Error: {type(error).__name__}: {error}".removesuffix(": "))


# --- functions, remembered -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Known:
    """What a function was converted to. It must not hold the function, or neither would ever be freed."""

    name: str
    encoded: bytes
    """The tool's dict as JSON: quicker to read again than a dict is to copy."""
    validator: SchemaValidator
    parameters: tuple[Parameter, ...]
    unbound: bool


_remembered: dict[tuple[int, type], tuple[weakref.ref[Any], _Known]] = {}
"""By identity, since callables may be unhashable or equal to others; an entry goes with its function."""


def _known(function: Callable[..., Any]) -> _Known:
    # A bound method is a new object each time it is asked for: its function, and whether it is bound, say it all.
    held = getattr(function, "__func__", function)
    key = (id(held), type(function))
    entry = _remembered.get(key)
    if entry is not None and entry[0]() is held:
        return entry[1]
    if not callable(function):
        raise TypeError(f"a tool must be a function or its dict, not {type(function).__name__}")
    known = _convert(_parameters.read(function), _parameters.label(function))
    try:
        reference = weakref.ref(held, lambda _: _remembered.pop(key, None))
    except TypeError:  # an object with __slots__
        return known
    _remembered[key] = (reference, known)
    return known


def _convert(read: Read, label: str) -> _Known:
    from pydantic_core import to_json

    from ._adapt import adapt_fields

    types, optional = _types_of(read.parameters)
    try:
        adapted = adapt_fields(types, optional, read.namespace)
    except TypeError as exc:
        _refuse_types(types, read.namespace, label)
        raise ToolSchemaError(f"{label} cannot be told to a model: {exc}", function=label) from exc
    about: dict[str, Any] = {"name": read.name}
    if read.description:
        about["description"] = read.description
    required = [name for name in types if name not in optional]
    about["parameters"] = {
        "type": "object",
        **({"required": required} if required else {}),
        "properties": {p.name: _property(p, p.name in optional, adapted.schema, label) for p in read.parameters},
    }
    encoded = to_json({"type": "function", "function": about})
    return _Known(read.name, encoded, adapted.validator, read.parameters, read.unbound)


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


# --- the tools of a call ---------------------------------------------------------------------------------------------


def _by_name(tools: Mapping[str, Callable[..., Any]]) -> Mapping[str, Callable[..., Any]]:
    for name, function in tools.items():
        if not callable(function):
            raise TypeError(
                f"tools must be a sequence, or functions by name: {name!r} is a {type(function).__name__}, no function"
            )
    return tools


def _by_own_names(tools: Iterable[Any]) -> dict[str, Callable[..., Any] | None]:
    """Give the functions by their names; None for a tool that is only a dict."""
    found: dict[str, Callable[..., Any] | None] = {}
    names: list[str | None] = []
    for given in tools:
        function = given if callable(given) else None
        name = _name_of(_checked(given)) if function is None else _known(given).name or _refuse_nameless(given)
        names.append(name)
        if name is not None:
            found[name] = function
    _refuse_twins(names)
    return found


def _checked(given: Any) -> Tool | Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise TypeError(f"a tool must be a function or its dict, not {type(given).__name__}")
    return given


def _name_of(made: Tool | Mapping[str, Any]) -> str | None:
    about = made.get("function")
    name = about.get("name") if isinstance(about, Mapping) else None
    return name if isinstance(name, str) else None


def _refuse_twins(names: Sequence[str | None]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ToolSchemaError(
                f"two tools are called {name!r}: give them names of their own, as in {{'name': function}}",
                function=name,
            )
        if name is not None:
            seen.add(name)


def _refuse_nameless(function: Any) -> str:
    raise ToolSchemaError(
        "a lambda has no name that a model could call it by: give one, as in {'name': function}",
        function=_parameters.label(function),
    )


# --- arguments -------------------------------------------------------------------------------------------------------


def _parts_of(call: Any) -> tuple[str, Any]:
    about = call.get("function") if isinstance(call, Mapping) else None
    name = about.get("name") if isinstance(about, Mapping) else None
    if not isinstance(name, str):
        raise TypeError("a call must be a mapping with the function's name and arguments, as in an answer's tool_calls")
    return name, about.get("arguments") if isinstance(about, Mapping) else None


def _validated(known: _Known, arguments: Any) -> dict[str, Any]:
    from pydantic import ValidationError
    from pydantic_core import from_json, to_json

    if arguments is None or arguments == "":
        arguments = {}
    # As JSON even if it is a dict: there, to pydantic, a list is as good for a tuple as for a list, a str for a date.
    text = arguments if isinstance(arguments, str | bytes) else to_json(arguments)
    try:
        return cast("dict[str, Any]", known.validator.validate_json(text))
    except ValidationError as exc:
        given = from_json(text) if not any(error["type"] == "json_invalid" for error in exc.errors()) else None
        changed = _mended(known, given, exc) if isinstance(given, dict) else None
        if changed is None:
            raise
    try:
        return cast("dict[str, Any]", known.validator.validate_json(to_json(changed)))
    except ValidationError as exc:
        raise exc from None


def _mended(known: _Known, given: dict[str, Any], exc: ValidationError) -> dict[str, Any] | None:
    """Undo what models do: null for an argument they do not give, and JSON as text within the JSON."""
    from pydantic_core import from_json

    optional = {p.name for p in known.parameters if p.default is not _parameters.EMPTY}
    changed = dict(given)
    for name in {str(error["loc"][0]) for error in exc.errors(include_url=False) if error["loc"]}:
        value = given.get(name)
        if value is None and name in optional and name in given:
            del changed[name]
        elif isinstance(value, str) and value.lstrip()[:1] in {"[", "{"}:
            try:
                changed[name] = from_json(value)
            except ValueError:
                continue
    return changed if changed != given else None


def _said(exc: ValueError, known: _Known) -> str:
    from pydantic import ValidationError

    if not isinstance(exc, ValidationError):
        return f"the arguments are no JSON: {exc}"
    said = dict.fromkeys(_problem(error) for error in exc.errors(include_url=False, include_context=False))
    names = ", ".join(parameter.name for parameter in known.parameters)
    return f"{'; '.join(said)}; {f'the arguments are: {names}' if names else 'it takes no arguments'}"


def _problem(error: ErrorDetails) -> str:
    where = ".".join(str(step) for step in error["loc"])
    match error["type"]:
        case "json_invalid":
            return f"the arguments are no JSON: {error['msg']}"
        case "missing":
            return f"the argument {where!r} is missing"
        case "extra_forbidden":
            return f"there is no argument {where!r}"
        case _ if not where:
            return "the arguments must be an object"
        case _:
            value = _json(error["input"])
            shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
            return f"the argument {where!r} is {shown}: {error['msg'].removeprefix('Value error, ')}"


def _arranged(parameters: Sequence[Parameter], values: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Divide converted arguments into those given by position and those given by name."""
    spread = any(p.kind is p.kind.VAR_POSITIONAL and values.get(p.name) for p in parameters)
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    waiting: list[Any] = []  # defaults that must be given only if something comes after them
    for parameter in parameters:
        name, kind = parameter.name, parameter.kind
        if kind is kind.VAR_POSITIONAL:
            if spread:
                positional += [*waiting, *values[name]]
        elif kind is kind.VAR_KEYWORD:
            keywords |= values.get(name, {})
        elif kind is kind.POSITIONAL_ONLY or (spread and kind is kind.POSITIONAL_OR_KEYWORD):
            if name in values:
                positional += [*waiting, values[name]]
                waiting = []
            else:
                waiting.append(parameter.default)
        elif name in values:
            keywords[name] = values[name]
    return positional, keywords


# --- messages --------------------------------------------------------------------------------------------------------


def _message(call: Any, content: str) -> Message:
    name, _ = _parts_of(call)
    if call.get("id"):
        return {"role": "tool", "content": content, "tool_name": name, "tool_call_id": call["id"]}
    return {"role": "tool", "content": content, "tool_name": name}


def _text(result: object) -> str:
    if isinstance(result, str):
        text = str.__str__(result)  # the value of an enum, not its name
    elif isinstance(result, bytes | bytearray | memoryview):
        text = bytes(result).decode("utf-8", "replace")
    else:
        text = _json(result)
    return text.encode("utf-8", "replace").decode()  # a file's name may hold what is no text


def _json(result: object) -> str:
    from pydantic_core import to_json

    for bytes_mode in ("utf8", "base64"):
        try:
            return to_json(result, fallback=_fallback, bytes_mode=bytes_mode).decode()
        except ValueError:  # bytes that are no text, or what holds itself
            continue
    return str(result)


def _fallback(value: object) -> Any:
    import sys

    msgspec = sys.modules.get("msgspec")
    if msgspec is not None and isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value, enc_hook=_fallback)
    as_list = getattr(value, "tolist", None)  # numpy's arrays and numbers
    return as_list() if callable(as_list) else str(value)
