"""`--option KEY=VALUE`, checked by the types that Ollama's options have; pure."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, cast

from ollama_fast._option_texts import kinds, typed

if TYPE_CHECKING:
    from ollama_fast.types import Options


class WrongOptionError(ValueError):
    """A KEY=VALUE that is no option of a run."""


def options_of(pairs: Iterable[str]) -> Options | None:
    """
    Give the options that *pairs* name; None if there are none.

    Args:
        pairs: Such as "temperature=0.2". One that is a list, such as stop, is given once for each item.

    Raises WrongOptionError for what is no pair, no option, or no value of its type.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip()
        if not equals:
            raise WrongOptionError(f"{pair!r} is no KEY=VALUE, such as temperature=0.2")
        kind = kinds().get(key)
        if kind is None:
            near = near_option(key)
            hint = f"did you mean {near}?" if near else f"there are {', '.join(sorted(kinds()))}"
            raise WrongOptionError(f"{key!r} is no option of Ollama's: {hint}")
        if kind is list:
            found.setdefault(key, []).append(text)
        else:
            try:
                found[key] = typed(kind, text.strip())
            except ValueError as exc:
                raise WrongOptionError(f"{key} must be {exc}") from exc
    return cast("Options", found) if found else None


def near_option(key: str) -> str | None:
    """Give the option of Ollama's whose name is *key*, or the nearest to it, if one is near."""
    return next(iter(get_close_matches(key, kinds(), n=1)), None)
