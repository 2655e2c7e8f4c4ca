"""The command `generate`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

import ollama_fast
from ollama_fast import Host
from ollama_fast.types import KeepAlive, Options, Think

from ._answer import laid_out, measured, piece_of, write_out
from ._asking import asking_options, checked, joined, piped_beside, think_of
from ._options import host_option, json_option, model_argument
from ._output import on_terminal, print_json
from ._shapes import understood


@click.command
@model_argument
@click.argument("words", nargs=-1, metavar="[PROMPT]")
@asking_options
@click.option("--stats", is_flag=True, help="Say on stderr how long it took, and how many tokens it were.")
@json_option("each part of the answer in a line")
@host_option
def generate(
    host: Host,
    model: str,
    words: tuple[str, ...],
    system: str | None,
    format: Any,
    images: tuple[Path, ...],
    options: Options | None,
    think: bool | None,
    effort: Think | None,
    keep_alive: KeepAlive | None,
    stats: bool,
    as_json: bool,
) -> None:
    """
    Answer PROMPT, or what comes by a pipe, or both.

    What comes by a pipe stands before PROMPT: `cat notes.txt | ollama-fast generate llama3 "Summarise this."`. A pipe
    or a file at standard input is read to its end also with a PROMPT: in a loop over lines, give `< /dev/null`. What a
    model thinks is shown on a terminal alone.
    """
    if len(words) > 1:
        quoted = shlex.join(["ollama-fast", "generate", model, " ".join(words)])
        raise click.UsageError(f"put PROMPT into quotes: {quoted}")
    prompt = "".join(words)
    text = joined(prompt, piped_beside(prompt))
    if not text:
        raise click.UsageError("there is nothing to answer: give a PROMPT, or text by a pipe")
    with checked():
        stream = ollama_fast.generate_stream(
            host,
            model,
            text,
            system=system,
            format=format,
            images=[image.read_bytes() for image in images] or None,
            think=think_of(think, effort),
            options=options,
            keep_alive=keep_alive,
        )
    with stream:
        if as_json:
            for part in stream:
                print_json(part)
        else:
            write_out(laid_out(map(piece_of, stream), asides=on_terminal()))
    if stats:
        done = stream.stats
        with understood():
            text = measured(done.first_part, done.total, stream.partial or {})
        click.echo(text, err=True)
