"""Where Ollama is and how to reach it, as a value; and what the environment says about it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from types import EllipsisType
from typing import Any, Final, TypedDict, Unpack

from ._retry import Retry
from ._settings import Headers, check_value, credentials, kind_of, pairs, proxy_from, trust
from ._url import Auth, is_loopback, origin, read
from .errors import HostError

OLLAMA_COM: Final = "https://ollama.com:443"

_MOST_SECONDS: Final = 2_147_483
"""What the system's waits take: their milliseconds have 31 bits. It is more than three weeks."""


@dataclass(frozen=True, slots=True)
class Timeout:
    """
    How long to wait, in seconds, at most 2,147,483 (24 days); None waits for ever.

    Args:
        connect: For a connection.

        first_part: For the head of an answer; each redirect has it anew. Ollama sends nothing, not even headers, before
            it has the first part, or all of an answer that is not streamed: before the model is loaded and the prompt
            is read, which can take minutes.

        idle: Between two parts. The default, `...`, is the endpoint's own: 120 for generate and chat, None for pull,
            push and create, which can be silent for minutes.

        total: For all of a request: from its beginning, over redirects and attempts, to the end of its answer. The
            time goes on while a stream's caller does something else. What takes several requests, such as `run_tools`,
            has it for each.

        write: For each piece of a request to be taken; `...` follows *connect*.

        pool: For a free place in the pool; `...` follows *connect*.
    """

    connect: float | None = 10.0
    first_part: float | None = None
    idle: float | EllipsisType | None = ...
    total: float | None = None
    write: float | EllipsisType | None = ...
    pool: float | EllipsisType | None = ...

    def __post_init__(self) -> None:
        for name in ("connect", "first_part", "idle", "total", "write", "pool"):
            seconds = getattr(self, name)
            if seconds is None or (seconds is ... and name in ("idle", "write", "pool")):
                continue
            if isinstance(seconds, bool) or not isinstance(seconds, int | float):
                raise TypeError(f"the timeout {name!r} must be seconds, as a number, or None, not {kind_of(seconds)}")
            if not seconds > 0:
                raise ValueError(f"the timeout {name!r} must be more than 0 seconds, or None for ever, not {seconds!r}")
            if seconds > _MOST_SECONDS:
                raise ValueError(f"the timeout {name!r} must be at most {_MOST_SECONDS} seconds, or None for ever")

    def __repr__(self) -> str:
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return f"Timeout({', '.join(f'{name}={_shown(value)}' for name, value in values)})"

    @classmethod
    def of(cls, timeout: Timeout | float | None) -> Timeout:
        """
        Take a number for each wait, and None for no limit at all.

        A number is no `total`, which must be named: a long answer that keeps coming is not late.
        """
        if isinstance(timeout, Timeout):
            return timeout
        return cls(timeout, timeout, timeout)


def _shown(value: object) -> str:
    return "..." if value is ... else repr(value)  # as it is written, and not as Ellipsis


_LEAST: Final = {
    "max_connections": 1,
    "max_keepalive_connections": 0,
    "max_line_bytes": 1,
    "max_head_bytes": 1,
    "max_body_bytes": 1,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """
    Bounds of a connection pool, and of the answers on its connections; None is no bound.

    Args:
        max_connections: Connections open at a time; a call beyond waits for one.

        max_keepalive_connections: Connections kept open while unused.

        keepalive_expiry: Seconds after which an unused connection is closed.

        max_line_bytes: Of a line, and so of a part of a stream, which itself may be of any length.

        max_head_bytes: Of an answer's head, and of what else there is beside its body. httpx's own transport has a
            bound of its own for these, 100 KiB.

        max_body_bytes: Of an answer that does not stream; of blank bytes in a row in a stream that is compressed.

    Beyond one of the last three is a TooLargeError. Bytes count decoded, if a proxy compressed them. These three are of
    each call: hosts that differ in nothing else share their connections.
    """

    max_connections: int | None = 1000
    max_keepalive_connections: int | None = 20
    keepalive_expiry: float | None = 5.0
    max_line_bytes: int | None = 64 * 1024 * 1024
    max_head_bytes: int | None = 256 * 1024
    max_body_bytes: int | None = 1024 * 1024 * 1024

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            most = getattr(self, name)
            if most is None:
                continue
            of = "bytes" if name.endswith("_bytes") else "connections"
            if isinstance(most, bool) or not isinstance(most, int):
                raise TypeError(f"the limit {name!r} must be a number of {of}, as an int, or None, not {kind_of(most)}")
            if most < least:
                raise ValueError(f"the limit {name!r} must be {least} or more {of}, or None for no limit, not {most!r}")
            if most > sys.maxsize:
                raise ValueError(f"the limit {name!r} must be at most {sys.maxsize} {of}, or None for no limit")
        expiry = self.keepalive_expiry
        if expiry is None:
            return
        if isinstance(expiry, bool) or not isinstance(expiry, int | float):
            raise TypeError(
                f"the limit 'keepalive_expiry' must be seconds, as a number, or None, not {kind_of(expiry)}"
            )
        if not 0 <= expiry <= _MOST_SECONDS:
            raise ValueError(f"the limit 'keepalive_expiry' must be 0 to {_MOST_SECONDS} seconds, or None for ever")


class HostOptions(TypedDict, total=False):
    """What `Host.with_options` changes."""

    url: str
    headers: Headers
    auth: Auth | None
    timeout: Timeout | float | None
    retry: Retry | int | None
    verify: bool | str | os.PathLike[str]
    proxy: str | None
    limits: Limits


DEFAULT_TIMEOUT: Final = Timeout()
DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True, init=False)
class Host:
    """
    Where Ollama is and how to reach it.

    Args:
        url: Such as "localhost", "10.0.0.5:11434" or "https://example.com/ollama", read by the rules of OLLAMA_HOST.
            User and password in it become `auth`. Without it, Ollama's default is meant, http://127.0.0.1:11434, and
            not OLLAMA_HOST: settings for that are `Host.from_env().with_options(timeout=30)`.

        headers: Sent with every request; a mapping or pairs.

        auth: A str is sent as bearer token, a pair as user name and password.

        timeout: A Timeout; a number of seconds for each of its waits; or None for no limit.

        retry: A Retry, or how often to try in all; None tries once. It needs the extra `retry`.

        verify: Whether TLS certificates are checked, or the path of a file or folder with those to trust.

        proxy: URL of a proxy. Without one the environment's proxies are used, but never for a loopback host.

        limits: Bounds of the connection pool, and of the size of answers.

    What httpx takes beyond this, an `ssl.SSLContext` as *verify*, an `httpx.URL` or `httpx.Proxy` as *proxy*, is taken
    as it is, though no type hint says so.

    Raises HostError if *url* cannot be understood, and TypeError or ValueError for another setting.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    auth: Auth | None = field(repr=False)
    timeout: Timeout
    retry: Retry | None
    verify: bool | str
    proxy: str | None = field(repr=False)
    limits: Limits

    def __init__(
        self,
        url: str = "",
        headers: Headers = (),
        auth: Auth | None = None,
        timeout: Timeout | float | None = DEFAULT_TIMEOUT,
        retry: Retry | int | None = None,
        verify: bool | str | os.PathLike[str] = True,
        proxy: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        place, written = read(url, "given as host")
        if not isinstance(limits, Limits):
            raise TypeError(f"limits must be an ollama_fast.Limits, not {kind_of(limits)}")
        settle = object.__setattr__  # the way of frozen dataclasses to fill themselves
        settle(self, "url", place)
        settle(self, "headers", pairs(headers))
        settle(self, "auth", credentials(written if auth is None else auth))
        settle(self, "timeout", Timeout.of(timeout))
        settle(self, "retry", Retry.of(retry))
        settle(self, "verify", trust(verify))
        settle(self, "proxy", proxy_from(proxy))
        settle(self, "limits", limits)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Host:
        """Read OLLAMA_HOST from *environ* (by default the process's)."""
        text = (os.environ if environ is None else environ).get("OLLAMA_HOST", "")
        return _from_env(text)

    @classmethod
    def of(cls, host: Host | str | None) -> Host:
        """Take a Host as it is, a str as its URL, and None for the environment's."""
        if isinstance(host, Host):
            return host
        if host is None:
            return cls.from_env()
        if not isinstance(host, str):
            raise TypeError(f"a host must be a Host, a str or None, not {kind_of(host)}")
        return _from_text(host)

    def with_options(self, **changes: Unpack[HostOptions]) -> Host:
        """
        Give this host with some settings changed, such as `host.with_options(timeout=30)`.

        A number is the limit of each wait, and so also of that for an answer that is not streamed. Headers and
        credentials go along with a new URL, unless that has credentials of its own.
        """
        if "url" in changes and "auth" not in changes:
            changes["auth"] = read(changes["url"], "given as host")[1] or self.auth
        return replace(self, **changes)  # type: ignore[arg-type]  # __init__ takes more than the fields hold


def limited(host: Any, seconds: float) -> Any:
    """Give *host* with *seconds* for all of a request, unless it allows less; a caller's own client as it is."""
    if not isinstance(host, Host | str | None):
        return host
    known = Host.of(host)
    total = known.timeout.total
    return known.with_options(timeout=replace(known.timeout, total=seconds if total is None else min(total, seconds)))


def check(host: object, wanted: str, module: str, other: str) -> None:
    """
    Raise TypeError or HostError if *host* is neither one, nor a client of httpx.

    Args:
        host: What a caller gave.

        wanted: The class of httpx's client that *module* takes.

        module: The public module.

        other: What to call with a client of the other colour.
    """
    if isinstance(host, Host | str | None):
        Host.of(host)
        return
    import httpx

    if isinstance(host, getattr(httpx, wanted)):
        return
    if isinstance(host, httpx.Client | httpx.AsyncClient):
        raise TypeError(f"{module} takes an httpx.{wanted}; for an httpx.{type(host).__name__} call {other}")
    raise TypeError(f"host must be a Host, a str, an httpx.{wanted} or None, not {kind_of(host)}")


@lru_cache(maxsize=256)
def _from_text(text: str) -> Host:
    try:
        return Host(text)
    except HostError as exc:
        if "://" in text:
            raise
        hint = "the first argument of a function is the host, not the model; None is the environment's"
        raise HostError(f"{exc} ({hint})") from exc.__cause__


@lru_cache(maxsize=16)
def _from_env(text: str) -> Host:
    url, auth = read(text, "read from the environment variable OLLAMA_HOST")
    return Host(url, auth=auth)


def api_key(url: str, environ: Mapping[str, str]) -> tuple[str | None, bool]:
    """
    Give the OLLAMA_API_KEY to send to *url*, and whether there is one that is withheld from it.

    A key is a secret between its owner and ollama.com. It goes there, to this machine, and to the host that the same
    environment names; any other host has to be given its credentials by name.
    """
    key = environ.get("OLLAMA_API_KEY", "").strip()
    if not key:
        return None, False
    if origin(url) == OLLAMA_COM or is_loopback(url) or _names(environ, origin(url)):
        check_value(key, "the environment variable OLLAMA_API_KEY")
        return key, False
    return None, True


def _names(environ: Mapping[str, str], wanted: str) -> bool:
    try:
        return bool(environ.get("OLLAMA_HOST")) and origin(Host.from_env(environ).url) == wanted
    except HostError:
        return False
