"""Where progress is shown: a bar of rich or tqdm on a terminal, plain lines elsewhere, or a caller's function."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TextIO, TypeAlias

from ._amounts import left, size
from ._progress import Progress, Tally, View

if TYPE_CHECKING:
    from .types import ProgressResponse

To: TypeAlias = Callable[[Progress], object] | TextIO | None
"""A function that is called with each Progress; a text stream; or None for sys.stderr."""

_BETWEEN: Final = 0.1
"""Seconds between two drawings of a bar."""
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


def amount(progress: Progress) -> str:
    """Say how many bytes there are, how fast they come, and how long it takes."""
    if not progress.total:
        return ""
    said = f"{size(progress.completed)} of {size(progress.total)}"
    if progress.rate and not progress.done:
        said += f", {size(progress.rate)}/s"
    if progress.eta and not progress.done:
        said += f", {left(progress.eta)} left"
    return said


def _plain(status: str) -> str:
    """Give a server's words without what a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in status)


class _Call:
    """Calls a function."""

    def __init__(self, function: Callable[[Progress], object]) -> None:
        self.show = function

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        pass


class _Lines:
    """Writes a line when the status changes, and some while bytes come in."""

    def __init__(self, out: TextIO, label: str) -> None:
        self._out = out
        self._label = f"{label}: " if label else ""
        self._said: tuple[str, int] | None = None

    def show(self, progress: Progress) -> None:
        now = progress.status, int(progress.fraction * _STEPS)
        if now == self._said:
            return
        self._said = now
        more = amount(progress)
        self._out.write(f"{self._label}{_plain(progress.status)}{f' ({more})' if more else ''}\n")
        self._out.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        pass


class _Bar:
    """Draws at most ten times a second, and the end."""

    def __init__(self) -> None:
        self._drawn_at = float("-inf")

    def show(self, progress: Progress) -> None:
        now = perf_counter()
        if progress.done or now - self._drawn_at >= _BETWEEN:
            self._drawn_at = now
            self._draw(progress)

    def _draw(self, progress: Progress) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        self._end()


class _RichBar(_Bar):
    """Draws by rich, without its thread: who reads the parts draws."""

    def __init__(self, out: TextIO, label: str) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[amount]}", markup=False),
            console=Console(file=out),
            auto_refresh=False,
        )
        self._label = f"{label} " if label else ""
        self._task = self._bars.add_task(label, total=1.0, amount="")

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def _draw(self, progress: Progress) -> None:
        self._bars.update(
            self._task,
            completed=progress.fraction,
            description=f"{self._label}{_plain(progress.status)}",
            amount=amount(progress),
            refresh=True,
        )

    def _end(self) -> None:
        self._bars.stop()


class _TqdmBar(_Bar):
    """Draws by tqdm."""

    def __init__(self, out: TextIO, label: str) -> None:
        super().__init__()
        from tqdm import tqdm

        self._label = f"{label} " if label else ""
        shape = "{desc}{percentage:3.0f}%|{bar}|{postfix}"
        self._bar = tqdm(total=1.0, file=out, bar_format=shape, desc=label, leave=True, delay=0)

    def _draw(self, progress: Progress) -> None:
        self._bar.n = progress.fraction
        self._bar.set_description_str(f"{self._label}{_plain(progress.status)} ", refresh=False)
        self._bar.set_postfix_str(amount(progress), refresh=False)
        self._bar.refresh()

    def _end(self) -> None:
        self._bar.close()
