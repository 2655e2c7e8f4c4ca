"""Measure, and write a part of RESULTS.md: `make bench`, or `python -m benches.run` from the root of the checkout."""

from __future__ import annotations

from . import decode, images, imports, machine, remembering, results, streams, vectors
from .report import report


def main() -> None:
    """Run all benches; some three minutes."""
    machine.refuse_debug_build()
    print("bytes into objects ...", flush=True)
    decoded = decode.measure()
    print("a chat's stream ...", flush=True)
    streamed = streams.measure()
    print("vectors ...", flush=True)
    embedded = vectors.measure()
    print("import ...", flush=True)
    imported = imports.measure()
    print("bodies with an image ...", flush=True)
    bodies = images.measure()
    print("what is remembered ...", flush=True)
    remembered = remembering.measure()
    text = report(decoded, streamed, embedded, imported, bodies, remembered)
    results.write("bench", text)
    print(text)


if __name__ == "__main__":
    main()
