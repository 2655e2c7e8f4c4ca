"""The command `copy`."""

from __future__ import annotations

import click

import ollama_fast
from ollama_fast import Host

from ._options import ModelName, host_option, json_option
from ._output import print_json, say


@click.command
@click.argument("source", type=ModelName())
@click.argument("destination", type=ModelName())
@json_option('`{"source": "...", "destination": "..."}`')
@host_option
def copy(host: Host, source: str, destination: str, as_json: bool) -> None:
    """Give the model SOURCE a second name, DESTINATION."""
    ollama_fast.copy(host, source, destination)
    if as_json:
        print_json({"source": source, "destination": destination})
    else:
        say(f"copied {source} to {destination}")
