"""Options of a run that are given as text, in a Modelfile or on a command line: one set of rules for both; pure."""

from __future__ import annotations

import re
import reprlib
from functools import cache
from typing import Any, Final, get_type_hints

_BOOLS: Final = {
    **dict.fromkeys(["1", "t", "T", "TRUE", "true", "True"], True),
    **dict.fromkeys(["0", "f", "F", "FALSE", "false", "False"], False),
}
# Text, not compiled: this module is imported with `create`, and few programs have options as text.
_INT: Final = r"([+-]?)0*([0-9]+)"
_FLOAT: Final = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_MOST: Final = 2**63
"""Servers have whole numbers of 64 bits."""
_LARGEST: Final = 3.4028235e38
"""And others of 32."""


@cache
def kinds() -> dict[str, type]:
    """Give the types of all options, by their names; list for those that are sequences of texts."""
    from .types import Options

    return {key: hint if hint in (int, float, bool) else list for key, hint in get_type_hints(Options).items()}


def typed(kind: type, text: str) -> Any:
    """
    Give the value that *text* means, as Ollama's own command reads it.

    Args:
        kind: One of `kinds()`. A list has *text* as its only item.

        text: Without spaces around it.

    Raises ValueError with what it must be and is not, such as "a whole number, not '1.5'".
    """
    if kind is bool:
        if text in _BOOLS:
            return _BOOLS[text]
        raise _not("true or false", text)
    if kind is int:
        found = re.fullmatch(_INT, text)
        if found is None:
            raise _not("a whole number", text)
        # Counted first: Python refuses to read thousands of digits, with advice that helps nobody here.
        if len(found[2]) > len(str(_MOST)) or not -_MOST <= (number := int(found[1] + found[2])) < _MOST:
            raise _not("a whole number of 64 bits", text)
        return number
    if kind is float:
        if re.fullmatch(_FLOAT, text) is None:
            raise _not("a number", text)
        if abs(amount := float(text)) > _LARGEST:
            raise _not("a number of 32 bits", text)
        return amount
    return [text]


def _not(must_be: str, text: str) -> ValueError:
    return ValueError(f"{must_be}, not {reprlib.repr(text)}")
