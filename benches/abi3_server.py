"""
The server of the abi3 bench, a process of its own: `python -m benches.abi3_server LINES STREAMS ROUNDS`.

It prints its port, and the model of a request says what it answers with: "burst" with a chat's stream of LINES, sent at
once; "live" with a stream of ROUNDS lines, one at a time, to STREAMS connections in turn; "whole" with one answer. The
lines of a live round are sent when all streams are there, and then whenever `next` arrives on a plain connection. All
bytes are made before. It ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from .line_server import HEAD, pieces, reply
from .wire import chat_lines

_LINES, _STREAMS, _ROUNDS = (int(number) for number in sys.argv[1:4])
_BURST: Final = reply(chat_lines(_LINES))
_LINE: Final = chat_lines(1)[0]
_WHOLE: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(_LINE),
    _LINE,
)
_PIECES: Final = pieces(chat_lines(_ROUNDS))
_PIECES[0] = _PIECES[0].removeprefix(HEAD)


class _Live:
    """The live streams, and how many lines each has by now."""

    def __init__(self) -> None:
        self._streams: list[asyncio.StreamWriter] = []
        self._sent = 0

    def join(self, stream: asyncio.StreamWriter) -> None:
        stream.write(HEAD)
        self._streams.append(stream)
        if len(self._streams) == _STREAMS:
            self._sent = 0
            self.send()

    def send(self) -> None:
        streams, piece = self._streams, _PIECES[self._sent]
        self._sent += 1
        if self._sent == len(_PIECES):
            self._streams = []
        for stream in streams:
            stream.write(piece)


_LIVES: Final = _Live()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while first := await reader.readline():
        if first == b"next\n":
            _LIVES.send()
            continue
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await reader.readexactly(sum(lengths))
        if b'"live"' in body:
            _LIVES.join(writer)
        else:
            writer.write(_WHOLE if b'"whole"' in body else _BURST)
            await writer.drain()
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
