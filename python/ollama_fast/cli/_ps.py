"""The command `ps`."""

from __future__ import annotations

from datetime import UTC, datetime

import click

import ollama_fast
from ollama_fast import Host

from ._models import PS_HEADS, ps_rows
from ._options import host_option, json_option
from ._output import print_json
from ._shapes import understood
from ._tables import print_table


@click.command
@json_option("the server's answer, with `models`")
@host_option
def ps(host: Host, as_json: bool) -> None:
    """List the models in memory: where they are, and until when."""
    answer = ollama_fast.ps(host)
    if as_json:
        print_json(answer)
    else:
        with understood():
            rows = ps_rows(answer["models"] or (), datetime.now(UTC))
        print_table(PS_HEADS, rows)
