"""
The short way for a request: past httpx's client, where that would do nothing with it but send it, into the transport.

What httpx's client does for every request takes as long as all the rest. Whatever a caller or a tool has put into its
way (hooks, credentials, cookies, another transport, a patch, a log) is served: the request goes the whole way then.
"""

# ruff: noqa: SLF001 - tests put transports into httpx's clients, where only private attributes show them

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import httpx

from ollama_fast._delegation import methods_patched, patched
from ollama_fast._request import encode

_log = logging.getLogger("httpx")
_WHOLE = frozenset({httpx.Client, httpx.AsyncClient})
PLAIN = frozenset({httpx.HTTPTransport, httpx.AsyncHTTPTransport})
"""Transports of a caller's that look at nothing but the request, like this package's."""

_METHODS = frozenset({"request", "stream", "build_request", "send"})
"""What a test may replace in one client."""


class _Made(NamedTuple):
    """Requests that a client made, by method and URL, while its own URL and headers were these."""

    url: httpx.URL | None
    headers: list[tuple[bytes, bytes]]
    requests: dict[tuple[str, str], httpx.Request]


class Direct:
    """
    The short way of one client.

    Args:
        client: A client of httpx.

        transport: That the client was made with.
    """

    __slots__ = ("_client", "_made", "transport")

    def __init__(self, client: Any, transport: Any) -> None:
        self._client = client
        self.transport = transport
        self._made = _Made(None, [], {})

    def request(self, client: Any, args: tuple[Any, ...], options: dict[str, Any]) -> httpx.Request | None:
        """Give the request to be sent by the transport itself, or None if it shall go the whole way by *client*."""
        if client is not self._client or len(args) != 2 or not self._is_idle():
            return None
        fields: Any = options.get("json")
        if not (options.keys() <= {"json"} and (fields is None or type(fields) is dict)):
            return None
        template = self._template(*args)
        extensions: dict[str, Any] = {"timeout": client.timeout.as_dict()}
        if fields is None:
            return httpx.Request(
                template.method, template.url, headers=template.headers, stream=template.stream, extensions=extensions
            )
        try:
            content = encode(fields, args[1])
        except TypeError:  # httpx can encode more, or says what is wrong
            return None
        # The stream itself, since httpx finds nothing to add to it, and looks for as long as the rest takes.
        stream = httpx.ByteStream(content)
        made = httpx.Request(
            template.method, template.url, headers=template.headers, stream=stream, extensions=extensions
        )
        made.headers["Content-Length"] = str(len(content))
        made.read()  # so that `content` is there for who looks at it
        return made

    def _is_idle(self) -> bool:
        """Whether the client would do nothing with a request but send it."""
        client = self._client
        return not (
            type(client) not in _WHOLE
            or patched()
            or methods_patched()
            or not _METHODS.isdisjoint(vars(client))
            or not hasattr(client, "_build_redirect_request")
            or client.is_closed
            or getattr(client, "_transport", None) is not self.transport
            or getattr(client, "_mounts", None)
            or client.auth is not None
            or any(client.event_hooks.values())
            or any(True for _ in client.cookies.jar)
            or client.params
            or _log.isEnabledFor(logging.INFO)
        )

    def _template(self, method: str, url: str) -> httpx.Request:
        client, made = self._client, self._made
        headers = client.headers.raw
        if client.base_url is not made.url or headers != made.headers:
            made = self._made = _Made(client.base_url, headers, {})
        found = made.requests.get((method, url))
        if found is None:
            kind = {"Content-Type": "application/json"} if method != "GET" else None
            found = made.requests[method, url] = client.build_request(method, url, headers=kind)
        return found

    def follow(self, request: httpx.Request, response: httpx.Response) -> httpx.Request | None:
        """Keep the cookies of *response*, and give the request that it redirects to, if it does."""
        client, response.request = self._client, request
        if "set-cookie" in response.headers:
            client.cookies.extract_cookies(response)
        if not (300 <= response.status_code < 400 and client.follow_redirects and response.has_redirect_location):
            return None
        following: httpx.Request = client._build_redirect_request(request, response)
        return following
