"""What users may write of the rooms beside the calls, for type checkers, as api.py says it; never executed."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, assert_type

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from ollama_fast import Host, telemetry
from ollama_fast.bench import (
    DEFAULT_PROMPTS,
    Amount,
    Begun,
    Ceiling,
    ClosedLoop,
    ComparedNumber,
    Comparison,
    Failures,
    Level,
    Load,
    Machine,
    OpenLoop,
    Prompt,
    Run,
    Sample,
    Spread,
    Summary,
    Workload,
    benchmark,
    compare_runs,
    decode_json,
    encode_json,
    find_doubts,
    make_html,
    measure_load,
    read_json,
    read_prompts,
    self_test,
    summarise_level,
    write_html,
    write_json,
)
from ollama_fast.testing import (
    FAULTS,
    Chunk,
    Fault,
    Received,
    Recorder,
    RecordingError,
    Replayer,
    Reply,
    Server,
    models,
    record,
    replay,
    reply,
    reply_error,
    script,
    serve,
    tool_call,
)

# --- servers for tests -----------------------------------------------------------------------------------------------


def servers(host: Host) -> None:
    """Start every server, and look at it."""
    with serve(reply("a b", thinking="c", first_ms=200, token_ms=20.5), fault=FAULTS["refused"], port=0) as server:
        assert_type(server, Server)
        assert_type(server.url, str)
        assert_type(server.requests, list[Received])
        assert_type(server.abandoned, list[Received])
        assert_type(server.underway, int)
        assert_type(server.fault, Fault | None)
        server.fault = [FAULTS["refused"] + Fault.cut("close", part=2), None]
        server.answer = script(reply("a"), reply_error(500, "b"), models("m", "n", says=reply("c")))
    with record(host, Path("a.json"), port=0) as recorder:
        assert_type(recorder, Recorder)
        assert_type(recorder.recorded, int)
        assert_type(recorder.failures, list[str])
    with replay("a.json", pace="fast", strict=False) as replayer:
        assert_type(replayer, Replayer)
        assert_type(replayer.unknown, list[str])
        assert_type(replayer.unused, list[str])
    error: ValueError = RecordingError("a")
    raise error


def replies(request: Received) -> Reply:
    """Say what a server says, by hand."""
    assert_type(request.header("a"), str | None)
    assert_type(request.json, Any)
    assert_type(tool_call("add", a=1), dict[str, Any])
    assert_type(reply(tool_calls=[tool_call("add", a=1)])(request), Reply)
    assert_type(Fault.instead(404, b"{}") + Fault.header("A", None), Fault)
    return Reply(200, (("A", "b"),), (Chunk(0, b"c"),))


def misuse_of_servers(host: Host) -> None:
    """Say what is none."""
    with replay("a.json", pace="slow"):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        pass
    with serve("a"):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        pass
    with record(host):  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        pass
    Fault.cut("never")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# --- observing -------------------------------------------------------------------------------------------------------


def observed(tracers: TracerProvider, meters: MeterProvider) -> None:
    """Turn it on and off."""
    assert_type(telemetry.instrument(), None)
    telemetry.instrument(tracer_provider=tracers, meter_provider=meters, capture_content=True)
    assert_type(telemetry.uninstrument(), None)
    telemetry.Instrumentor().instrument(tracer_provider=tracers, skip_dep_check=True)
    telemetry.instrument(tracers)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    telemetry.instrument(capture_content="true")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# --- measuring -------------------------------------------------------------------------------------------------------


def measured(host: Host, tell: Callable[[Level | Sample | Begun | None], None]) -> None:
    """Measure, and look at what was measured."""
    assert_type(DEFAULT_PROMPTS, tuple[Prompt, ...])
    assert_type(read_prompts("a.jsonl"), tuple[Prompt, ...])
    workload = Workload("m", (Prompt("a"), Prompt(messages=({"role": "user"},))), api="generate", num_predict=None)
    loads: list[Load] = [ClosedLoop(2), OpenLoop(rate=0.5)]
    run = benchmark(host, workload, loads, Amount(seconds=60), label="a", seed=1, ceiling_seconds=0)
    assert_type(run, Run)
    assert_type(run.machine, Machine)
    assert_type(run.ceiling, Ceiling | None)
    level = run.levels[0]
    assert_type(asyncio.run(aside(host, workload)), Level)
    assert_type(level.samples, tuple[Sample, ...])
    assert_type(summarise_level(level), Summary)
    assert_type(summarise_level(level).ttft, Spread | None)
    assert_type(summarise_level(level).errors, tuple[Failures, ...])
    assert_type(compare_runs(run, run), Comparison)
    assert_type(compare_runs(run, run).rows, tuple[ComparedNumber, ...])
    assert_type(find_doubts(run), list[str])
    assert_type(self_test(8, seconds=1), Ceiling)
    assert_type(decode_json(encode_json(run)), Run)
    assert_type(read_json(Path("a.json")), Run)
    assert_type(write_json(run, "a.json"), None)
    assert_type(make_html([run]), str)
    assert_type(write_html([run, run], Path("a.html")), None)


async def aside(host: Host, workload: Workload) -> Level:
    """Measure one load, on a loop of one's own."""
    return await measure_load(host, workload, OpenLoop(1.0), Amount(requests=8), stop=asyncio.Event())


def misuse_of_measuring(host: Host, run: Run) -> None:
    """Say what is none."""
    Workload("m", api="embed")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    benchmark(host, "m")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    write_html(run, "a.html")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    run.label = "b"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
