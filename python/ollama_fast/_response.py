"""What a response of the transports is beyond httpx's own: the core's, and decoded lines for whoever receives it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import cached_property
from typing import Any
from weakref import ref

import httpx

from . import _core
from ._decompressed import decompressed, decompressed_async
from ._host import Limits


class Lines:
    """The decoded lines of a body that httpx's own transport receives, or that is compressed."""

    __slots__ = ("_response",)

    def __init__(self, response: httpx.Response) -> None:
        self._response = ref(response)  # which holds this in its extensions

    def _body(self) -> httpx.Response:
        response = self._response()
        if response is None:
            raise httpx.StreamClosed
        return response

    def __iter__(self) -> Iterator[Any]:
        decoder, limits = _core.LineDecoder(), Limits()
        for chunk in decompressed(self._body(), limits, whole=False):
            yield from decoder.feed(chunk)
        yield from decoder.close()

    async def __aiter__(self) -> AsyncIterator[Any]:
        decoder, limits = _core.LineDecoder(), Limits()
        async for chunk in decompressed_async(self._body(), limits, whole=False):
            for part in decoder.feed(chunk):
                yield part
        for part in decoder.close():
            yield part


def with_lines(response: httpx.Response) -> httpx.Response:
    """Give *response* the extension that those of the core have."""
    response.extensions.setdefault("ndjson", Lines(response))
    return response


class CoreResponse(httpx.Response):
    """
    A response whose head is in *reply*.

    Its headers are made when somebody looks at them: few do, and a thousand streams that wait would hold theirs.
    """

    def __init__(
        self, reply: _core.Reply | _core.AsyncReply, body: httpx.SyncByteStream | httpx.AsyncByteStream
    ) -> None:
        extensions: dict[str, Any] = {}
        reply.describe(extensions)
        super().__init__(reply.status, stream=body, extensions=extensions)
        self._reply = reply
        del self.headers

    @cached_property
    def headers(self) -> httpx.Headers:  # type: ignore[override]  # in httpx it is an attribute, as it is here
        """Give the headers."""
        return httpx.Headers(self._reply.headers)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = {"headers": self.headers, **super().__getstate__()}
        del state["_reply"]
        return state


def has_header(response: httpx.Response, name: bytes) -> bool:
    """Whether *response* has a header, whose name is in small letters; all of them are not made for it."""
    raw = response._reply.headers if isinstance(response, CoreResponse) else response.headers.raw  # noqa: SLF001 - above
    return any(key.lower() == name for key, _ in raw)


def hold(response: httpx.Response, content: bytes) -> None:
    """Let *content*, which the core has read as a whole, be what was read of *response*."""
    response._content = content  # noqa: SLF001 - as `read` does
    response.is_stream_consumed = True
