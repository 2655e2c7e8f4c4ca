"""
Bytes into objects, and an image into base64: the core beside json, orjson, msgspec and the official client.

Every row first proves its answer against json.loads or base64.b64encode. No test asserts a speed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
import ollama
import orjson
import pydantic
import pytest

from ollama_fast import _core

from .wire import CHAT_LINE, embed_answer, image

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

Row = Callable[[], Any]

_LINES_PER_CHUNK: Final = 100


def _official_chat() -> Row:
    line = CHAT_LINE.decode().rstrip("\n")  # as its iter_lines() gives it
    return lambda: ollama.ChatResponse(**json.loads(line))


def _line_by_line() -> Row:
    feed = _core.LineDecoder().feed
    return lambda: next(feed(CHAT_LINE))


def _by_chunks() -> Row:
    feed, chunk = _core.LineDecoder().feed, CHAT_LINE * _LINES_PER_CHUNK
    return lambda: list(feed(chunk))


def _decoders(text: bytes) -> dict[str, Row]:
    msgspec_decode = msgspec.json.Decoder().decode
    return {
        "json.loads": lambda: json.loads(text),
        "orjson.loads": lambda: orjson.loads(text),
        "msgspec.json.Decoder.decode": lambda: msgspec_decode(text),
        "_core.decode": lambda: _core.decode(text),
    }


EMBED_ANSWER: Final = embed_answer(64, 768)
IMAGE: Final = image(1 << 20)

CHAT: Final[Mapping[str, Row]] = {
    **_decoders(CHAT_LINE),
    "official: ChatResponse(**json.loads(line))": _official_chat(),
    "_core.LineDecoder, a line per chunk": _line_by_line(),
    f"_core.LineDecoder, {_LINES_PER_CHUNK} lines per chunk": _by_chunks(),
}
EMBED: Final[Mapping[str, Row]] = {
    **_decoders(EMBED_ANSWER),
    "official: EmbedResponse(**json.loads(body))": lambda: ollama.EmbedResponse(**json.loads(EMBED_ANSWER)),
}
BASE64: Final[Mapping[str, Row]] = {
    "base64.b64encode().decode()": lambda: base64.b64encode(IMAGE).decode(),
    "_core.encode_base64": lambda: _core.encode_base64(IMAGE),
}


def _plain(answer: Any) -> Any:
    return answer.model_dump(exclude_unset=True) if isinstance(answer, pydantic.BaseModel) else answer


@pytest.mark.parametrize("name", CHAT)
@pytest.mark.benchmark(group="chat")
def test_chat_line(benchmark: BenchmarkFixture, name: str) -> None:
    expected = json.loads(CHAT_LINE)
    answer = _plain(CHAT[name]())
    lines = len(answer) if isinstance(answer, list) else 1
    assert (answer if lines > 1 else [answer]) == [expected] * lines
    benchmark.extra_info.update(row=name, per=lines)
    benchmark(CHAT[name])


@pytest.mark.parametrize("name", EMBED)
@pytest.mark.benchmark(group="embed")
def test_embed_answer(benchmark: BenchmarkFixture, name: str) -> None:
    assert _plain(EMBED[name]()) == json.loads(EMBED_ANSWER)
    benchmark.extra_info.update(row=name, per=1)
    benchmark(EMBED[name])


@pytest.mark.parametrize("name", BASE64)
@pytest.mark.benchmark(group="base64")
def test_base64_of_an_image(benchmark: BenchmarkFixture, name: str) -> None:
    assert BASE64[name]() == base64.b64encode(IMAGE).decode()
    benchmark.extra_info.update(row=name, per=1)
    benchmark(BASE64[name])
