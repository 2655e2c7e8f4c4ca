"""What a span of OpenTelemetry says of a call, within which it is, and what is measured."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from opentelemetry import trace
from opentelemetry.instrumentation.distro import DefaultDistro  # type: ignore[attr-defined]  # mypy takes its package for another
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

import ollama_fast
from colours import Colour
from docs_server import docs_server
from ollama_fast import Host, Retry, Timeout, aio, telemetry
from ollama_fast.errors import OllamaError
from ollama_fast.testing import FAULTS, Fault, reply, serve
from telemetry_seen import Seen, own, parent, seen

HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hi, s3cret!"}]
OPTIONS: Any = {
    "temperature": 0,
    "top_p": 0.5,
    "top_k": 3,
    "num_predict": 7,
    "frequency_penalty": 1.5,
    "presence_penalty": 0.25,
    "seed": 42,
    "stop": "END",
    "num_ctx": 4096,
}


@pytest.fixture
def recorded() -> Iterator[Seen]:
    with seen() as found:
        yield found


@pytest.fixture
def url() -> Iterator[str]:
    with docs_server() as port:
        yield f"http://127.0.0.1:{port}"


# --- what it says ----------------------------------------------------------------------------------------------------


def test_a_call_is_a_span_by_the_conventions(every: Colour, recorded: Seen, url: str) -> None:
    every.whole("generate", url, "qwen3", "Hi, s3cret!", options=OPTIONS, format="json", think="low")
    span = recorded.span
    assert (span.name, span.kind, span.status.status_code) == (
        "text_completion qwen3",
        SpanKind.CLIENT,
        StatusCode.UNSET,
    )
    assert span.instrumentation_scope is not None
    assert (span.instrumentation_scope.name, span.instrumentation_scope.version) == (
        "ollama_fast",
        ollama_fast.__version__,
    )
    assert recorded.facts == {
        "gen_ai.operation.name": "text_completion",
        "gen_ai.provider.name": "ollama",
        "gen_ai.request.model": "qwen3",
        "server.address": "127.0.0.1",
        "server.port": int(url.rpartition(":")[2]),
        "gen_ai.output.type": "json",
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.request.top_k": 3,
        "gen_ai.request.max_tokens": 7,
        "gen_ai.request.frequency_penalty": 1.5,
        "gen_ai.request.presence_penalty": 0.25,
        "gen_ai.request.seed": 42,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.response.model": "qwen3",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 3,
        "ollama.load_duration": 0.01,
        "ollama.prompt_eval_duration": 0.02,
        "ollama.eval_duration": 0.03,
    }


def test_a_stream_also_says_when_its_first_part_came(every: Colour, recorded: Seen, url: str) -> None:
    assert len(every.parts("chat_stream", url, "smollm2", HELLO).parts) == 4
    span, facts = recorded.span, recorded.facts
    assert span.name == "chat smollm2"
    assert facts["gen_ai.request.stream"] is True
    assert (facts["gen_ai.usage.input_tokens"], facts["gen_ai.usage.output_tokens"]) == (9, 3)
    assert facts["gen_ai.response.finish_reasons"] == ("stop",)
    assert span.start_time is not None
    assert span.end_time is not None
    lasted = (span.end_time - span.start_time) / 1e9
    assert 0 < facts["gen_ai.response.time_to_first_chunk"] <= lasted + 0.05  # one clock is another's
    assert "ollama_fast.ended_by" not in facts


@pytest.mark.parametrize("function", ["embed", "embed_array", "embeddings"])
def test_vectors_are_a_span_too(both: Colour, over: str, function: str, recorded: Seen, url: str) -> None:
    both.whole(function, url, "smollm2", "text", **({} if function == "embeddings" else {"dimensions": 4}))
    assert recorded.span.name == "embeddings smollm2"
    facts = recorded.facts
    assert facts["gen_ai.operation.name"] == "embeddings"
    if function != "embeddings":
        assert facts["gen_ai.embeddings.dimension.count"] == 4
        assert facts["gen_ai.response.model"] == "smollm2"
        assert isinstance(facts["gen_ai.usage.input_tokens"], int)
    assert "gen_ai.response.finish_reasons" not in facts
    assert recorded.points().keys() == {
        "gen_ai.client.embeddings.duration",
        "gen_ai.client.embeddings.operation.input_tokens",
    }


def test_what_asks_no_model_is_a_plain_span(both: Colour, recorded: Seen, url: str) -> None:
    both.whole("list", url)
    both.whole("pull", url, "smollm2")
    both.whole("has_blob", url, f"sha256:{'0' * 64}")
    assert [span.name for span in recorded.spans] == ["GET /api/tags", "POST /api/pull", "HEAD /api/blobs/{digest}"]
    facts = dict(recorded.spans[0].attributes or {})
    assert facts == {
        "http.request.method": "GET",
        "url.full": f"{url}/api/tags",
        "url.template": "/api/tags",
        "server.address": "127.0.0.1",
        "server.port": int(url.rpartition(":")[2]),
    }
    assert recorded.points() == {}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_no_text_is_recorded_unless_it_is_asked_for(both: Colour, recorded: Seen, url: str, streamed: bool) -> None:
    call = both.parts if streamed else both.attempt
    call("chat_stream" if streamed else "chat", url, "smollm2", HELLO)
    call("generate_stream" if streamed else "generate", Host(url, auth="s3cret"), "smollm2", "s3cret", system="s3cret")
    for span in recorded.spans:
        assert "s3cret" not in span.to_json()
        assert "scattered" not in span.to_json()


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_texts_are_recorded_if_they_are_asked_for(both: Colour, url: str, streamed: bool) -> None:
    pixel = b"\x89PNG\r\n\x1a\n" + bytes(16)
    with seen(capture_content=True) as recorded:
        call: Any = both.parts if streamed else both.attempt
        call("chat_stream" if streamed else "chat", url, "qwen3", HELLO, think=True)
        prompt = ("gemma3", "What is it?")
        call("generate_stream" if streamed else "generate", url, *prompt, system="Be short.", images=[pixel])
    chat, generate = (dict(span.attributes or {}) for span in recorded.spans)
    assert json.loads(str(chat["gen_ai.input.messages"])) == [
        {"role": "user", "parts": [{"type": "text", "content": "Hi, s3cret!"}]}
    ]
    (answer,) = json.loads(str(chat["gen_ai.output.messages"]))
    assert (answer["role"], answer["finish_reason"]) == ("assistant", "stop")
    assert [part["type"] for part in answer["parts"]] == ["reasoning", "text"]
    assert answer["parts"][1]["content"] == "Light is scattered."
    assert json.loads(str(generate["gen_ai.system_instructions"])) == [{"type": "text", "content": "Be short."}]
    (asked,) = json.loads(str(generate["gen_ai.input.messages"]))
    assert asked["parts"] == [{"type": "text", "content": "What is it?"}, {"type": "image"}]


@pytest.mark.parametrize(("value", "texts"), [("true", True), ("SPAN_ONLY", True), ("no_content", False), ("", False)])
def test_the_environment_can_ask_for_texts(value: str, texts: bool, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", value)
    with seen() as recorded:
        ollama_fast.chat(url, "smollm2", HELLO)
    assert ("gen_ai.input.messages" in recorded.facts) is texts


# --- errors ----------------------------------------------------------------------------------------------------------

FAILURES: dict[str, tuple[Any, str]] = {
    "refused": (FAULTS["refused"], "ConnectError"),
    "no model": (FAULTS["error of no model"], "ModelNotFoundError"),
    "busy": (FAULTS["error of too many"], "ResponseError"),
    "cut": (Fault.cut("close", part=-1), "IncompleteStreamError"),
    "no JSON": (Fault.edit(b'{"model"', b"s3cret", part=0), "DecodeError"),
}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("failure", FAILURES)
def test_an_error_is_told_by_its_type(both: Colour, over: str, failure: str, streamed: bool, recorded: Seen) -> None:
    fault, kind = FAILURES[failure]
    with serve(reply("a b c"), fault=fault) as server:
        call = both.parts if streamed else both.attempt
        found = call("generate_stream" if streamed else "generate", server.url, "m", "Hi!").error
    assert type(found).__name__ == kind
    span, facts = recorded.span, recorded.facts
    assert span.status.status_code is StatusCode.ERROR
    assert facts["error.type"] == kind
    assert facts["gen_ai.response.finish_reasons"] == ("error",)
    assert facts.get("http.response.status_code") == {"no model": 404, "busy": 429}.get(failure)
    assert span.status.description == (None if kind == "DecodeError" else str(found))
    assert "s3cret" not in span.to_json()
    (lasted,) = recorded.points()["gen_ai.client.inference.duration"]
    assert lasted.attributes["error.type"] == kind


def test_a_timeout_is_an_error(both: Colour, over: str, recorded: Seen) -> None:
    with serve(fault=FAULTS["nothing is said"]) as server:
        both.attempt("generate", Host(server.url, timeout=Timeout(first_part=0.1)), "m", "Hi!")
    assert recorded.facts["error.type"] == "TimeoutError"


def test_what_is_tried_again_is_one_span(both: Colour, over: str, recorded: Seen) -> None:
    with serve(fault=[FAULTS["error of too many"], FAULTS["error of too many"], None]) as server:
        host = Host(server.url, retry=Retry(attempts=3, wait=0.0, jitter=0.0))
        both.whole("generate", host, "m", "Hi!")
    assert recorded.span.status.status_code is StatusCode.UNSET
    assert recorded.facts["http.request.resend_count"] == 2


# --- where it is -----------------------------------------------------------------------------------------------------


def test_a_span_is_within_that_of_the_caller_and_leaves_it_current(both: Colour, recorded: Seen, url: str) -> None:
    currents: set[Any] = set()
    if not both.asynchronous:
        with recorded.tracer.start_as_current_span("caller") as caller:
            stream = ollama_fast.chat_stream(url, "smollm2", HELLO)
        with recorded.tracer.start_as_current_span("reader") as reader, stream:
            for _ in stream:
                currents.add(trace.get_current_span())
    else:

        async def run() -> tuple[Any, Any]:
            with recorded.tracer.start_as_current_span("caller") as caller:
                stream = aio.chat_stream(url, "smollm2", HELLO)
            with recorded.tracer.start_as_current_span("reader") as reader:
                async with stream:
                    async for _ in stream:
                        currents.add(trace.get_current_span())
            return caller, reader

        caller, reader = asyncio.run(run())
    assert currents == {reader}
    (span,) = recorded.named("chat smollm2")
    assert parent(span) == caller.get_span_context().span_id
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_a_hundred_tasks_have_each_its_own(recorded: Seen) -> None:
    async def one(url: str, number: int) -> None:
        with recorded.tracer.start_as_current_span(f"task {number}") as caller:
            async with aio.generate_stream(url, "m", str(number), options={"seed": number}) as stream:
                async for _ in stream:
                    assert trace.get_current_span() is caller
                    await asyncio.sleep(0)

    async def main(url: str) -> None:
        await asyncio.gather(*(one(url, number) for number in range(100)))

    with serve() as server:
        asyncio.run(main(server.url))
    _check_parents(recorded, "task")


def test_threads_have_each_its_own(recorded: Seen) -> None:
    def one(url: str, number: int) -> None:
        with (
            recorded.tracer.start_as_current_span(f"thread {number}") as caller,
            ollama_fast.generate_stream(url, "m", str(number), options={"seed": number}) as stream,
        ):
            for _ in stream:
                assert trace.get_current_span() is caller

    with serve() as server:
        threads = [threading.Thread(target=one, args=(server.url, number)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    _check_parents(recorded, "thread", 20)


def _check_parents(recorded: Seen, kind: str, count: int = 100) -> None:
    callers = {own(span): span.name for span in recorded.spans if span.name.startswith(kind)}
    calls = recorded.named("text_completion m")
    assert len(calls) == len(callers) == count
    for span in calls:
        seed: Any = (span.attributes or {})["gen_ai.request.seed"]
        assert callers[parent(span) or 0] == f"{kind} {seed}"


def test_many_inputs_have_a_span_for_each_request(both: Colour, recorded: Seen, url: str) -> None:
    with recorded.tracer.start_as_current_span("caller") as caller:
        if not both.asynchronous:
            assert len(list(ollama_fast.embed_many(url, "smollm2", map(str, range(6)), batch_size=2))) == 6
        else:

            async def run() -> int:
                return len([one async for one in aio.embed_many(url, "smollm2", map(str, range(6)), batch_size=2)])

            assert asyncio.run(run()) == 6
    calls = recorded.named("embeddings smollm2")
    assert [parent(span) for span in calls] == [caller.get_span_context().span_id] * 3


def weather(city: str) -> str:
    """Tell the weather of *city*."""
    with trace.get_tracer("tool", tracer_provider=_PROVIDER[0]).start_as_current_span("inside of the tool"):
        return f"sunny in {city}"


async def later(city: str) -> str:
    """Tell it later."""
    await asyncio.sleep(0)
    return weather(city)


def broken(city: str) -> str:
    """Fail."""
    raise LookupError(f"no {city}, s3cret")


_PROVIDER: list[Any] = []


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_conversation_with_tools_is_a_span_around_its_calls(both: Colour, streamed: bool, url: str) -> None:
    function = later if both.asynchronous else weather
    with seen(capture_content=True) as recorded:
        _PROVIDER[:] = [recorded.tracers]
        call: Any = both.parts if streamed else both.attempt
        assert call("run_tools_stream" if streamed else "run_tools", url, "qwen3", "Hi!", [function]).error is None
    (agent,) = recorded.named("invoke_agent")
    assert agent.kind is SpanKind.INTERNAL
    assert (agent.attributes or {})["gen_ai.request.model"] == "qwen3"
    assert [parent(span) for span in recorded.named("chat qwen3")] == [own(agent)] * 2
    (tool,) = recorded.named(f"execute_tool {function.__name__}")
    assert (parent(tool), tool.kind) == (own(agent), SpanKind.INTERNAL)
    facts = dict(tool.attributes or {})
    assert facts["gen_ai.tool.call.id"] == "call_0"
    assert facts["gen_ai.tool.call.arguments"] == '{"city":"text"}'
    assert facts["gen_ai.tool.call.result"] == '"sunny in text"'
    (inside,) = recorded.named("inside of the tool")
    assert parent(inside) == own(tool)
    assert {"gen_ai.invoke_agent.duration", "gen_ai.execute_tool.duration"} <= recorded.points().keys()


def test_a_tool_that_fails_is_told_without_its_words(both: Colour, recorded: Seen, url: str) -> None:
    both.whole("run_tools", url, "qwen3", "Hi!", [broken])
    (tool,) = recorded.named("execute_tool broken")
    assert tool.status.status_code is StatusCode.ERROR
    assert (tool.attributes or {})["error.type"] == "LookupError"
    assert "s3cret" not in tool.to_json()
    (agent,) = recorded.named("invoke_agent")
    assert agent.status.status_code is StatusCode.UNSET


def test_a_conversation_that_fails_says_so(both: Colour, recorded: Seen, url: str) -> None:
    with pytest.raises(OllamaError):
        both.whole("run_tools", url, "unknown", "Hi!", [weather])
    (agent,) = recorded.named("invoke_agent")
    assert (agent.attributes or {})["error.type"] == "ModelNotFoundError"


def test_a_tool_that_is_called_alone_is_within_the_caller(both: Colour, recorded: Seen) -> None:
    _PROVIDER[:] = [recorded.tracers]
    with recorded.tracer.start_as_current_span("caller") as caller:
        call = {"function": {"name": "weather", "arguments": {"city": "Rome"}}}
        if both.asynchronous:
            asyncio.run(aio.call_tool([weather], call))
        else:
            ollama_fast.call_tool([weather], call)
    (tool,) = recorded.named("execute_tool weather")
    assert parent(tool) == caller.get_span_context().span_id


# --- what the server is told -----------------------------------------------------------------------------------------


def _told(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{span.context.trace_flags:02x}"


def test_the_server_is_told_of_the_span(every: Colour, recorded: Seen) -> None:
    with serve() as server:
        every.whole("generate", server.url, "m", "Hi!")
    (request,) = server.requests
    assert request.header("traceparent") == _told(recorded.span)


def test_beside_the_instrumentation_of_httpx_its_span_is_within_and_the_server_is_told_of_that(
    every: Colour, recorded: Seen
) -> None:
    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=recorded.tracers)
    try:
        with serve() as server:
            every.whole("generate", server.url, "m", "Hi!")
    finally:
        instrumentor.uninstrument()
    (call,) = recorded.named("text_completion m")
    (inside,) = [span for span in recorded.spans if span is not call]
    assert parent(inside) == own(call)
    (request,) = server.requests
    assert [value for name, value in request.headers if name.lower() == "traceparent"] == [_told(inside)]


def test_a_redirect_elsewhere_tells_that_host_nothing(both: Colour, recorded: Seen) -> None:
    with serve() as other:
        moved = Fault.instead(307, b"") + Fault.header("Location", f"{other.url}/api/generate")
        with serve(fault=moved) as server:
            both.whole("generate", server.url, "m", "Hi!")
    assert other.requests[0].header("traceparent") is None
    assert server.requests[0].header("traceparent") == _told(recorded.span)


# --- what is measured ------------------------------------------------------------------------------------------------


def test_a_stream_is_measured(both: Colour, recorded: Seen, url: str) -> None:
    both.parts("chat_stream", url, "smollm2", HELLO)
    points = recorded.points()
    assert points.keys() == {
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.client.inference.operation.input_tokens",
        "gen_ai.client.inference.operation.output_tokens",
        "gen_ai.client.inference.usage.input_tokens",
        "gen_ai.client.inference.usage.output_tokens",
    }
    common = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "ollama",
        "gen_ai.request.model": "smollm2",
        "gen_ai.response.model": "smollm2",
        "server.address": "127.0.0.1",
        "server.port": int(url.rpartition(":")[2]),
    }
    (lasted,) = points["gen_ai.client.inference.duration"]
    assert (dict(lasted.attributes), lasted.count) == (common, 1)
    assert list(lasted.explicit_bounds)[:3] == [0.01, 0.02, 0.04]
    (first,) = points["gen_ai.client.inference.time_to_first_chunk"]
    assert 0 < first.sum <= lasted.sum
    (tokens,) = points["gen_ai.client.inference.operation.output_tokens"]
    assert (tokens.sum, tokens.count) == (3, 1)
    (used,) = points["gen_ai.client.inference.usage.input_tokens"]
    assert (used.value, dict(used.attributes)) == (9, {**common, "gen_ai.token.modality": "unknown"})


# --- on and off ------------------------------------------------------------------------------------------------------


def test_nothing_is_recorded_before_and_after(both: Colour, url: str) -> None:
    with seen() as recorded:
        pass
    both.whole("version", url)
    assert recorded.spans == []


def test_a_second_time_replaces_the_first(url: str) -> None:
    with seen() as first, seen() as second:
        ollama_fast.version(url)
    assert (len(first.spans), len(second.spans)) == (0, 1)


def test_the_drop_in_module_is_left_to_the_instrumentation_of_ollama(recorded: Seen, url: str) -> None:
    from ollama_fast import compat

    with compat.Client(url) as client:
        client.generate("smollm2", "Hi!")
    assert recorded.spans == []


def test_opentelemetry_instrument_finds_it() -> None:
    file = Path(__file__).parent.parent / "pyproject.toml"
    if not file.is_file():
        pytest.skip("the suite runs with a wheel, without pyproject.toml")
    group = "opentelemetry_instrumentor"
    points: dict[str, str] = tomllib.loads(file.read_text("utf-8"))["project"]["entry-points"][group]
    ((name, value),) = points.items()
    found = Seen()
    with respx.mock as router, httpx.Client(base_url="http://ollama.test") as client:
        router.get("http://ollama.test/api/version").respond(json={"version": "1"})
        entry = importlib.metadata.EntryPoint(name, value, group)
        DefaultDistro().load_instrumentor(entry, tracer_provider=found.tracers, skip_dep_check=True)
        try:
            ollama_fast.version(client)
        finally:
            telemetry.Instrumentor().uninstrument()
        ollama_fast.version(client)
    assert [span.name for span in found.spans] == ["GET /api/version"]


def test_without_the_api_the_error_names_the_extra() -> None:
    program = """
import sys
sys.modules["opentelemetry"] = None
import ollama_fast.telemetry
try: ollama_fast.telemetry.instrument()
except ImportError as error: print(error)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.strip() == "ollama_fast.telemetry needs opentelemetry-api: pip install 'ollama_fast[otel]'"


def test_the_sdk_is_not_needed_and_nothing_is_imported_unasked() -> None:
    program = """
import sys
sys.modules["opentelemetry.sdk"] = sys.modules["opentelemetry.instrumentation"] = None
import ollama_fast, ollama_fast.telemetry
assert not any(name.startswith("opentelemetry.") and sys.modules[name] for name in sys.modules)
ollama_fast.telemetry.instrument()
assert "opentelemetry.trace" in sys.modules
assert "opentelemetry.semconv" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], timeout=60, check=True)
