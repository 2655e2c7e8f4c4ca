"""
What is expected of each fault, as data: of a streamed call, and of a whole one.

The replies are recorded ones: a chat of 25 parts, and the same as a whole. tests/test_fault_matrix.py has our functions
meet each fault; tests/compare_faults.py has the package ollama meet it, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from exchange import EXCHANGES, load
from ollama_fast import errors
from ollama_fast.testing import FAULTS, Fault, Received, Reply
from ollama_fast.testing._replaying import at_once

Mode: TypeAlias = Literal["streamed", "whole"]
MODES: Final[tuple[Mode, ...]] = ("streamed", "whole")

RECORDED: Final = {"streamed": load(EXCHANGES / "chat_stream.json"), "whole": load(EXCHANGES / "chat.json")}
KWARGS: Final[Mapping[str, Any]] = RECORDED["whole"].call.kwargs
PARTS: Final[Mapping[Mode, list[dict[str, Any]]]] = {
    "streamed": [json.loads(chunk.data) for chunk in RECORDED["streamed"].response.chunks],
    "whole": [json.loads(RECORDED["whole"].body)],
}
"""What a healthy server's answer comes to: its parts, or itself."""


def answer(request: Received) -> Reply:
    """Reply with what is recorded, to any client: others put other fields into a body."""
    return at_once(RECORDED["streamed" if (request.json or {}).get("stream", True) else "whole"].response)


ELSEWHERE: Final = "redirect elsewhere"
"""The one fault that needs to know another server."""


def fault_of(name: str, elsewhere: str) -> Fault:
    """Give the fault called *name*; *elsewhere* is the URL of another server."""
    return Fault.instead(307, Location=f"{elsewhere}/api/chat") if name == ELSEWHERE else FAULTS[name]


@dataclass(frozen=True, slots=True)
class Expected:
    """
    What comes of a call.

    Args:
        error: Its exact class; None if the answer is whole all the same.

        parts: How many parts of the recorded answer are delivered first; of a whole call, 1 if it succeeds.

        partial: How much of the answer the error holds, as parts merged.
    """

    error: type[errors.OllamaError] | None
    parts: int
    partial: int


@dataclass(frozen=True, slots=True)
class Row:
    """
    A fault, and what is expected.

    Args:
        name: Of the fault.

        streamed: What comes of a streamed call.

        whole: What comes of a whole one.

        waits: Whether nothing but a time limit ends it.

        large: Whether there is more than the sizes of Limits allow, which the test sets low.

        changed: The part that the fault changes without harm.

        either: Whether to give the answer and to refuse it are both right, as something is wrong, but only beside it.
    """

    name: str
    streamed: Expected
    whole: Expected
    waits: bool = False
    large: bool = False
    changed: int | None = None
    either: bool = False

    def expected(self, mode: Mode) -> Expected:
        """Give what comes of a call."""
        return self.streamed if mode == "streamed" else self.whole


ALL: Final = len(PARTS["streamed"])
FINE: Final = (Expected(None, ALL, ALL), Expected(None, 1, 0))


def ends(
    name: str,
    parts: int,
    kind: type[errors.OllamaError],
    whole: type[errors.OllamaError] | None = None,
    *,
    either: bool = False,
) -> Row:
    """Expect an error after so many parts; a whole call has the same one, unless it is said to have another."""
    return Row(name, Expected(kind, parts, parts), Expected(whole or kind, 0, 0), either=either)


def too_large(name: str, parts: int, *, either: bool = False) -> Row:
    """Expect a limit of size to end it after so many parts."""
    kind = errors.TooLargeError
    return Row(name, Expected(kind, parts, parts), Expected(kind, 0, 0), large=True, either=either)


def waits(name: str, parts: int) -> Row:
    """Expect a limit to run out after so many parts."""
    return Row(name, Expected(errors.TimeoutError, parts, parts), Expected(errors.TimeoutError, 0, 0), waits=True)


Connect, Transport, Timeout = errors.ConnectError, errors.TransportError, errors.TimeoutError
TooLarge = errors.TooLargeError
Incomplete, Decode, Response = errors.IncompleteStreamError, errors.DecodeError, errors.ResponseError
NotFound, Unauthorized = errors.ModelNotFoundError, errors.AuthenticationError

MATRIX: Final = (
    ends("refused", 0, Connect),
    waits("nothing is said", 0),
    ends("closed before the head", 0, Transport),
    ends("reset before the head", 0, Transport),
    ends("closed in the head", 0, Transport),
    ends("reset in the head", 0, Transport),
    waits("stalled in the head", 0),
    ends("closed behind the head", 0, Incomplete),
    waits("stalled behind the head", 0),
    ends("closed between parts", 3, Incomplete),
    ends("reset between parts", 3, Incomplete),
    ends("half-closed between parts", 3, Incomplete),
    waits("stalled between parts", 3),
    ends("closed inside a part", ALL - 1, Incomplete),
    ends("reset inside a part", ALL - 1, Incomplete),
    waits("stalled inside a part", ALL - 1),
    Row("closed behind the answer", *FINE),
    Row("reset behind the answer", *FINE),
    Row("one byte at a time", *FINE),
    Row("chunks of one byte", *FINE),
    ends("garbage for a head", 0, Transport),
    ends("another protocol", 0, Transport),
    ends("wrong status line", 0, Transport),
    ends("garbage between chunks", 3, Incomplete),
    # Whoever has the last part has the answer; a whole one has no part that says so before its end.
    Row("no last chunk", FINE[0], Expected(Incomplete, 0, 0), either=True),
    Row("length too long", FINE[0], Expected(Incomplete, 0, 0), either=True),
    Row("length too long, stalled", FINE[0], Expected(Timeout, 0, 0), waits=True, either=True),
    ends("length too short", ALL - 1, Incomplete),
    Row("length of 10 GB", FINE[0], Expected(TooLarge, 0, 0), either=True),
    ends("two lengths", 0, Transport),
    ends("huge chunk", 3, Incomplete, TooLarge),
    ends("chunk size beyond 64 bits", 3, Incomplete),
    Row("a second response", *FINE),
    Row("informational first", *FINE),
    ends("not compressed as it says", 0, Decode),
    ends("redirect of a POST", 0, Response),
    ends("redirect in a circle", 0, Response),
    Row(ELSEWHERE, *FINE),
    too_large("endless headers", 0),
    too_large("endless header", 0),
    too_large("endless line", 3),
    too_large("endless informational", 0),
    too_large("line of 100 MB", 2, either=True),
    ends("empty", 0, Incomplete),
    ends("HTML with 200", 0, Decode),
    ends("HTML with 502", 0, Response),
    ends("no JSON", 3, Decode),
    ends("JSON of another shape", 3, Decode),
    ends("half of a line", 3, Incomplete),
    ends("no last part", ALL - 1, Incomplete),
    Row("not done", Expected(Incomplete, ALL, ALL), Expected(Incomplete, 0, 1), changed=ALL - 1),
    ends("nested 10^5 deep", 2, Decode, either=True),
    ends("NaN", 2, Decode, either=True),
    ends("invalid UTF-8", 2, Decode, either=True),
    ends("lone surrogate", 2, Decode, either=True),
    Row("duplicated keys", *FINE, either=True),
    ends("null byte", 2, Decode, either=True),
    ends("error", 0, Response),
    ends("error of no model", 0, NotFound),
    ends("error before the first part", 0, Response),
    ends("error before the first part, with 200", 0, Response),
    ends("error between parts", 3, Response),
    ends("error of nobody", 0, Unauthorized),
    ends("error of nobody, as a line", 0, Unauthorized),
    ends("error of a struct", 0, NotFound),
    ends("error of a struct between parts", 3, Response),
    ends("error of nobody between parts", 3, Unauthorized),
    ends("error of no route", 0, Response),
    ends("error of the host", 0, Response),
    ends("error of a panic", 0, Response),
    ends("error of too many", 0, Response),
    ends("error that is JSON in a text", 0, Response),
    ends("error that is an object", 0, Response),
)

OVER_HTTPX: Final[Mapping[tuple[str, Mode], tuple[type[errors.OllamaError], str]]] = {
    ("huge chunk", "whole"): (Incomplete, "h11 gives what is in a chunk, and does not tell how large it says to be"),
}
"""What comes of a call over httpx's own transport where it is another error, and why."""

NEXT_OVER_HTTPX: Final[Mapping[str, tuple[type[errors.OllamaError], str]]] = {
    "length too short": (
        Transport,
        "h11 keeps the bytes behind a response, and httpcore has the next one read from them",
    ),
    "a second response": (
        Response,
        "the same: over httpx's own transport the next call is answered by what nobody had asked for",
    ),
}
"""Where, over httpx's own transport alone, the next call fails: how, and why. The one behind it succeeds."""
