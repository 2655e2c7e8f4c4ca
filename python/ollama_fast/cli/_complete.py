"""Names of models for a shell that completes them: soon, or not at all."""

from __future__ import annotations

from typing import Any, Final

import ollama_fast
from ollama_fast import Timeout

from ._options import host_of

_PATIENCE: Final = Timeout(connect=1.0, first_part=2.0, total=2.0)
"""Nobody waits longer for what a Tab gives."""


def models_on(host: Any) -> list[str]:
    """Give the names of the models on a host; none if it does not say them in time, whatever the reason."""
    try:
        answer = ollama_fast.list(host_of(host).with_options(timeout=_PATIENCE))
        return [model["name"].removesuffix(":latest") for model in answer["models"]]
    except Exception:  # noqa: BLE001 - an error would be printed in the middle of the line that is typed
        return []
