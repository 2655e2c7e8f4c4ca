"""Options and arguments that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import click
from click.shell_completion import CompletionItem

from ollama_fast import Host, Timeout
from ollama_fast.errors import HostError

P = ParamSpec("P")
R = TypeVar("R")

_HOST_HELP: Final = "Where Ollama is, such as localhost, 10.0.0.5:11434 or https://example.com. [env: OLLAMA_HOST]"
_TIMEOUT_HELP: Final = "How long to wait at most for a connection, for the first part of an answer, and between parts."


def host_of(text: str | None, timeout: float | None = None) -> Host:
    """
    Give the host that a command line means.

    Args:
        text: What stands behind --host; None is the environment's host.

        timeout: Seconds that each wait may take.

    Raises click.BadParameter, which ends with the exit code 2, if the host cannot be understood.
    """
    if text is not None and not text.strip():  # such as a variable of a script that is not set
        raise click.BadParameter("it is empty; leave --host out for the host of OLLAMA_HOST", param_hint="'--host'")
    try:
        host = Host.from_env() if text is None else Host(text)
    except HostError as exc:
        raise click.BadParameter(str(exc), param_hint="'OLLAMA_HOST'" if text is None else "'--host'") from exc
    return host if timeout is None else host.with_options(timeout=Timeout.of(timeout))


class Seconds(click.FloatRange):
    """A time in seconds: more than none, and at most those that a Timeout may have."""

    def __init__(self) -> None:
        super().__init__(0, 2_147_483, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Refuse also nan, which is in every range, since it is neither below nor above a number."""
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is no number", param, ctx)
        return seconds


def _timeout_option(function: Callable[..., R]) -> Callable[..., R]:
    return click.option("--timeout", type=Seconds(), metavar="SECONDS", help=_TIMEOUT_HELP)(function)


def host_option(function: Callable[..., R]) -> Callable[..., R]:
    """Add --host and --timeout to a command, and give it the Host that they make as its argument `host`."""

    @click.option("--host", metavar="HOST", help=_HOST_HELP)
    @_timeout_option
    @wraps(function)
    def with_host(*args: Any, host: str | None, timeout: float | None, **more: Any) -> R:
        return function(*args, host=host_of(host, timeout), **more)

    return with_host


def hosts_option(function: Callable[..., R]) -> Callable[..., R]:
    """Add --host, which may be given several times, and --timeout; the command gets a tuple of Hosts as `hosts`."""

    @click.option("--host", multiple=True, metavar="HOST", help=f"{_HOST_HELP} Several share the work.")
    @_timeout_option
    @wraps(function)
    def with_hosts(*args: Any, host: tuple[str, ...], timeout: float | None, **more: Any) -> R:
        return function(*args, hosts=tuple(host_of(each, timeout) for each in host or (None,)), **more)

    return with_hosts


def json_option(shape: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """
    Add --json to a command, which gets it as its argument `as_json`.

    Args:
        shape: What is printed then, in a few words for the help, such as "the answer of the server".
    """
    return click.option("--json", "as_json", is_flag=True, help=f"Print JSON: {shape}.")


if TYPE_CHECKING:
    _Text = click.ParamType[str]
else:
    _Text = click.ParamType  # which older versions of click cannot subscript


class ModelName(_Text):
    """The name of a model, which a shell completes from what the server has."""

    name = "model"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what can be no name."""
        name = str(value)
        if not name.strip():
            self.fail("it is empty", param, ctx)
        if not name.isprintable():  # also bytes that are no UTF-8, which Python has as halves of surrogate pairs
            self.fail(f"{name!a} is no name", param, ctx)
        return name

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - what click hands over
        """Give the models on the server whose names begin with *incomplete*."""
        from ._complete import models_on

        given = ctx.params.get("host")
        found = models_on(given[0] if isinstance(given, tuple) and given else given or None)
        return [CompletionItem(name) for name in found if name.startswith(incomplete)]


model_argument = click.argument("model", type=ModelName())
"""Add the argument MODEL to a command."""
