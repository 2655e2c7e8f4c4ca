"""What is measured of calls, as instruments of OpenTelemetry: their names, units and bounds are its conventions'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.metrics import Counter, Histogram, Meter

from . import _genai

_SECONDS: Final = [0.01 * 2**power for power in range(14)]
_TOKENS: Final = [4**power for power in range(14)]
_MODALITY: Final = "gen_ai.token.modality"


class Measures:
    """The instruments, made of a *meter*."""

    def __init__(self, meter: Meter) -> None:
        def seconds(name: str, what: str) -> Histogram:
            return meter.create_histogram(name, "s", what, explicit_bucket_boundaries_advisory=_SECONDS)

        def tokens(name: str, what: str) -> Histogram:
            return meter.create_histogram(name, "{token}", what, explicit_bucket_boundaries_advisory=_TOKENS)

        def total(name: str, what: str) -> Counter:
            return meter.create_counter(name, "{token}", what)

        self._inference = seconds("gen_ai.client.inference.duration", "GenAI client inference operation duration.")
        self._first = seconds("gen_ai.client.inference.time_to_first_chunk", "Time to receive the first chunk.")
        self._embeddings = seconds("gen_ai.client.embeddings.duration", "GenAI client embeddings operation duration.")
        self._agent = seconds("gen_ai.invoke_agent.duration", "GenAI agent invocation duration.")
        self._tool = seconds("gen_ai.execute_tool.duration", "GenAI tool execution duration.")
        self._embedded = tokens("gen_ai.client.embeddings.operation.input_tokens", "Input tokens per operation.")
        self._each = {
            _genai.INPUT_TOKENS: tokens(
                "gen_ai.client.inference.operation.input_tokens", "Input tokens per operation."
            ),
            _genai.OUTPUT_TOKENS: tokens(
                "gen_ai.client.inference.operation.output_tokens", "Output tokens per operation."
            ),
        }
        self._total = {
            _genai.INPUT_TOKENS: total("gen_ai.client.inference.usage.input_tokens", "Input tokens used."),
            _genai.OUTPUT_TOKENS: total("gen_ai.client.inference.usage.output_tokens", "Output tokens used."),
        }

    def call(
        self,
        place: _genai.Attributes,
        found: _genai.Attributes,
        seconds: float,
        first: float | None,
        error: BaseException | None,
    ) -> None:
        """
        Measure a call.

        Args:
            place: What was asked of whom.

            found: What came of it.

            seconds: How long it took.

            first: Seconds to the first part; None if none came, or the answer came as a whole.

            error: What it failed by.
        """
        operation = place.get(_genai.OPERATION)
        if operation is None:
            return  # nothing was asked of a model
        shared = (
            place if (model := found.get(_genai.RESPONSE_MODEL)) is None else {**place, _genai.RESPONSE_MODEL: model}
        )
        lasted = self._embeddings if operation == _genai.EMBEDDINGS else self._inference
        lasted.record(seconds, _with_error(shared, error))
        if operation == _genai.EMBEDDINGS:
            self._embedded.record(_count(found.get(_genai.INPUT_TOKENS)), shared)
            return
        if first is not None:
            self._first.record(first, shared)
        for key, each in self._each.items():
            count = _count(found.get(key))
            each.record(count, shared)
            # Ollama counts the tokens of a prompt's text and images together; a model writes text.
            modality = "text" if key == _genai.OUTPUT_TOKENS and key in found else "unknown"
            self._total[key].add(count, {**shared, _MODALITY: modality})

    def agent(self, attributes: _genai.Attributes, seconds: float, error: BaseException | None) -> None:
        """Measure a conversation with tools."""
        self._agent.record(seconds, _with_error(attributes, error))

    def tool(self, attributes: _genai.Attributes, seconds: float, error: BaseException | None) -> None:
        """Measure a call of a tool."""
        few: _genai.Attributes = {
            key: attributes[key] for key in (_genai.OPERATION, _genai.TOOL_NAME) if key in attributes
        }
        self._tool.record(seconds, _with_error(few, error))


def _with_error(attributes: Mapping[str, Any], error: BaseException | None) -> dict[str, Any]:
    return {**attributes} if error is None else {**attributes, _genai.ERROR: _genai.failed(error)[_genai.ERROR]}


def _count(found: object) -> int:
    return found if isinstance(found, int) else 0
