"""The genuine package `ollama` and `ollama_fast.compat`, called alike: what each sends, gives and raises."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final

import httpx
import ollama
import pydantic
import pydantic_core

import ollama_fast.compat
from packages import PACKAGES, Package
from replay import Action, Received, ReplayServer, Respond, replay

Answer = Respond


@dataclass(frozen=True)
class Made:
    """An object that each package makes by its own class."""

    cls: str
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __repr__(self) -> str:
        return f"{self.cls}({', '.join(f'{name}={value!r}' for name, value in self.fields.items())})"


def made(recipe: Any, package: ModuleType) -> Any:
    """Give a value in which every Made has become an object of *package*."""
    if isinstance(recipe, Made):
        cls: Any = package
        for name in recipe.cls.split("."):
            cls = getattr(cls, name)
        return cls(**made(dict(recipe.fields), package))
    if isinstance(recipe, dict):
        return {name: made(value, package) for name, value in recipe.items()}
    if isinstance(recipe, list | tuple):
        return type(recipe)(made(value, package) for value in recipe)
    return recipe


@dataclass
class Outcome:
    """What a call sent, gave and raised."""

    sent: list[Received] = field(default_factory=list[Received])
    parts: list[Any] = field(default_factory=list[Any])
    error: Exception | None = None

    @property
    def requests(self) -> list[tuple[str, str, Any]]:
        """The method, path and body of what was sent."""
        return [(each.method, each.path, json.loads(each.body) if each.body else None) for each in self.sent]

    @property
    def headers(self) -> list[dict[str, str]]:
        """The headers of what was sent, in lower case."""
        return [{name.lower(): value for name, value in each.headers} for each in self.sent]

    @property
    def dumps(self) -> list[Any]:
        """What was given, as plain values."""
        return [part.model_dump() if isinstance(part, pydantic.BaseModel) else part for part in self.parts]

    @property
    def failure(self) -> tuple[list[str], str, Any] | None:
        """
        Which of the classes that programs catch the error is, what it says, and its status.

        What it shows of values is left out: objects show what they keep.
        """
        if self.error is None:
            return None
        kinds = [name for name, kind in CAUGHT.items() if isinstance(self.error, kind)]
        text = re.sub(r"input_value=.*?, input_type=", "input_type=", str(self.error))
        return kinds, text, getattr(self.error, "status_code", None)


CAUGHT: Final[dict[str, Any]] = {
    "RequestError": (ollama.RequestError, ollama_fast.compat.RequestError),
    "ResponseError": (ollama.ResponseError, ollama_fast.compat.ResponseError),
    **{
        kind.__name__: kind
        for kind in (
            *(ConnectionError, TypeError, ValueError, AttributeError, json.JSONDecodeError),
            *(httpx.ConnectError, httpx.TimeoutException, httpx.RemoteProtocolError, httpx.ReadError),
            *(pydantic.ValidationError, pydantic_core.PydanticSerializationError),
        )
    },
}
"""What programs catch, by the names that it has there."""


@dataclass
class Beside:
    """All four clients, for one server."""

    server: ReplayServer
    clients: dict[Package, Any]
    runner: asyncio.Runner
    answer: Answer | None = None
    """What the server answers with."""

    def call(self, package: Package, method: str, arguments: Mapping[str, Any]) -> Outcome:
        """Call *method* with *arguments*, in which Made stands for objects of the package."""
        client = self.clients[package]
        before = len(self.server.requests)
        outcome = Outcome()
        try:
            given = made(dict(arguments), package.module)
            if package.asynchronous:
                self.runner.run(_awaited(client, method, given, outcome.parts))
            else:
                _blocking(client, method, given, outcome.parts)
        except Exception as exc:  # noqa: BLE001 - it is compared
            outcome.error = exc
        outcome.sent = self.server.requests[before:]
        return outcome

    def all(self, method: str, arguments: Mapping[str, Any]) -> dict[Package, Outcome]:
        """Call *method* of all four clients."""
        return {package: self.call(package, method, arguments) for package in PACKAGES}


def _blocking(client: Any, method: str, arguments: dict[str, Any], parts: list[Any]) -> None:
    given = getattr(client, method)(**arguments)
    if not isinstance(given, Iterator):
        parts.append(given)
        return
    for part in given:
        parts.append(part)  # noqa: PERF402 - those before an error count


async def _awaited(client: Any, method: str, arguments: dict[str, Any], parts: list[Any]) -> None:
    given = await getattr(client, method)(**arguments)
    if not hasattr(given, "__aiter__"):
        parts.append(given)
        return
    async for part in given:
        parts.append(part)  # noqa: PERF401 - those before an error count


@contextmanager
def beside(**options: Any) -> Generator[Beside]:
    """
    Start a server, and make clients of it.

    Args:
        options: Of every client.
    """
    running: list[Beside] = []

    def respond(request: Received) -> Iterable[Action]:
        answer = running[0].answer
        assert answer is not None
        return answer(request)

    with replay(respond=respond) as server, asyncio.Runner() as runner:
        given = {"host": server.url, "timeout": 10, "trust_env": False, **options}
        clients = {package: package.kind(**given) for package in PACKAGES}
        running.append(Beside(server, clients, runner))
        try:
            yield running[0]
        finally:
            for package, client in clients.items():
                if package.asynchronous:
                    runner.run(client.close())
                else:
                    client.close()
