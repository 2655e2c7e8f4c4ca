"""A call as a model makes it to the arguments of a call of the function, and what is said of wrong ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from . import _tool_message

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from ._tool_schema import Known, Taken

_SHOWN = 200
"""How many characters of a wrong argument an error shows."""


def parts_of(call: Any) -> tuple[str, Any]:
    about = call.get("function") if isinstance(call, Mapping) else None
    name = about.get("name") if isinstance(about, Mapping) else None
    if not isinstance(name, str):
        raise TypeError("a call must be a mapping with the function's name and arguments, as in an answer's tool_calls")
    return name, about.get("arguments") if isinstance(about, Mapping) else None


def validated(known: Known, arguments: Any) -> dict[str, Any]:
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


def _mended(known: Known, given: dict[str, Any], exc: ValidationError) -> dict[str, Any] | None:
    """Undo what models do: null for an argument they do not give, and JSON as text within the JSON."""
    from pydantic_core import from_json

    optional = {parameter.name for parameter in known.parameters if parameter.optional}
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


def said_of(exc: Exception, known: Known) -> str:
    from pydantic import ValidationError

    if not isinstance(exc, ValueError):
        return f"the arguments cannot be converted: {type(exc).__name__}: {exc}".removesuffix(": ")
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
            value = _tool_message.as_json(error["input"])
            shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
            return f"the argument {where!r} is {shown}: {error['msg'].removeprefix('Value error, ')}"


def given_twice(parameters: Sequence[Taken], values: Mapping[str, Any], names: frozenset[str]) -> str | None:
    """
    Give a key for `**keywords` that is the name of a parameter, or None.

    It would take the place of what was converted for that parameter, or of what the caller has bound to it.
    """
    for parameter in parameters:
        if parameter.kind is parameter.kind.VAR_KEYWORD:
            return next((key for key in values.get(parameter.name, {}) if key in names), None)
    return None


def arranged(
    parameters: Sequence[Taken], values: Mapping[str, Any], default_of: Callable[[str], Any]
) -> tuple[list[Any], dict[str, Any]]:
    """
    Divide converted arguments into those given by position and those given by name.

    Args:
        parameters: Those of the function.

        values: The converted arguments.

        default_of: Gives a parameter's default, for one that must be given because something comes after it.
    """
    spread = any(p.kind is p.kind.VAR_POSITIONAL and values.get(p.name) for p in parameters)
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    waiting: list[str] = []  # those whose defaults must be given only if something comes after them
    for parameter in parameters:
        name, kind = parameter.name, parameter.kind
        if kind is kind.VAR_POSITIONAL:
            if spread:
                positional += [*map(default_of, waiting), *values[name]]
        elif kind is kind.VAR_KEYWORD:
            keywords |= values.get(name, {})
        elif kind is kind.POSITIONAL_ONLY or (spread and kind is kind.POSITIONAL_OR_KEYWORD):
            if name in values:
                positional += [*map(default_of, waiting), values[name]]
                waiting = []
            else:
                waiting.append(name)
        elif name in values:
            keywords[name] = values[name]
    return positional, keywords
