"""Tests of httpx's that cannot apply to this package's transports, each with the reason."""

from __future__ import annotations

from typing import Final

EXCEPTIONS: Final = {
    "tests/test_api.py::test_httpcore_lazy_loading": "wants httpcore to be loaded by a request, which needs it no more",
    "tests/test_timeouts.py::test_pool_timeout[asyncio]": (
        "a response that has arrived entirely gives its connection back, even if nobody has read it yet"
    ),
    "tests/test_timeouts.py::test_write_timeout[asyncio]": (
        "the limit counts from when the socket last took bytes, as in httpx's blocking transport, not for a whole body"
    ),
    "tests/test_timeouts.py::test_write_timeout[trio]": (
        "fails with httpx's own transport, too: trio warns of a generator that it leaves"
    ),
}
