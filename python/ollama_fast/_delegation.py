"""
Whether tools have replaced parts of httpx or of sockets at this moment, and whether the environment asks for httpx.

Nothing here sends anything, and nothing is imported to look at it: what is not loaded has not been replaced.
"""

# ruff: noqa: SLF001 - tools replace private functions of httpx, too

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager, contextmanager
from types import FunctionType, MethodDescriptorType, ModuleType
from typing import Any, Final, TypeAlias

from .errors import HostError

VARIABLE: Final = "OLLAMA_FAST_TRANSPORT"


def forced(environ: Mapping[str, str]) -> bool:
    """
    Whether *environ* asks for httpx's own transport for everything.

    Raises HostError if it asks for something unknown.
    """
    text = environ.get(VARIABLE, "")
    if text not in ("", "fast", "httpx"):
        raise HostError(f"the environment variable {VARIABLE} must be 'fast', 'httpx' or empty, not {text!r}")
    return text == "httpx"


# --- what tools replace ----------------------------------------------------------------------------------------------

# Tests and monitoring replace functions of httpx, httpcore and socket, before or after our first use, and undo it at
# any time. So what is there at first proves nothing: a function is genuine if the source of its own package made it.
# Once all of a part are, they are remembered, because comparing identities is quick enough for every request.

Changed: TypeAlias = Callable[[], bool]


def patched() -> bool:
    """
    Whether something replaces, at this moment, what a request through an httpx client passes.

    Either colour counts for both, since most tools replace both.
    """
    # Named first, here and below, because Python calls a local name sooner than an attribute.
    clients, sockets, transports, pools = _clients.changed, _sockets.changed, _transports.changed, _pools.changed
    try:
        return clients() or sockets() or transports() or pools()
    except AttributeError:  # a function was taken away
        return True


def methods_patched() -> bool:
    """Whether something replaces, at this moment, the methods of httpx's clients that lead to sending a request."""
    try:
        return _methods.changed()
    except AttributeError:
        return True


def transports_patched() -> bool:
    """Whether something replaces what a request passes from httpx's own transports on, not before, in a client."""
    sockets, transports, pools = _sockets.changed, _transports.changed, _pools.changed
    try:
        return sockets() or transports() or pools()
    except AttributeError:
        return True


def connecting_replaced() -> bool:
    """
    Whether something replaces, at this moment, how sockets connect to a name, but not how names are looked up.

    Such a tool wants the name itself: a tunnel has it looked up at its far end, and nobody is to ask for it here.
    """
    sockets = sys.modules["socket"]
    return _genuine(sockets, "create_connection") is None and _genuine(sockets, "getaddrinfo") is not None


class _Part:
    """
    Functions of one package that a request passes.

    Args:
        package: Its name.

        functions: Their names in it.

        watch: Makes a quick check whether the package has the same functions, which it is given. After a change it
            asks the slow check, its first argument.
    """

    __slots__ = ("_functions", "_package", "_watch", "changed")

    def __init__(self, package: str, functions: tuple[str, ...], watch: Callable[..., Changed]) -> None:
        self._package = package
        self._functions = functions
        self._watch = watch
        self.changed: Changed = self._survey

    def _survey(self) -> bool:
        package = sys.modules.get(self._package)
        if package is None:
            return False
        found = [_genuine(package, path) for path in self._functions]
        if None in found:
            return True
        self.changed = self._watch(self._survey, package, *found)
        return False


def _block() -> Any:
    yield


_BLOCKS: Final = frozenset(make(_block).__code__ for make in (contextmanager, asynccontextmanager))
"""What the functions are that these decorators make: their own is inside."""


def _genuine(package: ModuleType, path: str) -> object:
    """Give the function at *path* if the source of *package* made it, else None."""
    kind, _, name = path.rpartition(".")
    owner = getattr(package, kind) if kind else package
    found = getattr(owner, name)
    if type(found) is MethodDescriptorType:  # of a type written in C, which cannot be changed
        return found if found.__objclass__.__module__ == f"_{package.__name__}" else None
    # A plain function, no wrapper that poses as one. Its owner's, because a class that replaces another can inherit
    # what it leaves alone. And known by its code, because functools.wraps copies only names to a replacement.
    if type(found) is not FunctionType or name not in vars(owner):
        return None
    made: Any = getattr(found, "__wrapped__", None) if found.__code__ in _BLOCKS else found
    home: str = made.__globals__.get("__name__", "")
    inside = home == package.__name__ or home.startswith(f"{package.__name__}.")
    if not inside or made.__code__.co_qualname != path:
        return None
    return found if getattr(sys.modules.get(home), "__dict__", None) is made.__globals__ else None


def _watch_clients(
    slowly: Changed,
    httpx: Any,
    begin: Any,
    abegin: Any,
    send: Any,
    asend: Any,
    pass_on: Any,
    apass_on: Any,
    choose: Any,
    achoose: Any,
) -> Changed:
    blocking, asyncio = httpx.Client, httpx.AsyncClient

    def changed() -> bool:
        if (
            httpx.Client is blocking
            and httpx.AsyncClient is asyncio
            and blocking.__init__ is begin
            and asyncio.__init__ is abegin
            and blocking.send is send
            and asyncio.send is asend
            and blocking._send_single_request is pass_on
            and asyncio._send_single_request is apass_on
            and blocking._transport_for_url is choose
            and asyncio._transport_for_url is achoose
        ):
            return False
        return slowly()

    return changed


def _watch_methods(slowly: Changed, httpx: Any, request: Any, arequest: Any, stream: Any, astream: Any) -> Changed:
    blocking, asyncio = httpx.Client, httpx.AsyncClient

    def changed() -> bool:
        if (
            blocking.request is request
            and asyncio.request is arequest
            and blocking.stream is stream
            and asyncio.stream is astream
        ):
            return False
        return slowly()

    return changed


def _watch_transports(slowly: Changed, httpx: Any, handle: Any, ahandle: Any) -> Changed:
    blocking, asyncio = httpx.HTTPTransport, httpx.AsyncHTTPTransport

    def changed() -> bool:
        if (
            httpx.HTTPTransport is blocking
            and httpx.AsyncHTTPTransport is asyncio
            and blocking.handle_request is handle
            and asyncio.handle_async_request is ahandle
        ):
            return False
        return slowly()

    return changed


def _watch_pools(slowly: Changed, httpcore: Any, handle: Any, ahandle: Any) -> Changed:
    blocking, asyncio = httpcore.ConnectionPool, httpcore.AsyncConnectionPool

    def changed() -> bool:
        if (
            httpcore.ConnectionPool is blocking
            and httpcore.AsyncConnectionPool is asyncio
            and blocking.handle_request is handle
            and asyncio.handle_async_request is ahandle
        ):
            return False
        return slowly()

    return changed


def _watch_sockets(
    slowly: Changed, socket: Any, begin: Any, connect: Any, create_connection: Any, getaddrinfo: Any
) -> Changed:
    kind = socket.socket

    def changed() -> bool:
        if (
            socket.socket is kind
            and kind.__init__ is begin
            and kind.connect is connect
            and socket.create_connection is create_connection
            and socket.getaddrinfo is getaddrinfo
        ):
            return False
        return slowly()

    return changed


_clients: Final = _Part(
    "httpx",
    (
        "Client.__init__",
        "AsyncClient.__init__",
        "Client.send",
        "AsyncClient.send",
        "Client._send_single_request",
        "AsyncClient._send_single_request",
        "Client._transport_for_url",
        "AsyncClient._transport_for_url",
    ),
    _watch_clients,
)
_methods: Final = _Part(
    "httpx",
    ("Client.request", "AsyncClient.request", "Client.stream", "AsyncClient.stream"),
    _watch_methods,
)
_transports: Final = _Part(
    "httpx", ("HTTPTransport.handle_request", "AsyncHTTPTransport.handle_async_request"), _watch_transports
)
_pools: Final = _Part(
    "httpcore", ("ConnectionPool.handle_request", "AsyncConnectionPool.handle_async_request"), _watch_pools
)
_sockets: Final = _Part(
    "socket", ("socket.__init__", "socket.connect", "create_connection", "getaddrinfo"), _watch_sockets
)
