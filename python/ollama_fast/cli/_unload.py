"""The command `unload`."""

from __future__ import annotations

from functools import partial

import click

import ollama_fast
from ollama_fast import Host

from ._options import ModelName, host_option, json_option
from ._output import print_json, say
from ._shapes import understood


@click.command
@click.argument("models", type=ModelName(), nargs=-1, metavar="MODEL...")
@click.option("--all", "every", is_flag=True, help="All that are in memory.")
@json_option('`{"unloaded": "..."}` for each model in a line')
@host_option
def unload(host: Host, models: tuple[str, ...], every: bool, as_json: bool) -> None:
    """Let the server free the memory that each MODEL takes."""
    if every == bool(models):
        raise click.UsageError("give the models to unload, or --all")
    for model in _unloaded(host) if every else map(partial(_unload, host), models):
        if as_json:
            print_json({"unloaded": model})
        else:
            say(f"unloaded {model}")


def _unload(host: Host, model: str) -> str:
    ollama_fast.unload(host, model)
    return model


def _unloaded(host: Host) -> tuple[str, ...]:
    with understood():
        return ollama_fast.unload_all(host)
