"""RESULTS.md, which several targets write: each owns a part, and leaves the others as they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

RESULTS: Final = Path(__file__).with_name("RESULTS.md")

_PARTS: Final = ("bench", "bench-streams", "bench-compat", "bench-create")
_PART: Final = re.compile(r"^<!-- begin: make (\S+) -->\n(.*?)^<!-- end: make \1 -->\n", re.DOTALL | re.MULTILINE)


def write(part: str, text: str, path: Path = RESULTS) -> None:
    """Put *text* in place of that part of the file."""
    if part not in _PARTS:
        raise ValueError(f"no part of the results is called {part!r}")
    known: dict[str, str] = {}
    if path.exists():
        known.update(_PART.findall(path.read_text(encoding="utf-8")))
    known[part] = text.rstrip("\n") + "\n"
    whole = "\n".join(
        f"<!-- begin: make {name} -->\n{known[name]}<!-- end: make {name} -->\n" for name in _PARTS if name in known
    )
    path.write_text(whole, encoding="utf-8")
