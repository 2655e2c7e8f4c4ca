"""Amounts, in the words that people use for them: one room for bars, doctor, command line and benchmarks; pure."""

from __future__ import annotations

from typing import Final

_UNITS: Final = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("KB", 10**3), ("B", 1))
_MOST: Final = 2**63
"""Servers count bytes in 64 bits; what claims to be more shall break no line."""
_SPANS: Final = (
    ("year", 31_536_000),
    ("week", 604_800),
    ("day", 86_400),
    ("hour", 3600),
    ("minute", 60),
    ("second", 1),
)


def size(count: float) -> str:
    """Say how much *count* bytes are, in units of 1000 and to the digit as Ollama's own command does."""
    whole = int(min(count, _MOST))
    name, unit = next(((name, unit) for name, unit in _UNITS if whole >= unit), _UNITS[-1])
    if whole >= 10 * unit or whole % unit == 0:
        return f"{whole // unit} {name}"
    return f"{whole / unit:.1f} {name}"


def took(seconds: float) -> str:
    """Say how long something took, in three digits."""
    for name, unit in (("s", 1.0), ("ms", 1e-3)):
        if abs(seconds) >= unit:
            return f"{digits(seconds / unit)} {name}"
    return f"{digits(seconds / 1e-6)} µs"


def digits(number: float) -> str:
    """Give *number* in three digits, or in more if it is larger."""
    amount = abs(number)
    return f"{number:,.0f}" if amount >= 99.95 else f"{number:.1f}" if amount >= 9.995 else f"{number:.2f}"


def span(seconds: float) -> str:
    """Say how far two moments are apart, in the largest unit of which there are two, if there is one."""
    for unit, length in _SPANS:
        count = int(seconds / length)
        if count >= 2 or (count == 1 and unit == "second"):
            return f"{count} {unit}{'s' * (count > 1)}"
    return "less than a second"


def left(seconds: float) -> str:
    """Say in few characters how long something will take, as the bars of Ollama's own command do."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours >= 100:
        return "99h+"
    if hours:
        return f"{hours}h{minute}m"
    return f"{minute}m{second}s" if minute else f"{second}s"
