"""
What is written about functions, classes and their parameters: docstrings, and the texts in Annotated.

docstring_parser reads the Google, NumPy, Sphinx and Epydoc styles; it is imported with the first docstring.
"""

from __future__ import annotations

import inspect
import os
import re
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from docstring_parser import Docstring


T = TypeVar("T")

lock = threading.RLock()
"""Held to use what belongs to the whole process: CPython's parser of source, and the filters of warnings."""


def _renew() -> None:
    global lock  # noqa: PLW0603 - who held it is not in the child
    lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


@dataclass(frozen=True, slots=True)
class Texts:
    """What a docstring says: what the whole is, and what each parameter or field is."""

    description: str = ""
    parts: Mapping[str, str] = field(default_factory=dict[str, str])


def of_docstring(doc: str | None) -> Texts:
    """Read a docstring; one that no style fits is a description as it stands."""
    if not doc or not doc.strip():
        return Texts()
    import docstring_parser

    cleaned = inspect.cleandoc(doc)
    try:
        return _texts(docstring_parser.parse(cleaned))
    except (docstring_parser.ParseError, LookupError):  # for ": :" it is an IndexError
        return Texts(cleaned)


def of_class(class_: type) -> Texts:
    """Read a class's docstring, the strings under its attributes, and the texts of their annotations, which win."""
    import docstring_parser

    doc = vars(class_).get("__doc__") or ""
    if doc.startswith((f"{class_.__name__}(", "Alias for field")):  # what dataclass and NamedTuple write themselves
        doc = ""
    parts: dict[str, str] = {}
    description = ""
    try:
        # The source is needed for the strings under attributes; without it this is the docstring alone.
        texts = _texts(undisturbed(lambda: docstring_parser.parse_from_object(class_)))
        parts |= texts.parts
        description = texts.description if doc else ""
    except (docstring_parser.ParseError, LookupError, SyntaxError, ValueError, TypeError, OSError, SystemError) as exc:
        texts = of_docstring(doc)
        parts |= texts.parts
        description = texts.description
        if isinstance(exc, SystemError):
            said = f"the strings under the attributes of {class_.__qualname__} are not told to the model: {exc}"
            warnings.warn(said, RuntimeWarning, stacklevel=2)
    try:
        hints = get_type_hints(class_, include_extras=True)
    except Exception:  # noqa: BLE001 - annotations may do anything; who needs their types raises the error
        hints = {}
    parts |= {name: text for name, hint in hints.items() if (text := of_annotation(hint))}
    return Texts(description, parts)


def undisturbed(parse: Callable[[], T]) -> T:
    """
    Do what needs CPython's parser of source, by one thread at a time.

    That of CPython 3.11 raises SystemError if other threads parse, too, and some may hold no lock of ours: it is asked
    twice. See https://github.com/python/cpython/issues/106905
    """
    with lock:
        try:
            return parse()
        except SystemError:
            return parse()


def of_annotation(annotation: Any) -> str:
    """Give the text in an Annotated: a str, the description of a pydantic Field, or a Doc; "" if there is none."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inside, *metadata = get_args(annotation)
        return _of_metadata(metadata) or of_annotation(inside)
    if origin is Union or origin is UnionType:
        return next((text for member in get_args(annotation) if (text := of_annotation(member))), "")
    if origin is None and hasattr(annotation, "__value__"):  # an alias by `type`, or TypeAliasType
        return of_annotation(annotation.__value__)
    return ""


def _of_metadata(metadata: Iterable[Any]) -> str:
    for item in metadata:
        for text in (item, getattr(item, "description", None), getattr(item, "documentation", None)):
            if isinstance(text, str) and text.strip():
                return inspect.cleandoc(text)
    return ""


def _texts(parsed: Docstring) -> Texts:
    parts: dict[str, str] = {}
    for parameter in parsed.params:
        for name in re.split(r"\s*,\s*", parameter.arg_name):  # NumPy's "a, b : int"
            parts[name.lstrip("*")] = (parameter.description or "").strip()
    return Texts((parsed.description or "").strip(), {name: text for name, text in parts.items() if text})
