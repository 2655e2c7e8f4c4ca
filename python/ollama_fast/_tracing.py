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
from ._measures import Measures
from ._stream import is_last
from .errors import StreamClosedError

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from ._observe import Agent, Job
    from ._request import Request
    from ._stream import Memory, Part

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
        attributes = _genai.call_of(call, texts=self.texts)
        name = f"execute_tool {attributes[_genai.TOOL_NAME]}"
        span = self.tracer.start_span(name, context=parent, attributes=attributes)
        token = contexts.attach(trace.set_span_in_context(span, parent))
        began = perf_counter()

        def record(result: Any) -> Any:
            if self.texts:
                span.set_attributes(_genai.result_of(result))
            return result

        try:
            yield record
        except BaseException as exc:
            _judge(span, exc)
            self.measures.tool(attributes, perf_counter() - began, exc)
            raise
        else:
            self.measures.tool(attributes, perf_counter() - began, None)
        finally:
            contexts.detach(token)
            span.end()


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
        self.context = trace.set_span_in_context(span, self.context)
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
        tracer = self._tracing.tracer
        self._begin(tracer.start_span("invoke_agent", context=self.context, attributes=self._attributes))

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        self.ends(value)

    def _finishing(self, span: Span, error: BaseException | None, by: str, seconds: float) -> Callable[[int], None]:
        measures, attributes = self._tracing.measures, self._attributes
        early, failure = by or _early(error), _failure(error)

        def finish(at: int) -> None:
            if early:
                span.set_attribute(_ENDED_BY, early)
            _judge(span, failure)
            span.end(at)
            measures.agent(attributes, seconds, failure)

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
        self._place = _genai.place(request, url)
        self._asked = _genai.asked(request, url, stream=stream)
        self._request = request if tracing.texts else None
        """Only until it is sent, since it may be large."""

    def sending(self) -> _Sending:
        """Give the block in which the request is sent, and with which the span begins."""
        return _Sending(self)

    def begin(self) -> None:
        """Begin the span."""
        attributes = {**self._place, **self._asked}
        request, self._request = self._request, None
        if request is not None:
            attributes |= _genai.texts_asked(request)
        tracer = self._tracing.tracer
        self._begin(tracer.start_span(self._name, context=self.context, kind=SpanKind.CLIENT, attributes=attributes))

    def mark(self, headers: MutableMapping[str, str], /) -> None:
        """Add the span to *headers*, in the form of the program's propagators."""
        propagate.inject(headers, self.context)

    def _finishing(self, span: Span, error: BaseException | None, by: str, seconds: float) -> Callable[[int], None]:
        memory, place, measures = self.memory, self._place, self._tracing.measures
        answer = _told(self.answer if memory is None else memory.last)
        whole = self._operation == _genai.EMBEDDINGS or is_last(answer)
        early = by or _early(error) or ("close" if self._stream and error is None and not is_last(answer) else "")
        failure = _failure(error)
        found: _genai.Attributes = {}
        if self._operation:
            found |= _genai.answered(answer, whole=whole)
        if self._tracing.texts:
            found |= _genai.texts_answered(self._operation, answer if memory is None else memory.merged())
        first = None
        if self._stream and memory is not None and memory.first_at is not None:
            first = memory.first_at - self._began
        if first is not None and self._operation:
            found["gen_ai.response.time_to_first_chunk"] = first
        if self.attempts > 1:
            found["http.request.resend_count"] = self.attempts - 1
        if early:
            found[_ENDED_BY] = early

        def finish(at: int) -> None:
            span.set_attributes(found)
            _judge(span, failure)
            span.end(at)
            measures.call(place, found, seconds, first, failure)

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


def _judge(span: Span, error: BaseException | None) -> None:
    """Mark *span* as failed, if an error of its own ended it."""
    failure = _failure(error)
    if failure is not None:
        span.set_attributes(_genai.failed(failure))
        span.set_status(StatusCode.ERROR, _genai.words(failure))
