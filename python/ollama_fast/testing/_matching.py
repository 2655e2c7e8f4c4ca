"""Which recorded exchange is that of a request, and, if none is, which is nearest and how it differs. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any, Final

from ._recording import Recorded, RecordedRequest, Upload, body_of
from ._secrets import without_secrets
from ._values import Received

_DIFFERENCES: Final = 3
"""How many are told."""
_SHOWN: Final = 60
"""Characters of a value that are told."""


class Matches:
    """
    The exchanges of a recording, and how many of each request were served.

    Args:
        recorded: The exchanges; of equal requests each is served once, in their order, and the last from then on.

        strict: Whether a body must be equal to the recorded one, even if only one was recorded for its method and path.
    """

    def __init__(self, recorded: Iterable[Recorded], *, strict: bool) -> None:
        self.recorded = tuple(recorded)
        self._strict = strict
        self._served: set[int] = set()
        self._turns: dict[tuple[int, ...], int] = {}
        self._equal: dict[tuple[str, str, str], tuple[int, ...]] = {}
        self._near: dict[tuple[str, str], tuple[int, ...]] = {}
        for index, each in enumerate(self.recorded):
            key = (each.request.method, each.request.path, _text(each.request.body))
            self._equal[key] = (*self._equal.get(key, ()), index)
            self._near[key[:2]] = (*self._near.get(key[:2], ()), index)
        self._key = lru_cache(maxsize=256)(_key)  # a bench asks the same thing thousands of times

    def next(self, request: Received) -> int | None:
        """Give which exchange is the next one for *request*; None if none is."""
        key = self._key(request.method, request.path, request.body, request.sha256, request.length)
        found = self._equal.get(key, ())
        if not found and not self._strict and len(near := self._near.get(key[:2], ())) == 1:
            found = near
        if not found:
            return None
        turn = self._turns.get(found, 0)
        if turn < len(found):
            self._turns[found] = turn + 1
            self._served.add(found[turn])
        return found[min(turn, len(found) - 1)]

    def methods(self, path: str) -> set[str]:
        """Give the methods that are recorded for *path*."""
        return {method for method, place in self._near if place == without_secrets(path)}

    def unused(self) -> list[Recorded]:
        """Give the exchanges that nobody asked for yet."""
        return [each for index, each in enumerate(self.recorded) if index not in self._served]

    def why(self, request: Received) -> str:
        """Say that *request* is not recorded, and which one is nearest to it."""
        path, body = without_secrets(request.path), body_of(request)
        start = f"{request.method} {path}{_with(body)} is not recorded"
        candidates = [self.recorded[index].request for index in self._near.get((request.method, path), ())]
        if not candidates:
            known = sorted({f"{each.request.method} {each.request.path}" for each in self.recorded})
            if not known:
                return f"{start}: the recording is empty"
            name = f"{request.method} {path}"
            nearest = max(known, key=lambda one: SequenceMatcher(None, one, name).ratio())
            return f"{start}: nothing is for that method and path; the nearest recorded one is {nearest}"
        asked = _text(body)
        best = max(candidates, key=lambda one: SequenceMatcher(None, _text(one.body), asked, autojunk=False).ratio())
        told = list(_differences(best.body, body, ""))
        more = f", and {len(told) - _DIFFERENCES} more differences" if len(told) > _DIFFERENCES else ""
        there = f"of {len(candidates)} for that method and path the nearest has"
        return f"{start}; {there} {'; '.join(told[:_DIFFERENCES])}{more}"


def _key(method: str, path: str, body: bytes, sha256: str, length: int) -> tuple[str, str, str]:
    received = Received(method, path, (), body, length, sha256)
    return (method, without_secrets(path), _text(body_of(received)))


def _text(body: Any) -> str:
    """Give a body as text that is equal for equal ones: to Python 1, 1.0 and True are."""
    if isinstance(body, Upload):
        return f"{body.length} bytes, sha256:{body.sha256}"
    if isinstance(body, bytes):
        return f"base64 {base64.b64encode(body).decode()}"
    return json.dumps(body, sort_keys=True)


def _with(body: Any) -> str:
    return "" if body is None else f" with {_short(body)}"


def _short(value: Any) -> str:
    text = _text(value) if isinstance(value, Upload) else repr(value) if isinstance(value, bytes) else _shown(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _differences(there: Any, asked: Any, way: str) -> Iterator[str]:
    """Say where two bodies differ."""
    if isinstance(there, dict) and isinstance(asked, dict):
        for name in dict.fromkeys([*there, *asked]):
            place = f"{way}.{name}".lstrip(".")
            if name not in asked:
                yield f"{place}: {_short(there[name])}, which the request has not"
            elif name not in there:
                yield f"no {place}, which in the request is {_short(asked[name])}"
            else:
                yield from _differences(there[name], asked[name], place)
    elif isinstance(there, list) and isinstance(asked, list) and len(there) == len(asked):
        for index, (one, other) in enumerate(zip(there, asked, strict=True)):
            yield from _differences(one, other, f"{way}[{index}]")
    elif _text(there) != _text(asked):
        yield f"{way or 'the body'}: {_short(there)}, and not {_short(asked)}"


def name_of(request: RecordedRequest) -> str:
    """Give a request in a few words."""
    return f"{request.method} {request.path}{_with(request.body)}"
