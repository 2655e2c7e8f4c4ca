"""A question out of the lines that are typed, and the keys that help to type them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

_MARK: Final = '"""'


def read_question(ask: Callable[[str], str] = input) -> str:
    """
    Give what is typed: a line, or several between two times three quotes.

    Args:
        ask: Shows a prompt and gives a line, as `input` does, with its errors for Ctrl-C and Ctrl-D.
    """
    line = ask(">>> ")
    if not line.lstrip().startswith(_MARK):
        return line
    lines = [line.lstrip().removeprefix(_MARK)]
    while not lines[-1].rstrip().endswith(_MARK):
        lines.append(ask("... "))
    lines[-1] = lines[-1].rstrip().removesuffix(_MARK)
    return "\n".join(lines).strip("\n")


def edit_lines(words: Iterable[str]) -> None:
    """Have `input` edit lines, recall earlier ones, and complete *words* by Tab, where Python has readline."""
    try:
        import readline
    except ImportError:  # Windows has its own
        return
    known = sorted(words)

    def complete(typed: str, place: int) -> str | None:
        found = [word for word in known if typed and word.startswith(typed)]
        return f"{found[place]} " if place < len(found) else None

    readline.set_completer(complete)
    readline.set_completer_delims(" ")
    libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
