"""The command `doctor`."""

from __future__ import annotations

from dataclasses import replace

import click

import ollama_fast
from ollama_fast import Report

from ._advice import in_shell
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
    report = _in_shell(ollama_fast.doctor(host, seconds=timeout))
    if as_json:
        print_json(report.as_dict())
    else:
        say(str(report))
    return 0 if report.ok else 1


def _in_shell(report: Report) -> Report:
    findings = (replace(each, what=in_shell(each.what), todo=in_shell(each.todo)) for each in report.findings)
    return replace(report, findings=tuple(findings))
