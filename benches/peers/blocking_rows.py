"""
The blocking ways to ask for a chat that are compared.

Each is made with a URL, imports only what it uses, and gives a Row: it hands the text of each part to *take*.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson

from . import exchange

if TYPE_CHECKING:
    import httpx
    from pyreqwest.client import SyncClient

Take = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """
    One way to ask for a chat.

    Args:
        stream: Hands the text of each part to a function, and gives the total_duration of the last.

        whole: Gives the text of an answer in one piece.

        close: Closes the connections.
    """

    stream: Callable[[str, Take], int]
    whole: Callable[[], str]
    close: Callable[[], None]


def body(model: str, *, stream: bool) -> bytes:
    """Give the body of a request, for the rows that are not clients of Ollama."""
    return orjson.dumps({"model": model, "messages": exchange.MESSAGES, "stream": stream})


def ours(url: str) -> Row:
    import ollama_fast

    messages: Any = exchange.MESSAGES

    def stream(model: str, take: Take) -> int:
        part: Any = None
        for part in ollama_fast.chat_stream(url, model, messages):
            take(part["message"]["content"])
        return int(part["total_duration"])

    def whole() -> str:
        return ollama_fast.chat(url, exchange.WHOLE_MODEL, messages)["message"]["content"]

    return Row(stream, whole, ollama_fast.close)


def decoded(url: str) -> Row:
    import httpx

    import ollama_fast

    client = httpx.Client(base_url=url, transport=ollama_fast.Transport(), timeout=60)

    def stream(model: str, take: Take) -> int:
        part: Any = None
        with client.stream("POST", "/api/chat", content=body(model, stream=True)) as response:
            for part in response.extensions["ndjson"]:
                take(part["message"]["content"])
        return int(part["total_duration"])

    return Row(stream, functools.partial(_whole_of_httpx, client), client.close)


def official(url: str) -> Row:
    import ollama

    client = ollama.Client(url, trust_env=False)

    def stream(model: str, take: Take) -> int:
        part: Any = None
        for part in client.chat(model, exchange.MESSAGES, stream=True):
            take(part.message.content)
        return int(part.total_duration)

    def whole() -> str:
        return client.chat(exchange.WHOLE_MODEL, exchange.MESSAGES).message.content or ""

    return Row(stream, whole, client.close)


def httpx_orjson(url: str) -> Row:
    import httpx

    client = httpx.Client(base_url=url, trust_env=False, timeout=60)

    def stream(model: str, take: Take) -> int:
        part: Any = None
        with client.stream("POST", "/api/chat", content=body(model, stream=True)) as response:
            for line in response.iter_lines():
                part = orjson.loads(line)
                take(part["message"]["content"])
        return int(part["total_duration"])

    return Row(stream, functools.partial(_whole_of_httpx, client), client.close)


def _whole_of_httpx(client: httpx.Client) -> str:
    response = client.post("/api/chat", content=body(exchange.WHOLE_MODEL, stream=False))
    return str(orjson.loads(response.content)["message"]["content"])


def pyreqwest_orjson(url: str) -> Row:
    from pyreqwest.client import SyncClientBuilder

    client = SyncClientBuilder().base_url(url).timeout(timedelta(seconds=60)).no_proxy().build()
    return Row(
        functools.partial(_stream_of_pyreqwest, client), functools.partial(_whole_of_pyreqwest, client), client.close
    )


def _stream_of_pyreqwest(client: SyncClient, model: str, take: Take) -> int:
    part: Any = None
    with client.post("/api/chat").body_bytes(body(model, stream=True)).build_streamed() as response:
        for line in _lines(iter(response.body_reader.read_chunk, None)):
            part = orjson.loads(line)
            take(part["message"]["content"])
    return int(part["total_duration"])


def _whole_of_pyreqwest(client: SyncClient) -> str:
    response = client.post("/api/chat").body_bytes(body(exchange.WHOLE_MODEL, stream=False)).build().send()
    return str(orjson.loads(bytes(response.bytes()))["message"]["content"])


def _lines(chunks: Any) -> Iterator[bytes]:
    tail = b""
    for chunk in chunks:
        *lines, tail = (tail + bytes(chunk)).split(b"\n")
        yield from lines


ROWS: Final[Mapping[str, Callable[[str], Row]]] = {
    "ollama_fast": ours,
    "decoded stream": decoded,
    "official client": official,
    "httpx + orjson": httpx_orjson,
    "pyreqwest + orjson": pyreqwest_orjson,
}
