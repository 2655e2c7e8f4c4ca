"""What OpenTelemetry's SDK records of calls, for tests: spans and measurements in memory."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import Tracer

from ollama_fast import telemetry


class Seen:
    """What was recorded since the block began."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider(sampler)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider([self._reader])

    @property
    def tracer(self) -> Tracer:
        """Makes spans of the test's own beside."""
        return self.tracers.get_tracer("test")

    @property
    def spans(self) -> list[ReadableSpan]:
        """All that have ended, in that order."""
        return list(self._exporter.get_finished_spans())

    @property
    def span(self) -> ReadableSpan:
        """The only one."""
        (span,) = self.spans
        return span

    @property
    def facts(self) -> dict[str, Any]:
        """What the only span says."""
        return dict(self.span.attributes or {})

    def named(self, name: str) -> list[ReadableSpan]:
        """Give the spans of a name."""
        return [span for span in self.spans if span.name == name]

    def points(self) -> dict[str, list[Any]]:
        """Give the measurements by the names of their instruments."""
        data = self._reader.get_metrics_data()
        found: dict[str, list[Any]] = {}
        for resource in () if data is None else data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found.setdefault(metric.name, []).extend(metric.data.data_points)
        return found


@contextmanager
def seen(*, sampler: Sampler | None = None, **options: Any) -> Generator[Seen]:
    """Have all calls in the block recorded."""
    recorded = Seen(sampler)
    providers: dict[str, Any] = {"tracer_provider": recorded.tracers, "meter_provider": recorded.meters}
    telemetry.instrument(**{**providers, **options})
    try:
        yield recorded
    finally:
        telemetry.uninstrument()
        recorded.tracers.shutdown()
        recorded.meters.shutdown()


def parent(span: ReadableSpan) -> int | None:
    """Give the id of the span that *span* is within."""
    return None if span.parent is None else span.parent.span_id


def own(span: ReadableSpan) -> int:
    """Give the id of *span*."""
    assert span.context is not None
    return int(span.context.span_id)
