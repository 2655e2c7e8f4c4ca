"""Completion in bash of names with a colon, which is the end of a word there and the middle of one for Ollama."""

from __future__ import annotations

import os
from collections.abc import Sequence

from click.shell_completion import BashComplete, CompletionItem, add_completion_class, split_arg_string


def whole_words(words: Sequence[str], place: int) -> tuple[list[str], str]:
    """
    Give the words before the one that is typed, and what is typed of that, with what bash has split at colons joined.

    Args:
        words: As bash has them, such as `ollama-fast show qwen3 : 0`.

        place: Of the word that is typed.
    """
    joined: list[str] = []
    before = ""
    for word in [*words[1:place], words[place] if place < len(words) else ""]:
        if joined and ":" in (word, before):
            joined[-1] += word
        else:
            joined.append(word)
        before = word
    return joined[:-1], joined[-1]


class Bash(BashComplete):
    """What click does for bash, but for colons."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Give the words before the one that is typed, and what is typed of that."""
        words = split_arg_string(os.environ["COMP_WORDS"])
        args, self._typed = whole_words(words, int(os.environ["COMP_CWORD"]))
        return args, self._typed

    def format_completion(self, item: CompletionItem) -> str:
        """Give a completion as the script wants it, without what stands before bash's own word."""
        known = self._typed.rpartition(":")[0]
        return f"{item.type},{item.value.removeprefix(f'{known}:') if known else item.value}"


def register() -> None:
    """Let click complete in bash so."""
    add_completion_class(Bash)
