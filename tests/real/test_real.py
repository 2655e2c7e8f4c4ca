"""Every endpoint against a genuine Ollama server, in both colours, streamed and whole."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from colours import Colour
from ollama_fast import _core, _memory, aio
from ollama_fast.errors import ModelNotFoundError, ResponseError
from real import safetensors
from real.target import Genuine

pytestmark = pytest.mark.real

OPTIONS = {"temperature": 0, "seed": 7, "num_predict": 16}
QUESTION = [{"role": "user", "content": "What is 3 + 4?"}]
INTEGER = {"type": "integer"}
ADDENDS = {"type": "object", "properties": {"a": INTEGER, "b": INTEGER}, "required": ["a", "b"]}
ADD = {"type": "function", "function": {"name": "add", "description": "Add two numbers.", "parameters": ADDENDS}}
CALL_OF_ADD = {
    "type": "object",
    "properties": {"name": {"const": "add"}, "parameters": ADDENDS},
    "required": ["name", "parameters"],
}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": INTEGER},
    "required": ["name", "age"],
}


def merged(memory: Any, parts: list[Any]) -> dict[str, Any]:
    for part in parts:
        memory.add(part)
    answer: dict[str, Any] = memory.merged()
    return answer


# --- generate and chat -----------------------------------------------------------------------------------------------


def test_generate(every: Colour, real: Genuine) -> None:
    whole = every.whole("generate", real.url, real.model, "Why is the sky blue?", options=OPTIONS, **real.at_once)
    seen = every.parts("generate_stream", real.url, real.model, "Why is the sky blue?", options=OPTIONS, **real.at_once)
    assert seen.error is None
    answer = merged(_memory.Generated(), seen.parts)
    for given in (whole, answer):
        assert given["done"] is True
        assert given["done_reason"] in ("stop", "length")
        assert given["model"] == real.model
        assert given["eval_count"] > 0 < given["total_duration"]
    assert answer["response"] == whole["response"] != ""
    assert len(seen.parts) > 2
    assert seen.partial == answer


def test_chat(every: Colour, real: Genuine) -> None:
    whole = every.whole("chat", real.url, real.model, QUESTION, options=OPTIONS, **real.at_once)
    seen = every.parts("chat_stream", real.url, real.model, QUESTION, options=OPTIONS, **real.at_once)
    assert seen.error is None
    answer = merged(_memory.Chatted(), seen.parts)
    assert answer["message"] == whole["message"]
    assert whole["message"]["role"] == "assistant"
    assert whole["done"] is answer["done"] is True
    # An answer can be sent back as it is.
    again = [*QUESTION, whole["message"], {"role": "user", "content": "And 4 + 5?"}]
    assert every.whole("chat", real.url, real.model, again, options=OPTIONS)["done"] is True


def test_structured_output_follows_its_schema(both: Colour, real: Genuine) -> None:
    messages = [{"role": "user", "content": "Ann is 30 years old. Who is she?"}]
    options = {**OPTIONS, "num_predict": 64}
    answer = both.whole("chat", real.url, real.model, messages, format=PERSON, options=options, **real.at_once)
    person = json.loads(answer["message"]["content"])
    assert isinstance(person["name"], str)
    assert isinstance(person["age"], int)
    text = both.whole(
        "generate", real.url, real.model, "A person as JSON:", format=PERSON, options=options, **real.at_once
    )["response"]
    assert set(json.loads(text)) == {"name", "age"}


def test_tools_are_called(both: Colour, real: Genuine) -> None:
    real.need("model_with_tools")
    arguments: dict[str, Any] = {"tools": [ADD], "format": CALL_OF_ADD, "options": {**OPTIONS, "num_predict": 64}}
    whole = both.whole("chat", real.url, real.model_with_tools, QUESTION, **arguments)
    seen = both.parts("chat_stream", real.url, real.model_with_tools, QUESTION, **arguments)
    assert seen.error is None
    for message in (whole["message"], merged(_memory.Chatted(), seen.parts)["message"]):
        (call,) = message["tool_calls"]
        assert call["function"]["name"] == "add"
        assert call["function"]["arguments"] == {"a": 3, "b": 4}
        result = {"role": "tool", "content": "7", "tool_name": "add", "tool_call_id": call["id"]}
        answer = both.whole("chat", real.url, real.model_with_tools, [*QUESTION, message, result], options=OPTIONS)
        assert answer["done"] is True


def test_images_are_base64_to_the_server(both: Colour, real: Genuine, tmp_path: Path) -> None:
    # Without a model that sees: the server reads the body, and with it every image, before it looks at the model.
    out = io.BytesIO()
    PIL.Image.new("RGB", (32, 32), (200, 10, 10)).save(out, "PNG")
    data = out.getvalue()
    path = tmp_path / "image.png"
    path.write_bytes(data)
    lines = base64.encodebytes(data).decode()
    for size in (0, 1, 2):  # which end with every padding
        longer = data + bytes(size)
        for image in (longer, bytearray(longer), base64.b64encode(longer).decode()):
            assert "illegal base64" not in said_of(both, real, image)
    others: list[Any] = [path, io.BytesIO(data), PIL.Image.open(path), lines, lines.replace("\n", "\r\n")]
    for image in others:
        assert "illegal base64" not in said_of(both, real, image)
    for text in ("AA-_", "AAA", "AA=A", "data:image/png;base64,AAAA", "cat.png"):
        seen = both.attempt("generate", real.url, real.model, "What is this?", extra={"images": [text]})
        assert isinstance(seen.error, ResponseError)
        assert seen.error.status == 400
        assert "illegal base64 data at input byte" in str(seen.error)


def test_what_is_base64_here_is_base64_to_the_server(real: Genuine) -> None:
    blocking = Colour(asynchronous=False)
    chance = random.Random(11)
    texts = sorted({"".join(chance.choices("AB/=\n\r- ", [9, 9, 9, 5, 3, 1, 1, 1], k=n % 10)) for n in range(300)})
    seen = {True: 0, False: 0}
    for text in texts:
        if not text.strip("\r\n"):
            continue  # no image at all, which is refused here
        options = {"num_predict": 1}
        found = blocking.attempt("generate", real.url, real.model, "?", extra={"images": [text]}, options=options)
        accepted = found.error is None
        assert accepted or "illegal base64 data" in str(found.error), text
        assert (_core.base64_fault(text, 0) is None) is accepted, text
        seen[accepted] += 1
    print(f"accepted: {seen[True]}, refused: {seen[False]}")
    assert min(seen.values()) > 10


def said_of(both: Colour, real: Genuine, image: Any) -> str:
    """Give what the server says of a generate and of a chat with *image*; nothing if it answers."""
    message = {"role": "user", "content": "What is this?", "images": [image]}
    options = {**OPTIONS, "num_predict": 1}
    asked = both.attempt("generate", real.url, real.model, "What is this?", images=[image], options=options)
    talked = both.attempt("chat", real.url, real.model, [message], options=options)
    said = " / ".join("" if seen.error is None else str(seen.error) for seen in (asked, talked))
    print(f"of {type(image).__name__}: {said}")
    return said


def test_thinking_comes_apart_from_the_answer(both: Colour, real: Genuine) -> None:
    real.need("model_that_thinks")
    seen = both.parts("chat_stream", real.url, real.model_that_thinks, QUESTION, think=True, options=OPTIONS)
    assert seen.error is None
    assert any(part["message"].get("thinking") for part in seen.parts)
    whole = both.whole("chat", real.url, real.model_that_thinks, QUESTION, think=True, options=OPTIONS)
    assert whole["message"]["thinking"] == (seen.partial or {})["message"]["thinking"]
    text = both.whole("generate", real.url, real.model_that_thinks, "3 + 4 =", think=True, options=OPTIONS)
    assert text["thinking"] != ""


def test_logprobs(both: Colour, real: Genuine) -> None:
    answer = both.whole(
        "chat", real.url, real.model, QUESTION, logprobs=True, top_logprobs=2, options={**OPTIONS, "num_predict": 4}
    )
    assert len(answer["logprobs"]) >= 1
    for entry in answer["logprobs"]:
        assert entry["logprob"] <= 0
        assert len(entry["top_logprobs"]) == 2


def test_a_call_without_a_prompt_loads_and_unloads(both: Colour, real: Genuine) -> None:
    assert both.whole("generate", real.url, real.model)["done_reason"] == "load"
    assert both.whole("ps", real.url)["models"] != []  # under this name, or another of the same file
    assert both.whole("chat", real.url, real.model)["done_reason"] == "load"
    seen = both.parts("generate_stream", real.url, real.model)
    assert [part["done_reason"] for part in seen.parts] == ["load"]
    assert both.whole("generate", real.url, real.model, keep_alive=0)["done_reason"] == "unload"


def test_only_the_prompt_is_rendered(both: Colour, real: Genuine) -> None:
    answer = both.whole("chat", real.url, real.model, QUESTION, debug_render_only=True)
    assert "What is 3 + 4?" in answer["_debug_info"]["rendered_template"]
    seen = both.parts("generate_stream", real.url, real.model, "hi", debug_render_only=True)
    assert (len(seen.parts), seen.error) == (1, None)


def test_eight_streams_at_once(real: Genuine) -> None:
    async def one(number: int) -> str:
        stream = aio.generate_stream(real.url, real.model, f"Count from {number}:", options={"num_predict": 8})
        return "".join([part["response"] async for part in stream])

    async def run() -> list[str]:
        return await asyncio.gather(*(one(number) for number in range(8)))

    assert len(asyncio.run(run())) == 8


def test_a_stream_that_is_left_early_frees_the_model(both: Colour, real: Genuine) -> None:
    options = {"num_predict": 2000, "temperature": 0}

    def leave() -> dict[str, Any] | None:
        with both.module.generate_stream(real.url, real.model, "A very long story:", options=options) as stream:
            for count, _part in enumerate(stream, 1):
                if count == 3:
                    break
            partial: dict[str, Any] | None = stream.partial
            return partial

    async def leave_later() -> dict[str, Any] | None:
        async with both.module.generate_stream(real.url, real.model, "A very long story:", options=options) as stream:
            count = 0
            async for _part in stream:
                count += 1
                if count == 3:
                    break
            partial: dict[str, Any] | None = stream.partial
            return partial

    partial = asyncio.run(leave_later()) if both.asynchronous else leave()
    assert partial is not None
    assert partial["done"] is False
    assert both.whole("generate", real.url, real.model, "hi", options={"num_predict": 1})["done"] is True


# --- vectors ---------------------------------------------------------------------------------------------------------


def test_embed(both: Colour, real: Genuine) -> None:
    answer = both.whole("embed", real.url, real.model, ["a", "b"], dimensions=8)
    assert [len(vector) for vector in answer["embeddings"]] == [8, 8]
    for vector in answer["embeddings"]:
        assert math.isclose(math.hypot(*vector), 1, abs_tol=1e-4)
    one = both.whole("embed", real.url, real.model, "a")["embeddings"]
    old = both.whole("embeddings", real.url, real.model, "a")["embedding"]
    assert [len(one), len(one[0])] == [1, len(old)]
    assert both.whole("embed", real.url, real.model)["embeddings"] == []


def test_embed_array_has_the_numbers_of_embed(every: Colour, real: Genuine) -> None:
    for texts, options in ((["a", "b", "Grüße"], {}), ("sea", {}), (["a", "b"], {"dimensions": 8})):
        plain = every.whole("embed", real.url, real.model, texts, **options)
        answer = every.whole("embed_array", real.url, real.model, texts, **options)
        vectors = np.asarray(answer)
        assert vectors.shape == answer.shape == np.shape(plain["embeddings"])
        assert np.array_equal(vectors, np.array(plain["embeddings"], np.float32))
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
        assert (answer.model, answer.prompt_eval_count) == (plain["model"], plain["prompt_eval_count"])
        assert answer.response.keys() == plain.keys() - {"embeddings"}
    assert every.whole("embed_array", real.url, real.model).shape == (0, 0)


# --- models ----------------------------------------------------------------------------------------------------------


def test_models_are_listed_shown_copied_and_deleted(both: Colour, real: Genuine) -> None:
    name = f"ollama-fast-test-copy-{both}"
    assert both.whole("copy", real.url, real.model, name) is None
    names = [model["name"] for model in both.whole("list", real.url)["models"]]
    assert f"{name}:latest" in names
    shown = both.whole("show", real.url, name)
    assert "completion" in shown["capabilities"]
    assert shown["details"]["format"] == "gguf"
    assert isinstance(both.whole("show", real.url, name, verbose=True)["model_info"], dict)
    assert both.whole("delete", real.url, name) is None
    with pytest.raises(ModelNotFoundError):
        both.whole("show", real.url, name)


def test_a_model_is_made_from_another(both: Colour, real: Genuine) -> None:
    name = f"ollama-fast-test-made-{both}"
    seen = both.parts("create_stream", real.url, name, from_=real.model, system="Be brief.", parameters={"top_k": 5})
    assert seen.error is None
    assert seen.parts[-1] == {"status": "success"}
    shown = both.whole("show", real.url, name)
    assert shown["system"] == "Be brief."
    assert "top_k" in shown["parameters"]
    assert both.whole("create", real.url, name, from_=real.model) == {"status": "success"}
    both.whole("delete", real.url, name)


def test_a_model_is_made_from_a_local_file(both: Colour, real: Genuine) -> None:
    real.need("gguf")
    assert real.gguf is not None
    name = f"ollama-fast-test-file-{both}"
    seen = both.parts("create_stream", real.url, name, files=real.gguf)
    assert seen.error is None
    sent = [part for part in seen.parts if part["status"].startswith("uploading ")][-1]
    assert sent["completed"] == sent["total"] == real.gguf.stat().st_size
    assert seen.parts[-1] == {"status": "success"}
    assert both.whole("has_blob", real.url, sent["digest"]) is True
    assert both.whole("has_blob", real.url, "sha256:" + "0" * 64) is False
    assert both.whole("generate", real.url, name, "hi", options={"num_predict": 1})["done"] is True
    both.whole("delete", real.url, name)


def test_a_model_is_made_from_a_safetensors_folder_and_another_with_an_adapter(
    both: Colour, real: Genuine, tmp_path: Path
) -> None:
    name = f"ollama-fast-test-folder-{both}"
    safetensors.write_model(tmp_path / "model")
    seen = both.parts("create_stream", real.url, name, files=tmp_path / "model")
    assert seen.error is None
    assert {"status": "converting model"} in seen.parts
    shown = both.whole("show", real.url, name)
    assert shown["details"]["family"] == "llama"
    assert len(shown["tensors"]) == 12

    adapted = f"{name}-adapted"
    safetensors.write_adapter(tmp_path / "adapter")
    seen = both.parts("create_stream", real.url, adapted, from_=name, adapters=tmp_path / "adapter")
    assert seen.error is None
    assert {"status": "converting adapter"} in seen.parts
    assert "\nADAPTER " in both.whole("show", real.url, adapted)["modelfile"]
    for made in (adapted, name):
        both.whole("delete", real.url, made)


def test_a_new_blob_of_98_megabytes_is_uploaded(both: Colour, real: Genuine, tmp_path: Path) -> None:
    real.need("gguf")
    assert real.gguf is not None
    file = tmp_path / "changed.gguf"
    file.write_bytes(real.gguf.read_bytes() + str(both).encode())
    digest = both.whole("create_blob", real.url, file)
    assert both.whole("has_blob", real.url, digest) is True
    assert both.whole("create_blob", real.url, file, digest=digest) == digest


def test_a_model_is_pushed_deleted_and_pulled_back(both: Colour, real: Genuine) -> None:
    real.need("registry")
    assert real.registry is not None
    name = real.registry.model(f"smollm2-{both}")
    both.whole("copy", real.url, real.model, name)
    for way in ("push", "pull"):
        seen = both.parts(f"{way}_stream", real.url, name, insecure=True)
        assert seen.error is None
        assert seen.parts[-1] == {"status": "success"}
        assert any(part.get("completed") == part.get("total", -1) for part in seen.parts)
        if way == "push":
            both.whole("delete", real.url, name)
    assert both.whole("generate", real.url, name, "hi", options={"num_predict": 1})["done"] is True
    assert both.whole("push", real.url, name, insecure=True) == {"status": "success"}
    both.whole("delete", real.url, name)
    assert both.whole("pull", real.url, name, insecure=True) == {"status": "success"}
    both.whole("delete", real.url, name)


# --- the server, and errors ------------------------------------------------------------------------------------------


def test_the_server_says_what_it_is(every: Colour, real: Genuine) -> None:
    assert every.whole("is_running", real.url) is True
    assert every.whole("version", real.url)["version"][0].isdigit()
    assert every.whole("status", real.url)["cloud"]["disabled"] in (True, False)
    assert len(every.whole("model_recommendations", real.url)["recommendations"]) > 0


@pytest.mark.parametrize("function", ["generate", "chat", "embed", "embed_array", "embeddings", "show", "delete"])
def test_an_unknown_model_is_a_model_not_found_error(every: Colour, real: Genuine, function: str) -> None:
    arguments = {
        "generate": ("hi",),
        "chat": (QUESTION,),
        "embed": ("x",),
        "embed_array": ("x",),
        "embeddings": ("x",),
    }.get(function, ())
    seen = every.attempt(function, real.url, "ollama-fast-no-such-model", *arguments)
    assert type(seen.error) is ModelNotFoundError
    assert "'ollama-fast-no-such-model'" in str(seen.error)
    assert seen.error.status == 404


@pytest.mark.parametrize(
    ("function", "arguments", "says"),
    [
        ("chat", {"messages": QUESTION, "tools": [ADD]}, "does not support tools"),
        ("chat", {"messages": QUESTION, "think": True}, "does not support thinking"),
        ("generate", {"prompt": "a", "suffix": "b"}, "does not support insert"),
        ("generate", {"prompt": "a", "system": "b", "raw": True}, "raw mode does not support"),
    ],
)
def test_what_the_server_refuses_is_a_response_error(
    every: Colour, real: Genuine, function: str, arguments: dict[str, Any], says: str
) -> None:
    real.need("gguf")  # the small model can none of this; what the user's can, is not known
    whole = every.attempt(function, real.url, real.model, **arguments)
    stream = every.parts(f"{function}_stream", real.url, real.model, **arguments)
    for seen in (whole, stream):
        assert type(seen.error) is ResponseError
        assert says in str(seen.error)
        assert seen.error.status == 400


def test_a_pull_of_a_model_that_is_nowhere_fails_typed(both: Colour, real: Genuine) -> None:
    real.need("registry")
    assert real.registry is not None
    name = real.registry.model("no-such-model")
    assert type(both.attempt("pull", real.url, name, insecure=True).error) is ResponseError
    seen = both.parts("pull_stream", real.url, name, insecure=True)
    assert [part["status"] for part in seen.parts] == ["pulling manifest"]
    assert type(seen.error) is ResponseError
    assert seen.error.partial == seen.parts[0]


def test_an_endpoint_that_the_server_does_not_know_is_no_missing_model(both: Colour, real: Genuine) -> None:
    real.need("gguf")  # a newer server knows it
    seen = both.attempt("systemone", real.url, real.model, "It rains.", {})
    assert type(seen.error) is ResponseError
    assert "404 page not found" in str(seen.error)
