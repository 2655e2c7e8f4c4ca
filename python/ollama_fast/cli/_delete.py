"""The command `delete`."""

from __future__ import annotations

import sys

import click

import ollama_fast
from ollama_fast import Host

from ._options import ModelName, host_option, json_option
from ._output import print_json, say


@click.command
@click.argument("models", type=ModelName(), nargs=-1, required=True, metavar="MODEL...")
@click.option("-y", "--yes", is_flag=True, help="Do not ask, on a terminal either.")
@json_option('`{"deleted": "..."}` for each model in a line')
@host_option
def delete(host: Host, models: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """
    Remove each MODEL from the server.

    On a terminal it asks first, unless --yes is given. Without one, as in a script, it does not ask.
    """
    if not yes and sys.stdin.isatty() and not click.confirm(f"Delete {', '.join(models)} at {host.url}?", err=True):
        raise click.ClickException("nothing was deleted")
    for model in models:
        ollama_fast.delete(host, model)
        if as_json:
            print_json({"deleted": model})
        else:
            say(f"deleted {model}")
