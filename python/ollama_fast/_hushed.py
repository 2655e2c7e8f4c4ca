"""
httpx's line in the log for each request, left out for clients that are ours.

They are made only where a tool has replaced parts of httpx, and a caller who made none does not expect lines of theirs.
The level of httpx's logger is left alone: lines of other clients stay.
"""

from __future__ import annotations

import logging
from typing import Final

import httpx


class _OurURL(httpx.URL):
    """The URL of a request of ours, by which its line is known."""


class _Hush(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        args = record.args
        return not (isinstance(args, tuple) and any(isinstance(arg, _OurURL) for arg in args))


_HUSH: Final = _Hush()


def hushed(request: httpx.Request) -> httpx.Request:
    """Give *request* as one of which httpx's clients log nothing."""
    logging.getLogger("httpx").addFilter(_HUSH)  # once, however often it is said
    request.url = _OurURL(request.url)
    return request
