"""
The methods of clients before any I/O: from the arguments of `ollama` to a request, the same for both colours.

The models check and convert the arguments, and the endpoints say what is sent where. Annotations are real objects
here, since programs look at them.
"""

import sys

# ruff: noqa: SLF001 - the names of what copies are those of `ollama`
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel
from typing_extensions import get_type_hints

from ollama_fast import _endpoints, types
from ollama_fast._request import Request

from ._types import (
    ChatRequest,
    ChatResponse,
    CopyRequest,
    CreateRequest,
    DeleteRequest,
    EmbeddingsRequest,
    EmbeddingsResponse,
    EmbedRequest,
    EmbedResponse,
    GenerateRequest,
    GenerateResponse,
    Image,
    ListResponse,
    Message,
    Options,
    ProcessResponse,
    ProgressResponse,
    PullRequest,
    PushRequest,
    ShowRequest,
    ShowResponse,
    StatusResponse,
    SystemOneContent,
    SystemOneQuestion,
    SystemOneRequest,
    SystemOneResponse,
    Tool,
    WebFetchRequest,
    WebFetchResponse,
    WebSearchRequest,
    WebSearchResponse,
)

R = TypeVar("R")

_COPYING: Final = f"{__package__}._client"
"""The module that copies messages, tools and images. OpenLLMetry replaces its functions, so each call looks there."""

_NONE: Final = "-"
"""
What an endpoint is given for an empty name, which it refuses itself.

`ollama` leaves that to the server, so the empty name is put over this with the other fields.
"""


class Call(NamedTuple, Generic[R]):
    """What a method asks for."""

    cls: type[R]
    """What the answer becomes."""

    request: Request[Any]

    stream: bool = False

    @property
    def place(self) -> tuple[str, str]:
        """The method of HTTP, and the path, or the URL if it is not the host's."""
        return self.request.method, (self.request.origin or "") + self.request.path

    @property
    def options(self) -> dict[str, Any]:
        """What else `_request` is given: the body, and for an endpoint that streams, whether it shall."""
        options: dict[str, Any] = {}
        if self.request.body is not None:
            sent = {name: value for name, value in self.request.body.items() if value is not None}
            options["json"] = sent | dict(self.request.extra or {})
        if self.request.memory is not None:
            options["stream"] = self.stream
        return options


def _fields(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(exclude_none=True)


class _Known(NamedTuple):
    """What the API knows of the parts of a conversation."""

    messages: dict[str, Any]
    tools: dict[str, Any]
    """The names of fields, as pydantic's `include` has them."""

    of_messages: dict[str, type]
    of_calls: dict[str, type]
    of_functions: dict[str, type]
    """The types of fields that the models do not have, by name."""


@cache
def _known() -> _Known:
    function = _names(types.ToolCallFunction)
    call = _names(types.ToolCall) | {"function": function}
    return _Known(
        messages=_names(types.Message) | {"tool_calls": {"__all__": call}},
        tools=_names(types.Tool) | {"function": _names(types.ToolFunction)},
        of_messages=_more(types.Message, Message),
        of_calls=_more(types.ToolCall, Message.ToolCall),
        of_functions=_more(types.ToolCallFunction, Message.ToolCall.Function),
    )


def _names(shape: type) -> dict[str, Any]:
    return dict.fromkeys(shape.__annotations__, True)


def _more(shape: type, model: type[BaseModel]) -> dict[str, type]:
    return {name: kind for name, kind in get_type_hints(shape).items() if name not in model.model_fields}


@cache
def _kept(kind: type[BaseModel]) -> dict[str, Any]:
    """Give the names of what is sent of a request, as pydantic's `include` has them."""
    parts = {"messages": {"__all__": _known().messages}, "tools": {"__all__": _known().tools}}
    return dict.fromkeys(kind.model_fields, True) | parts


def _conversation(model: ChatRequest | CreateRequest) -> dict[str, Any]:
    """
    Give the fields of a request, and in its messages and tools only what the API knows.

    Programs keep more in theirs: rows, functions, times. `ollama` does not send that either.
    """
    known = _known()
    fields = model.model_dump(exclude_none=True, include=_kept(type(model)))
    for message in _dicts(fields.get("messages")):
        _drop_strange(message, known.of_messages)
        for call in _dicts(message.get("tool_calls")):
            _drop_strange(call, known.of_calls)
            if isinstance(function := call.get("function"), dict):
                _drop_strange(function, known.of_functions)
    return fields


def _dicts(several: Any) -> Iterator[dict[str, Any]]:
    if isinstance(several, list | tuple):
        yield from (one for one in several if isinstance(one, dict))


def _drop_strange(part: dict[str, Any], known: Mapping[str, type]) -> None:
    """Take out of *part* what is of another type than the API's: it would refuse it, and `ollama` does not send it."""
    for name, kind in known.items():
        if name in part and (not isinstance(part[name], kind) or isinstance(part[name], bool)):
            del part[name]


# --- answers of models -----------------------------------------------------------------------------------------------


def generate(
    model: str = "",
    prompt: str | None = None,
    suffix: str | None = None,
    *,
    system: str | None = None,
    template: str | None = None,
    context: Sequence[int] | None = None,
    stream: bool = False,
    think: bool | str | None = None,
    logprobs: bool | None = None,
    top_logprobs: int | None = None,
    raw: bool | None = None,
    format: Literal["", "json"] | dict[str, Any] | None = None,
    images: Sequence[str | bytes | Image] | None = None,
    options: Mapping[str, Any] | Options | None = None,
    keep_alive: float | str | None = None,
    width: int | None = None,
    height: int | None = None,
    steps: int | None = None,
) -> Call[GenerateResponse]:
    """
    Complete *prompt* with *model*.

    Args:
        model: Name of the model.

        prompt: Text to complete. Without one the model is only loaded, or with `keep_alive=0` unloaded.

        suffix: Text that comes after the answer, for a model that can insert.

        system: In place of the model's system message.

        template: In place of the model's prompt template.

        context: The `context` of an earlier answer, to go on from there; deprecated by Ollama.

        stream: Whether the parts come one by one: what is given is then an iterator, which asks when it is first read.

        think: Whether a thinking model thinks first, or how hard, such as "low" or "high". It does unless told not to.

        logprobs: Whether each token comes with its log probability.

        top_logprobs: How many other likely tokens come with it, from 0 to 20.

        raw: Whether the prompt goes to the model as it is, without template.

        format: "json", or a JSON schema as a dict, such as `Model.model_json_schema()`, that the answer's text follows.

        images: For a model that sees: bytes are the image itself, a str is base64 or a path, an Image has either.

        options: Parameters of the run, such as `{"temperature": 0}`.

        keep_alive: How long the model stays loaded: seconds, or a duration such as "5m"; below 0 for ever.

        width: Of an image that is made, in pixels; only servers from 0.14.3 to 0.32.5 make any.

        height: The same.

        steps: How many steps an image is made in.

    Raises ResponseError, ConnectionError or one of httpx's timeouts; pydantic's ValidationError for wrong arguments.
    """
    copying: Any = sys.modules[_COPYING]
    fields = _fields(
        GenerateRequest(
            model=model,
            prompt=prompt,
            suffix=suffix,
            system=system,
            template=template,
            context=context,
            stream=stream,
            think=think,
            logprobs=logprobs,
            top_logprobs=top_logprobs,
            raw=raw,
            format=format,
            images=list(copying._copy_images(images)) if images else None,
            options=options,
            keep_alive=keep_alive,
            width=width,
            height=height,
            steps=steps,
        )
    )
    return Call(GenerateResponse, _endpoints.generate(model, extra=fields), stream)


def chat(  # noqa: D417 - it quotes a docstring
    model: str = "",
    messages: Sequence[Mapping[str, Any] | Message] | None = None,
    *,
    tools: Sequence[Mapping[str, Any] | Tool | Callable[..., Any]] | None = None,
    stream: bool = False,
    think: bool | str | None = None,
    logprobs: bool | None = None,
    top_logprobs: int | None = None,
    format: Literal["", "json"] | dict[str, Any] | None = None,
    options: Mapping[str, Any] | Options | None = None,
    keep_alive: float | str | None = None,
) -> Call[ChatResponse]:
    """
    Answer the last of *messages* with *model*.

    Args:
        model: Name of the model.

        messages: The conversation so far, oldest first, as dicts or Message objects. Without any the model is only
            loaded, or with `keep_alive=0` unloaded.

        tools: Functions that the model may call, or dicts or Tool objects. A function is told by its annotations and by
            its docstring, whose `Args:`, in Google's style, describe the parameters:

                Add two numbers.

                Args:
                    a: The first of them.

        stream: Whether the parts come one by one: what is given is then an iterator, which asks when it is first read.

        think: Whether a thinking model thinks first, or how hard, such as "low" or "high". It does unless told not to.

        logprobs: Whether each token comes with its log probability.

        top_logprobs: How many other likely tokens come with it, from 0 to 20.

        format: "json", or a JSON schema as a dict, such as `Model.model_json_schema()`, that the answer's text follows.

        options: Parameters of the run, such as `{"temperature": 0}`.

        keep_alive: How long the model stays loaded: seconds, or a duration such as "5m"; below 0 for ever.

    Raises ResponseError, ConnectionError or one of httpx's timeouts; pydantic's ValidationError for wrong arguments,
    and ToolSchemaError for a function that cannot be told to a model.
    """  # noqa: D214 - it quotes a docstring
    copying: Any = sys.modules[_COPYING]
    fields = _conversation(
        ChatRequest(
            model=model,
            messages=list(copying._copy_messages(messages)),
            tools=list(copying._copy_tools(tools)),
            stream=stream,
            think=think,
            logprobs=logprobs,
            top_logprobs=top_logprobs,
            format=format,
            options=options,
            keep_alive=keep_alive,
        )
    )
    return Call(ChatResponse, _endpoints.chat(model, extra=fields), stream)


def systemone(
    model: str,
    state: SystemOneContent,
    questions: Mapping[str, SystemOneQuestion | Mapping[str, Any]],
    keep_alive: float | str | None = None,
) -> Call[SystemOneResponse]:
    """
    Answer *questions* about *state* with probabilities.

    Args:
        model: Name of the model.

        state: What the questions are about: a text, or JSON that the server renders as one.

        questions: By names of your own, which the answers have, too: a choice, a "noul" (true or false) or a score
            each.

        keep_alive: How long the model stays loaded: seconds, or a duration such as "5m"; below 0 for ever.

    Raises ResponseError, ConnectionError or one of httpx's timeouts; pydantic's ValidationError for wrong arguments.
    """
    checked: Any = questions
    fields = _fields(SystemOneRequest(model=model, state=state, questions=checked, keep_alive=keep_alive))
    request = _endpoints.systemone(model or _NONE, fields["state"], fields["questions"], extra=fields)
    return Call(SystemOneResponse, request)


def embed(
    model: str = "",
    input: str | Sequence[str] = "",
    truncate: bool | None = None,
    options: Mapping[str, Any] | Options | None = None,
    keep_alive: float | str | None = None,
    dimensions: int | None = None,
) -> Call[EmbedResponse]:
    """
    Turn *input* into vectors with *model*, one for each text.

    Args:
        model: Name of the model.

        input: A text or several.

        truncate: Whether a text that is too long is cut, and no error. True by default.

        options: Parameters of the run, such as `{"temperature": 0}`.

        keep_alive: How long the model stays loaded: seconds, or a duration such as "5m"; below 0 for ever.

        dimensions: Length of the vectors, if shorter than the model's own.

    Raises ResponseError, ConnectionError or one of httpx's timeouts; pydantic's ValidationError for wrong arguments.
    """
    fields = _fields(
        EmbedRequest(
            model=model,
            input=input,
            truncate=truncate,
            options=options,
            keep_alive=keep_alive,
            dimensions=dimensions,
        )
    )
    return Call(EmbedResponse, _endpoints.embed(model, extra=fields))


def embeddings(
    model: str = "",
    prompt: str | None = None,
    options: Mapping[str, Any] | Options | None = None,
    keep_alive: float | str | None = None,
) -> Call[EmbeddingsResponse]:
    """
    Turn *prompt* into one vector with *model*; superseded by `embed`.

    Args:
        model: Name of the model.

        prompt: The text.

        options: Parameters of the run, such as `{"temperature": 0}`.

        keep_alive: How long the model stays loaded: seconds, or a duration such as "5m"; below 0 for ever.

    Raises ResponseError, ConnectionError or one of httpx's timeouts; pydantic's ValidationError for wrong arguments.
    """
    fields = _fields(EmbeddingsRequest(model=model, prompt=prompt, options=options, keep_alive=keep_alive))
    return Call(EmbeddingsResponse, _endpoints.embeddings(model, extra=fields))


# --- models on the server --------------------------------------------------------------------------------------------


def pull(model: str, *, insecure: bool = False, stream: bool = False) -> Call[ProgressResponse]:
    """
    Download *model* from its registry to the server.

    Args:
        model: Name of the model.

        insecure: Whether a registry without a valid certificate is trusted.

        stream: Whether to be told how far it is: what is given is then an iterator of such parts.

    Raises ResponseError, ConnectionError or one of httpx's timeouts; pydantic's ValidationError for wrong arguments.
    """
    fields = _fields(PullRequest(model=model, insecure=insecure, stream=stream))
    return Call(ProgressResponse, _endpoints.pull(model, extra=fields), stream)


def push(model: str, *, insecure: bool = False, stream: bool = False) -> Call[ProgressResponse]:
    """
    Upload *model* from the server to its registry.

    Args:
        model: Name of the model, which says where it goes.

        insecure: Whether a registry without a valid certificate is trusted.

        stream: Whether to be told how far it is: what is given is then an iterator of such parts.

    Raises ResponseError, ConnectionError or one of httpx's timeouts; pydantic's ValidationError for wrong arguments.
    """
    fields = _fields(PushRequest(model=model, insecure=insecure, stream=stream))
    return Call(ProgressResponse, _endpoints.push(model, extra=fields), stream)


def create(
    model: str,
    quantize: str | None = None,
    from_: str | None = None,
    files: dict[str, str] | None = None,
    adapters: dict[str, str] | None = None,
    template: str | None = None,
    license: str | list[str] | None = None,
    system: str | None = None,
    parameters: Mapping[str, Any] | Options | None = None,
    messages: Sequence[Mapping[str, Any] | Message] | None = None,
    *,
    stream: bool = False,
) -> Call[ProgressResponse]:
    """
    Make *model* of another or of uploaded files.

    Args:
        model: Name of the new model.

        quantize: To which format, such as "q4_K_M", its weights become.

        from_: Name of the model that it is made of.

        files: Names of files of weights, and the digest of each, as `create_blob` gave it.

        adapters: The same for files of adapters.

        template: Of its prompts.

        license: One or several texts.

        system: Its system message.

        parameters: Options that are its own from then on.

        messages: A conversation that each chat with it goes on from.

        stream: Whether to be told how far it is: what is given is then an iterator of such parts.

    Raises ResponseError, ConnectionError or one of httpx's timeouts; pydantic's ValidationError for wrong arguments.
    """
    fields = _conversation(
        CreateRequest(
            model=model,
            stream=stream,
            quantize=quantize,
            from_=from_,
            files=files,
            adapters=adapters,
            license=license,
            template=template,
            system=system,
            parameters=parameters,
            messages=messages,
        )
    )
    return Call(ProgressResponse, _endpoints.create_from(model, {}, fields), stream)


def delete(model: str) -> Call[StatusResponse]:
    """
    Remove *model* from the server.

    Args:
        model: Name of the model.

    Raises ResponseError, ConnectionError or one of httpx's timeouts.
    """
    return Call(StatusResponse, _endpoints.delete(model, extra=_fields(DeleteRequest(model=model))))


def copy(source: str, destination: str) -> Call[StatusResponse]:
    """
    Give a model a second name.

    Args:
        source: Its name.

        destination: The new name, which is taken from the model that has it.

    Raises ResponseError, ConnectionError or one of httpx's timeouts.
    """
    fields = _fields(CopyRequest(source=source, destination=destination))
    return Call(StatusResponse, _endpoints.copy(source or _NONE, destination or _NONE, extra=fields))


def show(model: str) -> Call[ShowResponse]:
    """
    Show what the server knows of *model*.

    Args:
        model: Name of the model.

    Raises ResponseError, ConnectionError or one of httpx's timeouts.
    """
    return Call(ShowResponse, _endpoints.show(model, extra=_fields(ShowRequest(model=model))))


def list_models() -> Call[ListResponse]:
    """
    List the models on the server.

    Raises ResponseError, ConnectionError or one of httpx's timeouts.
    """
    return Call(ListResponse, _endpoints.list_models())


def ps() -> Call[ProcessResponse]:
    """
    List the models in memory.

    Raises ResponseError, ConnectionError or one of httpx's timeouts.
    """
    return Call(ProcessResponse, _endpoints.ps())


# --- ollama.com ------------------------------------------------------------------------------------------------------


def web_search(query: str, max_results: int = 3) -> Call[WebSearchResponse]:
    """
    Search the web by ollama.com.

    Args:
        query: What for.

        max_results: How many pages at most, from 1 to 10.

    The blocking client raises ValueError if it has no key. Raises ResponseError, ConnectionError or one of httpx's
    timeouts.
    """
    fields = _fields(WebSearchRequest(query=query, max_results=max_results))
    return Call(WebSearchResponse, _endpoints.web_search(query or _NONE, extra=fields))


def web_fetch(url: str) -> Call[WebFetchResponse]:
    """
    Fetch the text of a web page by ollama.com.

    Args:
        url: Of the page.

    The blocking client raises ValueError if it has no key. Raises ResponseError, ConnectionError or one of httpx's
    timeouts.
    """
    return Call(WebFetchResponse, _endpoints.web_fetch(url or _NONE, extra=_fields(WebFetchRequest(url=url))))
