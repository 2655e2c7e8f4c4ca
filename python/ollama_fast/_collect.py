"""Parts that were kept, merged into what the call that does not stream would have given. Pure."""

from __future__ import annotations

from typing import Any

from . import _memory, errors
from ._memory import Memory
from ._request import check
from ._said import Context

_KINDS: dict[str, type[_memory.Chatted | _memory.Generated | _memory.Newest]] = {
    "message": _memory.Chatted,
    "response": _memory.Generated,
    "status": _memory.Newest,
}
"""What remembers parts, by the key that all of them have."""


class Collected:
    """Takes parts one by one, whichever endpoint they are of."""

    def __init__(self) -> None:
        self._memory: Memory | None = None
        self._context = Context("a recorded", "stream")

    def add(self, part: Any) -> None:
        """Take the next part. Raises ResponseError if it is an error, DecodeError if it is no part."""
        key = next((key for key in _KINDS if isinstance(part, dict) and key in part), None)
        wrong = check(part, key or "message", self._context)
        if wrong is None and key is not None:
            self._memory = self._memory or _KINDS[key]()
            try:
                self._memory.add(part)
            except KeyError:
                wrong = errors.DecodeError(
                    self._context.say(f"a part with {key!r} that is malformed, or among parts of another endpoint")
                )
        if wrong is not None:
            wrong.partial = None if self._memory is None else self._memory.merged()
            raise wrong

    def whole(self) -> Any:
        """Give the whole answer. Raises IncompleteStreamError if the last part is missing."""
        memory = self._memory
        if memory is not None and memory.complete:
            return memory.whole()
        what = "there is no part" if memory is None else "its last part is missing"
        partial = None if memory is None else memory.merged()
        raise errors.IncompleteStreamError(self._context.say(what), partial=partial)
