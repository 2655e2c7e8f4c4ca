"""The command `load`."""

from __future__ import annotations

import click

import ollama_fast
from ollama_fast import Host
from ollama_fast.types import KeepAlive, Options

from ._asking import keep_alive_option, run_option
from ._options import host_option, json_option, model_argument
from ._output import print_json, say


@click.command
@model_argument
@keep_alive_option
@run_option
@json_option('`{"loaded": "..."}`')
@host_option
def load(host: Host, model: str, keep_alive: KeepAlive | None, options: Options | None, as_json: bool) -> None:
    """Load MODEL into memory, and wait until it is there."""
    ollama_fast.load(host, model, keep_alive=keep_alive, options=options)
    if as_json:
        print_json({"loaded": model})
    else:
        say(f"loaded {model}")
