"""Moments and shares in the words of tables; pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ollama_fast._amounts import span

_FOR_EVER: Final = 100 * 31_536_000
"""Seconds; what a server says for "for ever" is some 290 years from now."""


def since(moment: str, now: datetime) -> str:
    """Say how long ago *moment* was, a time as the server writes it; as it is if it is none."""
    seconds = _apart(now, moment)
    if seconds is None:
        return moment
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def until(moment: str, now: datetime) -> str:
    """Say how long it is until *moment*, when a model leaves the memory."""
    seconds = _apart(now, moment)
    if seconds is None:
        return moment
    if -seconds > _FOR_EVER:
        return "for ever"
    return f"{span(-seconds)} from now" if seconds < 0 else "now"


def _apart(now: datetime, moment: str) -> float | None:
    try:
        return (now - datetime.fromisoformat(moment)).total_seconds()
    except (ValueError, TypeError):  # no time, or one without a zone
        return None


def processor(total: int, on_gpu: int) -> str:
    """Say on what a model is that takes *total* bytes, of which *on_gpu* are on GPUs."""
    if on_gpu <= 0:
        return "100% CPU"
    if on_gpu >= total:
        return "100% GPU"
    on_cpu = round((total - on_gpu) / total * 100)
    return f"{on_cpu}%/{100 - on_cpu}% CPU/GPU"
