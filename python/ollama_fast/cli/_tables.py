"""Tables: by rich on a terminal, as aligned text in a pipe."""

from __future__ import annotations

from collections.abc import Sequence

from ._output import on_terminal, say
from ._plain import shown

Rows = Sequence[Sequence[str]]


def aligned(heads: Sequence[str], rows: Rows) -> str:
    """Give a table as text, whose columns are aligned and at least two spaces apart."""
    lines = [[" ".join(cell.split()) for cell in row] for row in (heads, *rows)]  # a cell never breaks its line
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)


def print_table(heads: Sequence[str], rows: Rows) -> None:
    """Print a table. The first column is the one that is cut last on a narrow terminal."""
    if not on_terminal():
        say(aligned(heads, rows))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, head in enumerate(heads):
        table.add_column(Text(head), no_wrap=place > 0, overflow="fold" if place == 0 else "ellipsis")
    for row in rows:
        table.add_row(*(Text(shown(cell)) for cell in row))  # Text, since a name may look like rich's markup
    Console(highlight=False).print(table)
