"""
What was made of callables, remembered for as long as they live.

By identity, since callables may be unhashable or equal to others. An entry goes with its callable, or when it is the
oldest of too many.
"""

from __future__ import annotations

import weakref
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

Memory: TypeAlias = dict[tuple[int, type], tuple[weakref.ref[Any], T]]
"""What was made of which callable. What is put in should not hold the callable: then neither would be freed."""

_MOST = 256
"""How many are remembered. Types hold some of them, such as a method that takes its own class."""


def recall(memory: Memory[T], function: Any) -> T | None:
    """Give what was made of *function*; None if nothing was."""
    held = _held(function)
    entry = memory.get((id(held), type(function)))
    return entry[1] if entry is not None and entry[0]() is held else None


def remember(memory: Memory[T], function: Any, made: T) -> None:
    """Keep what was made of *function*, if its end can be noticed."""
    held = _held(function)
    key = (id(held), type(function))
    pop = memory.pop  # held here: at the interpreter's exit, a module's names go before its functions
    try:
        reference = weakref.ref(held, lambda _: pop(key, None))
    except TypeError:  # an object with __slots__
        return
    memory[key] = (reference, made)
    for oldest in list(memory)[:-_MOST]:
        pop(oldest, None)


def _held(function: Any) -> Any:
    # A bound method is a new object each time it is asked for: its function, and whether it is bound, say it all.
    return getattr(function, "__func__", function)
