"""What stands in the one line of a bar: bar and percentage always, and of the words what there is room for; pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from ._amounts import left, size
from ._progress import Progress

_PERCENTAGE: Final = len("100%")
_SHORTEST_BAR: Final = 10
_LONGEST_BAR: Final = 40
_SHORTEST_NAMES: Final = 12
"""Columns that label and status are shortened to before bytes, rate and time are left out."""


class Line(NamedTuple):
    """
    A bar's line, whose parts have a space between each other.

    Args:
        names: Label and status, in front of the bar.

        bar: Columns of the bar, to which the percentage belongs.

        amounts: Bytes, rate and time left, behind the percentage.
    """

    names: str
    bar: int
    amounts: str


def fitted(label: str, progress: Progress, width: int) -> Line:
    """
    Give the line that fits into *width* columns.

    Args:
        label: Such as the model's name.

        progress: What is shown. Its status shall be printable.

        width: Columns that there are.
    """
    room = max(width - 3 - _PERCENTAGE, 0)  # three spaces
    words = max(room - _SHORTEST_BAR, 0)
    all_names = " ".join(filter(None, (label, progress.status)))
    needed = min(len(all_names), _SHORTEST_NAMES)
    amounts = next((said for said in (*amounts_of(progress), "") if needed + len(said) <= words), "")
    names = shortened(label, progress.status, words - len(amounts))
    return Line(names, min(room - len(names) - len(amounts), _LONGEST_BAR), amounts)


def amounts_of(progress: Progress) -> tuple[str, ...]:
    """Give how many bytes there are, how fast they come and how long it takes: all of it first, then less and less."""
    if not progress.total:
        return ()
    said = [f"{size(progress.completed)} of {size(progress.total)}"]
    if progress.completed < progress.total:  # else the rate would be one of nothing
        if progress.rate:
            said.append(f"{size(progress.rate)}/s")
        if progress.eta:
            said.append(f"{left(progress.eta)} left")
    return tuple(", ".join(said[place:]) for place in range(len(said)))


def shortened(label: str, status: str, room: int) -> str:
    """Give both in *room* columns: of the status its beginning, and of the label its end, where a model's name is."""
    if len(label) + len(status) + 1 <= room or not (label and status):
        return _beginning(label or status, room) if not (label and status) else f"{label} {status}"
    for_label = min(len(label), max(room // 2, room - 1 - len(status)))
    for_status = room - 1 - for_label
    if for_status < 2:
        return _end(label, room)
    return f"{_end(label, for_label)} {_beginning(status, for_status)}"


def _beginning(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…" if room > 1 else ""


def _end(text: str, room: int) -> str:
    return text if len(text) <= room else f"…{text[1 - room :]}" if room > 1 else ""
