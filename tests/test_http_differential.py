"""
The same bytes to the Rust parser of responses, to h11 and to llhttp: all take them, and alike, or none does.

Where they differ stands in `DIFFERENCES`, with the reason. What the Rust parser takes, no other may read otherwise.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import h11
import httptools
import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from replay import HangUpError, Received, replay
from transports import BLOCKING, LOOPS, Kind, Session, request

pytestmark = pytest.mark.fast

BODY: Final = b'{"done":true}\n'
NONE_KEPT: Final = httpx.Limits(max_keepalive_connections=0)

# --- what is put together --------------------------------------------------------------------------------------------

STARTS: Final[Mapping[str, bytes]] = {
    "1.1": b"HTTP/1.1 200 OK\r\n",
    "1.0": b"HTTP/1.0 200 OK\r\n",
    "no reason": b"HTTP/1.1 200\r\n",
    "an empty reason": b"HTTP/1.1 200 \r\n",
    "a reason and spaces": b"HTTP/1.1 200 OK  \r\n",
    "a reason that is not ASCII": b"HTTP/1.1 200 \xff\r\n",
    "NUL in the reason": b"HTTP/1.1 200 O\0K\r\n",
    "a control character in the reason": b"HTTP/1.1 200 O\x01K\r\n",
    "CR in the reason": b"HTTP/1.1 200 O\rK\r\n",
    "404": b"HTTP/1.1 404 Not Found\r\n",
    "999": b"HTTP/1.1 999 OK\r\n",
    "204": b"HTTP/1.1 204 No Content\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n",
    "a status below 100": b"HTTP/1.1 099 OK\r\n",
    "a status with a sign": b"HTTP/1.1 +20 OK\r\n",
    "two spaces": b"HTTP/1.1  200 OK\r\n",
    "no space": b"HTTP/1.1 200OK\r\n",
    "a tab": b"HTTP/1.1\t200\tOK\r\n",
    "small letters": b"http/1.1 200 OK\r\n",
    "1.2": b"HTTP/1.2 200 OK\r\n",
    "2.0": b"HTTP/2.0 200 OK\r\n",
    "1.10": b"HTTP/1.10 200 OK\r\n",
    "a bare LF": b"HTTP/1.1 200 OK\n",
    "a bare CR": b"HTTP/1.1 200 OK\r",
    "an empty line first": b"\r\nHTTP/1.1 200 OK\r\n",
    "two empty lines first": b"\r\n\r\nHTTP/1.1 200 OK\r\n",
    "a space first": b" HTTP/1.1 200 OK\r\n",
    "garbage first": b"xHTTP/1.1 200 OK\r\n",
    "100 first": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
    "103 first": b"HTTP/1.1 103 Early Hints\r\nLink: y\r\n\r\nHTTP/1.1 200 OK\r\n",
    "100 with a length first": b"HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\nHTTP/1.1 200 OK\r\n",
    "101 first": b"HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\n",
}
"""Ways to begin."""

FIELDS: Final[Mapping[str, bytes]] = {
    "a header": b"A: b\r\n",
    "no space before a value": b"A:b\r\n",
    "white space around a value": b"A: \t b \t \r\n",
    "an empty value": b"A:\r\n",
    "a value that is not ASCII": b"A: \xc3\xa9\r\n",
    "every sign in a name": b"!#$%&'*+-.^_`|~09Az: b\r\n",
    "Connection: close": b"Connection: close\r\n",
    "a space before the colon": b"A : b\r\n",
    "a space in a name": b"A B: c\r\n",
    "no name": b": b\r\n",
    "no colon": b"nocolon\r\n",
    "a bracket in a name": b"(A): b\r\n",
    "a name that is not ASCII": b"\xc3\x84: b\r\n",
    "NUL in a name": b"A\0: b\r\n",
    "NUL in a value": b"A: b\0c\r\n",
    "CR in a value": b"A: b\rc\r\n",
    "CR behind a value": b"A: b\r\r\n",
    "a control character in a value": b"A: b\x01c\r\n",
    "DEL in a value": b"A: b\x7f\r\n",
    "a folded value": b"A: b \r\n   c\r\n",
    "a value folded at its begin": b"A:\r\n b\r\n",
    "an empty fold": b"A: b\r\n \r\n",
    "LF behind a value": b"A: b\n",
    "LF before the colon": b"A\n: b\r\n",
}
"""Headers beside those of the framing."""


def _length(value: bytes) -> tuple[bytes, bytes]:
    return b"Content-Length: " + value + b"\r\n", BODY


def _coding(value: bytes) -> tuple[bytes, bytes]:
    return b"Transfer-Encoding: " + value + b"\r\n", b"e\r\n" + BODY + b"\r\n0\r\n\r\n"


def _chunks(size: bytes = b"e\r\n", behind: bytes = b"\r\n", last: bytes = b"0\r\n\r\n") -> tuple[bytes, bytes]:
    return b"Transfer-Encoding: chunked\r\n", size + BODY + behind + last


FRAMES: Final[Mapping[str, tuple[bytes, bytes]]] = {
    "length": _length(b"14"),
    "length 0": (b"Content-Length: 0\r\n", b""),
    "length and spaces": _length(b"14 \t"),
    "a zero before the length": _length(b"014"),
    "thirty zeros before the length": _length(b"0" * 30 + b"14"),
    "a length folded at its begin": _length(b"\r\n 14"),
    "a length folded in itself": _length(b"1\r\n 4"),
    "a plus before the length": _length(b"+14"),
    "a minus before the length": _length(b"-14"),
    "a hexadecimal length": _length(b"0xe"),
    "a length with an underscore": _length(b"1_4"),
    "a length with a point": _length(b"14.0"),
    "a length with a space": _length(b"1 4"),
    "a length with VT": _length(b"\x0b14"),
    "a length with a no-break space": _length(b"14\xa0"),
    "an empty length": _length(b""),
    "a length beyond 64 bits": _length(b"18446744073709551630"),
    "a length twice in a line": _length(b"14, 14"),
    "two lengths in a line": _length(b"14, 15"),
    "a length and a comma": _length(b"14,"),
    "a length in two lines": (b"Content-Length: 14\r\ncontent-length: 14\r\n", BODY),
    "two lengths in two lines": (b"Content-Length: 14\r\nContent-Length: 3\r\n", BODY),
    "a length in two lines, once with a zero": (b"Content-Length: 14\r\nContent-Length: 014\r\n", BODY),
    "a space before the length's colon": (b"Content-Length : 14\r\n", BODY),
    "a length that is too long": _length(b"15"),
    "another response behind": (b"Content-Length: 14\r\n", BODY + b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"),
    "until the end": (b"", BODY),
    "chunked": _coding(b"chunked"),
    "chunked in another case": _coding(b"ChUnKeD"),
    "chunked, folded at its begin": _coding(b"\r\n chunked"),
    "chunked twice in a line": _coding(b"chunked, chunked"),
    "chunked in two lines": (b"Transfer-Encoding: chunked\r\n" * 2, _coding(b"")[1]),
    "chunked behind gzip": _coding(b"gzip, chunked"),
    "chunked before gzip": (b"Transfer-Encoding: chunked, gzip\r\n", BODY),
    "chunked behind a comma": _coding(b",chunked"),
    "chunked with a parameter": _coding(b"chunked;q=1"),
    "chunked with VT": _coding(b"\x0bchunked"),
    "quoted chunked": _coding(b'"chunked"'),
    "xchunked": (b"Transfer-Encoding: xchunked\r\n", BODY),
    "a space before the colon of chunked": (b"Transfer-Encoding : chunked\r\n", _coding(b"")[1]),
    "both framings": (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", _coding(b"")[1]),
    "a size in capitals": _chunks(b"E\r\n"),
    "zeros before a size": _chunks(b"00e\r\n", last=b"000\r\n\r\n"),
    "a size of 16 digits": _chunks(b"000000000000000e\r\n"),
    "a size beyond 64 bits": _chunks(b"1000000000000000e\r\n"),
    "0x before a size": _chunks(b"0xe\r\n"),
    "a plus before a size": _chunks(b"+e\r\n"),
    "a minus before a size": _chunks(b"-e\r\n"),
    "a space before a size": _chunks(b" e\r\n"),
    "white space behind a size": _chunks(b"e \t\r\n"),
    "more behind a size": _chunks(b"e x\r\n"),
    "no size": _chunks(b"\r\n"),
    "a size that is too small": _chunks(b"d\r\n"),
    "a size that is too large": _chunks(b"f\r\n"),
    "an extension": _chunks(b"e;a=b\r\n", last=b"0;c\r\n\r\n"),
    "a quoted extension": _chunks(b'e;a="b c"\r\n'),
    "spaces around an extension": _chunks(b"e ; a = b\r\n"),
    "an empty extension": _chunks(b"e;\r\n"),
    "an extension that is not ASCII": _chunks(b"e;\xff\r\n"),
    "NUL in an extension": _chunks(b"e;\0\r\n"),
    "CR in an extension": _chunks(b"e;a\rb\r\n"),
    "LF behind an extension": _chunks(b"e;a\n"),
    "LF behind a size": _chunks(b"e\n"),
    "CR behind a size": _chunks(b"e\r\r\n"),
    "CR and more behind a size": _chunks(b"e\rx\n"),
    "LF behind a chunk": _chunks(behind=b"\n"),
    "CR behind a chunk": _chunks(behind=b"\r"),
    "nothing behind a chunk": _chunks(behind=b""),
    "more behind a chunk": _chunks(behind=b"xx"),
    "no last chunk": _chunks(last=b""),
    "no end of the last chunk": _chunks(last=b"0\r\n"),
    "LF behind the last size": _chunks(last=b"0\n\n"),
    "LF at the end": _chunks(last=b"0\r\n\n"),
    "a trailer": _chunks(last=b"0\r\nT: u\r\nV: w\r\n\r\n"),
    "LF behind a trailer": _chunks(last=b"0\r\nT: u\n\r\n"),
    "a folded trailer": _chunks(last=b"0\r\nT: u\r\n v\r\n\r\n"),
    "a length as trailer": _chunks(last=b"0\r\nContent-Length: 3\r\n\r\n"),
    "a trailer without colon": _chunks(last=b"0\r\nnocolon\r\n\r\n"),
    "a trailer with a space before the colon": _chunks(last=b"0\r\nT : u\r\n\r\n"),
    "NUL in a trailer": _chunks(last=b"0\r\nT: \0\r\n\r\n"),
    "CR behind the trailers": _chunks(last=b"0\r\n\r\r\n"),
}
"""Ways to frame a body: headers, and the bytes behind the head."""

# --- where they differ -----------------------------------------------------------------------------------------------

Difference: TypeAlias = tuple[str, str]
"""Who takes it, of "core", "h11" and "llhttp", in this order; and why it may be so."""

_LF: Final = "RFC 9112 2.2 lets a recipient take LF alone for the end of a line of the head; Go's servers never send it"
_FOLD: Final = "RFC 9112 5.2 has a client replace a fold by spaces; llhttp takes none"
_CHUNKED_ONLY: Final = "nobody sends another coding to who asks for none (no TE header); llhttp only looks at the last"
_HARMLESS: Final = "RFC 9112 7.1.1 has the recipient ignore extensions; what this one says is nobody's business"

DIFFERENCES: Final[Mapping[str, Difference]] = {
    "NUL in the reason": ("llhttp", "RFC 9112 4: no NUL in a reason"),
    "a control character in the reason": ("h11 llhttp", "RFC 9112 4: no control character in a reason"),
    "a status below 100": ("llhttp", "RFC 9110 15: no such class"),
    "1.2": ("h11", "no such version exists"),
    "2.0": ("h11 llhttp", "no such status line exists: HTTP/2 has frames"),
    "a bare LF": ("core h11", _LF),
    "LF behind a value": ("core h11", _LF),
    "an empty line first": ("core llhttp", "left over from a body before, as many parsers have it"),
    "two empty lines first": ("llhttp", "one is enough to be patient with"),
    "101 first": ("llhttp", "nobody asked for another protocol; llhttp only reports it"),
    "a control character in a value": ("h11", "RFC 9110 5.5: no control character in a value"),
    "DEL in a value": ("h11", "RFC 9110 5.5: no control character in a value"),
    "a folded value": ("core h11", _FOLD),
    "a value folded at its begin": ("core h11", _FOLD),
    "an empty fold": ("core h11", _FOLD),
    "thirty zeros before the length": ("core llhttp", "a number all the same; h11 takes 20 digits"),
    "a length folded at its begin": ("core h11", _FOLD),
    "a length twice in a line": ("core h11", "RFC 9112 6.3 lets a recipient take equal ones for one"),
    "a length in two lines": ("core h11", "RFC 9112 6.3 lets a recipient take equal ones for one"),
    "a length in two lines, once with a zero": ("core", "equal as numbers, which RFC 9110 8.6 asks for"),
    "chunked, folded at its begin": ("core h11", _FOLD),
    "chunked twice in a line": ("llhttp", _CHUNKED_ONLY),
    "chunked in two lines": ("llhttp", _CHUNKED_ONLY),
    "chunked behind gzip": ("llhttp", _CHUNKED_ONLY),
    "chunked behind a comma": ("llhttp", _CHUNKED_ONLY),
    "both framings": ("core h11", "RFC 9112 6.3: the chunks count; the connection is not used again"),
    "white space behind a size": ("core h11", "RFC 9112 7.1.1: white space before an extension, as some servers send"),
    "spaces around an extension": ("core", "RFC 9112 7.1.1: white space that a recipient must take"),
    "an empty extension": ("core h11", _HARMLESS),
    "an extension that is not ASCII": ("core h11", _HARMLESS),
    "NUL in an extension": ("h11", "RFC 9112 2.2: a control character, which others may take for the end"),
    "CR in an extension": ("h11", "RFC 9112 2.2: half a line break, which others may take for the end"),
    "LF at the end": ("core h11", _LF),
    "LF behind a trailer": ("core h11", _LF),
    "a folded trailer": ("core h11", _FOLD),
    "a length as trailer": ("core h11", "RFC 9110 6.5.1: it says nothing there, and is thrown away"),
}
"""By the name of what is put in."""

WITHOUT_BODY: Final = ("204", "304")
"""
Where no body can be, as in reply to a HEAD, h11 and llhttp do not look at every framing; the Rust parser does, and may
refuse it alone.
"""

# --- the three -------------------------------------------------------------------------------------------------------

Answer: TypeAlias = tuple[int, tuple[tuple[bytes, bytes], ...], bytes] | None
"""Status, headers and content; None where it is refused."""


def answer(status: int, headers: Iterable[tuple[bytes, bytes]], content: bytes) -> Answer:
    """Leave out what each may write in its own way: the framing, and white space around and between words."""
    framing = {b"content-length", b"transfer-encoding"}
    pairs = [(bytes(name).lower(), b" ".join(bytes(value).split())) for name, value in headers]
    return status, tuple(sorted(pair for pair in pairs if pair[0] not in framing)), content


def by_h11(wire: bytes, method: str) -> Answer:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 18)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    head: h11.Response | None = None
    content = b""
    try:
        connection.receive_data(wire)
        connection.receive_data(b"")
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                content += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                return answer(head.status_code, head.headers, content)
            elif not isinstance(event, h11.InformationalResponse):
                return None
    except h11.RemoteProtocolError:
        return None


@dataclass
class _Callbacks:
    """What httptools says of one response."""

    headers: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])
    content: bytes = b""
    status: int = 0
    done: bool = False
    parser: httptools.HttpResponseParser = field(init=False)

    def __post_init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        if status != 101 and 100 <= status < 200:
            self.headers.clear()
        elif not self.status:
            self.status = status

    def on_body(self, data: bytes) -> None:
        if not self.done:
            self.content += data

    def on_message_complete(self) -> None:
        self.done = self.status != 0


def by_llhttp(wire: bytes, method: str) -> Answer:
    assert method == "GET"  # it cannot be told of another
    seen = _Callbacks()
    try:
        seen.parser.feed_data(wire)
    except httptools.HttpParserError:
        failed = True
    else:
        failed = False
    framed = any(name.lower() in {b"content-length", b"transfer-encoding"} for name, _ in seen.headers)
    # It cannot be told either that the connection ended, where a body does.
    is_whole = seen.done or (seen.status != 0 and not framed and not failed)
    return answer(seen.status, seen.headers, seen.content) if is_whole else None


class Core:
    """The Rust parser behind a transport and a socket."""

    def __init__(self, session: Session, url: str, wires: dict[str, bytes]) -> None:
        self.session = session
        self.url = url
        self.wires = wires

    def __call__(self, wire: bytes, method: str) -> Answer:
        path = f"/{len(self.wires)}"
        self.wires[path] = wire
        seen = self.session.send(request(self.url + path, method), "raw")
        assert isinstance(seen.error, httpx.RemoteProtocolError | None), (wire, seen.error)
        return None if seen.error else answer(seen.status, seen.headers.raw, seen.content)


@pytest.fixture(params=[BLOCKING, LOOPS[0]], ids=str)
def core(request: pytest.FixtureRequest) -> Generator[Core]:
    kind: Kind = request.param
    wires: dict[str, bytes] = {}

    def respond(received: Received) -> Iterable[bytes]:
        yield wires[received.path]
        raise HangUpError

    with replay(respond=respond) as server, kind.session(limits=NONE_KEPT) as session:
        yield Core(session, server.url, wires)


def compare(core: Core, wire: bytes, method: str = "GET") -> str:
    """Give who takes *wire*, and see that nobody reads otherwise what the Rust parser takes."""
    answers = {"core": core(wire, method), "h11": by_h11(wire, method)}
    if method == "GET":
        answers["llhttp"] = by_llhttp(wire, method)
    taken = {name: found for name, found in answers.items() if found is not None}
    if "core" in taken:
        assert set(taken.values()) == {taken["core"]}, (wire, taken)
    return " ".join(taken)


# --- tests -----------------------------------------------------------------------------------------------------------


def wire_of(start: str = "1.1", fields: Iterable[str] = (), frame: str = "length") -> bytes:
    head, body = FRAMES[frame]
    return STARTS[start] + b"".join(FIELDS[each] for each in fields) + head + b"\r\n" + body


def test_they_differ_where_it_is_listed_and_nowhere_else(core: Core) -> None:
    wires = {name: wire_of(start=name) for name in STARTS}
    wires |= {name: wire_of(fields=[name]) for name in FIELDS}
    wires |= {name: wire_of(frame=name) for name in FRAMES}
    assert len(wires) == len(STARTS) + len(FIELDS) + len(FRAMES)
    assert set(DIFFERENCES) <= set(wires)
    found = {
        name: takers for name, wire in wires.items() if (takers := compare(core, wire)) not in {"", "core h11 llhttp"}
    }
    assert found == {name: takers for name, (takers, _why) in DIFFERENCES.items()}


def test_they_agree_on_what_is_put_together(core: Core) -> None:
    cuts = st.none() | st.integers(0, 200)

    @settings(deadline=None, max_examples=150)
    @example("1.1", [], "a length beyond 64 bits", None, "HEAD")
    @example("204", [], "quoted chunked", None, "GET")
    @given(
        st.sampled_from(sorted(STARTS)),
        st.lists(st.sampled_from(sorted(FIELDS)), max_size=3),
        st.sampled_from(sorted(FRAMES)),
        cuts,
        st.sampled_from(["GET", "GET", "HEAD"]),
    )
    def check(start: str, fields: list[str], frame: str, cut: int | None, method: str) -> None:
        takers = compare(core, wire_of(start, fields, frame)[:cut], method)
        if not DIFFERENCES.keys() & {start, frame, *fields}:
            may_be = {"", "core h11 llhttp" if method == "GET" else "core h11"}
            bodiless = method == "HEAD" or start in WITHOUT_BODY
            assert takers in may_be or (bodiless and "core" not in takers)

    check()
