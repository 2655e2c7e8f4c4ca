"""Where progress is shown: a bar of rich or tqdm on a terminal, plain lines elsewhere, or a caller's function."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TextIO, TypeAlias

from ._bar_line import Line, amounts_of, fitted
from ._progress import Progress, Tally, View

if TYPE_CHECKING:
    from .types import ProgressResponse

To: TypeAlias = Callable[[Progress], object] | TextIO | None
"""A function that is called with each Progress; a text stream; or None for sys.stderr."""

_BETWEEN: Final = 0.1
"""Seconds between two drawings of a bar."""
_WIDTH: Final = 80
"""Columns of a terminal that does not say how many it has."""
_STEPS: Final = 10
"""How many lines, at most, tell how the bytes of one status come in, where there is no terminal."""


class Display(Protocol):
    """What shows progress, as a block: it is cleaned up at its end."""

    def show(self, progress: Progress, /) -> object:
        """Show it."""

    def __enter__(self) -> object:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """End, whether all is done or not."""


def show_progress(*, to: To = None, label: str = "") -> View[ProgressResponse]:
    """
    Show how far a pull, push or create is, and give its parts on.

    Args:
        parts: As for `progress`.

        to: A function that is called with each Progress; or a text stream, by default sys.stderr. On a terminal a bar
            is drawn by rich or tqdm, if one is installed: `pip install 'ollama_fast[progress]'`. Elsewhere, and with
            neither, there are plain lines: one when the status changes, and some while bytes come in.

        label: What stands in front of a bar or line, such as the model's name.

    Gives a Stream of the same parts: iterate over it, best in a `with` block, which closes the Stream underneath, too;
    or give it to `collect`. Raises what `progress` raises, and what the function raises.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#pull-a-model
    """
    tally, shown = Tally(), display(to, label)

    def see(part: ProgressResponse) -> ProgressResponse:
        shown.show(tally.add(part, perf_counter()))
        return part

    return View(see, shown)


def display(to: To, label: str) -> Display:
    """
    Give what shows progress there.

    A bar is drawn by rich, else by tqdm, if *to* is a terminal that can move its cursor. With neither of them, there
    are lines: a download shall not fail because its bar is missing.

    Args:
        to: Where to.

        label: What stands in front, such as the model's name.
    """
    if to is not None and not hasattr(to, "write"):
        if not callable(to):
            raise TypeError(f"to must be a function of a Progress, a text stream or None, not {type(to).__name__}")
        return _Call(to)
    out: Any = sys.stderr if to is None else to
    if out is None:  # as under pythonw
        return _Call(lambda _progress: None)
    if out.isatty() and os.environ.get("TERM") != "dumb":
        for bar in (_RichBar, _TqdmBar):
            try:
                return bar(out, label)
            except ImportError:
                continue
    return _Lines(out, label)


def _plain(status: str) -> str:
    """Give a server's words without what a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in status)


class _AsItIs:
    """Has nothing to do before it shows something, and nothing after."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        pass


class _Call(_AsItIs):
    """Calls a function."""

    def __init__(self, function: Callable[[Progress], object]) -> None:
        self.show = function


class _Lines(_AsItIs):
    """Writes a line when the status changes, and some while bytes come in."""

    def __init__(self, out: TextIO, label: str) -> None:
        self._out = out
        self._label = f"{label}: " if label else ""
        self._said: tuple[str, int] | None = None
        self._bytes = 0, 0

    def show(self, progress: Progress) -> None:
        now = progress.status, int(progress.fraction * _STEPS)
        if now == self._said:
            return
        self._said = now
        text, there = f"{self._label}{_plain(progress.status)}", (progress.completed, progress.total)
        if there != self._bytes:  # a status that moves no bytes has none to tell of
            self._bytes = there
            text += f" ({amounts_of(progress)[0]})"
        self._out.write(f"{text}\n")
        self._out.flush()


class _Bar:
    """Draws at most ten times a second, and the end."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._drawn_at = float("-inf")

    def show(self, progress: Progress) -> None:
        now = perf_counter()
        if progress.done or now - self._drawn_at >= _BETWEEN:
            self._drawn_at = now
            plain = replace(progress, status=_plain(progress.status))
            self._draw(fitted(self._label, plain, self._width()), progress.fraction)

    def _begin(self) -> None:
        raise NotImplementedError

    def _width(self) -> int:
        """Give how many columns there are for a Line."""
        raise NotImplementedError

    def _draw(self, line: Line, fraction: float) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        self._end()


class _RichBar(_Bar):
    """Draws by rich, without its thread: who reads the parts draws."""

    def __init__(self, out: TextIO, label: str) -> None:
        super().__init__(label)
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as Bars

        self._bar = BarColumn()
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            self._bar,
            TaskProgressColumn(),
            TextColumn("{task.fields[amounts]}", markup=False),
            console=Console(file=out),
            auto_refresh=False,
        )
        self._task = self._bars.add_task(label, total=1.0, amounts="", visible=False)

    def _begin(self) -> None:
        self._bars.start()

    def _width(self) -> int:
        return self._bars.console.width - 1  # some terminals break a line that is full

    def _draw(self, line: Line, fraction: float) -> None:
        self._bar.bar_width = line.bar
        self._bars.update(
            self._task,
            completed=fraction,
            description=line.names,
            amounts=line.amounts,
            visible=True,
            refresh=True,
        )

    def _end(self) -> None:
        self._bars.stop()


class _TqdmBar(_Bar):
    """Draws by tqdm."""

    def __init__(self, out: TextIO, label: str) -> None:
        super().__init__(label)
        from tqdm import tqdm

        shape = "{desc}{percentage:3.0f}%|{bar}|{postfix}"
        # The delay keeps it from drawing before there is something to show.
        self._make = partial(tqdm, total=1.0, file=out, bar_format=shape, leave=True, delay=1e-9, dynamic_ncols=True)
        self._bar: Any = None

    def _begin(self) -> None:
        self._bar = self._make()

    def _width(self) -> int:
        return (self._bar.ncols or _WIDTH) - 3  # two strokes around the bar, and a comma

    def _draw(self, line: Line, fraction: float) -> None:
        self._bar.n = fraction
        self._bar.set_description_str(f"{line.names} ", refresh=False)
        self._bar.set_postfix_str(line.amounts, refresh=False)
        self._bar.refresh()

    def _end(self) -> None:
        self._bar.close()
