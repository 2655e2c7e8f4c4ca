"""Requests, done on asyncio: for a whole answer, or for a stream of its parts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Coroutine, Iterable
from contextlib import aclosing
from functools import partial
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypeVar, cast

from ._async_aside import Pieces, current_task, off_the_loop
from ._async_pool import pool_for
from ._core import LineDecoder
from ._delegation import patched
from ._host import Host, check
from ._memory import Memory
from ._request import Parts, Request
from ._stream import SOON, Latest, Reading, two_readers

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

    from ._async_transport import AsyncTransport
    from ._exchange import Exchange
    from ._retry import Retry

R = TypeVar("R")
T = TypeVar("T")

AnyHost: TypeAlias = "Host | str | httpx.AsyncClient | None"
"""Where Ollama is: a Host, its URL, a client of the caller's own, or None for what the environment says."""

check_host = partial(check, wanted="AsyncClient", module="ollama_fast.aio", other="the function in ollama_fast")


def _exchange(host: AnyHost, request: Request[R], *, stream: bool) -> Exchange[R]:
    from ._exchange import Exchange

    check_host(host)
    return Exchange(host, request, stream=stream, at_once=False)


def check_call(host: AnyHost, request: Request[Any]) -> None:
    """Raise what is wrong with *host* for *request*, whose body is not looked at; without any I/O."""
    _exchange(host, request.encoded(), stream=False)


async def _open(exchange: Exchange[Any]) -> httpx.Response:
    """
    Send the request, as often as the host says, and wait for the head of its response.

    Meanwhile another task may close the exchange.
    """
    exchange.begin()
    opener = exchange.opener = current_task()
    try:
        if exchange.draft is not None:
            exchange.body, exchange.draft = await off_the_loop(exchange.draft.encode), None
        tries = _try_once(exchange) if exchange.retry is None else _try_often(exchange, exchange.retry)
        if exchange.observed is None:
            response = await tries
        else:
            with exchange.observed.sending():
                response = await tries
    except asyncio.CancelledError:
        if opener is None or not exchange.closed or opener.uncancel():
            raise  # somebody else's cancellation
        raise exchange.was_closed(None) from None
    finally:
        exchange.opener = None
    exchange.take_head(response)
    return response


async def _try_often(exchange: Exchange[Any], retry: Retry) -> httpx.Response:
    from tenacity import AsyncRetrying

    async def dismiss(state: RetryCallState) -> None:
        if state.outcome is not None and not isinstance(response := state.outcome.result(), Exception):
            await response.aclose()  # that says: later

    loop = AsyncRetrying(**exchange.retrying(retry), before_sleep=dismiss, sleep=asyncio.sleep)
    try:
        found: httpx.Response | Exception = await loop(_came_of, exchange)
    finally:
        loop.iter_state.reset()  # its methods are in there: it would hold itself, and so the exchange
    try:
        if isinstance(found, Exception):
            raise found
        return found
    finally:
        del found  # which would hold itself, by this frame


async def _came_of(exchange: Exchange[Any]) -> httpx.Response | Exception:
    """Give an error as a result, so that its traceback passes none of tenacity's frames."""
    try:
        return await _try_once(exchange)
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is what came of the attempt
        return exc


async def _try_once(exchange: Exchange[Any]) -> httpx.Response:
    while True:
        upload = exchange.request.upload
        outgoing = exchange.outgoing(exchange.body if upload is None else Pieces(upload))
        pool = None if exchange.client is not None else await pool_for(exchange.pool_key)
        response = await _answer(exchange, pool, outgoing)
        if not exchange.goes_on(response):
            return response
        await response.aclose()


def _answer(
    exchange: Exchange[Any], pool: AsyncTransport | None, outgoing: httpx.Request
) -> Coroutine[Any, Any, httpx.Response]:
    """Give what to await for the head; no coroutine around it, since many may wait at once."""
    if pool is None:
        waits: Coroutine[Any, Any, httpx.Response] = exchange.client.send(outgoing, stream=True)
        return waits
    if not patched():
        return pool.handle_async_request(outgoing)
    import httpx

    from ._hushed import hushed

    # Whoever has replaced something of httpx's clients expects to see one. It holds nothing, so nobody closes it.
    return httpx.AsyncClient(transport=pool, trust_env=False).send(hushed(outgoing), stream=True)


async def send(host: AnyHost, request: Request[R], /) -> R:
    """Do *request* and give its whole answer."""
    exchange = _exchange(host, request, stream=False)
    with exchange.telling():
        async with aclosing(await _open(exchange)) as response:
            arrival = exchange.arrival(response)
            if arrival is not None:
                async for chunk in _chunks(exchange, response, whole=True):
                    arrival.feed(chunk)
                return exchange.arrived(arrival)
            body = await _read(exchange, response)
        return exchange.answer(response, body)


def receive(host: AnyHost, request: Request[R], /) -> Stream[R]:
    """Do *request* and give each part of its answer as it arrives."""
    return begin(host, request)[0]


def begin(host: AnyHost, request: Request[R]) -> tuple[Stream[R], Memory]:
    """Give the stream of *request*, and what it remembers."""
    exchange = _exchange(host, request, stream=True)
    parts = exchange.parts
    return Stream(_receive(exchange, parts), parts.memory, exchange), parts.memory


async def _receive(exchange: Exchange[R], parts: Parts[R]) -> AsyncGenerator[R]:  # noqa: C901 - a frame costs per part
    with exchange.telling(parts):
        async with aclosing(await _open(exchange)) as response:
            parts.context = exchange.context
            if exchange.entered:
                # For a block that is entered, and waits for no more. From now on the loop closes what is abandoned.
                yield cast("R", None)
            if response.status_code >= 300:
                raise exchange.error(response, await _read(exchange, response))
            reply, take, memory = exchange.reply_of(response), parts.take, parts.memory
            if reply is not None:
                ready, arrived = reply.ready(), reply.arrived()
                batch = (arrived,)
                while await ready:
                    if memory.first_at is None:
                        memory.first_at = perf_counter()
                    for part in take(batch, arrived):
                        yield part
                    if memory.complete and exchange.client is None:
                        reply.ends_within(SOON)
            else:
                decoder = LineDecoder(exchange.max_line)
                async for chunk in _chunks(exchange, response, whole=False):
                    if memory.first_at is None:
                        memory.first_at = perf_counter()
                    for part in take((decoder.feed(chunk),)):
                        yield part
                for part in take((decoder.close(),)):
                    yield part
            parts.finish()


async def _read(exchange: Exchange[Any], response: httpx.Response) -> bytes:
    reply = exchange.reply_of(response)
    if reply is not None:
        body: bytes = await reply.read()
        return body
    if exchange.client is not None:
        return await response.aread()
    return b"".join([chunk async for chunk in _chunks(exchange, response, whole=True)])


def _chunks(exchange: Exchange[Any], response: httpx.Response, *, whole: bool) -> AsyncIterable[bytes]:
    size = exchange.body_size(response) if whole else None
    # The stream itself: what aiter_raw() does beside gives nothing here, and costs as much as decoding a line.
    if exchange.is_raw(response):
        chunks = cast("AsyncIterable[bytes]", response.stream)
    elif exchange.client is not None:
        chunks = response.aiter_bytes()
    else:
        from ._decompressed import decompressed_async

        chunks = decompressed_async(response, exchange.host.limits, whole=whole, deadline=exchange.deadline)
    return chunks if size is None else size.over_async(chunks)


class Stream(Reading, Generic[R]):
    """
    The parts of an answer, as they arrive.

    Iterate over it with `async for`, best in an `async with` block, which closes it. The request is sent at the first
    `anext()`, or on entering the block; what takes several requests begins at the first `anext()`.
    """

    _BLOCK = "an `async with`"
    __slots__ = ("__weakref__", "_parts")

    def __init__(
        self, parts: AsyncGenerator[R], memory: Memory | Latest, exchange: Exchange[Any] | None = None
    ) -> None:
        super().__init__(memory, exchange)
        self._parts = parts

    def __aiter__(self) -> AsyncIterator[R]:
        # The generator itself: a loop over it pays for no frame of ours per part.
        self._check_alone()
        self._check_end()
        return self._parts

    async def __anext__(self) -> R:
        self._check_alone()
        try:
            return await anext(self._parts)
        except StopAsyncIteration:
            self._check_end()
            raise

    async def aclose(self) -> None:
        """
        Close the connection if the answer is not complete: the server stops generating.

        Who reads in another task gets a StreamClosedError.
        """
        self._closed = True
        if self._exchange is not None:
            self._exchange.closed = True
            opener, self._exchange.opener = self._exchange.opener, None
            if opener is not None:
                opener.cancel()  # once, since it takes back one
            if not self._is_read():
                self._exchange.ends(None)
            if self._exchange.response is not None:
                await self._exchange.response.aclose()
        elif isinstance(self._memory, Latest):
            self._memory.closed = True
            if self._memory.stream is not None:
                await self._memory.stream.aclose()
            if not self._is_read():
                self._memory.is_left()
        # The generator stays: who reads, and is between two parts, shall be told, and not take this for the end.

    def _is_read(self) -> bool:
        """Whether a task waits for a part."""
        return getattr(self._parts, "ag_running", False)

    def _check_alone(self) -> None:
        self._check_open()
        if self._is_read():
            raise two_readers("task")

    def _has_ended(self) -> bool:
        return getattr(self._parts, "ag_frame", None) is None

    async def __aenter__(self) -> Self:
        self._check_open()
        self._check_end()
        if self._exchange is not None and self._exchange.began_at is None:
            self._exchange.entered = True
            await anext(self._parts)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
        if not self._is_read():  # else the reader cleans up
            await self._parts.aclose()


async def collect(parts: AsyncIterable[T] | Iterable[T], /) -> T:
    """
    Merge *parts* into what the call that does not stream would have given.

    Args:
        parts: A Stream, which is read to its end, or parts that were kept, of generate, chat, pull, push or create.

    A Stream gives its whole answer, also of parts that somebody took from it before. Raises what reading the Stream
    raises; for parts that were kept a ResponseError, DecodeError or IncompleteStreamError.
    """
    if isinstance(parts, Stream):
        async for _ in parts:
            pass
        whole: T = parts._whole()  # noqa: SLF001 - a stream offers nothing but what one does with it
        return whole
    if isinstance(parts, Reading):
        raise TypeError("this stream is a blocking one: collect it by ollama_fast.collect")
    from ._collect import Collected

    collected = Collected()
    if isinstance(parts, AsyncIterable):
        async for part in parts:
            collected.add(part)
    else:
        for part in parts:
            collected.add(part)
    return cast("T", collected.whole())
