"""
Ollama's endpoints: one pure function each, from arguments to a Request.

This is the only module that knows a path, a method or the name of a body field. Parameters carry the API's names, but
for `from_` and `debug_render_only`, whose own are no names for a parameter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from . import _memory
from ._images import seal, seal_message
from ._request import Answered, Request

if TYPE_CHECKING:
    from ._embeddings import EmbedArray
    from ._upload import Upload
    from .tools import Tools
    from .types import (
        ChatResponse,
        EmbeddingsResponse,
        EmbedResponse,
        Format,
        GenerateResponse,
        Image,
        KeepAlive,
        ListResponse,
        Message,
        ModelRecommendationsResponse,
        Options,
        ProcessResponse,
        ProgressResponse,
        ShowResponse,
        StatusResponse,
        SystemOneContent,
        SystemOneQuestion,
        SystemOneResponse,
        Think,
        UserResponse,
        VersionResponse,
        WebFetchResponse,
        WebSearchResponse,
    )

OLLAMA_COM = "https://ollama.com"
_DIGEST = r"sha256:[0-9a-f]{64}"
_BETWEEN_TOKENS = 120.0
"""Seconds that generate and chat may be silent between two parts."""


# --- answers of models -----------------------------------------------------------------------------------------------


def generate(
    model: str,
    prompt: str | None = None,
    *,
    suffix: str | None = None,
    system: str | None = None,
    template: str | None = None,
    context: Sequence[int] | None = None,
    raw: bool | None = None,
    format: Format | None = None,
    images: Sequence[Image] | None = None,
    think: Think | None = None,
    truncate: bool | None = None,
    shift: bool | None = None,
    logprobs: bool | None = None,
    top_logprobs: int | None = None,
    options: Options | None = None,
    keep_alive: KeepAlive | None = None,
    debug_render_only: bool | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Request[GenerateResponse]:
    """
    Complete *prompt* with *model*.

    Args:
        model: Name of the model.

        prompt: Text to complete. Without one the model is only loaded, or with `keep_alive=0` unloaded.

        suffix: Text that comes after the answer; needs a model with the capability "insert".

        system: In place of the model's system message.

        template: In place of the model's prompt template.

        context: Deprecated by Ollama: the `context` of an earlier answer, to go on from there.

        raw: Whether the prompt goes to the model as it is, without template; the answer has no `context` then.

        format: "json", or a JSON schema, or a type that has one, such as a dataclass or `list[int]`, that the answer's
            text follows.

        images: For a model that sees: bytes are the image itself, a str is base64 or a data URL, a path or an open
            binary file is read, a PIL image is encoded.

        think: Whether, or how hard, a thinking model thinks first. Thinking models do unless told not to.

        truncate: Whether a prompt that is too long is cut; if False it is an error. True by default.

        shift: Whether old tokens make room when the context is full; if False the answer ends. Changing it reloads
            the model.

        logprobs: Whether each token comes with its log probability.

        top_logprobs: How many other likely tokens come with it, from 0 to 20.

        options: Parameters of the run, such as `{"temperature": 0}`.

        keep_alive: How long the model stays loaded: seconds, or a duration such as "5m"; below 0 for ever.

        debug_render_only: Whether only the rendered prompt comes back, in `_debug_info`.

        extra: More fields for the request's body. One that is given by its own parameter, too, is a ValueError.

    Raises ModelNotFoundError, ResponseError, TransportError, DecodeError or IncompleteStreamError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-completion
    """
    return Request(
        "POST",
        "/api/generate",
        {
            "model": _name(model),
            "prompt": prompt,
            "suffix": suffix,
            "system": system,
            "template": template,
            "context": _several(context, "context"),
            "raw": raw,
            "format": _format(format),
            "images": seal(images),
            "think": think,
            "truncate": truncate,
            "shift": shift,
            "logprobs": logprobs,
            "top_logprobs": top_logprobs,
            "options": options,
            "keep_alive": keep_alive,
            "_debug_render_only": debug_render_only,
        },
        extra,
        key="response",
        memory=_memory.Generated,
        idle=_BETWEEN_TOKENS,
        changes=False,
        operation="text_completion",
    )


def chat(
    model: str,
    messages: Sequence[Message | Mapping[str, Any]] = (),
    *,
    tools: Tools | None = None,
    format: Format | None = None,
    think: Think | None = None,
    truncate: bool | None = None,
    shift: bool | None = None,
    logprobs: bool | None = None,
    top_logprobs: int | None = None,
    options: Options | None = None,
    keep_alive: KeepAlive | None = None,
    debug_render_only: bool | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Request[ChatResponse]:
    """
    Answer the last of *messages* with *model*.

    Args:
        model: Name of the model.

        messages: The conversation so far, oldest first; an answer's `message` can be put into it as it is. Without
            messages the model is only loaded, or with `keep_alive=0` unloaded. Images in them are as in `generate`.

        tools: Functions that the model may call (see :func:`ollama_fast.tool`), or their dicts, which are sent as they
            are. A function that cannot be told to a model is a ToolSchemaError.

        format: "json", or a JSON schema, or a type that has one, such as a dataclass or `list[int]`, that the answer's
            content follows.

        think: Whether, or how hard, a thinking model thinks first. Thinking models do unless told not to.

        truncate: Whether a conversation that is too long is cut; if False it is an error. True by default.

        shift: Whether old tokens make room when the context is full; if False the answer ends. Changing it reloads
            the model.

        logprobs: Whether each token comes with its log probability.

        top_logprobs: How many other likely tokens come with it, from 0 to 20.

        options: Parameters of the run, such as `{"temperature": 0}`.

        keep_alive: How long the model stays loaded: seconds, or a duration such as "5m"; below 0 for ever.

        debug_render_only: Whether only the rendered prompt comes back, in `_debug_info`.

        extra: More fields for the request's body. One that is given by its own parameter, too, is a ValueError.

    Raises ModelNotFoundError, ResponseError, TransportError, DecodeError or IncompleteStreamError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-chat-completion
    """
    return Request(
        "POST",
        "/api/chat",
        {
            "model": _name(model),
            "messages": _messages(messages),
            "tools": _tools(tools),
            "format": _format(format),
            "think": think,
            "truncate": truncate,
            "shift": shift,
            "logprobs": logprobs,
            "top_logprobs": top_logprobs,
            "options": options,
            "keep_alive": keep_alive,
            "_debug_render_only": debug_render_only,
        },
        extra,
        key="message",
        memory=_memory.Chatted,
        idle=_BETWEEN_TOKENS,
        changes=False,
        operation="chat",
    )


def embed(
    model: str,
    input: str | Sequence[str] = (),
    *,
    truncate: bool | None = None,
    dimensions: int | None = None,
    options: Options | None = None,
    keep_alive: KeepAlive | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Request[EmbedResponse]:
    """
    Turn *input* into vectors with *model*.

    Args:
        model: Name of the model.

        input: A text or several. Without any the model is only loaded.

        truncate: Whether a text that is too long is cut; if False it is an error. True by default.

        dimensions: Length of the vectors, if shorter than the model's own.

        options: Parameters of the run.

        keep_alive: How long the model stays loaded: seconds, or a duration such as "5m"; below 0 for ever.

        extra: More fields for the request's body. One that is given by its own parameter, too, is a ValueError.

    Gives one vector per text, in their order, each of length 1. One text that fails makes the whole call fail.
    Raises ModelNotFoundError, ResponseError, TransportError or DecodeError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#generate-embeddings
    """
    body = {
        "model": _name(model),
        "input": _texts(input),
        "truncate": truncate,
        "dimensions": dimensions,
        "options": options,
        "keep_alive": keep_alive,
    }
    return Request("POST", "/api/embed", body, extra, key="embeddings", changes=False, operation="embeddings")


def embed_array(
    model: str,
    input: str | Sequence[str] = (),
    *,
    truncate: bool | None = None,
    dimensions: int | None = None,
    options: Options | None = None,
    keep_alive: KeepAlive | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Request[EmbedArray]:
    """
    Turn *input* into vectors with *model*, as float32 in one buffer.

    Args:
        model: Name of the model.

        input: A text or several. Without any the model is only loaded.

        truncate: Whether a text that is too long is cut; if False it is an error. True by default.

        dimensions: Length of the vectors, if shorter than the model's own.

        options: Parameters of the run.

        keep_alive: How long the model stays loaded: seconds, or a duration such as "5m"; below 0 for ever.

        extra: More fields for the request's body. One that is given by its own parameter, too, is a ValueError.

    Gives an EmbedArray of shape (texts, length of a vector), in the order of the texts, each vector of length 1; (0, 0)
    without texts. `numpy.asarray` of it copies nothing. Each number is the float32 nearest to what the server wrote.
    Raises ModelNotFoundError, ResponseError, TransportError, or DecodeError, also for vectors of different lengths and
    for what is no number.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#generate-embeddings
    """
    request = embed(
        model,
        input,
        truncate=truncate,
        dimensions=dimensions,
        options=options,
        keep_alive=keep_alive,
        extra=extra,
    )
    from ._embeddings import ArrayDecoder

    return replace(cast("Request[Any]", request), decoder=ArrayDecoder)


def embeddings(
    model: str,
    prompt: str | None = None,
    *,
    options: Options | None = None,
    keep_alive: KeepAlive | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Request[EmbeddingsResponse]:
    """
    Turn *prompt* into one vector with *model*; superseded by `embed`.

    Args:
        model: Name of the model.

        prompt: A text. Without one the model is only loaded.

        options: Parameters of the run.

        keep_alive: How long the model stays loaded: seconds, or a duration such as "5m"; below 0 for ever.

        extra: More fields for the request's body. One that is given by its own parameter, too, is a ValueError.

    The vector is as the model made it, not of length 1. Raises ModelNotFoundError, ResponseError, TransportError or
    DecodeError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#generate-embedding
    """
    body = {"model": _name(model), "prompt": prompt, "options": options, "keep_alive": keep_alive}
    return Request("POST", "/api/embeddings", body, extra, key="embedding", changes=False, operation="embeddings")


def systemone(
    model: str,
    state: SystemOneContent,
    questions: Mapping[str, SystemOneQuestion | Mapping[str, Any]],
    *,
    keep_alive: KeepAlive | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Request[SystemOneResponse]:
    """
    Answer *questions* about *state* with probabilities, by a System One *model*.

    Args:
        model: Name of the model.

        state: What the questions are about: text, or JSON that the server renders as text.

        questions: By names of your own: a choice, a "noul" (true or false) or a score each.

        keep_alive: How long the model stays loaded: seconds, or a duration such as "5m"; below 0 for ever.

        extra: More fields for the request's body. One that is given by its own parameter, too, is a ValueError.

    Gives one answer per question, under the same names. Raises ModelNotFoundError, ResponseError, TransportError or
    DecodeError. Servers before 0.33 do not know this endpoint.
    """
    body = {"model": _name(model), "state": state, "questions": questions, "keep_alive": keep_alive}
    return Request("POST", "/v1/systemone", body, extra, key="answers", changes=False)


# --- models on the server --------------------------------------------------------------------------------------------


def list_models() -> Request[ListResponse]:
    """
    List the models on the server, newest first.

    A server that says nothing is waited for as long as `Timeout.first_part` says, which is for ever by default: bound
    it by `host.with_options(timeout=10)`. Raises ResponseError, TransportError or DecodeError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#list-local-models
    """
    return Request("GET", "/api/tags", key="models", changes=False)


def ps() -> Request[ProcessResponse]:
    """
    List the models in memory, the last to expire first.

    Raises ResponseError, TransportError or DecodeError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#list-running-models
    """
    return Request("GET", "/api/ps", key="models", changes=False)


def show(
    model: str,
    *,
    verbose: bool | None = None,
    system: str | None = None,
    options: Options | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Request[ShowResponse]:
    """
    Show what the server knows of *model*.

    Args:
        model: Name of the model.

        verbose: Whether long lists, such as the tokens, come whole: several MB.

        system: Shown in place of the model's system message.

        options: Shown on top of the model's parameters.

        extra: More fields for the request's body. One that is given by its own parameter, too, is a ValueError.

    Raises ModelNotFoundError, ResponseError, TransportError or DecodeError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#show-model-information
    """
    body = {"model": _name(model), "verbose": verbose, "system": system, "options": options}
    return Request("POST", "/api/show", body, extra, key="details", changes=False)


def copy(source: str, destination: str, *, extra: Mapping[str, Any] | None = None) -> Request[None]:
    """
    Give the model *source* a second name, *destination*; one that has it is overwritten.

    Args:
        source: Name of a model.

        destination: Name of the copy.

        extra: More fields for the request's body. One that is given by its own parameter, too, is a ValueError.

    Raises ModelNotFoundError, ResponseError or TransportError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#copy-a-model
    """
    body = {"source": _name(source, "source"), "destination": _name(destination, "destination")}
    return Request("POST", "/api/copy", body, extra, decode=_nothing)


def delete(model: str, *, extra: Mapping[str, Any] | None = None) -> Request[None]:
    """
    Remove *model* from the server.

    Args:
        model: Name of the model.

        extra: More fields for the request's body. One that is given by its own parameter, too, is a ValueError.

    Raises ModelNotFoundError, ResponseError or TransportError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#delete-a-model
    """
    return Request("DELETE", "/api/delete", {"model": _name(model)}, extra, decode=_nothing)


def pull(
    model: str, *, insecure: bool | None = None, extra: Mapping[str, Any] | None = None
) -> Request[ProgressResponse]:
    """
    Download *model* from its registry to the server.

    Args:
        model: Name of the model, with its registry if that is not Ollama's.

        insecure: Whether a registry without TLS will do.

        extra: More fields for the request's body. One that is given by its own parameter, too, is a ValueError.

    The last part has the status "success". Raises ResponseError, TransportError, DecodeError or IncompleteStreamError;
    a model that the registry lacks is a ResponseError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#pull-a-model
    """
    return _transfer("/api/pull", {"model": _name(model), "insecure": insecure}, extra)


def push(
    model: str, *, insecure: bool | None = None, extra: Mapping[str, Any] | None = None
) -> Request[ProgressResponse]:
    """
    Upload *model* from the server to its registry.

    Args:
        model: Name of the model, with its namespace, and with its registry if that is not Ollama's.

        insecure: Whether a registry without TLS will do.

        extra: More fields for the request's body. One that is given by its own parameter, too, is a ValueError.

    The last part has the status "success". Raises ResponseError, TransportError, DecodeError or IncompleteStreamError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#push-a-model
    """
    return _transfer("/api/push", {"model": _name(model), "insecure": insecure}, extra)


def create_from(model: str, body: Mapping[str, Any], extra: Mapping[str, Any] | None) -> Request[ProgressResponse]:
    """Make *model* of what *body* names: the last step of :func:`ollama_fast.create`."""
    messages = body.get("messages")
    sealed = None if messages is None else _messages(messages)
    return _transfer("/api/create", {"model": _name(model), **body, "messages": sealed}, extra)


def has_blob(digest: str) -> Request[bool]:
    """
    Ask whether the server has the blob with *digest*.

    Args:
        digest: "sha256:" and 64 lower-case hexadecimal digits; another form is a ValueError.

    Raises ResponseError or TransportError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#check-if-a-blob-exists
    """
    return Request("HEAD", _blob(digest), decode=_found, accepts=frozenset({404}), changes=False)


def upload_blob(digest: str, upload: Upload) -> Request[None]:
    """Send a file that the server has not: a step of :func:`ollama_fast.create_blob`."""
    return Request("POST", _blob(digest), decode=_nothing, upload=upload)


# --- the server ------------------------------------------------------------------------------------------------------


def root() -> Request[bool]:
    """Ask for the page that says "Ollama is running"."""
    return Request("GET", "/", decode=_greets, changes=False)


def look() -> Request[Answered]:
    """Ask for the version, and take whatever comes: for who wants to know what answers there."""
    return Request("GET", "/api/version", raw=True, changes=False)


def version() -> Request[VersionResponse]:
    """
    Ask the server for its version.

    A server that says nothing is waited for as long as `Timeout.first_part` says, which is for ever by default: bound
    it by `host.with_options(timeout=10)`. Raises ResponseError, TransportError or DecodeError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#version
    """
    return Request("GET", "/api/version", key="version", changes=False)


def status() -> Request[StatusResponse]:
    """
    Ask the server whether it may use ollama.com; experimental in Ollama, since 0.16.2.

    Raises ResponseError, TransportError or DecodeError.
    """
    return Request("GET", "/api/status", key="cloud", changes=False)


def model_recommendations() -> Request[ModelRecommendationsResponse]:
    """
    Ask the server which models it recommends; experimental in Ollama, since 0.22.1.

    Raises ResponseError, TransportError or DecodeError.
    """
    return Request("GET", "/api/experimental/model-recommendations", key="recommendations", changes=False)


# --- ollama.com ------------------------------------------------------------------------------------------------------


def whoami() -> Request[UserResponse]:
    """
    Ask which account at ollama.com the server is signed in to.

    Raises AuthenticationError, with `signin_url`, if none; ResponseError, TransportError or DecodeError.
    """
    return Request("POST", "/api/me", key="name", changes=False)


def signout() -> Request[None]:
    """
    Sign the server out of ollama.com.

    Raises AuthenticationError if it was not signed in; ResponseError or TransportError.
    """
    return Request("POST", "/api/signout", decode=_nothing)


def web_search(
    query: str,
    *,
    max_results: int | None = None,
    via_server: bool = False,
    extra: Mapping[str, Any] | None = None,
) -> Request[WebSearchResponse]:
    """
    Search the web by ollama.com.

    Args:
        query: What to look for.

        max_results: Most pages to give, from 1 to 10; 5 by default.

        via_server: Whether the server asks in your place, with its own account, by an experimental route. Without it
            the request goes straight to ollama.com, with OLLAMA_API_KEY, whatever the host.

        extra: More fields for the request's body. One that is given by its own parameter, too, is a ValueError.

    Raises AuthenticationError, ResponseError, TransportError or DecodeError.

    See https://docs.ollama.com/capabilities/web-search
    """
    body = {"query": _name(query, "query"), "max_results": max_results}
    return _web("web_search", body, extra, key="results", via_server=via_server)


def web_fetch(
    url: str, *, via_server: bool = False, extra: Mapping[str, Any] | None = None
) -> Request[WebFetchResponse]:
    """
    Fetch the text of a web page by ollama.com.

    Args:
        url: Of the page.

        via_server: Whether the server asks in your place, with its own account, by an experimental route. Without it
            the request goes straight to ollama.com, with OLLAMA_API_KEY, whatever the host.

        extra: More fields for the request's body. One that is given by its own parameter, too, is a ValueError.

    Raises AuthenticationError, ResponseError, TransportError or DecodeError.

    See https://docs.ollama.com/capabilities/web-search
    """
    return _web("web_fetch", {"url": _name(url, "url")}, extra, key="content", via_server=via_server)


# --- what several of them need ---------------------------------------------------------------------------------------


def _transfer(path: str, body: Mapping[str, Any], extra: Mapping[str, Any] | None) -> Request[ProgressResponse]:
    return Request("POST", path, body, extra, key="status", memory=_memory.Newest)


def _web(
    name: str, body: Mapping[str, Any], extra: Mapping[str, Any] | None, *, key: str, via_server: bool
) -> Request[Any]:
    if via_server:
        return Request("POST", f"/api/experimental/{name}", body, extra, key=key, changes=False)
    return Request("POST", f"/api/{name}", body, extra, key=key, origin=OLLAMA_COM, changes=False)


def _name(value: str, parameter: str = "model") -> str:
    if not isinstance(value, str):
        raise TypeError(f"{parameter} must be a str, not {type(value).__name__}")
    if not value.strip():
        raise ValueError(f"{parameter} must not be empty")
    return value


def _several(values: Any, parameter: str) -> list[Any] | None:
    if values is None:
        return None
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        one = "{'role': 'user', 'content': ...}" if parameter == "messages" and isinstance(values, str) else "..."
        raise TypeError(f"{parameter} must be a sequence, not one {type(values).__name__}: write {parameter}=[{one}]")
    return list(values)


def _tools(tools: Any) -> list[Any] | None:
    if isinstance(tools, Mapping) and tools and all(map(callable, tools.values())):
        found: Any = tools
    else:
        several = _several(tools, "tools")
        if several is None or all(isinstance(given, Mapping) for given in several):
            return several
        found = several
    # Functions need more than dicts: pydantic is imported, at the first of them.
    from .tools import describe

    return list(describe(found))


def _format(format: Any) -> Any:
    if format is None or isinstance(format, str | Mapping):
        return format
    from ._schema import Shape

    return Shape.of(format).schema


def _texts(given: Any) -> str | list[Any]:
    if isinstance(given, str):
        return given
    if given is None:
        raise TypeError("input must be a str or a sequence of them, not None")
    return _several(given, "input") or []


def _messages(messages: Any) -> list[Mapping[str, Any]]:
    found = _several(messages, "messages") or []
    for message in found:
        if not isinstance(message, Mapping):
            raise TypeError(f"a message must be a mapping with role and content, not {type(message).__name__}")
        if "role" not in message:
            raise ValueError(f"a message must have a role: {list(message)} has none")
    return [seal_message(message, index) for index, message in enumerate(found)]


def check_digest(digest: str) -> str:
    """Give *digest* if it is one; it becomes a part of paths."""
    if not isinstance(digest, str):
        raise TypeError(f"digest must be a str, not {type(digest).__name__}")
    if re.fullmatch(_DIGEST, digest) is None:
        raise ValueError(f"digest must be 'sha256:' and 64 lower-case hexadecimal digits, not {digest!r}")
    return digest


def _blob(digest: str) -> str:
    return f"/api/blobs/{check_digest(digest)}"


def _nothing(_status: int, body: bytes) -> None:
    if body.strip() not in (b"", b"null"):  # signout says null; what says more is not Ollama
        raise ValueError(f"the answer should be empty: {body[:120]!r}")


def _found(status: int, body: bytes) -> bool:
    _nothing(status, body)
    return status != 404


def _greets(_status: int, body: bytes) -> bool:
    return body.startswith(b"Ollama is running")
