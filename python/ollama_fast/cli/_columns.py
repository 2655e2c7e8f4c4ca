"""Columns of Parquet out of the keys of rows: their types, and values that are in them just as they were; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ollama_fast._text_lines import WrongLineError

from ._texts import Row


def types_of(rows: Sequence[Row]) -> Any:
    """
    Give a column for each key of *rows*, as a schema: of the type that its values have, of texts if they have none.

    Raises WrongLineError for values that no column can hold.
    """
    import pyarrow as pa

    names = dict.fromkeys(name for row in rows for name in row.fields)
    fields: list[Any] = []
    for name in names:
        try:
            kind = pa.array([row.fields.get(name) for row in rows]).type
        except (pa.ArrowException, OverflowError) as exc:
            raise WrongLineError(
                f"the values of {name!r} are of several types, which a column cannot hold: {exc}"
            ) from exc
        if _has_nothing(kind):
            raise WrongLineError(f"{name!r} has objects without keys, which a column cannot hold")
        fields.append(pa.field(name, pa.string() if pa.types.is_null(kind) else kind))
    return pa.schema(fields)


def column(rows: Sequence[Row], field: Any) -> Any:
    """
    Give the values of *rows* for the column that is *field*.

    Raises WrongLineError if one would be another there: a part of a number, or a key of an object, would be lost.
    """
    import pyarrow as pa

    values = [row.fields.get(field.name) for row in rows]
    try:
        found = pa.array(values)
        if found.type == field.type:
            return found
        if fits(found.type, field.type):
            return pa.array(values, type=field.type)
        why = f"there are {found.type}"
    except (pa.ArrowException, OverflowError) as exc:
        why = str(exc)
    where = f"lines {rows[0].line} to {rows[-1].line}"
    raise WrongLineError(f"{where}: {field.name!r} is not everywhere {field.type}, as it is before: {why}")


def fits(found: Any, wanted: Any) -> bool:
    """Whether values of one type of pyarrow's are in a column of another without a loss."""
    from pyarrow import types

    if found == wanted or types.is_null(found):
        return True
    if types.is_list(found) and types.is_list(wanted):
        return fits(found.value_type, wanted.value_type)
    if types.is_struct(found) and types.is_struct(wanted):
        kinds = {each.name: each.type for each in wanted}
        return all(each.name in kinds and fits(each.type, kinds[each.name]) for each in found)
    return bool(types.is_integer(found) and (types.is_integer(wanted) or types.is_floating(wanted)))


def _has_nothing(kind: Any) -> bool:
    """Whether there is an object without keys within a type."""
    from pyarrow import types

    if types.is_list(kind):
        return _has_nothing(kind.value_type)
    return types.is_struct(kind) and (kind.num_fields == 0 or any(_has_nothing(each.type) for each in kind))
