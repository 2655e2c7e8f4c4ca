"""The command `doctor`."""

from __future__ import annotations

import click

import ollama_fast

from ._options import Seconds, json_option
from ._output import print_json, say


@click.command
@click.option("--host", metavar="HOST", help="Where Ollama is or should be. [env: OLLAMA_HOST]")
@click.option("--timeout", type=Seconds(), default=10.0, metavar="SECONDS", help="For all of it; 10.")
@json_option("the report: `host`, `ok`, `seconds`, `findings`")
def doctor(host: str | None, timeout: float, as_json: bool) -> int:
    """
    Look at the host and at all that leads to it, and say what is wrong and what to do.

    Ends with the exit code 1 if there is a problem.
    """
    report = ollama_fast.doctor(host, seconds=timeout)
    if as_json:
        print_json(report.as_dict())
    else:
        say(str(report))
    return 0 if report.ok else 1
