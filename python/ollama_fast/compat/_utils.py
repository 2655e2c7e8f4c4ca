"""
Python functions as the tools of `ollama`: what the genuine client tells of them, and what it loses of their types.

The name of this file is imported by others. What models are used to stays: `"string, integer"` for a union, that a
parameter with a default is required and one that may be None is not, and how docstrings in Google's style are read.
"""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from ollama_fast import _keywords, _parameters, _tool_schema
from ollama_fast._by_identity import Memory, recall, remember

from ._types import Tool


def convert_function_to_tool(func: Callable[..., Any]) -> Tool:
    """
    Give the tool that tells a model of *func*, as a new object.

    Args:
        func: Any callable whose parameters have types. Those whose names begin with `_` are not told.

    Raises ToolSchemaError, which names the function and the parameter, for a type that has no JSON schema.
    """
    looks = _looks(func)
    found = recall(_remembered, func)
    if found is None or found[0] != looks:
        found = looks, _encoded(func)
        remember(_remembered, func, found)
    return Tool.model_validate_json(found[1])


_remembered: Memory[tuple[tuple[Any, ...], bytes]] = {}
"""How a function looked, and its tool as JSON: quicker to read again than a model is to copy."""


def _looks(function: Any) -> tuple[Any, ...]:
    """Give what a program may change of a function between two calls; without the types, which may hold it."""
    try:
        annotations = getattr(function, "__annotations__", None) or {}
    except NameError:  # from Python 3.14 on they are evaluated when asked for
        annotations = {}
    types = [
        (name, type_ if isinstance(type_, str) else (id(type_), repr(type_))) for name, type_ in annotations.items()
    ]
    return (getattr(function, "__name__", ""), function.__doc__, id(getattr(function, "__signature__", None)), *types)


def _encoded(function: Callable[..., Any]) -> bytes:
    from pydantic_core import to_json

    read = _parameters.read(function, lenient=True)
    schemas, definitions = _schemas_of(read, _parameters.label(function))
    named = _parameters.keywords_of(function)
    texts = _texts(_doc_of(function), [parameter.name for parameter in read.parameters])
    properties: dict[str, Any] = {}
    required: list[str] = []
    refers = False
    for parameter in read.parameters:
        schema = schemas[parameter.name]
        types = list(dict.fromkeys(_types_of(schema, definitions)))
        if _is_required(parameter, types, named):
            required.append(parameter.name)
        text = texts.parts.get(parameter.name) or parameter.text
        try:
            made = _property(schema, text, definitions, parameter.name)
        except TypeError:  # it contains itself, or is huge with all that its types refer to
            refers = True
            made = {key: value for key, value in schema.items() if key not in {"default", "title"}}
            made["description"] = text
        made["type"] = ", ".join([kind for kind in types if kind != "null"] or types)
        properties[parameter.name] = made
    parameters: dict[str, Any] = {"type": "object", "properties": properties}
    if properties:
        parameters["required"] = required
    if refers:
        parameters["$defs"] = definitions
    description = texts.description if texts.whole else read.description
    about = {"name": read.name or "<lambda>", "description": description, "parameters": parameters}
    return to_json({"type": "function", "function": about})


# --- types -----------------------------------------------------------------------------------------------------------


def _schemas_of(read: _parameters.Read, label: str) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Give the JSON schemas of parameters, and what their references refer to; pydantic is asked if it must be."""
    schemas = {p.name: _plain_schema(p.type) for p in read.parameters if not isinstance(p.default, FieldInfo)}
    others = tuple(parameter for parameter in read.parameters if schemas.get(parameter.name) is None)
    if not others:
        return schemas, {}
    adapted, _ = _tool_schema.adapted_of(replace(read, parameters=others), label)
    return {**schemas, **adapted.schema["properties"]}, adapted.schema.get("$defs", {})


def _plain_schema(type_: Any) -> dict[str, Any] | None:
    if type_ is Any:
        return {}
    if isinstance(type_, type):
        return {"type": _keywords.TYPES[type_]} if type_ in _keywords.TYPES else None
    if get_origin(type_) not in {Union, UnionType}:
        return None
    members = [_plain_schema(member) for member in get_args(type_)]
    return None if None in members else {"anyOf": members}


def _types_of(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    """Give JSON's names of the types in a schema, as they are written; one that says none is of a string."""
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    members = schema.get("anyOf", schema.get("oneOf"))
    if members:
        for member in members:
            yield from _types_of(member, definitions)
        return
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    found = schema.get("type", "string" if values is None else _keywords.types_of(values))
    yield from [found] if isinstance(found, str) else found


def _is_required(parameter: _parameters.Parameter, types: Collection[str], named: Collection[str]) -> bool:
    if parameter.kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD} or "null" in types:
        return False
    # A default makes no difference, but a key of a TypedDict that stands for **keywords may be missing.
    of_keywords = parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.name not in named
    return parameter.default is _parameters.EMPTY or not of_keywords


def _property(schema: Mapping[str, Any], text: str, definitions: Mapping[str, Any], name: str) -> dict[str, Any]:
    described = {**schema, "description": text} if text else schema
    # The default is None so that neither null nor the function's own default is told.
    made = {"description": "", **_keywords.plain({**described, "default": None}, definitions, name)}
    if made.get("items") == {}:
        del made["items"]
    if all(set(member) <= {"type"} for member in made.get("anyOf", ())):
        made.pop("anyOf", None)  # the types say it all
    return made


# --- docstrings ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Sections:
    """The lines of a docstring: those that describe the whole, those of `Args:`, and those of what comes back."""

    whole: list[str] = field(default_factory=list[str])
    arguments: list[str] = field(default_factory=list[str])
    other: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class _Texts:
    """
    What a docstring says.

    Args:
        whole: Whether it is all that is described; else it is written in another style than Google's.
    """

    description: str
    parts: Mapping[str, str]
    whole: bool


_OTHER_STYLE = re.compile(
    r"^[ \t]*(?:"
    r"(?:Parameters|Other Parameters|Returns|Yields|Raises|Attributes)[ \t]*\n[ \t]*-{3,}[ \t]*$"  # NumPy
    r"|[:@](?:param|parameter|arg|argument|key|keyword|type|returns?|rtype|raises?|yields?)\b[^\n]*:"  # Sphinx, Epydoc
    r"|(?:Arguments|Parameters|Params):[ \t]*$"  # Google's, by another name
    r")",
    re.MULTILINE,
)
_AFTER_NAME = re.compile(r"(?:\(([^)]*)\)|:)\s*")
"""What ends a parameter's name: its type in parentheses, or a colon."""


def _parse_docstring(doc_string: str | None) -> dict[str, str]:
    """
    Read a docstring in Google's style.

    Gives the description under `str(hash(doc_string))`, each parameter's text under its name, the lines of `Args:`
    under "args", those of `Returns:`, `Yields:` and `Raises:` under "_"; and "" for any other name.
    """
    found = defaultdict[str, str](str)
    if not doc_string:
        return found
    sections = _sections(doc_string)
    for name, lines in (
        (str(hash(doc_string)), sections.whole),
        ("args", sections.arguments),
        ("_", sections.other),
    ):
        if lines or name == "args":
            found[name] = _stripped(lines)
    found.update(_arguments(sections.arguments))
    return found


def _texts(doc: str, names: Collection[str]) -> _Texts:
    sections = _sections(doc)
    found = {written.lstrip("\\*"): text for written, text in _arguments(sections.arguments, names).items()}
    other = not sections.arguments and _OTHER_STYLE.search(doc) is not None
    return _Texts(inspect.cleandoc(_stripped(sections.whole)), found, whole=not other)


def _doc_of(function: Callable[..., Any]) -> str:
    plain = _parameters.below_partials(function)
    if _parameters.is_object(plain):
        return inspect.cleandoc(type(plain).__call__.__doc__ or type(plain).__doc__ or "")
    return inspect.getdoc(plain) or ""


def _sections(doc: str) -> _Sections:
    sections = _Sections()
    into = sections.whole
    for line in doc.expandtabs().splitlines():
        lowered = line.strip().lower()
        if lowered.startswith("args:"):
            into = sections.arguments
        elif lowered.startswith(("returns:", "yields:", "raises:")):
            into = sections.other
        else:
            into.append(line)
    return sections


def _stripped(lines: Iterable[str]) -> str:
    return "".join(f"{line.strip()}\n" for line in lines)


def _arguments(lines: Iterable[str], names: Collection[str] = ()) -> dict[str, str]:
    """
    Give the text under each name.

    Args:
        lines: Those of `Args:`.

        names: Parameters, which begin a text wherever they stand. Any other line that is further to the right than the
            one before began goes on with it, whatever colons it has.
    """
    texts: dict[str, str] = {}
    current = ""
    depth = 0
    for line in lines:
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        end = _AFTER_NAME.search(text) if ":" in text else None
        name = text[: end.start()].strip() if end else ""
        if end and (not current or indent <= depth or (name in names and name not in texts)):
            rest = text[end.end() :].strip()
            texts[name] = rest.partition(":")[2].strip() if end[1] and ":" in rest else rest
            current, depth = name, indent
        elif current and text:
            texts[current] += f" {text}"
    return texts
