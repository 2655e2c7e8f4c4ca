"""`--option KEY=VALUE`, checked by the types that Ollama's options have; pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from typing import Any, cast, get_type_hints

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
        kind = _kinds().get(key)
        if kind is None:
            near = near_option(key)
            hint = f"did you mean {near}?" if near else f"there are {', '.join(sorted(_kinds()))}"
            raise WrongOptionError(f"{key!r} is no option of Ollama's: {hint}")
        if kind is list:
            found.setdefault(key, []).append(text)
        else:
            found[key] = _value(key, text.strip(), kind)
    return cast("Options", found) if found else None


def near_option(key: str) -> str | None:
    """Give the option of Ollama's whose name is *key*, or the nearest to it, if one is near."""
    return next(iter(get_close_matches(key, _kinds(), n=1)), None)


def _value(key: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise WrongOptionError(f"{key} must be true or false, not {text!r}")
    a_number = "a whole number" if kind is int else "a number"
    try:
        value = kind(text)
    except ValueError as exc:
        raise WrongOptionError(f"{key} must be {a_number}, not {text!r}") from exc
    if not math.isfinite(value):
        raise WrongOptionError(f"{key} must be {a_number} with an end, not {text!r}")
    return value


@cache
def _kinds() -> dict[str, type]:
    """Give the types of all options; list for those that are sequences of texts."""
    return {key: hint if hint in (int, float, bool) else list for key, hint in get_type_hints(Options).items()}
