"""What takes its time at the server: a bar of how far it is, or its parts as JSON."""

from __future__ import annotations

import ollama_fast
from ollama_fast import Stream
from ollama_fast.types import ProgressResponse

from ._output import print_json
from ._shapes import understood


def follow(parts: Stream[ProgressResponse], label: str, *, as_json: bool) -> None:
    """
    Wait for the end of a pull, push or create.

    Args:
        parts: Of it.

        label: What stands in front of the bar, such as the model's name.

        as_json: Whether the parts are printed, in place of the bar, which is on stderr.
    """
    if as_json:
        with parts:
            for part in parts:
                print_json(part)
        return
    with understood(), ollama_fast.show_progress(parts, label=label) as shown:
        for _ in shown:
            pass
