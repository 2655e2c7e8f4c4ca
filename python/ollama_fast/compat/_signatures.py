"""
What type checkers know of the methods that stream: `stream=True` gives other values than without.

`W_co` is what a method gives for a whole answer, and `S_co` what it gives for a stream: in AsyncClient to be awaited.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypedDict, TypeVar, Unpack, overload

from ._types import Image, Message, Options, Tool

W_co = TypeVar("W_co", covariant=True)
S_co = TypeVar("S_co", covariant=True)

Messages: TypeAlias = Sequence[Mapping[str, Any] | Message] | None


class GenerateArguments(TypedDict, total=False):
    """The keywords of `generate` beside `stream`."""

    system: str | None
    template: str | None
    context: Sequence[int] | None
    think: bool | str | None
    logprobs: bool | None
    top_logprobs: int | None
    raw: bool | None
    format: Literal["", "json"] | dict[str, Any] | None
    images: Sequence[str | bytes | Image] | None
    options: Mapping[str, Any] | Options | None
    keep_alive: float | str | None
    width: int | None
    height: int | None
    steps: int | None


class Generate(Protocol[W_co, S_co]):
    """`generate`."""

    @overload
    def __call__(
        self,
        model: str = ...,
        prompt: str | None = ...,
        suffix: str | None = ...,
        *,
        stream: Literal[False] = ...,
        **arguments: Unpack[GenerateArguments],
    ) -> W_co: ...
    @overload
    def __call__(
        self,
        model: str = ...,
        prompt: str | None = ...,
        suffix: str | None = ...,
        *,
        stream: Literal[True],
        **arguments: Unpack[GenerateArguments],
    ) -> S_co: ...
    @overload
    def __call__(
        self,
        model: str = ...,
        prompt: str | None = ...,
        suffix: str | None = ...,
        *,
        stream: bool,
        **arguments: Unpack[GenerateArguments],
    ) -> W_co | S_co: ...


class ChatArguments(TypedDict, total=False):
    """The keywords of `chat` beside `stream`."""

    tools: Sequence[Mapping[str, Any] | Tool | Callable[..., Any]] | None
    think: bool | str | None
    logprobs: bool | None
    top_logprobs: int | None
    format: Literal["", "json"] | dict[str, Any] | None
    options: Mapping[str, Any] | Options | None
    keep_alive: float | str | None


class Chat(Protocol[W_co, S_co]):
    """`chat`."""

    @overload
    def __call__(
        self,
        model: str = ...,
        messages: Messages = ...,
        *,
        stream: Literal[False] = ...,
        **arguments: Unpack[ChatArguments],
    ) -> W_co: ...
    @overload
    def __call__(
        self, model: str = ..., messages: Messages = ..., *, stream: Literal[True], **arguments: Unpack[ChatArguments]
    ) -> S_co: ...
    @overload
    def __call__(
        self, model: str = ..., messages: Messages = ..., *, stream: bool, **arguments: Unpack[ChatArguments]
    ) -> W_co | S_co: ...


class Transfer(Protocol[W_co, S_co]):
    """`pull` and `push`."""

    @overload
    def __call__(self, model: str, *, insecure: bool = ..., stream: Literal[False] = ...) -> W_co: ...
    @overload
    def __call__(self, model: str, *, insecure: bool = ..., stream: Literal[True]) -> S_co: ...
    @overload
    def __call__(self, model: str, *, insecure: bool = ..., stream: bool) -> W_co | S_co: ...


class CreateArguments(TypedDict, total=False):
    """The arguments of `create` beside `model`, if they are given by name, and `stream`."""

    quantize: str | None
    from_: str | None
    files: dict[str, str] | None
    adapters: dict[str, str] | None
    template: str | None
    license: str | list[str] | None
    system: str | None
    parameters: Mapping[str, Any] | Options | None
    messages: Messages


class Create(Protocol[W_co, S_co]):
    """`create`, whose arguments but the first are keywords to a type checker."""

    @overload
    def __call__(self, model: str, *, stream: Literal[False] = ..., **arguments: Unpack[CreateArguments]) -> W_co: ...
    @overload
    def __call__(self, model: str, *, stream: Literal[True], **arguments: Unpack[CreateArguments]) -> S_co: ...
    @overload
    def __call__(self, model: str, *, stream: bool, **arguments: Unpack[CreateArguments]) -> W_co | S_co: ...
