"""Which proxy serves a URL, by the rules of httpx's clients, which apply them only to transports that they make."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ._url import checked_place, is_loopback, shown
from .errors import HostError

if TYPE_CHECKING:
    import httpx

Proxy: TypeAlias = "str | httpx.URL | httpx.Proxy"


@dataclass(frozen=True, slots=True)
class Routes:
    """
    Which proxy serves a URL, by the rules of httpx's clients, which use them only for transports that they make.

    Args:
        rules: The first pattern that a URL matches counts; without any, no request has a proxy.
    """

    rules: tuple[tuple[_Pattern, Proxy | None], ...] = ()

    @classmethod
    def of(cls, proxy: Proxy | None, *, trust_env: bool) -> Routes:
        """
        Take *proxy* for every URL, or else, with *trust_env*, read what the environment says now.

        Raises ValueError or httpx.InvalidURL if a proxy or an exception in NO_PROXY cannot be understood.
        """
        if proxy is not None:
            _check(proxy)
            return cls(((_Pattern(), proxy),))
        found = _from_environment() if trust_env else {}
        for each in found.values():
            if each is not None:
                _check(each)
        rules = [(_Pattern.of(text), each) for text, each in found.items()]
        return cls(tuple(sorted(rules, key=lambda rule: rule[0].rank)))

    def proxy_for(self, url: httpx.URL | str) -> Proxy | None:
        """Give the proxy for *url*, None if it is reached directly."""
        if not self.rules:
            return None
        import httpx

        target = httpx.URL(url)
        return next((proxy for pattern, proxy in self.rules if pattern.matches(target)), None)


class Way(NamedTuple):
    """
    A proxy that a host's requests pass.

    Args:
        url: Of the proxy, without credentials.

        given_by: Who named it: "the host", or the name of an environment variable.
    """

    url: str
    given_by: str

    @property
    def lacks_socks(self) -> bool:
        """Whether it speaks SOCKS, and the package that httpx needs for that is missing."""
        from importlib.util import find_spec

        return self.url.startswith("socks") and find_spec("socksio") is None

    def __str__(self) -> str:
        return "the host's proxy" if self.given_by == "the host" else f"the proxy of {self.given_by}"


def way_to(url: str, proxy: str | None) -> Way | None:
    """
    Give the proxy that requests of a Host to *url* pass, None if they pass none.

    Args:
        url: Where to.

        proxy: The host's own proxy. The environment's are for other machines: one that is asked for 127.0.0.1 reaches
            itself.

    Raises ValueError or httpx.InvalidURL as `Routes.of` does.
    """
    import httpx

    found = Routes.of(proxy, trust_env=not is_loopback(url)).proxy_for(url)
    if found is None:
        return None
    place = found.url if isinstance(found, httpx.Proxy) else httpx.URL(found)
    public = str(place.copy_with(userinfo=b"", query=None, fragment=None))
    return Way(public, "the host" if proxy is not None else _variable(place.scheme, url.partition(":")[0]))


def _variable(scheme_of_proxy: str, scheme: str) -> str:
    """Name the environment variable that names the proxy for URLs of *scheme*."""
    # As urllib reads them: small letters first, and what is for one scheme before what is for all.
    for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY"):
        if os.environ.get(name):
            return name
    return f"the system's settings for {scheme_of_proxy}"


def _check(proxy: Proxy) -> None:
    import httpx

    if isinstance(proxy, httpx.Proxy):
        return
    try:
        url = httpx.Proxy(proxy).url
        checked_place(url.netloc.decode("ascii"))
    except (ValueError, httpx.InvalidURL):
        if "@" not in str(proxy):
            raise
    else:
        if "@" not in url.path:  # else it may be the end of a password
            return
    # Not from httpx's error, whose words may be a part of the password.
    raise HostError(
        f"the proxy {shown(str(proxy))!r} cannot be used: is it a URL as http://user:password@proxy:3128, and "
        "what is special in a user name or password percent-encoded?"
    )


def _from_environment() -> dict[str, str | None]:
    """Give proxies and exceptions (None) by the pattern of the URLs that they are for."""
    from urllib.request import getproxies

    said = getproxies()
    found: dict[str, str | None] = {}
    for scheme in ("http", "https", "all"):
        if place := said.get(scheme):
            found[f"{scheme}://"] = place if "://" in place else f"http://{place}"
    exceptions = [name.strip() for name in said.get("no", "").split(",")]
    if "*" in exceptions:
        return {}
    return found | {_exception(name): None for name in exceptions if name}


def _exception(name: str) -> str:
    """Give the pattern of an entry of NO_PROXY."""
    if "://" in name:
        return name
    if name.lower() == "localhost":
        return f"all://{name}"
    import ipaddress

    try:
        # Of a network only its address counts, as in httpx.
        address = ipaddress.ip_address(name.partition("/")[0])
    except ValueError:
        return f"all://*{name}"
    return f"all://{name}" if address.version == 4 else f"all://[{name}]"


@dataclass(frozen=True, slots=True)
class _Pattern:
    scheme: str = ""
    host: str = ""
    port: int | None = None

    @classmethod
    def of(cls, text: str) -> _Pattern:
        """Read a URL whose scheme may be "all" and whose host may begin with "*"."""
        import httpx

        url = httpx.URL(text)
        return cls("" if url.scheme == "all" else url.scheme, "" if url.host == "*" else url.host, url.port)

    @property
    def rank(self) -> tuple[bool, int, int]:
        """Where it stands among others: first those with a port, then by the length of the host and the scheme."""
        return self.port is None, -len(self.host), -len(self.scheme)

    def matches(self, url: httpx.URL) -> bool:
        """Whether it is for *url*."""
        return (
            (not self.scheme or self.scheme == url.scheme)
            and (not self.host or self._names(url.host))
            and (self.port is None or self.port == url.port)
        )

    def _names(self, host: str) -> bool:
        if self.host.startswith("*."):
            return host.endswith(self.host[1:]) and len(host) >= len(self.host)
        if self.host.startswith("*"):
            return host == self.host[1:] or (host.endswith(f".{self.host[1:]}") and len(host) > len(self.host))
        return host == self.host
