"""What was measured, in a few numbers. Pure: samples in, summaries out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ._values import Level, Sample


@dataclass(frozen=True, slots=True)
class Spread:
    """How values are spread: their number, mean, least, percentiles and most."""

    count: int
    mean: float
    min: float
    p50: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Failures:
    """
    Requests of a load that failed in one way.

    Args:
        kind: Class of the error and its reason, such as "ResponseError (429)".

        message: What the first one of them said.
    """

    kind: str
    count: int
    message: str


@dataclass(frozen=True, slots=True)
class Summary:
    """
    A load in numbers. Seconds, and per second; a spread is None if there was nothing to measure.

    Latencies and tokens are of the requests that were done alone, and rates over the time of all of them; see
    docs/bench.md for each definition.

    Args:
        duration: From the beginning of the load to the end of its last request, however that ended.

        errors: How many failed in which way; what was most often comes first.

        concurrency: Requests underway, on average.

        client_cpu: Share of a core that the client took.

        counted_parts: Of how many requests the tokens are their parts, since the server did not say.
    """

    requests: int
    done: int
    failed: int
    cut: int
    errors: tuple[Failures, ...]
    duration: float
    request_rate: float
    prompt_tokens: int
    output_tokens: int
    output_rate: float
    concurrency: float
    client_cpu: float
    counted_parts: int
    ttft: Spread | None
    itl: Spread | None
    tpot: Spread | None
    e2e: Spread | None
    stream_rate: Spread | None
    lag: Spread | None
    server_total: Spread | None
    server_load: Spread | None
    server_prompt_eval: Spread | None
    server_eval: Spread | None
    server_rate: Spread | None
    outside: Spread | None


def percentile(ordered: Sequence[float], share: float) -> float:
    """
    Give a percentile of values in ascending order, between two of them by linear interpolation.

    It is the value at place `share / 100 * (count - 1)`, counted from 0: numpy's default, which vLLM uses, too.

    Args:
        ordered: At least one.

        share: From 0 to 100.
    """
    place = share / 100 * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def spread(values: Iterable[float]) -> Spread | None:
    """
    Give the spread of *values*, or None if there are none.

    Args:
        values: In any order, all in one unit, which is that of the spread.
    """
    ordered = sorted(values)
    if not ordered:
        return None
    mean = min(max(math.fsum(ordered) / len(ordered), ordered[0]), ordered[-1])  # which rounding may leave
    p50, p90, p99 = (percentile(ordered, share) for share in (50, 90, 99))
    return Spread(len(ordered), mean, ordered[0], p50, p90, p99, ordered[-1])


# --- of one request --------------------------------------------------------------------------------------------------


def ttft(sample: Sample) -> float | None:
    """Give the time to first token: from when the request was to be sent to the first part that says something."""
    return sample.arrivals[0] - sample.intended if sample.arrivals else None


def itls(sample: Sample) -> Iterator[float]:
    """Give the inter-token latencies: the times between parts that say something."""
    return (after - before for before, after in pairwise(sample.arrivals))


def e2e(sample: Sample) -> float:
    """Give the end-to-end latency: from when the request was to be sent to its last part."""
    return sample.ended - sample.intended


def output_tokens(sample: Sample) -> int:
    """Give the tokens of the answer as the server counts them, or else the parts that say something."""
    return len(sample.arrivals) if sample.tokens is None else sample.tokens


def tpot(sample: Sample) -> float | None:
    """Give the time per output token after the first one; None for an answer of one token."""
    first, tokens = ttft(sample), output_tokens(sample)
    return None if first is None or tokens < 2 else (e2e(sample) - first) / (tokens - 1)


def stream_rate(sample: Sample) -> float | None:
    """Give the tokens a second of the stream after the first one: what its reader sees."""
    seconds = tpot(sample)
    return 1 / seconds if seconds else None


def server_rate(sample: Sample) -> float | None:
    """Give the tokens a second by the server's own clock."""
    return sample.tokens / _seconds(sample.eval) if sample.tokens and sample.eval else None


def outside(sample: Sample) -> float | None:
    """Give the time from sending to the last part that the server knows nothing of: the network, and the client."""
    return None if sample.total is None else sample.ended - sample.sent - _seconds(sample.total)


# --- of one load -----------------------------------------------------------------------------------------------------


def summarise_level(level: Level) -> Summary:
    """
    Give what was measured under one load in numbers.

    Args:
        level: The load, and what came of each of its requests.
    """
    done = [sample for sample in level.samples if sample.outcome == "done"]
    failed = [sample for sample in level.samples if sample.outcome == "failed"]
    duration = max((sample.ended for sample in level.samples), default=0.0)
    tokens = sum(map(output_tokens, done))
    return Summary(
        requests=len(level.samples),
        done=len(done),
        failed=len(failed),
        cut=len(level.samples) - len(done) - len(failed),
        errors=_by_kind(failed),
        duration=duration,
        request_rate=_ratio(len(done), duration),
        prompt_tokens=sum(sample.prompt_tokens or 0 for sample in done),
        output_tokens=tokens,
        output_rate=_ratio(tokens, duration),
        concurrency=_ratio(math.fsum(sample.ended - sample.sent for sample in level.samples), duration),
        client_cpu=_ratio(level.client_cpu, level.client_seconds),
        counted_parts=sum(sample.tokens is None for sample in done),
        ttft=spread(_known(map(ttft, done))),
        itl=spread(gap for sample in done for gap in itls(sample)),
        tpot=spread(_known(map(tpot, done))),
        e2e=spread(map(e2e, done)),
        stream_rate=spread(_known(map(stream_rate, done))),
        lag=spread(sample.sent - sample.intended for sample in level.samples),
        server_total=spread(_seconds(sample.total) for sample in done if sample.total is not None),
        server_load=spread(_seconds(sample.load) for sample in done if sample.load is not None),
        server_prompt_eval=spread(_seconds(sample.prompt_eval) for sample in done if sample.prompt_eval is not None),
        server_eval=spread(_seconds(sample.eval) for sample in done if sample.eval is not None),
        server_rate=spread(_known(map(server_rate, done))),
        outside=spread(_known(map(outside, done))),
    )


def _by_kind(failed: Iterable[Sample]) -> tuple[Failures, ...]:
    counts: Counter[str] = Counter()
    messages: dict[str, str] = {}
    for sample in failed:
        kind = f"{sample.error} ({sample.reason})" if sample.reason else sample.error or "?"
        counts[kind] += 1
        messages.setdefault(kind, sample.message or "")
    return tuple(Failures(kind, count, messages[kind]) for kind, count in counts.most_common())


def _seconds(nanoseconds: int | None) -> float:
    return (nanoseconds or 0) / 1e9


def _ratio(amount: float, seconds: float) -> float:
    return amount / seconds if seconds > 0 else 0.0


def _known(values: Iterable[float | None]) -> Iterator[float]:
    return (value for value in values if value is not None)
