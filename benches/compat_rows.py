"""What `make bench-compat` times: the same calls, made of `ollama` and of what stands in for it."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx
import numpy as np
import orjson

import ollama_fast
from ollama_fast.types import Message

from .compat_server import PACED, TEXT
from .wire import MODEL, chat_lines, text_of

GENUINE: Final = "official client"
OURS: Final = "ollama_fast.compat"
STOCK: Final = "ollama_fast.compat, httpx's transport"
HOOKED: Final = "ollama_fast.compat, with a hook of httpx"
FUNCTIONS: Final = "ollama_fast, functions"
VALIDATED: Final = "ollama_fast.compat, validated"
CONSTRUCTED: Final = "ollama_fast.compat, model_construct"

BLOCKING: Final = "blocking"
ASYNCIO: Final = "asyncio"
COLOURS: Final = (BLOCKING, ASYNCIO)

STREAM: Final = "stream"
PACED_STREAM: Final = "paced"
ITEMS: Final = "items"
DUMP: Final = "dump"
GENERATE: Final = "generate"
WHOLE: Final = "whole"
EMBED: Final = "embed"
MODELS: Final = "models"
PLAIN: Final = "client"
TLS: Final = "client-https"

PARTS: Final = 2_000
VECTORS: Final = 512
LENGTH: Final = 1024
WHOLES: Final = 50
CLIENTS: Final = 100
CLIENTS_OF_GENUINE: Final = 3

MODULES: Final = {GENUINE: "ollama", OURS: "ollama_fast.compat"}

_MESSAGES: Final[list[Message]] = [{"role": "user", "content": "Why is the sky blue?"}]
_MANY: Final = ["Why is the sky blue?"] * VECTORS


@dataclass(frozen=True)
class Task:
    """
    Something to time.

    Args:
        run: Does it.

        right: Whether what it gave is what was sent.

        count: How many parts, calls or clients one run has: what its time is divided by.

        undo: Lets go of what it gave, when the clock has stopped.
    """

    section: str
    colour: str
    row: str
    run: Callable[[], Any]
    right: Callable[[Any], bool]
    count: int
    undo: Callable[[Any], object] = lambda _: None


def tasks(url: str, runner: asyncio.Runner) -> Iterator[Task]:
    """Give all tasks; their clients stay open."""
    blocking: dict[str, Any] = {name: importlib.import_module(module).Client(url) for name, module in MODULES.items()}
    on_asyncio: dict[str, Any] = {
        name: importlib.import_module(module).AsyncClient(url) for name, module in MODULES.items()
    }
    compat = importlib.import_module(MODULES[OURS])
    blocking[STOCK] = compat.Client(url, transport=httpx.HTTPTransport())
    on_asyncio[STOCK] = compat.AsyncClient(url, transport=httpx.AsyncHTTPTransport())
    blocking[HOOKED] = compat.Client(url, event_hooks={"request": [_ignore]})
    on_asyncio[HOOKED] = compat.AsyncClient(url, event_hooks={"request": [_ignore_on_asyncio]})
    yield from _models()
    for name, client in blocking.items():
        yield from _blocking(name, client)
    for name, client in on_asyncio.items():
        yield from _asyncio(name, client, runner)
    yield from _functions(url, runner)
    for name in MODULES:
        yield from _pacing(name, blocking[name], on_asyncio[name], runner)
        yield from _making(name, runner)


def _ignore(_: httpx.Request) -> None:
    """Stand for a hook of a caller, for which a request goes all the way through httpx's client."""


async def _ignore_on_asyncio(_: httpx.Request) -> None:
    """Do the same on asyncio."""


# --- models ----------------------------------------------------------------------------------------------------------


def _models() -> Iterator[Task]:
    parts = [orjson.loads(line) for line in chat_lines(PARTS)]
    types = {name: importlib.import_module(f"{module}._types") for name, module in MODULES.items()}
    genuine, ours = types[GENUINE].ChatResponse, types[OURS].ChatResponse
    message: Any = types[OURS].Message

    def constructed(part: dict[str, Any]) -> Any:
        return ours.model_construct(**{**part, "message": message.model_construct(**part["message"])})

    ways: dict[str, Callable[[dict[str, Any]], Any]] = {
        GENUINE: lambda part: genuine(**part),
        OURS: importlib.import_module(f"{MODULES[OURS]}._answers").maker(ours),
        VALIDATED: lambda part: ours(**part),
        CONSTRUCTED: constructed,
    }

    def right(made: Any) -> bool:
        return _right_dumps([one.model_dump() for one in made])

    for name, make in ways.items():

        def run(make: Callable[[dict[str, Any]], Any] = make) -> Any:
            return [make(part) for part in parts]

        yield Task(MODELS, BLOCKING, name, run, right, PARTS)


# --- calls -----------------------------------------------------------------------------------------------------------


def _right_text(found: Any) -> bool:
    return bool("".join(found) == text_of(chat_lines(PARTS))) and len(found) == PARTS


def _right_paced(found: Any) -> bool:
    return bool("".join(found) == text_of(chat_lines(PACED))) and len(found) == PACED


def _right_dumps(found: Any) -> bool:
    return _right_text([part["message"]["content"] for part in found])


def _right_wholes(found: Any) -> bool:
    return bool(found == [TEXT] * WHOLES)


def _right_vectors(found: Any) -> bool:
    as_lists = isinstance(found, list) and isinstance(found[0], list) and isinstance(found[0][0], float)
    numbers = np.asarray(found, np.float32)
    return as_lists and numbers.shape == (VECTORS, LENGTH) and bool(np.isfinite(numbers).all() and numbers.any())


def _blocking(name: str, client: Any) -> Iterator[Task]:
    def chat() -> Any:
        return client.chat(MODEL, _MESSAGES, stream=True)

    def stream() -> Any:
        return [part.message.content for part in chat()]

    def items() -> Any:
        return [part["message"]["content"] for part in chat()]

    def dump() -> Any:
        return [part.model_dump() for part in chat()]

    def generate() -> Any:
        return [part.response for part in client.generate(MODEL, "Why?", stream=True)]

    def whole() -> Any:
        return [client.chat(MODEL, _MESSAGES).message.content for _ in range(WHOLES)]

    def embed() -> Any:
        return client.embed(MODEL, _MANY).embeddings

    yield Task(STREAM, BLOCKING, name, stream, _right_text, PARTS)
    if name in MODULES:
        yield Task(ITEMS, BLOCKING, name, items, _right_text, PARTS)
        yield Task(DUMP, BLOCKING, name, dump, _right_dumps, PARTS)
        yield Task(GENERATE, BLOCKING, name, generate, _right_text, PARTS)
    yield Task(WHOLE, BLOCKING, name, whole, _right_wholes, WHOLES)
    if name != HOOKED:
        yield Task(EMBED, BLOCKING, name, embed, _right_vectors, 1)


def _asyncio(name: str, client: Any, runner: asyncio.Runner) -> Iterator[Task]:
    async def chat() -> Any:
        return await client.chat(MODEL, _MESSAGES, stream=True)

    async def stream() -> Any:
        return [part.message.content async for part in await chat()]

    async def items() -> Any:
        return [part["message"]["content"] async for part in await chat()]

    async def dump() -> Any:
        return [part.model_dump() async for part in await chat()]

    async def generate() -> Any:
        return [part.response async for part in await client.generate(MODEL, "Why?", stream=True)]

    async def whole() -> Any:
        return [(await client.chat(MODEL, _MESSAGES)).message.content for _ in range(WHOLES)]

    async def embed() -> Any:
        return (await client.embed(MODEL, _MANY)).embeddings

    yield Task(STREAM, ASYNCIO, name, _run(runner, stream), _right_text, PARTS)
    if name in MODULES:
        yield Task(ITEMS, ASYNCIO, name, _run(runner, items), _right_text, PARTS)
        yield Task(DUMP, ASYNCIO, name, _run(runner, dump), _right_dumps, PARTS)
        yield Task(GENERATE, ASYNCIO, name, _run(runner, generate), _right_text, PARTS)
    yield Task(WHOLE, ASYNCIO, name, _run(runner, whole), _right_wholes, WHOLES)
    if name != HOOKED:
        yield Task(EMBED, ASYNCIO, name, _run(runner, embed), _right_vectors, 1)


def _pacing(name: str, client: Any, on_asyncio: Any, runner: asyncio.Runner) -> Iterator[Task]:
    def stream() -> Any:
        return [part.message.content for part in client.chat("paced", _MESSAGES, stream=True)]

    async def stream_on_asyncio() -> Any:
        return [part.message.content async for part in await on_asyncio.chat("paced", _MESSAGES, stream=True)]

    yield Task(PACED_STREAM, BLOCKING, name, stream, _right_paced, PACED)
    yield Task(PACED_STREAM, ASYNCIO, name, _run(runner, stream_on_asyncio), _right_paced, PACED)


def _run(runner: asyncio.Runner, job: Callable[[], Awaitable[Any]]) -> Callable[[], Any]:
    async def wait() -> Any:
        return await job()

    return lambda: runner.run(wait())


def _functions(url: str, runner: asyncio.Runner) -> Iterator[Task]:
    def stream() -> Any:
        return [part["message"]["content"] for part in ollama_fast.chat_stream(url, MODEL, _MESSAGES)]

    async def stream_on_asyncio() -> Any:
        return [part["message"]["content"] async for part in ollama_fast.aio.chat_stream(url, MODEL, _MESSAGES)]

    def whole() -> Any:
        return [ollama_fast.chat(url, MODEL, _MESSAGES)["message"]["content"] for _ in range(WHOLES)]

    async def whole_on_asyncio() -> Any:
        return [(await ollama_fast.aio.chat(url, MODEL, _MESSAGES))["message"]["content"] for _ in range(WHOLES)]

    yield Task(STREAM, BLOCKING, FUNCTIONS, stream, _right_text, PARTS)
    yield Task(STREAM, ASYNCIO, FUNCTIONS, _run(runner, stream_on_asyncio), _right_text, PARTS)
    yield Task(WHOLE, BLOCKING, FUNCTIONS, whole, _right_wholes, WHOLES)
    yield Task(WHOLE, ASYNCIO, FUNCTIONS, _run(runner, whole_on_asyncio), _right_wholes, WHOLES)


# --- making a client -------------------------------------------------------------------------------------------------


def _making(name: str, runner: asyncio.Runner) -> Iterator[Task]:
    module = importlib.import_module(MODULES[name])
    count = CLIENTS_OF_GENUINE if name == GENUINE else CLIENTS

    async def close(clients: list[Any]) -> None:
        for client in clients:
            await client._client.aclose()

    for section, host in {PLAIN: "http://127.0.0.1:11434", TLS: "https://example.com"}.items():

        def right(clients: Any, host: str = host) -> bool:
            return all(str(client._client.base_url).rstrip("/").startswith(host) for client in clients)

        def blocking(host: str = host) -> Any:
            return [module.Client(host) for _ in range(count)]

        def on_asyncio(host: str = host) -> Any:
            return [module.AsyncClient(host) for _ in range(count)]

        yield Task(section, BLOCKING, name, blocking, right, count, lambda made: [one._client.close() for one in made])
        yield Task(section, ASYNCIO, name, on_asyncio, right, count, lambda made: runner.run(close(made)))
