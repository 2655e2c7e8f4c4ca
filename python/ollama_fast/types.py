"""
The shapes of what goes in and comes out.

Answers are plain dicts. A key is required here if Ollama always sends it; keys that newer servers add stay in the dict.
Durations are integers in nanoseconds, times are RFC 3339 text. What may be sent is read-only here, so that an answer's
message can be sent back as it is.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from types import UnionType
from typing import IO, Any, Literal, NotRequired, Protocol, Required, TypeAlias

# Not those of typing: they forget, or do not know, what is required and read-only before Python 3.13.
from typing_extensions import Buffer, ReadOnly, TypedDict

__all__ = [
    "BinaryFile",
    "ByteArray",
    "ChatArguments",
    "ChatResponse",
    "CloudStatus",
    "DebugInfo",
    "EmbedArguments",
    "EmbedResponse",
    "EmbeddingsResponse",
    "Format",
    "GenerateArguments",
    "GenerateResponse",
    "Image",
    "KeepAlive",
    "ListModel",
    "ListResponse",
    "Logprob",
    "MapChatArguments",
    "Message",
    "ModelDetails",
    "ModelRecommendation",
    "ModelRecommendationsResponse",
    "Options",
    "Picture",
    "ProcessModel",
    "ProcessResponse",
    "ProgressResponse",
    "ResponseMessage",
    "ResponseToolCall",
    "ResponseToolCallFunction",
    "Role",
    "ShowResponse",
    "StatusResponse",
    "SystemOneAnswer",
    "SystemOneChoiceAnswer",
    "SystemOneChoiceQuestion",
    "SystemOneContent",
    "SystemOneNoulAnswer",
    "SystemOneNoulQuestion",
    "SystemOneQuestion",
    "SystemOneResponse",
    "SystemOneScoreAnswer",
    "SystemOneScoreQuestion",
    "SystemOneUsage",
    "Tensor",
    "Think",
    "TokenLogprob",
    "Tool",
    "ToolCall",
    "ToolCallFunction",
    "ToolFunction",
    "ToolParameters",
    "ToolProperty",
    "UserResponse",
    "VersionResponse",
    "WebFetchResponse",
    "WebSearchResponse",
    "WebSearchResult",
]

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


class BinaryFile(Protocol):
    """A file that is open for reading bytes, as `open(path, "rb")` and `io.BytesIO` are."""

    def read(self) -> bytes:
        """Give all bytes from here to the end."""
        ...


class ByteArray(Protocol):
    """An array of bytes, such as numpy's, whose stubs tell type checkers of its buffer only from Python 3.12 on."""

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """Where its items are, and of which type."""
        ...


class Picture(Protocol):
    """What is used of a PIL.Image.Image."""

    format: str | None

    @property
    def mode(self) -> str:
        """How its pixels are stored."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        ...

    def save(self, fp: IO[bytes], /, format: str | None = ..., **params: Any) -> None:
        """Write it to a file."""
        ...


Image: TypeAlias = str | Buffer | ByteArray | os.PathLike[str] | BinaryFile | Picture
"""
An image by type, never by guess.

Bytes are the encoded image itself (PNG, JPEG), as in bytes, bytearray, memoryview, mmap or an array of uint8 in one
dimension. A str is base64 or a data URL with some, and never opened as a file. A path is read, and so is an open binary
file. A PIL image is encoded.
"""

Format: TypeAlias = Literal["", "json"] | Mapping[str, Any] | type[Any] | UnionType
"""What the text of an answer must be: "json", a JSON schema, or a type that has one; "" is free text."""

Think: TypeAlias = bool | Literal["low", "medium", "high", "max"]
"""Whether, or how hard, a thinking model thinks first."""

KeepAlive: TypeAlias = float | str
"""How long the model stays loaded: seconds, or a Go duration such as "5m"; 0 unloads at once, below 0 is for ever."""


class Options(TypedDict, total=False):
    """Parameters of a run. Those marked * belong to loading: changing one reloads the model."""

    num_ctx: int
    """* Size of the context window in tokens."""
    num_batch: int
    """* Tokens of the prompt that are evaluated together."""
    num_gpu: int
    """* Layers put on the GPU; -1 lets the server choose."""
    main_gpu: int
    """* Index of the GPU for what is not split."""
    use_mmap: bool
    """* Whether the model's file is mapped into memory."""
    num_thread: int
    """* CPU threads; 0 lets the server choose."""
    draft_num_predict: int
    """* Tokens that a draft model proposes at a time."""
    num_keep: int
    """Tokens at the start of the prompt that stay when the context is cut."""
    seed: int
    """Seed of the random choice; -1 is a new one each time."""
    num_predict: int
    """Most tokens to generate; -1 leaves it to the model."""
    top_k: int
    """Choose among this many most likely tokens."""
    top_p: float
    """Choose among the most likely tokens that together have this probability."""
    min_p: float
    """Drop tokens less likely than this share of the most likely one."""
    typical_p: float
    """Locally typical sampling; 1.0 is off."""
    repeat_last_n: int
    """How many last tokens the repeat penalty looks at."""
    temperature: float
    """Randomness of the choice; 0 takes the most likely token."""
    repeat_penalty: float
    """Penalty for tokens seen before; 1.0 is none."""
    presence_penalty: float
    """Penalty for tokens that occurred at all."""
    frequency_penalty: float
    """Penalty for tokens by how often they occurred."""
    stop: Sequence[str]
    """Texts that end the answer. A list even for one: the server refuses a bare string."""


# --- tools -----------------------------------------------------------------------------------------------------------


class ToolProperty(TypedDict, total=False):
    """The schema of one argument. The server passes on these keywords only (and all of what stands below `items`)."""

    anyOf: Sequence["ToolProperty"]
    type: str | Sequence[str]
    items: Any
    description: str
    enum: Sequence[Any]
    properties: Mapping[str, "ToolProperty"]
    required: Sequence[str]


# Written as a call because "$defs" is no name.
ToolParameters = TypedDict(
    "ToolParameters",
    {
        "type": Required[str],
        "$defs": NotRequired[Any],
        "items": NotRequired[Any],
        "required": NotRequired[Sequence[str]],
        "properties": Required[Mapping[str, ToolProperty]],
    },
)
"""The schema of a tool's arguments: an object."""


class ToolFunction(TypedDict):
    """What a tool is called, does and takes."""

    name: str
    description: NotRequired[str]
    parameters: NotRequired[ToolParameters]


class Tool(TypedDict):
    """A tool that the model may call."""

    type: Literal["function"]
    function: ToolFunction
    items: NotRequired[Any]


# --- messages --------------------------------------------------------------------------------------------------------


class ToolCallFunction(TypedDict):
    """The function and the arguments of a call, as sent."""

    name: ReadOnly[str]
    arguments: ReadOnly[Mapping[str, Any]]
    index: NotRequired[ReadOnly[int]]


class ToolCall(TypedDict):
    """A call of a tool, as sent."""

    function: ReadOnly[ToolCallFunction]
    id: NotRequired[ReadOnly[str]]


class Message(TypedDict):
    """A message to send. A :class:`ResponseMessage` is one too."""

    role: Required[Role]
    content: NotRequired[ReadOnly[str]]
    thinking: NotRequired[ReadOnly[str]]
    images: NotRequired[ReadOnly[Sequence[Image]]]
    tool_calls: NotRequired[ReadOnly[Sequence[ToolCall]]]
    tool_name: NotRequired[ReadOnly[str]]
    """In a message of role "tool": the tool whose result this is."""
    tool_call_id: NotRequired[ReadOnly[str]]
    """In a message of role "tool": the `id` of the call that it answers."""


class ResponseToolCallFunction(TypedDict):
    """The function and the arguments of a call, as the model made it."""

    index: int
    name: str
    arguments: dict[str, Any]


class ResponseToolCall(TypedDict):
    """A call of a tool, as the model made it."""

    id: NotRequired[str]
    function: ResponseToolCallFunction


class ResponseMessage(TypedDict):
    """A message of the model. `content` is always there, if only as ""."""

    role: Role
    content: str
    thinking: NotRequired[str]
    images: NotRequired[list[str]]
    tool_calls: NotRequired[list[ResponseToolCall]]
    tool_name: NotRequired[str]
    tool_call_id: NotRequired[str]


# --- generate and chat -----------------------------------------------------------------------------------------------


class TokenLogprob(TypedDict):
    """A token and the logarithm of its probability."""

    token: str
    logprob: float
    bytes: NotRequired[list[int]]


class Logprob(TokenLogprob):
    """The chosen token, and those that were likely in its place."""

    top_logprobs: NotRequired[list[TokenLogprob]]


class DebugInfo(TypedDict):
    """What `debug_render_only` shows."""

    rendered_template: str
    image_count: NotRequired[int]


class _Metrics(TypedDict):
    total_duration: NotRequired[int]
    load_duration: NotRequired[int]
    prompt_eval_count: NotRequired[int]
    prompt_eval_duration: NotRequired[int]
    eval_count: NotRequired[int]
    eval_duration: NotRequired[int]


class _Completion(_Metrics):
    model: str
    remote_model: NotRequired[str]
    remote_host: NotRequired[str]
    created_at: str
    done: bool
    done_reason: NotRequired[Literal["stop", "length", "load", "unload"]]
    logprobs: NotRequired[list[Logprob]]
    _debug_info: NotRequired[DebugInfo]


class GenerateResponse(_Completion):
    """An answer of generate, or a part of one: its `response` is the text so far, or the next piece of it."""

    response: str
    thinking: NotRequired[str]
    context: NotRequired[list[int]]
    tool_calls: NotRequired[list[ResponseToolCall]]


class ChatResponse(_Completion):
    """An answer of chat, or a part of one."""

    message: ResponseMessage


# --- embeddings ------------------------------------------------------------------------------------------------------


class EmbedResponse(TypedDict):
    """One vector per input, in their order, each of length 1."""

    model: str
    embeddings: list[list[float]]
    total_duration: NotRequired[int]
    load_duration: NotRequired[int]
    prompt_eval_count: NotRequired[int]


class EmbeddingsResponse(TypedDict):
    """One vector, not normalised."""

    embedding: list[float]


# --- models ----------------------------------------------------------------------------------------------------------


class ProgressResponse(TypedDict):
    """Where a pull, push or create is. `completed` and `total` are bytes, missing when 0."""

    status: str
    digest: NotRequired[str]
    total: NotRequired[int]
    completed: NotRequired[int]


class ModelDetails(TypedDict):
    """What a model is made of."""

    parent_model: str
    format: str
    family: str
    families: list[str] | None
    parameter_size: str
    quantization_level: str
    context_length: NotRequired[int]
    embedding_length: NotRequired[int]


class ListModel(TypedDict):
    """A model on the server."""

    name: str
    model: str
    remote_model: NotRequired[str]
    remote_host: NotRequired[str]
    modified_at: str
    size: int
    digest: str
    details: ModelDetails
    capabilities: NotRequired[list[str]]


class ListResponse(TypedDict):
    """The models on the server, newest first."""

    models: list[ListModel]


class ProcessModel(TypedDict):
    """A model in memory. `size` and `size_vram` are bytes."""

    name: str
    model: str
    size: int
    digest: str
    details: ModelDetails
    expires_at: str
    size_vram: int
    context_length: int


class ProcessResponse(TypedDict):
    """The models in memory, the last to expire first."""

    models: list[ProcessModel]


class Tensor(TypedDict):
    """A tensor of a model's file."""

    name: str
    type: str
    shape: list[int]


class ShowResponse(TypedDict):
    """What the server knows of a model. Servers before 0.14.3 leave out an empty `model_info`."""

    license: NotRequired[str]
    modelfile: NotRequired[str]
    parameters: NotRequired[str]
    template: NotRequired[str]
    system: NotRequired[str]
    renderer: NotRequired[str]
    parser: NotRequired[str]
    details: ModelDetails
    messages: NotRequired[list[ResponseMessage]]
    remote_model: NotRequired[str]
    remote_host: NotRequired[str]
    model_info: dict[str, Any]
    projector_info: NotRequired[dict[str, Any]]
    tensors: NotRequired[list[Tensor]]
    capabilities: NotRequired[list[str]]
    modified_at: str
    requires: NotRequired[str]


# --- the server and ollama.com ---------------------------------------------------------------------------------------


class VersionResponse(TypedDict):
    """The server's version, without a leading "v"."""

    version: str


class CloudStatus(TypedDict):
    """Whether the server may use ollama.com, and what decided so."""

    disabled: bool
    source: str


class StatusResponse(TypedDict):
    """The server's settings that clients should know."""

    cloud: CloudStatus


class UserResponse(TypedDict):
    """The account at ollama.com that the server is signed in to."""

    id: str
    email: str
    name: str
    bio: NotRequired[str]
    avatarurl: NotRequired[str]
    firstname: NotRequired[str]
    lastname: NotRequired[str]
    plan: NotRequired[str]


class ModelRecommendation(TypedDict):
    """A model that the server recommends."""

    model: str
    description: str
    context_length: NotRequired[int]
    max_output_tokens: NotRequired[int]
    vram_bytes: NotRequired[int]
    required_plan: NotRequired[str]


class ModelRecommendationsResponse(TypedDict):
    """The models that the server recommends."""

    recommendations: list[ModelRecommendation]


class WebSearchResult(TypedDict):
    """A page that was found."""

    title: str
    url: str
    content: str


class WebSearchResponse(TypedDict):
    """The pages that were found."""

    results: list[WebSearchResult]


class WebFetchResponse(TypedDict):
    """The text of a page."""

    title: str
    content: str
    links: NotRequired[list[str]]


# --- System One ------------------------------------------------------------------------------------------------------

SystemOneContent: TypeAlias = str | Mapping[str, Any] | Sequence[Any]
"""Text, or JSON that the server renders as text."""


class SystemOneChoiceQuestion(TypedDict):
    """Which of these it is. A criterion of None is described by its key."""

    type: Literal["choice"]
    instructions: SystemOneContent
    criteria: Mapping[str, str | None]


class SystemOneNoulQuestion(TypedDict):
    """Whether something is true or false."""

    type: Literal["noul"]
    instructions: SystemOneContent
    criteria: NotRequired[Mapping[Literal["false", "true"], str]]


class SystemOneScoreQuestion(TypedDict):
    """How much it is. The criteria describe the scores from the lowest, 0, to the highest."""

    type: Literal["score"]
    instructions: SystemOneContent
    criteria: Sequence[str]


SystemOneQuestion: TypeAlias = SystemOneChoiceQuestion | SystemOneNoulQuestion | SystemOneScoreQuestion


class SystemOneChoiceAnswer(TypedDict):
    """The most likely choice, and how likely each is."""

    type: Literal["choice"]
    choice: str
    probabilities: dict[str, float]
    confidence: float


class SystemOneNoulAnswer(TypedDict):
    """The probability of true."""

    type: Literal["noul"]
    noul: float


class SystemOneScoreAnswer(TypedDict):
    """The expected score, counted from 0, which may be fractional."""

    type: Literal["score"]
    score: float
    legend: dict[str, str]
    probabilities: dict[str, float]
    confidence: float


SystemOneAnswer: TypeAlias = SystemOneChoiceAnswer | SystemOneNoulAnswer | SystemOneScoreAnswer


class SystemOneUsage(TypedDict):
    """Tokens read and written."""

    input_tokens: int
    output_tokens: int


class SystemOneResponse(TypedDict):
    """One answer per question, under the same keys."""

    model: str
    answers: dict[str, SystemOneAnswer]
    usage: SystemOneUsage


# --- arguments that functions pass on --------------------------------------------------------------------------------


class _Arguments(TypedDict, total=False):
    truncate: bool | None
    """Whether what is too long is cut; if False it is an error."""
    options: Options | None
    """Parameters of the run, such as `{"temperature": 0}`."""
    keep_alive: KeepAlive | None
    """How long the model stays loaded."""
    extra: Mapping[str, Any] | None
    """More fields for the request's body."""


class EmbedArguments(_Arguments, total=False):
    """What `embed_many` passes on to `embed`; each means there what it means in `embed`."""

    dimensions: int | None
    """Length of the vectors, if shorter than the model's own."""


class ChatArguments(_Arguments, total=False):
    """Arguments of `chat` that functions which ask it pass on; they mean there what they mean in `chat`."""

    think: Think | None
    """Whether, or how hard, a thinking model thinks first."""
    shift: bool | None
    """Whether old tokens make room when the context is full."""
    logprobs: bool | None
    """Whether each token comes with its log probability."""
    top_logprobs: int | None
    """How many other likely tokens come with it, from 0 to 20."""


class MapChatArguments(ChatArguments, total=False):
    """What `map_chat` passes on to `chat`."""

    tools: Sequence[Callable[..., Any] | Tool | Mapping[str, Any]] | Mapping[str, Callable[..., Any]] | None
    format: Format | None
    debug_render_only: bool | None


class GenerateArguments(ChatArguments, total=False):
    """What `map_generate` passes on to `generate`: what it shares with `chat`, and what is its own."""

    suffix: str | None
    system: str | None
    template: str | None
    context: Sequence[int] | None
    raw: bool | None
    format: Format | None
    images: Sequence[Image] | None
    debug_render_only: bool | None
