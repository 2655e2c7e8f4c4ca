"""How a run of the command line ends: which failure is which exit code, and what is said of it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any, Final

import click

from ollama_fast.errors import AuthenticationError, ConnectError, ModelNotFoundError, OllamaError

from ._output import colourful
from ._plain import shown

SUCCESS: Final = 0
FAILURE: Final = 1
INTERRUPTED: Final = 130


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, say what went wrong, and give the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # models may say what a terminal's encoding lacks
    with _without_that_of_httpx():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    from ._group import COMPLETING, ollama_fast

    if COMPLETING in os.environ:
        from ._bash import register

        register()
    try:
        code = ollama_fast.main(
            arguments if arguments is None else list(arguments), "ollama-fast", standalone_mode=False
        )
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):  # click has ended the line on which ^C stands
        return INTERRUPTED
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except OllamaError as exc:  # some are OSErrors, too
        complain(said(exc))
        return FAILURE
    except OSError as exc:
        if exc.errno == errno.EPIPE:
            _forget_stdout()
        else:
            complain(said_by_system(exc))
        return FAILURE
    return code if isinstance(code, int) else SUCCESS


@contextmanager
def _without_that_of_httpx() -> Generator[None]:
    """Keep httpx from importing a command line of its own, and rich for it: a third of the time to a first word."""
    modules: dict[str, Any] = sys.modules
    known = "httpx._main" in modules
    modules.setdefault("httpx._main", None)  # to httpx that is a package which is not installed
    try:
        yield
    finally:
        if not known:
            modules.pop("httpx._main", None)


def complain(text: str) -> None:
    """Say on stderr what went wrong."""
    label = click.style("Error:", fg="red") if colourful(sys.stderr) else "Error:"
    click.echo(f"{label} {shown(text) if sys.stderr.isatty() else text}", err=True)


def said(exc: Exception) -> str:
    """Give the text of an error of a call, with what to do next if there is a command for it."""
    text = str(exc)
    match exc:
        case ModelNotFoundError() if exc.model:
            return f"{text}\n`ollama-fast list` shows the models there, `ollama-fast pull {exc.model}` downloads it."
        case AuthenticationError() if exc.signin_url and exc.signin_url not in text:
            return f"{text}\nSign in at {exc.signin_url}"
        case ConnectError():
            return f"{text}\n`ollama-fast doctor` looks for the cause."
        case _:
            return text


def said_by_system(exc: OSError) -> str:
    """Give the text of an error of the operating system, with the file that it is about."""
    if exc.strerror is None:
        return str(exc) or type(exc).__name__
    return f"{exc.filename}: {exc.strerror}" if exc.filename is not None else exc.strerror


def _forget_stdout() -> None:
    """Let what is still unwritten go nowhere: whoever read it has left, and Python would complain at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
