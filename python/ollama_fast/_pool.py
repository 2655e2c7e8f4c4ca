"""What pools are known by, and how transports are made for them: the same for both colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ._url import is_loopback, origin
from .errors import HostError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._host import Host

C = TypeVar("C")

Bounds: TypeAlias = tuple[int | None, int | None, float | None]
"""How many connections there may be, how many of them unused, and for how many seconds."""


@dataclass(frozen=True, slots=True)
class PoolKey:
    """What makes a connection; not headers, credentials, timeouts and sizes of answers: hosts may differ in them."""

    origin: str
    verify: bool | str
    proxy: str | None
    bounds: Bounds

    @classmethod
    def of(cls, host: Host) -> PoolKey:
        """Give the key for *host* itself."""
        return cls.to(host, host.url)

    @classmethod
    def to(cls, host: Host, url: str) -> PoolKey:
        """Give the key for *url* (the host's own, or where it sent us) with the host's settings."""
        limits = host.limits
        kept = limits.max_connections, limits.max_keepalive_connections, limits.keepalive_expiry
        return cls(origin(url), host.verify, host.proxy, kept)

    def make(self, kind: Callable[..., C]) -> C:
        """
        Make a transport of *kind*.

        Raises HostError if a proxy, of the host or of the environment, or the certificates cannot be used.
        """
        import httpx

        from ._routes import way_to

        try:
            way = way_to(self.origin, self.proxy)
            made = kind(**self._options())
        except HostError:
            raise
        except (ValueError, ImportError, OSError, httpx.InvalidURL) as exc:
            # A proxy of an unknown kind, no support for SOCKS, no certificates, a proxy that is no URL.
            raise HostError(f"no connection to {self.origin} can be made with these settings: {exc}") from exc
        if way is not None and way.lacks_socks:
            # httpx would say so, too, but at each request, and by an ImportError.
            raise HostError(
                f"no connection to {self.origin} can be made: {way}, {way.url}, needs the package socksio, which is not"
                " installed: pip install 'httpx[socks]'"
            )
        return made

    def _options(self) -> dict[str, Any]:
        import httpx

        from ._certificates import trusting, trusting_nobody

        return {
            "verify": trusting(self.verify) if self.origin.startswith("https:") else trusting_nobody(),
            "proxy": self.proxy,
            # Environment proxies are for other machines: one that is asked for 127.0.0.1 reaches itself.
            "trust_env": not is_loopback(self.origin),
            "limits": httpx.Limits(
                max_connections=self.bounds[0],
                max_keepalive_connections=self.bounds[1],
                keepalive_expiry=self.bounds[2],
            ),
        }
