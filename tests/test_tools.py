"""Functions to tools: schemas, callables, docstrings, what is refused, what is remembered."""

from __future__ import annotations
import __future__

import contextlib
import dataclasses
import enum
import functools
import gc
import importlib.util
import inspect
import json
import math
import os
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import docstring_parser
import msgspec
import orjson
import pytest
from pydantic import AliasChoices, BaseModel, Field, SecretBytes, SecretStr, create_model
from typing_extensions import TypedDict

import callables
import ollama_fast
import tool_table
from callables import SHAPES, STYLES
from ollama_fast import _docstrings, _endpoints, _parameters, _tool_schema
from ollama_fast.errors import OllamaError, ToolSchemaError
from ollama_fast.tools import describe, tool

pytestmark = pytest.mark.unsent


def parameters_of(function: Callable[..., Any]) -> Any:
    return tool(function)["function"].get("parameters")


def property_of(function: Callable[..., Any], name: str = "x") -> Any:
    return parameters_of(function)["properties"][name]


# --- the table -------------------------------------------------------------------------------------------------------


def postponed() -> ModuleType:
    """Give the table's module with all annotations as strings."""
    path = Path(inspect.getfile(tool_table))
    spec = importlib.util.spec_from_loader("postponed_tool_table", loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where names in annotations of its classes are looked up
    flags = __future__.annotations.compiler_flag
    exec(compile(path.read_text("utf-8"), str(path), "exec", flags, dont_inherit=True), vars(module))
    return module


TABLES = {"table": tool_table.TABLE, "postponed": postponed().TABLE}


@pytest.mark.parametrize(
    ("function", "schema"),
    [
        pytest.param(f, schema, id=f"{name}-{f.__name__}")
        for name, table in TABLES.items()
        for f, schema in table.items()
    ],
)
def test_a_function_has_the_schema_of_the_table(function: Callable[..., Any], schema: dict[str, Any]) -> None:
    made = tool(function)
    assert made == {"type": "function", "function": {"name": function.__name__, "parameters": schema}}
    assert list(parameters_of(function)["properties"]) == list(schema["properties"])


def test_the_table_is_large_and_its_second_reading_has_string_annotations() -> None:
    assert len(tool_table.TABLE) == len(TABLES["postponed"]) >= 80
    function = next(f for f in TABLES["postponed"] if f.__name__ == "a_list")
    assert function.__annotations__["x"] == "list[str]"


KEPT = {"anyOf", "type", "items", "description", "enum", "properties", "required"}
"""What the server passes on."""


def keywords_in(schema: Any) -> Generator[str]:
    yield from schema
    items = [schema["items"]] if "items" in schema else []
    for below in (*schema.get("properties", {}).values(), *schema.get("anyOf", []), *items):
        assert isinstance(below, dict)  # a boolean schema is an error of the server
        yield from keywords_in(below)


@pytest.mark.parametrize("function", tool_table.TABLE, ids=lambda f: f.__name__)
def test_no_keyword_is_one_that_the_server_drops(function: Callable[..., Any]) -> None:
    assert set(keywords_in(parameters_of(function))) <= KEPT


# --- callables -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("function", "name", "parameters"), SHAPES.values(), ids=SHAPES)
def test_a_callable_of_any_shape_is_a_tool(function: Callable[..., Any], name: str, parameters: dict[str, Any]) -> None:
    about = {"name": name, "description": "Add.", "parameters": parameters}
    for _ in range(2):
        assert tool(function) == {"type": "function", "function": about}


def test_a_method_is_described_the_same_with_and_without_its_object() -> None:
    assert tool(callables.Adder.method) == tool(callables.Adder().method)


def test_a_method_hides_no_name_of_the_module() -> None:
    assert property_of(callables.Adder().list, "a") == {"type": "array", "items": {"type": "integer"}}


def test_a_name_and_a_description_can_be_given() -> None:
    made = tool(callables.add, name="plus", description="Sum.")["function"]
    assert (made["name"], made.get("description")) == ("plus", "Sum.")
    assert tool(callables.add)["function"]["name"] == "add"
    assert tool(lambda: 1, name="one")["function"]["name"] == "one"


def test_a_builtin_is_a_tool() -> None:
    assert parameters_of(math.sqrt) == {"type": "object", "required": ["x"], "properties": {"x": {}}}


def test_a_return_annotation_does_not_matter() -> None:
    def function(x: int) -> None: ...

    function.__annotations__["return"] = "NoSuchName"

    assert property_of(function) == {"type": "integer"}


def test_annotations_that_name_locals_are_found_in_the_closure() -> None:
    class Local(TypedDict):
        n: int

    class Outer(TypedDict):
        inside: Local

    def function(x: Local, y: Outer) -> Any:
        return Local, Outer, x, y

    found = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert property_of(function) == found
    assert property_of(function, "y")["properties"] == {"inside": found}


class Outside:
    class Inside(TypedDict):
        n: int

    def method(self, x: Inside) -> None: ...


def test_annotations_that_name_what_is_in_the_class_are_found() -> None:
    for method in (Outside().method, Outside.method):
        assert property_of(method)["properties"] == {"n": {"type": "integer"}}


# --- docstrings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", STYLES, ids=lambda f: f.__name__)
def test_a_docstring_of_any_style_describes_function_and_parameters(function: Callable[..., Any]) -> None:
    about = tool(function)["function"]
    assert about.get("description") == "Weigh two things.\n\nIt takes its time: a second or so."
    properties = parameters_of(function)["properties"]
    assert {name: below.get("description") for name, below in properties.items()} == {
        "a": "The first thing: in kg,\nor so: roughly.",
        "b": "The second thing.",
        "c": "A note.",
    }


def test_numpy_parameters_may_share_a_line() -> None:
    def function(x: int, y: int) -> None:
        """
        Do it.

        Parameters
        ----------
        x, y : int
            A side.
        """

    assert property_of(function)["description"] == property_of(function, "y")["description"] == "A side."


def test_an_annotation_wins_over_the_docstring() -> None:
    def function(
        x: Annotated[int, "By annotation."], y: Annotated[int, Field(description="By Field.")], z: int
    ) -> None:
        """
        Do it.

        Args:
            x: By docstring.
            y: By docstring.
            z: By docstring.
        """

    said = [property_of(function, name)["description"] for name in "xyz"]
    assert said == ["By annotation.", "By Field.", "By docstring."]


def test_a_default_that_the_docstring_says_is_not_said_twice() -> None:
    def function(x: int = 3) -> None:
        """
        Do it.

        Args:
            x: How many, defaults to 3.
        """

    assert property_of(function)["description"] == "How many, defaults to 3."


@pytest.mark.parametrize(
    "doc", [None, "", "  \n ", "One: two", "Args:", ":param", "Parameters\n-----", "\n:x:\n", ": :"]
)
def test_no_docstring_is_an_error(doc: str | None) -> None:
    def function(x: int) -> None: ...

    function.__doc__ = doc
    made = tool(function)["function"]
    assert made["name"] == "function"
    assert ("description" in made) <= bool(doc and doc.strip())


def test_stars_in_a_docstring_are_not_part_of_a_name() -> None:
    def function(*args: int, **kwargs: str) -> None:
        """
        Do it.

        Args:
            *args: Numbers.
            **kwargs: Texts.
        """

    assert property_of(function, "args")["description"] == "Numbers."
    assert property_of(function, "kwargs")["description"] == "Texts. (each value: string)"


@dataclass
class Described:
    """
    A thing.

    Args:
        a: By the docstring.
    """

    a: int
    b: int
    """Below the attribute."""


def texts_of_described() -> tuple[str, dict[str, str]]:
    texts = _docstrings.of_class(Described)
    return texts.description, dict(texts.parts)


WHOLE = ("A thing.", {"a": "By the docstring.", "b": "Below the attribute."})


def test_source_is_parsed_by_one_thread_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    parse: Any = docstring_parser.parse_from_object
    inside: list[int] = []
    most: list[int] = []

    def slow(class_: type) -> Any:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.01)
        try:
            return parse(class_)
        finally:
            inside.pop()

    monkeypatch.setattr(docstring_parser, "parse_from_object", slow)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(texts_of_described())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [WHOLE] * 4
    assert max(most) == 1


def failing(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Let the parser fail as that of CPython 3.11 does if other threads parse, too."""
    parse: Any = docstring_parser.parse_from_object
    failures = iter(range(times))

    def parse_or_fail(class_: type) -> Any:
        if next(failures, None) is not None:
            raise SystemError("AST constructor recursion depth mismatch (before=63, after=65)")
        return parse(class_)

    monkeypatch.setattr(docstring_parser, "parse_from_object", parse_or_fail)


def test_a_parser_that_others_disturb_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, 1)
    assert texts_of_described() == WHOLE


def test_a_docstring_outlives_a_parser_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, 2)
    with pytest.warns(RuntimeWarning, match="the strings under the attributes of Described are not told"):
        found = texts_of_described()
    assert found == ("A thing.", {"a": "By the docstring."})


def test_the_signature_of_a_builtin_is_parsed_again_too(monkeypatch: pytest.MonkeyPatch) -> None:
    signature: Any = inspect.signature
    failures = iter([SystemError("AST constructor recursion depth mismatch (before=63, after=65)")])

    def signature_or_failure(function: Any, **more: Any) -> Any:
        for failure in failures:
            raise failure
        return signature(function, **more)

    monkeypatch.setattr(inspect, "signature", signature_or_failure)
    assert list(parameters_of(math.cosh)["properties"]) == ["x"]


FORK = """
import os, signal, threading
from dataclasses import dataclass
from ollama_fast import _docstrings
@dataclass
class Point:
    x: int
held, done = threading.Event(), threading.Event()
def hold():
    with _docstrings.lock:
        held.set()
        done.wait()
threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if child == 0:
    signal.alarm(10)
    _docstrings.of_class(Point)
    os._exit(7)
try:
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
finally:
    done.set()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_while_a_thread_parses_leaves_the_child_free() -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stderr, done.stdout) == ("", "7\n")


# --- what is refused -------------------------------------------------------------------------------------------------


@dataclass
class Node:
    value: int
    children: list[Node]


class Tree(msgspec.Struct):
    left: Tree | None = None


class Linked(BaseModel):
    after: Linked | None = None


class Context:
    pass


class Missing(TypedDict):
    x: NoSuchName  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable]


class Holder(msgspec.Struct):
    context: Context


class Mixture(BaseModel, arbitrary_types_allowed=True):
    order: tool_table.Order


class Raising:
    @classmethod
    def __get_pydantic_core_schema__(cls, *_: Any) -> Any:
        raise ImportError("more is needed")


def struct_of_one_name() -> Any:
    class Same(msgspec.Struct):
        x: int

    return Same


SAME: Any = (struct_of_one_name(), struct_of_one_name())


class Tuples(enum.Enum):
    ONE = (1, 2)


class Several(NamedTuple):
    node: Node


def local_names() -> Callable[..., Any]:
    class Hidden(TypedDict):
        n: int

    def function(x: Hidden) -> None: ...

    return function


def of_type(annotation: Any) -> Callable[..., Any]:
    def function(fine: int, x: Any) -> None: ...

    function.__annotations__["x"] = annotation
    return function


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        (Node, r"x\.children\[\] refers back to Node"),
        (list[Node], r"x\[\]\.children\[\] refers back to Node"),
        (Several, r"x\[0\]\.children\[\] refers back to Node"),
        (Linked, r"x\.after refers back to Linked"),
        (Tree, r"x\.left refers back to Tree"),
        (dict[str, Tree], r"x\.\*\.left refers back to Tree"),
        (Context, r"of type .*Context, cannot be told .* bind it by functools.partial"),
        (Context | None, r"of type .*Context \| None, cannot be told"),
        (list[Context], r"of type list\[.*Context\], cannot be told"),
        (Holder, r"of type .*Holder, cannot be told"),
        (Mixture, r"Mixture cannot hold Order, a Struct of msgspec"),
        (Callable[[int], int], r"of type .*Callable.*, cannot be told"),
        (Tuples, r"Tuples, whose values are not all texts or numbers"),
        (enum.Enum, r"Enum, whose values are not all texts or numbers"),
        (Literal[b"a"], r"a Literal whose values are not all texts or numbers"),
        (Raising, r"of type .*Raising, cannot be told to a model: ImportError: more is needed; give it another"),
        (tuple[SAME], r"of type tuple\[.*\], cannot be told to a model: KeyError: .*Same"),
        (range, r"of type range, cannot be told"),
        (type[int], r"of type type\[int\], cannot be told"),
        (Annotated[int, Field(alias="y")], r"its Field has an alias, 'y': leave that out"),
        (Annotated[int, Field(validation_alias=AliasChoices("x", "y"))], r"its Field has an alias"),
        (Missing, r"the name 'NoSuchName' in an annotation cannot be found"),
        ("NoSuchName", r"the annotation 'NoSuchName' .* 'NoSuchName', which cannot be found: define or import it"),
        ("list[NoSuchName]", r"'NoSuchName', which cannot be found"),
        ("1 +", r"the annotation '1 \+' .* is no type"),
        (5, r"of type 5, cannot be told"),
    ],
)
def test_a_type_that_cannot_be_told_is_an_error_that_names_function_and_parameter(annotation: Any, says: str) -> None:
    function = of_type(annotation)
    with pytest.raises(ToolSchemaError, match=says) as caught:
        tool(function)
    error = caught.value
    assert "function" in str(error)
    assert "'x'" in str(error)
    assert (error.function, error.parameter) == (function.__qualname__, "x")
    assert isinstance(error, OllamaError)
    assert isinstance(error, TypeError)
    assert error.__cause__ is not None


def same_in_two(x: Any, y: Any) -> None: ...


same_in_two.__annotations__.update(zip("xy", SAME, strict=True))


def unreadable(x: Annotated[int, Field(json_schema_extra={"type": "object", "properties": [1]})]) -> None: ...


@pytest.mark.parametrize("function", [same_in_two, unreadable])
def test_what_is_raised_for_parameters_together_or_after_all_is_an_error_from_its_cause(function: Any) -> None:
    with pytest.raises(ToolSchemaError, match=rf"{function.__name__} cannot be told to a model: \w+Error: ") as caught:
        tool(function)
    assert caught.value.__cause__ is not None
    assert caught.value.function == function.__qualname__


def test_an_alias_in_a_default_is_refused_and_one_for_what_goes_out_does_not_matter() -> None:
    def function(x: int = Field(5, alias="y")) -> None: ...
    def fine(x: Annotated[int, Field(serialization_alias="y")]) -> None: ...

    with pytest.raises(ToolSchemaError, match=r"function's parameter 'x', .* has an alias, 'y'"):
        tool(function)
    assert property_of(fine) == {"type": "integer"}


def nested(depth: int) -> Any:
    made: Any = int
    for level in range(depth):
        made = create_model(f"Level{level}", left=(made, ...), right=(made, ...))
    return made


def boxed(depth: int) -> Any:
    made: Any = int
    for _ in range(depth):
        made = list[dict[str, made]]
    return made


@pytest.mark.parametrize(
    "annotation", [nested(13), nested(40), boxed(30), Literal[tuple(f"{n:0>9}" for n in range(6000))]], ids=range(4)
)
def test_a_type_that_takes_too_much_is_an_error_and_takes_little_time(annotation: Any) -> None:
    before = time.process_time()
    with pytest.raises(ToolSchemaError, match=r"parameter 'x' cannot be told .* more than 64 KB") as caught:
        tool(of_type(annotation))
    assert caught.value.parameter == "x"
    assert time.process_time() - before < 30  # not for ever


def test_a_type_of_some_size_is_told() -> None:
    assert 20_000 < len(json.dumps(property_of(of_type(nested(9))))) < 64 * 1024
    assert "enum" in property_of(of_type(Literal[tuple(f"{n:0>9}" for n in range(500))]))


class Warner:
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        warnings.warn("something else", UserWarning, stacklevel=1)
        free: list[bool] = []

        def ask() -> None:
            free.append(_docstrings.lock.acquire(blocking=False))
            if free[-1]:
                _docstrings.lock.release()

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        cls.free += free
        return handler(int)

    free: ClassVar[list[bool]] = []


def test_only_the_warning_of_what_is_no_type_is_an_error() -> None:
    class Beside(msgspec.Struct):
        n: int

    Warner.free.clear()
    with pytest.warns(UserWarning, match="something else"):
        assert property_of(of_type(Warner | Beside))["anyOf"][0] == {"type": "integer"}
    # First as all types are converted, and then, as there is a Struct, with the filters of warnings, by one thread.
    assert (Warner.free[0], Warner.free[-1]) == (True, False)


def test_a_name_that_is_not_found_leaves_no_circle() -> None:
    scope = _parameters._Scope(callables.add, callables.add)
    gone = weakref.ref(scope)
    gc.disable()
    try:
        with contextlib.suppress(NameError):
            scope.resolve("NoSuchName")
        del scope
        assert gone() is None
    finally:
        gc.enable()


# --- secrets ---------------------------------------------------------------------------------------------------------


@dataclass
class Credentials:
    user: str
    key: SecretStr = dataclasses.field(default=SecretStr("hidden-away"))


class Settings(BaseModel):
    key: SecretStr = "hidden-away"  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (SecretStr, SecretStr("hidden-away")),
        (SecretBytes | None, SecretBytes(b"hidden-away")),
        (SecretStr, "hidden-away"),
        (SecretStr | None, "hidden-away"),
        (SecretStr, Field("hidden-away")),
        (Annotated[SecretStr, Field(description="A key.")], "hidden-away"),
        (list[SecretStr], ["hidden-away"]),
        (dict[str, SecretStr], {"a": "hidden-away"}),
        (Credentials, Credentials("u", "hidden-away")),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        (Settings, Settings()),
        (list[Settings], [Settings()]),
        (Any, SecretStr("hidden-away")),
    ],
)
def test_the_default_of_a_secret_is_not_told(annotation: Any, default: Any) -> None:
    def function(x: Any) -> None: ...

    function.__annotations__["x"] = annotation
    function.__defaults__ = (default,)
    assert "hidden-away" not in json.dumps(tool(function))
    assert "required" not in parameters_of(function)


def test_the_default_of_what_stands_beside_a_secret_is_told() -> None:
    secret = SecretStr("hidden-away")

    def function(key: SecretStr = secret, unit: str = "C") -> None: ...

    assert property_of(function, "unit")["description"] == 'default "C"'
    assert "default" not in property_of(function, "key")["description"]


def test_a_local_name_out_of_reach_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(
        ToolSchemaError, match=r"'Hidden', which cannot be found: define or import it in the function's"
    ):
        tool(local_names())


def hidden(*args: Any, **kwargs: Any) -> None: ...


hidden.__annotations__.clear()


def one_by_one(x: int) -> Generator[int]:
    yield x


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (hidden, r"hidden\(\*args, \*\*kwargs\) hides its parameters: .* functools\.wraps"),
        (one_by_one, r"one_by_one gives its results one by one: return a list"),
        (lambda x: x, r"a lambda has no name"),
        (math.hypot, r"the parameters of hypot are not known, wrap it in a function"),
    ],
)
def test_a_callable_that_cannot_be_a_tool_is_an_error(function: Callable[..., Any], says: str) -> None:
    with pytest.raises(ToolSchemaError, match=says):
        tool(function)


@pytest.mark.parametrize("wrong", [5, None, "add", property(lambda it: it)])
def test_what_is_no_function_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"a tool must be a function or its dict, not {type(wrong).__name__}"):
        tool(wrong)


# --- what is remembered ----------------------------------------------------------------------------------------------


def test_what_a_caller_changes_changes_nothing_else() -> None:
    first: Any = tool(callables.google)
    kept = tool(callables.google)
    first["function"]["name"] = "other"
    first["function"]["parameters"]["properties"]["a"]["type"] = "string"
    assert tool(callables.google) == kept


def count_conversions(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    seen: list[Any] = []
    read = _parameters.read

    def spy(function: Any) -> Any:
        seen.append(function)
        return read(function)

    monkeypatch.setattr(_parameters, "read", spy)
    return seen


def test_a_function_is_converted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def function(x: int) -> None: ...

    adder, unhashable = callables.Adder(), callables.Unhashable(1)
    seen = count_conversions(monkeypatch)
    for _ in range(3):
        for one in (function, functools.partial(function), unhashable):
            tool(one)
    assert len([one for one in seen if one is function or one is unhashable]) == 2
    before = len(seen)
    tool(adder.method_later)
    tool(callables.Adder().method_later)
    assert len(seen) <= before + 1


def test_equal_callables_are_not_taken_for_each_other() -> None:
    class Same:
        def __init__(self, name: str) -> None:
            self.__name__ = name

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 1

        def __call__(self) -> None: ...

    one, two = Same("one"), Same("two")
    assert [tool(same)["function"]["name"] for same in (one, two, one)] == ["one", "two", "one"]


@pytest.mark.parametrize("kind", ["function", "object", "partial"])
def test_a_function_is_freed_with_what_is_remembered_of_it(kind: str) -> None:
    def make() -> Any:
        def function(x: int = 1, y: tool_table.Point | None = None) -> None: ...

        return {"function": function, "object": callables.Called(), "partial": functools.partial(function, y=None)}[
            kind
        ]

    made = make()
    key = (id(made), type(made))
    tool(made)
    assert key in _tool_schema._remembered
    gone = weakref.ref(made)
    del made
    gc.collect()
    assert gone() is None
    assert key not in _tool_schema._remembered


def of_own_class() -> Any:
    def f(self: Any, other: Any) -> None: ...

    own = dataclasses.make_dataclass("Own", [("n", int)], namespace={"f": f, "__module__": "nowhere"})
    f.__annotations__ = {"other": own}
    f.__qualname__ = "Own.f"
    return own


def of_own_default() -> Any:
    def function(x: Any = None) -> None: ...

    function.__defaults__ = (function,)
    return function


@pytest.mark.parametrize("kind", ["class", "default"])
def test_functions_that_their_types_or_defaults_hold_are_freed_too(kind: str) -> None:
    gone: list[weakref.ref[Any]] = []
    for _ in range(400):
        if kind == "class":
            class_ = of_own_class()
            gone.append(weakref.ref(class_.f))
            tool(class_(1).f)
        else:
            function = of_own_default()
            gone.append(weakref.ref(function))
            tool(function)
    class_ = function = None
    gc.collect()
    alive = sum(one() is not None for one in gone)
    assert len(_tool_schema._remembered) <= 256
    assert alive <= (256 if kind == "class" else 0)


def test_many_functions_take_no_more_than_few() -> None:
    kept: list[Any] = []
    for _ in range(300):
        kept.append(lambda x: x)
        tool(kept[-1], name="a")
    assert len(_tool_schema._remembered) == 256
    kept.clear()
    sizes: list[int] = []
    for _ in range(2):
        for n in range(500):
            tool(lambda x, y=n: (x, y), name="a")
            tool(functools.partial(callables.add, n))
        gc.collect()
        sizes.append(len(gc.get_objects()))
    assert sizes[1] - sizes[0] < 500


EXIT = """
from ollama_fast import _tool_schema, tool
def function(x: int): ...
tool(function)
remembered = _tool_schema._remembered
print(len(remembered))
for name in list(vars(_tool_schema)):  # as the interpreter does at its exit
    vars(_tool_schema)[name] = None
del function
print(len(remembered))
"""


def test_a_function_may_be_the_last_to_go() -> None:
    done = subprocess.run([sys.executable, "-c", EXIT], capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout) == ("", "1\n0\n")


def test_threads_may_convert_together() -> None:
    def function(x: tool_table.Customer, y: int = 3) -> None: ...

    made: list[Any] = []
    threads = [threading.Thread(target=lambda: made.append(tool(function))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert all(one == made[0] for one in made)


# --- in a chat -------------------------------------------------------------------------------------------------------

RAW: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "raw",
        "strict": True,
        "parameters": {
            "type": "object",
            "$defs": {"a": {"type": "string", "pattern": "^a$"}},
            "properties": {"q": {"type": "object", "properties": {"r": {"$ref": "#/$defs/a"}}}, "s": {"anyOf": [{}]}},
            "additionalProperties": False,
        },
    },
}


def sent(tools: Any) -> Any:
    return orjson.loads(_endpoints.chat("m", tools=tools).encode(stream=False)).get("tools")


def test_functions_and_dicts_are_sent_mixed_and_dicts_as_they_are() -> None:
    before = orjson.dumps(RAW)
    assert sent([callables.add, RAW]) == [tool(callables.add), RAW]
    assert orjson.dumps(RAW) == before
    both: list[Any] = [callables.add, RAW]
    for tools in (both, [RAW]):
        request = _endpoints.chat("m", tools=tools)
        assert request.body is not None
        assert request.body["tools"][-1] is RAW


def test_functions_are_sent_by_the_names_of_a_mapping() -> None:
    made = sent({"plus": callables.add, "one": lambda: 1})
    assert [one["function"]["name"] for one in made] == ["plus", "one"]


@pytest.mark.parametrize("given", [None, [], (), [RAW], (RAW,)])
def test_tools_without_functions_are_sent_as_before(given: Any) -> None:
    assert sent(given) == (None if given is None else list(given))


def test_two_tools_of_one_name_are_an_error() -> None:
    def raw() -> None: ...

    pairs: list[list[Any]] = [[callables.add, functools.partial(callables.add, 1)], [raw, RAW]]
    for twins in pairs:
        with pytest.raises(ToolSchemaError, match=r"two tools are called '(add|raw)': give them names of their own"):
            _endpoints.chat("m", tools=twins)
        with pytest.raises(ToolSchemaError, match="two tools are called"):
            describe(twins)


@pytest.mark.parametrize("wrong", [RAW, callables.add, "add", [callables.add, 5], [callables.add, "add"], {"a": 5}])
def test_what_is_no_sequence_of_tools_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match="must be a"):
        _endpoints.chat("m", tools=wrong)


def test_a_function_that_cannot_be_told_fails_before_anything_is_sent() -> None:
    with pytest.raises(ToolSchemaError, match="'x'"):
        ollama_fast.chat("http://127.0.0.1:1", "m", [{"role": "user", "content": "hi"}], tools=[of_type(Context)])


# --- importing -------------------------------------------------------------------------------------------------------

PROGRAM = """
import sys
import ollama_fast
from ollama_fast import _endpoints, aio, tools
def loaded():
    return sorted({"pydantic", "docstring_parser", "msgspec", "numpy"} & set(sys.modules))
ollama_fast.tool, aio.tool
_endpoints.chat("m", tools=[{"type": "function", "function": {"name": "a"}}], format={"type": "object"})
tools.prepare, tools.Tools
print(loaded())
def add(a: int): "Add."
_endpoints.chat("m", tools=[add])
print(loaded())
"""


def test_nothing_heavy_is_imported_before_a_function_is_converted() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout) == ("", "[]\n['docstring_parser', 'pydantic']\n")
