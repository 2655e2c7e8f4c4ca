"""Arguments to requests: what is sent for which arguments, and which arguments are refused. No sockets."""

from __future__ import annotations

import json
from collections import UserDict
from copy import deepcopy
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from ollama_fast import _endpoints as to
from ollama_fast._request import Request
from ollama_fast._upload import Upload

DIGEST = "sha256:" + "0123456789abcdef" * 4
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
CALL = {"id": "call_1", "function": {"index": 0, "name": "f", "arguments": {"b": 1, "a": [None, 1.5]}}}
HI = {"role": "user", "content": "hi"}
EVERY_COMMON = {
    "format": SCHEMA,
    "think": "max",
    "truncate": False,
    "shift": False,
    "logprobs": True,
    "top_logprobs": 20,
    "options": {"temperature": 0.5, "stop": ("a", "b"), "seed": -1},
    "keep_alive": "5m",
}
SENT_COMMON = {**EVERY_COMMON, "options": {"temperature": 0.5, "stop": ["a", "b"], "seed": -1}}


def sent(request: Request[Any], *, stream: bool = False) -> Any:
    return json.loads(request.encode(stream=stream))


# --- what is sent ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "method", "path", "body"),
    [
        (to.generate("m"), "POST", "/api/generate", {"model": "m", "stream": False}),
        (to.generate("m", "p"), "POST", "/api/generate", {"model": "m", "prompt": "p", "stream": False}),
        (
            to.generate(
                "m",
                "p",
                suffix="s",
                system="y",
                template="t",
                context=[1, 2],
                raw=True,
                images=["AAAA"],
                debug_render_only=True,
                **EVERY_COMMON,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            ),
            "POST",
            "/api/generate",
            {
                "model": "m",
                "prompt": "p",
                "suffix": "s",
                "system": "y",
                "template": "t",
                "context": [1, 2],
                "raw": True,
                "images": ["AAAA"],
                "_debug_render_only": True,
                "stream": False,
                **SENT_COMMON,
            },
        ),
        (to.chat("m"), "POST", "/api/chat", {"model": "m", "messages": [], "stream": False}),
        (
            to.chat("m", [HI], tools=[TOOL], debug_render_only=False, **EVERY_COMMON),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            "POST",
            "/api/chat",
            {
                "model": "m",
                "messages": [HI],
                "tools": [TOOL],
                "_debug_render_only": False,
                "stream": False,
                **SENT_COMMON,
            },
        ),
        (to.embed("m"), "POST", "/api/embed", {"model": "m", "input": []}),
        (to.embed("m", "a"), "POST", "/api/embed", {"model": "m", "input": "a"}),
        (
            to.embed("m", ("a", "b"), truncate=False, dimensions=8, options={"num_ctx": 1}, keep_alive=0),
            "POST",
            "/api/embed",
            {
                "model": "m",
                "input": ["a", "b"],
                "truncate": False,
                "dimensions": 8,
                "options": {"num_ctx": 1},
                "keep_alive": 0,
            },
        ),
        (
            to.embeddings("m", "", options={}, keep_alive=-1),
            "POST",
            "/api/embeddings",
            {"model": "m", "prompt": "", "options": {}, "keep_alive": -1},
        ),
        (
            to.systemone("m", {"a": [1]}, {"q": {"type": "score", "instructions": "i", "criteria": ["x", "y"]}}),
            "POST",
            "/v1/systemone",
            {
                "model": "m",
                "state": {"a": [1]},
                "questions": {"q": {"type": "score", "instructions": "i", "criteria": ["x", "y"]}},
            },
        ),
        (
            to.show("m", verbose=True, system="s", options={"seed": 0}),
            "POST",
            "/api/show",
            {"model": "m", "verbose": True, "system": "s", "options": {"seed": 0}},
        ),
        (to.copy("a", "b"), "POST", "/api/copy", {"source": "a", "destination": "b"}),
        (to.delete("m"), "DELETE", "/api/delete", {"model": "m"}),
        (to.pull("m", insecure=True), "POST", "/api/pull", {"model": "m", "insecure": True, "stream": False}),
        (to.push("m"), "POST", "/api/push", {"model": "m", "stream": False}),
        (
            to.create_from("m", {"from": "n", "files": {"a.gguf": DIGEST}, "system": None, "messages": [HI]}, None),
            "POST",
            "/api/create",
            {"model": "m", "from": "n", "files": {"a.gguf": DIGEST}, "messages": [HI], "stream": False},
        ),
        (
            to.web_search("q", max_results=3, via_server=True),
            "POST",
            "/api/experimental/web_search",
            {"query": "q", "max_results": 3},
        ),
        (to.web_search("q"), "POST", "/api/web_search", {"query": "q"}),
        (to.web_fetch("https://x"), "POST", "/api/web_fetch", {"url": "https://x"}),
    ],
)
def test_arguments_become_a_body(request_: Request[Any], method: str, path: str, body: dict[str, Any]) -> None:
    assert (request_.method, request_.path) == (method, path)
    assert sent(request_) == body


@pytest.mark.parametrize(
    ("request_", "method", "path"),
    [
        (to.list_models(), "GET", "/api/tags"),
        (to.ps(), "GET", "/api/ps"),
        (to.root(), "GET", "/"),
        (to.version(), "GET", "/api/version"),
        (to.status(), "GET", "/api/status"),
        (to.model_recommendations(), "GET", "/api/experimental/model-recommendations"),
        (to.whoami(), "POST", "/api/me"),
        (to.signout(), "POST", "/api/signout"),
        (to.has_blob(DIGEST), "HEAD", f"/api/blobs/{DIGEST}"),
        (to.upload_blob(DIGEST, Upload(Path("x"), 5)), "POST", f"/api/blobs/{DIGEST}"),
    ],
)
def test_a_request_without_fields_has_no_body(request_: Request[Any], method: str, path: str) -> None:
    assert (request_.method, request_.path) == (method, path)
    assert request_.encode(stream=False) == b""


def test_a_search_goes_to_ollama_com_or_through_the_server() -> None:
    assert to.web_search("q").origin == to.web_fetch("u").origin == "https://ollama.com"
    assert to.web_search("q", via_server=True).origin is to.web_fetch("u", via_server=True).origin is None


@pytest.mark.parametrize("stream", [True, False])
def test_what_can_stream_says_always_whether_it_does(stream: bool) -> None:
    can: list[Request[Any]] = [to.generate("m"), to.chat("m"), to.pull("m"), to.push("m")]
    for request in (*can, to.create_from("m", {}, None)):
        assert sent(request, stream=stream)["stream"] is stream
    cannot: list[Request[Any]] = [to.embed("m", "x"), to.show("m"), to.web_search("q")]
    for request in cannot:
        assert "stream" not in sent(request, stream=stream)


def test_only_none_is_left_out() -> None:
    body = sent(
        to.generate(
            "m", "", raw=False, think=False, top_logprobs=0, context=[], images=[], options={}, keep_alive=0, format=""
        )
    )
    assert body == {
        "model": "m",
        "prompt": "",
        "raw": False,
        "think": False,
        "top_logprobs": 0,
        "context": [],
        "images": [],
        "options": {},
        "keep_alive": 0,
        "format": "",
        "stream": False,
    }
    assert sent(to.chat("m", [], tools=[])) == {"model": "m", "messages": [], "tools": [], "stream": False}


def test_a_none_inside_a_value_is_sent() -> None:
    options: Any = {"seed": None}
    body = sent(to.chat("m", [{"role": "user", "content": None}], options=options))
    assert body["messages"] == [{"role": "user", "content": None}]
    assert body["options"] == {"seed": None}


def test_extra_is_merged_last() -> None:
    request = to.chat("m", [HI], extra={"think": "ultra", "new": None, "deep": {"a": [1]}})
    assert sent(request) == {
        "model": "m",
        "messages": [HI],
        "think": "ultra",
        "new": None,
        "deep": {"a": [1]},
        "stream": False,
    }


@pytest.mark.parametrize(
    "request_",
    [
        to.chat("m", think=True, extra={"think": "ultra"}),
        to.show("m", extra={"model": "other"}),
        to.create_from("m", {"from": "n"}, {"from": "other"}),
        to.generate("m", debug_render_only=True, extra={"_debug_render_only": False}),
    ],
)
def test_extra_cannot_say_what_a_parameter_says(request_: Request[Any]) -> None:
    with pytest.raises(ValueError, match="is given by its own parameter, too"):
        request_.encode(stream=False)


@pytest.mark.parametrize(
    "request_",
    [to.generate("m", extra={"stream": True}), to.pull("m", extra={"stream": None}), to.show("m", extra={"stream": 0})],
)
def test_extra_cannot_say_whether_it_streams(request_: Request[Any]) -> None:
    with pytest.raises(ValueError, match="'stream'"):
        request_.encode(stream=False)


def test_mappings_and_sequences_of_any_kind_are_sent() -> None:
    message = MappingProxyType({"role": "user", "content": UserDict({"a": (1, 2)})})
    body = sent(to.chat("m", (message,), extra=MappingProxyType({"x": UserDict({"y": 1})})))
    assert body["messages"] == [{"role": "user", "content": {"a": [1, 2]}}]
    assert body["x"] == {"y": 1}


def test_any_sequence_of_integers_is_a_context() -> None:
    for context in ([0, 1, 2], (0, 1, 2), range(3)):
        assert sent(to.generate("m", context=context))["context"] == [0, 1, 2]


def test_text_arrives_as_it_was() -> None:
    text = 'a"b\\c\n\0\u0085\u2028é😀<&>'
    assert sent(to.generate("m", text, options={"stop": [text]}))["prompt"] == text
    assert sent(to.chat("m", [{"role": "user", "content": text}]))["messages"][0]["content"] == text


def test_what_the_caller_passed_is_never_changed() -> None:
    messages: list[Any] = [
        {"role": "user", "content": "c", "images": [b"image", Path(__file__)]},
        {"role": "x", "tool_calls": [CALL]},
    ]
    options: Any = {"stop": ["a"], "seed": None}
    extra = {"think": {"a": [1]}}
    tools = [TOOL]
    before = deepcopy((messages, options, extra, tools, SCHEMA))
    request = to.chat("m", messages, tools=tools, format=SCHEMA, options=options, extra=extra)
    body = request.encode(stream=True)
    assert (messages, options, extra, tools, SCHEMA) == before
    assert request.encode(stream=True) == body


def test_an_answers_message_can_be_sent_back() -> None:
    answer = {"role": "assistant", "content": "", "thinking": "t", "tool_calls": [CALL]}
    result = {"role": "tool", "content": "5", "tool_name": "f", "tool_call_id": "call_1"}
    assert sent(to.chat("m", [HI, answer, result]))["messages"] == [HI, answer, result]
