"""
The short way for a request: past httpx's client, where that would do nothing with it but send it, into the transport.

What httpx's client does for every request takes as long as all the rest. Whatever a caller or a tool has put into its
way (hooks, credentials, cookies, another transport, a patch, a log) is served: the request goes the whole way then.
"""

# ruff: noqa: SLF001 - what httpx's clients would do with a request only private attributes tell

from __future__ import annotations

import json
import logging
from typing import Any, Final, NamedTuple

import httpx

from ollama_fast._body import encode
from ollama_fast._delegation import methods_patched, patched
from ollama_fast._response import has_header
from ollama_fast._transport import Transport

_log = logging.getLogger("httpx")

_PRIVATE: Final = ("_transport_for_url", "_build_redirect_request", "_send_handling_redirects")
_KNOWN: Final = all(hasattr(kind, name) for kind in (httpx.Client, httpx.AsyncClient) for name in _PRIVATE)
"""Whether httpx's clients are made as they are known here; if not, there is no short way."""

_METHODS: Final = frozenset(dir(httpx.Client)) | frozenset(dir(httpx.AsyncClient))
"""What a test may replace in one client."""

_MOST: Final = 64
"""How many requests are remembered of a client."""


class Route(NamedTuple):
    """A request and the transport that sends it."""

    transport: Any
    request: httpx.Request


class _Made(NamedTuple):
    """Requests that a client made, by method and URL, while its own URL and headers were these."""

    url: httpx.URL
    headers: list[tuple[bytes, bytes]]
    requests: dict[tuple[str, str], httpx.Request]


class Direct:
    """The short way of one of httpx's clients."""

    __slots__ = ("_client", "_made", "_transports")

    def __init__(self, client: Any) -> None:
        self._client = client
        self._made = _Made(httpx.URL(), [], {})
        self._transports: frozenset[type] = frozenset()
        """Those that look at nothing but the request."""
        if _KNOWN and type(client) is httpx.Client:
            self._transports = frozenset({Transport, httpx.HTTPTransport})
        elif _KNOWN and type(client) is httpx.AsyncClient:
            from ollama_fast._async_transport import AsyncTransport

            self._transports = frozenset({AsyncTransport, httpx.AsyncHTTPTransport})

    def route(self, client: Any, words: tuple[Any, ...], named: dict[str, Any]) -> Route | None:
        """
        Give the short way for a request of *client*; None if it shall go the whole way.

        Args:
            client: The client to ask, which somebody may have put in the place of that which is known here.

            words: Arguments of the request by position: method and URL.

            named: Those by name.
        """
        fields: Any = named.get("json")
        if (
            client is not self._client
            or len(words) != 2
            or not (named.keys() <= {"json"} and (fields is None or type(fields) is dict))
            or not self._is_idle()
        ):
            return None
        template = self._template(*words)
        transport = client._transport_for_url(template.url)
        if type(transport) not in self._transports:
            return None
        stream: Any = template.stream
        if fields is not None:
            try:
                # The stream itself, since httpx finds nothing to add to it, and looks for as long as the rest takes.
                stream = httpx.ByteStream(encode(fields, words[1]))
            except (TypeError, ValueError):
                check_json(fields)
                return None  # httpx can encode more
        made = httpx.Request(
            template.method,
            template.url,
            headers=template.headers,
            stream=stream,
            extensions={"timeout": client.timeout.as_dict()},
        )
        content = made.read()  # so that `content` is there for who looks at it
        if fields is not None:
            made.headers["Content-Length"] = str(len(content))
        return Route(transport, made)

    def _is_idle(self) -> bool:
        """Whether the client would do nothing with a request but send it."""
        client = self._client
        return not (
            patched()
            or methods_patched()
            or not _METHODS.isdisjoint(vars(client))
            or client.is_closed
            or client.auth is not None
            or client.base_url.userinfo
            or any(client.event_hooks.values())
            or any(True for _ in client.cookies.jar)
            or client.params
            or _log.isEnabledFor(logging.INFO)
        )

    def _template(self, method: str, url: str) -> httpx.Request:
        client, made = self._client, self._made
        headers = client.headers.raw
        if client.base_url is not made.url or headers != made.headers or len(made.requests) > _MOST:
            made = self._made = _Made(client.base_url, headers, {})
        found = made.requests.get((method, url))
        if found is None:
            kind = {"Content-Type": "application/json"} if method != "GET" else None
            found = made.requests[method, url] = client.build_request(method, url, headers=kind)
        return found


def check_json(fields: dict[str, Any]) -> None:
    """Raise, for what has no JSON form in *fields*, the error that httpx raises, with a note that says where it is."""
    try:
        json.dumps(fields, allow_nan=False)
    except (TypeError, ValueError) as exc:
        exc.add_note(f"in {_place_of_what_is_not_json(fields)}")
        raise


def _place_of_what_is_not_json(value: Any) -> str:
    place = ""
    seen: set[int] = set()
    while id(value) not in seen:  # what contains itself has no JSON form either
        seen.add(id(value))
        inner = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
        )
        for key, one in inner:
            try:
                json.dumps(one, allow_nan=False)
            except (TypeError, ValueError):
                place += f".{key}" if isinstance(value, dict) else f"[{key}]"
                value = one
                break
    return place.removeprefix(".")


def follow(client: Any, request: httpx.Request, response: httpx.Response) -> httpx.Request | None:
    """Keep the cookies of *response*, and give the request that it redirects to, if it does and *client* follows."""
    response.request = request
    response.default_encoding = client._default_encoding
    if has_header(response, b"set-cookie"):
        client.cookies.extract_cookies(response)
    if not (300 <= response.status_code < 400 and client.follow_redirects and response.has_redirect_location):
        return None
    following: httpx.Request = client._build_redirect_request(request, response)
    return following
