"""
Which calls that failed before an answer are tried again, and after how long.

The decisions are pure, and the same for both colours. tenacity goes round, and is imported when it is first needed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from sys import float_info
from typing import TYPE_CHECKING, Any, Final

from ._settings import kind_of

if TYPE_CHECKING:
    from types import ModuleType

    from tenacity import RetryCallState


@dataclass(frozen=True, slots=True)
class Retry:
    """
    Whether and when to try again, if there is no connection or no answer; times are in seconds.

    A call is tried again if no connection was made, also not in time, if the server says 429 or 503, or if the
    connection breaks before the first byte of an answer. No other answer is, none that has begun, and no other wait
    that ran out of time. What changes the server, such as `pull`, `push`, `create` or `delete`, is tried again only if
    it cannot have begun: no connection was made, or the server said 429.

    Args:
        attempts: How often to try, in all.

        wait: Before the second attempt; before each later one twice as long. If the server says by Retry-After how long
            to wait, then that.

        max_wait: The longest wait. A server that wants more of it is not asked again.

        jitter: Up to so much is added at random, so that many callers do not come back together.

        after_break: Whether what only reads or computes, such as `generate`, is sent again if its connection breaks,
            by a reset or a close, before an answer. The server may have computed, or still compute, the first one then.
    """

    attempts: int = 3
    wait: float = 0.5
    max_wait: float = 30.0
    jitter: float = 0.5
    after_break: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int):
            raise TypeError(f"attempts must be a whole number, not {kind_of(self.attempts)}")
        if self.attempts < 1:
            raise ValueError(f"attempts must be 1 or more, not {self.attempts!r}: the first one counts")
        for name in ("wait", "max_wait", "jitter"):
            seconds = getattr(self, name)
            if isinstance(seconds, bool) or not isinstance(seconds, int | float):
                raise TypeError(f"{name} must be seconds, as a number, not {kind_of(seconds)}")
            if not 0 <= seconds <= float_info.max:  # a whole number may be larger
                raise ValueError(f"{name} must be 0 seconds or more, and not endless")

    @classmethod
    def of(cls, retry: Retry | int | None) -> Retry | None:
        """
        Take a number of attempts in all; None for no more than one.

        Raises ImportError, with what to install, where tenacity is not.
        """
        if retry is not None:
            _look_for_engine()
        return retry if retry is None or isinstance(retry, Retry) else cls(retry)


class Trouble(Enum):
    """Why there is no answer yet."""

    UNREACHED = "no connection was made"
    LATER = "the server said 429: too many requests, so it has not begun with this one"
    BUSY = "the server, or somebody in front of it who may have passed the request on, said 503"
    BROKEN = "the connection broke before the first byte of an answer"


@dataclass(frozen=True, slots=True)
class Setback:
    """
    What became of an attempt that may be followed by another one.

    Args:
        trouble: What went wrong.

        asked: Seconds that the server wants to be left alone, if it said so.
    """

    trouble: Trouble
    asked: float | None = None


def allows(retry: Retry, setback: Setback | None, *, changes: bool, uploads: bool) -> bool:
    """
    Whether there may be another attempt after *setback*; None is any other failure, or an answer.

    Args:
        retry: What the host says.

        setback: What became of the last attempt.

        changes: Whether the call changes the server, which then must not get it twice.

        uploads: Whether a file is sent, of which the server may have bytes.
    """
    if setback is None:
        return False
    if setback.trouble is Trouble.UNREACHED:
        return True
    if uploads:
        return False
    if setback.trouble is Trouble.LATER:
        return True
    return not changes and (setback.trouble is Trouble.BUSY or retry.after_break)


def too_long(retry: Retry, seconds: float, left: float | None) -> str:
    """Say why a wait does not begin: it is longer than the longest one, or than what is *left* for all; or ""."""
    if seconds > retry.max_wait:  # a wait of our own is not
        return f"the server asks for {seconds:g} s, more than max_wait={retry.max_wait:g}"
    if left is not None and seconds >= left:
        return f"Timeout.total would be over before the next attempt, in {seconds:.3g} s"
    return ""


def seconds_of(header: str | None, now: float) -> float | None:
    """Read a Retry-After: seconds, or a date of HTTP, which *now* is compared with; None if it is neither."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    until = moment(text)
    return None if until is None else max(0.0, until - now)


def moment(date: str) -> float | None:
    """Read a date of HTTP, in any of its forms: each is in UTC, also where it does not say so. None if it is none."""
    from datetime import UTC
    from email.utils import parsedate_to_datetime

    try:
        found = parsedate_to_datetime(date)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):  # the latter two of a year or a zone that is out of range
        return None


_NO_ENGINE: Final = "Host(retry=...) needs tenacity: pip install 'ollama_fast[retry]'"


def _look_for_engine() -> None:
    from importlib.util import find_spec

    if sys.modules.get("tenacity") is None and find_spec("tenacity") is None:
        raise ImportError(_NO_ENGINE)


def engine() -> ModuleType:
    """Import tenacity. Raises ImportError, with what to install; a host that came as a pickle was not looked at."""
    try:
        import tenacity
    except ImportError as exc:
        raise ImportError(_NO_ENGINE) from exc
    return tenacity


def rules(
    retry: Retry,
    judge: Callable[[Any], Setback | None],
    left: Callable[[], float | None],
    gives_up: Callable[[str], None],
    **call: bool,
) -> dict[str, Any]:
    """
    Give the arguments of tenacity's loops, but for how to sleep.

    What the loop gives or raises at its end is what the last attempt gave or raised.

    Args:
        retry: What the host says.

        judge: Says what a result or an exception of an attempt means.

        left: Gives the time that is left for the whole call.

        gives_up: Is told why there is no further attempt, if the host's Retry allows one.

        call: What `allows` wants to know of the call.
    """
    tenacity = engine()
    own = tenacity.wait_exponential(multiplier=retry.wait) + tenacity.wait_random(0, retry.jitter)

    def goes_on(state: RetryCallState) -> bool:
        return allows(retry, judge(_outcome(state)), **call)

    def wait(state: RetryCallState) -> float:
        setback = judge(_outcome(state))
        if setback is not None and setback.asked is not None:
            return setback.asked
        return min(retry.max_wait, float(own(state)))

    def stops(state: RetryCallState) -> bool:
        if state.attempt_number >= retry.attempts:
            return True
        why = too_long(retry, state.upcoming_sleep, left())
        gives_up(why)
        return bool(why)

    return {"retry": goes_on, "wait": wait, "stop": stops, "retry_error_callback": _last}


def _outcome(state: RetryCallState) -> Any:
    outcome = state.outcome
    if outcome is None:
        return None
    return outcome.exception() if outcome.failed else outcome.result()


def _last(state: RetryCallState) -> Any:
    return None if state.outcome is None else state.outcome.result()
