"""What a stream remembers of its parts, and how they merge into what a whole call would have given. Pure."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Protocol, TypeAlias

from .errors import StreamClosedError

Part: TypeAlias = dict[str, Any]
Batches: TypeAlias = Iterable[Iterable[Any]]
"""Decoded lines, as many at a time as arrive together."""
Refuse: TypeAlias = Callable[[Any], Exception]
"""Makes an exception of a line that is no part."""
Within: TypeAlias = AbstractContextManager[Any]

_NOWHERE: Final = nullcontext()
_NOTHING: Final[dict[str, list[Any]]] = {}
"""Stands for what a memory does not hold; nothing is put into it."""


class Memory(Protocol):
    """What is kept of the parts so far."""

    def follow(self, refuse: Refuse, batches: Batches, within: Within = ..., /) -> Generator[Part]:
        """
        Give the lines of all *batches* on, and remember them.

        A line that is an error, or of another shape, raises what *refuse* makes of it. All of it happens *within* a
        context, so that no other frame is needed to clean up.
        """
        ...

    def add(self, part: Part, /) -> None:
        """Remember *part*; a part of another shape raises KeyError."""

    def merged(self) -> Part | None:
        """Give the answer so far, or None before the first part."""

    @property
    def last(self) -> Part | None:
        """The newest part."""


class _Following:
    """What every memory can do because it can follow lines."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last: Part | None = None

    def follow(self, refuse: Refuse, batches: Batches, within: Within = _NOWHERE, /) -> Generator[Part]:
        """Give the lines of all *batches* on, and remember them."""
        raise NotImplementedError

    def add(self, part: Part, /) -> None:
        """Remember *part*."""
        for _ in self.follow(KeyError, ((part,),)):
            pass


# A generator per kind of part, with everything in one frame: it is paid for once per token.


class Newest(_Following):
    """Parts that replace each other: the progress of a pull, push or create."""

    __slots__ = ()

    def follow(self, refuse: Refuse, batches: Batches, within: Within = _NOWHERE, /) -> Generator[Part]:
        """Give the lines of all *batches* on, and remember the newest."""
        part: Any = None
        with within:
            for lines in batches:
                try:
                    for part in lines:
                        if "error" in part and part["error"] is not None:
                            raise refuse(part)
                        part["status"]  # every one has it: a KeyError says that this is another shape
                        self.last = part
                        yield part
                except (KeyError, TypeError, AttributeError) as exc:
                    raise refuse(part) from exc

    def merged(self) -> Part | None:
        """Give the newest part."""
        return None if self.last is None else dict(self.last)


class _Pieces(_Following):
    """What generate's and chat's parts have in common: text, thinking, tool calls and logprobs that add up."""

    __slots__ = ("_rare", "_text")

    def __init__(self) -> None:
        super().__init__()
        self._text: list[str] = []
        self._rare: dict[str, list[Any]] = _NOTHING
        """What most answers have none of, by its key."""

    def _add_rare(self, part: Part, holder: Part) -> None:
        if self._rare is _NOTHING:
            self._rare = {"thinking": [], "tool_calls": [], "logprobs": []}
        if "thinking" in holder:
            self._rare["thinking"].append(holder["thinking"])
        if "tool_calls" in holder:
            self._rare["tool_calls"].extend(holder["tool_calls"] or ())
        if "logprobs" in part:
            self._rare["logprobs"].extend(part["logprobs"] or ())

    def _merge_into(self, part: Part, holder: Part) -> None:
        rare = self._rare
        if rare.get("thinking"):
            holder["thinking"] = _joined(rare["thinking"])
        if rare.get("tool_calls"):
            holder["tool_calls"] = list(rare["tool_calls"])
        if rare.get("logprobs"):
            part["logprobs"] = list(rare["logprobs"])


class Generated(_Pieces):
    """Parts of generate."""

    __slots__ = ()

    def follow(self, refuse: Refuse, batches: Batches, within: Within = _NOWHERE, /) -> Generator[Part]:
        """Give the lines of all *batches* on, and remember their pieces."""
        add = self._text.append
        part: Any = None
        with within:
            for lines in batches:
                try:
                    for part in lines:
                        if "error" in part and part["error"] is not None:
                            raise refuse(part)
                        add(part["response"])
                        if "thinking" in part or "tool_calls" in part or "logprobs" in part:
                            self._add_rare(part, part)
                        self.last = part
                        yield part
                except (KeyError, TypeError, AttributeError) as exc:
                    raise refuse(part) from exc

    def merged(self) -> Part | None:
        """Give the answer so far."""
        if self.last is None:
            return None
        answer = {**self.last, "response": _joined(self._text)}
        self._merge_into(answer, answer)
        return answer


class Chatted(_Pieces):
    """Parts of chat."""

    __slots__ = ()

    def follow(self, refuse: Refuse, batches: Batches, within: Within = _NOWHERE, /) -> Generator[Part]:
        """Give the lines of all *batches* on, and remember their pieces."""
        add = self._text.append
        part: Any = None
        with within:
            for lines in batches:
                try:
                    for part in lines:
                        if "error" in part and part["error"] is not None:
                            raise refuse(part)
                        message = part["message"]
                        add(message["content"])
                        if "thinking" in message or "tool_calls" in message or "logprobs" in part:
                            self._add_rare(part, message)
                        self.last = part
                        yield part
                except (KeyError, TypeError, AttributeError) as exc:
                    raise refuse(part) from exc

    def merged(self) -> Part | None:
        """Give the answer so far."""
        if self.last is None:
            return None
        message = {**self.last["message"], "content": _joined(self._text)}
        answer = {**self.last, "message": message}
        self._merge_into(answer, message)
        return answer


class Reading:
    """What a stream of either colour knows of itself, besides how to wait."""

    __slots__ = ("_closed", "_memory")

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._closed = False

    @property
    def partial(self) -> Part | None:
        """The answer so far, merged from the parts that arrived; None before the first."""
        return self._memory.merged()

    def _check_open(self) -> None:
        if self._closed:
            raise StreamClosedError("the stream is closed: nothing more can be read from it")


def _joined(pieces: list[Any]) -> str:
    # Gateways send null for no text. Nothing odd in a part may hide the error that the merged answer is for.
    return "".join(piece for piece in pieces if isinstance(piece, str))


def is_last(part: Part | None) -> bool:
    """
    Whether *part* ends its stream.

    `done_reason` alone counts, because some gateways send it without `done`; a call with `debug_render_only` has one
    part, with `done: false` (OLLAMA-API 2).
    """
    return part is not None and bool(
        part.get("done") or part.get("done_reason") or part.get("status") == "success" or "_debug_info" in part
    )
