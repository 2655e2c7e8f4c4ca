"""Clients of `ollama_fast.compat` and of the package `ollama` get the same of a genuine server, in both colours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import pytest

from ollama_fast import _upload
from packages import GENUINE, OURS, Colour, Package
from real.target import Genuine

pytestmark = pytest.mark.real

OPTIONS: Final = {"temperature": 0, "seed": 7, "num_predict": 8}
QUESTION: Final = [{"role": "user", "content": "What is 3 + 4?"}]
CHANGING: Final = {"created_at", "modified_at", "expires_at", "digest", "size_vram"}
"""Fields that are others each time, beside those of durations."""

Scenario = Callable[[Package, Any, Genuine, str], Awaitable[Any]]


def add(a: int, b: int) -> int:
    """
    Add two numbers.

    Args:
        a (int): The first number.
        b (int): The second number.
    """
    return a + b


async def chat(package: Package, client: Any, real: Genuine, _name: str) -> Any:
    whole = await package.get(client.chat(real.model, QUESTION, options=OPTIONS, **real.at_once))
    stream = await package.get(client.chat(real.model, QUESTION, options=OPTIONS, stream=True, **real.at_once))
    parts = await package.parts(stream)
    assert "".join(part.message.content for part in parts) == whole.message.content != ""
    again = [*QUESTION, whole.message, package.module.Message(role="user", content="And 4 + 5?")]
    return whole, parts, await package.get(client.chat(real.model, again, options=OPTIONS, **real.at_once))


async def generate(package: Package, client: Any, real: Genuine, _name: str) -> Any:
    options = package.module.Options(**OPTIONS)
    arguments = (real.model, "Why is the sky blue?")
    whole = await package.get(client.generate(*arguments, options=options, logprobs=True, top_logprobs=2))
    stream = await package.get(client.generate(*arguments, options=options, stream=True))
    shape = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    return (
        whole,
        await package.parts(stream),
        await package.get(client.generate(*arguments, format=shape, options=options)),
    )


async def embed(package: Package, client: Any, real: Genuine, _name: str) -> Any:
    several = await package.get(client.embed(real.model, ["a", "b"]))
    assert all(type(number) is float for vector in several.embeddings for number in vector)
    one = await package.get(client.embed(real.model, "a", truncate=True, dimensions=8))
    return several, one, await package.get(client.embeddings(real.model, "a"))


async def tools(package: Package, client: Any, real: Genuine, _name: str) -> Any:
    real.need("model_with_tools")
    call = {
        "type": "object",
        "properties": {"name": {"const": "add"}, "parameters": {"type": "object"}},
        "required": ["name", "parameters"],
    }
    return await package.get(
        client.chat(real.model_with_tools, QUESTION, tools=[add], format=call, options={**OPTIONS, "num_predict": 60})
    )


async def models(package: Package, client: Any, real: Genuine, name: str) -> Any:
    copied = await package.get(client.copy(real.model, name))
    listed = await package.get(client.list())
    (found,) = [model for model in listed.models if model.model == f"{name}:latest"]
    assert found.modified_at.timestamp() > 0
    shown = await package.get(client.show(name))
    assert shown.modelinfo
    await package.get(client.generate(real.model, keep_alive="5m"))
    loaded = (await package.get(client.ps())).models
    deleted = await package.get(client.delete(name))
    return copied, shown, [model.model for model in loaded], deleted


async def create(package: Package, client: Any, real: Genuine, name: str) -> Any:
    made = await package.get(client.create(name, from_=real.model, system="Be brief.", parameters={"seed": 1}))
    stream = await package.get(client.create(name, from_=real.model, stream=True))
    steps = [part.status for part in await package.parts(stream)]
    assert steps[-1] == "success"
    await package.get(client.delete(name))
    return made


async def blobs(package: Package, client: Any, real: Genuine, name: str) -> Any:
    real.need("gguf")
    assert real.gguf is not None
    fresh = real.gguf.with_name(f"{name}.bin")
    fresh.write_bytes(f"{package}".encode() * 1000)
    assert await package.get(client.create_blob(fresh)) == _upload.digest(fresh)
    fresh.unlink()
    digest = _upload.digest(real.gguf)
    if package.is_ours:  # the server has it already, and hangs up: the genuine client of asyncio fails at that
        assert await package.get(client.create_blob(real.gguf)) == digest
    made = await package.get(client.create(name, files={"model.gguf": digest}))
    shown = await package.get(client.show(name))
    await package.get(client.delete(name))
    return digest, made, shown.details


async def registry(package: Package, client: Any, real: Genuine, _name: str) -> Any:
    real.need("registry")
    assert real.registry is not None
    name = real.registry.model(f"compat-{package.module.__name__.replace('_', '-').replace('.', '-')}-{package.colour}")
    await package.get(client.copy(real.model, name))
    pushed = await package.get(client.push(name, insecure=True))
    await package.get(client.delete(name))
    stream = await package.get(client.pull(name, insecure=True, stream=True))
    statuses = {part.status.partition(" ")[0] for part in await package.parts(stream)}
    await package.get(client.delete(name))
    return pushed, sorted(statuses)


async def errors(package: Package, client: Any, _real: Genuine, _name: str) -> Any:
    told: list[Any] = []

    async def fail(ask: Coroutine[Any, Any, Any] | Any) -> None:
        with pytest.raises(package.module.ResponseError) as caught:
            await ask
        told.append((caught.value.error, caught.value.status_code, str(caught.value)))

    async def next_of(stream: Any) -> None:
        await package.next(await package.get(stream))

    async def of(call: Callable[[], Any]) -> None:
        await package.get(call())

    await fail(of(lambda: client.chat("no-such-model", QUESTION)))
    await fail(next_of(client.chat("no-such-model", QUESTION, stream=True)))
    await fail(of(lambda: client.show("no-such-model")))
    await fail(of(lambda: client.delete("no-such-model")))
    await fail(of(lambda: client.copy("no-such-model", "another")))
    await fail(of(lambda: client.embed("no-such-model", "a")))
    return told


SCENARIOS: Final[list[Scenario]] = [chat, generate, embed, tools, models, create, blobs, registry, errors]


def lasting(value: Any) -> Any:
    """Give what is the same each time, of models as well as of what they hold; unknown fields are ours alone."""
    if hasattr(value, "model_dump"):
        fields = type(value).model_fields
        return lasting({name: getattr(value, name) for name in fields})
    if isinstance(value, dict):
        kept = {name for name in value if name not in CHANGING and not str(name).endswith("_duration")}
        return {name: lasting(value[name]) for name in kept}
    if isinstance(value, list | tuple):
        return [lasting(item) for item in value]
    return value


@pytest.mark.parametrize("colour", ["blocking", "asyncio"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_both_packages_get_the_same(scenario: Scenario, colour: Colour, real: Genuine) -> None:
    async def run(package: Package) -> Any:
        client = package.client(real.url)
        try:
            return lasting(await scenario(package, client, real, f"compat-{scenario.__name__}-{colour}"))
        finally:
            await package.get(client.close())

    expected = asyncio.run(run(Package(GENUINE, colour)))
    assert asyncio.run(run(Package(OURS, colour))) == expected
