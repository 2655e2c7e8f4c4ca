"""The command `push`."""

from __future__ import annotations

import click

import ollama_fast
from ollama_fast import Host

from ._moving import follow
from ._options import host_option, json_option, model_argument


@click.command
@model_argument
@click.option("--insecure", is_flag=True, help="Allow a registry that has no TLS, or whose certificate nobody trusts.")
@json_option("each part of the answer in a line")
@host_option
def push(host: Host, model: str, insecure: bool, as_json: bool) -> None:
    """Upload MODEL from the server to its registry."""
    follow(ollama_fast.push_stream(host, model, insecure=insecure or None), model, as_json=as_json)
