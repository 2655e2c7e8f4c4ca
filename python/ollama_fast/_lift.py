"""Give a lifted function the face of its builder, so that help(), pickle and tracebacks tell the truth."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_HOSTS: Final = {
    "ollama_fast": "Host | str | httpx.Client | None",
    "ollama_fast.aio": "Host | str | httpx.AsyncClient | None",
}


_HOST_DOC: Final = """\
    host: Where Ollama is: a Host, its URL, an httpx client of your own, or None for what OLLAMA_HOST says.
"""


_MANY_HOSTS_DOC: Final = """\
    hosts: Where Ollama is, as for the other functions, or a sequence of such places, which share the work.
"""


class _Annotation(str):
    """An annotation that shows itself without quotes, and that nothing has to import."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def face(
    run: Callable[..., Any], build: Callable[..., Any], name: str | None, *, module: str, gives: str | None = None
) -> None:
    """
    Make *run* look like *build* with a host in front.

    Args:
        run: The lifted function.

        build: A builder of a Request or of Steps, whose annotations are strings.

        name: The public name, if it is not the builder's.

        module: The public module.

        gives: The class that *run* returns of what the builder's answer is, if it is not that answer itself.
    """
    signature = inspect.signature(build)
    answer = str(signature.return_annotation).partition("[")[2].removesuffix("]")
    shown = _Annotation(answer if gives is None else f"{gives}[{answer}]")
    parameters = [p.replace(annotation=_Annotation(p.annotation)) for p in signature.parameters.values()]
    host = inspect.Parameter("host", inspect.Parameter.POSITIONAL_ONLY, annotation=_Annotation(_HOSTS[module]))
    public = signature.replace(parameters=[host, *parameters], return_annotation=shown)
    run.__name__ = run.__qualname__ = name or build.__name__ + ("" if gives is None else "_stream")
    run.__module__ = module
    run.__doc__ = _doc(build.__doc__ or "", parts=gives is not None)
    run.__signature__ = public  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in public.parameters.values()} | {"return": shown}


def face_of_many(run: Callable[..., Any], build: Callable[..., Any], *, module: str) -> None:
    """Make *run* look like *build*, which gives a Many, with one host or several in front."""
    face(run, build, None, module=module)
    host, *rest = inspect.signature(run).parameters.values()
    single = _HOSTS[module]
    hosts = host.replace(name="hosts", annotation=_Annotation(f"{single} | Sequence[{single}]"))
    answers = _Annotation(f"Answers[{run.__annotations__['return']}]")
    run.__signature__ = inspect.Signature([hosts, *rest], return_annotation=answers)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in (hosts, *rest)} | {"return": answers}
    run.__doc__ = (run.__doc__ or "").replace(_HOST_DOC, _MANY_HOSTS_DOC)


def _doc(doc: str, *, parts: bool) -> str:
    """Add to *doc* what every function has: the host, and what a stream gives."""
    first, _, rest = inspect.cleandoc(doc).partition("\n\n")  # Python 3.13 has cleaned it already, 3.12 has not
    if parts:
        first += "\n\nGives a Stream of the parts as they arrive: iterate over it, best in a `with` block."
    before, has_args, arguments = rest.partition("Args:\n")
    if not has_args:
        before, arguments = "", before
    return f"{first}\n\n{before}Args:\n{_HOST_DOC}\n{arguments}\n"


def build_for(run: Callable[..., Any], build: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call *build* for *run*; a `stream` argument is a TypeError that names the function to call instead."""
    try:
        return build(*args, **kwargs)
    except TypeError as exc:
        if "stream" not in kwargs:
            own = f"{build.__name__}()"
            if own != f"{run.__name__}()" and str(exc).startswith(own):  # as list() for list_models()
                raise TypeError(f"{run.__name__}(){str(exc).removeprefix(own)}") from exc
            raise
        twin = run.__name__ if run.__name__.endswith("_stream") else f"{run.__name__}_stream"
        if not hasattr(sys.modules[run.__module__], twin):
            raise
        which = "streams always" if twin == run.__name__ else f"gives the whole answer; for its parts call {twin}()"
        raise TypeError(f"{run.__name__}() takes no argument 'stream': it {which}") from exc
