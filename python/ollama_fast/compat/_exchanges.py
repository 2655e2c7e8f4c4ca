"""What the requests of clients become: answers and parts as models, or what is raised in their place."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import httpx

from .. import _core
from .._exchange import Exchange
from .._request import encode, message_of
from .._response import Lines
from .._stream import is_last
from ._answers import maker
from ._failures import DecodeError, IncompleteStreamError, Telling
from ._types import ResponseError

T = TypeVar("T")

_SHOWN = 300
"""How many characters of an answer that is no answer an error shows."""


def encoded(args: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Give the arguments of a request of httpx with the JSON in them as bytes."""
    fields = options.get("json")
    if type(fields) is not dict:
        return options
    with suppress(TypeError):  # httpx can encode more, or says what is wrong
        content = encode(fields, str(args[1:2]))
        headers = httpx.Headers({"Content-Type": "application/json"})
        headers.update(options.get("headers"))
        return {**options, "json": None, "content": content, "headers": headers}
    return options


def checked(response: httpx.Response) -> httpx.Response:
    """Give *response*, which has been read, if its status is that of an answer, or raise ResponseError."""
    if response.is_success:
        return response
    raise ResponseError(response.text or response.reason_phrase, response.status_code)


def whole(cls: type[T], response: httpx.Response) -> T:
    """Turn a whole answer, which has been read, into a *cls*."""
    body = response.content
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


def parts(client: httpx.Client, cls: type[T], args: tuple[Any, ...], options: dict[str, Any]) -> Generator[T]:
    """Send a request, at the first `next`, and give the parts of its answer as *cls*."""
    with Telling() as telling, client.stream(*args, **encoded(args, options)) as response:
        telling.has_head = True
        if not response.is_success:
            response.read()
            checked(response)
        seen = _Seen()
        yield from _taken(Exchange.decoded(response) or Lines(response), cls, seen)
        seen.finish()


async def aparts(
    client: httpx.AsyncClient, cls: type[T], args: tuple[Any, ...], options: dict[str, Any]
) -> AsyncGenerator[T]:
    """Send a request, at the first `anext`, and give the parts of its answer as *cls*."""
    with Telling() as telling:
        async with client.stream(*args, **encoded(args, options)) as response:
            telling.has_head = True
            if not response.is_success:
                await response.aread()
                checked(response)
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
