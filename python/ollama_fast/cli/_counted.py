"""A bar of how much of a file is done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def counted(total: int | None, *, visible: bool) -> Generator[Callable[[int], None]]:
    """
    Draw a bar on stderr, and give a function that is told the bytes of each text that is done.

    Args:
        total: Bytes in all, if known.

        visible: Whether there is a bar.
    """
    if not visible or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    texts = TextColumn("{task.fields[texts]} texts, {task.fields[rate]:.0f}/s")
    with Progress(BarColumn(), TaskProgressColumn(), texts, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total, texts=0, rate=0.0)
        done = 0

        def count(size: int) -> None:
            nonlocal done
            done += 1
            bar.update(task, advance=size, texts=done, rate=done / max(bar.tasks[0].elapsed or 0.0, 0.001))

        yield count
        bar.update(task, completed=total)
