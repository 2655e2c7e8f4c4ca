"""A reply as the bytes that are sent. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus

from ._values import Action, Reply


@dataclass(frozen=True, slots=True)
class Wire:
    """
    The bytes of a reply.

    Args:
        head: Up to the empty line, with it.

        parts: The content, framed, as it is cut.

        end: What says that nothing follows: the last chunk, or nothing.

        times: When each part is sent, in seconds since the request.
    """

    head: bytes
    parts: tuple[bytes, ...] = ()
    end: bytes = b""
    times: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.head) + sum(map(len, self.parts)) + len(self.end)

    def start_of(self, part: int) -> int:
        """Give the place where a part begins; one below 0 is counted from the end, one too many is the last."""
        count = len(self.parts)
        place = min(part, count - 1) if part >= 0 else count + part
        place = max(0, place)
        return len(self.head) + sum(map(len, self.parts[:place]))

    def actions(self) -> Iterator[Action]:
        """Send it at its times; the head goes out with the first part, as Ollama has it."""
        pending, now = self.head, 0.0
        for part, time in zip(self.parts, self.times, strict=True):
            if time > now:
                yield time - now
                now = time
            yield pending + part
            pending = b""
        if pending + self.end:
            yield pending + self.end


def wire(reply: Reply, method: str = "POST", version: str = "1.1") -> Wire:
    """
    Frame *reply* to a request: by what its headers say, or else by what its content is.

    Args:
        reply: What is framed.

        method: Of the request.

        version: Of HTTP, the request's. What would be chunks ends with the connection in 1.0, which knows no chunks.
    """
    headers = list(reply.headers)
    if version == "1.0":
        headers = [pair for pair in headers if pair[0].lower() != "connection"] + [("Connection", "close")]
    if method == "HEAD" or reply.status in (204, 304):
        return Wire(_head(reply.status, headers))
    chunked = "chunked" in (reply.header("transfer-encoding") or "").lower()
    if not chunked and reply.header("content-length") is None:
        chunked = len(reply.chunks) > 1 or "ndjson" in (reply.header("content-type") or "")
        framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(reply.body)))
        headers.append(framing)
    if version == "1.0" and chunked:
        headers = [pair for pair in headers if pair[0].lower() != "transfer-encoding"]
        chunked = False
    frame = chunk if chunked else bytes
    return Wire(
        _head(reply.status, headers),
        tuple(frame(piece.data) for piece in reply.chunks),
        b"0\r\n\r\n" if chunked else b"",
        tuple(piece.ms / 1000 for piece in reply.chunks),
    )


def chunk(data: bytes) -> bytes:
    """Frame *data* as a chunk; none is framed as nothing, since an empty chunk is the last."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def _head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")
