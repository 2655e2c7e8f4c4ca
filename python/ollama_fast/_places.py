"""
The places in httpcore's pools: a request that is over holds none.

httpcore forgets to give one back if its request is cancelled, or a signal handler raises, in the moment in which it
gets a connection, or while its response is closed. Then a connection is in use by nobody, for ever, and a pool that has
lost all its places serves nobody. So what a request still holds at its end is taken from it.
"""

from __future__ import annotations

from typing import Any

import httpx


def reclaim(over: httpx.BaseTransport | httpx.AsyncBaseTransport, request: httpx.Request) -> list[Any]:
    """
    Take back what *request*, which is over, holds in the pool of *over*, and give the connections to be closed.

    Nothing is waited for. Where a mock or another version keeps its pool elsewhere, nothing is taken.
    """
    pool: Any = getattr(over, "_pool", None)
    if not all(hasattr(pool, name) for name in ("_requests", "_connections", "_optional_thread_lock")):
        return []
    with pool._optional_thread_lock:  # noqa: SLF001 - httpcore has no other way to ask
        held = [each for each in pool._requests if each.request.extensions is request.extensions]  # noqa: SLF001
        for each in held:
            pool._requests.remove(each)  # noqa: SLF001
        used = {id(each.connection) for each in pool._requests}  # noqa: SLF001
        lost = [each for each in pool._connections if id(each) not in used and not _is_free(each)]  # noqa: SLF001
        if not held and not lost:
            return []
        for each in lost:
            pool._connections.remove(each)  # noqa: SLF001
        return [*lost, *pool._assign_requests_to_connections()]  # noqa: SLF001 - who waits in line gets the places


def _is_free(connection: Any) -> bool:
    return bool(connection.is_idle() or connection.is_closed())
