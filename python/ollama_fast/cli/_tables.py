"""Tables: by rich on a terminal, as aligned text in a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ._output import on_terminal, say
from ._plain import shown

Rows = Sequence[Sequence[str]]

_NAME_ROOM: Final = 16
"""Characters that the first column has at least, if it needs them, before others are shown."""


def aligned(heads: Sequence[str], rows: Rows) -> str:
    """Give a table as text, whose columns are aligned and at least two spaces apart."""
    lines = [[" ".join(cell.split()) for cell in row] for row in (heads, *rows)]  # a cell never breaks its line
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)


def columns_for(heads: Sequence[str], rows: Rows, room: int) -> int:
    """
    Give how many columns a terminal of *room* characters shows.

    They are whole but the first, which is the name of what the row is about: that is there however narrow it is, and
    breaks its lines if it must.
    """
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    taken, shows = min(widths[0], max(_NAME_ROOM, room // 3)), 1
    for width in widths[1:]:
        taken += width + 1
        if taken > room:
            break
        shows += 1
    return shows


def print_table(heads: Sequence[str], rows: Rows) -> None:
    """Print a table; on a terminal that is too narrow for it, without its last columns."""
    if not on_terminal():
        say(aligned(heads, rows))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    shows = columns_for(heads, rows, console.width)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, head in enumerate(heads[:shows]):
        table.add_column(Text(head), no_wrap=place > 0, overflow="fold" if place == 0 else "ellipsis")
    for row in rows:
        table.add_row(*(Text(shown(cell)) for cell in row[:shows]))  # Text, since a name may look like rich's markup
    console.print(table)
