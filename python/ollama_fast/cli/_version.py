"""The command `version`."""

from __future__ import annotations

import click

import ollama_fast
from ollama_fast import Host

from ._options import host_option, json_option
from ._output import print_json, say


@click.command
@json_option('`{"server": "...", "client": "..."}`')
@host_option
def version(host: Host, as_json: bool) -> None:
    """Print the versions of the server and of this program."""
    server = ollama_fast.version(host)["version"]
    if as_json:
        print_json({"server": server, "client": ollama_fast.__version__})
    else:
        say(f"server {server}\nclient {ollama_fast.__version__}")
