"""How many files may be open, and how many streams that is enough for."""

from __future__ import annotations

import resource
from typing import Final

_BESIDE: Final = 200
"""Files that are open beside sockets, and sockets that are closing."""


def raise_file_limit() -> int:
    """Let this process open as many files as the system allows; give how many streams that is enough for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 65_536 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(10, most - _BESIDE)
