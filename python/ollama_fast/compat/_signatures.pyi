"""
What type checkers and editors know of the clients' methods: `stream=True` gives other values than without.

Client and AsyncClient have these classes as bases for type checkers only; at run time there is no such module.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias, overload

from ._types import (
    ChatResponse,
    EmbeddingsResponse,
    EmbedResponse,
    GenerateResponse,
    Image,
    ListResponse,
    Message,
    Options,
    ProcessResponse,
    ProgressResponse,
    ShowResponse,
    StatusResponse,
    SystemOneContent,
    SystemOneQuestion,
    SystemOneResponse,
    Tool,
    WebFetchResponse,
    WebSearchResponse,
)

Messages: TypeAlias = Sequence[Mapping[str, Any] | Message] | None
OptionsGiven: TypeAlias = Mapping[str, Any] | Options | None
Format: TypeAlias = Literal["", "json"] | dict[str, Any] | None
Tools: TypeAlias = Sequence[Mapping[str, Any] | Tool | Callable[..., Any]] | None
Images: TypeAlias = Sequence[str | bytes | Image] | None

class Methods:
    """The methods of Client."""

    @overload
    def generate(
        self,
        model: str = "",
        prompt: str | None = None,
        suffix: str | None = None,
        *,
        system: str | None = None,
        template: str | None = None,
        context: Sequence[int] | None = None,
        stream: Literal[False] = False,
        think: bool | str | None = None,
        logprobs: bool | None = None,
        top_logprobs: int | None = None,
        raw: bool | None = None,
        format: Format = None,
        images: Images = None,
        options: OptionsGiven = None,
        keep_alive: float | str | None = None,
        width: int | None = None,
        height: int | None = None,
        steps: int | None = None,
    ) -> GenerateResponse:
        """Complete *prompt* with *model*; with `stream=True` part by part."""
    @overload
    def generate(
        self,
        model: str = "",
        prompt: str | None = None,
        suffix: str | None = None,
        *,
        system: str | None = None,
        template: str | None = None,
        context: Sequence[int] | None = None,
        stream: Literal[True],
        think: bool | str | None = None,
        logprobs: bool | None = None,
        top_logprobs: int | None = None,
        raw: bool | None = None,
        format: Format = None,
        images: Images = None,
        options: OptionsGiven = None,
        keep_alive: float | str | None = None,
        width: int | None = None,
        height: int | None = None,
        steps: int | None = None,
    ) -> Iterator[GenerateResponse]:
        """Complete *prompt* with *model*; with `stream=True` part by part."""
    @overload
    def generate(
        self,
        model: str = "",
        prompt: str | None = None,
        suffix: str | None = None,
        *,
        system: str | None = None,
        template: str | None = None,
        context: Sequence[int] | None = None,
        stream: bool,
        think: bool | str | None = None,
        logprobs: bool | None = None,
        top_logprobs: int | None = None,
        raw: bool | None = None,
        format: Format = None,
        images: Images = None,
        options: OptionsGiven = None,
        keep_alive: float | str | None = None,
        width: int | None = None,
        height: int | None = None,
        steps: int | None = None,
    ) -> GenerateResponse | Iterator[GenerateResponse]:
        """Complete *prompt* with *model*; with `stream=True` part by part."""
    @overload
    def chat(
        self,
        model: str = "",
        messages: Messages = None,
        *,
        tools: Tools = None,
        stream: Literal[False] = False,
        think: bool | str | None = None,
        logprobs: bool | None = None,
        top_logprobs: int | None = None,
        format: Format = None,
        options: OptionsGiven = None,
        keep_alive: float | str | None = None,
    ) -> ChatResponse:
        """Answer the last of *messages* with *model*; with `stream=True` part by part."""
    @overload
    def chat(
        self,
        model: str = "",
        messages: Messages = None,
        *,
        tools: Tools = None,
        stream: Literal[True],
        think: bool | str | None = None,
        logprobs: bool | None = None,
        top_logprobs: int | None = None,
        format: Format = None,
        options: OptionsGiven = None,
        keep_alive: float | str | None = None,
    ) -> Iterator[ChatResponse]:
        """Answer the last of *messages* with *model*; with `stream=True` part by part."""
    @overload
    def chat(
        self,
        model: str = "",
        messages: Messages = None,
        *,
        tools: Tools = None,
        stream: bool,
        think: bool | str | None = None,
        logprobs: bool | None = None,
        top_logprobs: int | None = None,
        format: Format = None,
        options: OptionsGiven = None,
        keep_alive: float | str | None = None,
    ) -> ChatResponse | Iterator[ChatResponse]:
        """Answer the last of *messages* with *model*; with `stream=True` part by part."""
    @overload
    def pull(self, model: str, *, insecure: bool = False, stream: Literal[False] = False) -> ProgressResponse:
        """Download *model* from its registry to the server; with `stream=True` telling how far it is."""
    @overload
    def pull(self, model: str, *, insecure: bool = False, stream: Literal[True]) -> Iterator[ProgressResponse]:
        """Download *model* from its registry to the server; with `stream=True` telling how far it is."""
    @overload
    def pull(
        self, model: str, *, insecure: bool = False, stream: bool
    ) -> ProgressResponse | Iterator[ProgressResponse]:
        """Download *model* from its registry to the server; with `stream=True` telling how far it is."""
    @overload
    def push(self, model: str, *, insecure: bool = False, stream: Literal[False] = False) -> ProgressResponse:
        """Upload *model* from the server to its registry; with `stream=True` telling how far it is."""
    @overload
    def push(self, model: str, *, insecure: bool = False, stream: Literal[True]) -> Iterator[ProgressResponse]:
        """Upload *model* from the server to its registry; with `stream=True` telling how far it is."""
    @overload
    def push(
        self, model: str, *, insecure: bool = False, stream: bool
    ) -> ProgressResponse | Iterator[ProgressResponse]:
        """Upload *model* from the server to its registry; with `stream=True` telling how far it is."""
    @overload
    def create(
        self,
        model: str,
        quantize: str | None = None,
        from_: str | None = None,
        files: dict[str, str] | None = None,
        adapters: dict[str, str] | None = None,
        template: str | None = None,
        license: str | list[str] | None = None,
        system: str | None = None,
        parameters: OptionsGiven = None,
        messages: Messages = None,
        *,
        stream: Literal[False] = False,
    ) -> ProgressResponse:
        """Make *model* of another or of uploaded files; with `stream=True` telling how far it is."""
    @overload
    def create(
        self,
        model: str,
        quantize: str | None = None,
        from_: str | None = None,
        files: dict[str, str] | None = None,
        adapters: dict[str, str] | None = None,
        template: str | None = None,
        license: str | list[str] | None = None,
        system: str | None = None,
        parameters: OptionsGiven = None,
        messages: Messages = None,
        *,
        stream: Literal[True],
    ) -> Iterator[ProgressResponse]:
        """Make *model* of another or of uploaded files; with `stream=True` telling how far it is."""
    @overload
    def create(
        self,
        model: str,
        quantize: str | None = None,
        from_: str | None = None,
        files: dict[str, str] | None = None,
        adapters: dict[str, str] | None = None,
        template: str | None = None,
        license: str | list[str] | None = None,
        system: str | None = None,
        parameters: OptionsGiven = None,
        messages: Messages = None,
        *,
        stream: bool,
    ) -> ProgressResponse | Iterator[ProgressResponse]:
        """Make *model* of another or of uploaded files; with `stream=True` telling how far it is."""
    def systemone(
        self,
        model: str,
        state: SystemOneContent,
        questions: Mapping[str, SystemOneQuestion | Mapping[str, Any]],
        keep_alive: float | str | None = None,
    ) -> SystemOneResponse:
        """Answer *questions* about *state* with probabilities."""
    def embed(
        self,
        model: str = "",
        input: str | Sequence[str] = "",
        truncate: bool | None = None,
        options: OptionsGiven = None,
        keep_alive: float | str | None = None,
        dimensions: int | None = None,
    ) -> EmbedResponse:
        """Turn *input*, a text or several, into vectors with *model*."""
    def embeddings(
        self,
        model: str = "",
        prompt: str | None = None,
        options: OptionsGiven = None,
        keep_alive: float | str | None = None,
    ) -> EmbeddingsResponse:
        """Turn *prompt* into one vector with *model*; superseded by `embed`."""
    def delete(self, model: str) -> StatusResponse:
        """Remove *model* from the server."""
    def copy(self, source: str, destination: str) -> StatusResponse:
        """Give the model *source* a second name, *destination*."""
    def show(self, model: str) -> ShowResponse:
        """Show what the server knows of *model*."""
    def ps(self) -> ProcessResponse:
        """List the models in memory."""
    def web_search(self, query: str, max_results: int = 3) -> WebSearchResponse:
        """Search the web by ollama.com, for *max_results* pages."""
    def web_fetch(self, url: str) -> WebFetchResponse:
        """Fetch the text of the web page at *url* by ollama.com."""
    def list(self) -> ListResponse:
        """List the models on the server."""

class AsyncMethods:
    """The methods of AsyncClient."""

    @overload
    async def generate(
        self,
        model: str = "",
        prompt: str | None = None,
        suffix: str | None = None,
        *,
        system: str | None = None,
        template: str | None = None,
        context: Sequence[int] | None = None,
        stream: Literal[False] = False,
        think: bool | str | None = None,
        logprobs: bool | None = None,
        top_logprobs: int | None = None,
        raw: bool | None = None,
        format: Format = None,
        images: Images = None,
        options: OptionsGiven = None,
        keep_alive: float | str | None = None,
        width: int | None = None,
        height: int | None = None,
        steps: int | None = None,
    ) -> GenerateResponse:
        """Complete *prompt* with *model*; with `stream=True` part by part."""
    @overload
    async def generate(
        self,
        model: str = "",
        prompt: str | None = None,
        suffix: str | None = None,
        *,
        system: str | None = None,
        template: str | None = None,
        context: Sequence[int] | None = None,
        stream: Literal[True],
        think: bool | str | None = None,
        logprobs: bool | None = None,
        top_logprobs: int | None = None,
        raw: bool | None = None,
        format: Format = None,
        images: Images = None,
        options: OptionsGiven = None,
        keep_alive: float | str | None = None,
        width: int | None = None,
        height: int | None = None,
        steps: int | None = None,
    ) -> AsyncIterator[GenerateResponse]:
        """Complete *prompt* with *model*; with `stream=True` part by part."""
    @overload
    async def generate(
        self,
        model: str = "",
        prompt: str | None = None,
        suffix: str | None = None,
        *,
        system: str | None = None,
        template: str | None = None,
        context: Sequence[int] | None = None,
        stream: bool,
        think: bool | str | None = None,
        logprobs: bool | None = None,
        top_logprobs: int | None = None,
        raw: bool | None = None,
        format: Format = None,
        images: Images = None,
        options: OptionsGiven = None,
        keep_alive: float | str | None = None,
        width: int | None = None,
        height: int | None = None,
        steps: int | None = None,
    ) -> GenerateResponse | AsyncIterator[GenerateResponse]:
        """Complete *prompt* with *model*; with `stream=True` part by part."""
    @overload
    async def chat(
        self,
        model: str = "",
        messages: Messages = None,
        *,
        tools: Tools = None,
        stream: Literal[False] = False,
        think: bool | str | None = None,
        logprobs: bool | None = None,
        top_logprobs: int | None = None,
        format: Format = None,
        options: OptionsGiven = None,
        keep_alive: float | str | None = None,
    ) -> ChatResponse:
        """Answer the last of *messages* with *model*; with `stream=True` part by part."""
    @overload
    async def chat(
        self,
        model: str = "",
        messages: Messages = None,
        *,
        tools: Tools = None,
        stream: Literal[True],
        think: bool | str | None = None,
        logprobs: bool | None = None,
        top_logprobs: int | None = None,
        format: Format = None,
        options: OptionsGiven = None,
        keep_alive: float | str | None = None,
    ) -> AsyncIterator[ChatResponse]:
        """Answer the last of *messages* with *model*; with `stream=True` part by part."""
    @overload
    async def chat(
        self,
        model: str = "",
        messages: Messages = None,
        *,
        tools: Tools = None,
        stream: bool,
        think: bool | str | None = None,
        logprobs: bool | None = None,
        top_logprobs: int | None = None,
        format: Format = None,
        options: OptionsGiven = None,
        keep_alive: float | str | None = None,
    ) -> ChatResponse | AsyncIterator[ChatResponse]:
        """Answer the last of *messages* with *model*; with `stream=True` part by part."""
    @overload
    async def pull(self, model: str, *, insecure: bool = False, stream: Literal[False] = False) -> ProgressResponse:
        """Download *model* from its registry to the server; with `stream=True` telling how far it is."""
    @overload
    async def pull(
        self, model: str, *, insecure: bool = False, stream: Literal[True]
    ) -> AsyncIterator[ProgressResponse]:
        """Download *model* from its registry to the server; with `stream=True` telling how far it is."""
    @overload
    async def pull(
        self, model: str, *, insecure: bool = False, stream: bool
    ) -> ProgressResponse | AsyncIterator[ProgressResponse]:
        """Download *model* from its registry to the server; with `stream=True` telling how far it is."""
    @overload
    async def push(self, model: str, *, insecure: bool = False, stream: Literal[False] = False) -> ProgressResponse:
        """Upload *model* from the server to its registry; with `stream=True` telling how far it is."""
    @overload
    async def push(
        self, model: str, *, insecure: bool = False, stream: Literal[True]
    ) -> AsyncIterator[ProgressResponse]:
        """Upload *model* from the server to its registry; with `stream=True` telling how far it is."""
    @overload
    async def push(
        self, model: str, *, insecure: bool = False, stream: bool
    ) -> ProgressResponse | AsyncIterator[ProgressResponse]:
        """Upload *model* from the server to its registry; with `stream=True` telling how far it is."""
    @overload
    async def create(
        self,
        model: str,
        quantize: str | None = None,
        from_: str | None = None,
        files: dict[str, str] | None = None,
        adapters: dict[str, str] | None = None,
        template: str | None = None,
        license: str | list[str] | None = None,
        system: str | None = None,
        parameters: OptionsGiven = None,
        messages: Messages = None,
        *,
        stream: Literal[False] = False,
    ) -> ProgressResponse:
        """Make *model* of another or of uploaded files; with `stream=True` telling how far it is."""
    @overload
    async def create(
        self,
        model: str,
        quantize: str | None = None,
        from_: str | None = None,
        files: dict[str, str] | None = None,
        adapters: dict[str, str] | None = None,
        template: str | None = None,
        license: str | list[str] | None = None,
        system: str | None = None,
        parameters: OptionsGiven = None,
        messages: Messages = None,
        *,
        stream: Literal[True],
    ) -> AsyncIterator[ProgressResponse]:
        """Make *model* of another or of uploaded files; with `stream=True` telling how far it is."""
    @overload
    async def create(
        self,
        model: str,
        quantize: str | None = None,
        from_: str | None = None,
        files: dict[str, str] | None = None,
        adapters: dict[str, str] | None = None,
        template: str | None = None,
        license: str | list[str] | None = None,
        system: str | None = None,
        parameters: OptionsGiven = None,
        messages: Messages = None,
        *,
        stream: bool,
    ) -> ProgressResponse | AsyncIterator[ProgressResponse]:
        """Make *model* of another or of uploaded files; with `stream=True` telling how far it is."""
    async def systemone(
        self,
        model: str,
        state: SystemOneContent,
        questions: Mapping[str, SystemOneQuestion | Mapping[str, Any]],
        keep_alive: float | str | None = None,
    ) -> SystemOneResponse:
        """Answer *questions* about *state* with probabilities."""
    async def embed(
        self,
        model: str = "",
        input: str | Sequence[str] = "",
        truncate: bool | None = None,
        options: OptionsGiven = None,
        keep_alive: float | str | None = None,
        dimensions: int | None = None,
    ) -> EmbedResponse:
        """Turn *input*, a text or several, into vectors with *model*."""
    async def embeddings(
        self,
        model: str = "",
        prompt: str | None = None,
        options: OptionsGiven = None,
        keep_alive: float | str | None = None,
    ) -> EmbeddingsResponse:
        """Turn *prompt* into one vector with *model*; superseded by `embed`."""
    async def delete(self, model: str) -> StatusResponse:
        """Remove *model* from the server."""
    async def copy(self, source: str, destination: str) -> StatusResponse:
        """Give the model *source* a second name, *destination*."""
    async def show(self, model: str) -> ShowResponse:
        """Show what the server knows of *model*."""
    async def ps(self) -> ProcessResponse:
        """List the models in memory."""
    async def web_search(self, query: str, max_results: int = 3) -> WebSearchResponse:
        """Search the web by ollama.com, for *max_results* pages."""
    async def web_fetch(self, url: str) -> WebFetchResponse:
        """Fetch the text of the web page at *url* by ollama.com."""
    async def list(self) -> ListResponse:
        """List the models on the server."""
