"""The command `show`."""

from __future__ import annotations

import click

import ollama_fast
from ollama_fast import Host

from ._models import described
from ._options import host_option, json_option, model_argument
from ._output import print_json, say
from ._shapes import understood


@click.command
@model_argument
@click.option("--license", "field", flag_value="license", help="Print the whole licence alone.")
@click.option("--modelfile", "field", flag_value="modelfile", help="Print the Modelfile alone.")
@click.option("--parameters", "field", flag_value="parameters", help="Print the parameters alone.")
@click.option("--system", "field", flag_value="system", help="Print the system message alone.")
@click.option("--template", "field", flag_value="template", help="Print the prompt template alone.")
@json_option("the server's answer")
@host_option
def show(host: Host, model: str, field: str | None, as_json: bool) -> None:
    """Show what the server knows of MODEL."""
    answer = ollama_fast.show(host, model)
    if as_json:
        print_json(answer)
    elif field is not None:
        say(str(answer.get(field) or "").rstrip("\n"))
    else:
        with understood():
            text = described(answer)
        say(text)
