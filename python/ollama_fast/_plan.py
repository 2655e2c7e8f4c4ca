"""Which requests a transport does itself; and what the core and httpx need to know of each other. For both colours."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import httpx

from . import _core
from ._certificates import trusting
from ._delegation import forced, transports_patched
from ._routes import Routes
from ._slices import SLICE, slices
from ._zones import with_index

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from ._routes import Proxy

T = TypeVar("T", httpx.HTTPTransport, httpx.AsyncHTTPTransport)

LIMITS: Final = httpx.Limits(max_connections=100, max_keepalive_connections=20)
HERE: Final = hasattr(_core, "Pool")
"""Whether the core can open sockets on this system."""


class Plan(Generic[T]):
    """Which requests a transport does itself, and httpx's own transports for the others."""

    def __init__(
        self, kind: Callable[..., T], options: dict[str, Any], proxy: Proxy | None, *, trust_env: bool
    ) -> None:
        self._kind: Callable[..., T] = kind
        self._options = options | {"trust_env": trust_env}
        self._verify = self._options.pop("verify")
        self._routes = Routes.of(proxy, trust_env=trust_env)
        self._others: dict[tuple[AbstractEventLoop | None, Proxy | None], T] = {}
        special = any(options[name] for name in ("uds", "local_address", "retries", "socket_options"))
        self._own = HERE and not special and options["http1"] and not forced(os.environ)

    def takes(self, request: httpx.Request) -> bool:
        """Whether the request is sent by the core."""
        return (
            self._own
            and request.url.scheme == "http"
            and not (self._routes.rules and self._routes.proxy_for(request.url))
            and "trace" not in request.extensions  # a hook for what httpcore does
            and request.method != "CONNECT"
            and "upgrade" not in request.headers  # neither does the core change a protocol
            and not transports_patched()
        )

    def other(self, request: httpx.Request, loop: AbstractEventLoop | None = None) -> T:
        """Give the transport of httpx for the request; each event loop has its own, since they work on no other."""
        key = loop, self._routes.proxy_for(request.url)
        found = self._others.get(key)
        if found is not None:
            return found
        for owner, proxy in list(self._others):
            if owner is not None and owner.is_closed():
                self._others.pop((owner, proxy), None)
        return self._others.setdefault(key, self._kind(**self._options, verify=self._certificates(), proxy=key[1]))

    def _certificates(self) -> Any:
        """Give what to trust: a context that is shared, unless settings of this transport alone go into it."""
        if self._verify is not True or self._options["cert"] is not None or self._options["http2"]:
            return self._verify
        return trusting(verify=True, trust_env=self._options["trust_env"])

    def release(self, loop: AbstractEventLoop | None = None) -> list[T]:
        """Forget httpx's transports of *loop*, and give them to be closed."""
        return [self._others.pop(key) for key in list(self._others) if key[0] is loop]


def bounds(limits: httpx.Limits) -> tuple[int | None, int | None, float | None]:
    """Give the limits of a pool of the core."""
    return limits.max_connections, limits.max_keepalive_connections, limits.keepalive_expiry


def timeout_of(request: httpx.Request) -> dict[str, Any]:
    """Give the limits of the waits for *request*, in seconds."""
    timeout = request.extensions.get("timeout")
    # The very dict of the request: who changes it changes the waits that follow.
    return timeout if isinstance(timeout, dict) else dict(timeout or {})


def place_of(url: httpx.URL) -> tuple[str, int]:
    """Give host and port to connect to."""
    port = 80 if url.port is None else url.port
    if port > 65535:
        raise httpx.ConnectError(f"no host has a port {port}")
    return with_index(url.raw_host.decode("ascii")), port


def content_of(request: httpx.Request) -> bytes | None:
    """Give the body of *request*, or None if it comes in pieces."""
    return b"".join(request.stream) if isinstance(request.stream, httpx.ByteStream) else None


def sliced(request: httpx.Request) -> httpx.Request:
    """
    Give *request* as httpx's own transports shall send it: with a large body in pieces.

    httpcore copies what is left of a piece each time that the socket took some, blocking; and on asyncio a piece has no
    longer than the limit for one write, however steadily the server takes it.
    """
    content = content_of(request)
    if content is None or len(content) <= SLICE:
        return request
    made = httpx.Request(request.method, request.url, headers=request.headers, stream=_Slices(content))
    made.extensions = request.extensions  # the very dict, which httpx would copy: a pool knows the request by it
    made._content = content  # noqa: SLF001 - for who looks at it, without another copy
    return made


class _Slices(httpx.ByteStream):
    """A body in pieces of a size that a socket takes."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        return iter(slices(self._content))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


def as_bytes(piece: Any) -> bytes:
    """Give a piece of a request's body as the core takes it; other bytes-like objects are copied."""
    return piece if type(piece) is bytes else bytes(memoryview(piece))
