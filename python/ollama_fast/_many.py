"""Arguments to a Many: inputs without end, how some of them make a request, and what its answer is to each."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from . import _endpoints
from ._images import seal
from ._map import OnDead
from ._request import Request
from .errors import DecodeError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._embeddings import EmbedArray
    from .types import (
        ChatResponse,
        EmbedOptions,
        GenerateOptions,
        GenerateResponse,
        MapChatOptions,
        Message,
    )

    Vector: TypeAlias = memoryview[float]
else:
    Vector = memoryview  # which takes no parameter before Python 3.14

T = TypeVar("T")
R = TypeVar("R")

Inputs: TypeAlias = "Iterable[T] | AsyncIterable[T]"


@dataclass(frozen=True, slots=True)
class Many(Generic[R]):
    """
    Inputs that shall each have a result R.

    Args:
        inputs: Any number of them.

        build: Makes the request for some of them. Without any it shows whether the other arguments are right.

        split: Makes of an answer the results of that many inputs.

        batch_size: How many inputs go into a request.

        concurrency: Requests at a time, for each host.

        on_dead: Whether what a dead host was asked for is asked of another.
    """

    inputs: Inputs[Any]
    build: Callable[[Sequence[Any]], Request[Any]]
    split: Callable[[Any, int], Sequence[R]]
    batch_size: int
    concurrency: int
    on_dead: OnDead

    def __post_init__(self) -> None:
        kind = type(self.inputs).__name__
        if isinstance(self.inputs, str | bytes | Mapping) or not isinstance(self.inputs, Iterable | AsyncIterable):
            raise TypeError(f"there must be an iterable of inputs, not one {kind}")
        for name in ("batch_size", "concurrency"):
            count = getattr(self, name)
            if isinstance(count, bool) or not isinstance(count, int):
                raise TypeError(f"{name} must be an int, not {type(count).__name__}")
            if count < 1:
                raise ValueError(f"{name} must be 1 or more, not {count}")
        if self.on_dead not in ("resend", "raise"):
            raise ValueError(f"on_dead must be 'resend' or 'raise', not {self.on_dead!r}")


def embed_many(
    model: str,
    inputs: Iterable[str] | AsyncIterable[str],
    *,
    batch_size: int = 32,
    concurrency: int = 4,
    on_dead: OnDead = "resend",
    **embed: Unpack[EmbedOptions],
) -> Many[Vector]:
    """
    Turn each of *inputs* into a vector with *model*, in batches, over one host or several.

    Args:
        model: Name of the model.

        inputs: Texts, as many as you like: they are read while vectors are given, at most 4 batches ahead for each
            request that can be under way. In `aio` also an async iterable.

        batch_size: Texts in a request.

        concurrency: Requests under way at a time, for each host; more than the server works on
            (OLLAMA_NUM_PARALLEL) wait there.

        on_dead: What to do if a host cannot be reached or its connection breaks. "resend" gives its work to the others,
            so a host may be sent texts that another one got before; "raise" makes it an error.

        embed: The other parameters of `embed`.

    Gives Answers to iterate over: a vector for each text, in the order of the texts, as a one-dimensional read-only
    memoryview of float32, which `numpy.asarray` takes without a copy. Nothing is sent before the first `next`.

    Raises InputsError where vectors would come whose request failed, when all before them were given; it says which,
    and keeps what else was done. A busy host (429, 503) is asked again after a pause, eight times.
    """

    def build(texts: Sequence[str]) -> Request[EmbedArray]:
        for text in texts:
            if not isinstance(text, str):
                raise TypeError(f"an input must be a str, not {type(text).__name__}")
        return _endpoints.embed_array(model, texts, **embed)

    return _many(embed_many, inputs, build, _vectors, batch_size, concurrency, on_dead)


def map_generate(
    model: str,
    prompts: Iterable[str] | AsyncIterable[str],
    *,
    concurrency: int = 4,
    on_dead: OnDead = "resend",
    **generate: Unpack[GenerateOptions],
) -> Many[GenerateResponse]:
    """
    Complete each of *prompts* with *model*, over one host or several.

    Args:
        model: Name of the model.

        prompts: Texts to complete, as many as you like: they are read while answers are given, at most 4 ahead for each
            request that can be under way. In `aio` also an async iterable.

        concurrency: Requests under way at a time, for each host; more than the server works on
            (OLLAMA_NUM_PARALLEL) wait there.

        on_dead: What to do if a host cannot be reached or its connection breaks. "resend" gives its work to the others,
            so a host may be sent prompts that another one got before; "raise" makes it an error.

        generate: The other parameters of `generate`, the same for all prompts.

    Gives Answers to iterate over: what `generate` gives for each prompt, in the order of the prompts. Nothing is sent
    before the first `next`.

    Raises InputsError where an answer would come whose request failed, when all before it were given; it says which,
    and keeps what else was done. A busy host (429, 503) is asked again after a pause, eight times.
    """
    if "images" in generate:  # once, since what is no file but a pipe can be read once only
        sealed: Any = seal(generate["images"])
        generate = {**generate, "images": sealed}

    def build(batch: Sequence[str]) -> Request[GenerateResponse]:
        prompt = batch[0] if batch else ""
        if not isinstance(prompt, str):
            raise TypeError(f"a prompt must be a str, not {type(prompt).__name__}")
        return _endpoints.generate(model, prompt, **generate)

    return _many(map_generate, prompts, build, _whole, 1, concurrency, on_dead)


def map_chat(
    model: str,
    conversations: Iterable[Sequence[Message | Mapping[str, Any]]]
    | AsyncIterable[Sequence[Message | Mapping[str, Any]]],
    *,
    concurrency: int = 4,
    on_dead: OnDead = "resend",
    **chat: Unpack[MapChatOptions],
) -> Many[ChatResponse]:
    """
    Answer the last message of each of *conversations* with *model*, over one host or several.

    Args:
        model: Name of the model.

        conversations: Sequences of messages, as many as you like: they are read while answers are given, at most 4
            ahead for each request that can be under way. In `aio` also an async iterable.

        concurrency: Requests under way at a time, for each host; more than the server works on
            (OLLAMA_NUM_PARALLEL) wait there.

        on_dead: What to do if a host cannot be reached or its connection breaks. "resend" gives its work to the others,
            so a host may be sent a conversation that another one got before; "raise" makes it an error.

        chat: The other parameters of `chat`, the same for all conversations.

    Gives Answers to iterate over: what `chat` gives for each conversation, in their order. Nothing is sent before the
    first `next`.

    Raises InputsError where an answer would come whose request failed, when all before it were given; it says which,
    and keeps what else was done. A busy host (429, 503) is asked again after a pause, eight times.
    """

    def build(batch: Sequence[Sequence[Message | Mapping[str, Any]]]) -> Request[ChatResponse]:
        conversation = batch[0] if batch else ()
        if not isinstance(conversation, Sequence):  # an iterator would be empty when it is sent to another host
            raise TypeError(f"a conversation must be a sequence of messages, not {type(conversation).__name__}")
        return _endpoints.chat(model, conversation, **chat)

    return _many(map_chat, conversations, build, _whole, 1, concurrency, on_dead)


def _many(
    function: Callable[..., Many[R]],
    inputs: Inputs[T],
    build: Callable[[Sequence[T]], Request[Any]],
    split: Callable[[Any, int], Sequence[R]],
    batch_size: int,
    concurrency: int,
    on_dead: OnDead,
) -> Many[R]:
    many = Many(inputs, build, split, batch_size, concurrency, on_dead)
    try:
        build(())
    except TypeError as exc:
        # An argument that is unknown is so to the function that was called.
        called, parenthesis, rest = str(exc).partition("()")
        if parenthesis and called in ("embed", "generate", "chat"):
            raise TypeError(f"{function.__name__}(){rest}") from exc
        raise
    return many


def _vectors(answer: EmbedArray, count: int) -> Sequence[Vector]:
    if len(answer) != count:
        raise DecodeError(f"the answer has {len(answer)} vectors for {count} inputs", model=answer.model)
    return tuple(answer)


def _whole(answer: R, _count: int) -> Sequence[R]:
    return (answer,)


def several(hosts: Any) -> tuple[Any, ...]:
    """Give the hosts, of which a caller named one or a sequence; a str is one."""
    found = tuple(hosts) if isinstance(hosts, Sequence) and not isinstance(hosts, str) else (hosts,)
    if not found:
        raise ValueError("there must be a host at least; None is that of OLLAMA_HOST, or else this machine")
    return found
