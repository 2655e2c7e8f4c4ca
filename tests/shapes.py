"""What a TypedDict says: which keys, whether they are required, and the types of their values."""

from __future__ import annotations

from typing import Any, NotRequired, Required, get_args, get_origin, get_type_hints

from typing_extensions import ReadOnly


def keys_of(shape: type) -> dict[str, tuple[bool, Any]]:
    """Give the keys of a TypedDict, with whether each is required and the type of its value."""
    total: bool = vars(shape)["__total__"]
    found: dict[str, tuple[bool, Any]] = {}
    for key, hint in get_type_hints(shape, include_extras=True).items():
        marks: list[Any] = []
        value = hint
        while get_origin(value) in {Required, NotRequired, ReadOnly}:
            marks.append(get_origin(value))
            (value,) = get_args(value)
        found[key] = ((total and NotRequired not in marks) or Required in marks, value)
    return found


def required(shape: type) -> dict[str, bool]:
    """Give the keys of a TypedDict, and whether each is required."""
    return {key: is_required for key, (is_required, _) in keys_of(shape).items()}
