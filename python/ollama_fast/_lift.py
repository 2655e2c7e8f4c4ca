"""Give a lifted function the face of its builder, so that help(), pickle and tracebacks tell the truth."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from ._many import check_places, several

if TYPE_CHECKING:
    from ._many import Many
    from ._request import Request

A = TypeVar("A")
H_contra = TypeVar("H_contra", contravariant=True)
P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")

_HOSTS: Final = {
    "ollama_fast": "Host | str | httpx.Client | None",
    "ollama_fast.aio": "Host | str | httpx.AsyncClient | None",
}

_ROOMS: Final = (
    "pathlib",
    "typing_extensions",
    "._host",
    "._upload",
    "._embeddings",
    "._endpoints",
    "._procedures",
    "._models",
    "._modelfile",
    "._answers",
    "._conversation",
    "._many",
    "._report",
    "._doctor",
    "._progress",
    "._bars",
    ".tools",
    ".types",
)
"""Where the names are that annotations of builders have; the later wins."""

_HOST_DOC: Final = """\
    host: Where Ollama is: a Host, its URL, an httpx client of your own, or None for what OLLAMA_HOST says.
"""


_PARTS: Final = {
    "ollama_fast": "Iterable[ProgressResponse]",
    "ollama_fast.aio": "AsyncIterable[ProgressResponse] | Iterable[ProgressResponse]",
}

_MANY_HOSTS_DOC: Final = """\
    hosts: Where Ollama is, as for the other functions, or a sequence of such places, which share the work.
"""


class Examination(Protocol[H_contra, P, R_co]):
    """A function of a host, by default that of the environment."""

    def __call__(self, host: H_contra | None = None, /, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


class _Annotation(str):
    """An annotation that shows itself without quotes, and that nothing has to import."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def face(
    run: Callable[..., Any],
    build: Callable[..., Any],
    name: str | None,
    *,
    module: str,
    gives: str | None = None,
    takes_host: bool = True,
) -> None:
    """
    Make *run* look like *build*, with a host in front.

    Args:
        run: The lifted function.

        build: A builder of a Request or of Steps, whose annotations are strings.

        name: The public name, if it is not the builder's.

        module: The public module.

        gives: The class that *run* returns of what the builder's answer is, if it is not that answer itself.

        takes_host: Whether a host is put in front.
    """
    signature = inspect.signature(build)
    event, answer = _told_and_given(str(signature.return_annotation))
    shown = _Annotation(answer if gives is None else f"{gives}[{event}]")
    parameters = [*signature.parameters.values()]
    if takes_host:
        parameters.insert(0, inspect.Parameter("host", inspect.Parameter.POSITIONAL_ONLY, annotation="AnyHost"))
    annotations = {"AnyHost": _HOSTS[module]}
    parameters = [p.replace(annotation=_Annotation(annotations.get(p.annotation, p.annotation))) for p in parameters]
    public = signature.replace(parameters=parameters, return_annotation=shown)
    run.__name__ = run.__qualname__ = name or build.__name__ + ("" if gives is None else "_stream")
    run.__module__ = module
    run.__doc__ = _doc(build.__doc__ or "", parts=gives is not None, takes_host=takes_host)
    run.__signature__ = public  # type: ignore[attr-defined]
    hints = {p.name: f"hint({str(p.annotation)!r})" for p in public.parameters.values()}
    hints["return"] = f"hint({answer!r})" if gives is None else f"{gives}[hint({event!r})]"
    run.__annotations__ = hints


def face_of_many(run: Callable[..., Any], build: Callable[..., Any], *, module: str) -> None:
    """Make *run* look like *build*, which gives a Many, with one host or several in front."""
    face(run, build, None, module=module)
    signature = inspect.signature(run)
    host, *rest = signature.parameters.values()
    single, result = _HOSTS[module], str(signature.return_annotation)
    hosts = host.replace(name="hosts", annotation=_Annotation(f"{single} | Sequence[{single}]"))
    answers = _Annotation(f"Answers[{result}]")
    run.__signature__ = inspect.Signature([hosts, *rest], return_annotation=answers)  # type: ignore[attr-defined]
    hints = {p.name: f"hint({str(p.annotation)!r})" for p in (hosts, *rest)}
    run.__annotations__ = hints | {"return": f"import_module({module!r}).Answers[hint({result!r})]"}
    run.__doc__ = (run.__doc__ or "").replace(_HOST_DOC, _MANY_HOSTS_DOC)


def face_of_parts(run: Callable[..., Any], build: Callable[..., Any], *, module: str) -> None:
    """Make *run* look like *build*, which gives a View of parts, with these in front."""
    face(run, build, None, module=module, takes_host=False)
    signature = inspect.signature(run)
    seen, parts = str(signature.return_annotation), _Annotation(_PARTS[module])
    first = inspect.Parameter("parts", inspect.Parameter.POSITIONAL_ONLY, annotation=parts)
    result = _Annotation(f"Stream[{seen}]")
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [first, *signature.parameters.values()], return_annotation=result
    )
    hints = {"parts": f"hint({str(parts)!r})", **run.__annotations__, "return": f"Stream[hint({seen!r})]"}
    run.__annotations__ = hints


def lift_many(
    build: Callable[P, Many[R]],
    answers: Callable[[Sequence[Any], Many[R]], A],
    check: Callable[[Any, Request[Any]], None],
    *,
    module: str,
) -> Callable[Concatenate[Any, P], A]:
    """
    Make a builder of a Many a function of one host or several that gives the answers.

    Args:
        build: The builder.

        answers: Makes, of hosts and what they shall do, an iterator of one colour over what comes of it.

        check: Raises what is wrong with a host for a request, before any I/O.

        module: The public module.
    """

    def run(hosts: Any, /, *args: P.args, **kwargs: P.kwargs) -> A:
        many = build_for(run, build, *args, **kwargs)
        places = several(hosts)
        check_places(places, many, check)
        return answers(places, many)

    face_of_many(run, build, module=module)
    return run


def hint(annotation: str) -> Any:
    """
    Evaluate the text of an annotation.

    The annotations of lifted functions call it: so typing.get_type_hints gets real objects, and what they name, httpx
    for one, is imported only then. It must be a global of the module that *run* is defined in.
    """
    return eval(annotation, _names())  # noqa: S307 - it is text of this package


@cache
def _names() -> dict[str, Any]:
    names: dict[str, Any] = {name: import_module(name) for name in ("httpx", "os")}
    for room in _ROOMS:
        names |= vars(import_module(room, __package__))
    return names


def _told_and_given(annotation: str) -> tuple[str, str]:
    """Give what a builder's Request[R], Steps[R] or Telling[E, R] tells while it is done, and what it gives."""
    kind, _, inside = annotation.removesuffix("]").partition("[")
    if kind != "Telling":
        return inside, inside
    depth = 0
    for place, character in enumerate(inside):
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 0:
            return inside[:place], inside[place + 1 :].strip()
    raise TypeError(f"{annotation} does not say what is told and what is given")


def _doc(doc: str, *, parts: bool, takes_host: bool) -> str:
    """Add to *doc* what every function has: the host, and what a stream gives."""
    first, _, rest = inspect.cleandoc(doc).partition("\n\n")  # Python 3.13 has cleaned it already, 3.12 has not
    if parts:
        first += "\n\nGives a Stream of the parts as they arrive: iterate over it, best in a `with` block."
    before, has_args, arguments = rest.partition("Args:\n")
    if not has_args:
        before, arguments = "", before
    host = f"{_HOST_DOC}\n" if takes_host else ""
    return f"{first}\n\n{before}Args:\n{host}{arguments}\n"


def build_for(run: Callable[..., Any], build: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call *build* for *run*; a wrong keyword is a TypeError that says what to write in its place."""
    try:
        return build(*args, **kwargs)
    except TypeError as exc:
        twin = run.__name__ if run.__name__.endswith("_stream") else f"{run.__name__}_stream"
        if "stream" in kwargs and hasattr(sys.modules[run.__module__], twin):
            which = "streams always" if twin == run.__name__ else f"gives the whole answer; for its parts call {twin}()"
            raise TypeError(f"{run.__name__}() takes no argument 'stream': it {which}") from exc
        raise _explained(run, exc) from exc


def _explained(run: Callable[..., Any], exc: TypeError) -> TypeError:
    """Give *exc*, of a wrong call of *run*, with that function's name and what to write instead; or as it is."""
    called, found, what = str(exc).partition("() ")  # as list_models() for list(), or chat() for parse()
    if not found or not what.startswith(("got ", "missing ", "takes ")):
        return exc
    from ._foreign_keywords import hint_of

    parameters = inspect.signature(run).parameters.values()
    takes_options = any(p.name == "options" or p.kind is p.VAR_KEYWORD for p in parameters)
    hint = hint_of(str(exc), run.__name__, takes_options=takes_options)
    if called == run.__name__ and not hint:
        return exc
    return TypeError(f"{run.__name__}() {what}{f' ({hint})' if hint else ''}")
