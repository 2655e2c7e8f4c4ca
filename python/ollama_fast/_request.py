"""
A call to Ollama before any I/O, and how bytes become its answer.

Nothing here opens a socket, so everything here is tested with bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Protocol, TypeVar, cast

from . import _core, errors
from ._body import encode
from ._images import Draft, Sealed
from ._memory import Batches, Memory, Part, Within, is_last
from ._said import Context, json_text, response_error, said_error, shorten

if TYPE_CHECKING:
    from ._observe import Agent
    from ._upload import Counted, Upload

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_NO_FIELDS: Final[Mapping[str, Any]] = {}


class Decoder(Protocol[R_co]):
    """Turns a whole answer into an R while its bytes arrive. What is wrong with them is a ValueError."""

    def feed(self, chunk: bytes, /) -> None:
        """Take *chunk*."""

    def close(self) -> bytes:
        """Say that no more bytes come, and give what is left of the answer: JSON, to be checked as any other."""
        ...

    def answer(self, rest: Any, /) -> R_co:
        """Give the answer, of which *rest* is what was left, decoded."""
        ...


class Answered(NamedTuple):
    """What a server answered, before anybody has judged it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """Give the header *name*, in small letters; "" if there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")


@dataclass(frozen=True, slots=True)
class Request(Generic[R]):
    """
    A call to Ollama whose answer is an *R*.

    Args:
        method: Of HTTP.

        path: Below the host's URL.

        body: Fields to send as JSON; those that are None are left out.

        extra: More fields, sent as they are.

        key: A key that every answer, and every part of one, has; None if the answer is not JSON.

        decode: What turns the status and the body of an answer without JSON into an R.

        decoder: Makes what turns the answer into an R while its bytes arrive.

        accepts: Statuses from 300 up that are answers, too.

        memory: What remembers the parts if the answer may come in parts, else None.

        idle: Seconds to wait between two parts, where the host's timeout does not say; None waits for ever.

        upload: A file to send in place of a body.

        origin: Where to send it, if not to the host.

        raw: Whether the answer is whatever comes, as an Answered: nothing is judged, and no redirect followed.

        changes: Whether it changes what is on the server, which then must not get it twice; False for what only reads
            or computes.

        operation: What a model is asked to do, as OpenTelemetry's conventions name it; "" if it is asked nothing.

        within: What observes the larger work that this call is a part of, if something does.
    """

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] | None = None
    key: str | None = None
    decode: Callable[[int, bytes], R] | None = None
    decoder: Callable[[], Decoder[R]] | None = None
    accepts: frozenset[int] = frozenset()
    memory: Callable[[], Memory] | None = None
    idle: float | None = None
    upload: Upload | Counted | None = None
    origin: str | None = None
    raw: bool = False
    changes: bool = True
    operation: str = ""
    within: Agent | None = None

    @property
    def model(self) -> str | None:
        """The model that the request names."""
        body = self.body or {}
        model: str | None = body.get("model") or body.get("source")
        return model

    def encoded(self) -> Request[R]:
        """Give it without the fields, for where they are bytes by now: many streams may wait, and these are large."""
        body = None if self.body is None else _NO_FIELDS
        return Request(
            self.method,
            self.path,
            body,
            key=self.key,
            accepts=self.accepts,
            memory=self.memory,
            idle=self.idle,
            upload=self.upload,
            origin=self.origin,
            changes=self.changes,
        )

    def encode(self, *, stream: bool) -> bytes:
        """Give the JSON body; b"" if there is none. Raises TypeError for a value that has no JSON form, and OSError."""
        draft = self.draft(stream=stream)
        return draft if isinstance(draft, bytes) else draft.encode()

    def draft(self, *, stream: bool) -> bytes | Draft:
        """
        Give the JSON body, or if it has images a draft of it, to be encoded where that may take its time.

        Raises TypeError or ValueError for a value that has no JSON form.
        """
        if self.body is None:
            return b""
        fields = {name: value for name, value in self.body.items() if value is not None}
        if self.memory is not None:
            fields["stream"] = stream
        if self.extra is not None:
            if not isinstance(self.extra, Mapping):
                raise TypeError(f"extra must be a mapping, not {type(self.extra).__name__}")
            if "stream" in self.extra:
                raise ValueError("extra cannot hold 'stream': the name of the function says whether it streams")
            if twice := [name for name in self.extra if name in fields]:
                raise ValueError(f"extra holds {twice[0]!r}, which is given by its own parameter, too")
            fields |= self.extra
        images: list[Sealed] = []
        body = encode(fields, self.path, images)
        if images:
            return Draft(body, images)
        # A copy of the right size: orjson's own occupies 4 KiB at least, which counts where a thousand streams wait.
        return bytes(memoryview(body)) if len(body) < 4096 else body


# --- a whole answer --------------------------------------------------------------------------------------------------


def answer(request: Request[R], context: Context, status: int, body: bytes) -> R:
    """Turn a whole response into its answer, or raise what it says went wrong."""
    if status >= 300 and status not in request.accepts:
        raise response_error(context, status, body, names_model=request.model is not None)
    if request.decode is not None:
        with _blaming(context):
            return request.decode(status, body)
    result: R = _found(request, context, status, body)
    return result


class Arrival(Generic[R]):
    """
    The bytes of a whole answer in, as they arrive; the answer out.

    The same is raised as for the whole in one piece, and what is wrong with a number as soon as it is there.
    """

    __slots__ = ("_context", "_decoder", "_request", "_status")

    def __init__(self, request: Request[R], context: Context, status: int, decoder: Decoder[R]) -> None:
        self._request = request
        self._context = context
        self._status = status
        self._decoder = decoder

    def feed(self, chunk: bytes) -> None:
        """Take *chunk*."""
        with _blaming(self._context):
            self._decoder.feed(chunk)

    def close(self) -> R:
        """Say that no more bytes come, and give the answer."""
        with _blaming(self._context):
            rest = self._decoder.close()
        found = _found(self._request, self._context, self._status, rest)
        with _blaming(self._context):
            return self._decoder.answer(found)


@contextmanager
def _blaming(context: Context) -> Generator[None]:
    try:
        yield
    except ValueError as exc:
        if is_cut_off(exc):
            raise _cut_off(context, f"it ended too early: {exc}") from exc
        raise errors.DecodeError(context.say(str(exc)), **context.facts()) from exc


def _found(request: Request[Any], context: Context, status: int, body: bytes) -> Any:
    try:
        found = _core.decode(body)
    except ValueError as exc:
        if is_cut_off(exc):
            raise _cut_off(context, f"it ended too early: {exc}" if body.strip() else "it is empty") from exc
        raise errors.DecodeError(context.say(f"the answer is not JSON: {exc}"), **context.facts()) from exc
    part_error = check(found, request.key, context, status)
    if part_error is not None:
        raise part_error
    if request.memory is not None:
        _check_whole(found, request.memory(), context)
    return found


def _cut_off(context: Context, why: str) -> errors.IncompleteStreamError:
    return errors.IncompleteStreamError(context.say(f"the answer is incomplete: {why}"), **context.facts())


def is_cut_off(exc: ValueError) -> bool:
    """Whether what the core could not decode is the beginning of JSON, perhaps without a byte of it."""
    found: bool = getattr(exc, "is_cut_off", False)
    return found


def _check_whole(found: Any, memory: Memory, context: Context) -> None:
    try:
        memory.add(found)
    except KeyError as exc:
        raise _unknown_shape(found, context) from exc
    if not is_last(found):
        text = "the answer is not finished: it has neither done nor status success"
        raise errors.IncompleteStreamError(context.say(text), **context.facts(), partial=found)


def check(part: Any, key: str | None, context: Context, status: int = 200) -> errors.OllamaError | None:
    """Say what is wrong with a decoded answer or part, or None."""
    if isinstance(part, dict):
        if part.get("error") is not None:
            return said_error(context, part, _status(part, status))
        if key is None or key in part:
            return None
    return _unknown_shape(part, context)


def _unknown_shape(part: Any, context: Context) -> errors.DecodeError:
    shown = shorten(json_text(part))
    return errors.DecodeError(context.say(f"the answer has not the shape of Ollama's: {shown}"), **context.facts())


def _status(part: Part, status: int) -> int:
    # Servers up to 0.12.5 and stubs of remote models put the status into the line (OLLAMA-API 0).
    for name in ("status", "StatusCode"):
        if isinstance(part.get(name), int):
            return int(part[name])
    return status


# --- an answer in parts ----------------------------------------------------------------------------------------------


class Take(Protocol[R_co]):
    """How decoded lines become parts."""

    def __call__(self, batches: Batches, within: Within = ..., /) -> Generator[R_co]: ...


class Parts(Generic[R]):
    """
    Decoded lines in, parts of the answer to a request out.

    A driver gives the lines to `take`, as they arrive, which gives the parts; and at the end it calls `finish`. An
    exception of a line goes to `broken`.
    """

    __slots__ = ("_key", "context", "memory", "take")

    def __init__(self, request: Request[R], context: Context) -> None:
        if request.memory is None:
            raise TypeError(f"{request.path} does not stream")
        self._key = request.key
        self.context = context
        """Which call it is; once the answer has begun, with the URL that gives it, and the number of attempts."""
        self.memory = request.memory()
        # A partial, since with many live streams it is called for every part.
        self.take: Take[R] = cast("Take[R]", partial(self.memory.follow, self._blame))
        """Give the parts that the lines of all batches are, or raise what one is instead; all within a context."""

    @property
    def partial(self) -> Part | None:
        """The answer so far."""
        return self.memory.merged()

    @property
    def complete(self) -> bool:
        """Whether the last part came."""
        return self.memory.complete

    def finish(self) -> None:
        """Raise IncompleteStreamError if the last part did not come."""
        if not self.complete:
            raise self._incomplete("nothing came" if self.memory.last is None else "it ended before its last part")

    def broken(self, exc: ValueError | EOFError) -> errors.OllamaError:
        """Say what it means that a line could not be decoded."""
        if isinstance(exc, EOFError):
            return self._incomplete(f"it ended inside a line: {exc}")
        text = self.context.say(f"a line of the stream is not JSON: {exc}")
        return errors.DecodeError(text, **self.context.facts(), partial=self.partial)

    def _blame(self, line: Any) -> errors.OllamaError:
        error = check(line, self._key, self.context) or _unknown_shape(line, self.context)
        error.partial = self.partial
        return error

    def _incomplete(self, what: str) -> errors.IncompleteStreamError:
        text = self.context.say(f"the stream is incomplete: {what}")
        return errors.IncompleteStreamError(text, **self.context.facts(), partial=self.partial)
