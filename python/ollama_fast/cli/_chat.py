"""The command `chat`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

import ollama_fast
from ollama_fast import Host
from ollama_fast.types import KeepAlive, Options, Think

from . import _slash
from ._asking import asking_options, checked, piped, think_of
from ._options import host_option, json_option, model_argument
from ._output import dim, on_terminal
from ._talk import Talk, asked

_READABLE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.command
@model_argument
@asking_options
@click.option("--tools", "tool_file", type=_READABLE, help="A Python file with functions that the model may call.")
@click.option("--load", "saved", type=_READABLE, help="Go on with a conversation that /save wrote.")
@json_option("each part of the answer in a line; for a question by a pipe")
@host_option
def chat(
    host: Host,
    model: str,
    system: str | None,
    format: Any,
    images: tuple[Path, ...],
    options: Options | None,
    think: bool | None,
    effort: Think | None,
    keep_alive: KeepAlive | None,
    tool_file: Path | None,
    saved: Path | None,
    as_json: bool,
) -> None:
    """
    Talk with MODEL.

    On a terminal in turns: /help lists the commands there, Ctrl-C stops an answer, Ctrl-D ends. By a pipe, all that
    comes is one question. With --tools, the model may call the functions of a file of yours, which run here.
    """
    from ._converse import Setting, answer_once, ask, converse
    from ._tool_file import tools_in

    talk = _begun(model, system, think_of(think, effort), images, saved)
    setting = Setting(host, tools_in(tool_file) if tool_file else (), format, options, keep_alive)
    text = piped()
    if text is not None:
        if not text.strip():
            raise click.UsageError("there is no question: standard input is empty")
        with checked():
            stream = ask(setting, asked(talk, text.rstrip("\n")))
        answer_once(stream, as_json=as_json)
        return
    if as_json or not on_terminal():
        raise click.UsageError("a chat needs a terminal; with --json, or > FILE, give the question by a pipe")
    from ._question import edit_lines

    dim(f"loading {model} ...\n")
    ollama_fast.load(host, model, options=options, keep_alive=keep_alive)
    dim("/help lists commands, Ctrl-C stops an answer, Ctrl-D ends\n")
    edit_lines(f"/{name}" for name in _slash.COMMANDS)
    converse(setting, talk)


def _begun(model: str, system: str | None, think: Think | None, images: tuple[Path, ...], saved: Path | None) -> Talk:
    talk = Talk(model)
    try:
        if saved is not None:
            talk = replace(_slash.loaded(talk, saved), model=model)
        for image in images:
            talk = _slash.with_image(talk, image)
    except _slash.WrongCommandError as exc:
        raise click.ClickException(str(exc)) from exc
    return replace(talk, think=think, system=talk.system if system is None else system)
