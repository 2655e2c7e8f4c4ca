"""What is measured, as bytes: lines of a genuine server's chat, a big answer of embed, an image."""

from __future__ import annotations

import json
import random
from typing import Any, Final

import orjson

MODEL: Final = "smollm2"

CHAT_LINE: Final = (
    b'{"model":"smollm2","created_at":"2026-11-23T22:31:53.583049701Z",'
    b'"message":{"role":"assistant","content":"ria"},"done":false}\n'
)
"""A line that a genuine server sent; kept here, because tests/exchanges change when they are recorded anew."""

_LAST_LINE: Final = (
    b'{"model":"smollm2","created_at":"2026-11-23T22:31:53.615905026Z","message":{"role":"assistant","content":""},'
    b'"done":true,"done_reason":"stop","total_duration":118678564,"load_duration":45757807,"prompt_eval_count":47,'
    b'"prompt_eval_duration":19135831,"eval_count":4,"eval_duration":47993440}\n'
)

_TOKENS: Final = (
    " sky",
    " is",
    " blue",
    " because",
    " of",
    " the",
    " way",
    " light",
    " scatter",
    "s",
    ",",
    " caf\u00e9",
)


def chat_lines(count: int) -> list[bytes]:
    """Give the *count* lines of a chat's stream: like CHAT_LINE with other tokens and times, and a last one."""
    start, _, rest = CHAT_LINE.partition(b"583049701Z")
    before, _, after = rest.partition(b"ria")
    lines: list[bytes] = []
    for number in range(count - 1):
        token = _TOKENS[number % len(_TOKENS)].encode()
        lines.append(b"%s%09dZ%s%s%s" % (start, number * 40_093 % 1_000_000_000, before, token, after))
    return [*lines, _LAST_LINE]


def text_of(lines: list[bytes]) -> str:
    """Give the text that chat *lines* spell."""
    return "".join(json.loads(line)["message"]["content"] for line in lines)


def embed_answer(rows: int, columns: int) -> bytes:
    """Give an answer of embed, its numbers as long as float32 is shown."""
    source = random.Random(7)  # the same numbers every time
    vectors = [[float(f"{source.gauss(0, columns**-0.5):.8g}") for _ in range(columns)] for _ in range(rows)]
    answer: dict[str, Any] = {
        "model": MODEL,
        "embeddings": vectors,
        "total_duration": 14143917,
        "load_duration": 1019500,
        "prompt_eval_count": 512,
    }
    return json.dumps(answer, separators=(",", ":")).encode()


def float32_answer(rows: int, columns: int) -> bytes:
    """Give an answer of embed whose numbers are the shortest texts of float32, as a server writes them."""
    import numpy as np

    source = random.Random(7)  # the same numbers every time
    vectors = np.array([[source.gauss(0, columns**-0.5) for _ in range(columns)] for _ in range(rows)], np.float32)
    answer = {"model": MODEL, "embeddings": vectors, "total_duration": 14143917, "prompt_eval_count": 512}
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def image(size: int) -> bytes:
    """Give *size* bytes that no compressor could shorten, as in an image."""
    return random.Random(7).randbytes(size)
