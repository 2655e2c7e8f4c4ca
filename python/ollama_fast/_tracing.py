"""
Calls as spans and measurements of OpenTelemetry, by its API alone.

A span is never what a caller's code runs in between two parts: it is the current one only while its request is sent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, MutableMapping
from contextlib import contextmanager
from functools import partial, wraps
from inspect import iscoroutinefunction
from time import perf_counter, time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as contexts
from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from . import _genai, _unended
from ._embeddings import EmbedArray
from ._harmless import Harmless
from ._measures import Measures
from ._memory import is_last
from .errors import StreamClosedError

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from ._memory import Memory, Part
    from ._observe import Agent, Job
    from ._request import Request

_ENDED_BY: Final = "ollama_fast.ended_by"
"""The attribute that says what ended a call before its own end."""


class Tracing:
    """
    The observer that makes spans, and measures.

    Args:
        tracer: Makes the spans.

        measures: The instruments.

        texts: Whether prompts, answers, and what tools take and give are recorded.
    """

    def __init__(self, tracer: Tracer, measures: Measures, *, texts: bool) -> None:
        self.tracer = tracer
        self.measures = measures
        self.texts = texts
        self.describing = Harmless("describing a call")
        self.marking = Harmless("telling the server of a span")
        self._beginning = Harmless("beginning a span")
        self._ending = Harmless("ending a span")
        self._measuring = Harmless("measuring")

    def begin(self, name: str, parent: Context | None, attributes: _genai.Attributes, kind: SpanKind) -> Span:
        """Give a span that begins now; one that records nothing, if none can be made."""
        with self._beginning:
            return self.tracer.start_span(name, context=parent, kind=kind, attributes=attributes)
        return trace.INVALID_SPAN

    def add(self, span: Span, texts: Callable[[], _genai.Attributes], /) -> None:
        """Add *texts* to *span*, if they are wanted and somebody will see them."""
        if self.texts:
            with self.describing:
                if span.is_recording():
                    span.set_attributes(texts())

    def end(self, span: Span, early: str, failure: BaseException | None, at: int | None = None) -> None:
        """End *span*, which *early* ended before its own end, or which failed by *failure*."""
        with self._ending:
            if early:
                span.set_attribute(_ENDED_BY, early)
            if failure is not None:
                span.set_attributes(_genai.failed(failure))
                span.set_status(StatusCode.ERROR, _genai.words(failure))
        with self._ending:
            span.end(at)

    def measure(self, what: Callable[[], None], /) -> None:
        """Do *what* measures."""
        with self._measuring:
            what()

    def call(self, request: Request[Any], url: str, /, *, stream: bool) -> _Call:
        """Take note of a call that is about to be made."""
        within = request.within
        parent = within.context if isinstance(within, _Agent) else contexts.get_current()
        return _Call(self, request, url, parent, stream=stream)

    def agent(self, model: str, /) -> _Agent:
        """Take note of a conversation that is about to be held."""
        return _Agent(self, model, contexts.get_current())

    def tool(self, call: Any, job: Job, within: Agent | None, /) -> Job:
        """Give *job* as one that has a span, which is the current one while it is done."""
        parent = within.context if isinstance(within, _Agent) else None
        if iscoroutinefunction(job):

            @wraps(job)
            async def awaited() -> Any:
                with self._tool(call, parent) as record:
                    return record(await job())

            return awaited

        @wraps(job)
        def done() -> Any:
            with self._tool(call, parent) as record:
                return record(job())

        return done

    @contextmanager
    def _tool(self, call: Any, parent: Context | None) -> Generator[Callable[[Any], Any]]:
        facts: _genai.Attributes = {}
        with self.describing:
            facts = _genai.call_of(call)
        span = self.begin(f"execute_tool {facts.get(_genai.TOOL_NAME, '')}".rstrip(), parent, facts, SpanKind.INTERNAL)
        self.add(span, lambda: _genai.taken_by(call))
        token = contexts.attach(_within(span, contexts.get_current() if parent is None else parent))
        began = perf_counter()

        def record(result: Any) -> Any:
            self.add(span, lambda: _genai.result_of(result))
            return result

        def over(error: BaseException | None) -> None:
            seconds, failure = perf_counter() - began, _failure(error)
            contexts.detach(token)
            self.end(span, _early(error), failure)
            self.measure(lambda: self.measures.tool(facts, seconds, failure))

        try:
            yield record
        except BaseException as exc:
            over(exc)
            raise
        else:
            over(None)


class _Spanned:
    """Something with a span that ends once: by who says so first, when it is dropped, or with the program."""

    __slots__ = ("__weakref__", "_began", "_process", "_spans", "context")

    def __init__(self, parent: Context) -> None:
        self.context = parent
        """What the span is made in; from then on the one with the span."""
        self._began = 0.0
        self._process = 0
        self._spans: list[Span] = []

    def _begin(self, span: Span) -> None:
        self.context = _within(span, self.context)
        self._process = os.getpid()
        self._began = perf_counter()
        self._spans.append(span)
        _unended.add(self)

    def ends(self, error: BaseException | None, /, by: str = "") -> None:
        """End the span if it has begun and not ended. *by* says what ends the work early, if no error does."""
        try:
            span = self._spans.pop()  # which only one thread does
        except IndexError:
            return
        if self._process != os.getpid():
            return  # it is the span of the parent process
        finish = self._finishing(span, error, by, perf_counter() - self._began)
        if isinstance(error, GeneratorExit):
            _unended.later(partial(finish, time_ns()))
        else:
            finish(time_ns())

    def _finishing(self, span: Span, error: BaseException | None, by: str, seconds: float) -> Callable[[int], None]:
        """Give what ends *span* at a time, and holds nothing of this, which may be about to be finalized."""
        raise NotImplementedError

    def __del__(self) -> None:
        self.ends(GeneratorExit())


class _Agent(_Spanned):
    """A conversation with tools."""

    __slots__ = ("_attributes", "_tracing")

    def __init__(self, tracing: Tracing, model: str, parent: Context) -> None:
        super().__init__(parent)
        self._tracing = tracing
        self._attributes = _genai.conversation(model)

    def __enter__(self) -> None:
        self._begin(self._tracing.begin("invoke_agent", self.context, self._attributes, SpanKind.INTERNAL))

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        self.ends(value)

    def _finishing(self, span: Span, error: BaseException | None, by: str, seconds: float) -> Callable[[int], None]:
        tracing, attributes = self._tracing, self._attributes
        early, failure = by or _early(error), _failure(error)

        def finish(at: int) -> None:
            tracing.end(span, early, failure, at)
            tracing.measure(lambda: tracing.measures.agent(attributes, seconds, failure))

        return finish


class _Call(_Spanned):
    """One call of a model or the server."""

    __slots__ = (
        "_asked",
        "_name",
        "_operation",
        "_place",
        "_request",
        "_stream",
        "_tracing",
        "answer",
        "attempts",
        "memory",
    )

    def __init__(self, tracing: Tracing, request: Request[Any], url: str, parent: Context, *, stream: bool) -> None:
        super().__init__(parent)
        self.memory: Memory | None = None
        self.answer: Any = None
        self.attempts = 1
        self._tracing = tracing
        self._stream = stream
        self._operation = request.operation
        self._name = _genai.name(request)
        self._place: _genai.Attributes = {}
        self._asked: _genai.Attributes = {}
        with tracing.describing:
            self._place = _genai.place(request, url)
            self._asked = _genai.asked(request, url, stream=stream)
        self._request = request if tracing.texts else None
        """Only until it is sent, since it may be large."""

    def sending(self) -> _Sending:
        """Give the block in which the request is sent, and with which the span begins."""
        return _Sending(self)

    def begin(self) -> None:
        """Begin the span."""
        request, self._request = self._request, None
        span = self._tracing.begin(self._name, self.context, {**self._place, **self._asked}, SpanKind.CLIENT)
        if request is not None:
            self._tracing.add(span, lambda: _genai.texts_asked(request))
        self._begin(span)

    def mark(self, headers: MutableMapping[str, str], /) -> None:
        """Add the span to *headers*, in the form of the program's propagators."""
        with self._tracing.marking:
            propagate.inject(headers, self.context)

    def _finishing(self, span: Span, error: BaseException | None, by: str, seconds: float) -> Callable[[int], None]:
        memory, place, tracing, operation = self.memory, self._place, self._tracing, self._operation
        answer = _told(self.answer if memory is None else memory.last)
        early = by or _early(error) or ("close" if self._stream and error is None and not is_last(answer) else "")
        failure = _failure(error)
        found: _genai.Attributes = {}
        first = None
        if self._stream and memory is not None and memory.first_at is not None:
            first = memory.first_at - self._began
            if operation:
                found["gen_ai.response.time_to_first_chunk"] = first
        if self.attempts > 1:
            found["http.request.resend_count"] = self.attempts - 1

        def texts() -> _genai.Attributes:
            return _genai.texts_answered(operation, answer if memory is None else memory.merged())

        def finish(at: int) -> None:
            with tracing.describing:
                if operation:
                    whole = operation == _genai.EMBEDDINGS or is_last(answer)
                    found.update(_genai.answered(answer, whole=whole))
                span.set_attributes(found)
            tracing.add(span, texts)
            tracing.end(span, early, failure, at)
            tracing.measure(lambda: tracing.measures.call(place, found, seconds, first, failure))

        return finish


class _Sending:
    """The block in which a call's span is the current one; a class, since an error would hold a generator's frame."""

    __slots__ = ("_call", "_token")

    def __init__(self, call: _Call) -> None:
        self._call = call

    def __enter__(self) -> None:
        self._call.begin()
        self._token = contexts.attach(self._call.context)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        contexts.detach(self._token)


def _within(span: Span, context: Context) -> Context:
    """Give *context* with *span*, if that could be begun: what is within goes to the caller's span else."""
    return context if span is trace.INVALID_SPAN else trace.set_span_in_context(span, context)


def _told(answer: Any) -> Part | None:
    """Give the fields of an answer, or of a part of one; None if it has none."""
    found = answer.response if isinstance(answer, EmbedArray) else answer
    return found if isinstance(found, dict) else None


def _early(error: BaseException | None) -> str:
    """Say what ended a call early, if it is no failure: whoever made it wanted no more of it."""
    if isinstance(error, GeneratorExit | StreamClosedError):
        return "close"
    return "" if error is None or isinstance(error, Exception) else "cancellation"


def _failure(error: BaseException | None) -> BaseException | None:
    return None if _early(error) else error
