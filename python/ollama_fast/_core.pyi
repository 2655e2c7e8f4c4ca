"""The Rust core: bytes in, Python objects out, and HTTP/1.1 in between. It knows no paths and no policy."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Self, final

__all__ = [
    "DEBUG",
    "LineDecoder",
    "VectorDecoder",
    "__version__",
    "all_floats",
    "base64_fault",
    "decode",
    "decode_beginning",
    "encode_base64",
    "fill_in",
]

__version__: Final[str]
DEBUG: Final[bool]
"""Whether this is a build without optimisation, which nobody should measure."""

def decode(data: bytes, /) -> Any:
    """Decode one JSON text into dicts, lists, strings, numbers, bools and None.

    Raises ValueError, with the place and the beginning of *data*, if it is not JSON; its attribute `is_cut_off` says
    whether *data* is the beginning of JSON, as nothing at all is.
    """

def decode_beginning(data: bytes, /) -> Any:
    """Decode the beginning of a JSON text as far as it has come: strings may be cut off, what is open counts as closed.

    Raises ValueError if it is the beginning of no JSON text, as nothing at all is.
    """

def all_floats(numbers: list[Any], /) -> bool:
    """Whether all of *numbers* are floats, and none an int."""

def encode_base64(data: bytes, /) -> str:
    """Encode *data* in standard base64 with padding."""

def base64_fault(text: str, start: int, /) -> int | None:
    """Give the position of the first character that makes *text*, from *start* on, no base64; or None.

    It is the length of the text if more characters must follow. Line breaks are allowed, as Ollama does.
    """

def fill_in(text: bytes, images: list[bytes | memoryview | tuple[str, int]], /) -> bytes:
    """Give the JSON *text* with *images* in base64 in its gaps, which are raw NUL bytes.

    An image is bytes, a memoryview of format "B" in one dimension, or base64 text and where in it to begin, of which
    the line breaks are left out. Raises ValueError if there are more or fewer gaps than images.
    """

@final
class LineDecoder:
    """Turn the chunks of an NDJSON body into one Python object per line."""

    def __new__(cls, max_line_bytes: int | None = ..., /) -> Self: ...
    def feed(self, chunk: bytes, /) -> Self:
        """Take *chunk* and give the decoder itself, an iterator over the lines that are complete by now.

        A line that is not JSON raises a ValueError when its turn comes, after the parts before it; the attribute `line`
        of that has its bytes. One that is too long raises an httpx.RemoteProtocolError.
        """

    def close(self) -> Self:
        """Say that no more bytes come, and give the decoder itself for a last line without newline.

        A last line that is only the beginning of JSON raises an EOFError.
        """

    def __iter__(self) -> Self: ...
    def __next__(self) -> Any: ...

@final
class VectorDecoder:
    """Turn the chunks of a JSON object into the float32 of the vectors that it has under one key, and the rest."""

    def __new__(cls, key: str, /) -> Self: ...
    def feed(self, chunk: bytes, /) -> None:
        """Take *chunk*. Raises a ValueError that says which vector and number is wrong, by their indices."""

    def close(self) -> tuple[bytes, bytes, int, int]:
        """Say that no more bytes come.

        Gives the rest, which is JSON if all of it was and has `[]` for the vectors; the numbers in the machine's order
        of bytes; how many vectors there are, and of what length. Raises a ValueError if the bytes end among them,
        whose attribute `is_cut_off` is true; and at a second call, since it keeps no numbers.
        """

if sys.platform != "win32":
    __all__ += ["Arrived", "AsyncPool", "AsyncReply", "Leash", "Pool", "ReadinessSet", "Reply", "Wait", "stop_calling"]

    def stop_calling() -> None:
        """Let the core of no other thread call Python any more, since the interpreter is about to end."""

    # --- blocking ----------------------------------------------------------------------------------------------------

    @final
    class Pool:
        """Keep-alive connections, and how many there may be.

        An httpx.RemoteProtocolError of one that is too large has as `too_large` the name of the limit and its bytes. An
        error of a connection that broke before any byte of an answer has `unanswered`, which is True.
        """

        def __new__(
            cls,
            max_connections: int | None,
            max_keepalive_connections: int | None,
            keepalive_expiry: float | None,
        ) -> Self: ...
        def send(
            self,
            host: str,
            port: int,
            resolve: Callable[[str, int], Iterable[tuple[Any, ...]]],
            method: bytes,
            target: bytes,
            headers: list[tuple[bytes, bytes]],
            content: bytes | Iterable[bytes],
            timeout: dict[str, float | None],
            leash: Leash | None = None,
            left: float | None = None,
            sizes: tuple[int | None, int | None, int | None] | None = None,
            /,
        ) -> Reply:
            """Send a request and wait for the head of its response.

            Every wait ends after *left* seconds, too. *sizes* are the most bytes of a line, of the head and of a whole
            body; without them the core has its own. Raises one of httpx's exceptions; what is too large is an
            httpx.RemoteProtocolError that has as `too_large` the name of the limit and its bytes.
            """

        def close(self) -> None:
            """Close the connections: those not in use now, the others when their responses are complete."""

        def counts(self) -> tuple[int, int]:
            """Give how many connections are open, and how many of them are idle."""

    @final
    class Leash:
        """Goes with one request, and can end it."""

        def __new__(cls) -> Self: ...
        def pull(self) -> bool:
            """End the request: free whoever waits for it, and let nobody wait later.

            Gives whether it was under way.
            """

    @final
    class Reply:
        """A response whose head is in. Iterate over it for the decoded lines of its body.

        It is read by one thread at a time; any thread may close it.
        """

        @property
        def status(self) -> int:
            """The status code."""

        @property
        def headers(self) -> list[tuple[bytes, bytes]]:
            """Names and values of the headers, as bytes."""

        def describe(self, extensions: dict[str, Any]) -> None:
            """Put into *extensions* what httpx keeps of a head beside status and headers, and as `ndjson` the reply."""

        def __iter__(self) -> Self: ...
        def __next__(self) -> Any: ...
        def ends_with(self, memory: Any, seconds: float, /) -> None:
            """Wait only *seconds* for the end of a body whose last part *memory* has, as its `complete` says."""

        def chunk(self) -> bytes:
            """Wait for some bytes of the body; none are its end."""

        def read(self) -> bytes:
            """Wait for the whole body."""

        def close(self) -> None:
            """Close the connection, unless the response is complete. A thread that waits for more is freed."""

    # --- asyncio -----------------------------------------------------------------------------------------------------

    @final
    class ReadinessSet:
        """All sockets of an event loop behind one descriptor."""

        def __new__(cls, event_loop: asyncio.AbstractEventLoop, /) -> Self: ...
        def fileno(self) -> int:
            """Give the descriptor that is readable when a socket is ready."""

        def drain(self) -> None:
            """Read and write whatever is ready, and wake the tasks that wait for it."""

        def expire(self) -> None:
            """Fail the waits that last too long."""

        def wake(self, futures: list[asyncio.Future[None]]) -> None:
            """Tell tasks that what they wait for is there."""

        def close(self) -> None:
            """Close all connections."""

    @final
    class AsyncPool:
        """Keep-alive connections on one event loop, and how many there may be."""

        def __new__(
            cls,
            set: ReadinessSet,
            max_connections: int | None,
            max_keepalive_connections: int | None,
            keepalive_expiry: float | None,
        ) -> Self: ...
        def has_idle(self, host: str, port: int) -> bool:
            """Whether a connection to this place is there, so that its address is not needed."""

        def send(
            self,
            host: str,
            port: int,
            addresses: Iterable[tuple[Any, ...]],
            method: bytes,
            target: bytes,
            headers: list[tuple[bytes, bytes]],
            content: bytes | None,
            timeout: dict[str, float | None],
            called: bool,
            left: float | None = None,
            connect: float | None = None,
            sizes: tuple[int | None, int | None, int | None] | None = None,
            fresh: bool = False,
            /,
        ) -> AsyncReply | None:
            """Begin to send a request: with its whole body, or for None with what `write` is given later.

            *called* says that the caller was in line, and was called; a place is promised to it then. Gives None if
            there is no place for it, or no idle connection and no address for a new one. All ends after *left* seconds,
            also if nobody waits then; a connection is made within *connect*. *sizes* are as for `Pool.send`. *fresh*
            asks for a new connection; kept ones to that place are closed. Raises one of httpx's exceptions.
            """

        def queue(self) -> asyncio.Future[None]:
            """Join the line, and give a future that is done when it is this one's turn."""

        def leave(self, future: asyncio.Future[None]) -> None:
            """Leave the line; who was called already passes its place on."""

        def close(self) -> None:
            """Close the connections: those not in use now, the others when their responses are complete."""

        def counts(self) -> tuple[int, int]:
            """Give how many connections are open, and how many of them are idle."""

    @final
    class AsyncReply:
        """An exchange on an event loop. Iterate over it, asynchronously, for the decoded lines of its body."""

        @property
        def status(self) -> int:
            """The status code, once the head is in."""

        @property
        def headers(self) -> list[tuple[bytes, bytes]]:
            """Names and values of the headers, as bytes."""

        def describe(self, extensions: dict[str, Any]) -> None:
            """Put into *extensions* what httpx keeps of a head beside status and headers, and as `ndjson` the reply."""

        @property
        def is_stale(self) -> bool:
            """Whether the connection was dead before the server can have acted on the request."""

        def write(self, piece: bytes) -> None:
            """Put a piece of the request's body into the line to be sent."""

        def end(self) -> None:
            """Say that the request's body is whole."""

        def sent(self) -> Awaitable[bool]:
            """Wait until all that was written is sent; True if the server answers or takes no more."""

        def head(self) -> Awaitable[bool]:
            """Wait for the head of the response."""

        def ready(self) -> Awaitable[bool]:
            """Wait for a line, perhaps a blank one; False at the end of the body."""

        def ends_within(self, seconds: float, /) -> None:
            """Wait no longer than *seconds* from now on for the end of the body, whatever comes."""

        def arrived(self) -> Arrived:
            """Give the parts that are here, to be taken without waiting."""

        def chunk(self) -> Awaitable[bytes]:
            """Wait for some bytes of the body; none are its end."""

        def read(self) -> Awaitable[bytes]:
            """Wait for the whole body."""

        def close(self) -> None:
            """Close the connection, unless the response is complete. A task that waits for more is woken."""

        def __aiter__(self) -> Self: ...
        def __anext__(self) -> Awaitable[Any]: ...

    @final
    class Wait:
        """An awaitable: it is done at once if what it waits for is there, and else gives its task a future."""

        def __await__(self) -> Self: ...
        def __iter__(self) -> Self: ...
        def __next__(self) -> Any: ...
        def send(self, value: Any, /) -> Any:
            """Go on, as `__next__` does."""

        def throw(self, kind: Any, value: Any = None, traceback: Any = None, /) -> Any:
            """Give up waiting, as for a cancellation, and raise the exception."""

        def close(self) -> None:
            """Give up waiting."""

    @final
    class Arrived:
        """The parts of a response that are here already. It is also a context in which nothing happens."""

        def __iter__(self) -> Self: ...
        def __next__(self) -> Any: ...
        def __enter__(self) -> None: ...
        def __exit__(self, *_exception: object) -> None: ...
