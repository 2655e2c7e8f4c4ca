"""Measure everything and write RESULTS.md: `make bench`, or `python -m benches.run` from the root of the checkout."""

from __future__ import annotations

from pathlib import Path

from . import decode, imports, machine, streams
from .report import report


def main() -> None:
    """Run all benches; some two minutes."""
    machine.refuse_debug_build()
    print("bytes into objects ...", flush=True)
    decoded = decode.measure()
    print("a chat's stream ...", flush=True)
    streamed = streams.measure()
    print("import ...", flush=True)
    imported = imports.measure()
    results = Path(__file__).with_name("RESULTS.md")
    results.write_text(report(decoded, streamed, imported), encoding="utf-8")
    print(results.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
