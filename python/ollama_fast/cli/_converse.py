"""A chat: what is asked of the server, and what of its answer goes to the screen and into the conversation."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any, Final

import click

import ollama_fast
from ollama_fast import Conversation, Host, Stream, ToolResult
from ollama_fast.errors import OllamaError
from ollama_fast.types import KeepAlive, Options

from . import _slash, _talk
from ._advice import said
from ._answer import Piece, laid_out, piece_of, write_out
from ._exits import complain, said_by_system, tell
from ._output import dim, encoded, on_terminal, print_json, say
from ._question import read_question
from ._shapes import understood
from ._signals import TerminatedError
from ._talk import Talk

_LONGEST: Final = 500
"""Characters of a tool's result that are shown."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how all questions of a chat are asked."""

    host: Host
    tools: Sequence[Callable[..., Any]] = ()
    format: Any = None
    options: Options | None = None
    keep_alive: KeepAlive | None = None


def ask(setting: Setting, talk: Talk) -> Stream[Any]:
    """Give the stream of an answer: its parts, and if there are tools what came of them, and the whole at its end."""
    more: dict[str, Any] = {
        "format": setting.format,
        "think": talk.think,
        "options": setting.options,
        "keep_alive": setting.keep_alive,
    }
    if setting.tools:
        return ollama_fast.run_tools_stream(setting.host, talk.model, _talk.to_send(talk), setting.tools, **more)
    return ollama_fast.chat_stream(setting.host, talk.model, _talk.to_send(talk), **more)


def piece_of_event(event: Any) -> Piece:
    """Give what an event of such a stream adds: of a tool, a note of its call or its result."""
    if isinstance(event, ToolResult):
        result = " ".join(str(event.message.get("content", "")).split())
        return Piece(note=f"<- {result if len(result) <= _LONGEST else f'{result[:_LONGEST]}...'}")
    if isinstance(event, Conversation):
        return Piece()
    piece = piece_of(event)
    with understood():
        calls = (event.get("message") or {}).get("tool_calls") or ()
        return piece._replace(note="\n".join(map(_called, calls)))


def _called(call: Mapping[str, Any]) -> str:
    function: Mapping[str, Any] = call.get("function") or {}
    given: Mapping[str, Any] = function.get("arguments") or {}
    return f"-> {function.get('name')}({', '.join(f'{name}={encoded(value)}' for name, value in given.items())})"


def _events(stream: Stream[Any]) -> Iterator[Any]:
    """
    Give the events of such a stream.

    What a tool prints meanwhile goes to stderr, since stdout has the answer. A tool that ends the program is an error.
    """
    came = iter(stream)
    while True:
        try:
            with redirect_stdout(sys.stderr):
                event = next(came)
        except StopIteration:
            return
        except TerminatedError:
            raise
        except SystemExit as exc:
            raise click.ClickException(f"a tool would have ended the program, by SystemExit({exc.code!r})") from exc
        yield event


def answer_once(stream: Stream[Any], *, as_json: bool) -> None:
    """Write an answer, and that alone, on stdout; in a pipe, what tools are called goes to stderr."""
    with stream:
        if not as_json:
            pieces = map(piece_of_event, _events(stream))
            shows = on_terminal()
            write_out(laid_out(pieces if shows else _told(pieces), asides=shows))
            return
        for event in _events(stream):
            if isinstance(event, ToolResult):
                print_json({"message": event.message})
            elif not isinstance(event, Conversation):
                print_json(event)


def _told(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Give *pieces*, and say their notes on stderr."""
    for piece in pieces:
        if piece.note:
            tell(piece.note)
        yield piece


# --- in turns --------------------------------------------------------------------------------------------------------


def converse(setting: Setting, talk: Talk, read: Callable[[], str] = read_question) -> None:
    """Answer one question after the other, until there are no more."""
    while True:
        try:
            text = read()
        except EOFError:
            say("")
            return
        except KeyboardInterrupt:
            say("\n(Ctrl-D or /exit ends)")
            continue
        if text.lstrip().startswith("/"):
            turn = _obey(setting.host, talk, text.strip())
            if turn.over:
                return
            talk = turn.talk
        elif text.strip():
            talk = take_turn(setting, talk, text)


def _obey(host: Host, talk: Talk, line: str) -> _slash.Turn:
    try:
        turn = _slash.act(talk, line)
        if turn.talk.model != talk.model:
            ollama_fast.show(host, turn.talk.model)
    except KeyboardInterrupt:
        say("")
    except _slash.WrongCommandError as exc:
        complain(str(exc))
    except OllamaError as exc:  # some are OSErrors, too
        complain(said(exc))
    except OSError as exc:
        complain(said_by_system(exc))
    except (RuntimeError, ValueError) as exc:  # a path that is none: a user behind ~ whom nobody knows, a null byte
        complain(str(exc))
    else:
        if turn.said:
            dim(f"{turn.said}\n")
        return turn
    return _slash.Turn(talk)


def take_turn(setting: Setting, before: Talk, text: str) -> Talk:
    """Answer a question, and give the conversation with both; Ctrl-C stops the answer alone."""
    talk = _talk.asked(before, text)
    heard: list[str] = []
    added: list[Mapping[str, Any]] = []
    try:
        with ask(setting, talk) as stream:
            write_out(laid_out(_heard(stream, len(_talk.to_send(talk)), heard, added), asides=True))
            say("")
    except KeyboardInterrupt:
        say("")
        return _talk.interrupted(before, talk, "".join(heard))
    except (OllamaError, ValueError, TypeError, click.ClickException) as exc:  # also an image that is none
        complain(said(exc))
        return before
    return _talk.answered(talk, *added)


def _heard(stream: Stream[Any], given: int, heard: list[str], added: list[Mapping[str, Any]]) -> Iterator[Piece]:
    """
    Give the pieces of an answer.

    Args:
        stream: Of the answer.

        given: How many messages were sent.

        heard: Gets what the model says.

        added: Gets, at the end, the messages that the conversation goes on with.
    """
    for event in _events(stream):
        if isinstance(event, Conversation):
            added[:] = event.messages[given:]
        piece = piece_of_event(event)
        heard.append(piece.text)
        yield piece
    if not added:
        added.append((stream.partial or {})["message"])
