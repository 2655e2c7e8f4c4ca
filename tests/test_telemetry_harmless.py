"""Whatever fails of what records calls, a call has its own answer or its own error."""

from __future__ import annotations

import asyncio
import gc
import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import pytest
from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler, SamplingResult
from opentelemetry.trace import INVALID_SPAN, get_current_span

import ollama_fast
from colours import Colour
from docs_server import docs_server
from ollama_fast import _genai, _unended, aio
from ollama_fast.errors import ModelNotFoundError
from ollama_fast.testing import FAULTS, Fault, reply, serve
from telemetry_seen import Seen, own, parent, seen
from transports import eventually


class Raises(SpanProcessor):
    """Fails at the begin or at the end of each span, after it took note of it."""

    def __init__(self, moment: str, error: type[BaseException] = RuntimeError) -> None:
        self.moment = moment
        self.error = error
        self.ended: list[str] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if self.moment == "start":
            raise self.error("on_start")

    def on_end(self, span: ReadableSpan) -> None:
        self.ended.append(span.name)
        if self.moment == "end":
            raise self.error("on_end")


class NeverSamples(Sampler):
    def should_sample(self, *_args: Any, **_options: Any) -> SamplingResult:
        raise RuntimeError("sampler")

    def get_description(self) -> str:
        return "fails"


class NeverInjects(TextMapPropagator):
    def inject(self, *_args: Any, **_options: Any) -> None:
        raise RuntimeError("propagator")

    def extract(self, *_args: Any, **_options: Any) -> Context:
        return Context()

    @property
    def fields(self) -> set[str]:
        return set()


class NeverMeasures:
    """A provider of meters whose instruments all fail."""

    def __getattr__(self, name: str) -> Any:
        if name in {"record", "add"}:
            raise RuntimeError("instrument")
        return lambda *_args, **_options: self


def weather(city: str) -> str:
    """Tell the weather of *city*."""
    return f"sunny in {city}"


FAILING: Final = {
    "begin": "beginning a span",
    "end": "ending a span",
    "sampler": "beginning a span",
    "propagator": "telling the server of a span",
    "instrument": "measuring",
    "description": "describing a call",
}


@contextmanager
def failing(what: str, monkeypatch: pytest.MonkeyPatch) -> Generator[Seen]:
    options: dict[str, Any] = {"meter_provider": NeverMeasures()} if what == "instrument" else {}
    with seen(sampler=NeverSamples() if what == "sampler" else None, **options) as recorded:
        if what in {"begin", "end"}:
            recorded.tracers.add_span_processor(Raises("start" if what == "begin" else "end"))
        elif what == "propagator":
            monkeypatch.setattr(propagate, "get_global_textmap", NeverInjects)
        elif what == "description":

            def fails(*_args: Any, **_options: Any) -> Any:
                raise RuntimeError("description")

            for name in ("asked", "answered", "call_of"):
                monkeypatch.setattr(_genai, name, fails)
        yield recorded


def told(log: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    """Give what our logger said."""
    return [(one.levelno, one.getMessage()) for one in log.records if one.name == "ollama_fast"]


def line(what: str) -> tuple[int, str]:
    return logging.WARNING, f"{what} failed, which is told once; calls go on"


@pytest.mark.parametrize("what", FAILING)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_an_answer_comes_whatever_fails_of_what_records(
    both: Colour,
    over: str,
    what: str,
    streamed: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serve(reply("a b")) as server, failing(what, monkeypatch):
        call = both.parts if streamed else both.attempt
        for _ in range(2):
            found = call("generate_stream" if streamed else "generate", server.url, "m", "Hi!")
            assert found.error is None
            assert "".join(part["response"] for part in found.parts) == "a b"
        assert len(server.requests) == 2
    assert told(caplog) == [line(FAILING[what])]
    (record,) = (one for one in caplog.records if one.name == "ollama_fast")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], RuntimeError)


@pytest.mark.parametrize("what", FAILING)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_an_error_is_the_calls_own_whatever_fails_of_what_records(
    both: Colour, over: str, what: str, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(fault=FAULTS["error of no model"]) as server, failing(what, monkeypatch):
        call = both.parts if streamed else both.attempt
        error = call("generate_stream" if streamed else "generate", server.url, "m", "Hi!").error
    assert type(error) is ModelNotFoundError
    assert error.__cause__ is None
    assert not isinstance(error.__context__, RuntimeError)


@pytest.mark.parametrize("what", [what for what in FAILING if what != "propagator"])
def test_tools_are_called_whatever_fails_of_what_records(
    both: Colour, what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with docs_server() as port, failing(what, monkeypatch):
        conversation = both.whole("run_tools", f"http://127.0.0.1:{port}", "qwen3", "Hi!", [weather])
    assert "sunny" in str(conversation)
    assert told(caplog) == [line(FAILING[what])]


@pytest.mark.parametrize("what", ["begin", "end", "instrument", "description"])
def test_dropped_streams_are_settled_whatever_fails_of_what_records(
    what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What a thread of Python's raises would be an error of the test, by the filter of warnings."""
    last = Raises("never")
    with serve(reply("a b c"), fault=Fault.cut("stall", part=2)) as server, failing(what, monkeypatch) as recorded:
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            for _ in range(3):
                next(ollama_fast.generate_stream(server.url, "m", "Hi!"))
                gc.collect()
        recorded.tracers.add_span_processor(last)
        eventually(lambda: not _unended._waiting and told(caplog))
        with _unended._settling:  # which the thread gives back when all is done
            pass
        if what != "begin":
            assert len(recorded.spans) == 3
    assert told(caplog) == [line(FAILING[what])]


def test_a_span_that_could_not_begin_leaves_those_within_to_the_caller(both: Colour) -> None:
    """The calls of a conversation whose own span fails are within the span of the caller."""

    class Agents(Raises):
        def on_start(self, span: Span, parent_context: Context | None = None) -> None:
            if span.name == "invoke_agent":
                raise RuntimeError("on_start")

    with docs_server() as port, seen() as recorded:
        recorded.tracers.add_span_processor(Agents("start"))
        with recorded.tracer.start_as_current_span("caller"):
            both.whole("run_tools", f"http://127.0.0.1:{port}", "qwen3", "Hi!", [])
        assert get_current_span() is INVALID_SPAN
        (caller,) = recorded.named("caller")
        assert {parent(span) for span in recorded.named("chat qwen3")} == {own(caller)}


def test_a_new_instrument_tells_again(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as server:
        for _ in range(2):
            with failing("end", monkeypatch):
                ollama_fast.generate(server.url, "m", "Hi!")
    assert told(caplog) == [line(FAILING["end"])] * 2


def test_a_logger_that_fails_as_well_harms_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fails(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError(record.msg)

    handler = Fails()
    logger = logging.getLogger("ollama_fast")
    logger.addHandler(handler)
    try:
        with serve(reply("a")) as server, failing("end", monkeypatch):
            assert ollama_fast.generate(server.url, "m", "Hi!")["response"] == "a"
    finally:
        logger.removeHandler(handler)


def test_ctrl_c_amid_what_records_is_the_programs() -> None:
    with serve(reply("a")) as server, seen() as recorded:
        recorded.tracers.add_span_processor(Raises("end", KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ollama_fast.generate(server.url, "m", "Hi!")


def test_numbers_beyond_all_bounds_are_left_out(both: Colour) -> None:
    huge = b'{"model":"m","response":"a","done":true,"load_duration":1%s,"eval_duration":2000000000}' % (b"0" * 400)
    with serve(fault=Fault.instead(200, huge)) as server, seen() as recorded:
        found = both.whole("generate", server.url, "m", "Hi!")
        assert found["response"] == "a"
    assert recorded.facts["ollama.eval_duration"] == 2.0
    assert "ollama.load_duration" not in recorded.facts


@pytest.mark.parametrize("asynchronous", [False, True], ids=["blocking", "asyncio"])
def test_a_tool_that_is_cancelled_has_not_failed(asynchronous: bool) -> None:
    """As a call or a conversation that is cancelled has not."""

    def stopped() -> str:
        """Be stopped by the user."""
        raise KeyboardInterrupt

    async def waits() -> str:
        """Wait for what never comes."""
        await asyncio.Event().wait()
        return "it came"

    async def run() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(aio.call_tool([waits], {"function": {"name": "waits", "arguments": {}}}), 0.2)

    with seen() as recorded:
        if asynchronous:
            asyncio.run(run())
        else:
            call: Any = {"function": {"name": "stopped", "arguments": {}}}
            with pytest.raises(KeyboardInterrupt) as caught:
                ollama_fast.call_tool([stopped], call)
            assert caught.traceback[-1].name == "stopped"
        assert recorded.facts["ollama_fast.ended_by"] == "cancellation"
        assert "error.type" not in recorded.facts
        (lasted,) = recorded.points()["gen_ai.execute_tool.duration"]
        assert "error.type" not in lasted.attributes


def test_no_text_is_made_for_a_span_that_is_not_sampled(both: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def kept(name: str, *_args: Any) -> dict[str, Any]:
        made.append(name)
        return {}

    for name in ("texts_asked", "texts_answered", "result_of", "taken_by"):
        monkeypatch.setattr(_genai, name, partial(kept, name))

    def calls(url: str) -> None:
        call = {"function": {"name": "weather", "arguments": {"city": "Rome"}}}
        if both.asynchronous:
            asyncio.run(aio.call_tool([weather], call))
        else:
            ollama_fast.call_tool([weather], call)
        both.parts("generate_stream", url, "m", "Hi!")

    with serve() as server:
        with seen(capture_content=True):
            calls(server.url)
        assert set(made) == {"texts_asked", "texts_answered", "taken_by", "result_of"}
        made.clear()
        with seen(capture_content=True, sampler=ALWAYS_OFF) as recorded:
            calls(server.url)
        assert made == []
        assert recorded.spans == []
        assert "gen_ai.client.inference.duration" in recorded.points()
