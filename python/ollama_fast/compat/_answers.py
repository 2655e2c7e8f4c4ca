"""
From decoded JSON to a model, without validating what the server sent.

The model is the one that `cls(**part)` makes, as far as *part* is of the shape that Ollama sends. A field of a text, a
number or a truth takes whatever was sent, even a list: to look at each would take half as long again. What is wrong
where a model or a list belongs, such as a message that is a list, is left to `cls(**part)`, which converts it or says
what is wrong.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

from pydantic import BaseModel

from ollama_fast import _core

from ._types import (
    ChatResponse,
    EmbeddingsResponse,
    EmbedResponse,
    GenerateResponse,
    Image,
    Logprob,
    Message,
    ProgressResponse,
    StatusResponse,
    TokenLogprob,
)

R = TypeVar("R")
Part: TypeAlias = dict[str, Any]
"""A decoded JSON object."""
Make: TypeAlias = Callable[[Part], Any]

_ODD: Final = (KeyError, OverflowError, TypeError, ValueError)
"""What is raised for a part of another shape."""


def maker(cls: Callable[..., R]) -> Callable[[Part], R]:
    """Give what makes a `cls` of a decoded JSON object; it raises what `cls(**part)` raises."""
    return _MAKERS.get(cls) or partial(_validated, cls)


def _validated(cls: Callable[..., R], part: Part) -> R:
    return cls(**part)


# --- models ----------------------------------------------------------------------------------------------------------

_metaclass: Any = type(BaseModel)
_Blank: Callable[[], Any] = _metaclass(
    "_Blank",
    (BaseModel,),
    {
        "__module__": __name__,
        "__init__": object.__init__,
        "__setattr__": object.__setattr__,
        "__delattr__": object.__delattr__,
    },
)
"""
What a model is while it is made; then its class is changed.

It has the layout of all models, but not pydantic's assignment, which takes longer than everything else here. (Python
without a GIL stops all threads to change a class; there validation would be the better way.)
"""


def _defaults(cls: type[BaseModel]) -> Part:
    """Give what the fields of *cls* are if a part has none, in their order; for those that it must have, anything."""
    return {name: field.default for name, field in cls.model_fields.items()}


def _take_extra(fields: Part, defaults: Part) -> Part:
    """Take what is no field out of *fields*, and give it."""
    return {name: fields.pop(name) for name in [*fields] if name not in defaults}


def _flat(cls: type[BaseModel], *required: str) -> Make:
    """Give what makes a *cls* whose fields are just what was decoded; it raises one of _ODD."""
    defaults = _defaults(cls)
    count = len(defaults)

    def make(part: Part) -> Any:
        fields = defaults | part
        for name in required:
            part[name]
        made = _Blank()
        made.__pydantic_extra__ = {} if len(fields) == count else _take_extra(fields, defaults)
        made.__dict__ = fields
        made.__pydantic_fields_set__ = set(part)
        made.__pydantic_private__ = None
        made.__class__ = cls
        return made

    return make


def _or_validated(cls: type[BaseModel], make: Make) -> Make:
    """Give *make* for usual parts and `cls(**part)` for odd ones."""

    def either(part: Part) -> Any:
        try:
            made = make(part)
        except _ODD:
            made = None
        return cls(**part) if made is None else made

    return either


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _listed(make: Callable[[Any], R], value: Any) -> list[R]:
    return list(map(make, _list(value)))


# --- log probabilities -----------------------------------------------------------------------------------------------

_flat_token = _flat(TokenLogprob, "token", "logprob")
_flat_logprob = _flat(Logprob, "token", "logprob")


def _token(part: Part) -> Any:
    token = _flat_token(part)
    token.__dict__["logprob"] = float(part["logprob"])  # the server writes 0 for 0.0
    return token


def _logprob(part: Part) -> Any:
    logprob = _flat_logprob(part)
    fields = logprob.__dict__
    fields["logprob"] = float(part["logprob"])
    if (others := fields["top_logprobs"]) is not None:
        fields["top_logprobs"] = _listed(_token, others)
    return logprob


# --- chat and generate -----------------------------------------------------------------------------------------------

_flat_function = _flat(Message.ToolCall.Function, "name")
_flat_call = _flat(Message.ToolCall)
_flat_generate = _flat(GenerateResponse)

_MESSAGE: Final = _defaults(Message)
_MESSAGE_COUNT: Final = len(_MESSAGE)
_CHAT: Final = _defaults(ChatResponse)
_CHAT_COUNT: Final = len(_CHAT)


def _call(part: Part) -> Any:
    call = _flat_call(part)
    call.__dict__["function"] = function = _flat_function(part["function"])
    function.__dict__["arguments"] = {**part["function"]["arguments"]}
    return call


def _chat(part: Part) -> Any:
    # Both models are made here, as `_flat` makes one: there are two for each part of a stream, and a function for it
    # would take a tenth more.
    try:
        said = part["message"]
        said["role"]
        fields = _MESSAGE | said
        if (images := fields["images"]) is not None:
            fields["images"] = _listed(Image.model_validate, images)
        if (calls := fields["tool_calls"]) is not None:
            fields["tool_calls"] = _listed(_call, calls)
        message = _Blank()
        message.__pydantic_extra__ = {} if len(fields) == _MESSAGE_COUNT else _take_extra(fields, _MESSAGE)
        message.__dict__ = fields
        message.__pydantic_fields_set__ = set(said)
        message.__pydantic_private__ = None
        message.__class__ = Message

        fields = _CHAT | part
        fields["message"] = message
        if (logprobs := fields["logprobs"]) is not None:
            fields["logprobs"] = _listed(_logprob, logprobs)
        made = _Blank()
        made.__pydantic_extra__ = {} if len(fields) == _CHAT_COUNT else _take_extra(fields, _CHAT)
        made.__dict__ = fields
        made.__pydantic_fields_set__ = set(part)
        made.__pydantic_private__ = None
        made.__class__ = ChatResponse
    except _ODD:
        made = None
    return ChatResponse(**part) if made is None else made


def _generate(part: Part) -> Any:
    made = _flat_generate(part)
    fields = made.__dict__
    if (context := fields["context"]) is not None:
        fields["context"] = [*_list(context)]
        if not {int}.issuperset(map(type, context)):
            raise TypeError
    if (logprobs := fields["logprobs"]) is not None:
        fields["logprobs"] = _listed(_logprob, logprobs)
    return made


# --- embeddings ------------------------------------------------------------------------------------------------------

_flat_embed = _flat(EmbedResponse)
_flat_embeddings = _flat(EmbeddingsResponse)


def _vector(value: Any) -> list[float]:
    # The server writes 0 for 0.0, but hardly ever, and to look takes less time than to convert.
    return value if _core.all_floats(value) else list(map(float, value))


def _embed(part: Part) -> Any:
    made = _flat_embed(part)
    made.__dict__["embeddings"] = _listed(_vector, part["embeddings"])
    return made


def _embeddings(part: Part) -> Any:
    made = _flat_embeddings(part)
    made.__dict__["embedding"] = _vector(part["embedding"])
    return made


_MAKERS: Final[dict[Any, Make]] = {
    ChatResponse: _chat,
    GenerateResponse: _or_validated(GenerateResponse, _generate),
    EmbedResponse: _or_validated(EmbedResponse, _embed),
    EmbeddingsResponse: _or_validated(EmbeddingsResponse, _embeddings),
    ProgressResponse: _or_validated(ProgressResponse, _flat(ProgressResponse)),
    StatusResponse: _or_validated(StatusResponse, _flat(StatusResponse)),
}
