"""Arguments to a Many: inputs without end, how some of them make a request, and what its answer is to each."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from . import _endpoints
from ._embeddings import EmbedArray, Vector
from ._host import Host
from ._images import seal
from ._map import OnDead
from ._request import Request
from .errors import DecodeError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .types import (
        ChatResponse,
        EmbedArguments,
        GenerateArguments,
        GenerateResponse,
        MapChatArguments,
        Message,
    )

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

        take: Gives an input in the form in which it is kept until it is done, or raises TypeError if it can be none.
    """

    inputs: Inputs[Any]
    build: Callable[[Sequence[Any]], Request[Any]]
    split: Callable[[Any, int], Sequence[R]]
    batch_size: int
    concurrency: int
    on_dead: OnDead
    take: Callable[[Any], Any] = lambda given: given

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
        self.build(())


def tell_of_host(error: BaseException, rest: float | None, *, lost: bool) -> None:
    """Log what became of the host whose request failed: it rests for so many seconds, or is *lost*."""
    from . import _log  # only now: most programs have no need of it before their first call

    _log.host(error, rest, lost=lost)


def embed_many(
    model: str,
    inputs: Iterable[str] | AsyncIterable[str],
    *,
    batch_size: int = 32,
    concurrency: int = 4,
    on_dead: OnDead = "resend",
    **embed: Unpack[EmbedArguments],
) -> Many[Vector]:
    """
    Turn each of *inputs* into a vector with *model*, in batches, over one host or several.

    Args:
        model: Name of the model.

        inputs: Texts, as many as you like: they are read while vectors are given, at most 4 batches ahead for each
            request that can be under way. In `aio` also an async iterable; a generator is
            not closed, since it is yours.

        batch_size: Texts in a request.

        concurrency: Requests under way at a time, for each host; more than the server works on
            (OLLAMA_NUM_PARALLEL) wait there.

        on_dead: What to do if a host cannot be reached, also by its gateway (502, 504), or its connection breaks.
            "resend" gives its work to the others, so a host may be sent texts that another one got before;
            "raise" makes it an error.

        embed: The other parameters of `embed`.

    Gives Answers to iterate over: a vector for each text, in the order of the texts, as a one-dimensional read-only
    memoryview of float32, which `numpy.asarray` takes without a copy. Nothing is sent before the first `next`.

    Raises InputsError where vectors would come whose request failed, when all before them were given; it says which,
    and keeps what else was done. Texts of a batch are one request, so one that the server refuses fails all of its
    batch: with batch_size=1 it is alone. A busy host (429, 503, no free connection in its pool) is asked again
    after a pause, eight times. More `concurrency` than a host's `Limits.max_connections` is a ValueError at the call.
    """

    def build(texts: Sequence[str]) -> Request[EmbedArray]:
        return _endpoints.embed_array(model, texts, **embed)

    return Many(inputs, build, _vectors, batch_size, concurrency, on_dead, _text)


def map_generate(
    model: str,
    prompts: Iterable[str] | AsyncIterable[str],
    *,
    concurrency: int = 4,
    on_dead: OnDead = "resend",
    **generate: Unpack[GenerateArguments],
) -> Many[GenerateResponse]:
    """
    Complete each of *prompts* with *model*, over one host or several.

    Args:
        model: Name of the model.

        prompts: Texts to complete, as many as you like: they are read while answers are given, at most 4 ahead for each
            request that can be under way. In `aio` also an async iterable; a generator is
            not closed, since it is yours.

        concurrency: Requests under way at a time, for each host; more than the server works on
            (OLLAMA_NUM_PARALLEL) wait there.

        on_dead: What to do if a host cannot be reached, also by its gateway (502, 504), or its connection breaks.
            "resend" gives its work to the others, so a host may be sent prompts that another one got before;
            "raise" makes it an error.

        generate: The other parameters of `generate`, the same for all prompts.

    Gives Answers to iterate over: what `generate` gives for each prompt, in the order of the prompts. Nothing is sent
    before the first `next`.

    Raises InputsError where an answer would come whose request failed, when all before it were given; it says which,
    and keeps what else was done. A busy host (429, 503, no free connection in its pool) is asked again
    after a pause, eight times. More `concurrency` than a host's `Limits.max_connections` is a ValueError at the call.
    """
    if "images" in generate:  # once, since what is no file but a pipe can be read once only
        sealed: Any = seal(generate["images"])
        generate = {**generate, "images": sealed}
    if "context" in generate:
        generate = {**generate, "context": _kept(generate["context"])}

    def build(batch: Sequence[str]) -> Request[GenerateResponse]:
        return _endpoints.generate(model, batch[0] if batch else "", **generate)

    return Many(prompts, build, _whole, 1, concurrency, on_dead, _text)


def map_chat(
    model: str,
    conversations: Iterable[Sequence[Message | Mapping[str, Any]]]
    | AsyncIterable[Sequence[Message | Mapping[str, Any]]],
    *,
    concurrency: int = 4,
    on_dead: OnDead = "resend",
    **chat: Unpack[MapChatArguments],
) -> Many[ChatResponse]:
    """
    Answer the last message of each of *conversations* with *model*, over one host or several.

    Args:
        model: Name of the model.

        conversations: Sequences of messages, as many as you like: they are read while answers are given, at most 4
            ahead for each request that can be under way. In `aio` also an async iterable; a generator is
            not closed, since it is yours.

        concurrency: Requests under way at a time, for each host; more than the server works on
            (OLLAMA_NUM_PARALLEL) wait there.

        on_dead: What to do if a host cannot be reached, also by its gateway (502, 504), or its connection breaks.
            "resend" gives its work to the others, so a host may be sent a conversation that another one got before;
            "raise" makes it an error.

        chat: The other parameters of `chat`, the same for all conversations.

    Gives Answers to iterate over: what `chat` gives for each conversation, in their order. Nothing is sent before the
    first `next`.

    Raises InputsError where an answer would come whose request failed, when all before it were given; it says which,
    and keeps what else was done. A busy host (429, 503, no free connection in its pool) is asked again
    after a pause, eight times. More `concurrency` than a host's `Limits.max_connections` is a ValueError at the call.
    """
    if "tools" in chat:
        chat = {**chat, "tools": _kept(chat["tools"])}

    def build(batch: Sequence[Sequence[Message | Mapping[str, Any]]]) -> Request[ChatResponse]:
        return _endpoints.chat(model, batch[0] if batch else (), **chat)

    return Many(conversations, build, _whole, 1, concurrency, on_dead, _conversation)


def _kept(several: Any) -> Any:
    """Give *several*, which each request gets, as a tuple: an iterator would be empty at the second."""
    if isinstance(several, str | bytes | Mapping) or not isinstance(several, Iterable):
        return several  # a Mapping, or what the endpoint refuses
    return tuple(several)


def _text(given: Any) -> Any:
    if not isinstance(given, str):
        raise TypeError(f"an input must be a str, not {type(given).__name__}: {given!r:.100}")
    return given


def _conversation(given: Any) -> Any:
    if isinstance(given, str) or not isinstance(given, Sequence):  # an iterator would be empty for another host
        raise TypeError(f"a conversation must be a sequence of messages, not {type(given).__name__}")
    if any(_has_iterator(message) for message in given):
        return [{**one, "images": tuple(one["images"])} if _has_iterator(one) else one for one in given]
    return given


def _has_iterator(message: Any) -> bool:
    images = message.get("images") if isinstance(message, Mapping) else None
    return isinstance(images, Iterator) and not hasattr(images, "read")  # an open file is an image


def _vectors(answer: EmbedArray, count: int) -> Sequence[Vector]:
    if len(answer) != count:
        raise DecodeError(f"the answer has {len(answer)} vectors for {count} inputs", model=answer.model)
    return tuple(answer)


def _whole(answer: R, _count: int) -> Sequence[R]:
    return (answer,)


def check_places(places: Sequence[Any], many: Many[Any], check: Callable[[Any, Request[Any]], None]) -> None:
    """
    Raise what is wrong with a call, before any I/O.

    Args:
        places: The hosts.

        many: What they shall do.

        check: Raises what is wrong with a host for a request, whose body is checked once for all of them.
    """
    request = many.build(())
    request.draft(stream=False)
    for place in places:
        check(place, request)
        most = Host.of(place).limits.max_connections if isinstance(place, Host | str | None) else None
        if most is not None and many.concurrency > most:
            text = f"concurrency={many.concurrency} requests at a time, but no more than {most} connections"
            raise ValueError(f"{text} (Limits.max_connections) of {Host.of(place).url}")


def several(hosts: Any) -> tuple[Any, ...]:
    """Give the hosts, of which a caller named one or a sequence; a str is one."""
    found = tuple(hosts) if isinstance(hosts, Sequence) and not isinstance(hosts, str) else (hosts,)
    if not found:
        raise ValueError("there must be a host at least; None is that of OLLAMA_HOST, or else this machine")
    return found
