"""Typed answers: a type to the schema that an answer follows, and the answer to a value of that type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from . import _core, _endpoints
from ._steps import Telling, ask_viewed, tell
from .errors import AnswerError, TruncatedAnswerError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._request import Request
    from ._schema import Shape
    from .types import ChatArguments, ChatResponse, Message

T = TypeVar("T")

_SHORT: Final = 4096
"""Bytes of an answer of which every part is looked at; later it has to grow a little, or all would cost its square."""


@dataclass(frozen=True, slots=True)
class Parsed(Generic[T]):
    """
    An answer as a value.

    Args:
        value: Of the type that was asked for.

        response: The whole response, with the text that the value was made of.
    """

    value: T
    response: ChatResponse


@dataclass(frozen=True, slots=True)
class Partial:
    """
    An answer that is still arriving, as far as its JSON has come.

    Args:
        value: Plain JSON: dicts, lists, strings, numbers, bools, None. It is not validated, keys may be missing, and
            its last string, number or list may still grow.
    """

    value: Any


def parse(
    model: str,
    messages: str | Sequence[Message | Mapping[str, Any]],
    answer: type[T],
    **chat: Unpack[ChatArguments],
) -> Telling[Partial | Parsed[T], Parsed[T]]:
    """
    Answer the last of *messages* with *model*, in the form of a type, and give the answer as a value of that type.

    Args:
        model: Name of the model.

        messages: The conversation so far, oldest first; a str is one message of the user.

        answer: A pydantic model, dataclass, TypedDict, NamedTuple or msgspec Struct, `list[...]`, or anything else
            that has a JSON schema. The server keeps the model to it. Type checkers take classes and `list[...]`; a
            union or a Literal works, too, but they know of no such argument yet.

        chat: More arguments of `chat`.

    Raises AnswerError if the answer is not of that type, TruncatedAnswerError if it was cut off; both hold its text.
    Raises what `chat` raises, and TypeError if the type has no schema.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#chat-request-structured-outputs
    """
    from ._schema import Shape

    shape = Shape.of(answer)
    return _parse(_endpoints.chat(model, conversation(messages), format=shape.schema, **chat), shape)


def conversation(messages: str | Iterable[Message | Mapping[str, Any]]) -> tuple[Message | Mapping[str, Any], ...]:
    """Give *messages*, or the one that a str is."""
    if isinstance(messages, str):
        return ({"role": "user", "content": messages},)
    if isinstance(messages, bytes | Mapping) or not isinstance(messages, Iterable):
        raise TypeError(f"messages must be a sequence, or a str, not one {type(messages).__name__}")
    return tuple(messages)


def _parse(request: Request[ChatResponse], shape: Shape[T]) -> Telling[Partial | Parsed[T], Parsed[T]]:
    response = yield from ask_viewed(request, _growing())
    parsed = Parsed(_value(response, shape), response)
    yield from tell(parsed)
    return parsed


def _value(response: ChatResponse, shape: Shape[T]) -> T:
    text = response["message"].get("content") or ""
    told: Any = response
    model = response.get("model")
    if response.get("done_reason") == "length":
        cut = f"the answer of model {model!r} was cut off (done_reason: length)"
        what = f"{cut}: give it more room with num_predict or num_ctx"
        raise TruncatedAnswerError(f"{what}: {_end_of(text)}", response=told)
    try:
        return shape.decode(text)
    except ValueError as exc:
        raise AnswerError(f"the answer of model {model!r} is not what was asked for: {exc}", response=told) from exc


def _end_of(text: str) -> str:
    shown = 120
    return repr(text) if len(text) <= shown else f"...{text[-shown:]!r}"


def _growing() -> Callable[[ChatResponse], Partial | None]:
    """Give a view of parts as the JSON so far; parts that add nothing to it are not shown."""
    text = bytearray()
    before: Any = text  # equal to no JSON
    enough = 0

    def view(part: ChatResponse) -> Partial | None:
        nonlocal before, enough
        text.extend((part["message"].get("content") or "").encode("utf-8", "replace"))
        if len(text) < enough:
            return None
        enough = len(text) + (len(text) // 256 if len(text) > _SHORT else 1)
        try:
            value = _core.decode_beginning(bytes(text))
        except ValueError:  # nothing yet, or no JSON at all: that is seen at the end
            return None
        if value == before:
            return None
        before = value
        return Partial(value)

    return view
