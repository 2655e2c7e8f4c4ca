"""The public surface: both colours have the same names, and what editors, help() and pickle show is the truth."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import pickle
import pydoc
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_origin, get_type_hints

import httpx
import pytest

import ollama_fast
from ollama_fast import (
    _answers,
    _bars,
    _composed,
    _conversation,
    _doctor,
    _endpoints,
    _many,
    _models,
    _procedures,
    _progress,
    aio,
    errors,
    telemetry,
    tools,
    types,
)

pytestmark = pytest.mark.unsent

VALUES = {
    "ContextUse",
    "Conversation",
    "EmbedArray",
    "Finding",
    "Host",
    "Limits",
    "Modelfile",
    "Parsed",
    "Partial",
    "Progress",
    "Report",
    "Retry",
    "Stats",
    "Timeout",
    "ToolResult",
}
"""What both colours take and give."""
HOST_IS_OPTIONAL = {"doctor"}
"""Functions that without a host take that of the environment."""
ONLY_BLOCKING = {
    *VALUES,
    "AsyncTransport",
    "Transport",
    "__version__",
    "aio",
    "errors",
    "tools",
    "types",
}
NO_HOST = {"check_context", "parse_modelfile", "tool"}
"""Functions that wait for nothing and so are the same in both colours."""
OF_PARTS = {"progress", "show_progress"}
"""Functions of parts, which ask no host themselves."""
FUNCTIONS = [name for name in aio.__all__ if name not in {"Answers", "Stream", "close", "collect", *NO_HOST, *OF_PARTS}]
WITHOUT_HOST = {"call_tool"}
"""Functions that wait, but for no host."""
OF_MANY = {"embed_many": "embed", "map_generate": "generate", "map_chat": "chat"}
"""Functions over one host or several, and whose arguments they pass on."""
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "parse": ("http://127.0.0.1:1", "m", "question", int),
    "run_tools": ("http://127.0.0.1:1", "m", "question", ()),
    "call_tool": ((), {}),
    **dict.fromkeys(OF_MANY, ("http://127.0.0.1:1", "m", ())),
}
"""What is needed before a keyword that a function passes on is seen to be wrong."""
MODULES = [ollama_fast, aio]
BOTH = [(module, name) for module in MODULES for name in FUNCTIONS]

PARTS_OF = {"generate", "chat", "parse", "run_tools", "pull", "push", "create", "ensure_model"}
"""What streams: each of these has a twin."""

VOCABULARY = """
    generate chat embed embed_array embeddings create create_blob has_blob pull push show copy delete list ps version
    is_running status whoami signout web_search web_fetch model_recommendations systemone parse run_tools call_tool
    embed_many map_generate map_chat doctor ensure_model load unload unload_all context_of wait_ready
"""


def id_of(value: Any) -> str | None:
    return value.__name__ if isinstance(value, ModuleType) else None


def builder_of(name: str) -> Any:
    plain = name.removesuffix("_stream")
    if plain == "list":
        return _endpoints.list_models
    rooms = (_answers, _progress, _bars, _conversation, _doctor, _many, _models, _procedures, _endpoints)
    return next(getattr(room, plain) for room in rooms if inspect.isfunction(getattr(room, plain, None)))


def facts_of(parameters: Iterable[inspect.Parameter]) -> list[tuple[str, Any, Any, str]]:
    return [(p.name, p.kind, p.default, str(p.annotation)) for p in parameters]


def source_of(module: ModuleType) -> ast.Module:
    return ast.parse(Path(inspect.getfile(module)).read_text("utf-8"))


def defined_in(module: ModuleType) -> set[str]:
    """Give the public names that a module's own source defines."""
    found: set[str] = set()
    for node in source_of(module).body:
        match node:
            case ast.ClassDef(name) | ast.FunctionDef(name):
                found.add(name)
            case ast.Assign([ast.Name(name)]) | ast.AnnAssign(ast.Name(name)):
                found.add(name)
            case _:
                pass
    return {name for name in found if not name.startswith("_")}


# --- names -----------------------------------------------------------------------------------------------------------


def test_the_functions_are_those_of_the_vocabulary() -> None:
    assert set(FUNCTIONS) == {*VOCABULARY.split(), *(f"{name}_stream" for name in PARTS_OF)}


def test_both_colours_have_the_same_names() -> None:
    assert set(ollama_fast.__all__) - ONLY_BLOCKING == set(aio.__all__)
    assert set(ollama_fast.__all__) >= ONLY_BLOCKING


@pytest.mark.parametrize("name", sorted(NO_HOST))
def test_what_waits_for_nothing_is_the_same_in_both_colours(name: str) -> None:
    assert getattr(ollama_fast, name) is getattr(aio, name)


@pytest.mark.parametrize("module", [*MODULES, types, errors, telemetry, tools], ids=id_of)
def test_all_is_sorted_and_complete(module: ModuleType) -> None:
    names = list(module.__all__)
    assert names == sorted(names)
    assert len(names) == len(set(names))
    assert defined_in(module) <= set(names)
    for name in names:
        assert getattr(module, name) is not None


def test_every_type_and_error_is_defined_where_it_is_public() -> None:
    assert set(types.__all__) == defined_in(types)
    assert set(errors.__all__) == defined_in(errors)


def test_every_error_is_in_the_tree_that_the_docstring_draws() -> None:
    drawn: dict[str, set[str]] = {}
    above: dict[int, str] = {}
    for depth, name, rest in re.findall(r"^( *)[*+-] (\w+) *(.*)", errors.__doc__ or "", re.MULTILINE):
        above[len(depth)] = name
        drawn[name] = {above.get(len(depth) - 2, "Exception"), *re.findall(r"\(also .*?(\w+)\)", rest)}
    assert sorted(drawn) == errors.__all__
    assert drawn == {name: {base.__name__ for base in getattr(errors, name).__bases__} for name in drawn}


def test_the_version_is_that_of_the_package() -> None:
    assert ollama_fast.__version__ == importlib.metadata.version("ollama_fast")


# --- signatures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FUNCTIONS)
def test_both_colours_have_the_same_parameters(name: str) -> None:
    blocking, asynchronous = (inspect.signature(getattr(module, name)) for module in MODULES)
    assert list(blocking.parameters.values())[1:] == list(asynchronous.parameters.values())[1:]
    assert str(blocking.return_annotation) == str(asynchronous.return_annotation)


@pytest.mark.parametrize(("module", "name"), BOTH, ids=id_of)
def test_a_signature_is_the_builders_with_a_host_in_front(module: ModuleType, name: str) -> None:
    rest = list(inspect.signature(getattr(module, name)).parameters.values())
    if name in WITHOUT_HOST:
        assert facts_of(rest) == facts_of(inspect.signature(builder_of(name)).parameters.values())
        return
    host, *rest = rest
    built = list(inspect.signature(builder_of(name)).parameters.values())
    assert facts_of(rest) == facts_of(built[name in HOST_IS_OPTIONAL :])
    client = "httpx.Client" if module is ollama_fast else "httpx.AsyncClient"
    single = f"Host | str | {client} | None"
    shown = f"hosts: {single} | Sequence[{single}]" if name in OF_MANY else f"host: {single}"
    default = None if name in HOST_IS_OPTIONAL else host.empty
    assert (str(host.replace(default=host.empty)), host.kind, host.default) == (shown, host.POSITIONAL_ONLY, default)


@pytest.mark.parametrize(("name", "endpoint"), OF_MANY.items())
def test_a_function_of_many_passes_on_all_arguments_of_its_endpoint(name: str, endpoint: str) -> None:
    passed = list(inspect.signature(builder_of(name)).parameters.values())[-1]
    assert (passed.name, passed.kind) == (endpoint, passed.VAR_KEYWORD)
    (options,) = get_args(get_type_hints(getattr(ollama_fast, name))[endpoint])
    keywords = [
        p for p in inspect.signature(getattr(_endpoints, endpoint)).parameters.values() if p.kind is p.KEYWORD_ONLY
    ]
    hints = get_type_hints(getattr(ollama_fast, endpoint))
    assert options.__total__ is False
    assert get_type_hints(options) == {p.name: hints[p.name] for p in keywords}


@pytest.mark.parametrize(("module", "name"), BOTH, ids=id_of)
def test_a_signature_shows_what_is_returned(module: ModuleType, name: str) -> None:
    gives = str(inspect.signature(builder_of(name)).return_annotation)  # such as "Request[ChatResponse]"
    plain = gives.partition("[")[2].removesuffix("]")
    if gives.startswith("Telling["):  # such as "Telling[ChatResponse | ToolResult, Conversation]"
        told, _, given = plain.rpartition(", ")
        plain = told if name.endswith("_stream") else given
    if name in OF_MANY:
        plain = f"Answers[{plain}]"
    shown = inspect.formatannotation(inspect.signature(getattr(module, name)).return_annotation)
    assert shown == (f"Stream[{plain}]" if name.endswith("_stream") else plain)


@pytest.mark.parametrize("name", sorted(OF_PARTS))
@pytest.mark.parametrize("module", MODULES, ids=id_of)
def test_a_function_of_parts_shows_them_in_front(module: ModuleType, name: str) -> None:
    function = getattr(module, name)
    signature = inspect.signature(function)
    parts, *rest = signature.parameters.values()
    blocking = "Iterable[ProgressResponse]"
    assert parts.kind is parts.POSITIONAL_ONLY
    assert str(parts.annotation) == (f"Async{blocking} | {blocking}" if module is aio else blocking)
    assert facts_of(rest) == facts_of(inspect.signature(builder_of(name)).parameters.values())
    assert str(signature.return_annotation) == f"Stream[{'Progress' if name == 'progress' else 'ProgressResponse'}]"
    assert (
        get_type_hints(function)["return"]
        == module.Stream[ollama_fast.Progress if name == "progress" else types.ProgressResponse]
    )
    assert (function.__name__, function.__module__) == (name, module.__name__)
    assert pickle.loads(pickle.dumps(function)) is function
    described = re.findall(
        r"^    (\w+): [A-Z]", (inspect.getdoc(function) or "").partition("\nArgs:\n")[2], re.MULTILINE
    )
    assert described == list(signature.parameters)


@pytest.mark.parametrize(("module", "name"), BOTH, ids=id_of)
def test_help_shows_name_parameters_and_doc(module: ModuleType, name: str) -> None:
    function = getattr(module, name)
    text = pydoc.plain(pydoc.render_doc(function))
    first = "tools: " if name in WITHOUT_HOST else f"host{'s' * (name in OF_MANY)}: Host | str | httpx."
    assert f"{name}({first}" in re.sub(r"\(\s+", "(", text)
    assert f"in module {module.__name__}" in text
    for parameter in inspect.signature(function).parameters:
        assert parameter in text
    assert (inspect.getdoc(function) or "no doc") in re.sub(r"^ {4}", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize(("module", "name"), BOTH, ids=id_of)
def test_a_function_has_its_public_name_everywhere(module: ModuleType, name: str) -> None:
    function = getattr(module, name)
    assert (function.__name__, function.__qualname__, function.__module__) == (name, name, module.__name__)
    assert set(function.__annotations__) == {*inspect.signature(function).parameters, "return"}


ALL_FUNCTIONS = [
    (module, name) for module in MODULES for name in module.__all__ if inspect.isfunction(getattr(module, name))
]


@pytest.mark.parametrize(("module", "name"), ALL_FUNCTIONS, ids=id_of)
def test_type_hints_are_the_real_types(module: ModuleType, name: str) -> None:
    function = getattr(module, name)
    hints = get_type_hints(function)
    assert hints.keys() == {*inspect.signature(function).parameters, "return"}
    assert not [hint for hint in hints.values() if isinstance(hint, str)]
    if "host" in hints and name != "close":
        client = httpx.Client if module is ollama_fast else httpx.AsyncClient
        assert hints["host"] == ollama_fast.Host | str | client | None
    if name.endswith("_stream"):
        assert get_origin(hints["return"]) is module.Stream
    for parameter, hint in inspect.get_annotations(function, eval_str=True).items():
        assert hints[parameter] == (type(None) if hint is None else hint)


def test_a_type_hint_is_what_the_signature_shows() -> None:
    hints = get_type_hints(ollama_fast.chat_stream)
    assert hints["return"] == ollama_fast.Stream[types.ChatResponse]
    assert hints["options"] == types.Options | None
    assert hints["messages"] == Sequence[types.Message | Mapping[str, Any]]
    assert get_type_hints(aio.chat)["return"] is types.ChatResponse


@pytest.mark.parametrize(("module", "name"), BOTH, ids=id_of)
def test_a_function_survives_a_pickle_as_itself(module: ModuleType, name: str) -> None:
    function = getattr(module, name)
    assert pickle.loads(pickle.dumps(function)) is function


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_whole_is_awaited_and_what_streams_is_not(name: str) -> None:
    assert inspect.iscoroutinefunction(getattr(aio, name)) is not (name.endswith("_stream") or name in OF_MANY)
    assert not inspect.iscoroutinefunction(getattr(ollama_fast, name))
    assert inspect.iscoroutinefunction(aio.close)


def test_close_takes_a_host_or_none_in_both_colours() -> None:
    assert inspect.signature(ollama_fast.close) == inspect.signature(aio.close)
    assert str(inspect.signature(ollama_fast.close)) == "(host: 'Host | str | None' = None, /) -> 'None'"


def test_streams_have_the_same_methods_but_for_their_colour() -> None:
    blocking, asynchronous = ({n for n in dir(m.Stream) if not n.startswith("_")} for m in MODULES)
    assert blocking == {"close", "partial", "stats"}
    assert asynchronous == {"aclose", "partial", "stats"}
    assert {"__iter__", "__next__", "__enter__", "__exit__"} <= set(vars(ollama_fast.Stream))
    assert {"__aiter__", "__anext__", "__aenter__", "__aexit__"} <= set(vars(aio.Stream))
    blocking, asynchronous = ({n for n in dir(m.Answers) if not n.startswith("_")} for m in MODULES)
    assert (blocking, asynchronous) == ({"close"}, {"aclose"})
    assert {"__iter__", "__next__", "__enter__", "__exit__"} <= set(vars(ollama_fast.Answers))
    assert {"__aiter__", "__anext__", "__aenter__", "__aexit__"} <= set(vars(aio.Answers))


# --- docs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*FUNCTIONS, "close"])
def test_a_docstring_begins_with_a_sentence_and_describes_every_parameter(name: str) -> None:
    function = getattr(ollama_fast, name)
    doc = inspect.getdoc(function) or ""
    first, _, rest = doc.partition("\n")
    assert re.fullmatch(r"[A-Z].*\.", first)
    assert rest == "" or rest.startswith("\n")
    described = re.findall(r"^    (\w+): [A-Z\"`].*", doc.partition("\nArgs:\n")[2], re.MULTILINE)
    assert name == "close" or described == list(inspect.signature(function).parameters)
    assert name == "close" or getattr(aio, name).__doc__ == function.__doc__
    assert name == "close" or name.endswith("_stream") == ("Gives a Stream of the parts" in doc)


def assignments_of(module: ModuleType) -> list[ast.stmt]:
    """Give the statements that make a colour's functions."""
    rooms = [_composed, module] if module is ollama_fast else [module]
    return [statement for room in rooms for statement in source_of(room).body[1:]]


@pytest.mark.parametrize("module", MODULES, ids=id_of)
def test_a_sentence_stands_under_every_assignment(module: ModuleType) -> None:
    body = assignments_of(module)
    assigned: list[str] = []
    for node, following in zip(body, [*body[1:], None], strict=True):
        match node, following:
            case ast.Assign([ast.Name("__all__")]), _:
                pass
            case ast.Assign([ast.Name(name)]), ast.Expr(ast.Constant(str(sentence))):
                assert re.fullmatch(r"[A-Z][^.\n]*(\.\w[^.\n]*)*\.", sentence), sentence
                assigned.append(name)
            case ast.Assign(), _:
                pytest.fail(f"line {node.lineno} has no sentence under it")
            case _:
                pass
    assert sorted(assigned) == sorted([*FUNCTIONS, *OF_PARTS])


def test_the_sentences_are_the_same_in_both_colours() -> None:
    blocking, asynchronous = (
        [
            str(node.value.value)
            for node in assignments_of(module)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ]
        for module in MODULES
    )
    assert sorted(blocking) == sorted(asynchronous)


def test_what_is_loaded_later_is_what_the_package_gives() -> None:
    for name in sorted(set(vars(_composed)) & set(ollama_fast.__all__)):
        assert getattr(ollama_fast, name) is getattr(_composed, name)


@pytest.mark.parametrize("name", [name for name in vars(types) if hasattr(vars(types)[name], "__required_keys__")])
def test_every_shape_has_a_docstring(name: str) -> None:
    if not name.startswith("_") and name != "ToolParameters":  # written as a call; a string stands under it
        assert re.match(r"[A-Z][^\n]*\.", inspect.getdoc(getattr(types, name)) or "")


# --- wrong calls -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(PARTS_OF))
@pytest.mark.parametrize("module", MODULES, ids=id_of)
def test_an_argument_stream_is_a_type_error_that_names_the_twin(module: Any, name: str) -> None:
    for value in (True, False):
        for function in (name, f"{name}_stream"):
            with pytest.raises(TypeError, match=rf"{function}\(\) takes no argument 'stream'") as caught:
                run(getattr(module, function)("http://127.0.0.1:1", "m", stream=value))
            assert (f"{name}_stream()" in str(caught.value)) or "always" in str(caught.value)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("module", MODULES, ids=id_of)
def test_a_misspelt_keyword_and_a_missing_argument_are_type_errors_that_name_the_function(
    module: Any, name: str
) -> None:
    function = getattr(module, name)
    with pytest.raises(TypeError, match=rf"{name.removesuffix('_stream')}\w*\(\) got an unexpected keyword .*'modle'"):
        run(function(*ARGUMENTS.get(name.removesuffix("_stream"), ("http://127.0.0.1:1",)), modle="m"))
    if any(p.default is p.empty for p in list(inspect.signature(function).parameters.values())[1:]):
        with pytest.raises(TypeError, match=rf"{name.removesuffix('_stream')}\w*\(\) missing 1|missing \d required"):
            run(function("http://127.0.0.1:1"))
    with pytest.raises(TypeError):
        run(function(host="http://127.0.0.1:1"))
    if name not in HOST_IS_OPTIONAL:
        with pytest.raises(TypeError):
            run(function())


def run(answer: Any) -> Any:
    """Take the first step of a coroutine, where its arguments are checked."""
    if inspect.iscoroutine(answer):
        try:
            answer.send(None)
        finally:
            answer.close()
    return answer


# --- importing -------------------------------------------------------------------------------------------------------

IMPORTS = """
    import os, sys

    class Spy(dict):
        def __getitem__(self, name):
            assert not name.startswith("OLLAMA"), name
            return super().__getitem__(name)
        def get(self, name, default=None):
            assert not name.startswith("OLLAMA"), name
            return super().get(name, default)

    os.environ = Spy(os.environ)
    before = set(sys.modules)
    import ollama_fast
    loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
    print(*sorted(loaded))
"""


def test_importing_loads_nothing_heavy_and_reads_no_environment() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(IMPORTS)],
        env={"OLLAMA_HOST": "http://garbage:-1?", "OLLAMA_API_KEY": "k", "SSL_CERT_FILE": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    loaded = set(done.stdout.split())
    assert "ollama_fast" in loaded
    heavy = {"httpx", "httpcore", "h11", "anyio", "orjson", "asyncio", "ssl", "socket", "certifi", "idna", "email"}
    assert loaded & heavy == set()


@pytest.mark.parametrize("name", ["aio", "errors", "tools", "types"])
def test_a_module_of_the_package_is_there_without_another_import(name: str) -> None:
    program = f"import ollama_fast; from ollama_fast import {name}; print({name}.__name__, ollama_fast.{name}.__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout) == ("", f"ollama_fast.{name} ollama_fast.{name}\n")


@pytest.mark.parametrize("name", ["chatt", "_secret", "httpx"])
def test_a_name_that_is_not_there_is_an_attribute_error(name: str) -> None:
    for module in MODULES:
        with pytest.raises(AttributeError, match=rf"'{module.__name__}' has no attribute '{name}'"):
            getattr(module, name)


def test_importing_the_asyncio_half_loads_no_http_client() -> None:
    program = (
        "import ollama_fast, sys; ollama_fast.aio.generate; print('httpx' in sys.modules, 'asyncio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False True\n"
