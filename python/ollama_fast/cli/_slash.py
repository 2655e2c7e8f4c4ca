"""The commands within a chat, which begin with a slash."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from ollama_fast._whole_file import replaced
from ollama_fast.types import Think

from . import _talk
from ._talk import Talk


class Turn(NamedTuple):
    """What comes of a command: the conversation from now on, what is said of it, and whether it is over."""

    talk: Talk
    said: str = ""
    over: bool = False


class Slash(NamedTuple):
    """A command: its argument and what it does, for the help, and how it is done."""

    argument: str
    help: str
    act: Callable[[Talk, str], Turn]


class WrongCommandError(ValueError):
    """A command within a chat cannot be done; its text says why."""


def act(talk: Talk, line: str) -> Turn:
    """
    Do the command that *line* is.

    Raises WrongCommandError for one that there is not, or whose argument is missing or wrong, and OSError for a file.
    """
    name, _, argument = line[1:].strip().partition(" ")
    found = COMMANDS.get(_ALIASES.get(name, name))
    if found is None:
        raise WrongCommandError(f"there is no command /{name}; /help lists them")
    argument = argument.strip()
    if found.argument.isupper() and not argument:
        raise WrongCommandError(f"/{name} needs {found.argument}: {found.help}")
    return found.act(talk, argument)


def _help(talk: Talk, _: str) -> Turn:
    heads = [(f"/{name} {command.argument}".rstrip(), command.help) for name, command in COMMANDS.items()]
    heads += [('"""', "begin and end a question of several lines"), ("Ctrl-C", "stop an answer"), ("Ctrl-D", "end")]
    width = max(len(head) for head, _ in heads)
    return Turn(talk, "\n".join(f"{head.ljust(width)}  {text}" for head, text in heads))


def _clear(talk: Talk, _: str) -> Turn:
    return Turn(replace(talk, messages=(), images=()), "all that was said is forgotten")


def _model(talk: Talk, name: str) -> Turn:
    return Turn(replace(talk, model=name), f"{name} answers from now on") if name else Turn(talk, talk.model)


def _system(talk: Talk, text: str) -> Turn:
    if not text:
        return Turn(replace(talk, system=None), "the system message is the model's own")
    return Turn(replace(talk, system=text), "the system message is set")


def _image(talk: Talk, path: str) -> Turn:
    talk = with_image(talk, Path(path).expanduser())
    return Turn(talk, f"the next question shows {len(talk.images)} image{'s' * (len(talk.images) > 1)}")


def with_image(talk: Talk, path: Path) -> Talk:
    """
    Have the next question show the image in a file.

    Raises WrongCommandError if it is empty, and OSError if it cannot be read.
    """
    image = base64.b64encode(path.read_bytes()).decode()
    if not image:
        raise WrongCommandError(f"{path} is empty")
    return replace(talk, images=(*talk.images, image))


_LEVELS: Final[Mapping[str, Think | None]] = {
    "": None,
    "on": True,
    "off": False,
    "low": "low",
    "medium": "medium",
    "high": "high",
    "max": "max",
}


def _think(talk: Talk, level: str) -> Turn:
    if level not in _LEVELS:
        raise WrongCommandError(f"/think takes {', '.join(filter(None, _LEVELS))}, not {level!r}")
    return Turn(replace(talk, think=_LEVELS[level]), f"thinking is {level or 'as the model does'}")


def _save(talk: Talk, path: str) -> Turn:
    with replaced(Path(path).expanduser()) as file:
        file.write(json.dumps(_talk.as_json(talk), indent=1).encode())
    return Turn(talk, f"saved to {path}")


def _load(talk: Talk, path: str) -> Turn:
    talk = loaded(talk, Path(path).expanduser())
    return Turn(talk, f"{len(talk.messages)} messages with {talk.model}")


def loaded(talk: Talk, path: Path) -> Talk:
    """
    Give *talk* with what /save wrote to a file.

    Raises WrongCommandError if it holds no conversation, and OSError if it cannot be read.
    """
    try:
        return _talk.from_json(talk, json.loads(path.read_bytes()))
    except ValueError as exc:  # also of JSON and of UTF-8
        raise WrongCommandError(f"{path}: {exc}") from exc


def _exit(talk: Talk, _: str) -> Turn:
    return Turn(talk, over=True)


COMMANDS: Final[Mapping[str, Slash]] = {
    "help": Slash("", "list these commands", _help),
    "clear": Slash("", "forget what was said", _clear),
    "model": Slash("[name]", "have another model answer, or say which one does", _model),
    "system": Slash("[text]", "set the system message, or take it back", _system),
    "image": Slash("PATH", "show an image with the next question", _image),
    "think": Slash("[level]", "on, off, low, medium, high or max; nothing leaves it to the model", _think),
    "save": Slash("PATH", "write the conversation to a file, as JSON", _save),
    "load": Slash("PATH", "go on with a conversation that was saved", _load),
    "exit": Slash("", "end", _exit),
}
"""In the order of the help. An argument in capitals must be there."""

_ALIASES: Final = {"bye": "exit", "quit": "exit", "?": "help"}
