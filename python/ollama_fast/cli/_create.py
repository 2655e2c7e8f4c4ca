"""The command `create`."""

from __future__ import annotations

from pathlib import Path

import click

import ollama_fast
from ollama_fast import Host, _modelfile
from ollama_fast.types import Options

from ._asking import checked, run_option
from ._moving import follow
from ._options import ModelName, host_option, json_option, model_argument

_READABLE = click.Path(exists=True, readable=True, path_type=Path)
_FILE = click.Path(exists=True, readable=True, dir_okay=False, path_type=Path)


@click.command
@model_argument
@click.option("-f", "--modelfile", type=_FILE, help="A Modelfile.")
@click.option("--from", "start", type=ModelName(), metavar="MODEL", help="A model to start from.")
@click.option("--file", "model_file", type=_READABLE, help="A GGUF file, or a folder with a safetensors model.")
@click.option("--adapter", type=_READABLE, help="An adapter: a file, or a folder.")
@click.option("--system", metavar="TEXT", help="System message.")
@click.option("--template", metavar="TEXT", help="Prompt template.")
@click.option("--license", "licenses", multiple=True, metavar="TEXT", help="A licence; may be given several times.")
@click.option("--quantize", metavar="KIND", help="Such as q4_K_M; the model must be F16, BF16 or F32.")
@run_option
@json_option("each part of the answer in a line")
@host_option
def create(
    host: Host,
    model: str,
    modelfile: Path | None,
    start: str | None,
    model_file: Path | None,
    adapter: Path | None,
    system: str | None,
    template: str | None,
    licenses: tuple[str, ...],
    quantize: str | None,
    options: Options | None,
    as_json: bool,
) -> None:
    """
    Make MODEL by a Modelfile, out of another model, or of files, which are sent unless the server has them.

    What is given beside a Modelfile goes before what is in it. --option gives the parameters that every run has.
    """
    if modelfile is None and start is None and model_file is None:
        raise click.UsageError("what shall it be made of? give --modelfile, --from or --file")
    with checked():
        known = None if modelfile is None else _modelfile.read(modelfile)
        for sentence in () if known is None else known.dropped:
            click.echo(f"{modelfile}, {sentence}", err=True)
        parts = ollama_fast.create_stream(
            host,
            model,
            modelfile=known,
            from_=start,
            files=model_file,
            adapters=adapter,
            system=system,
            template=template,
            license=licenses or None,
            quantize=quantize,
            parameters=options,
        )
    follow(parts, model, as_json=as_json)
