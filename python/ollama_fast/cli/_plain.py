"""Texts of models and servers, made fit for a terminal; pure."""

from __future__ import annotations

from typing import Final

# A terminal would obey these. The pictures of Unicode show that they were there; a carriage return has no use.
_PICTURES: Final = {
    **{code: 0x2400 + code for code in range(0x20)},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    ord("\r"): None,
}
del _PICTURES[ord("\n")], _PICTURES[ord("\t")]


def shown(text: str) -> str:
    """Give *text* as a terminal may show it: control characters, but line ends and tabs, are replaced by pictures."""
    return text.translate(_PICTURES)
