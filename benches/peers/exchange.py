"""What the server of `make bench-streams` is asked for, and what it should answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from benches.wire import chat_lines, text_of

MESSAGES: Final[list[dict[str, str]]] = [{"role": "user", "content": "Why is the sky blue?"}]

BURST: Final = 20_000
"""Lines of a burst."""

SHORT_MODEL: Final = "burst-2"
IDLE_MODEL: Final = "idle"
WHOLE_MODEL: Final = "whole"
AHEAD_MODEL: Final = "live-2-300"

_TEXT: Final = "Because of the way light scatters."


def write_lines(folder: Path) -> tuple[Path, Path]:
    """Write what the server replays: the lines of the longest stream, and a whole answer."""
    lines = chat_lines(BURST)
    answer = json.loads(lines[-1])
    answer["message"]["content"] = _TEXT
    stream, whole = folder / "lines.ndjson", folder / "whole.json"
    stream.write_bytes(b"".join(lines))
    whole.write_bytes(json.dumps(answer, separators=(",", ":")).encode())
    return stream, whole


def expected(model: str) -> str:
    """Give the text of what *model* answers; of "whole", an answer in one piece; of the idle one, the first part."""
    if model == WHOLE_MODEL:
        return _TEXT
    if model == IDLE_MODEL:
        return text_of(chat_lines(2)[:1])
    return text_of(chat_lines(int(model.split("-")[1])))
