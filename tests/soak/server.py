"""
The server of the soak, a process of its own: `python -m soak.server SEED`.

It prints its port. A line on its standard input, a JSON list of numbers, asks for its report, which it prints when the
last stream is over; then it ends.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from collections import Counter
from contextlib import suppress
from typing import Any, Final

import uvloop

from .limits import raise_file_limit
from .plan import Plan

_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
_END: Final = b"0\r\n\r\n"
_BUSY: Final = (
    b'HTTP/1.1 %b\r\nRetry-After: 1\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"error":"busy"}'
)
_SILENCE: Final = 60.0
_PATIENCE: Final = 20.0
"""Seconds after which a stream that is still open at the end is one whose client never left."""


class _LeftError(Exception):
    """The client closed its end."""


class Server:
    """Answers each request as the plan of its number says, and keeps the books."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._known: set[int] = set()
        self._twice: list[int] = []
        self._under_way: dict[int, Plan] = {}
        self._connections = self._most_connections = self._most_streams = 0
        self._faults: Counter[str] = Counter()
        self._endings: Counter[str] = Counter()
        self._parts = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        self._connections += 1
        self._idle.clear()
        self._most_connections = max(self._most_connections, self._connections)
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # it was idle
        finally:
            self._connections -= 1
            if not self._connections:
                self._idle.set()
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer a request; give whether the connection stays."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        number = int(json.loads(await reader.readexactly(length))["model"])
        if number in self._known:
            self._twice.append(number)
        self._known.add(number)
        plan = self._under_way[number] = Plan.of(self._seed, number)
        self._most_streams = max(self._most_streams, len(self._under_way))
        self._faults[plan.fault] += 1
        try:
            stays = await self._send(plan, _Wire(reader, writer))
        except (ConnectionError, _LeftError):
            self._endings["left" if plan.fault in ("endless", "silence") else "left early"] += 1
            return False
        finally:
            del self._under_way[number]
        self._endings["done"] += 1
        return stays

    async def _send(self, plan: Plan, wire: _Wire) -> bool:
        match plan.fault:
            case "hang-up":
                return False
            case "busy":
                await wire.say(_BUSY % (b"503 Service Unavailable", b"429 Too Many Requests")[plan.number % 3 == 0])
                return True
            case "bad head":
                await wire.say(b"\x16\x03\x01 garbage\r\n\r\n")
                return False
            case _:
                pass
        await wire.say(_HEAD)
        for burst in plan.bursts():
            pieces = b"".join(_chunk(plan.line(index)) for index in burst)
            if plan.fault == "bytes":
                await wire.say_slowly(pieces)
            else:
                await wire.say(pieces)
            self._parts += len(burst)
            await wire.rest(plan.pause)
        return await _fail(plan, wire)

    async def report(self, unanswered: list[int]) -> dict[str, Any]:
        """Wait for the last streams; then tell all, and which of the *unanswered* ones arrived all the same."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), _PATIENCE)
        return {
            "streams": len(self._known),
            "parts": self._parts,
            "faults": self._faults,
            "endings": self._endings,
            "to be left": self._faults["endless"] + self._faults["silence"],
            "twice": self._twice,
            "still open": [str(plan) for plan in self._under_way.values()],
            "connections": self._connections,
            "most connections": self._most_connections,
            "most streams": self._most_streams,
            "answered": [number for number in unanswered if number in self._known],
        }


async def _fail(plan: Plan, wire: _Wire) -> bool:
    """Do what comes behind the parts; give whether the connection stays."""
    stays = False
    match plan.fault:
        case "reset":
            wire.reset()
        case "cut":
            await wire.say(_cut(plan))
        case "stall":
            await wire.say(_cut(plan))
            await wire.rest(5 * plan.pause)
        case "silence":
            await wire.rest(_SILENCE)
        case "error":
            await wire.say(_chunk(b'{"error":"the model fell over"}\n') + _END)
            stays = True
        case "bad line":
            await wire.say(_chunk(b'{"model":"soak",,}\n') + _END)
        case "bad chunk":
            await wire.say(b"garbage\r\n")
        case "farewell":
            wire.bid_farewell(_END)
        case _:
            await wire.say(_END)
            stays = True
    return stays


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _cut(plan: Plan) -> bytes:
    whole = _chunk(plan.line(plan.parts))
    return whole[: len(whole) * (plan.number % 9 + 1) // 10]


class _Wire:
    """A connection that an answer is written to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def say(self, data: bytes) -> None:
        """Send *data*, no sooner than the client takes it."""
        if self._reader.at_eof():
            raise _LeftError
        self._writer.write(data)
        await self._writer.drain()

    def bid_farewell(self, data: bytes) -> None:
        """Send *data* and close the connection at once: a request that comes in between is one that nobody reads."""
        self._writer.write(data)
        self._writer.close()

    async def say_slowly(self, data: bytes) -> None:
        """Send byte by byte."""
        for place in range(len(data)):
            await self.say(data[place : place + 1])
            await asyncio.sleep(0)

    async def rest(self, seconds: float) -> None:
        """Wait, but notice a client that leaves."""
        end = asyncio.get_running_loop().time() + seconds
        while (left := end - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left, 0.2))
            if self._reader.at_eof() or self._writer.transport.is_closing():
                raise _LeftError

    def reset(self) -> None:
        """Break the connection."""
        linger = struct.pack("ii", 1, 0)
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()


async def main(seed: int) -> None:
    raise_file_limit()
    server = Server(seed)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=4096) as listening:
        print(listening.sockets[0].getsockname()[1], flush=True)
        asked = await asyncio.to_thread(sys.stdin.readline)
        if asked:
            print(json.dumps(await server.report(json.loads(asked))), flush=True)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
