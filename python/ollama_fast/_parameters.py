"""
What a callable is called, says of itself and takes: its signature with the annotations as types.

Nothing here knows JSON schemas.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NotRequired, Required, get_args, get_origin, get_type_hints

from typing_extensions import ReadOnly, Unpack, is_typeddict

from . import _docstrings
from .errors import ToolSchemaError

EMPTY: Any = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that a model fills in. One with a default may be missing."""

    name: str
    kind: inspect._ParameterKind
    type: Any
    default: Any = EMPTY
    text: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """
    What a callable's name, docstring and signature say.

    Args:
        name: "" if it has none.

        namespace: Where names in its string annotations are looked up.

        unbound: Whether it is a method without its object, so that it cannot be called.
    """

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    namespace: Mapping[str, Any]
    unbound: bool


def label(function: Any) -> str:
    """Say which callable it is, for errors."""
    plain = below_partials(function)
    return getattr(plain, "__qualname__", None) or type(plain).__qualname__


def keywords_of(function: Callable[..., Any]) -> frozenset[str]:
    """Give the names that can be arguments by keyword, those that a partial has bound among them."""
    plain: Any = function
    bound = frozenset[str]()
    while isinstance(plain, functools.partial):
        plain, bound = plain.func, bound | set(plain.keywords)
    by_keyword = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    known = _signature(target(plain)).parameters
    return bound | {name for name, found in known.items() if found.kind in by_keyword}


def target(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give what is called, so that :func:`inspect.iscoroutinefunction` sees what it is: an object's `__call__`."""
    if isinstance(function, functools.partial):
        return functools.partial(target(function.func), *function.args, **function.keywords)
    bound: Callable[..., Any] = getattr(function, "__call__", function)  # noqa: B004 - to have it, not to ask
    return bound if is_object(function) else function


def default_of(function: Callable[..., Any], name: str) -> Any:
    """Give the default of the parameter *name*."""
    return _signature(target(function)).parameters[name].default


def read(function: Callable[..., Any], *, lenient: bool = False) -> Read:
    """
    Read *function*. Raises ToolSchemaError for a signature that no tool can have.

    Args:
        function: Any callable.

        lenient: Whether it may be a generator or hide its parameters behind `*args, **kwargs`, and keeps those whose
            names begin with `_` to itself, as with the client that `ollama_fast.compat` stands for.
    """
    plain = below_partials(function)
    described = type(plain).__call__ if is_object(plain) else plain
    if not lenient and (inspect.isasyncgenfunction(described) or inspect.isgeneratorfunction(described)):
        raise ToolSchemaError(
            f"{label(function)} gives its results one by one: return a list", function=label(function)
        )
    try:
        signature = _signature(target(function))
    except (ValueError, TypeError, NameError) as exc:
        raise ToolSchemaError(
            f"the parameters of {label(function)} are not known, wrap it in a function: {exc}", function=label(function)
        ) from exc
    given = list(signature.parameters.values())
    unbound = _is_unbound_method(plain, given)
    if unbound:
        given = given[1:]
    if isinstance(function, functools.partial):
        given = [parameter for parameter in given if parameter.name not in function.keywords]
    if lenient:
        given = [parameter for parameter in given if not parameter.name.startswith("_")]
    scope = _Scope(plain, described)
    found = [parameter for raw in given for parameter in _parameters(raw, scope, label(function))]
    hidden = {p.kind for p in given} == {_VAR_POSITIONAL, _VAR_KEYWORD} and all(p.annotation is EMPTY for p in given)
    if hidden and not lenient:
        raise ToolSchemaError(
            f"{label(function)}(*args, **kwargs) hides its parameters: if it is decorated, use functools.wraps",
            function=label(function),
            parameter=given[0].name,
        )
    texts = _texts(plain, described)
    name = getattr(plain, "__name__", None) or type(plain).__name__
    return Read(
        "" if name == "<lambda>" else name,
        texts.description,
        tuple(replace(p, text=_docstrings.of_annotation(p.type) or texts.parts.get(p.name, "")) for p in found),
        scope.namespace,
        unbound,
    )


_UNPACK = frozenset({typing.Unpack, Unpack})  # those of typing and typing_extensions are two before Python 3.12
_VAR_POSITIONAL = inspect.Parameter.VAR_POSITIONAL
_VAR_KEYWORD = inspect.Parameter.VAR_KEYWORD


def below_partials(function: Any) -> Any:
    """Give what partials are of."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def is_object(function: Any) -> bool:
    """Say whether it is an object whose class has `__call__`, and not what stands for a function."""
    return not (
        inspect.isroutine(function)
        or inspect.isclass(function)
        or isinstance(function, functools.partial)
        or hasattr(function, "__wrapped__")
    )


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return _docstrings.undisturbed(lambda: _signature_of(function))  # that of a builtin is parsed


def _signature_of(function: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        import annotationlib

        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
    return inspect.signature(function)


def _is_unbound_method(function: Any, given: list[inspect.Parameter]) -> bool:
    above = getattr(function, "__qualname__", "").rpartition(".")[0]
    in_class = bool(above) and not above.endswith("<locals>")
    return (
        inspect.isfunction(function)
        and in_class
        and bool(given)
        and given[0].name in {"self", "cls"}
        and given[0].annotation is EMPTY
    )


def _texts(plain: Any, described: Any) -> _docstrings.Texts:
    if inspect.isclass(plain):
        texts = _docstrings.of_class(plain)
        below = (
            _docstrings.of_docstring(vars(plain).get("__init__", None).__doc__) if "__init__" in vars(plain) else None
        )
        return _docstrings.Texts(texts.description, {**texts.parts, **(below.parts if below else {})})
    # The class of an object is no place to look further: all of them can be called "as a function".
    texts = _docstrings.of_docstring(inspect.getdoc(described) if described is plain else described.__doc__)
    if described is not plain:
        whole = _docstrings.of_class(type(plain))
        return _docstrings.Texts(texts.description or whole.description, {**whole.parts, **texts.parts})
    return texts


# --- annotations -----------------------------------------------------------------------------------------------------


class _Scope:
    """Where the names in a callable's annotations are looked up."""

    def __init__(self, plain: Any, described: Any) -> None:
        owner = plain if inspect.isclass(plain) else None
        function = inspect.unwrap(getattr(owner, "__init__", described) if owner else described)
        bound = getattr(function, "__self__", None)
        function = inspect.unwrap(getattr(function, "__func__", function))
        module = sys.modules.get(getattr(owner or function, "__module__", None) or "")
        self.globals: dict[str, Any] = {**vars(module)} if module and owner else {}
        self.globals |= getattr(function, "__globals__", {})
        self.namespace: dict[str, Any] = dict(_closure(function))
        if owner is None and bound is not None and not inspect.ismodule(bound):
            owner = bound if inspect.isclass(bound) else type(bound)
        if owner is None and described is not plain:
            owner = type(plain)
        if owner is None:
            owner = self._owner(getattr(function, "__qualname__", ""))
        self.of_class: dict[str, Any] = {}
        for class_ in reversed(owner.__mro__ if owner else ()):
            self.of_class |= {class_.__name__: class_, **vars(class_)}

    def _owner(self, qualname: str) -> type | None:
        found: type | None = None
        for name in qualname.split(".")[:-1]:
            below = self.globals.get(name) if found is None else vars(found).get(name)
            if not isinstance(below, type):
                return None
            found = below
        return found

    def resolve(self, annotation: Any) -> Any:
        """Give the type that an annotation means. Raises NameError for a name that is not found."""
        # A name of a class's own hides none of the module's: a method may be called `list`.
        try:
            return self._evaluated(annotation, self.namespace)
        except NameError:
            pass  # not kept: the error refers to this frame
        return self._evaluated(annotation, {**self.of_class, **self.globals, **self.namespace})

    def _evaluated(self, annotation: Any, locals_: dict[str, Any]) -> Any:
        holder = types.SimpleNamespace(__annotations__={"it": annotation})
        return get_type_hints(holder, self.globals, locals_, include_extras=True)["it"]


def _closure(function: Any) -> Iterator[tuple[str, Any]]:
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    for name, cell in zip(names, getattr(function, "__closure__", None) or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    for parameter in getattr(function, "__type_params__", ()):
        yield parameter.__name__, parameter


def _parameters(raw: inspect.Parameter, scope: _Scope, function: str) -> list[Parameter]:
    type_: Any = Any
    if raw.annotation is not EMPTY:
        try:
            type_ = scope.resolve(raw.annotation)
        except NameError as exc:
            raise ToolSchemaError(
                f"the annotation {raw.annotation!r} of {function}'s parameter {raw.name!r} names "
                f"{exc.name or str(exc)!r}, which cannot be found: define or import it in the function's module, not "
                "in another function nor below `if TYPE_CHECKING`",
                function=function,
                parameter=raw.name,
            ) from exc
        except Exception as exc:
            raise ToolSchemaError(
                f"the annotation {raw.annotation!r} of {function}'s parameter {raw.name!r} is no type: {exc}",
                function=function,
                parameter=raw.name,
            ) from exc
    if raw.kind is _VAR_POSITIONAL:
        return [Parameter(raw.name, raw.kind, list[type_], ())]
    if raw.kind is _VAR_KEYWORD:
        if get_origin(type_) in _UNPACK and is_typeddict(get_args(type_)[0]):
            return list(_unpacked(get_args(type_)[0]))
        return [Parameter(raw.name, raw.kind, dict[str, type_], {})]
    return [Parameter(raw.name, raw.kind, type_, raw.default)]


def _unpacked(keywords: Any) -> Iterator[Parameter]:
    for name, hint in get_type_hints(keywords, include_extras=True).items():
        type_ = hint
        needed = name in keywords.__required_keys__
        while get_origin(type_) in {NotRequired, Required, ReadOnly}:  # the keys know nothing of string annotations
            needed = get_origin(type_) is Required or (needed and get_origin(type_) is not NotRequired)
            (type_,) = get_args(type_)
        default: Any = EMPTY if needed else None
        yield Parameter(name, inspect.Parameter.KEYWORD_ONLY, type_, default)
