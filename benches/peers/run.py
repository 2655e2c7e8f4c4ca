"""
Measure streams beside other clients, and write that part of RESULTS.md: `make bench-streams`.

With fewer rounds than 9, or only some sections, the report is printed and nothing is written.
"""

from __future__ import annotations

import argparse
from typing import Final

from benches import machine, results

from .chart import draw
from .report import report
from .rounds import SECTIONS, measure

_ROUNDS: Final = 9


def main() -> None:
    """Measure; some twelve minutes with all rounds."""
    parser = argparse.ArgumentParser(prog="make bench-streams", description=__doc__)
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="how many, at least 9 to write the results")
    parser.add_argument("--only", action="append", choices=SECTIONS, help="a section; may be given several times")
    asked = parser.parse_args()
    if asked.rounds < 1:
        parser.error("--rounds must be at least 1")
    machine.refuse_debug_build()
    found = measure(asked.rounds, set(asked.only or SECTIONS))
    complete = asked.rounds >= _ROUNDS and not asked.only
    picture = results.RESULTS.with_name("streams.svg")
    text = report(found, picture.name if complete else None)
    if complete:
        draw(found, picture)
        results.write("bench-streams", text)
    print(text)


if __name__ == "__main__":
    main()
