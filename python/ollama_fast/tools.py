"""
Python functions as tools: a function to what a model is told of it, and a model's call to a call of the function.

Nothing here waits or sends. pydantic and docstring_parser are imported with the first function that is converted.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from . import _parameters, _tool_call, _tool_message, _tool_schema
from .errors import ToolCallError, ToolSchemaError
from .types import Message, Tool, ToolCall

__all__ = ["Tools", "describe", "error_message", "prepare", "result_message", "tool"]

Tools: TypeAlias = Sequence[Callable[..., Any] | Tool | Mapping[str, Any]] | Mapping[str, Callable[..., Any]]
"""Functions and tools' dicts, mixed; or functions by the names that the model shall know them by."""


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
    defaults, is said in the descriptions. So the model is told defaults, except those of pydantic's secret types: bind
    what it must not know by functools.partial. What was made of the last 256 functions is remembered.

    Raises ToolSchemaError, which names the function and the parameter, for what cannot be told.
    """
    from pydantic_core import from_json

    known = _tool_schema.known(function)
    made: Tool = from_json(known.encoded)
    about = made["function"]
    about["name"] = name or known.name or _refuse_nameless(function)
    if description is not None:
        about["description"] = description
    return made


def describe(tools: Tools) -> list[Tool | Mapping[str, Any]]:
    """
    Give the tools' dicts: those of functions, and those that are dicts as they are.

    Args:
        tools: Functions and dicts, or functions by the names that a model is told.

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
    name, arguments = _tool_call.parts_of(call)
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
    known = _tool_schema.known(function)
    if known.unbound:
        raise ToolCallError(
            f"the tool {name!r} is a method without its object, so it cannot be called: give the object's method",
            kind="uncallable",
            tool=name,
            call=call,
        )
    try:
        values = _tool_call.validated(known, arguments)
    except Exception as exc:  # what the types' own code raises, such as a dataclass's __post_init__
        raise ToolCallError(
            f"{name}: {_tool_call.said_of(exc, known)}", kind="arguments", tool=name, call=call
        ) from exc
    if twice := _tool_call.given_twice(known.parameters, values, _parameters.keywords_of(function)):
        raise ToolCallError(f"{name}: there is no further argument {twice!r}", kind="arguments", tool=name, call=call)
    positional, keywords = _tool_call.arranged(
        known.parameters, values, lambda name: _parameters.default_of(function, name)
    )
    return functools.partial(_parameters.target(function), *positional, **keywords)


def result_message(call: ToolCall | Mapping[str, Any], result: object) -> Message:
    """
    Give the message that tells a model what its call gave.

    Args:
        call: The call that was made.

        result: A str is sent as it is; anything else as JSON, and what has no JSON form as `str()` has it.
    """
    return _message(call, _tool_message.text_of(result))


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


def _message(call: Any, content: str) -> Message:
    name, _ = _tool_call.parts_of(call)
    if call.get("id"):
        return {"role": "tool", "content": content, "tool_name": name, "tool_call_id": call["id"]}
    return {"role": "tool", "content": content, "tool_name": name}


# --- which tools -----------------------------------------------------------------------------------------------------


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
        name = (
            _name_of(_checked(given)) if function is None else _tool_schema.known(given).name or _refuse_nameless(given)
        )
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
