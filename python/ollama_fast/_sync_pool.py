"""The pools of blocking connections: one for all that makes a connection, closed when the program ends."""

from __future__ import annotations

import atexit
import os
import sys
from typing import TYPE_CHECKING

from . import _core
from ._host import Host

if TYPE_CHECKING:
    from ._pool import PoolKey
    from ._transport import Transport


_pools: dict[PoolKey, Transport] = {}
_left_behind: list[object] = []
"""Pools of the parent process: kept, so that nobody closes its connections from a child."""


def pool_for(key: PoolKey) -> Transport:
    """Give the pool of *key*."""
    # Without a lock: the handler of a signal may make a call, or close, in the midst of this.
    found = _pools.get(key)
    if found is not None:
        return found
    from ._transport import Transport

    return _pools.setdefault(key, key.make(Transport))


def close(host: Host | str | None = None, /) -> None:
    """
    Close the connections that are kept to *host*, or without one all of them.

    Args:
        host: A Host or its URL, or None for every host.

    They are opened again when needed. Connections of a caller's own httpx client are the caller's.
    """
    for key in list(_pools) if host is None else [_key(host)]:
        closed = _pools.pop(key, None)
        if closed is not None:
            closed.close()  # who got it just before can still use it


def _key(host: Host | str) -> PoolKey:
    from ._pool import PoolKey

    return PoolKey.of(Host.of(host))


def _forget() -> None:
    global _pools  # noqa: PLW0603 - a child of fork begins anew
    _left_behind.append(_pools)
    _pools = {}


if hasattr(_core, "stop_calling") and sys.version_info < (3, 14):
    atexit.register(_core.stop_calling)  # the last is done first
atexit.register(close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
