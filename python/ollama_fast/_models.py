"""Models on a server, there or not, in memory or not: pure functions, from arguments to Steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from . import _endpoints
from ._steps import Steps, Telling, ask, ask_within, pause, tell
from .errors import (
    AuthenticationError,
    DecodeError,
    HostError,
    ModelNotFoundError,
    OllamaError,
    ResponseError,
    TimeoutError,
    TransportError,
)

if TYPE_CHECKING:
    from .types import KeepAlive, Options, ProgressResponse

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
"""Seconds between two questions whether a server is ready, which grow from the one to the other."""
_LONGEST_TRY: Final = 5.0
"""Seconds that a server may think about one of them: one that is starting may take it and never answer."""
_HOME: Final = ("registry.ollama.ai/", "library/")
"""What the name of a model need not say."""


def ensure_model(model: str, *, insecure: bool | None = None) -> Telling[ProgressResponse, ProgressResponse]:
    """
    Download *model* to the server unless it is there.

    Args:
        model: Name of the model, with its registry if that is not Ollama's.

        insecure: Whether a registry without TLS will do.

    A model that is there is not asked for again, also if its registry has a newer one: that is what `pull` does. The
    last part has the status "success"; if nothing is to be done it is the only one. Raises ResponseError,
    TransportError, DecodeError or IncompleteStreamError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#pull-a-model
    """
    try:
        yield from ask(_endpoints.show(model))
    except ModelNotFoundError:
        return (yield from ask(_endpoints.pull(model, insecure=insecure)))
    there: ProgressResponse = {"status": "success"}
    yield from tell(there)
    return there


def load(model: str, *, keep_alive: KeepAlive | None = None, options: Options | None = None) -> Steps[None]:
    """
    Load *model* into memory, and wait until it is there; also one that only makes embeddings.

    Args:
        model: Name of the model.

        keep_alive: How long it stays loaded when unused: seconds, or a duration such as "5m"; below 0 for ever.

        options: Those that loading depends on, such as `{"num_ctx": 8192}`. A later call with others loads it anew.

    Raises ModelNotFoundError, ResponseError, TransportError or DecodeError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#load-a-model
    """
    try:
        yield from ask(_endpoints.generate(model, keep_alive=keep_alive, options=options))
    except ResponseError as exc:
        if exc.status != 400:  # it is that of a model that cannot generate, and of wrong options
            raise
        try:
            yield from ask(_endpoints.embed(model, keep_alive=keep_alive, options=options))
        except ResponseError as second:
            if second.status == 400:  # then it says that this one makes no embeddings
                raise exc from second
            raise


def unload(model: str) -> Steps[None]:
    """
    Let the server free the memory that *model* takes; calls that use it are finished before.

    Args:
        model: Name of the model. One that is not in memory is no error.

    The server begins at once, but does not wait for the end: `ps` lists the model until it is gone. Raises
    ModelNotFoundError, ResponseError, TransportError or DecodeError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#unload-a-model
    """
    yield from ask(_endpoints.generate(model, keep_alive=0))


def unload_all() -> Steps[tuple[str, ...]]:
    """
    Let the server free the memory of all models, and give their names.

    Raises ResponseError, TransportError or DecodeError; a model that was deleted meanwhile is no error.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#list-running-models
    """
    names = tuple(name for name, _ in _running((yield from ask(_endpoints.ps()))))
    for name in names:
        try:
            yield from unload(name)
        except ModelNotFoundError:
            continue
    return names


def context_of(model: str) -> Steps[int | None]:
    """
    Ask how many tokens the context of *model* has, as it is loaded now; None if it is not in memory.

    Args:
        model: Name of the model.

    It is what `check_context` needs. Servers before 0.10 do not tell, which is None, too. Raises ResponseError,
    TransportError or DecodeError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#list-running-models
    """
    for name, context in _running((yield from ask(_endpoints.ps()))):
        if _full(name) == _full(model):
            return context
    return None


def _running(answer: Mapping[str, Any]) -> Iterator[tuple[str, int | None]]:
    """Give the names of the models in memory, and how large their contexts are, if it is known."""
    try:
        for one in answer["models"] or ():
            name, context = one["model"], one.get("context_length")
            if not isinstance(name, str) or not isinstance(context, int | None):
                raise TypeError(f"{name!r} with a context of {context!r}")  # noqa: TRY301 - one of several ways
            yield name, context
    except (AttributeError, KeyError, TypeError) as exc:
        raise DecodeError(f"the answer of ps has not the shape of Ollama's: {type(exc).__name__}: {exc}") from exc


def wait_ready(*, timeout: float = 60.0) -> Steps[None]:
    """
    Wait until the server answers, such as after its start.

    Args:
        timeout: Seconds to wait in all.

    What passes is waited for: that nobody listens, that a server says nothing, breaks off, or answers with a status
    from 500 on. What does not pass is raised at once, such as HostError, AuthenticationError, another ResponseError,
    or a certificate that is not trusted. A name that is not found is waited for: its container may be starting.
    Raises TimeoutError, from what was wrong last; `doctor` says why, and what to do. A client of your own keeps its own
    limits for each try.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#version
    """
    if not isinstance(timeout, int | float) or isinstance(timeout, bool) or not timeout > 0:
        raise ValueError(f"timeout must be a number of seconds, more than 0, not {timeout!r}")
    return _wait_ready(timeout)


def _wait_ready(timeout: float) -> Steps[None]:
    until, gap = monotonic() + timeout, _FIRST_PAUSE
    while True:
        try:
            yield from ask_within(min(max(until - monotonic(), _FIRST_PAUSE), _LONGEST_TRY), _endpoints.version())
        except OllamaError as exc:
            left = until - monotonic()
            if not _passes(exc):
                raise
            if left <= 0:
                text = f"the server was not ready within {timeout:g} s; at last: {exc}"
                raise TimeoutError(text, limit="total", after=timeout, method=exc.method, url=exc.url) from exc
        else:
            return
        yield from pause(min(gap, left))
        gap = min(gap * 2, _LONGEST_PAUSE)


def _passes(error: OllamaError) -> bool:
    """Whether what is wrong may be over soon."""
    if isinstance(error, HostError | AuthenticationError):
        return False
    if isinstance(error, ResponseError):
        return error.status is None or error.status >= 500
    return isinstance(error, TransportError | DecodeError) and not _distrusts(error)


def _distrusts(error: BaseException | None) -> bool:
    """Whether it is the server's certificate that is wrong, which no waiting mends."""
    while error is not None and type(error).__name__ != "SSLCertVerificationError":  # ssl need not be imported
        error = error.__cause__ or error.__context__
    return error is not None


def _full(name: str) -> str:
    """Give a model's name as servers compare it."""
    name = name.casefold()
    for part in _HOME:
        name = name.removeprefix(part)
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"
