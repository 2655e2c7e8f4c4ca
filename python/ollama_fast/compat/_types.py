"""
The models of `ollama`: its names, fields, defaults and aliases.

Unlike there, what a server or a caller adds to them stays and is sent. A request's own fields are fixed. Their schemas
are built when they are first needed, so that the import stays short.
"""

import json
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from inspect import Signature
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, TypeVar, cast

from pydantic import (
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from ollama_fast import _core

S = TypeVar("S", bound=Callable[..., Any])

_OPEN: Final = ConfigDict(extra="allow", defer_build=True)
_FIXED: Final = ConfigDict(extra="ignore", defer_build=True)

_building: Final = RLock()
"""Held by the thread that builds schemas: before 2.14, pydantic lets threads take from each other what they build."""

_LONGEST_PATH: Final = 32767
"""In characters, as of Windows. Longer text is base64."""


class _Signature:
    """The signature of a model's class, whose schema is built for it."""

    def __get__(self, instance: Any, owner: type[BaseModel]) -> Signature:
        owner.model_rebuild()
        found: Signature = vars(owner)["__signature__"].__get__(instance, owner)
        return found


_SIGNATURE: Final = cast("Signature", _Signature())


def _unsaid(serializer: S) -> S:
    """Leave its result's type out of a serializer's annotations: a JSON schema would tell it in place of the model."""
    del serializer.__annotations__["return"]
    return serializer


class _Model(BaseModel):
    """A model whose schema one thread builds, while others wait."""

    model_config = _FIXED

    @classmethod
    def model_rebuild(
        cls,
        *,
        force: bool = False,
        raise_errors: bool = True,
        _parent_namespace_depth: int = 2,
        _types_namespace: Mapping[str, Any] | None = None,
    ) -> bool | None:
        """Build the schema, as pydantic does."""
        depth = _parent_namespace_depth + (_parent_namespace_depth > 0)  # this frame is between
        with _building:
            return super().model_rebuild(
                force=force,
                raise_errors=raise_errors,
                _parent_namespace_depth=depth,
                _types_namespace=_types_namespace,
            )


class SubscriptableBaseModel(_Model):
    """A model whose fields are items, too."""

    model_config = _OPEN
    __signature__ = _SIGNATURE

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if not cls.__pydantic_complete__:
            cls.__signature__ = _SIGNATURE  # and not that of a class above, which may be built

    if not TYPE_CHECKING:  # or else all attributes would be known to type checkers

        def __getattr__(self, name: str) -> Any:
            # Python asks any object for these, `dict(model)` for one, and for what they are to it. An unknown field of
            # such a name is an item only.
            if name == "keys" or name.startswith("__"):
                return object.__getattribute__(self, name)
            return super().__getattr__(name)

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        if self.__pydantic_extra__ is None and self.model_config.get("extra") == "allow":
            # The genuine package pickled it, and keeps none.
            object.__setattr__(self, "__pydantic_extra__", {})

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise KeyError(key)
        extra = self.__pydantic_extra__
        return extra[key] if extra and key in extra else getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        setattr(self, key, value)

    def __contains__(self, key: str) -> bool:
        """Whether *key* was set, be it to None, or has a default other than None."""
        if key in self.model_fields_set or key in (self.__pydantic_extra__ or ()):
            return True
        field = type(self).__pydantic_fields__.get(key)
        return field is not None and field.default is not None

    def get(self, key: str, default: Any = None) -> Any:
        """Give the value of *key*, which is None for a field that was not set; *default* if there is no such field."""
        extra = self.__pydantic_extra__
        return extra[key] if extra and key in extra else getattr(self, key, default)


class Options(SubscriptableBaseModel):
    """Parameters of a run; the first thirteen belong to loading the model."""

    numa: bool | None = None
    num_ctx: int | None = None
    num_batch: int | None = None
    num_gpu: int | None = None
    main_gpu: int | None = None
    low_vram: bool | None = None
    f16_kv: bool | None = None
    logits_all: bool | None = None
    vocab_only: bool | None = None
    use_mmap: bool | None = None
    use_mlock: bool | None = None
    embedding_only: bool | None = None
    num_thread: int | None = None

    num_keep: int | None = None
    seed: int | None = None
    num_predict: int | None = None
    top_k: int | None = None
    top_p: float | None = None
    tfs_z: float | None = None
    typical_p: float | None = None
    repeat_last_n: int | None = None
    temperature: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    mirostat: int | None = None
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None
    penalize_newline: bool | None = None
    stop: Sequence[str] | None = None


# --- what requests share ---------------------------------------------------------------------------------------------


class BaseRequest(SubscriptableBaseModel):
    """A request that names a model."""

    model_config = _FIXED

    model: Annotated[str, Field(min_length=1)]


class BaseStreamableRequest(BaseRequest):
    """A request whose answer may come in parts."""

    stream: bool | None = None


class BaseGenerateRequest(BaseStreamableRequest):
    """A request for text."""

    options: Mapping[str, Any] | Options | None = None
    format: Literal["", "json"] | dict[str, Any] | None = None
    """ "json" or a JSON schema; "" is free text."""
    keep_alive: float | str | None = None
    """How long the model stays loaded: seconds, or a Go duration such as "5m"."""


class Image(_Model):
    """An image: its bytes, the path of a file, or base64 text. It is serialised as base64, and read only then."""

    model_config = _FIXED
    __signature__ = _SIGNATURE

    value: str | bytes | Path

    @model_serializer
    @_unsaid
    def serialize_model(self) -> str:
        """Give the image in base64; raise ValueError for text that is neither base64 nor the path of a file."""
        value = self.value
        if isinstance(value, bytes):
            return _core.encode_base64(value)
        if isinstance(value, Path):
            return _core.encode_base64(value.read_bytes())
        if len(value) <= _LONGEST_PATH:
            with suppress(OSError, ValueError):
                return _core.encode_base64(Path(value).read_bytes())
        if value.rpartition(".")[2].lower() in {"png", "jpg", "jpeg", "webp"}:
            raise ValueError(f"File {value} does not exist")
        try:
            b64decode(value)
        except ValueError as exc:
            raise ValueError("Invalid image data, expected base64 string or path to image file") from exc
        return value


# --- generate --------------------------------------------------------------------------------------------------------


class GenerateRequest(BaseGenerateRequest):
    """What `generate` sends."""

    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    template: str | None = None
    context: Sequence[int] | None = None
    """Tokens of an earlier answer, which this one goes on from."""
    raw: bool | None = None
    images: Sequence[Image] | None = None
    think: bool | str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    """How many other likely tokens come with each, from 0 to 20."""
    width: int | None = None
    """In pixels, for models that make images."""
    height: int | None = None
    """In pixels, for models that make images."""
    steps: int | None = None
    """Of diffusion, for models that make images."""


class BaseGenerateResponse(SubscriptableBaseModel):
    """What answers with text have in common. Durations are in nanoseconds, and only the last part has them."""

    model: str | None = None
    created_at: str | None = None
    done: bool | None = None
    done_reason: str | None = None
    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    prompt_eval_duration: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None


class TokenLogprob(SubscriptableBaseModel):
    """A token, and the logarithm of its probability."""

    token: str
    logprob: float


class Logprob(TokenLogprob):
    """A token of the answer, and what else was likely in its place."""

    top_logprobs: Sequence[TokenLogprob] | None = None


class GenerateResponse(BaseGenerateResponse):
    """What `generate` gives: the whole, or a part of a stream."""

    response: str | None = None
    thinking: str | None = None
    context: Sequence[int] | None = None
    logprobs: Sequence[Logprob] | None = None
    image: str | None = None
    """In base64, from models that make images."""
    completed: int | None = None
    """Steps done, from models that make images."""
    total: int | None = None
    """Steps to do, from models that make images."""


# --- chat ------------------------------------------------------------------------------------------------------------


class Message(SubscriptableBaseModel):
    """A message of a conversation, or a part of one."""

    role: str
    content: str | None = None
    thinking: str | None = None
    images: Sequence[Image] | None = None
    tool_name: str | None = None
    """Of the tool whose result this is."""

    class ToolCall(SubscriptableBaseModel):
        """A call that the model asks for."""

        class Function(SubscriptableBaseModel):
            """Which function, and with what."""

            name: str
            arguments: Mapping[str, Any]

        function: Function

    tool_calls: Sequence[ToolCall] | None = None


@model_serializer(mode="wrap")
@_unsaid
def _with_nulls(self: BaseModel, dump: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
    """Dump a model with those nulls of a JSON schema that `exclude_none` takes for fields without a value."""
    dumped, extra = dump(self), self.__pydantic_extra__
    if info.exclude_none and extra and isinstance(dumped, dict):
        wanted = extra.keys() if info.include is None else extra.keys() & set(info.include)
        dumped |= {key: None for key in wanted - set(info.exclude or ()) if extra[key] is None}
    return dumped


class Tool(SubscriptableBaseModel):
    """A function that a model may ask for."""

    type: str | None = "function"

    class Function(SubscriptableBaseModel):
        """What the tool is called, does and takes."""

        name: str | None = None
        description: str | None = None

        class Parameters(SubscriptableBaseModel):
            """The JSON schema of its arguments."""

            model_config = ConfigDict(populate_by_name=True)

            type: Literal["object"] | None = "object"
            defs: Any | None = Field(None, alias="$defs")
            items: Any | None = None
            required: Sequence[str] | None = None

            class Property(SubscriptableBaseModel):
                """The JSON schema of one argument."""

                model_config = ConfigDict(arbitrary_types_allowed=True)

                type: str | Sequence[str] | None = None
                items: Any | None = None
                description: str | None = None
                enum: Sequence[Any] | None = None

                _serialize = _with_nulls

            properties: Mapping[str, Property] | None = None

            _serialize = _with_nulls

        parameters: Parameters | None = None

        _serialize = _with_nulls

    function: Function | None = None

    _serialize = _with_nulls


class ChatRequest(BaseGenerateRequest):
    """What `chat` sends."""

    messages: Sequence[Mapping[str, Any] | Message] | None = None
    tools: Sequence[Tool] | None = None
    think: bool | str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    """How many other likely tokens come with each, from 0 to 20."""

    @model_serializer(mode="wrap")
    @_unsaid
    def serialize_model(self, nxt: SerializerFunctionWrapHandler) -> Any:
        """Give the fields, and in tools `$defs` by the name that JSON schemas have for it."""
        output = nxt(self)
        for tool in output.get("tools") or ():
            parameters = (tool.get("function") or {}).get("parameters") or {}
            if "defs" in parameters:
                parameters["$defs"] = parameters.pop("defs")
        return output


class ChatResponse(BaseGenerateResponse):
    """What `chat` gives: the whole, or a part of a stream."""

    message: Message
    logprobs: Sequence[Logprob] | None = None


# --- embeddings ------------------------------------------------------------------------------------------------------


class EmbedRequest(BaseRequest):
    """What `embed` sends."""

    input: str | Sequence[str]
    truncate: bool | None = None
    """Whether an input that is too long is cut, or else an error."""
    options: Mapping[str, Any] | Options | None = None
    keep_alive: float | str | None = None
    dimensions: int | None = None
    """The length that the vectors are cut to."""


class EmbedResponse(BaseGenerateResponse):
    """What `embed` gives: a vector for each input."""

    embeddings: Sequence[Sequence[float]]


class EmbeddingsRequest(BaseRequest):
    """What `embeddings` sends."""

    prompt: str | None = None
    options: Mapping[str, Any] | Options | None = None
    keep_alive: float | str | None = None


class EmbeddingsResponse(SubscriptableBaseModel):
    """What `embeddings` gives: one vector."""

    embedding: Sequence[float]


# --- models on the server --------------------------------------------------------------------------------------------


class PullRequest(BaseStreamableRequest):
    """What `pull` sends."""

    insecure: bool | None = None


class PushRequest(BaseStreamableRequest):
    """What `push` sends."""

    insecure: bool | None = None


class CreateRequest(BaseStreamableRequest):
    """What `create` sends."""

    quantize: str | None = None
    from_: str | None = None
    files: dict[str, str] | None = None
    """Digests of blobs by the names of files."""
    adapters: dict[str, str] | None = None
    """Digests of blobs by the names of files."""
    template: str | None = None
    license: str | list[str] | None = None
    system: str | None = None
    parameters: Mapping[str, Any] | Options | None = None
    messages: Sequence[Mapping[str, Any] | Message] | None = None

    @model_serializer(mode="wrap")
    @_unsaid
    def serialize_model(self, nxt: SerializerFunctionWrapHandler) -> Any:
        """Give the fields, and `from` by the name that is none in Python."""
        output = nxt(self)
        if "from_" in output:
            output["from"] = output.pop("from_")
        return output


class ModelDetails(SubscriptableBaseModel):
    """What kind of model it is."""

    parent_model: str | None = None
    format: str | None = None
    family: str | None = None
    families: Sequence[str] | None = None
    parameter_size: str | None = None
    quantization_level: str | None = None


class ListResponse(SubscriptableBaseModel):
    """What `list` gives."""

    class Model(SubscriptableBaseModel):
        """A model on the server."""

        model: str | None = None
        modified_at: datetime | None = None
        digest: str | None = None
        size: ByteSize | None = None
        details: ModelDetails | None = None

    models: Sequence[Model]


class DeleteRequest(BaseRequest):
    """What `delete` sends."""


class CopyRequest(_Model):
    """What `copy` sends."""

    model_config = _FIXED
    __signature__ = _SIGNATURE

    source: str
    destination: str


class StatusResponse(SubscriptableBaseModel):
    """How it went."""

    status: str | None = None


class ProgressResponse(StatusResponse):
    """How far it went, in bytes."""

    completed: int | None = None
    total: int | None = None
    digest: str | None = None


class ShowRequest(BaseRequest):
    """What `show` sends."""


class ShowResponse(SubscriptableBaseModel):
    """What `show` gives."""

    modified_at: datetime | None = None
    template: str | None = None
    modelfile: str | None = None
    license: str | None = None
    details: ModelDetails | None = None
    modelinfo: Mapping[str, Any] | None = Field(alias="model_info")
    parameters: str | None = None
    capabilities: list[str] | None = None


class ProcessResponse(SubscriptableBaseModel):
    """What `ps` gives."""

    class Model(SubscriptableBaseModel):
        """A model that is loaded."""

        model: str | None = None
        name: str | None = None
        digest: str | None = None
        expires_at: datetime | None = None
        size: ByteSize | None = None
        size_vram: ByteSize | None = None
        details: ModelDetails | None = None
        context_length: int | None = None

    models: Sequence[Model]


# --- the web ---------------------------------------------------------------------------------------------------------


class WebSearchRequest(SubscriptableBaseModel):
    """What `web_search` sends."""

    model_config = _FIXED

    query: str
    max_results: int | None = None


class WebSearchResult(SubscriptableBaseModel):
    """A page that was found."""

    content: str | None = None
    title: str | None = None
    url: str | None = None


class WebFetchRequest(SubscriptableBaseModel):
    """What `web_fetch` sends."""

    model_config = _FIXED

    url: str


class WebSearchResponse(SubscriptableBaseModel):
    """What `web_search` gives."""

    results: Sequence[WebSearchResult]


class WebFetchResponse(SubscriptableBaseModel):
    """What `web_fetch` gives: a page."""

    title: str | None = None
    content: str | None = None
    links: Sequence[str] | None = None


# --- System One ------------------------------------------------------------------------------------------------------

SystemOneContent: TypeAlias = str | dict[str, Any] | list[Any]
"""Text, or JSON that is shown as text."""


class SystemOneChoiceQuestion(SubscriptableBaseModel):
    """Which of the keys of `criteria` it is; their values say what they mean."""

    type: Literal["choice"] = "choice"
    instructions: SystemOneContent
    criteria: dict[str, str | None]


class SystemOneNoulQuestion(SubscriptableBaseModel):
    """Whether it is so."""

    type: Literal["noul"] = "noul"
    instructions: SystemOneContent
    criteria: dict[Literal["false", "true"], str] | None = None


class SystemOneScoreQuestion(SubscriptableBaseModel):
    """How much it is; `criteria` go from the lowest score to the highest."""

    type: Literal["score"] = "score"
    instructions: SystemOneContent
    criteria: list[str]


SystemOneQuestion: TypeAlias = Annotated[
    SystemOneChoiceQuestion | SystemOneNoulQuestion | SystemOneScoreQuestion, Field(discriminator="type")
]
"""One of the three, told apart by `type`."""


class SystemOneRequest(SubscriptableBaseModel):
    """What `systemone` sends."""

    model_config = _FIXED

    model: str
    state: SystemOneContent
    questions: dict[str, SystemOneQuestion]
    keep_alive: float | str | None = None


class SystemOneNoulAnswer(SubscriptableBaseModel):
    """How likely it is so, from 0 to 1."""

    type: Literal["noul"]
    noul: float


class SystemOneChoiceAnswer(SubscriptableBaseModel):
    """The likeliest key, and how likely each is."""

    type: Literal["choice"]
    choice: str
    probabilities: dict[str, float]
    confidence: float


class SystemOneScoreAnswer(SubscriptableBaseModel):
    """The expected score, from 0 on, and maybe between two."""

    type: Literal["score"]
    score: float
    legend: dict[str, str]
    probabilities: dict[str, float]
    confidence: float


SystemOneAnswer: TypeAlias = Annotated[
    SystemOneNoulAnswer | SystemOneChoiceAnswer | SystemOneScoreAnswer, Field(discriminator="type")
]
"""One of the three, told apart by `type`."""


class SystemOneUsage(SubscriptableBaseModel):
    """How many tokens it took."""

    input_tokens: int
    output_tokens: int


class SystemOneResponse(SubscriptableBaseModel):
    """What `systemone` gives: an answer to each question, by its name."""

    model: str
    answers: dict[str, SystemOneAnswer]
    usage: SystemOneUsage


# --- errors ----------------------------------------------------------------------------------------------------------


class RequestError(Exception):
    """The arguments make no request."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error
        """What is wrong."""


class ResponseError(Exception):
    """
    Ollama answered with an error.

    Args:
        error: The body of the answer: JSON with an "error", or else any text, in UTF-8 if it is bytes.

        status_code: The HTTP status; -1 if it is not known.
    """

    def __init__(self, error: str, status_code: int = -1) -> None:
        said = _error_in(error) or _phrase(status_code)
        super().__init__(said)
        self.error: str = said
        """What the server said, or what its status means if it said nothing."""
        self.status_code = status_code
        """The HTTP status."""

    def __str__(self) -> str:
        return f"{self.error} (status code: {self.status_code})"


def _error_in(body: Any) -> Any:
    """Give the "error" of *body* if that is a JSON object with one, else its text."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    with suppress(RecursionError, TypeError, ValueError):
        found = json.loads(body)
        if isinstance(found, dict):
            return found.get("error", text)
    return text


def _phrase(status_code: int) -> str:
    try:
        return HTTPStatus(status_code).phrase
    except ValueError:
        return "no error message"
