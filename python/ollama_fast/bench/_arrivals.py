"""When the requests of an open loop arrive. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator


def arrivals(rate: float, seed: int) -> Iterator[float]:
    """
    Give the seconds from the beginning at which requests arrive, without end: a Poisson process.

    Args:
        rate: Requests a second, on average.

        seed: The same one gives the same arrivals, at every rate in the same proportions.
    """
    gaps = random.Random(seed)  # noqa: S311 - nobody has to guess them
    now = 0.0
    while True:
        now += gaps.expovariate(1.0) / rate
        yield now
