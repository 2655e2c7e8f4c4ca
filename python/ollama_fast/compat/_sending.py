"""Send the requests of clients, and make of what comes models, or what is raised in their place."""

# ruff: noqa: SLF001 - of this package's clients; and of httpx's what `_direct` knows

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Generator, Iterable, Iterator
from contextlib import AsyncExitStack, ExitStack, aclosing, closing
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import httpx

from ollama_fast import _core
from ollama_fast._exchange import Exchange
from ollama_fast._memory import is_last
from ollama_fast._request import is_cut_off
from ollama_fast._response import hold
from ollama_fast._said import message_of, shorten

from ._answers import maker
from ._direct import Route, follow
from ._types import ResponseError
from ._underway import Waiting, was_closed
from .errors import DecodeError, IncompleteLineError, IncompleteStreamError, connecting, reading

if TYPE_CHECKING:
    from ._client import AsyncClient, Client

T = TypeVar("T")

Words: TypeAlias = tuple[Any, ...]
Named: TypeAlias = dict[str, Any]
"""Arguments of a request as httpx's clients take them, by position and by name."""


# --- a whole answer --------------------------------------------------------------------------------------------------


def send(client: Client, words: Words, named: Named) -> httpx.Response:
    """Do a request, and give its response, which has been read."""
    inner, route = client._client, client._route(words, named)
    with connecting(None if route is None else route.request, stream=False):
        if route is None:
            answer: httpx.Response = inner.request(*words, **named)
            return checked(answer)
        with closing(_go(inner, route)) as response:
            reply = Exchange.reply_of(response)
            if reply is None:
                response.read()
            else:
                hold(response, reply.read())
    return checked(response)


async def asend(client: AsyncClient, words: Words, named: Named) -> httpx.Response:
    """Do a request, and give its response, which has been read."""
    inner, route = client._client, client._route(words, named)
    with connecting(None if route is None else route.request, stream=False), Waiting(client._underway):
        if route is None:
            answer: httpx.Response = await inner.request(*words, **named)
            return checked(answer)
        async with aclosing(await _ago(inner, route)) as response:
            reply = Exchange.reply_of(response)
            if reply is None:
                await response.aread()
            else:
                hold(response, await reply.read())
    return checked(response)


def _go(inner: httpx.Client, route: Route) -> httpx.Response:
    """Send a request by its route, and go on from a redirect as httpx does."""
    response: httpx.Response = route.transport.handle_request(route.request)
    following = follow(inner, route.request, response)
    if following is None:
        return response
    with closing(response):
        response.read()  # so that its connection serves again
    found: httpx.Response = inner._send_handling_redirects(following, follow_redirects=True, history=[response])
    return found


async def _ago(inner: httpx.AsyncClient, route: Route) -> httpx.Response:
    """Send a request by its route, and go on from a redirect as httpx does."""
    response: httpx.Response = await route.transport.handle_async_request(route.request)
    following = follow(inner, route.request, response)
    if following is None:
        return response
    async with aclosing(response):
        await response.aread()  # so that its connection serves again
    found: httpx.Response = await inner._send_handling_redirects(following, follow_redirects=True, history=[response])
    return found


def checked(response: T) -> T:
    """Give *response*, which has been read, or raise ResponseError if its status is not that of an answer."""
    if not isinstance(response, httpx.Response):
        made: Any = response  # by a test, which expects of it what `ollama` does with it
        made.raise_for_status()
    elif not response.is_success:
        raise ResponseError(response.text, response.status_code)
    return response


def whole(cls: type[T], response: Any) -> T:
    """Turn a whole answer, which has been read, into a *cls*."""
    if not isinstance(response, httpx.Response):
        return cls(**response.json())
    body = response.content
    try:
        found = _core.decode(body)
    except ValueError as exc:
        found = _leniently(body, exc, response.status_code, cut=is_cut_off(exc))
    _check(found, response.status_code)
    if found.get("done") is False and not is_last(found):
        raise IncompleteStreamError("the answer is not finished: it says done: false", response.status_code)
    return maker(cls)(found)


# --- an answer in parts ----------------------------------------------------------------------------------------------


def receive(client: Client, cls: type[T], words: Words, named: Named) -> Generator[T]:
    """Do a request, at the first `next`, and give the parts of its answer as *cls*."""
    inner, route = client._client, client._route(words, named)
    request = None if route is None else route.request
    with ExitStack() as stack:
        with connecting(request, stream=True):
            response: Any = stack.enter_context(
                inner.stream(*words, **named) if route is None else closing(_go(inner, route))
            )
        if isinstance(response, httpx.Response):
            client._underway.streams.add(response)
            with reading(request):
                _check_open(inner)
                if not response.is_success:
                    response.read()
        parts = _Parts(cls, checked(response), request)
        for batch in _batches(response, request):
            yield from parts.of(batch)
        parts.finish()


async def areceive(client: AsyncClient, cls: type[T], words: Words, named: Named) -> AsyncGenerator[T]:
    """Do a request, at the first `anext`, and give the parts of its answer as *cls*."""
    inner, route = client._client, client._route(words, named)
    request = None if route is None else route.request
    async with AsyncExitStack() as stack:
        with connecting(request, stream=True), Waiting(client._underway):
            response: Any = await stack.enter_async_context(
                inner.stream(*words, **named) if route is None else aclosing(await _ago(inner, route))
            )
        if isinstance(response, httpx.Response):
            client._underway.streams.add(response)
            with reading(request):
                _check_open(inner)
                if not response.is_success:
                    await response.aread()
        parts, reply = _Parts(cls, checked(response), request), Exchange.reply_of(response)
        if reply is not None:
            ready, arrived = reply.ready(), reply.arrived()
            while await _under(ready, request):
                for part in parts.of(arrived):
                    yield part
        else:
            decoder, chunks = _core.LineDecoder(), aiter(response.aiter_bytes())
            while (chunk := await _under(anext(chunks, None), request)) is not None:
                for part in parts.of(decoder.feed(chunk)):
                    yield part
            for part in parts.of(decoder.close()):
                yield part
        parts.finish()


def _check_open(inner: httpx.Client | httpx.AsyncClient) -> None:
    if inner.is_closed:
        raise was_closed()


async def _under(wait: Awaitable[T], request: httpx.Request | None) -> T:
    with reading(request):
        return await wait


def _batches(response: Any, request: httpx.Request | None) -> Iterator[Iterable[Any]]:
    """Give decoded lines, as they come."""
    if not isinstance(response, httpx.Response):  # made by a test
        yield map(json.loads, response.iter_lines())
        return
    reply = Exchange.reply_of(response)
    if reply is not None:
        yield reply
        return
    decoder = _core.LineDecoder()
    with reading(request):
        for chunk in response.iter_bytes():
            yield decoder.feed(chunk)
    yield decoder.close()


class _Parts(Generic[T]):
    """
    The decoded lines of a stream in, its parts out.

    Args:
        cls: What a part becomes.

        response: Whose lines they are.

        request: What an error of the connection is about, if httpx does not say it.
    """

    __slots__ = ("_cls", "_last", "_request", "_response")

    def __init__(self, cls: type[T], response: Any, request: httpx.Request | None) -> None:
        self._cls = cls
        self._response = response
        self._request = request
        self._last: dict[str, Any] | None = None

    def of(self, batch: Iterable[Any]) -> Generator[T]:
        """Give the parts that the lines of a batch are, or raise what one is instead."""
        make = maker(self._cls)
        for line in self._decoded(batch):
            if type(line) is not dict or "error" in line:
                _check(line, -1)
            self._last = line
            yield make(line)

    def _decoded(self, batch: Iterable[Any]) -> Iterator[Any]:
        # Of its own, so that what a caller throws into the stream is not taken for an error of its lines.
        lines = iter(batch)
        with reading(self._request):
            while True:
                try:
                    yield from lines
                except EOFError as exc:
                    raise IncompleteLineError(f"the stream is incomplete: it ended inside a line: {exc}") from exc
                except ValueError as exc:
                    line: bytes = getattr(exc, "line", b"")
                    found = _leniently(line.decode(self._response.encoding or "utf-8", "replace"), exc, -1)
                else:
                    return
                yield found

    def finish(self) -> None:
        """
        Raise IncompleteStreamError if the last part did not come.

        A stream whose parts do not say whether they are the last is taken to be whole: tests make up such.
        """
        if self._last is None:
            raise IncompleteStreamError("the stream is incomplete: nothing came")
        if ("done" in self._last or "status" in self._last) and not is_last(self._last):
            raise IncompleteStreamError("the stream is incomplete: it ended before its last part")


# --- what is no answer -----------------------------------------------------------------------------------------------


def _leniently(text: bytes | str, refused: ValueError, status: int, *, cut: bool = False) -> Any:
    """
    Decode what the core has refused and Python's json takes: lone surrogates, NaN, and other encodings.

    What it does not take is the beginning of an answer where that is *cut*, and else none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        shown = text if isinstance(text, str) else text.decode("utf-8", "replace")
        what = f"the answer is not JSON: {shorten(shown)}" if shown.strip() else "the answer is empty"
        kind = IncompleteLineError if cut else DecodeError
        raise kind(what, status, shown) from refused


def _check(found: Any, status: int) -> None:
    """Raise what a decoded answer, or a part of one, says or is instead."""
    if not isinstance(found, dict):
        text = str(found)
        raise DecodeError(f"the answer has not the shape of Ollama's: {shorten(text)}", status, text)
    if found.get("error") is not None:
        raise ResponseError(message_of(found) or "the server gave no reason")
