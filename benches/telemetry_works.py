"""
Does a work of abi3_works, observed or not: `python -m benches.telemetry_works MODE WORK TIMES PORT`.

MODE is "off"; "api", where OpenTelemetry's API has no SDK behind it; or "sdk", where spans and measurements are made,
and exported by nobody.
"""

from __future__ import annotations

import sys

from . import abi3_works


def observe(mode: str) -> None:
    from ollama_fast import telemetry

    if mode == "api":
        telemetry.instrument()
    else:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.trace import TracerProvider

        telemetry.instrument(tracer_provider=TracerProvider(), meter_provider=MeterProvider())


if __name__ == "__main__":
    mode = sys.argv.pop(1)
    if mode != "off":
        observe(mode)
    abi3_works.main()
