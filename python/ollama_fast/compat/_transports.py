"""Which transports a client gets: this package's, with the settings of the client's own arguments."""

from __future__ import annotations

from typing import Any
from urllib.request import getproxies

import httpx

from ollama_fast._transport import Transport
from ollama_fast._url import is_loopback, origin


def transports(client: type[Any], url: str, options: dict[str, Any], mounts: Any, *, trust_env: bool) -> dict[str, Any]:
    """
    Give the arguments `transport` and `mounts` for a *client* of the host at *url*.

    Proxies of the environment are for other machines: one that is asked for 127.0.0.1 reaches itself. They are used for
    what the client asks of another host, ollama.com for one.
    """
    kind: Any = Transport
    if issubclass(client, httpx.AsyncClient):
        from ollama_fast._async_transport import AsyncTransport

        kind = AsyncTransport
    with_proxies = trust_env and options.get("proxy") is None and mounts is None and is_loopback(url) and getproxies()
    if not with_proxies:
        return {"transport": kind(trust_env=trust_env, **options)}
    direct = kind(trust_env=False, **options)
    try:
        others = kind(trust_env=True, **options)
    except (ValueError, httpx.InvalidURL):  # a proxy that is none keeps nobody from this machine
        return {"transport": direct}
    return {"transport": others, "mounts": {f"all://{httpx.URL(origin(url)).netloc.decode()}": direct}}
