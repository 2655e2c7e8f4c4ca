"""Draw the pictures of the docs out of what was recorded: `make pictures`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from website import plots, terminal

PICTURES: Final = Path(__file__).parent.parent / "docs" / "pictures"
STREAM: Final = PICTURES / "stream.json"
RESULTS: Final = Path(__file__).parent.parent / "benches" / "RESULTS.md"


def drawn() -> dict[str, str]:
    """Give the text of each picture by the name of its file."""
    results = RESULTS.read_text(encoding="utf-8")
    return {"stream.svg": terminal.draw(terminal.load(STREAM))} | {
        f"{plot.name}.svg": plots.draw(plot, results) for plot in plots.PLOTS
    }


if __name__ == "__main__":
    for name, text in drawn().items():
        (PICTURES / name).write_text(text, encoding="utf-8")
