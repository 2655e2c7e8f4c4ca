"""Where Ollama is and how to reach it, as a value; and what the environment says about it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import EllipsisType
from typing import Any, Final, TypeAlias, TypedDict, Unpack

from .errors import HostError

DEFAULT_PORT: Final = 11434
OLLAMA_COM: Final = "https://ollama.com:443"

Auth: TypeAlias = str | tuple[str, str]
"""A str is a bearer token, a pair is a user name and a password."""

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]

# Text, not compiled: most programs use few of them, and compiling takes longer than importing this module.
_NAME = r"[a-z0-9._-]+"
_HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_FORBIDDEN_IN_HEADERS = r"[\r\n\0]"


@dataclass(frozen=True, slots=True)
class Timeout:
    """
    How long to wait, in seconds; None waits for ever.

    Args:
        connect: For a connection, for a free place in the pool, and for each piece of a request to be taken.

        first_part: For the first part of an answer, and so for a whole answer that is not streamed. Ollama sends
            nothing, not even headers, before the model is loaded and the prompt is read, which can take minutes.

        idle: Between two parts. The default, `...`, is the endpoint's own: 120 for generate and chat, None for pull,
            push and create, which can be silent for minutes.
    """

    connect: float | None = 10.0
    first_part: float | None = None
    idle: float | EllipsisType | None = ...

    def __post_init__(self) -> None:
        for name in ("connect", "first_part", "idle"):
            seconds = getattr(self, name)
            if seconds is None or (seconds is ... and name == "idle"):
                continue
            if isinstance(seconds, bool) or not isinstance(seconds, int | float):
                raise TypeError(f"the timeout {name!r} must be seconds, as a number, or None, not {seconds!r}")
            if not seconds > 0:
                raise ValueError(f"the timeout {name!r} must be more than 0 seconds, not {seconds!r}")

    @classmethod
    def of(cls, timeout: Timeout | float | None) -> Timeout:
        """Take a number for every limit, and None for no limit at all."""
        if isinstance(timeout, Timeout):
            return timeout
        return cls(timeout, timeout, timeout)


@dataclass(frozen=True, slots=True)
class Limits:
    """
    Bounds of a connection pool.

    Args:
        max_connections: Connections open at a time; a call beyond waits for one.

        max_keepalive_connections: Connections kept open while unused.

        keepalive_expiry: Seconds after which an unused connection is closed.
    """

    max_connections: int | None = 1000
    max_keepalive_connections: int | None = 20
    keepalive_expiry: float | None = 5.0


class HostOptions(TypedDict, total=False):
    """What `Host.with_options` changes."""

    url: str
    headers: Headers
    auth: Auth | None
    timeout: Timeout | float | None
    verify: bool | str
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
            User and password in it become `auth`.

        headers: Sent with every request; a mapping or pairs.

        auth: A str is sent as bearer token, a pair as user name and password.

        timeout: A Timeout; a number of seconds for each of its limits; or None for no limit.

        verify: Whether TLS certificates are checked, or the path of a file with those to trust.

        proxy: URL of a proxy. Without one the environment's proxies are used, but never for a loopback host.

        limits: Bounds of the connection pool.

    Raises HostError if *url* cannot be understood.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    auth: Auth | None = field(repr=False)
    timeout: Timeout
    verify: bool | str
    proxy: str | None = field(repr=False)
    limits: Limits

    def __init__(
        self,
        url: str = "",
        headers: Headers = (),
        auth: Auth | None = None,
        timeout: Timeout | float | None = DEFAULT_TIMEOUT,
        verify: bool | str = True,
        proxy: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        place, credentials = read(url, "given as host")
        settle = object.__setattr__  # the way of frozen dataclasses to fill themselves
        settle(self, "url", place)
        settle(self, "headers", _pairs(headers))
        settle(self, "auth", _check_auth(credentials if auth is None else auth))
        settle(self, "timeout", Timeout.of(timeout))
        settle(self, "verify", verify)
        settle(self, "proxy", proxy)
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
        return _from_text(host)

    def with_options(self, **changes: Unpack[HostOptions]) -> Host:
        """
        Give this host with some settings changed, such as `host.with_options(timeout=30)`.

        A number is each of the limits, and so also the time for a whole answer that is not streamed.
        """
        return replace(self, **changes)  # type: ignore[arg-type]  # __init__ takes more than the fields hold


@lru_cache(maxsize=256)
def _from_text(text: str) -> Host:
    return Host(text)


@lru_cache(maxsize=16)
def _from_env(text: str) -> Host:
    url, auth = read(text, "read from the environment variable OLLAMA_HOST")
    return Host(url, auth=auth)


def _pairs(headers: Headers) -> tuple[tuple[str, str], ...]:
    found: Any = headers.items() if isinstance(headers, Mapping) else headers
    pairs: tuple[tuple[str, str], ...] = tuple((name, value) for name, value in found)
    for name, value in pairs:
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"the header {name!r} and its value must be str")
        if re.fullmatch(_HEADER_NAME, name) is None:
            raise ValueError(f"{name!r} is not the name of a header")
        if name.lower() in ("content-length", "transfer-encoding"):
            raise ValueError(f"the header {name!r} follows from each request's body")
        _check_value(value, f"the header {name!r}")
    return pairs


def _check_auth(auth: Auth | None) -> Auth | None:
    if isinstance(auth, str):
        _check_value(auth, "auth")
    elif auth is not None and not (isinstance(auth, tuple) and [type(text) for text in auth] == [str, str]):
        raise TypeError("auth must be a bearer token, as a str, or a pair of user name and password")
    return auth


def _check_value(value: str, what: str) -> None:
    # The value may be a secret, so it is not shown.
    if re.search(_FORBIDDEN_IN_HEADERS, value) or not value.isascii():
        raise ValueError(f"{what} holds a line break, a NUL or a character that is not ASCII")


# --- reading a host --------------------------------------------------------------------------------------------------


def read(text: str, source: str) -> tuple[str, Auth | None]:
    """
    Turn what people write for a host into `scheme://address:port[/path]` and credentials.

    The rules are those of Ollama's own client, except where it goes on with something that nobody can have meant: a
    port out of range, a scheme that is not HTTP, a query. Addresses that only a server can use, such as 0.0.0.0,
    become the loopback address.
    """
    from urllib.parse import quote, unquote

    def refuse(why: str) -> HostError:
        shown = re.sub(r"(://|^).*@", r"\1...@", text, count=1, flags=re.DOTALL)  # credentials belong in no message
        return HostError(f"{shown!r}, {source}, is not a host: {why}")

    trimmed = text.strip().strip("\"'").strip()
    scheme, has_scheme, rest = trimmed.partition("://")
    if has_scheme:
        scheme = scheme.lower()
        if scheme not in ("http", "https"):
            raise refuse(f"the scheme {scheme!r} is neither http nor https")
        default_port = 443 if scheme == "https" else 80
    else:
        scheme, rest, default_port = "http", trimmed, DEFAULT_PORT
        if re.match(r"https?:/", trimmed, re.IGNORECASE):
            raise refuse("a scheme is followed by two slashes")
    if "?" in rest or "#" in rest:
        raise refuse("a host has no query and no fragment")

    place, _, path = rest.partition("/")
    userinfo, _, place = place.rpartition("@")
    address, port_text = _split_port(place, refuse)
    if not has_scheme and address.lower() == "ollama.com" and not port_text:
        scheme, default_port = "https", 443
    if re.fullmatch(r"[0-9]*", port_text) is None or not 0 < int(port_text or default_port) < 65536:
        raise refuse(f"the port {port_text!r} is not a number from 1 to 65535")

    url = f"{scheme}://{_address(address, refuse)}:{int(port_text or default_port)}"
    segments = "/".join(segment for segment in path.split("/") if segment)
    if segments:
        url += "/" + quote(segments, safe="/%:@!$&'()*+,;=~")
    user, _, password = userinfo.partition(":")
    return url, (unquote(user), unquote(password)) if userinfo else None


def _split_port(place: str, refuse: Callable[[str], HostError]) -> tuple[str, str]:
    if place.startswith("["):
        address, bracket, rest = place[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise refuse("the brackets of an IPv6 address do not match")
        return f"[{address}]", rest[1:]
    if place.count(":") > 1:  # an IPv6 address without brackets has no port
        return f"[{place}]", ""
    address, _, port = place.partition(":")
    return address, port


def _address(address: str, refuse: Callable[[str], HostError]) -> str:
    if address.startswith("["):
        import ipaddress
        from urllib.parse import quote

        literal, _, zone = address[1:-1].partition("%")
        try:
            number = ipaddress.IPv6Address(literal)
        except ValueError as exc:
            raise refuse(f"{literal!r} is not an IPv6 address") from exc
        compressed = "::1" if number.is_unspecified else number.compressed
        zone = zone.removeprefix("25")
        return f"[{compressed}%25{quote(zone)}]" if zone else f"[{compressed}]"
    if address in ("", "0.0.0.0"):  # noqa: S104 - what a server binds, never what a client reaches
        return "127.0.0.1"
    name = address.lower()
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError as exc:
            raise refuse(f"{address!r} is not a domain name") from exc
    if re.fullmatch(_NAME, name) is None:
        raise refuse(f"{address!r} is neither a name nor an address")
    return name


# --- what follows from a URL -----------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def origin(url: str) -> str:
    """Give the `scheme://address:port` of a URL, with the port that people leave out."""
    scheme, _, rest = url.lower().partition("://")
    place = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    if not re.search(r":[0-9]+$", place):
        place = f"{place.removesuffix(':')}:{443 if scheme == 'https' else 80}"
    return f"{scheme}://{place}"


@lru_cache(maxsize=256)
def is_loopback(url: str) -> bool:
    """Whether a URL names this machine."""
    name = origin(url).partition("://")[2].rpartition(":")[0]
    if name == "localhost" or name.endswith(".localhost"):
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(name.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False


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
        _check_value(key, "the environment variable OLLAMA_API_KEY")
        return key, False
    return None, True


def _names(environ: Mapping[str, str], wanted: str) -> bool:
    try:
        return bool(environ.get("OLLAMA_HOST")) and origin(Host.from_env(environ).url) == wanted
    except HostError:
        return False
