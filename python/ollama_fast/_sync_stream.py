"""Requests, done blocking: for a whole answer, or for a stream of its parts."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypeVar, cast

from ._core import LineDecoder
from ._delegation import patched
from ._host import Host, check
from ._leash import Leash
from ._memory import Memory
from ._request import Parts, Request
from ._stream import SOON, Latest, Reading, two_readers
from ._sync_pool import pool_for
from .errors import OllamaError

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

    from ._exchange import Exchange
    from ._retry import Retry

R = TypeVar("R")
T = TypeVar("T")

AnyHost: TypeAlias = "Host | str | httpx.Client | None"
"""Where Ollama is: a Host, its URL, a client of the caller's own, or None for what the environment says."""

check_host = partial(check, wanted="Client", module="ollama_fast", other="the function in ollama_fast.aio")


def _exchange(host: AnyHost, request: Request[R], *, stream: bool) -> Exchange[R]:
    from ._exchange import Exchange

    check_host(host)
    return Exchange(host, request, stream=stream)


def check_call(host: AnyHost, request: Request[Any]) -> None:
    """Raise what is wrong with *host* for *request*, whose body is not looked at; without any I/O."""
    _exchange(host, request.encoded(), stream=False)


def _open(exchange: Exchange[Any]) -> httpx.Response:
    """Send the request, as often as the host says, and wait for the head of its response."""
    exchange.begin()
    if exchange.observed is None:
        response = _attempt(exchange)
    else:
        with exchange.observed.sending():
            response = _attempt(exchange)
    exchange.take_head(response)
    if exchange.closed:  # while a client of the caller's own waited
        response.close()
        raise exchange.was_closed(None)
    return response


def _attempt(exchange: Exchange[Any]) -> httpx.Response:
    return _try_once(exchange) if exchange.retry is None else _try_often(exchange, exchange.retry)


def _try_often(exchange: Exchange[Any], retry: Retry) -> httpx.Response:
    from tenacity import Retrying

    def dismiss(state: RetryCallState) -> None:
        if state.outcome is not None and not isinstance(response := state.outcome.result(), Exception):
            response.close()  # that says: later

    waits = partial(_wait, exchange)
    loop = Retrying(**exchange.retrying(retry), before_sleep=dismiss, sleep=waits)
    try:
        found: httpx.Response | Exception = loop(_came_of, exchange)
    finally:
        loop.iter_state.reset()  # its methods are in there: it would hold itself, and so the exchange
    try:
        if isinstance(found, Exception):
            raise found
        return found
    finally:
        del found  # which would hold itself, by this frame


def _came_of(exchange: Exchange[Any]) -> httpx.Response | Exception:
    """Give an error as a result, so that its traceback passes none of tenacity's frames."""
    try:
        return _try_once(exchange)
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is what came of the attempt
        return exc


def _wait(exchange: Exchange[Any], seconds: float) -> None:
    """Wait between two attempts. Raises StreamClosedError as soon as another thread closes the stream."""
    leash = exchange.leash or Leash()
    if not leash.pause(seconds):
        raise exchange.was_closed(None)


def _try_once(exchange: Exchange[Any]) -> httpx.Response:
    while True:
        outgoing = exchange.outgoing(exchange.body if exchange.request.upload is None else exchange.request.upload)
        response = _answer(exchange, outgoing)
        if not exchange.goes_on(response):
            return response
        response.close()


def _answer(exchange: Exchange[Any], outgoing: httpx.Request) -> httpx.Response:
    """Send the request and wait for the head of its response."""
    if exchange.client is not None:
        response: httpx.Response = exchange.client.send(outgoing, stream=True)
        return response
    pool = pool_for(exchange.pool_key)
    if not patched():
        return pool.handle_request(outgoing)
    import httpx

    from ._hushed import hushed

    # Whoever has replaced something of httpx's clients expects to see one. It holds nothing, so nobody closes it.
    return httpx.Client(transport=pool, trust_env=False).send(hushed(outgoing), stream=True)


def send(host: AnyHost, request: Request[R], /, leash: Leash | None = None) -> R:
    """Do *request* and give its whole answer; *leash* can end it from another thread."""
    exchange = _exchange(host, request, stream=False)
    exchange.leash = leash
    with exchange.telling():
        with closing(_open(exchange)) as response:
            arrival = exchange.arrival(response)
            if arrival is not None:
                for chunk in _chunks(exchange, response, whole=True):
                    arrival.feed(chunk)
                return exchange.arrived(arrival)
            body = _read(exchange, response)
        return exchange.answer(response, body)


def receive(host: AnyHost, request: Request[R], /) -> Stream[R]:
    """Do *request* and give each part of its answer as it arrives."""
    return begin(host, request)[0]


def begin(host: AnyHost, request: Request[R]) -> tuple[Stream[R], Memory]:
    """Give the stream of *request*, and what it remembers."""
    exchange = _exchange(host, request, stream=True)
    exchange.leash = Leash()
    parts = exchange.parts
    return Stream(_receive(exchange, parts), parts.memory, exchange), parts.memory


def _receive(exchange: Exchange[R], parts: Parts[R]) -> Generator[R]:
    return parts.take(_arriving(exchange, parts), _Within(exchange, parts))


class _Within:
    """The block in which a stream is read: at its end the response is left, and what ended it is told."""

    # No ExitStack, whose frame would hold an error that holds its frame, until garbage is collected.

    __slots__ = ("_exchange", "_telling")

    def __init__(self, exchange: Exchange[Any], parts: Parts[Any]) -> None:
        self._exchange = exchange
        self._telling = exchange.telling(parts)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            self._exchange.leave(kind)
        except BaseException as exc:
            if not self._telling.__exit__(type(exc), exc, exc.__traceback__):
                raise
            return True
        return self._telling.__exit__(kind, value, traceback)


def _read(exchange: Exchange[Any], response: httpx.Response) -> bytes:
    reply = exchange.reply_of(response)
    if reply is not None:
        body: bytes = reply.read()
        return body
    return response.read() if exchange.client is not None else b"".join(_chunks(exchange, response, whole=True))


def _arriving(exchange: Exchange[Any], parts: Parts[Any]) -> Iterator[Iterable[Any]]:
    """Give decoded lines, as they come."""
    response = exchange.response or _open(exchange)
    parts.context = exchange.context
    if response.status_code >= 300:
        raise exchange.error(response, _read(exchange, response))
    reply, memory = exchange.reply_of(response), parts.memory
    if reply is not None:
        if exchange.client is None:
            reply.ends_with(memory, SOON)
        first = next(reply, reply)  # alone, to see when it comes; itself if there is none
        memory.first_at = perf_counter()
        if first is not reply:
            yield (first,)
        yield reply
    else:
        decoder = LineDecoder(exchange.max_line)
        for chunk in _chunks(exchange, response, whole=False):
            if memory.first_at is None:
                memory.first_at = perf_counter()
            yield decoder.feed(chunk)
        yield decoder.close()
    parts.finish()


def _chunks(exchange: Exchange[Any], response: httpx.Response, *, whole: bool) -> Iterable[bytes]:
    size = exchange.body_size(response) if whole else None
    # The stream itself: what iter_raw() does beside gives nothing here, and costs as much as decoding a line.
    if exchange.is_raw(response):
        chunks = cast("Iterable[bytes]", response.stream)
    elif exchange.client is not None:
        chunks = response.iter_bytes()
    else:
        from ._decompressed import decompressed

        chunks = decompressed(response, exchange.host.limits, whole=whole, deadline=exchange.deadline)
    counted = chunks if size is None else size.over(chunks)
    return counted if exchange.droppable is None else exchange.droppable.over(counted)


class Stream(Reading, Generic[R]):
    """
    The parts of an answer, as they arrive.

    Iterate over it, best in a `with` block, which closes it. The request is sent at the first `next()`, or on entering
    the block; what takes several requests begins at the first `next()`.
    """

    __slots__ = ("__weakref__", "_parts")

    def __init__(self, parts: Generator[R], memory: Memory | Latest, exchange: Exchange[Any] | None = None) -> None:
        super().__init__(memory, exchange)
        self._parts = parts

    def __iter__(self) -> Iterator[R]:
        # The generator itself: a loop over it pays for no frame of ours per part.
        self._check_open()
        if self._is_read():
            raise two_readers("thread")
        self._check_end()
        return self._parts

    def __next__(self) -> R:
        self._check_open()
        try:
            return next(self._parts)
        except StopIteration:
            self._check_end()
            raise
        except ValueError as exc:
            if isinstance(exc, OllamaError) or not self._is_read():
                raise
            raise two_readers("thread") from exc

    def close(self) -> None:
        """
        Close the connection if the answer is not complete: the server stops generating.

        Who reads in another thread gets a StreamClosedError.
        """
        self._leave(None)

    def _leave(self, kind: type[BaseException] | None) -> None:
        """Close it at the end of a block that an exception of *kind* left."""
        self._closed = True
        exchange, is_read = self._exchange, self._is_read()
        if exchange is not None:
            exchange.closed = True
            if exchange.leash is not None:
                exchange.leash.pull()
            if is_read and exchange.client is not None:
                exchange.wake_reader()
            if not is_read:
                exchange.ends(None)
            if not is_read or exchange.client is not None:
                exchange.leave(kind)
        elif isinstance(self._memory, Latest):
            self._memory.closed = True
            if self._memory.stream is not None:
                self._memory.stream._leave(kind)  # noqa: SLF001 - of this class
            if not is_read:
                self._memory.is_left()
        # The generator stays: who reads, and is between two parts, shall be told, and not take this for the end.

    def _is_read(self) -> bool:
        """Whether a thread waits for a part."""
        return getattr(self._parts, "gi_running", False)

    def _has_ended(self) -> bool:
        return getattr(self._parts, "gi_frame", None) is None

    def __enter__(self) -> Self:
        self._check_open()
        self._check_end()
        if self._exchange is not None and self._exchange.began_at is None:
            try:
                with self._exchange.telling():
                    _open(self._exchange)
            except BaseException as exc:
                self._memory.ends(exc)
                self._exchange.ends(exc)
                self._parts.close()  # who reads on shall not send it again
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave(kind)
        if not self._is_read():  # else the reader cleans up
            self._parts.close()


def collect(parts: Iterable[T], /) -> T:
    """
    Merge *parts* into what the call that does not stream would have given.

    Args:
        parts: A Stream, which is read to its end, or parts that were kept, of generate, chat, pull, push or create.

    A Stream gives its whole answer, also of parts that somebody took from it before. Raises what reading the Stream
    raises; for parts that were kept a ResponseError, DecodeError or IncompleteStreamError.
    """
    if isinstance(parts, Stream):
        for _ in parts:
            pass
        whole: T = parts._whole()  # noqa: SLF001 - a stream offers nothing but what one does with it
        return whole
    if isinstance(parts, Reading):
        raise TypeError("this stream is one of asyncio: collect it by ollama_fast.aio.collect")
    from ._collect import Collected

    collected = Collected()
    for part in parts:
        collected.add(part)
    return cast("T", collected.whole())
