"""The command `pull`."""

from __future__ import annotations

import click

import ollama_fast
from ollama_fast import Host

from ._moving import follow
from ._options import host_option, json_option, model_argument


@click.command
@model_argument
@click.option("--insecure", is_flag=True, help="Allow a registry that has no TLS, or whose certificate nobody trusts.")
@click.option("--missing", is_flag=True, help="Only if the server does not have it; else also what is newer.")
@json_option("each part of the answer in a line")
@host_option
def pull(host: Host, model: str, insecure: bool, missing: bool, as_json: bool) -> None:
    """Download MODEL from its registry to the server."""
    stream = ollama_fast.ensure_model_stream if missing else ollama_fast.pull_stream
    follow(stream(host, model, insecure=insecure or None), model, as_json=as_json)
