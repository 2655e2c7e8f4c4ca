"""What each number of a summary is called, and means: one list for tables, reports and comparisons. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ollama_fast._amounts import digits, took

from ._aggregate import Spread, Summary

Unit: TypeAlias = Literal["s", "/s", "", "share"]
STATISTICS: Final = ("mean", "p50", "p90", "p99", "min", "max")


@dataclass(frozen=True, slots=True)
class Metric:
    """
    A number of a summary, or a spread of one.

    Args:
        key: Its attribute in Summary.

        unit: Seconds, something a second, a number, or a share of 1.

        better: Whether less or more is better; None if neither is.
    """

    key: str
    label: str
    unit: Unit
    better: Literal["less", "more"] | None
    definition: str


COUNTS: Final = (
    Metric("requests", "Requests", "", None, "sent after the warm-up"),
    Metric("done", "Done", "", None, "read to their last part"),
    Metric("failed", "Failed", "", "less", "ended by an error"),
    Metric("cut", "Cut", "", None, "underway when the benchmark was broken off"),
    Metric("duration", "Duration", "s", None, "from the beginning to the end of the last request, however it ended"),
    Metric("request_rate", "Request rate", "/s", "more", "requests that were done, divided by the duration"),
    Metric("prompt_tokens", "Prompt tokens", "", None, "prompt_eval_count of the requests that were done"),
    Metric("output_tokens", "Output tokens", "", None, "eval_count of the requests that were done"),
    Metric("output_rate", "Output tokens/s", "/s", "more", "output tokens of all streams, divided by the duration"),
    Metric("concurrency", "Concurrency", "", None, "requests underway, averaged over the duration"),
    Metric(
        "client_cpu", "Client CPU", "share", "less", "processor time of the client, divided by the time that passed"
    ),
)
SPREADS: Final = (
    Metric("ttft", "TTFT", "s", "less", "time to first token: from the intended moment to the first part with content"),
    Metric("itl", "ITL", "s", "less", "inter-token latency: each time between two parts with content, of all streams"),
    Metric("tpot", "TPOT", "s", "less", "time per output token of a stream: (E2E - TTFT) / (output tokens - 1)"),
    Metric("e2e", "E2E", "s", "less", "end-to-end latency: from the intended moment to the last part"),
    Metric("stream_rate", "Tokens/s per stream", "/s", "more", "1 / TPOT of each stream: what its reader sees"),
    Metric("lag", "Send lag", "s", "less", "from the intended moment to when the client sent the request"),
)
SERVER: Final = (
    Metric("server_total", "Server: total", "s", "less", "total_duration"),
    Metric("server_load", "Server: load", "s", "less", "load_duration"),
    Metric("server_prompt_eval", "Server: prompt", "s", "less", "prompt_eval_duration"),
    Metric("server_eval", "Server: eval", "s", "less", "eval_duration"),
    Metric("server_rate", "Server: tokens/s", "/s", "more", "eval_count / eval_duration of each stream"),
    Metric("outside", "Outside", "s", "less", "from sending to the last part, less total_duration: network and client"),
)


def number(summary: Summary, key: str) -> float | int | None:
    """Give the number of *summary* by its key, such as "request_rate" or "ttft.p99"; None if it was not measured."""
    name, _, statistic = key.partition(".")
    found: float | Spread | None = getattr(summary, name)
    if isinstance(found, Spread):
        value: float = getattr(found, statistic)
        return value
    return found


def shown(value: float | None, unit: Unit) -> str:
    """Write a number for people, with its unit where that is one of time, in three digits."""
    if value is None:
        return "-"
    if unit == "s":
        return took(value)
    if unit == "share":
        return f"{value:.0%}"
    return f"{value:,}" if isinstance(value, int) else digits(value)
