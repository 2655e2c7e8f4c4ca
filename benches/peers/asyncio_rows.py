"""
The ways to ask for a chat on asyncio that are compared, made as in blocking_rows.

httpx opens 100 connections at most if it is not told otherwise, and then the rest of the streams wait in line. The
official client is there both as it comes and without that bound; the other rows have none. A bound of 20 on the
connections that are kept while unused is httpx's own; without it, its pool takes a time that grows with the third
power of their number.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson

from . import exchange
from .blocking_rows import Take, body

if TYPE_CHECKING:
    import httpx
    import ollama
    from pyreqwest.client import Client
    from pyreqwest.response import ResponseBodyReader


@dataclass(frozen=True)
class AsyncRow:
    """One way to ask for a chat: what Row in blocking_rows is, to be awaited."""

    stream: Callable[[str, Take], Awaitable[int]]
    whole: Callable[[], Awaitable[str]]
    close: Callable[[], Awaitable[None]]


async def ours(url: str) -> AsyncRow:
    from ollama_fast import aio

    messages: Any = exchange.MESSAGES

    async def stream(model: str, take: Take) -> int:
        part: Any = None
        async for part in aio.chat_stream(url, model, messages):
            take(part["message"]["content"])
        return int(part["total_duration"])

    async def whole() -> str:
        return (await aio.chat(url, exchange.WHOLE_MODEL, messages))["message"]["content"]

    return AsyncRow(stream, whole, aio.close)


async def decoded(url: str) -> AsyncRow:
    import httpx

    import ollama_fast

    transport = ollama_fast.AsyncTransport(limits=_unbounded())
    client = httpx.AsyncClient(base_url=url, transport=transport, timeout=60)

    async def stream(model: str, take: Take) -> int:
        part: Any = None
        async with client.stream("POST", "/api/chat", content=body(model, stream=True)) as response:
            async for part in response.extensions["ndjson"]:
                take(part["message"]["content"])
        return int(part["total_duration"])

    return AsyncRow(stream, functools.partial(_whole_of_httpx, client), client.aclose)


async def official(url: str) -> AsyncRow:
    import ollama

    return _official(ollama.AsyncClient(url, trust_env=False))


async def official_unbounded(url: str) -> AsyncRow:
    import ollama

    return _official(ollama.AsyncClient(url, trust_env=False, limits=_unbounded()))


def _official(client: ollama.AsyncClient) -> AsyncRow:
    async def stream(model: str, take: Take) -> int:
        part: Any = None
        async for part in await client.chat(model, exchange.MESSAGES, stream=True):
            take(part.message.content)
        return int(part.total_duration)

    async def whole() -> str:
        return (await client.chat(exchange.WHOLE_MODEL, exchange.MESSAGES)).message.content or ""

    return AsyncRow(stream, whole, client.close)


def _unbounded() -> httpx.Limits:
    import httpx

    return httpx.Limits(max_connections=None, max_keepalive_connections=20)


async def httpx_orjson(url: str) -> AsyncRow:
    import httpx

    client = httpx.AsyncClient(base_url=url, trust_env=False, timeout=60, limits=_unbounded())

    async def stream(model: str, take: Take) -> int:
        part: Any = None
        async with client.stream("POST", "/api/chat", content=body(model, stream=True)) as response:
            async for line in response.aiter_lines():
                part = orjson.loads(line)
                take(part["message"]["content"])
        return int(part["total_duration"])

    return AsyncRow(stream, functools.partial(_whole_of_httpx, client), client.aclose)


async def _whole_of_httpx(client: httpx.AsyncClient) -> str:
    response = await client.post("/api/chat", content=body(exchange.WHOLE_MODEL, stream=False))
    return str(orjson.loads(response.content)["message"]["content"])


async def aiohttp_orjson(url: str) -> AsyncRow:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=0)
    session = aiohttp.ClientSession(url, connector=connector, timeout=aiohttp.ClientTimeout(total=None, sock_read=60))

    async def stream(model: str, take: Take) -> int:
        part: Any = None
        async with session.post("/api/chat", data=body(model, stream=True)) as response:
            async for line in response.content:
                part = orjson.loads(line)
                take(part["message"]["content"])
        return int(part["total_duration"])

    async def whole() -> str:
        async with session.post("/api/chat", data=body(exchange.WHOLE_MODEL, stream=False)) as response:
            return str(orjson.loads(await response.read())["message"]["content"])

    return AsyncRow(stream, whole, session.close)


async def pyreqwest_orjson(url: str) -> AsyncRow:
    from pyreqwest.client import ClientBuilder

    client = ClientBuilder().base_url(url).timeout(timedelta(seconds=60)).no_proxy().build()
    return AsyncRow(
        functools.partial(_stream_of_pyreqwest, client), functools.partial(_whole_of_pyreqwest, client), client.close
    )


async def _stream_of_pyreqwest(client: Client, model: str, take: Take) -> int:
    part: Any = None
    async with client.post("/api/chat").body_bytes(body(model, stream=True)).build_streamed() as response:
        async for line in _lines(response.body_reader):
            part = orjson.loads(line)
            take(part["message"]["content"])
    return int(part["total_duration"])


async def _whole_of_pyreqwest(client: Client) -> str:
    response = await client.post("/api/chat").body_bytes(body(exchange.WHOLE_MODEL, stream=False)).build().send()
    return str(orjson.loads(bytes(await response.bytes()))["message"]["content"])


async def _lines(reader: ResponseBodyReader) -> AsyncIterator[bytes]:
    tail = b""
    while (chunk := await reader.read_chunk()) is not None:
        *lines, tail = (tail + bytes(chunk)).split(b"\n")
        for line in lines:
            yield line


ROWS: Final[Mapping[str, Callable[[str], Awaitable[AsyncRow]]]] = {
    "ollama_fast": ours,
    "decoded stream": decoded,
    "official client": official,
    "official client, unbounded": official_unbounded,
    "httpx + orjson": httpx_orjson,
    "aiohttp + orjson": aiohttp_orjson,
    "pyreqwest + orjson": pyreqwest_orjson,
}
