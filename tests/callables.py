"""Callables of every shape, and docstrings of every style: all add or describe the same."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

INTEGER: Final = {"type": "integer"}
A_AND_B: Final = {"type": "object", "required": ["a", "b"], "properties": {"a": INTEGER, "b": INTEGER}}
B_ONLY: Final = {"type": "object", "required": ["b"], "properties": {"b": INTEGER}}


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


async def add_later(a: int, b: int) -> int:
    """Add."""
    return a + b


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


@logged
def decorated(a: int, b: int) -> int:
    """Add."""
    return a + b


@functools.lru_cache
def cached(a: int, b: int) -> int:
    """Add."""
    return a + b


class Adder:
    """Adds."""

    def method(self, a: int, b: int) -> int:
        """Add."""
        return a + b

    async def method_later(self, a: int, b: int) -> int:
        """Add."""
        return a + b

    @classmethod
    def of_class(cls, a: int, b: int) -> int:
        """Add."""
        return a + b

    @staticmethod
    def static(a: int, b: int) -> int:
        """Add."""
        return a + b

    @logged
    def decorated(self, a: int, b: int) -> int:
        """Add."""
        return a + b

    def list(self, a: list[int]) -> list[int]:
        """List."""
        return a


class Called:
    """Add."""

    def __call__(self, a: int, b: int) -> int:
        return a + b


class CalledLater:
    """An object."""

    async def __call__(self, a: int, b: int) -> int:
        """Add."""
        return a + b


@dataclass
class Unhashable:
    """Adds something."""

    n: int

    def __call__(self, b: int) -> int:
        """Add."""
        return self.n + b


class Slotted:
    """Add."""

    __slots__ = ()

    def __call__(self, a: int, b: int) -> int:
        return a + b


@dataclass
class Sum:
    """Add."""

    a: int
    b: int

    def __eq__(self, other: object) -> bool:
        return self.a + self.b == other

    def __hash__(self) -> int:
        return self.a


def positional(a: int, b: int, /) -> int:
    """Add."""
    return a + b


def spread(a: int, b: int = 1, *rest: int, more: int = 0, **others: int) -> int:
    return a + b + sum(rest) + more + sum(others.values())


def positional_defaults(a: int, b: int = 10, c: int = 100, /) -> int:
    return a + b + c


SHAPES: Final[dict[str, tuple[Callable[..., Any], str, dict[str, Any]]]] = {
    "function": (add, "add", A_AND_B),
    "async": (add_later, "add_later", A_AND_B),
    "decorated": (decorated, "decorated", A_AND_B),
    "lru_cache": (cached, "cached", A_AND_B),
    "method": (Adder().method, "method", A_AND_B),
    "async method": (Adder().method_later, "method_later", A_AND_B),
    "classmethod": (Adder.of_class, "of_class", A_AND_B),
    "classmethod of an object": (Adder().of_class, "of_class", A_AND_B),
    "staticmethod": (Adder.static, "static", A_AND_B),
    "decorated method": (Adder().decorated, "decorated", A_AND_B),
    "partial": (functools.partial(add, 1), "add", B_ONLY),
    "partial by keyword": (functools.partial(add, a=1), "add", B_ONLY),
    "partial of a partial": (functools.partial(functools.partial(add), 1), "add", B_ONLY),
    "partial of a method": (functools.partial(Adder().method, a=1), "method", B_ONLY),
    "async partial": (functools.partial(add_later, a=1), "add_later", B_ONLY),
    "object": (Called(), "Called", A_AND_B),
    "async object": (CalledLater(), "CalledLater", A_AND_B),
    "partial of an async object": (functools.partial(CalledLater(), 1), "CalledLater", B_ONLY),
    "unhashable object": (Unhashable(1), "Unhashable", B_ONLY),
    "object with slots": (Slotted(), "Slotted", A_AND_B),
    "class": (Sum, "Sum", A_AND_B),
    "positional only": (positional, "positional", A_AND_B),
}
"""What each is, what it is called, and its parameters. With a=1, if it is not bound, and b=2 each gives 3."""


def google(a: int, b: int, c: str = "") -> None:
    """
    Weigh two things.

    It takes its time: a second or so.

    Args:
        a: The first thing: in kg,
            or so: roughly.

        b (int): The second thing.
        c (str, optional): A note.

    Returns:
        Nothing.
    """


def numpy(a: int, b: int, c: str = "") -> None:
    """
    Weigh two things.

    It takes its time: a second or so.

    Parameters
    ----------
    a : int
        The first thing: in kg,
        or so: roughly.
    b : int
        The second thing.
    c : str, optional
        A note.

    Returns
    -------
    None
    """


def sphinx(a: int, b: int, c: str = "") -> None:
    """
    Weigh two things.

    It takes its time: a second or so.

    :param a: The first thing: in kg,
        or so: roughly.
    :param int b: The second thing.
    :param c: A note.
    :type c: str
    :returns: Nothing.
    """


def epydoc(a: int, b: int, c: str = "") -> None:
    """
    Weigh two things.

    It takes its time: a second or so.

    @param a: The first thing: in kg,
        or so: roughly.
    @param b: The second thing.
    @type b: int
    @param c: A note.
    @return: Nothing.
    """


STYLES: Final = [google, numpy, sphinx, epydoc]
