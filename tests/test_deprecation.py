"""How a public name goes, as docs/public.md says: it works, has its true signature, and warns where it is called."""

import asyncio
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from typing_extensions import deprecated

import ollama_fast
from ollama_fast import aio
from ollama_fast.testing import reply, serve

pytestmark = pytest.mark.unsent

SAID = "old() goes in 2.0: call generate()"


def of_asyncio(url: str, old: Callable[..., Any]) -> object:
    async def ask() -> object:
        return await old(url, "m", "hi")

    return asyncio.run(ask())


def blocking(url: str, old: Callable[..., Any]) -> object:
    return old(url, "m", "hi")


@pytest.mark.parametrize(
    ("new", "ask"),
    [
        pytest.param(ollama_fast.generate, blocking, id="blocking"),
        pytest.param(aio.generate, of_asyncio, id="asyncio"),
        pytest.param(ollama_fast.generate_stream, blocking, id="stream"),
    ],
)
def test_a_deprecated_function_works_and_warns_where_it_is_called(
    new: Callable[..., Any], ask: Callable[[str, Callable[..., Any]], object]
) -> None:
    old = deprecated(SAID)(new)
    assert inspect.signature(old) == inspect.signature(new)
    with serve(reply("yes")) as server, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DeprecationWarning)
        given = ask(server.url, old)
        ollama_fast.close()
    assert isinstance(given, ollama_fast.Stream) or (isinstance(given, dict) and given["response"] == "yes")
    (warning,) = (one for one in caught if issubclass(one.category, DeprecationWarning))
    assert (str(warning.message), warning.filename) == (SAID, __file__)
