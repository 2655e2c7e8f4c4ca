"""What the requests of clients become: answers and parts as models, or what is raised in their place."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import aclosing, asynccontextmanager, closing, contextmanager
from typing import Any, TypeAlias, TypeVar

import httpx

from ollama_fast import _core
from ollama_fast._exchange import Exchange
from ollama_fast._request import message_of
from ollama_fast._response import Lines
from ollama_fast._stream import is_last

from ._answers import maker
from ._direct import Direct
from ._failures import DecodeError, IncompleteStreamError, Telling
from ._types import ResponseError

T = TypeVar("T")

Options: TypeAlias = dict[str, Any]
"""Arguments of a request by name, as httpx takes them."""

_SHOWN = 300
"""How many characters of an answer that is no answer an error shows."""


# --- sending ---------------------------------------------------------------------------------------------------------


def ask(
    client: httpx.Client, direct: Direct | None, args: tuple[Any, ...], options: Options
) -> tuple[httpx.Response, bytes]:
    """Send a request, and give the response and its body."""
    request = None if direct is None else direct.request(client, args, options)
    with Telling(request):
        if direct is None or request is None:
            response = client.request(*args, **options)
            return response, response.content
        with _sent(client, direct, request) as response:
            reply = Exchange.decoded(response)
            return response, response.read() if reply is None else reply.read()


async def aask(
    client: httpx.AsyncClient, direct: Direct | None, args: tuple[Any, ...], options: Options
) -> tuple[httpx.Response, bytes]:
    """Send a request, and give the response and its body."""
    request = None if direct is None else direct.request(client, args, options)
    with Telling(request):
        if direct is None or request is None:
            response = await client.request(*args, **options)
            return response, response.content
        async with _asent(client, direct, request) as response:
            reply = Exchange.decoded(response)
            return response, await (response.aread() if reply is None else reply.read())


@contextmanager
def _sent(client: httpx.Client, direct: Direct, request: httpx.Request) -> Generator[httpx.Response]:
    """Send *request* the short way, and from its first redirect on the whole way."""
    with closing(direct.transport.handle_request(request)) as response:
        following = direct.follow(request, response)
        if following is None:
            yield response
            return
    with closing(client.send(following, stream=True)) as response:
        yield response


@asynccontextmanager
async def _asent(client: httpx.AsyncClient, direct: Direct, request: httpx.Request) -> AsyncGenerator[httpx.Response]:
    """Send *request* the short way, and from its first redirect on the whole way."""
    async with aclosing(await direct.transport.handle_async_request(request)) as response:
        following = direct.follow(request, response)
        if following is None:
            yield response
            return
    async with aclosing(await client.send(following, stream=True)) as response:
        yield response


# --- answers ---------------------------------------------------------------------------------------------------------


def check(response: httpx.Response, body: bytes) -> None:
    """Raise ResponseError if the status of *response* is not that of an answer."""
    if not response.is_success:
        raise ResponseError(body.decode("utf-8", "replace") or response.reason_phrase, response.status_code)


def whole(cls: type[T], response: httpx.Response, body: bytes) -> T:
    """Turn a whole answer into a *cls*."""
    check(response, body)
    try:
        found = _core.decode(body)
    except ValueError as exc:
        text = body.decode("utf-8", "replace")
        what = f"the answer is not JSON: {_shorten(text)}" if text.strip() else "the answer is empty"
        raise DecodeError(what, response.status_code, text) from exc
    _check(found, response.status_code)
    if found.get("done") is False and not is_last(found):
        raise IncompleteStreamError("the answer is not finished: it says done: false", response.status_code)
    return maker(cls)(found)


def parts(
    client: httpx.Client, direct: Direct | None, cls: type[T], args: tuple[Any, ...], options: Options
) -> Generator[T]:
    """Send a request, at the first `next`, and give the parts of its answer as *cls*."""
    request = None if direct is None else direct.request(client, args, options)
    sent = client.stream(*args, **options) if direct is None or request is None else _sent(client, direct, request)
    with Telling(request) as telling, sent as response:
        telling.has_head = True
        if not response.is_success:
            check(response, response.read())
        seen = _Seen()
        yield from _taken(Exchange.decoded(response) or Lines(response), cls, seen)
        seen.finish()


async def aparts(
    client: httpx.AsyncClient, direct: Direct | None, cls: type[T], args: tuple[Any, ...], options: Options
) -> AsyncGenerator[T]:
    """Send a request, at the first `anext`, and give the parts of its answer as *cls*."""
    request = None if direct is None else direct.request(client, args, options)
    sent = client.stream(*args, **options) if direct is None or request is None else _asent(client, direct, request)
    with Telling(request) as telling:
        async with sent as response:
            telling.has_head = True
            if not response.is_success:
                check(response, await response.aread())
            seen, reply = _Seen(), Exchange.decoded(response)
            if reply is not None:
                ready, arrived = reply.ready(), reply.arrived()
                while await ready:
                    for part in _taken(arrived, cls, seen):
                        yield part
            else:
                async for line in Lines(response):
                    for part in _taken((line,), cls, seen):
                        yield part
            seen.finish()


class _Seen:
    """The last part of a stream that was seen."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last: dict[str, Any] | None = None

    def finish(self) -> None:
        """
        Raise IncompleteStreamError if the last part did not come.

        A stream whose parts do not say whether they are the last is taken to be whole: tests make up such.
        """
        if self.last is None:
            raise IncompleteStreamError("the stream is incomplete: nothing came")
        if ("done" in self.last or "status" in self.last) and not is_last(self.last):
            raise IncompleteStreamError("the stream is incomplete: it ended before its last part")


def _taken(lines: Iterable[Any], cls: type[T], seen: _Seen) -> Generator[T]:
    """Turn decoded lines into a *cls* each."""
    make = maker(cls)
    for line in lines:
        if type(line) is not dict or "error" in line:
            _check(line, -1)
        seen.last = line
        yield make(line)


def _check(found: Any, status: int) -> None:
    """Raise what a decoded answer, or a part of one, says or is instead."""
    if not isinstance(found, dict):
        text = str(found)
        raise DecodeError(f"the answer has not the shape of Ollama's: {_shorten(text)}", status, text)
    if found.get("error") is not None:
        raise ResponseError(message_of(found) or "the server gave no reason")


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
