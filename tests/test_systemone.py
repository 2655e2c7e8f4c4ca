"""System One against the shapes of the official client: Ollama's own table does not have it."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest

import ollama_fast
from ollama_fast import _endpoints, types
from shapes import required

official: Any = pytest.importorskip("ollama._types", reason="the official client is not installed")


def of_model(model: Any) -> dict[str, bool]:
    return {name: field.is_required() for name, field in model.model_fields.items()}


@pytest.mark.parametrize("name", sorted(name for name in vars(types) if name.startswith("SystemOne")))
def test_system_one_has_the_official_shapes(name: str) -> None:
    theirs = getattr(official, name)
    if not isinstance(theirs, type):
        return  # a union of the others
    expected = of_model(theirs)
    if name.endswith("Question"):
        expected["type"] = True  # theirs writes it for you
    assert required(getattr(types, name)) == expected


def test_system_one_has_no_shape_less_than_the_official_one() -> None:
    theirs = {name for name in vars(official) if name.startswith("SystemOne")} - {"SystemOneRequest"}
    assert theirs <= set(types.__all__)


def test_system_one_takes_the_official_request() -> None:
    parameters = inspect.signature(ollama_fast.systemone).parameters
    expected = of_model(official.SystemOneRequest)
    assert {
        name: parameter.default is inspect.Parameter.empty
        for name, parameter in parameters.items()
        if name not in ("host", "extra")
    } == expected
    request = _endpoints.systemone("m", "state", {"q": {"type": "noul", "instructions": "?"}}, keep_alive=0)
    assert (request.method, request.path) == ("POST", "/v1/systemone")
    sent = json.loads(request.encode(stream=False))
    read = official.SystemOneRequest.model_validate(sent)
    assert read.model_dump(exclude_none=True) == sent
