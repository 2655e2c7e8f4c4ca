"""Arguments that are refused before any I/O. No sockets. Those that are images are in test_images.py."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ollama_fast import _endpoints as to
from ollama_fast._request import Request
from ollama_fast._upload import Upload

DIGEST = "sha256:" + "0123456789abcdef" * 4
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
HI = {"role": "user", "content": "hi"}


def sent(request: Request[Any]) -> Any:
    return json.loads(request.encode(stream=False))


# --- what is refused -------------------------------------------------------------------------------------------------

NOT_A_MODEL: Any = [None, 5, b"m", ["m"], Path("m")]


@pytest.mark.parametrize("model", NOT_A_MODEL, ids=repr)
@pytest.mark.parametrize(
    "build",
    [to.generate, to.chat, to.embed, to.embeddings, to.show, to.delete, to.pull, to.push, to.web_search, to.web_fetch],
)
def test_a_name_that_is_no_str_is_a_type_error(build: Any, model: Any) -> None:
    with pytest.raises(TypeError, match="must be a str, not"):
        build(model)


@pytest.mark.parametrize("name", ["", " ", "\n"])
@pytest.mark.parametrize("build", [to.generate, to.chat, to.embed, to.show, to.delete, to.pull, to.web_search])
def test_an_empty_name_is_a_value_error(build: Any, name: str) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        build(name)


def test_both_names_of_a_copy_are_checked() -> None:
    with pytest.raises(ValueError, match="source must not be empty"):
        to.copy("", "b")
    with pytest.raises(ValueError, match="destination must not be empty"):
        to.copy("a", " ")
    with pytest.raises(TypeError, match="destination must be a str"):
        to.copy("a", None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"messages": "hi"}, "messages must be a sequence, not one str"),
        ({"messages": HI}, "messages must be a sequence, not one dict"),
        ({"messages": ["hi"]}, "a message must be a mapping with role and content, not str"),
        ({"messages": [HI, None]}, "a message must be a mapping with role and content, not NoneType"),
        ({"messages": [[("role", "user")]]}, "a message must be a mapping"),
        ({"messages": 5}, "messages must be a sequence"),
        ({"tools": TOOL}, "tools must be a sequence, not one dict"),
        ({"tools": "f"}, "tools must be a sequence, not one str"),
    ],
)
def test_arguments_of_chat_that_cannot_be_meant_are_type_errors(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        to.chat("m", **arguments)


@pytest.mark.parametrize("input", [b"text", {"a": "b"}, 5, None], ids=repr)
def test_an_input_that_is_no_text_is_a_type_error(input: Any) -> None:
    with pytest.raises(TypeError, match="input"):
        to.embed("m", input)


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "0" * 64,
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "A" * 64,
        "sha256-" + "0" * 64,
        "SHA256:" + "0" * 64,
        DIGEST + "\n",
        DIGEST + "\r\nX-Evil: 1",
        "sha256:../../../../api/delete",
        "sha256:" + "0" * 61 + "/..",
        "sha256:" + "٣" * 64,
        "../" + DIGEST,
    ],
)
def test_a_malformed_digest_is_a_value_error(digest: str) -> None:
    for build in (to.has_blob, lambda digest: to.upload_blob(digest, Upload(Path("x"), 0))):
        with pytest.raises(ValueError, match="digest must be"):
            build(digest)


def test_a_digest_that_is_no_str_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="digest must be a str, not bytes"):
        to.has_blob(DIGEST.encode())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# --- what has no form in JSON ----------------------------------------------------------------------------------------


class Own:
    """Something of the caller's."""


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({1, 2}, "set"),
        (Own(), "Own"),
        (b"bytes", "bytes"),
        (1j, "complex"),
        ({"deep": [{"er": Own()}]}, "Own"),
        (2**70, "64-bit"),
        ({5: 1}, "[Kk]ey must be str"),
        (os, "module"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_without_a_form_in_json_is_a_type_error_that_names_it(value: Any, named: str) -> None:
    for request in (to.generate("m", options=value), to.generate("m", extra={"x": value})):
        with pytest.raises(TypeError, match=named):
            request.encode(stream=False)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_has_not_is_an_error_and_not_null(number: float) -> None:
    for request in (
        to.generate("m", keep_alive=number),
        to.chat("m", options={"temperature": number}),
        to.chat("m", format={"anyOf": [{"minimum": number}]}),
        to.generate("m", extra={"x": (1, number)}),
    ):
        with pytest.raises(ValueError, match=r"nan|inf"):
            request.encode(stream=False)
    assert sent(to.chat("m", format={"default": None, "const": "null"}))["format"] == {"default": None, "const": "null"}


def test_half_a_surrogate_pair_is_an_error_that_says_so() -> None:
    for request in (to.generate("m", "a\ud800"), to.chat("m", [{"role": "user", "content": "\udfff"}])):
        with pytest.raises((TypeError, ValueError), match="surrogate"):
            request.encode(stream=False)


@pytest.mark.parametrize("extra", [5, "think", [("think", True)]], ids=repr)
def test_extra_that_is_no_mapping_is_a_type_error_that_says_so(extra: Any) -> None:
    with pytest.raises(TypeError, match="extra"):
        to.generate("m", extra=extra).encode(stream=False)
