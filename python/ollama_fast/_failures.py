"""What each failure of an exchange means: what httpx raises, and answers that are not Ollama's, in our words."""

from __future__ import annotations

import os
import re
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from . import errors
from ._url import api_path, is_bare, origin

if TYPE_CHECKING:
    from types import ModuleType, TracebackType

    import httpx

    from ._exchange import AnyHost, Exchange
    from ._host import Timeout
    from ._request import Parts, Request
    from ._routes import Way

_OF_ENVIRONMENT: Final = "is Ollama running there? (the host is that of OLLAMA_HOST, or else this machine)"
_FIRST: Final = "(the first argument of a function is the host, not the model)"
_EARLY: Final = 0.005
"""How much too early a timer may ring: uvloop's count whole milliseconds, from when the loop looked at the clock."""
_HTTPX_MAX_HEAD: Final = 100 * 1024
"""The bytes that httpx's own transport takes of a head, or of what is between the chunks of a body."""


class Telling:
    """
    A block in which what httpx raises, and what is raised for a line of *parts*, is raised as this package's errors.

    Once the last part is there, what becomes of the connection is of no interest. A class, since a generator is larger
    and slower, and each stream has one.
    """

    __slots__ = ("_exchange", "_parts")

    def __init__(self, exchange: Exchange[Any], parts: Parts[Any] | None) -> None:
        self._exchange = exchange
        self._parts = parts

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        found = self._judged(value)
        if found is not None and found is not value:
            found.__cause__ = value  # now, so that it is remembered with it
        if self._parts is not None:
            self._parts.memory.ends(found)
        if self._exchange.observed is not None and (self._parts is not None or not self._exchange.streams):
            self._exchange.ends(found)
        try:
            if found is not None and found is not value:
                raise found
            return found is None and value is not None
        finally:
            del found  # which would hold itself, by this frame

    def _judged(self, value: BaseException | None) -> BaseException | None:
        """Give what to raise for *value*, which may be itself; None if nothing is wrong."""
        exchange, parts = self._exchange, self._parts
        if isinstance(value, errors.OllamaError) or not isinstance(value, Exception):
            return value  # at the end of the interpreter, when what is suspended is closed, nothing can be imported
        if isinstance(value, ValueError | EOFError) and parts is not None and exchange.response is not None:
            return parts.broken(value)
        import httpx

        if isinstance(value, RuntimeError) and _client_is_closed(exchange):
            return failed(exchange, errors.TransportError, "the httpx client is closed: it sends nothing any more")
        if not isinstance(value, httpx.HTTPError | httpx.StreamError | httpx.InvalidURL):
            return value
        if exchange.closed:
            return exchange.was_closed(parts)
        return None if parts is not None and parts.complete else failure(exchange, value, parts)


def failed(
    exchange: Exchange[Any], kind: type[errors.OllamaError], what: str, parts: Parts[Any] | None = None, **facts: Any
) -> errors.OllamaError:
    """Give an error of *kind* that says *what*, of which call, and what had arrived of *parts*."""
    context, partial = exchange.context, None if parts is None else parts.partial
    return kind(context.say(what), **context.facts(), partial=partial, **facts)


def failure(exchange: Exchange[Any], exc: Exception, parts: Parts[Any] | None = None) -> errors.OllamaError:
    """Say what httpx's *exc* means, as one of this package's errors."""
    import httpx

    if isinstance(exc, httpx.TimeoutException):
        return _ran_out(exchange, exc, httpx, parts)
    said = str(exc) or type(exc).__name__
    too_large = _too_large(exc)
    if too_large is not None:
        limit, most, said = too_large
        return failed(exchange, errors.TooLargeError, said, parts, limit=limit, most=most)
    if isinstance(exc, httpx.LocalProtocolError):
        said = "the request breaks the rules of HTTP"  # httpx's own words show the header, which may be a secret
    if isinstance(exc, httpx.ConnectError | httpx.ProxyError):
        return failed(exchange, errors.ConnectError, _not_connected(exchange, exc, said))
    if isinstance(exc, httpx.DecodingError):
        return failed(exchange, errors.DecodeError, f"the answer's content-encoding is broken: {said}", parts)
    if isinstance(exc, httpx.NetworkError | httpx.RemoteProtocolError):
        if exchange.response is not None:
            text = f"the connection broke before the answer's last part: {said}"
            return failed(exchange, errors.IncompleteStreamError, text, parts)
        said = f"the connection broke before an answer: {said}"
        if isinstance(exc, httpx.RemoteProtocolError) and exchange.url.startswith("http:"):
            said += "; does something other than HTTP listen there, or does it want https:// ?"
    return failed(exchange, errors.TransportError, said, parts)


def _client_is_closed(exchange: Exchange[Any]) -> bool:
    """Whether a client of the caller's own was closed before it could send the request."""
    return exchange.client is not None and exchange.response is None and exchange.client.is_closed


# --- no connection ---------------------------------------------------------------------------------------------------


def hint(host: AnyHost, request: Request[Any]) -> str:
    """Say what to look at if there is no connection."""
    if request.origin is not None:
        return "is there a way to the internet?"
    if isinstance(host, str) and is_bare(host):
        return f"is Ollama running there? {_FIRST}"
    if host is None:
        return _OF_ENVIRONMENT
    return "is Ollama running there?"


def _not_connected(exchange: Exchange[Any], exc: Exception, said: str) -> str:
    from ._reasons import reason, words

    way = _way(exchange)
    why = reason(exc, origin(exchange.url if way is None else way.url))
    what = f" ({why.what})" if why.what else ""
    text = f"cannot connect{'' if way is None else f' through {way}'}: {words(exc) or said}{what}"
    if way is not None and not why.todo:
        return f"{text}; is {way.url} right, and is it for this host? NO_PROXY names hosts that need none"
    if not why.todo:
        return f"{text}; {_advice(exchange.hint)}"
    return f"{text}; {why.todo}" + (f" {_FIRST}" if exchange.hint.endswith(_FIRST) else "")


def _advice(hint: str) -> str:
    if hint == _OF_ENVIRONMENT and (bound := re.search(r"0\.0\.0\.0|\[::\]", os.environ.get("OLLAMA_HOST", ""))):
        return f"is Ollama running here? ({bound[0]} in OLLAMA_HOST is for servers: clients ask this machine)"
    return hint


def _way(exchange: Exchange[Any]) -> Way | None:
    """Give the proxy that the request passes; a caller's client does not tell."""
    from ._routes import way_to

    return None if exchange.client is not None else way_to(exchange.url, exchange.host.proxy)


# --- an answer that is not Ollama's ----------------------------------------------------------------------------------


def foreign(exchange: Exchange[Any], status: int, body: bytes) -> str:
    """Say what an answer means that is of a proxy, or of a server that wants TLS, and not of Ollama; or ""."""
    if status < 400 or body.lstrip()[:1] == b"{":
        return ""
    from ._reasons import ONLY_TLS, of_status

    why = of_status(status, body)
    if why is ONLY_TLS:
        return f"{why.what}; {why.todo}" if exchange.url.startswith("http:") else ""
    if not why.what or (way := _way(exchange)) is None:
        return ""
    return f"{why.what} ({way}, {way.url}); {why.todo}"


def misplaced(exchange: Exchange[Any], body: bytes) -> str:
    """Say what a 404 means that is not Ollama's, if the host has a path of the API's own; or ""."""
    base = exchange.url.removesuffix(exchange.request.path)
    path = "" if base == exchange.url or body.lstrip()[:1] == b"{" else api_path(base)
    return f"; the host ends with {path}, to which functions add theirs: give {base.removesuffix(path)}" if path else ""


# --- no time left ----------------------------------------------------------------------------------------------------


def waits(limits: Timeout) -> dict[str, float | None]:
    """Give the limits of the waits up to the head of an answer, as httpx names them."""
    write = limits.connect if limits.write is ... else limits.write
    pool = limits.connect if limits.pool is ... else limits.pool
    return {"connect": limits.connect, "read": limits.first_part, "write": write, "pool": pool}


def _ran_out(
    exchange: Exchange[Any], exc: httpx.TimeoutException, httpx: ModuleType, parts: Parts[Any] | None
) -> errors.OllamaError:
    """Say which limit ran out, after how long, and what had arrived by then."""
    arrived = _arrived(exchange, parts)
    if exchange.client is not None:
        text = f"the client's own timeout ran out ({type(exc).__name__}); {arrived}"
        return failed(exchange, errors.TimeoutError, text, parts)
    more = "no more of the answer" if parts is None else "no further part"
    limit, seconds, what = _which_limit(exchange, exc, httpx, more)
    if seconds is None:  # there was no limit of ours: the operating system's own, or what a mock made up
        text = f"{what}: {str(exc) or 'the operating system gave the connection up'}; {arrived}"
        return failed(exchange, errors.TimeoutError, text, parts)
    name = "Timeout.pool, Limits.max_connections" if limit == "pool" else f"Timeout.{limit}"
    text = f"{what} within {seconds:g} s ({name}); {arrived}"
    return failed(exchange, errors.TimeoutError, text, parts, limit=limit, after=seconds)


def _which_limit(
    exchange: Exchange[Any], exc: httpx.TimeoutException, httpx: ModuleType, more: str
) -> tuple[str, float | None, str]:
    """Give the name of the limit that ran out, its seconds, and what did not happen in time."""
    limits = exchange.host.timeout
    each = waits(limits)
    if exchange.deadline is not None and perf_counter() >= exchange.deadline - _EARLY:
        return "total", limits.total, "the answer was not whole"
    if isinstance(exc, httpx.ConnectTimeout):
        return "connect", each["connect"], "no connection"
    if isinstance(exc, httpx.PoolTimeout):
        most = exchange.host.limits.max_connections
        return "pool", each["pool"], f"none of the {most} connections became free"
    if isinstance(exc, httpx.WriteTimeout):
        return "write", each["write"], "the server took no more of the request"
    if exchange.response is None:
        return "first_part", each["read"], "no answer"
    return "idle", exchange.idle, more


def _arrived(exchange: Exchange[Any], parts: Parts[Any] | None) -> str:
    count = 0 if parts is None else parts.memory.count
    if count:
        return f"{count} part{'s' if count > 1 else ''} had arrived"
    return "nothing had arrived" if exchange.response is None else "no more than its beginning had arrived"


# --- too much --------------------------------------------------------------------------------------------------------


def _too_large(exc: BaseException) -> tuple[str | None, int | None, str] | None:
    """
    Give of which limit there is too much, its bytes, and words for it; None if *exc* is about something else.

    Where the bound is httpx's own, it is none of our limits.
    """
    found: tuple[str, int] | None = getattr(exc, "too_large", None)
    if found is not None:
        return *found, f"{exc} (Limits.{found[0]})"
    cause: BaseException | None = exc
    while cause is not None:
        if getattr(cause, "error_status_hint", None) == 431:  # so h11 says it, in which httpx's transport reads heads
            what = f"the head or trailer of the response is longer than {_HTTPX_MAX_HEAD} bytes"
            return None, None, f"{what} (the bound of httpx's own transport)"
        cause = cause.__cause__ or cause.__context__
    return None
