"""
One HTTP exchange: what is sent, and what comes of it. All but the waiting, for both colours.

What httpx does and raises is known here, in `_failures`, in the transports and their pools, and nowhere else.
"""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar, cast

from . import _core, _log, _observe, errors
from ._dropped import Droppable
from ._failures import Telling, failed, foreign, hint, misplaced, waits
from ._host import Host
from ._leash import shut
from ._outgoing import client_url, common_headers, content_headers, credentials_for, parsed
from ._pool import PoolKey
from ._redirects import locations, next_url, refusal
from ._request import Answered, Arrival, Parts, Request, answer
from ._retry import Retry, Setback, Trouble, engine, rules, seconds_of
from ._said import Context, response_error
from ._sizes import BodySize
from ._url import origin, shown
from ._zones import without_zone

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterable, Iterable

    import httpx
    from tenacity import RetryCallState

    from ._images import Draft
    from ._leash import Leash

R = TypeVar("R")

AnyHost: TypeAlias = "Host | str | httpx.Client | httpx.AsyncClient | None"
Content: TypeAlias = "bytes | Iterable[bytes] | AsyncIterable[bytes]"

_REPLIES: Final = tuple(getattr(_core, name) for name in ("Reply", "AsyncReply") if hasattr(_core, name))
_MAX_REDIRECTS: Final = 5
_BUSY: Final = frozenset({429, 503})


class Exchange(Generic[R]):
    """
    One request to one host, up to its answer.

    Args:
        host: Where to, or a caller's own httpx client, which is used as it is.

        request: What to ask for.

        stream: Whether the answer shall come in parts.

        at_once: Whether the body is made here and now, even if files are read for it, or many bytes encoded.

    Raises TypeError or ValueError for arguments that cannot be sent, before any I/O.
    """

    __slots__ = (
        "__weakref__",
        "_redirects",
        "_sent_along",
        "_timeout",
        "_why",
        "began_at",
        "body",
        "client",
        "closed",
        "context",
        "deadline",
        "draft",
        "droppable",
        "entered",
        "hint",
        "host",
        "idle",
        "leash",
        "observed",
        "opener",
        "request",
        "response",
        "streams",
        "url",
    )

    def __init__(self, host: AnyHost, request: Request[R], *, stream: bool, at_once: bool = True) -> None:
        self.request = request
        self.client: Any = None
        """The caller's own client, or None."""
        self.response: httpx.Response | None = None
        """The response whose head is in, once it is."""
        self.began_at: float | None = None
        """When the request was sent, or tried to be, by the clock of `perf_counter`."""
        self.deadline: float | None = None
        """When all shall be over, by the same clock."""
        self.closed = False
        """Whether its stream was closed, perhaps while somebody else reads it."""
        self.entered = False
        """Whether the head is waited for alone, by who enters a block of asyncio."""
        self.leash: Leash | None = None
        """By which another thread can end it; but not where a client of the caller's own sends it."""
        self.droppable: Droppable | None = None
        """The response, where it is httpx's and can be dropped unread."""
        self.opener: asyncio.Task[Any] | None = None
        """The task that waits for the head of a stream."""
        self.body, self.draft = _begun(request.draft(stream=stream), at_once=at_once)
        """The body, and what makes it if it is still to be encoded."""
        self.streams = stream  # whether the answer comes in parts
        self._redirects = 0  # how many were followed
        self._why = ""  # why the last attempt brought no answer
        self._timeout: dict[str, float | None] = {}
        self.idle: float | None = None
        """Seconds to wait between two parts."""
        self.host: Host  # not with a client of the caller's own
        self._sent_along: tuple[str | None, tuple[tuple[str, str], ...]]
        """Credentials and the host's own headers; neither goes to another origin."""
        self.hint = hint(host, request)  # for an error, if there is no connection
        if isinstance(host, Host | str | None):
            self.host = _equipped(Host.of(host))
            base = request.origin or self.host.url
            self.url = base + request.path
            credentials, withheld = credentials_for(self.host, base)
            given = self.host.headers if origin(base) == origin(self.host.url) else ()
            self._sent_along = credentials, given
            self.context = Context(request.method, self.url, request.model, withheld)
        else:
            self.client = host
            self.url = client_url(host, request)
            self.context = Context(request.method, self.url, request.model)
        seer = _observe.observer
        self.observed = None if seer is None else seer.call(request, self.url, stream=stream)
        """What observes the call, if something does."""
        if stream and self.draft is None:
            self.request = request.encoded()

    @property
    def retry(self) -> Retry | None:
        """Whether and when to try again; not with a client."""
        return None if self.client is not None else self.host.retry

    @property
    def pool_key(self) -> PoolKey:
        """What the pool for the next request is known by."""
        return PoolKey.to(self.host, self.url)

    @property
    def parts(self) -> Parts[R]:
        """A new decoder of this exchange's parts."""
        parts = Parts(self.request, self.context)
        if self.observed is not None:
            self.observed.memory = parts.memory
        return parts

    def begin(self) -> None:
        """
        Note that the request is sent now; the time for all of it begins.

        Raises StreamClosedError if its stream was closed before.
        """
        if self.closed:
            raise self.was_closed(None)
        self.began_at = perf_counter()
        if self.client is None and self.host.timeout.total is not None:
            self.deadline = self.began_at + self.host.timeout.total

    def outgoing(self, content: Content) -> httpx.Request:
        """Give the HTTP request, whose body is *content*."""
        outgoing = self._outgoing(content)
        if self.observed is not None and self._is_with_the_host():
            self.observed.mark(outgoing.headers)
        return outgoing

    def _is_with_the_host(self) -> bool:
        """Whether it is sent to whom the caller named, and not elsewhere by a redirect, or as a matter of the call."""
        if self.client is not None:
            return self.request.origin is None
        return origin(self.url) == origin(self.host.url)

    def _outgoing(self, content: Content) -> httpx.Request:
        import httpx

        if self.client is not None:
            target = self.request.path if self.request.origin is None else self.url
            built: httpx.Request = self.client.build_request(
                self.request.method, target, content=content or None, headers=content_headers(self.request)
            )
            return built
        self._timeout = waits(self.host.timeout)
        try:
            url = parsed(self.url)
        except httpx.InvalidURL as exc:
            raise errors.HostError(self.context.say(f"no request can be made for this URL: {exc}")) from exc
        kind = None if self.request.body is None else "application/json"
        headers = common_headers(url.netloc, *self._sent_along, kind, stream=self.streams)
        method = self.request.method
        limits = self.host.limits
        sizes = limits.max_line_bytes, limits.max_head_bytes, limits.max_body_bytes
        extensions: dict[str, Any] = {"timeout": self._timeout, "sizes": sizes}
        if "%" in self.url:  # perhaps before a zone, which no certificate has
            # Not of `host`, which fails for what is no name of IDNA.
            extensions["sni_hostname"] = without_zone(url.raw_host.decode("ascii"))
        if self.deadline is not None:
            extensions["deadline"] = self.deadline
        if self.leash is not None:
            extensions["leash"] = self.leash
        if self.request.upload is not None:
            uploaded = {**headers, **content_headers(self.request)}
            return httpx.Request(method, url, headers=uploaded, content=content, extensions=extensions)
        # The stream itself, since httpx finds nothing to add to it, and looks for as long as the rest takes.
        whole = httpx.ByteStream(cast("bytes", content))
        outgoing = httpx.Request(method, url, headers=headers, stream=whole, extensions=extensions)
        if method == "POST" or content:
            outgoing.headers["Content-Length"] = str(len(self.body))
        outgoing.read()  # so that `content` is there for who looks at it
        return outgoing

    def goes_on(self, response: httpx.Response) -> bool:
        """
        Whether *response* sends the request elsewhere; then the exchange is ready for another round.

        Credentials and the host's headers are for the host alone: they do not follow to another origin.
        """
        if response.status_code < 300 or self.client is not None or self.request.raw:
            return False
        if self._redirects == _MAX_REDIRECTS:
            return False
        found = locations(response)
        if len(found) != 1:  # none, or who knows which of them another program on the way has looked at
            return False
        target = next_url(self.request.method, self.url, response.status_code, found[0])
        if target is None:
            return False
        self._redirects += 1
        left_behind = self.context.left_behind
        if origin(target) != origin(self.url):
            authorization, headers = self._sent_along
            credentials = () if authorization is None else ("its credentials",)
            left_behind = (*left_behind, *credentials, *(name for name, _ in headers))
            self._sent_along = None, ()
        self.url = target
        self.context = replace(self.context, url=target.partition("?")[0], left_behind=left_behind)
        return True

    def retrying(self, retry: Retry) -> dict[str, Any]:
        """Give the arguments of tenacity's loops for this exchange, but for how to wait and let go of a response."""
        request = self.request
        uploads = request.upload is not None
        found = rules(retry, self._setback, self._time_left, self._gives_up, changes=request.changes, uploads=uploads)
        return found | {"before": self._begins_again}

    def _gives_up(self, why: str) -> None:
        self.context = replace(self.context, more=f" (not tried again: {why})" if why else "")

    def _begins_again(self, state: RetryCallState) -> None:
        attempt = state.attempt_number
        self.context = replace(self.context, attempts=attempt)
        if self.observed is not None:
            self.observed.attempts = attempt
        if attempt > 1 and self.retry is not None:
            _log.again(self.context, self.retry.attempts, self._why)

    def _time_left(self) -> float | None:
        """Give the seconds that the whole call may still take; None if there is no limit."""
        return None if self.deadline is None else self.deadline - perf_counter()

    def _setback(self, outcome: Any) -> Setback | None:
        """Say what became of an attempt, by its response or exception; None if another one would not help."""
        found = self._judged(outcome)
        self._why = "" if found is None else found.trouble.value
        return found

    def _judged(self, outcome: Any) -> Setback | None:
        import httpx

        if isinstance(outcome, httpx.Response) and outcome.status_code in _BUSY:
            trouble = Trouble.LATER if outcome.status_code == 429 else Trouble.BUSY
            return Setback(trouble, seconds_of(outcome.headers.get("retry-after"), time()))
        if isinstance(outcome, httpx.ConnectError | httpx.ConnectTimeout):
            return Setback(Trouble.UNREACHED)
        unanswered: bool = getattr(outcome, "unanswered", False)  # so each transport says it
        return Setback(Trouble.BROKEN) if unanswered and not self.closed else None

    def take_head(self, response: httpx.Response) -> None:
        """Remember that the head of the answer is in: from now on the limit between parts counts."""
        self.response = response
        self.body = b""  # it is not sent again
        if self.client is not None and response.history:  # of redirects that the client followed
            self.context = replace(self.context, url=shown(str(response.url), ""))
        if _log.logger.isEnabledFor(_log.DEBUG):
            _log.head(self.context, response.status_code, perf_counter() - (self.began_at or 0.0))
        if self.leash is not None and self.reply_of(response) is None:
            self.droppable = Droppable(response, self)
        if self.client is None:
            idle = self.host.timeout.idle
            self.idle = self.request.idle if idle is ... else idle
            self._timeout["read"] = self.idle

    @property
    def max_line(self) -> int | None:
        """The most bytes of a line, for what decodes them here."""
        return None if self.client is not None else self.host.limits.max_line_bytes

    def body_size(self, response: httpx.Response) -> BodySize | None:
        """
        Give what counts the body of *response* where it is taken chunk by chunk, and as a whole; None if nobody has to.

        Raises httpx.RemoteProtocolError if it is known by now that the body is too large.
        """
        most = None if self.client is not None else self.host.limits.max_body_bytes
        if most is None:
            return None
        size = BodySize(most)
        size.expect(response)
        return size

    @staticmethod
    def reply_of(response: httpx.Response) -> Any:
        """Give the core's own body, where it received the response and nobody read it before; else None."""
        reply = response.extensions.get("ndjson")
        return reply if isinstance(reply, _REPLIES) and not response.is_stream_consumed else None

    @staticmethod
    def is_raw(response: httpx.Response) -> bool:
        """Whether the body can be taken as it comes: no proxy compressed it, no hook of the caller read it before."""
        return not response.is_stream_consumed and "content-encoding" not in response.headers

    def close(self) -> None:
        """Close a blocking response, if one came."""
        if self.response is not None:
            self.response.close()

    def leave(self, kind: type[BaseException] | None) -> None:
        """
        Close a blocking response at the end of a block that an exception of *kind* left.

        A GeneratorExit may be a finalizer's, and what is dropped is closed without waiting for a lock.
        """
        if kind is GeneratorExit and self.droppable is not None:
            self.droppable.let_go()
        else:
            self.close()

    def wake_reader(self) -> None:
        """Shut the socket down for a thread that waits for more of a response to a client of the caller's own."""
        stream = None if self.response is None else self.response.extensions.get("network_stream")
        sock = None if stream is None else stream.get_extra_info("socket")
        if sock is not None:
            shut(sock)

    def arrival(self, response: httpx.Response) -> Arrival[R] | None:
        """Give what decodes the answer while its bytes arrive; None if it has to be there as a whole."""
        status, decoder = response.status_code, self.request.decoder
        if decoder is None or status >= 300:
            return None
        return Arrival(self.request, self.context, status, decoder())

    def answer(self, response: httpx.Response, body: bytes) -> R:
        """Turn the whole response into its answer."""
        if self.request.raw:
            return cast("R", Answered(response.status_code, tuple(response.headers.multi_items()), body))
        told, explained = self._told(response, body), self._explained(response, body)
        return self._given(answer(self.request, told, response.status_code, explained))

    def arrived(self, arrival: Arrival[R]) -> R:
        """Give the answer that has arrived, after its last byte."""
        return self._given(arrival.close())

    def _given(self, found: R) -> R:
        if self.observed is not None:
            self.observed.answer = found
        return found

    def error(self, response: httpx.Response, body: bytes) -> errors.ResponseError:
        """Say what a response with an error status says went wrong."""
        explained = self._explained(response, body)
        context = self._told(response, body)
        return response_error(context, response.status_code, explained, names_model=context.model is not None)

    def _told(self, response: httpx.Response, body: bytes) -> Context:
        """Give the context of an error that *response* may be, with when to ask again, or why the URL is wrong."""
        if response.status_code == 404:
            return replace(self.context, more=misplaced(self, body))
        if response.status_code not in _BUSY:
            return self.context
        return replace(self.context, retry_after=seconds_of(response.headers.get("retry-after"), time()))

    def _explained(self, response: httpx.Response, body: bytes) -> bytes:
        found = locations(response) if response.is_redirect else []
        if not found:
            said = foreign(self, response.status_code, body)
            return said.encode() if said else body
        if self._redirects == _MAX_REDIRECTS:
            return f"more than {_MAX_REDIRECTS} redirects".encode()
        return refusal(found).encode()

    def telling(self, parts: Parts[R] | None = None) -> Telling:
        """
        Raise what httpx raises in the block, and what is raised for a line of *parts*, as this package's errors.

        Once the last part is there, what becomes of the connection is of no interest.
        """
        return Telling(self, parts)

    def ends(self, error: BaseException | None) -> None:
        """Tell who observes the call that it is over, by *error* or early, unless it was over before."""
        if self.observed is None:
            return
        if isinstance(error, Exception) and self.leash is not None and self.leash.is_pulled:
            error = self.was_closed(None)  # whatever it looks like: who pulled it wants no more of it
        self.observed.ends(error)

    def was_closed(self, parts: Parts[R] | None) -> errors.OllamaError:
        """Say that somebody closed the stream that is read."""
        return failed(self, errors.StreamClosedError, "the stream was closed while it was read", parts)


def _begun(draft: bytes | Draft, *, at_once: bool) -> tuple[bytes, Draft | None]:
    if isinstance(draft, bytes):
        return draft, None
    return (draft.encode(), None) if at_once or draft.is_short else (b"", draft)


def _equipped(host: Host) -> Host:
    """Give *host*. Raises ImportError if it wants what is not installed."""
    if host.retry is not None:
        engine()
    return host
