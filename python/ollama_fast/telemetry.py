"""
Spans and measurements of calls, by OpenTelemetry.

It needs the package opentelemetry-api alone, which the extra `otel` brings, and does nothing until `instrument` is
called, or until `opentelemetry-instrument` does so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from . import _observe

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["Instrumentor", "instrument", "uninstrument"]

_VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_YES: Final = frozenset({"true", "span_only", "span_and_event"})


def instrument(
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    capture_content: bool | None = None,
) -> None:
    """
    Have a span made of every call from now on, in both colours, and measure it.

    Args:
        tracer_provider: Whose tracer makes the spans; without one the program's, also one that is set later.

        meter_provider: Whose instruments are used; without one the program's.

        capture_content: Whether prompts, answers, and what tools take and give are recorded, which may be secrets;
            None for what the environment variable OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT says, and without
            it they are not.

    A second time replaces the first. Raises ImportError where opentelemetry-api is not installed.

    See https://github.com/open-telemetry/semantic-conventions-genai
    """
    try:
        from opentelemetry import metrics, trace
    except ImportError as exc:
        text = "ollama_fast.telemetry needs opentelemetry-api: pip install 'ollama_fast[otel]'"
        raise ImportError(text) from exc
    from . import _core
    from ._measures import Measures
    from ._tracing import Tracing

    tracer = trace.get_tracer("ollama_fast", _core.__version__, tracer_provider)
    meter = metrics.get_meter("ollama_fast", _core.__version__, meter_provider)
    texts = _wanted(os.environ) if capture_content is None else capture_content
    _observe.observer = Tracing(tracer, Measures(meter), texts=texts)


def uninstrument() -> None:
    """Make spans of no further calls; those that are under way end as they would."""
    _observe.observer = None


class Instrumentor:
    """What `opentelemetry-instrument` finds, and calls `instrument` by; a program calls the functions themselves."""

    def instrument(self, **options: Any) -> None:
        """Have every call observed. Takes what the function `instrument` does, and ignores the rest."""
        known = ("tracer_provider", "meter_provider", "capture_content")
        instrument(**{name: options[name] for name in known if name in options})

    def uninstrument(self, **_options: Any) -> None:
        """Have no further call observed."""
        uninstrument()


def _wanted(environ: Mapping[str, str]) -> bool:
    return environ.get(_VARIABLE, "").strip().lower() in _YES
