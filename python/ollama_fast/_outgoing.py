"""What a request to a host carries besides its body: where it goes, its headers, and whose credentials."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from . import _core
from ._host import Host, api_key
from ._url import origin
from ._zones import without_zone

if TYPE_CHECKING:
    import httpx

    from ._request import Request


def client_url(client: Any, request: Request[Any]) -> str:
    if request.origin is not None:
        return request.origin + request.path
    if not str(client.base_url):
        raise ValueError("the httpx client has no base_url, so it is not known where Ollama is")
    base = client.base_url.copy_with(userinfo=b"")  # credentials belong in no message
    return str(base).rstrip("/") + request.path


def credentials_for(host: Host, base: str) -> tuple[str | None, bool]:
    """Give the value of an Authorization header, and whether OLLAMA_API_KEY is withheld."""
    own = origin(base) == origin(host.url)
    if own and any(name.lower() == "authorization" for name, _ in host.headers):
        return None, False
    if own and host.auth is not None:
        if isinstance(host.auth, str):
            return f"Bearer {host.auth}", False
        name, password = host.auth
        basic = _core.encode_base64(f"{name}:{password}".encode())
        return f"Basic {basic}", False
    key, withheld = api_key(base, os.environ)
    return (None if key is None else f"Bearer {key}"), withheld


@lru_cache(maxsize=64)
def parsed(url: str) -> httpx.URL:
    import httpx

    return httpx.URL(url)


@lru_cache(maxsize=64)
def common_headers(
    place: bytes, authorization: str | None, given: tuple[tuple[str, str], ...], kind: str | None, *, stream: bool
) -> httpx.Headers:
    """Give the headers that the requests of a host have in common; whoever gets them copies them."""
    import httpx

    headers = httpx.Headers(
        {
            "Host": without_zone(place.decode("ascii")),  # RFC 6874, 4: to the server it means nothing
            "Accept": "application/x-ndjson" if stream else "application/json",
            "Accept-Encoding": "identity",  # a chunk that waits for its compressor is late
            "User-Agent": _user_agent(),
        }
    )
    if kind is not None:
        headers["Content-Type"] = kind
    if authorization is not None:
        headers["Authorization"] = authorization
    headers.update(list(given))
    return headers


def content_headers(request: Request[Any]) -> dict[str, str]:
    if request.upload is not None:
        return {"Content-Type": "application/octet-stream", "Content-Length": str(request.upload.size)}
    return {} if request.body is None else {"Content-Type": "application/json"}


@lru_cache(maxsize=1)
def _user_agent() -> str:
    machine = os.uname().machine if hasattr(os, "uname") else "unknown"
    python = ".".join(map(str, sys.version_info[:3]))
    return f"ollama-fast/{_core.__version__} ({machine} {sys.platform}) Python/{python}"
