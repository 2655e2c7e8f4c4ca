"""What makes a connection, and how transports are made for it: the same for both colours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ._host import Host, Limits
from ._url import is_loopback, origin
from .errors import HostError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Connection:
    """Hosts with equal ones share a pool, whatever their headers, credentials and timeouts are."""

    origin: str
    verify: bool | str
    proxy: str | None
    limits: Limits

    @classmethod
    def to(cls, host: Host, url: str) -> Connection:
        """Give what makes a connection to *url* (the host's own, or where it sent us) with the host's settings."""
        return cls(origin(url), host.verify, host.proxy, host.limits)

    def make(self, kind: Callable[..., C]) -> C:
        """
        Make a transport of *kind*.

        Raises HostError if a proxy, of the host or of the environment, or the certificates cannot be used.
        """
        import httpx

        try:
            return kind(**self._options())
        except HostError:
            raise
        except (ValueError, ImportError, OSError, httpx.InvalidURL) as exc:
            # A proxy of an unknown kind, no support for SOCKS, no certificates, a proxy that is no URL.
            raise HostError(f"no connection to {self.origin} can be made with these settings: {exc}") from exc

    def _options(self) -> dict[str, Any]:
        import httpx

        return {
            "verify": _certificates(self.verify) if self.origin.startswith("https:") else _trust_nobody(),
            "proxy": self.proxy,
            # Environment proxies are for other machines: one that is asked for 127.0.0.1 reaches itself.
            "trust_env": not is_loopback(self.origin),
            "limits": httpx.Limits(
                max_connections=self.limits.max_connections,
                max_keepalive_connections=self.limits.max_keepalive_connections,
                keepalive_expiry=self.limits.keepalive_expiry,
            ),
        }


@lru_cache(maxsize=16)
def _certificates(verify: bool | str) -> ssl.SSLContext:
    # Shared, because loading the certificates takes 20 ms.
    import ssl

    import httpx

    if isinstance(verify, str):
        folder = Path(verify).is_dir()
        return ssl.create_default_context(capath=verify if folder else None, cafile=None if folder else verify)
    return httpx.create_ssl_context(verify=verify)


@lru_cache(maxsize=1)
def _trust_nobody() -> ssl.SSLContext:
    # Plain http needs no certificates; if TLS were spoken through such a pool all the same, it would fail, not succeed.
    import ssl

    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
