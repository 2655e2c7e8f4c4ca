"""What a model is asked, out of arguments, files and standard input."""

from __future__ import annotations

import json
import math
import os
import stat
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from ollama_fast.errors import OllamaError
from ollama_fast.types import KeepAlive, Think

from ._exits import note
from ._run_options import WrongOptionError, options_of

R = TypeVar("R")

_PATIENCE: Final = 2.0
"""Seconds after which it is said that standard input is waited for."""

_WAITING: Final = "waiting for the end of standard input, which goes before PROMPT (`< /dev/null` if nothing does)"

EFFORTS: Final = ("low", "medium", "high", "max")


def joined(prompt: str | None, given: str | None) -> str:
    """
    Give the text of a question, out of an argument and of what came by a pipe; either may be missing.

    What came by the pipe stands first: then what is asked of it is the last that the model reads, and is not what a
    context that is too short would cut.
    """
    return "\n\n".join(part for part in ((given or "").rstrip("\n"), prompt or "") if part.strip())


def piped() -> str | None:
    """Read all of standard input, unless it is a terminal or closed."""
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        return None
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise click.ClickException(f"standard input is not text in UTF-8: {exc}") from exc


def piped_beside(prompt: str) -> str | None:
    """
    Read all of standard input, which goes with *prompt*, if something was given there: a pipe or a file.

    Nobody sees whether a pipe is meant, so what may be a mistake is said: that nothing came, and that there is a wait
    for it, as where a program leaves the pipe to it open.
    """
    if not prompt.strip():
        return piped()
    if not _is_given():
        return None
    waiting = threading.Timer(_PATIENCE, note, (_WAITING,))
    waiting.daemon = True
    waiting.start()
    try:
        text = piped()
    finally:
        waiting.cancel()
    if text is not None and not text.strip():
        note("nothing came by standard input; PROMPT is asked alone")
    return text


def _is_given() -> bool:
    """Whether standard input is a pipe, a socket or a file: not a terminal, nor /dev/null as in the background."""
    if sys.stdin is None or sys.stdin.closed:
        return False
    try:
        kind = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):  # a stream of Python's, with no file behind it
        return not sys.stdin.isatty()
    return stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind) or stat.S_ISREG(kind)


def format_of(text: str | None) -> Any:
    """Give the format that --format means: json, or the JSON schema in a file."""
    if text is None or text == "json":
        return text
    try:
        schema = json.loads(Path(text).read_text("utf-8"))
    except OSError as exc:
        raise click.BadParameter(f"neither 'json' nor a file with a JSON schema: {text}: {exc.strerror}") from exc
    except ValueError as exc:
        raise click.BadParameter(f"{text} is no JSON: {exc}") from exc
    if not isinstance(schema, dict):
        raise click.BadParameter(f"{text} holds no JSON schema, which is an object")
    return schema


def keep_alive_of(text: str | None) -> KeepAlive | None:
    """Give how long a model stays loaded: a number of seconds, or a duration such as 5m as it is."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        return text
    if not math.isfinite(seconds):
        raise click.BadParameter(f"{text!r} is no number of seconds; below 0 is for ever")
    return seconds


def think_of(think: bool | None, effort: Think | None) -> Think | None:
    """Give what --think, --no-think and --effort mean together."""
    if effort is None:
        return think
    if think is False:
        raise click.UsageError("--no-think and --effort contradict each other")
    return effort


@contextmanager
def checked() -> Generator[None]:
    """Say of an argument that a function refuses, before any I/O, that the command line is wrong."""
    try:
        yield
    except OllamaError:  # of a file, such as a Modelfile, and no argument
        raise
    except (TypeError, ValueError) as exc:
        raise click.UsageError(str(exc)) from exc


# --- options that generate and chat share ----------------------------------------------------------------------------


def _checked_options(_ctx: click.Context, _parameter: click.Parameter, pairs: tuple[str, ...]) -> Any:
    try:
        return options_of(pairs)
    except WrongOptionError as exc:
        raise click.BadParameter(str(exc)) from exc


def run_option(function: Callable[..., R]) -> Callable[..., R]:
    """Add --option to a command, which gets the options of all of them as `options`."""
    text = "An option of the run, such as temperature=0.2; may be given several times."
    return click.option(
        "--option", "options", multiple=True, metavar="KEY=VALUE", callback=_checked_options, help=text
    )(function)


def keep_alive_option(function: Callable[..., R]) -> Callable[..., R]:
    """Add --keep-alive to a command, which gets it as `keep_alive`."""
    text = "How long the model stays loaded: seconds, or a duration such as 5m; below 0 is for ever."
    return click.option(
        "--keep-alive", metavar="DURATION", callback=lambda _ctx, _parameter, given: keep_alive_of(given), help=text
    )(function)


def asking_options(function: Callable[..., R]) -> Callable[..., R]:
    """Add what generate and chat share: --system, --format, --image, --option, --think, --effort, --keep-alive."""
    readable = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
    for option in (
        keep_alive_option,
        click.option("--effort", type=click.Choice(EFFORTS), help="How hard a thinking model thinks."),
        click.option(
            "--think/--no-think", default=None, help="Whether a thinking model thinks first; it does by default."
        ),
        run_option,
        click.option(
            "--image", "images", multiple=True, type=readable, help="An image to look at; may be given several times."
        ),
        click.option(
            "--format",
            metavar="json|FILE",
            callback=lambda _ctx, _parameter, given: format_of(given),
            help="Answer in JSON, or by the JSON schema in a file.",
        ),
        click.option("--system", metavar="TEXT", help="In place of the model's system message."),
    ):
        function = option(function)
    return function
