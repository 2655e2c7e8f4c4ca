"""What a stream remembers of its parts, and how they merge into what a whole call would have given. Pure."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from .errors import OllamaError

if TYPE_CHECKING:
    pass

Part: TypeAlias = dict[str, Any]
Batches: TypeAlias = Iterable[Iterable[Any]]
"""Decoded lines, as many at a time as arrive together."""
Refuse: TypeAlias = Callable[[Any], Exception]
"""Makes an exception of a line that is no part."""
Within: TypeAlias = AbstractContextManager[Any]


_CAUSES: Final = 8
"""How many causes of an error are remembered with it, at most."""
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

    def whole(self) -> Any:
        """Give what the call that does not stream gives, once the last part is there."""

    @property
    def last(self) -> Part | None:
        """The newest part."""

    @property
    def complete(self) -> bool:
        """Whether the last part came."""
        ...

    @property
    def count(self) -> int:
        """How many parts came."""
        ...

    first_at: float | None
    """When the first part came, by the clock of `perf_counter`."""
    ended_at: float | None
    """When the stream ended, however it did."""

    def ends(self, exc: BaseException | None, /) -> None:
        """Remember that the stream ends now, and the error that ends it, if one does."""

    @property
    def failure(self) -> Exception | None:
        """Another one like the error that ended the stream; None if none did, or it cannot be made again."""
        ...


class Ending:
    """When and by what a stream ended."""

    __slots__ = ("_failure", "ended_at")

    def __init__(self) -> None:
        self.ended_at: float | None = None
        self._failure: Exception | None = None

    def ends(self, exc: BaseException | None, /) -> None:
        """Remember that the stream ends now, and the error that ends it, if one does."""
        self.ended_at = perf_counter()
        # Not itself: its traceback holds the frames of whoever reads, and they the stream.
        self._failure = _like(exc)

    @property
    def failure(self) -> Exception | None:
        """Another one like the error that ended the stream; None if none did, or it cannot be made again."""
        return _like(self._failure)


def _like(error: BaseException | None, depth: int = 0) -> Exception | None:
    """Give an error that says and knows what *error* does, with causes like its own, and was not raised yet."""
    if not isinstance(error, Exception) or isinstance(error, BaseExceptionGroup) or depth > _CAUSES:
        return None
    if isinstance(error, OllamaError):
        kind = type(error)
        other: Exception = kind.__new__(kind)  # a subclass may want other arguments than it keeps
        other.args = error.args
        vars(other).update(vars(error))
    else:
        try:
            other = copy(error)
        except Exception:  # noqa: BLE001 - it is anybody's, and may want what it did not keep
            return None
        # httpcore's have the errors of sockets as arguments, and those their tracebacks.
        other.args = tuple(_like(arg, depth + 1) if isinstance(arg, BaseException) else arg for arg in other.args)
    other.__cause__ = _like(error.__cause__, depth + 1)
    return other


class _Following(Ending):
    """What every memory can do because it can follow lines."""

    __slots__ = ("first_at", "last")

    def __init__(self) -> None:
        super().__init__()
        self.last: Part | None = None
        self.first_at: float | None = None

    def follow(self, refuse: Refuse, batches: Batches, within: Within = _NOWHERE, /) -> Generator[Part]:
        """Give the lines of all *batches* on, and remember them."""
        raise NotImplementedError

    @property
    def complete(self) -> bool:
        """Whether the last part came."""
        return is_last(self.last)

    def add(self, part: Part, /) -> None:
        """Remember *part*."""
        for _ in self.follow(KeyError, ((part,),)):
            pass


# A generator per kind of part, with everything in one frame: it is paid for once per token.


class Newest(_Following):
    """Parts that replace each other, those of each digest among themselves: the progress of a pull, push or create."""

    __slots__ = ("_layers", "count")

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self._layers: dict[str, Part] = {}

    def follow(self, refuse: Refuse, batches: Batches, within: Within = _NOWHERE, /) -> Generator[Part]:
        """Give the lines of all *batches* on, and remember the newest, of all and of each digest."""
        part: Any = None
        with within:
            for lines in batches:
                try:
                    for part in lines:
                        if "error" in part and part["error"] is not None:
                            raise refuse(part)
                        part["status"]  # every one has it: a KeyError says that this is another shape
                        if "digest" in part:
                            self._layers[part["digest"]] = part
                        self.count += 1
                        self.last = part
                        yield part
                except (KeyError, TypeError, AttributeError) as exc:
                    raise refuse(part) from exc

    def merged(self) -> Part | None:
        """Give the newest part, and in `layers` the newest of each digest."""
        if self.last is None or not self._layers:
            return self.whole()
        return {**self.last, "layers": {digest: dict(part) for digest, part in self._layers.items()}}

    def whole(self) -> Part | None:
        """Give the newest part."""
        return None if self.last is None else dict(self.last)


class _Pieces(_Following):
    """What generate's and chat's parts have in common: text, thinking, tool calls and logprobs that add up."""

    __slots__ = ("_rare", "_text")

    def __init__(self) -> None:
        super().__init__()
        self._text: list[str | None] = []
        self._rare: dict[str, list[Any]] = _NOTHING
        """What most answers have none of, by its key."""

    @property
    def count(self) -> int:
        """How many parts came."""
        return len(self._text)

    def merged(self) -> Part | None:
        """Give the answer so far."""
        raise NotImplementedError

    def whole(self) -> Part | None:
        """Give the answer so far."""
        return self.merged()

    def _add_rare(self, part: Part, holder: Part) -> None:
        thinking, calls, logprobs = holder.get("thinking"), holder.get("tool_calls"), part.get("logprobs")
        _check_text(thinking)
        for several in (calls, logprobs):  # before anything is kept: nothing is, of a part that is refused
            if several and not isinstance(several, list):
                raise TypeError(several)
        if self._rare is _NOTHING:
            self._rare = {"thinking": [], "tool_calls": [], "logprobs": []}
        if "thinking" in holder:
            self._rare["thinking"].append(thinking)
        self._rare["tool_calls"] += calls or ()
        self._rare["logprobs"] += logprobs or ()

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
                        text = part["response"]
                        if not isinstance(text, str):
                            _check_text(text)
                        if "thinking" in part or "tool_calls" in part or "logprobs" in part:
                            self._add_rare(part, part)
                        add(text)
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
                        text = message["content"]
                        if not isinstance(text, str):
                            _check_text(text)
                        if "thinking" in message or "tool_calls" in message or "logprobs" in part:
                            self._add_rare(part, message)
                        add(text)
                        self.last = part
                        yield part
                except (KeyError, TypeError, AttributeError) as exc:
                    raise refuse(part) from exc

    def merged(self) -> Part | None:
        """Give the answer so far."""
        if self.last is None:
            return None
        message = {**self.last.get("message", {}), "content": _joined(self._text)}  # a caller may have changed it
        answer = {**self.last, "message": message}
        self._merge_into(answer, message)
        return answer


def _check_text(text: Any) -> None:
    """Raise TypeError for what is no text: merged, it would be lost. Gateways send null for none."""
    if text is not None and not isinstance(text, str):
        raise TypeError(text)


def _joined(pieces: list[Any]) -> str:
    return "".join(filter(None, pieces))


def is_last(part: Part | None) -> bool:
    """
    Whether *part* ends its stream. What only looks so does not: behind the last part nothing is waited for long.

    `done_reason` counts where `done` is missing, because some gateways send it alone; a call with `debug_render_only`
    has one part, with `done: false` (OLLAMA-API 2).
    """
    if part is None:
        return False
    if part.get("_debug_info"):
        return True
    done = part.get("done")
    if done is None:
        return bool(part.get("done_reason")) or part.get("status") == "success"
    return done is True
