"""Many inputs over a genuine Ollama server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import ollama_fast
from colours import Colour
from ollama_fast import aio
from ollama_fast.errors import InputsError, ModelNotFoundError
from peers import unused_port
from real.target import Genuine

pytestmark = pytest.mark.real

TEXTS = [f"The number {number} and the word {'abc'[number % 3]}." for number in range(23)]


def gather(colour: Colour, function: str, /, *args: Any, **kwargs: Any) -> list[Any]:
    async def run() -> list[Any]:
        return [one async for one in getattr(aio, function)(*args, **kwargs)]

    return asyncio.run(run()) if colour.asynchronous else list(getattr(ollama_fast, function)(*args, **kwargs))


def test_embed_many_gives_what_embed_gives(both: Colour, real: Genuine) -> None:
    expected = ollama_fast.embed(real.url, real.model, TEXTS)["embeddings"]
    with unused_port() as port:  # the second host is dead
        hosts = [real.url, f"127.0.0.1:{port}"]
        vectors = gather(both, "embed_many", hosts, real.model, iter(TEXTS), batch_size=4, concurrency=2)
    assert len(vectors) == len(expected)
    for vector, wanted in zip(vectors, expected, strict=True):
        assert vector.tolist() == pytest.approx(wanted, abs=2e-3)  # what is computed beside it counts a little


def test_map_generate_and_map_chat_give_what_generate_and_chat_give(both: Colour, real: Genuine) -> None:
    options: Any = {"temperature": 0, "seed": 7, "num_predict": 4}
    prompts = ["3 + 4 =", "The sky is", "Once upon a"]
    answers = gather(both, "map_generate", real.url, real.model, prompts, options=options, concurrency=2)
    alone = [ollama_fast.generate(real.url, real.model, prompt, options=options) for prompt in prompts]
    assert [one["response"] for one in answers] == [one["response"] for one in alone]
    conversations = [[{"role": "user", "content": prompt}] for prompt in prompts]
    answers = gather(both, "map_chat", real.url, real.model, conversations, options=options, concurrency=2)
    alone_too = [ollama_fast.chat(real.url, real.model, messages, options=options) for messages in conversations]
    assert [one["message"] for one in answers] == [one["message"] for one in alone_too]


def test_an_unknown_model_is_an_error_of_the_first_inputs(both: Colour, real: Genuine) -> None:
    with pytest.raises(InputsError) as caught:
        gather(both, "embed_many", real.url, "no-such-model", TEXTS, batch_size=4)
    assert type(caught.value.__cause__) is ModelNotFoundError
    assert caught.value.inputs == range(4)
