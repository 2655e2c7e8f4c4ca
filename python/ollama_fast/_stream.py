"""What a stream remembers of its parts, and how they merge into what a whole call would have given. Pure."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

Part: TypeAlias = dict[str, Any]


class Memory(Protocol):
    """What is kept of the parts so far."""

    def add(self, part: Part, /) -> None:
        """Remember *part*; a part of another shape raises KeyError, TypeError or AttributeError."""

    def merged(self) -> Part | None:
        """Give the answer so far, or None before the first part."""

    @property
    def last(self) -> Part | None:
        """The newest part."""


class Newest:
    """Parts that replace each other: the progress of a pull, push or create."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last: Part | None = None

    def add(self, part: Part, /) -> None:
        """Remember *part* instead of the one before."""
        self.last = part

    def merged(self) -> Part | None:
        """Give the newest part."""
        return None if self.last is None else dict(self.last)


class _Pieces:
    """What generate's and chat's parts have in common: text, thinking, tool calls and logprobs that add up."""

    __slots__ = ("last", "logprobs", "text", "thinking", "tool_calls")

    def __init__(self) -> None:
        self.last: Part | None = None
        self.text: list[str] = []
        self.thinking: list[str] = []
        self.tool_calls: list[Any] = []
        self.logprobs: list[Any] = []

    def _add_rare(self, holder: Part) -> None:
        if "thinking" in holder:
            self.thinking.append(holder["thinking"])
        if "tool_calls" in holder:
            self.tool_calls.extend(holder["tool_calls"] or ())

    def _rare(self) -> Part:
        found: Part = {}
        if self.thinking:
            found["thinking"] = "".join(self.thinking)
        if self.tool_calls:
            found["tool_calls"] = list(self.tool_calls)
        return found


class Generated(_Pieces):
    """Parts of generate."""

    __slots__ = ()

    def add(self, part: Part, /) -> None:
        """Remember the pieces of *part*."""
        self.text.append(part["response"])
        if len(part) > 4:  # more than model, created_at, response and done
            self._add_rare(part)
            if "logprobs" in part:
                self.logprobs.extend(part["logprobs"] or ())
        self.last = part

    def merged(self) -> Part | None:
        """Give the answer so far."""
        if self.last is None:
            return None
        answer = {**self.last, "response": "".join(self.text), **self._rare()}
        if self.logprobs:
            answer["logprobs"] = list(self.logprobs)
        return answer


class Chatted(_Pieces):
    """Parts of chat."""

    __slots__ = ()

    def add(self, part: Part, /) -> None:
        """Remember the pieces of *part*."""
        message = part["message"]
        self.text.append(message.get("content") or "")
        if len(message) > 2:  # more than role and content
            self._add_rare(message)
        if "logprobs" in part:
            self.logprobs.extend(part["logprobs"] or ())
        self.last = part

    def merged(self) -> Part | None:
        """Give the answer so far."""
        if self.last is None:
            return None
        message = {**self.last["message"], "content": "".join(self.text), **self._rare()}
        answer = {**self.last, "message": message}
        if self.logprobs:
            answer["logprobs"] = list(self.logprobs)
        return answer


def is_last(part: Part | None) -> bool:
    """
    Whether *part* ends its stream.

    `done_reason` alone counts, because some gateways send it without `done`; a call with `debug_render_only` has one
    part, with `done: false` (OLLAMA-API 2).
    """
    return part is not None and bool(
        part.get("done") or part.get("done_reason") or part.get("status") == "success" or "_debug_info" in part
    )
