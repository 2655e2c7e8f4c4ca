"""Arguments that are refused before any I/O. No sockets. Those that are images are in test_images.py."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from colours import Colour
from ollama_fast import Host, Limits, Timeout
from ollama_fast import _endpoints as to
from ollama_fast._request import Request
from ollama_fast._upload import Upload
from ollama_fast.types import Message

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
        ({"messages": "hi"}, "messages must be a sequence, not one str: write messages=.{'role': 'user'"),
        ({"messages": HI}, "messages must be a sequence, not one dict"),
        ({"messages": ["hi"]}, "a message must be a mapping with role and content, not str"),
        ({"messages": [HI, None]}, "a message must be a mapping with role and content, not NoneType"),
        ({"messages": [[("role", "user")]]}, "a message must be a mapping"),
        ({"messages": 5}, "messages must be a sequence"),
        ({"tools": TOOL}, "tools must be a sequence, not one dict"),
        ({"tools": "f"}, "tools must be a sequence, not one str: write tools=.[.][.][.]"),
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
        ({5: 1}, "[Kk]ey must be str"),
        (os, "module"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_without_a_form_in_json_is_a_type_error_that_names_it(value: Any, named: str) -> None:
    for request in (to.generate("m", options=value), to.generate("m", extra={"x": value})):
        with pytest.raises(TypeError, match=named):
            request.encode(stream=False)


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**100, 2**64 - 1, -(2**63), True])
def test_an_integer_may_be_of_any_length_and_stays_exact(number: int) -> None:
    image = b"\0image"
    messages: list[Message] = [{"role": "user", "content": "x", "images": [image]}]
    fields = sent(to.chat("m", messages, options={"seed": number}, extra={"x": ({"y": [number, None, 1.5, "z"]},)}))
    assert fields["options"] == {"seed": number}
    assert fields["x"] == [{"y": [number, None, 1.5, "z"]}]
    assert fields["messages"][0]["images"] == [base64.b64encode(image).decode()]
    with pytest.raises(TypeError, match=r"^x\[1\]: a value of type set"):
        to.chat("m", extra={"x": [number, {1, 2}]}).encode(stream=False)


def test_an_integer_that_python_does_not_write_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="digits"):
        to.chat("m", options={"seed": 10**5000}).encode(stream=False)


@dataclass
class Held:
    """Something of the caller's that has a form in JSON."""

    numbers: list[float]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_has_not_is_an_error_and_not_null(number: float) -> None:
    for request in (
        to.generate("m", keep_alive=number),
        to.chat("m", options={"temperature": number}),
        to.chat("m", format={"anyOf": [{"minimum": number}]}),
        to.generate("m", extra={"x": (1, number)}),
        to.generate("m", extra={"x": Held([number])}),
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


@pytest.mark.parametrize(
    ("request_", "place"),
    [
        (to.chat("m", [HI, {"role": "user", "content": b"x"}]), r"messages\[1\]\.content: a value of type bytes"),
        (to.chat("m", [{**HI, "n": {"deep": [1, Own()]}}]), r"messages\[0\]\.n\.deep\[1\]: a value of type Own"),
        (to.generate("m", options={"stop": ["\ud800"]}), r"options\.stop\[0\], for /api/generate, cannot be sent"),
        (to.generate("m", options={5: 1}), r"options, for /api/generate, cannot be sent .*[Kk]ey must be str"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        (to.generate("m", "a\ud800"), r"prompt, for /api/generate, cannot be sent .*surrogate"),
        (to.generate("m", options={"temperature": float("nan")}), r"options\.temperature: nan"),
        (to.generate("m", extra={"x": (1, float("inf"))}), r"x\[1\]: inf"),
        (to.systemone("m", {"a": [{1}]}, {}), r"state\.a\[0\]: a value of type set"),
    ],
)
def test_a_value_without_a_form_in_json_is_found(request_: Request[Any], place: str) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"^{place}"):
        request_.encode(stream=False)


def test_a_value_that_is_deep_inside_is_refused_all_the_same() -> None:
    deep: Any = Own()
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(TypeError, match=r"cannot be sent|no JSON form") as caught:
        to.generate("m", extra={"x": deep}).encode(stream=False)
    assert len(str(caught.value)) < 2000


# --- keywords of other clients ---------------------------------------------------------------------------------------

KEYWORDS: list[tuple[str, tuple[Any, ...], str, str]] = [
    ("chat", ("m",), "timeout", r"with_options\(timeout=...\)"),
    ("version", (), "timeout", r"with_options\(timeout=...\)"),
    ("chat", ("m",), "temperature", r"options=\{'temperature': ...\}"),
    ("generate_stream", ("m",), "num_ctx", r"options=\{'num_ctx': ...\}"),
    ("embed", ("m", "x"), "num_ctx", r"options=\{'num_ctx': ...\}"),
    ("map_chat", ("m", []), "top_p", r"options=\{'top_p': ...\}"),
    ("embed_many", ("m", []), "timeout", "with_options"),
    ("parse", ("m", "q", int), "temperature", r"options=\{'temperature': ...\}"),
    ("run_tools", ("m", "q", ()), "max_tokens", "num_predict"),
    ("chat", ("m",), "prompt", "generate takes a prompt"),
    ("chat_stream", ("m",), "system", "'role': 'system'"),
    ("chat", ("m",), "images", "belong into a message"),
    ("generate", ("m",), "messages", "chat takes messages"),
    ("map_generate", ("m", []), "messages", "chat takes messages"),
    ("generate", ("m",), "tools", "chat does"),
    ("embed", ("m",), "prompt", "'input'"),
    ("embeddings", ("m",), "input", "'prompt'"),
    ("show", (), "name", "'model'"),
    ("chat", ("m",), "host", "first argument"),
    ("chat", ("m",), "response_format", "'format'"),
    ("chat", ("m",), "headers", r"Host\(url, headers=...\)"),
    ("chat", ("m",), "api_key", r"Host\(url, auth=key\)"),
]


@pytest.mark.parametrize(("name", "arguments", "keyword", "hint"), KEYWORDS, ids=lambda value: str(value)[:20])
def test_a_keyword_of_other_clients_says_what_to_write(
    both: Colour, name: str, arguments: tuple[Any, ...], keyword: str, hint: str
) -> None:
    call = both.parts if name.endswith("_stream") else both.whole
    with pytest.raises(TypeError, match=rf"^{name}\(\) got an unexpected keyword argument '{keyword}'.* \(.*{hint}"):
        call(name, "http://127.0.0.1:1", *arguments, **{keyword: 1})


@pytest.mark.parametrize("name", ["generate", "generate_stream", "chat", "show"])
def test_who_leaves_out_the_host_is_told_that_it_comes_first(both: Colour, name: str) -> None:
    call = both.parts if name.endswith("_stream") else both.whole
    with pytest.raises(
        TypeError, match=rf"^{name}\(\) missing .*'model'.* \(the host is the first argument.*; None is"
    ):
        call(name, "smollm2")


@pytest.mark.parametrize("name", ["modle", "temperature"])
def test_a_keyword_that_nobody_knows_has_no_hint(both: Colour, name: str) -> None:
    with pytest.raises(TypeError, match=rf"'{name}'$"):
        both.whole("version", "http://127.0.0.1:1", **{name: 1})


# --- hosts -----------------------------------------------------------------------------------------------------------


def test_the_text_of_a_host_can_be_read_and_is_its_value() -> None:
    host = Host("gpu", timeout=Timeout(5))
    assert "Ellipsis" not in repr(host)
    assert "idle=..." in repr(host)
    assert eval(repr(host), {"Host": Host, "Timeout": Timeout, "Limits": Limits}) == host


def test_a_host_without_a_url_is_the_default_and_not_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "gpu")
    assert Host(timeout=5).url == "http://127.0.0.1:11434"
    assert Host.from_env().with_options(timeout=5) == Host("gpu", timeout=5)
