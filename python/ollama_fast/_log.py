"""
What this package logs, by the logger `ollama_fast`: silent unless a program wants to hear it, and without secrets.

Loaded with the first call, when httpx has loaded `logging` anyway.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ._said import Context

logger: Final = logging.getLogger("ollama_fast")
logger.addHandler(logging.NullHandler())

DEBUG: Final = logging.DEBUG


def head(context: Context, status: int, seconds: float) -> None:
    """Tell that the head of an answer is in."""
    logger.debug("%s", context.say(f"status {status} after {seconds:.3f} s"))


def again(context: Context, most: int, why: str) -> None:
    """Tell that a request is tried again."""
    logger.info("%s", context.say(f"trying again, since {why}; at most {most} attempts"))


def host(error: BaseException, rest: float | None, *, lost: bool) -> None:
    """Tell what became of one of several hosts: it rests, or is *lost* for what is left of the inputs."""
    if rest is not None:
        logger.info("a busy host is left alone for %g s: %s", rest, error)
    elif lost:
        logger.warning("a host is asked for no more of the inputs: %s", error)


def unrecorded(what: str, error: Exception) -> None:
    """Tell that *what*, which records calls, has failed, and by what."""
    logger.warning("%s failed, which is told once; calls go on", what, exc_info=error)
