"""An answer on its way to the screen: its pieces, and how they are laid out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from . import _output
from ._shapes import understood


class Piece(NamedTuple):
    """What a part adds to an answer; a note is a line about what happens meanwhile."""

    thinking: str = ""
    text: str = ""
    note: str = ""


class Ink(NamedTuple):
    """Text to write, and whether it is dim, as what matters less is."""

    text: str
    dim: bool = False


def piece_of(part: Mapping[str, Any]) -> Piece:
    """Give what a part of a generate or a chat adds."""
    with understood():
        holder: Mapping[str, Any] = part.get("message") or part
        piece = Piece(holder.get("thinking") or "", holder.get("content") or holder.get("response") or "")
        return Piece(*map(_text, piece))


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise TypeError(f"{found!r} is no text")
    return found


def laid_out(pieces: Iterable[Piece], *, asides: bool) -> Iterator[Ink]:
    """
    Give what is written for *pieces*, as they come: the thinking, an empty line, the answer, the end of the line.

    Args:
        pieces: Of one answer.

        asides: Whether what the model thinks, and notes, are shown.
    """
    last, thought = "", False
    for piece in pieces:
        if asides and piece.thinking:
            yield Ink(piece.thinking, dim=True)
            last, thought = piece.thinking, True
        if asides and piece.note:
            yield from _end_of_line(last)
            last, thought = f"{piece.note}\n", False
            yield Ink(last, dim=True)
        if piece.text:
            if thought:
                yield Ink("\n" if last.endswith("\n") else "\n\n")
                thought = False
            yield Ink(piece.text)
            last = piece.text
    yield from _end_of_line(last)


def _end_of_line(last: str) -> Iterator[Ink]:
    if last and not last.endswith("\n"):
        yield Ink("\n")


def write_out(inks: Iterable[Ink]) -> None:
    """Write *inks* as they come."""
    for ink in inks:
        (_output.dim if ink.dim else _output.write)(ink.text)


def measured(first_part: float | None, total: float, last: Mapping[str, Any]) -> str:
    """
    Say in a line how long an answer took.

    Args:
        first_part: Seconds until the first part.

        total: Seconds until its end.

        last: The last part, in which the server counts tokens and nanoseconds.
    """
    said = [f"{total:.2f} s in all"]
    if first_part is not None:
        said.append(f"first part after {first_part:.2f} s")
    for count, duration, what in (
        ("prompt_eval_count", "prompt_eval_duration", "read"),
        ("eval_count", "eval_duration", "written"),
    ):
        tokens, spent = last.get(count), last.get(duration)
        if tokens:
            said.append(f"{tokens} tokens {what}" + (f" at {tokens / spent * 1e9:.1f}/s" if spent else ""))
    if last.get("load_duration"):
        said.append(f"model loaded in {last['load_duration'] / 1e9:.2f} s")
    return ", ".join(said)
