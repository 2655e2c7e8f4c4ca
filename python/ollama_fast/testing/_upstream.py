"""
The way from a recording proxy to the genuine server: one exchange, in the chunks in which it comes.

The only room of `testing` that needs httpx, whose own transport shows chunks as they come. It sends what it is given,
and neither follows redirects nor decompresses.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from ollama_fast._url import is_loopback
from ollama_fast._zones import with_index, without_zone

from ._recording import Ending

if TYPE_CHECKING:
    import httpx

    from ollama_fast import Host

_CONNECT_SECONDS: Final = 5.0
"""How long to wait for a connection; for an answer there is no limit, since the client has its own."""
_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


class UnreachableError(Exception):
    """No connection to the server came about."""


class Line:
    """What one exchange goes over; another thread can end it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.ended = False
        """Whether somebody here ended it, and not the server."""

    def end(self) -> None:
        """End the exchange, also while it waits."""
        with self._lock:
            self.ended = True
            for each in self._sockets:
                _shut(each)

    @contextmanager
    def ended_after(self, seconds: float) -> Generator[None]:
        """End the exchange if the block takes longer."""
        timer = threading.Timer(seconds, self.end)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def trace(self, name: str, info: Mapping[str, Any]) -> None:
        """Hear from httpx's transport which sockets it made."""
        if not name.endswith((".connect_tcp.complete", ".start_tls.complete")):
            return
        found = info["return_value"].get_extra_info("socket")
        with self._lock:
            self._sockets.append(found)
            if self.ended:
                _shut(found)


class Upstream:
    """
    A genuine server, with the credentials, certificates and proxies of any call to it.

    Connections are not kept, so that each exchange has sockets of its own to end it by.

    Args:
        host: The server.

    Raises HostError if a proxy or the certificates cannot be used.
    """

    def __init__(self, host: Host) -> None:
        import httpx

        from ollama_fast._outgoing import credentials_for
        from ollama_fast._pool import PoolKey

        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)

        def transport(**options: Any) -> httpx.HTTPTransport:
            options.update(proxy=_proxy_of(host), limits=limits)
            return httpx.HTTPTransport(**options)

        self._transport = PoolKey.of(host).make(transport)
        authorization, _ = credentials_for(host, host.url)
        self.url = host.url
        self._base = httpx.URL(host.url)
        address = self._base.raw_host.decode("ascii")
        self._place = self._base.copy_with(host=with_index(address)) if "%" in address else self._base
        self._name = without_zone(address)
        self._netloc = without_zone(self._base.netloc.decode("ascii"))
        self._sent = (*host.headers, *([] if authorization is None else [("Authorization", authorization)]))
        place = b"http://" + self._base.netloc if _is_asked_by_url(host) else b""
        self._before = place + self._base.raw_path.rstrip(b"/")

    def close(self) -> None:
        """Give back what it holds."""
        self._transport.close()

    @contextmanager
    def asked(
        self, method: str, path: str, headers: Iterable[tuple[str, str]], body: Iterable[bytes] | None, line: Line
    ) -> Generator[tuple[int, tuple[tuple[str, str], ...], Iterator[bytes]]]:
        """
        Send a request and give status, headers and chunks of the reply, whose head is there then.

        Raises UnreachableError if there is no connection; what httpx raises later is for `cut` to tell.
        """
        import httpx

        given = [(name.lower(), value) for name, value in headers]
        own = {name.lower() for name, _ in given}
        sent = [pair for pair in given if pair[0] not in _HOP_BY_HOP | {"host", "expect", "accept-encoding"}]
        sent += [(name, value) for name, value in self._sent if name.lower() not in own]
        if all(name.lower() != "host" for name, _ in sent):
            sent.insert(0, ("host", self._netloc))
        sent += [("accept-encoding", "identity")]  # so that people can read what is recorded
        target = self._before + path.encode("latin-1")
        limits = {"connect": _CONNECT_SECONDS, "read": None, "write": None, "pool": None}
        extensions = {"timeout": limits, "trace": line.trace, "target": target, "sni_hostname": self._name}
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent]
        request = httpx.Request(method, self._place, headers=pairs, content=body, extensions=extensions)
        try:
            response = self._transport.handle_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as exc:
            raise UnreachableError(str(exc) or type(exc).__name__) from exc
        try:
            response.request = request
            yield response.status_code, _headers(response), _chunks(response)
        finally:
            response.close()


@contextmanager
def cuts(found: list[Ending]) -> Generator[None]:
    """Add to *found* how a server that does not say all it should ends the connection: "close" or "reset"."""
    import httpx

    try:
        yield
    except httpx.RemoteProtocolError:
        found.append("close")
    except httpx.TransportError:
        found.append("reset")


def _headers(response: httpx.Response) -> tuple[tuple[str, str], ...]:
    """Give the headers that are the answer's, and say how it is framed: as it was, or else in chunks."""
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw]
    kept = [pair for pair in pairs if pair[0].lower() not in _HOP_BY_HOP]
    bodiless = response.request.method == "HEAD" or response.status_code in (204, 304)
    if not bodiless and "content-length" not in response.headers:
        kept.append(("Transfer-Encoding", "chunked"))
    return tuple(kept)


def _chunks(response: httpx.Response) -> Iterator[bytes]:
    stream: Any = response.stream
    return iter(stream)


def _proxy_of(host: Host) -> httpx.Proxy | httpx.URL | str | None:
    from ollama_fast._routes import Routes

    return Routes.of(host.proxy, trust_env=not is_loopback(host.url)).proxy_for(host.url)


def _is_asked_by_url(host: Host) -> bool:
    """Whether a proxy is told the whole URL, and makes no tunnel."""
    import httpx

    proxy = _proxy_of(host)
    if proxy is None or not host.url.startswith("http:"):
        return False
    return (proxy.url if isinstance(proxy, httpx.Proxy) else httpx.URL(proxy)).scheme in ("http", "https")


def _shut(found: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(found, socket.SHUT_RDWR)  # of an SSLSocket, too, whose own would race with a reader
