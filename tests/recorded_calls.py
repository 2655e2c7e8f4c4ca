"""
The calls that tests/record.py records, in their order: `make record` writes an exchange for each.

An exchange is added by adding its call here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from real.genuine import MODEL, MODEL_THAT_THINKS, MODEL_WITH_TOOLS

REGISTRY: Final = "registry.example:5000"
"""What the registry's address is called in CALLS and in the exchanges."""
MODELS_DIR: Final = "/usr/share/ollama/.ollama/models"
"""What the server's folder of models is called in the exchanges: where Ollama's installer puts it."""

ROOT: Final = Path(__file__).parent.parent
GGUF: Final = "sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""The digest of the model's file."""
SMALL: Final = "LICENSE"
"""A small file to upload, under the root of the checkout."""
DIGEST_OF_SMALL: Final = f"sha256:{hashlib.sha256((ROOT / SMALL).read_bytes()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Call:
    """A call to record: what is worth knowing about it, the function, and its arguments after the host."""

    about: str
    function: str
    kwargs: Mapping[str, Any]
    warm: bool = False
    """Whether it is made once before, unrecorded, so that the model has its prompt in its cache."""
    elsewhere: bool = False
    """Whether it goes to a second server, which has no models."""


def call(about: str, function: str, *, elsewhere: bool = False, **kwargs: Any) -> Call:
    """Make a call of its arguments."""
    return Call(about, function, kwargs, elsewhere=elsewhere)


def pair(name: str, about: str, function: str, **kwargs: Any) -> dict[str, Call]:
    """
    Make the call *name* for the whole answer, and *name*_stream for the parts of the same answer.

    The same to the last digit of a probability: both find the prompt in the model's cache.
    """
    return {
        name: Call(f"{about}.", function, kwargs, warm=True),
        f"{name}_stream": Call(f"{about}, in parts.", f"{function}_stream", kwargs),
    }


# --- the table -------------------------------------------------------------------------------------------------------

OPTIONS: Final = {"temperature": 0, "seed": 7, "num_predict": 24}
DEMO_OPTIONS: Final = {"temperature": 0, "seed": 7, "num_predict": 64}

PERSON: Final = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
ADDENDS: Final = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
}
ADD: Final = {"type": "function", "function": {"name": "add", "description": "Add two numbers.", "parameters": ADDENDS}}
CALL_OF_ADD: Final = {
    "type": "object",
    "properties": {"name": {"const": "add"}, "parameters": ADDENDS},
    "required": ["name", "parameters"],
}
"""As a `format`: has so small a model call the tool, in the form that its template shows."""

HI: Final = [{"role": "user", "content": "hi"}]
SUM: Final = [{"role": "user", "content": "What is 3 + 4?"}]
UNKNOWN: Final = "no-such-model"

CALLS: Final[Mapping[str, Call]] = {
    # The server.
    "is_running": call("The greeting at the root.", "is_running"),
    "version": call("The version.", "version"),
    "status": call("Whether the cloud may be used.", "status"),
    "model_recommendations": call(
        "Recommended models, of a server that cannot reach ollama.com.", "model_recommendations"
    ),
    "whoami_unavailable": call("The account, of a server that cannot reach ollama.com.", "whoami"),
    "signout_unavailable": call("Signing out, of a server that cannot reach ollama.com.", "signout"),
    "systemone_not_served": call(
        "An endpoint that this version does not know: 404, but no JSON.",
        "systemone",
        model=MODEL,
        state="It rains.",
        questions={"wet": {"type": "noul", "question": "Is it wet outside?"}},
    ),
    # Models on the server.
    "list": call("Three models.", "list"),
    "show": call("A model, with its template, parameters, facts and tensors.", "show", model=MODEL),
    "show_tools": call("A model that can call tools.", "show", model=MODEL_WITH_TOOLS),
    "show_overlaid": call(
        "A model, shown with another system message and more parameters.",
        "show",
        model=MODEL_THAT_THINKS,
        system="Be brief.",
        options={"top_k": 5},
    ),
    "show_unknown": call("An unknown model: 404.", "show", model=UNKNOWN),
    # The demo, and the wheel's smoke test.
    "demo_generate": call(
        "The demo's generate.", "generate_stream", model=MODEL, prompt="Why is the sky blue?", options=DEMO_OPTIONS
    ),
    "demo_chat": call(
        "The demo's chat.",
        "chat_stream",
        model=MODEL,
        messages=[{"role": "user", "content": "Name three colours of the rainbow."}],
        options=DEMO_OPTIONS,
    ),
    # generate.
    **pair("generate", "A completion", "generate", model=MODEL, prompt="Tell me about the sea.", options=OPTIONS),
    **pair(
        "generate_plain", "A completion without any option", "generate", model=MODEL, prompt="Who was Ada Lovelace?"
    ),
    **pair(
        "generate_system",
        "A completion with another system message and template",
        "generate",
        model=MODEL,
        prompt="Good morning! Grüße! 🌊",
        system="You are a parrot.",
        template="<|im_start|>system\n{{ .System }}<|im_end|>\n<|im_start|>user\n{{ .Prompt }}<|im_end|>\n"
        "<|im_start|>assistant\n",
        options=OPTIONS,
    ),
    **pair(
        "generate_raw",
        "A completion of raw text: no context in the answer",
        "generate",
        model=MODEL,
        prompt="Once upon a time",
        raw=True,
        options=OPTIONS,
    ),
    **pair(
        "generate_context",
        "A completion that goes on from the context of an earlier one",
        "generate",
        model=MODEL,
        prompt="Go on.",
        context=[1, 4093, 198, 6004, 2, 198, 1, 520, 9531, 198, 504, 8715, 476],
        options=OPTIONS,
    ),
    **pair(
        "generate_schema",
        "A completion that follows a JSON schema",
        "generate",
        model=MODEL,
        prompt="Ann is 30 years old. Who is she?",
        format=PERSON,
        options=DEMO_OPTIONS,
    ),
    **pair(
        "generate_json",
        "A completion that is JSON of any shape",
        "generate",
        model=MODEL,
        prompt='Give the JSON {"a": 1}.',
        format="json",
        options=OPTIONS,
    ),
    **pair(
        "generate_thinking",
        "A completion with thinking",
        "generate",
        model=MODEL_THAT_THINKS,
        prompt="What is 3 + 4?",
        think=True,
        options=DEMO_OPTIONS,
    ),
    **pair(
        "generate_logprobs",
        "A completion with the log probabilities of its tokens and of the likeliest others",
        "generate",
        model=MODEL,
        prompt="hi",
        logprobs=True,
        top_logprobs=2,
        options={**OPTIONS, "num_predict": 5},
    ),
    **pair(
        "generate_stopped",
        "A completion that a stop text ends",
        "generate",
        model=MODEL,
        prompt="Count: one, two, three,",
        raw=True,
        options={**OPTIONS, "stop": ["six", "6", "."], "top_k": 5, "repeat_penalty": 1.0},
    ),
    "generate_keep_alive": call(
        "A completion after which the model stays for ten minutes.",
        "generate",
        model=MODEL,
        prompt="hi",
        options={**OPTIONS, "num_predict": 1},
        keep_alive="10m",
    ),
    "ps": call("The models in memory.", "ps"),
    "generate_rendered": call(
        "The prompt as the model would get it, and nothing else.",
        "generate",
        model=MODEL,
        prompt="hi",
        debug_render_only=True,
    ),
    "generate_unknown_model": call("An unknown model: 404.", "generate", model=UNKNOWN, prompt="hi"),
    "generate_unknown_model_stream": call(
        "An unknown model, in parts: 404 all the same.", "generate_stream", model=UNKNOWN, prompt="hi"
    ),
    "generate_suffix_unsupported": call(
        "A suffix, to a model that cannot fill in: 400.", "generate", model=MODEL, prompt="def add(", suffix="return"
    ),
    "generate_think_unsupported": call(
        "Thinking, of a model that does not: 400.", "generate", model=MODEL, prompt="hi", think=True
    ),
    "generate_raw_with_system": call(
        "A raw prompt with a system message: 400.", "generate", model=MODEL, prompt="hi", system="Be brief.", raw=True
    ),
    "generate_too_many_logprobs": call(
        "More alternatives than allowed: 400.", "generate", model=MODEL, prompt="hi", logprobs=True, top_logprobs=21
    ),
    "generate_wrong_template": call(
        "A template that cannot be parsed: 500.", "generate", model=MODEL, prompt="hi", template="{{ .Prompt"
    ),
    "generate_invalid_name": call("A name that cannot be one: 400.", "generate", model="a b", prompt="hi"),
    # chat.
    **pair("chat", "An answer", "chat", model=MODEL, messages=HI, options=OPTIONS),
    **pair(
        "chat_conversation",
        "An answer to a longer conversation",
        "chat",
        model=MODEL,
        messages=[
            {"role": "system", "content": "You answer in one sentence."},
            {"role": "user", "content": "What is the capital of France?"},
            {"role": "assistant", "content": "Paris."},
            {"role": "user", "content": "And of Österreich?"},
        ],
        options=OPTIONS,
    ),
    **pair(
        "chat_schema",
        "An answer that follows a JSON schema",
        "chat",
        model=MODEL,
        messages=[{"role": "user", "content": "Ann is 30 years old. Who is she?"}],
        format=PERSON,
        options=DEMO_OPTIONS,
    ),
    **pair(
        "chat_tools",
        "An answer that calls a tool",
        "chat",
        model=MODEL_WITH_TOOLS,
        messages=SUM,
        tools=[ADD],
        format=CALL_OF_ADD,
        options=DEMO_OPTIONS,
    ),
    **pair(
        "chat_tool_result",
        "An answer to the result of a tool",
        "chat",
        model=MODEL_WITH_TOOLS,
        messages=[
            *SUM,
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"id": "call_1", "function": {"index": 0, "name": "add", "arguments": {"a": 3, "b": 4}}}
                ],
            },
            {"role": "tool", "content": "7", "tool_name": "add", "tool_call_id": "call_1"},
        ],
        options=OPTIONS,
    ),
    **pair(
        "chat_thinking",
        "An answer with thinking",
        "chat",
        model=MODEL_THAT_THINKS,
        messages=SUM,
        think=True,
        options=DEMO_OPTIONS,
    ),
    **pair(
        "chat_not_thinking",
        "An answer of a thinking model that is told not to think",
        "chat",
        model=MODEL_THAT_THINKS,
        messages=HI,
        think=False,
        options=OPTIONS,
    ),
    **pair(
        "chat_logprobs",
        "An answer with the log probabilities of its tokens and of the likeliest others",
        "chat",
        model=MODEL,
        messages=HI,
        logprobs=True,
        top_logprobs=2,
        options={**OPTIONS, "num_predict": 5},
    ),
    "chat_rendered": call(
        "The prompt as the model would get it, with its tools, and nothing else.",
        "chat",
        model=MODEL_WITH_TOOLS,
        messages=SUM,
        tools=[ADD],
        debug_render_only=True,
    ),
    "chat_unknown_model": call("An unknown model: 404.", "chat", model=UNKNOWN, messages=HI),
    "chat_unknown_model_stream": call(
        "An unknown model, in parts: 404 all the same.", "chat_stream", model=UNKNOWN, messages=HI
    ),
    "chat_tools_unsupported": call(
        "Tools, for a model that cannot call them: 400.", "chat", model=MODEL, messages=HI, tools=[ADD]
    ),
    "chat_think_unsupported": call(
        "Thinking, of a model that does not: 400.", "chat", model=MODEL, messages=HI, think=True
    ),
    # Vectors.
    "embed": call("Three vectors.", "embed", model=MODEL, input=["sea", "ocean", "Grüße"]),
    "embed_one": call("One vector, of a text that is no list.", "embed", model=MODEL, input="sea"),
    "embed_dimensions": call("Two vectors, shortened.", "embed", model=MODEL, input=["a", "b"], dimensions=8),
    "embed_nothing": call("No text: the model is only loaded.", "embed", model=MODEL),
    "embed_unknown_model": call("An unknown model: 404.", "embed", model=UNKNOWN, input="sea"),
    "embeddings": call("One vector, by the old endpoint.", "embeddings", model=MODEL, prompt="sea"),
    "embeddings_nothing": call("No text, by the old endpoint: the model is only loaded.", "embeddings", model=MODEL),
    "embeddings_unknown_model": call(
        "An unknown model, by the old endpoint: 404.", "embeddings", model=UNKNOWN, prompt="sea"
    ),
    # Other contexts load the model anew, so they and the unloading are the last.
    "generate_too_long": call(
        "A prompt that is longer than the context, and may not be cut: 400.",
        "generate",
        model=MODEL,
        prompt="one two three four five six seven eight nine ten " * 4,
        truncate=False,
        options={"num_ctx": 16},
    ),
    "embed_too_long": call(
        "A text that is longer than the context, and may not be cut.",
        "embed",
        model=MODEL,
        input="one two three four five six seven eight nine ten " * 4,
        truncate=False,
        options={"num_ctx": 16},
    ),
    "generate_load": call("No prompt: the model is only loaded.", "generate", model=MODEL),
    "generate_load_stream": call(
        "No prompt, in parts: one object, and no newline after it.", "generate_stream", model=MODEL
    ),
    "generate_unload": call(
        "No prompt, and no time to stay: the model is unloaded.", "generate", model=MODEL, keep_alive=0
    ),
    "chat_load": call("No messages: the model is only loaded.", "chat", model=MODEL),
    "chat_load_stream": call("No messages, in parts: one object, and no newline after it.", "chat_stream", model=MODEL),
    "chat_unload": call("No messages, and no time to stay: the model is unloaded.", "chat", model=MODEL, keep_alive=0),
    # Making, copying and deleting models.
    "create_stream": call(
        "A model from another one, in parts.", "create_stream", model="brief", from_=MODEL, system="Be brief."
    ),
    "create": call("A model from another one.", "create", model="brief", from_=MODEL, system="Be brief."),
    "create_everything_stream": call(
        "A model with a licence, messages, a template and parameters, in parts.",
        "create_stream",
        model="everything",
        from_=MODEL,
        license=["One.", "Two."],
        messages=[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello!"}],
        template="{{ .Prompt }}",
        parameters={"temperature": 0.5, "stop": ["<|im_end|>"]},
    ),
    "show_everything": call("A model with a licence and messages.", "show", model="everything"),
    "create_from_blob_stream": call(
        "A model from a file that the server has, in parts.",
        "create_stream",
        model="bare",
        files={"smollm2.gguf": GGUF},
    ),
    "create_from_blob": call(
        "A model from a file that the server has.", "create", model="bare", files={"smollm2.gguf": GGUF}
    ),
    "create_of_nothing": call("A model of nothing: 400.", "create", model="empty"),
    "create_of_nothing_stream": call("A model of nothing, in parts: 400 all the same.", "create_stream", model="empty"),
    "create_of_no_files": call("A model of no files: 400.", "create", model="empty", files={}),
    "create_of_missing_blob_stream": call(
        "A model from a file that the server does not have, in parts.",
        "create_stream",
        model="empty",
        files={"model.gguf": "sha256:" + "0" * 64},
    ),
    "create_wrong_template": call(
        "A template that cannot be parsed: 400.", "create", model="empty", from_=MODEL, template="{{ .Prompt"
    ),
    "has_blob": call("A file that the server has.", "has_blob", digest=GGUF),
    "has_blob_missing": call("A file that the server does not have: 404.", "has_blob", digest="sha256:" + "0" * 64),
    # create_blob asks whether the blob is there, as the has_blob before it does.
    "has_blob_before_upload": call(
        "A file that the server does not have yet: 404.", "has_blob", digest=DIGEST_OF_SMALL
    ),
    "create_blob": call("An upload: 201.", "create_blob", path=SMALL),
    "has_blob_before_mismatch": call(
        "A file that the server does not have: 404.", "has_blob", digest="sha256:" + "1" * 64
    ),
    "create_blob_mismatch": call(
        "An upload with a digest that is not the file's: 400.",
        "create_blob",
        path=SMALL,
        digest="sha256:" + "1" * 64,
    ),
    "copy": call("A copy: an empty answer.", "copy", source=MODEL, destination="copied"),
    "copy_unknown_model": call("A copy of an unknown model: 404.", "copy", source=UNKNOWN, destination="copied"),
    "copy_invalid_name": call("A copy to a name that cannot be one: 400.", "copy", source=MODEL, destination="a b"),
    "delete": call("A deletion: an empty answer.", "delete", model="copied"),
    "delete_unknown_model": call("A deletion of an unknown model: 404.", "delete", model=UNKNOWN),
    # The registry.
    "copy_for_push": call(
        "A copy under a name in another registry.", "copy", source=MODEL, destination=f"{REGISTRY}/library/smollm2"
    ),
    "push_stream": call(
        "An upload to a registry, in parts.", "push_stream", model=f"{REGISTRY}/library/smollm2", insecure=True
    ),
    "push": call(
        "An upload to a registry that has it all.", "push", model=f"{REGISTRY}/library/smollm2", insecure=True
    ),
    "push_unknown_model_stream": call(
        "An upload of an unknown model, in parts: an error line.",
        "push_stream",
        model=f"{REGISTRY}/library/{UNKNOWN}",
        insecure=True,
    ),
    "push_unknown_model": call(
        "An upload of an unknown model: 500.", "push", model=f"{REGISTRY}/library/{UNKNOWN}", insecure=True
    ),
    "pull_stream": call(
        "A download from a registry, in parts.",
        "pull_stream",
        model=f"{REGISTRY}/library/smollm2",
        insecure=True,
        elsewhere=True,
    ),
    "pull": call(
        "A download from a registry of what is there already.",
        "pull",
        model=f"{REGISTRY}/library/smollm2",
        insecure=True,
        elsewhere=True,
    ),
    "pull_unknown_model_stream": call(
        "A download of a model that the registry lacks, in parts: an error line.",
        "pull_stream",
        model=f"{REGISTRY}/library/{UNKNOWN}",
        insecure=True,
        elsewhere=True,
    ),
    "pull_unknown_model": call(
        "A download of a model that the registry lacks: 500.",
        "pull",
        model=f"{REGISTRY}/library/{UNKNOWN}",
        insecure=True,
        elsewhere=True,
    ),
    "pull_without_tls_stream": call(
        "A download from a registry without TLS, which was not allowed: an error line.",
        "pull_stream",
        model=f"{REGISTRY}/library/smollm2:latest",
        elsewhere=True,
    ),
}
"""In the order in which they are made: later ones need what earlier ones did."""
