"""How a run of the command line ends: which failure is which exit code, and what is said of it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import click

from ollama_fast.errors import OllamaError

from ._advice import of_option, said
from ._output import colourful
from ._plain import shown
from ._signals import TerminatedError, ending_in_order
from ._standard_streams import prepare

SUCCESS: Final = 0
FAILURE: Final = 1
INTERRUPTED: Final = 130

_LONGEST: Final = 4000
"""Characters of an error that are shown."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, say what went wrong, and give the exit code."""
    prepare()
    try:
        with ending_in_order(), _without_that_of_httpx():
            return _run(arguments)
    except TerminatedError as exc:
        return exc.code if isinstance(exc.code, int) else FAILURE


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
        _explained(exc).show()
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
    except Exception as exc:
        if sys.flags.dev_mode:
            raise
        complain(_said_unforeseen(exc))
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
    text = text.strip()
    if len(text) > _LONGEST:  # a server may say anything
        text = f"{text[:_LONGEST]} ... ({len(text) - _LONGEST} more characters)"
    click.echo(f"{label} {shown(text) if sys.stderr.isatty() else text}", err=True)


def note(text: str) -> None:
    """Say on stderr what is no failure, but may be a mistake."""
    tell(f"Note: {text}")


def tell(text: str) -> None:
    """Say on stderr what goes on, beside an answer that is on stdout."""
    click.echo(shown(text) if sys.stderr.isatty() else text, err=True)


def _explained(exc: click.ClickException) -> click.ClickException:
    """Add to a wrong command line what click cannot know: that Ollama has the option, for a run."""
    if not isinstance(exc, click.NoSuchOption) or exc.ctx is None:
        return exc
    takes_options = any("--option" in parameter.opts for parameter in exc.ctx.command.params)
    more = of_option(exc.option_name) if takes_options else ""
    return click.UsageError(f"{exc.format_message()} {more}", exc.ctx) if more else exc


def _said_unforeseen(exc: Exception) -> str:
    """Say in a line what no command has foreseen; with `-X dev`, Python says where it comes from."""
    if isinstance(exc, ModuleNotFoundError) and (exc.name or "").partition(".")[0] == "rich":
        return "this needs rich, which is not installed: pip install 'ollama_fast[cli]'"
    return f"{type(exc).__name__}: {exc}\n`python -X dev -m ollama_fast ...` shows where this comes from."


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
