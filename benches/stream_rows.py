"""The ways to read a chat's stream that are compared: each takes what it gets, part by part."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx
import ollama
import orjson

import ollama_fast
from ollama_fast.types import Message

Take = Callable[[Any], None]
Row = Callable[[str, Take], None]
AsyncRow = Callable[[str, Take], Awaitable[None]]

RAW: Final = "httpx, raw bytes"
ORJSON: Final = "httpx + orjson, by lines"
OFFICIAL: Final = "official client"
OURS: Final = "ollama_fast"

MESSAGES: Final[list[Message]] = [{"role": "user", "content": "Why is the sky blue?"}]
_OFFICIAL_MESSAGES: Final[list[Any]] = list(MESSAGES)


def _body(model: str) -> bytes:
    return orjson.dumps({"model": model, "messages": MESSAGES, "stream": True})


def blocking(url: str) -> dict[str, Row]:
    """Give the blocking rows, each with a client that stays open."""
    client = httpx.Client(base_url=url, trust_env=False, timeout=60)
    official_client = ollama.Client(url, trust_env=False)

    def raw(model: str, take: Take) -> None:
        with client.stream("POST", "/api/chat", content=_body(model)) as response:
            for chunk in response.iter_raw():
                take(chunk)

    def by_lines(model: str, take: Take) -> None:
        with client.stream("POST", "/api/chat", content=_body(model)) as response:
            for line in response.iter_lines():
                take(orjson.loads(line)["message"]["content"])

    def official(model: str, take: Take) -> None:
        for part in official_client.chat(model, _OFFICIAL_MESSAGES, stream=True):
            take(part.message.content)

    def ours(model: str, take: Take) -> None:
        for part in ollama_fast.chat_stream(url, model, MESSAGES):
            take(part["message"]["content"])

    return {RAW: raw, OURS: ours, ORJSON: by_lines, OFFICIAL: official}


def asyncio(url: str) -> dict[str, AsyncRow]:
    """Give the rows for asyncio, each with a client that stays open."""
    client = httpx.AsyncClient(base_url=url, trust_env=False, timeout=60)
    official_client = ollama.AsyncClient(url, trust_env=False)

    async def raw(model: str, take: Take) -> None:
        async with client.stream("POST", "/api/chat", content=_body(model)) as response:
            async for chunk in response.aiter_raw():
                take(chunk)

    async def by_lines(model: str, take: Take) -> None:
        async with client.stream("POST", "/api/chat", content=_body(model)) as response:
            async for line in response.aiter_lines():
                take(orjson.loads(line)["message"]["content"])

    async def official(model: str, take: Take) -> None:
        async for part in await official_client.chat(model, _OFFICIAL_MESSAGES, stream=True):
            take(part.message.content)

    async def ours(model: str, take: Take) -> None:
        async for part in ollama_fast.aio.chat_stream(url, model, MESSAGES):
            take(part["message"]["content"])

    return {RAW: raw, OURS: ours, ORJSON: by_lines, OFFICIAL: official}
