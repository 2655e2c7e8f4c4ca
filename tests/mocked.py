"""
What the replay server would say, without a socket: the handler of an httpx.MockTransport.

A request is kept in the server's list, and the server's `respond` makes the bytes of the reply. They are read by h11,
as in httpx's own transport, so what is wrong with them is the same exception with the same words.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import AsyncIterator, Generator, Iterable, Iterator

import h11
import httpx

from ollama_fast.testing._values import End
from replay import KEPT, RUNNING, Action, HangUpError, Received


def answer(request: httpx.Request) -> httpx.Response:
    """Give the response of the replay server that *request* is for; raise what a transport would."""
    server = RUNNING.get(f"{request.url.scheme}://{request.url.netloc.decode('ascii')}")
    if server is None:
        refused = OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        raise httpx.ConnectError(str(refused)) from refused
    received = _received(request)
    server.requests.append(received)
    reply = _Reply(received, server.says(received))
    head = reply.head()
    extensions = {"http_version": b"HTTP/" + head.http_version, "reason_phrase": head.reason}
    return httpx.Response(head.status_code, headers=head.headers.raw_items(), stream=reply, extensions=extensions)


def _received(request: httpx.Request) -> Received:
    target: bytes = request.extensions.get("target", request.url.raw_path)
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw)
    body = request.content  # MockTransport has read it
    digest = hashlib.sha256(body).hexdigest()
    kept = body if len(body) <= KEPT else b""
    return Received(request.method, target.decode("latin-1"), headers, kept, len(body), digest)


class _Reply(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of a reply, for both colours, in the chunks in which it was cut."""

    def __init__(self, request: Received, actions: Iterable[Action]) -> None:
        self._pieces = iter(actions)
        self._closing = False
        self._wire = h11.Connection(h11.CLIENT)
        # All that the framing of a response depends on.
        self._wire.send(h11.Request(method=request.method, target="/", headers=[("Host", "replay")]))
        self._wire.send(h11.EndOfMessage())

    def head(self) -> h11.Response:
        while not isinstance(event := self._event(), h11.Response):
            pass  # 1xx
        self._closing = (b"connection", b"close") in list(event.headers)
        return event

    def _event(self) -> object:
        try:
            while (event := self._wire.next_event()) is h11.NEED_DATA:
                self._wire.receive_data(self._data())
        except h11.RemoteProtocolError as exc:
            raise httpx.RemoteProtocolError(str(exc)) from exc
        return event

    def _data(self) -> bytes:
        """Give the bytes of the next write, without its pause; none if the server hangs up."""
        try:
            for piece in self._pieces:
                if piece and isinstance(piece, bytes):
                    return piece
                if isinstance(piece, End):
                    raise HangUpError(reset=piece is End.RESET)  # noqa: TRY301 - a `respond` may do either
        except HangUpError as exc:
            if exc.reset:
                broken = OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
                raise httpx.ReadError(str(broken)) from broken
        else:
            if not self._closing:
                raise httpx.ReadTimeout("timed out")  # the server waits for another request
        if self._wire.their_state is h11.SEND_RESPONSE:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        return b""

    def __iter__(self) -> Iterator[bytes]:
        while isinstance(event := self._event(), h11.Data):
            yield bytes(event.data)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk

    def close(self) -> None:
        if isinstance(self._pieces, Generator):
            self._pieces.close()

    async def aclose(self) -> None:
        self.close()
