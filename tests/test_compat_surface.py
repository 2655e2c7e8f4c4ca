"""
The surface of `ollama_fast.compat` beside that of the genuine package: every difference is listed, with its reason.

What either module has is taken down as facts, a name and a text for each; both ways a fact that is missing counts.
"""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from fnmatch import fnmatchcase
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pydantic
import pydantic_core
import pytest

import ollama_fast.compat
from dropin.differences import SURFACE

pytestmark = pytest.mark.unsent

MODULES = ("", "._client", "._types", "._utils")
OURS = "ollama_fast.compat"
THEIRS = "ollama"


# --- annotations, as one text for all ways to write them -------------------------------------------------------------


def shown(annotation: Any) -> str:  # noqa: PLR0911 - a line for each kind
    """Give an annotation as a text that is the same for `Optional[X]` and `X | None`, `List` and `list`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        metadata = ", ".join(repr(item) for item in annotation.__metadata__)
        return f"Annotated[{shown(arguments[0])}, {metadata}]"
    if origin is Literal:
        return repr(annotation).removeprefix("typing.")
    if origin is Union or origin is types.UnionType:
        members = {shown(argument) for argument in arguments}
        return " | ".join(sorted({"Any", *({"None"} & members)} if "Any" in members else members))
    if isinstance(annotation, typing.TypeVar):
        return annotation.__name__
    if isinstance(annotation, list):
        return f"[{', '.join(map(shown, annotation))}]"
    if annotation is ...:
        return "..."
    if annotation in {Callable, typing.Callable}:
        return shown(Callable[..., Any])
    if arguments:
        return f"{name_of(origin)}[{', '.join(map(shown, arguments))}]"
    if isinstance(annotation, str):
        return annotation
    return "None" if annotation in {None, type(None)} else name_of(origin or annotation)


def name_of(plain: Any) -> str:
    return str(getattr(plain, "__qualname__", plain)).removeprefix("typing.")


def test_annotations_are_shown_as_one_text() -> None:
    assert shown(typing.Optional[int]) == shown(int | None) == "None | int"  # noqa: UP045 - both ways are meant
    assert shown(typing.List[typing.Dict[str, int]]) == shown(list[dict[str, int]])  # noqa: UP006 - the same
    assert shown(typing.Callable) == shown(Callable) == "Callable[..., Any]"
    assert shown(typing.Mapping[str, Any]) == "Mapping[str, Any]"
    assert shown(Callable[[int], str]) == "Callable[[int], str]"
    assert shown(Literal["", "json"]) == "Literal['', 'json']"


# --- facts -----------------------------------------------------------------------------------------------------------


def facts_of(package: str) -> dict[str, str]:
    """Take down the surface of *package*."""
    facts: dict[str, str] = {}
    public = importlib.import_module(package)
    facts["ollama.__all__"] = ", ".join(sorted(public.__all__))
    facts |= {f"dir(ollama) {name}": "" for name in dir(public) if name.isidentifier() and not name.startswith("_")}
    for suffix in MODULES:
        module, genuine = (importlib.import_module(name + suffix) for name in (package, THEIRS))
        own = [] if suffix else [name for name in vars(module) if not name.startswith("_")]  # private modules have more
        for name in dict.fromkeys([*vars(genuine), *own]):
            value = getattr(module, name, None)
            if is_of(package, value) and (not name.startswith("__") or name == "__version__"):
                facts.update(facts_of_value(f"ollama{suffix}.{name}", value, package))
    return facts


def is_of(package: str, value: Any) -> bool:
    """Say whether a value is part of the package, and not what it imports from elsewhere."""
    if isinstance(value, str):
        return True
    if get_origin(value) is not None:
        return package in repr(value) or shown(value) == "dict[str, Any] | list[Any] | str"
    module = getattr(value, "__module__", None) or type(value).__module__
    return module == package or module.startswith(f"{package}.")


def facts_of_value(place: str, value: Any, package: str) -> Iterator[tuple[str, str]]:
    name = place.rpartition(".")[2]
    if isinstance(value, str):
        yield place, value
    elif inspect.isclass(value):
        home = f"ollama{value.__module__.removeprefix(package)}.{value.__qualname__}"
        yield place, f"class {home}"
        if home == place:
            yield from facts_of_class(place, value, package)
    elif inspect.isroutine(value):
        owner = getattr(value, "__self__", None)
        yield place, f"{'method' if owner is not None else 'function'} {value.__name__}"
        yield from facts_of_function(place, value)
    elif get_origin(value) is not None:
        yield place, shown(value)
    else:
        yield place, f"a {name} of {type(value).__mro__[-2].__name__}"


def facts_of_class(place: str, class_: type, package: str) -> Iterator[tuple[str, str]]:
    above = [base.__name__ for base in class_.__mro__ if base.__module__ != "typing" and base.__name__[0] != "_"]
    yield f"{place} bases", ", ".join(above[1:])
    if issubclass(class_, pydantic.BaseModel):
        yield from facts_of_model(place, class_)
    own = {
        name: value for base in reversed(class_.__mro__) if is_of(package, base) for name, value in vars(base).items()
    }
    for name, value in (vars(class_) if issubclass(class_, pydantic.BaseModel) else own).items():
        plain = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if name == "__init__" and not issubclass(class_, pydantic.BaseModel):
            yield from facts_of_function(f"{place}.{name}", plain)
        elif inspect.isclass(plain) and plain.__module__.startswith(package):
            yield from facts_of_value(f"{place}.{name}", plain, package)
        elif inspect.isfunction(plain) and (not name.startswith("__") or name in DUNDERS):
            yield f"{place}.{name}", f"function {plain.__name__}"
            yield from facts_of_function(f"{place}.{name}", plain)


DUNDERS = {
    *("__getitem__", "__setitem__", "__contains__", "__len__", "__iter__", "__bool__", "__str__"),
    *("__enter__", "__exit__", "__aenter__", "__aexit__"),
}


def facts_of_function(place: str, function: Any) -> Iterator[tuple[str, str]]:
    try:
        signature = inspect.signature(function, eval_str=True)
    except NameError:  # of a type that is imported for type checkers only
        signature = inspect.signature(function)
    for parameter in signature.parameters.values():
        yield f"{place}({parameter.name})", f"{parameter.kind.name} = {default_of(parameter.default)}"
        if parameter.annotation is not parameter.empty:
            yield f"{place}({parameter.name}) type", shown(parameter.annotation)
    yield f"{place}()", ", ".join(signature.parameters)
    if signature.return_annotation is not signature.empty:
        yield f"{place}() gives", shown(signature.return_annotation)
    yield f"{place} awaited", str(inspect.iscoroutinefunction(function))


def facts_of_model(place: str, model: type[pydantic.BaseModel]) -> Iterator[tuple[str, str]]:
    yield f"{place} fields", ", ".join(model.model_fields)
    for name, field in model.model_fields.items():
        required = "required" if field.is_required() else f"= {default_of(field.default)}"
        rules = ", ".join(map(repr, field.metadata))
        yield f"{place}.{name}", f"{shown(field.annotation)} {required} {rules} alias {field.alias}"
    for key in ("extra", "frozen", "populate_by_name", "arbitrary_types_allowed"):
        yield f"{place} {key}", str(model.model_config.get(key, DEFAULTS.get(key)))
    keywords = inspect.signature(model).parameters.values()
    yield f"{place}() keywords", ", ".join(p.name for p in keywords if p.kind is not p.VAR_KEYWORD)


DEFAULTS = {"extra": "ignore", "frozen": False, "populate_by_name": False, "arbitrary_types_allowed": False}


def default_of(value: Any) -> str:
    if value is inspect.Parameter.empty or value is pydantic_core.PydanticUndefined:
        return "-"
    return repr(value)


# --- what type checkers are told -------------------------------------------------------------------------------------


def stub() -> types.ModuleType:
    """Run the stub, which is no module at run time, so that its overloads can be asked for."""
    path = Path(ollama_fast.compat.__file__).with_name("_signatures.pyi")
    loader = SourceFileLoader("ollama_fast.compat._signatures", str(path))
    module = types.ModuleType(loader.name)
    vars(module)["__package__"] = ollama_fast.compat.__name__
    loader.exec_module(module)
    return module


STUB = stub()


def told(cls: type, name: str) -> list[Callable[..., Any]]:
    """Give the overloads of a method of the stub, or the method, if it has none."""
    place: Any = types.SimpleNamespace(__module__=STUB.__name__, __qualname__=f"{cls.__name__}.{name}")
    return [*typing.get_overloads(place)] or [getattr(cls, name)]


def parameters_of(function: Callable[..., Any]) -> dict[str, tuple[Any, ...]]:
    """Give the kind, type and default of each parameter but `self`."""
    return {
        name: (parameter.kind, parameter.annotation, parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "self"
    }


def without_stream(parameters: dict[str, tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(name, *told) for name, told in parameters.items() if name != "stream"]


CLIENTS: list[tuple[type, type, Any]] = [
    (STUB.Methods, ollama_fast.compat.Client, Iterator),
    (STUB.AsyncMethods, ollama_fast.compat.AsyncClient, AsyncIterator),
]


@pytest.mark.parametrize(("told_of", "client", "iterator"), CLIENTS)
def test_type_checkers_are_told_of_the_methods_that_there_are(told_of: type, client: type, iterator: Any) -> None:
    methods = {name: method for name, method in vars(client).items() if hasattr(method, "__signature__")}
    assert methods.keys() == {name for name in vars(told_of) if name.isidentifier() and not name.startswith("_")}
    streaming = 0
    for name, method in methods.items():
        signature = inspect.signature(method)
        there = parameters_of(method)
        overloads = told(told_of, name)
        streams = [parameters_of(overload).pop("stream", None) for overload in overloads]
        for overload in overloads:
            assert inspect.iscoroutinefunction(overload) == inspect.iscoroutinefunction(method)
            assert without_stream(parameters_of(overload)) == without_stream(there)
            assert overload.__doc__
        gives = [inspect.signature(overload).return_annotation for overload in overloads]
        assert gives[-1] == signature.return_annotation
        if "stream" in there:
            streaming += 1
            keyword, empty = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.empty
            kinds: list[Any] = [
                (keyword, Literal[False], False),
                (keyword, Literal[True], empty),
                (keyword, bool, empty),
            ]
            assert streams == kinds
            assert gives[1] == iterator[gives[0]]
            assert gives[2] == gives[0] | gives[1]
        else:
            assert streams == [None]
    assert streaming == 5


# --- the two surfaces ------------------------------------------------------------------------------------------------


def differing() -> dict[str, tuple[str, str]]:
    """Give what differs: what the fact is there and here."""
    theirs, ours = facts_of(THEIRS), facts_of(OURS)
    unsaid = ("type", "gives")  # where the genuine package has no annotation, another says more
    found: dict[str, tuple[str, str]] = {}
    for name in {**theirs, **ours}:
        if name not in theirs and (name.rpartition(" ")[2] in unsaid or is_private(name)):
            continue
        pair = theirs.get(name, "(nothing)"), ours.get(name, "(nothing)")
        if pair[0] != pair[1]:
            found[name] = pair
    return found


def is_private(fact: str) -> bool:
    """Say whether a fact is about a name in a class that begins with `_`."""
    names = fact.partition("(")[0].partition(" ")[0].split(".")
    return any(name.startswith("_") and f".{name}" not in MODULES and name not in DUNDERS for name in names)


DIFFERING = differing()


def test_there_is_something_to_compare() -> None:
    facts = facts_of(THEIRS)
    assert len(facts) > 1000
    assert facts["ollama._client.Client.generate(prompt) type"] == "None | str"
    assert facts["ollama._types.Message.ToolCall.Function.name"] == "str required  alias None"


def test_every_difference_is_listed() -> None:
    unlisted = {
        name: pair for name, pair in DIFFERING.items() if not any(fnmatchcase(name, pattern) for pattern in SURFACE)
    }
    assert not unlisted, "\n".join(f"{name}: {theirs!r} -> {ours!r}" for name, (theirs, ours) in unlisted.items())


@pytest.mark.parametrize("pattern", SURFACE)
def test_what_is_listed_is_a_difference(pattern: str) -> None:
    assert any(fnmatchcase(name, pattern) for name in DIFFERING)
