"""The server of `ollama_fast.testing`: what its faults come to as bytes, and that any client can meet them."""

from __future__ import annotations

import ast
import http.client
import importlib.metadata
import inspect
import json
import math
import operator
import pickle
import re
import socket
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, get_args, get_type_hints
from urllib.parse import urlsplit

import httpx
import ollama
import pytest

import ollama_fast
from colours import Colour
from ollama_fast import Host, testing
from ollama_fast.testing import FAULTS, Chunk, Fault, Reply, Server, reply, serve
from ollama_fast.testing._faults import faulty
from ollama_fast.testing._scripted import GREETING
from ollama_fast.testing._values import End
from programs import pytest_in
from transports import eventually

LINES = (b'{"n":1,"done":false}\n', b'{"n":2,"done":false}\n', b'{"n":3,"done":true,"done_reason":"length"}\n')
STREAM = Reply(200, (("Content-Type", "application/x-ndjson"),), tuple(Chunk(0, line) for line in LINES))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
FRAMED = [b"%x\r\n%b\r\n" % (len(line), line) for line in LINES]
LAST = b"0\r\n\r\n"
ALL = HEAD + b"".join(FRAMED) + LAST
ANY_FAULT: Any = Fault
ADD: Any = operator.add
"""For arguments of wrong types."""
WHOLE = Reply(200, (("Content-Length", "21"),), (Chunk(0, LINES[0]),))


def acts(fault: Fault | None, reply: Reply = STREAM, most: int = 1000) -> list[Any]:
    return list(islice(faulty(fault, reply), most))


def sent(fault: Fault | None, reply: Reply = STREAM) -> bytes:
    return b"".join(action for action in acts(fault, reply) if isinstance(action, bytes))


# --- faults, which are pure ------------------------------------------------------------------------------------------


def test_without_a_fault_the_head_goes_out_with_the_first_part() -> None:
    assert acts(None) == [HEAD + FRAMED[0], *FRAMED[1:], LAST]


def test_each_piece_is_sent_at_its_time() -> None:
    slow = replace(STREAM, chunks=tuple(Chunk(ms, line) for ms, line in zip((0, 20, 10), LINES, strict=True)))
    assert acts(None, slow) == [HEAD + FRAMED[0], 0.02, *FRAMED[1:], LAST]


@pytest.mark.parametrize("byte", range(len(ALL) + 1))
def test_a_cut_is_at_its_byte(byte: int) -> None:
    actions = acts(Fault.cut("close", byte=byte))
    assert (b"".join(actions[:-1]), actions[-1]) == (ALL[:byte], End.CLOSE)
    assert b"" not in actions
    if byte:
        assert sent(Fault.cut("close", byte=-byte)) == ALL[:-byte]


@pytest.mark.parametrize(("part", "before"), [(0, 0), (1, 1), (2, 2), (3, 2), (99, 2), (-1, 2), (-3, 0), (-99, 0)])
def test_a_cut_is_before_its_part_and_the_last_stands_for_those_beyond(part: int, before: int) -> None:
    actions = acts(Fault.cut("reset", part=part))
    assert (b"".join(actions[:-1]), actions[-1]) == (HEAD + b"".join(FRAMED[:before]), End.RESET)


def test_a_cut_without_a_place_is_at_the_end() -> None:
    assert acts(Fault.cut("half-close")) == [*acts(None), End.HALF_CLOSE]
    assert acts(Fault.cut("stall")) == [*acts(None), math.inf]


def test_what_is_inserted_goes_out_with_what_is_before_it() -> None:
    assert acts(Fault.insert(b"!", part=1)) == [HEAD + FRAMED[0] + b"!", *FRAMED[1:], LAST]
    assert acts(Fault.insert(b"!", byte=0)) == [b"!", HEAD + FRAMED[0], *FRAMED[1:], LAST]
    assert acts(Fault.insert(b"!")) == [HEAD + FRAMED[0], *FRAMED[1:], LAST + b"!"]
    assert acts(Fault.insert(b"!", part=1, times=None), most=5) == [HEAD + FRAMED[0] + b"!", *[b"!"] * 4]


def test_faults_add_up_and_places_do_not_move() -> None:
    both = Fault.insert(b"!!!", byte=4, times=2) + Fault.cut("close", byte=8) + Fault.insert(b"never", byte=9)
    assert sent(both) == ALL[:4] + b"!!!!!!" + ALL[4:8]
    assert sent(Fault.chunks(5) + Fault.pieces(1)) == sent(Fault.chunks(5))
    assert {len(action) for action in acts(Fault.chunks(5) + Fault.pieces(1))} == {1}
    assert acts(Fault.pieces(9, 0.5), WHOLE)[:2] == [0.5, b"HTTP/1.1 "]


def test_what_changes_the_content_leaves_the_framing_right() -> None:
    body = b'{"n":1,"x":[[]],"done":false}\n'
    edited = Fault.edit(b',"done"', b',"x":', (b"[", 2), (b"]", 2), b',"done"', part=0)
    assert sent(edited) == HEAD + b"%x\r\n%b\r\n" % (len(body), body) + b"".join(FRAMED[1:]) + LAST
    assert sent(edited, WHOLE) == b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n" + body
    assert sent(Fault.finish(b"bye", part=1)) == HEAD + FRAMED[0] + b"3\r\nbye\r\n" + LAST
    assert sent(Fault.finish(part=-1)) == HEAD + b"".join(FRAMED[:2]) + LAST
    assert sent(Fault.length(-3), WHOLE) == b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n" + LINES[0]
    assert sent(Fault.chunks(), WHOLE) == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + FRAMED[0] + LAST


@pytest.mark.parametrize(
    ("fault", "moved"),
    [
        (Fault.cut("close", part=99), ["there is no part 99: the reply has 8"]),
        (Fault.insert(b"!", part=8, times=1), ["there is no part 8: the reply has 8"]),
        (Fault.edit(b"Hello", b"Bye", part=-9) + Fault.finish(part=-9), ["there is no part -9: the reply has 8"] * 2),
        (Fault.cut("close", part=99) + Fault.chunks(1), []),
        (Fault.cut("close", part=1) + Fault.instead(404, b"{}"), ["there is no part 1: the reply has 1"]),
        (Fault.cut("close", part=7) + Fault.edit(b"Hello", b"Bye", part=-8), []),
        (Fault.cut("close") + Fault.cut("reset", byte=999), []),
        (None, []),
    ],
)
def test_a_part_that_is_not_there_is_told(fault: Fault | None, moved: list[str]) -> None:
    with serve(fault=fault) as server:
        with suppress(ollama_fast.errors.OllamaError):
            list(ollama_fast.generate_stream(server.url, "m", "Hi!"))
        assert server.moved == moved


def test_a_misspelt_attribute_is_an_error() -> None:
    with serve() as server, pytest.raises(AttributeError, match="fautl"):
        server.fautl = FAULTS["refused"]  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def test_a_fault_that_is_not_there_names_those_that_are_near() -> None:
    with pytest.raises(KeyError, match="no fault is called 'refuse'; did you mean 'refused'"):
        FAULTS["refuse"]
    with pytest.raises(KeyError, match=r"list\(FAULTS\) gives all names"):
        FAULTS["zzzzzz"]
    assert FAULTS.get("refuse") is None


ANY_REPLY: Any = Reply
ANY_CHUNK: Any = Chunk


@pytest.mark.parametrize(
    ("made", "error", "said"),
    [
        (lambda: ANY_REPLY("200"), TypeError, "status must be an int, not '200'"),
        (lambda: ANY_REPLY(200, {"A": "b"}), TypeError, "headers must be pairs of texts"),
        (lambda: ANY_REPLY(200, (("A", 1),)), TypeError, "headers must be pairs of texts"),
        (lambda: ANY_REPLY(200, (), b"{}"), TypeError, r"chunks must be a tuple of Chunk, .* not b'\{\}'"),
        (lambda: ANY_REPLY(200, (), (b"{}",)), TypeError, "chunks must be a tuple of Chunk"),
        (lambda: Reply(chunks=(ANY_CHUNK("1", b""),)), TypeError, "ms of a Chunk must be an int, not '1'"),
        (lambda: Reply(chunks=(ANY_CHUNK(math.nan, b""),)), ValueError, "ms of a Chunk must be between 0 and"),
        (lambda: Reply(chunks=(ANY_CHUNK(10**5000, b""),)), ValueError, "not what is far beyond"),
        (lambda: Reply(chunks=(Chunk(-5, b""),)), ValueError, "ms of a Chunk must be between 0 and .* not -5"),
        (lambda: Reply(chunks=(ANY_CHUNK(0, "x"),)), TypeError, "data of a Chunk must be bytes, not 'x'"),
    ],
)
def test_a_reply_that_cannot_be_sent_is_refused_where_it_is_made(
    made: Callable[[], Reply], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        made()


def test_what_a_part_does_not_hold_cannot_be_edited() -> None:
    with pytest.raises(ValueError, match="part 1 holds no b'nonsense'"):
        acts(Fault.edit(b"nonsense", b"", part=1))


def test_another_reply_takes_the_place() -> None:
    fault = Fault.instead(429, b'{"error":"busy"}', "application/json", Retry_After="1")
    head = b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nRetry-After: 1\r\nContent-Length: 16"
    assert sent(fault) == head + b'\r\n\r\n{"error":"busy"}'


def test_a_place_is_a_byte_or_a_part() -> None:
    with pytest.raises(ValueError, match="a byte or a part, not both"):
        Fault.cut("close", byte=1, part=1)


@pytest.mark.parametrize(
    ("made", "error", "said"),
    [
        (
            partial(ANY_FAULT.cut, "x"),
            ValueError,
            "how must be one of 'close', 'reset', 'half-close', 'stall', not 'x'",
        ),
        (partial(ANY_FAULT.cut, "close", byte=1.5), TypeError, "byte must be an int, not 1.5"),
        (partial(ANY_FAULT.cut, "close", part="1"), TypeError, "part must be an int, not '1'"),
        (partial(ANY_FAULT.insert, b"!", times=0), ValueError, "times must be at least 1, not 0"),
        (partial(ANY_FAULT.insert, b"!", times=-1), ValueError, "times must be at least 1, not -1"),
        (partial(ANY_FAULT.insert, b"", times=None), ValueError, "data must not be empty"),
        (partial(ANY_FAULT.insert, "!"), TypeError, "data must be bytes, not '!'"),
        (partial(ANY_FAULT.edit, b"", b"!", part=0), ValueError, "old must not be empty"),
        (partial(ANY_FAULT.edit, b"!", "?", part=0), TypeError, "new must be bytes, not '?'"),
        (partial(ANY_FAULT.edit, b"!", (b"?", -1), part=0), ValueError, "times must be at least 0, not -1"),
        (partial(ANY_FAULT.finish, "!", part=0), TypeError, "data must be bytes, not '!'"),
        (partial(ANY_FAULT.finish, part=None), TypeError, "part must be an int, not None"),
        (partial(ANY_FAULT.instead, 0), ValueError, "status must be at least 100, not 0"),
        (partial(ANY_FAULT.instead, 200, "!"), TypeError, "content must be bytes, not '!'"),
        (partial(ANY_FAULT.length, 1.5), TypeError, "off must be an int, not 1.5"),
        (partial(ANY_FAULT.chunks, 0), ValueError, "size must be at least 1, not 0"),
        (partial(ANY_FAULT.chunks, -1), ValueError, "size must be at least 1, not -1"),
        (partial(ANY_FAULT.pieces, 0), ValueError, "size must be at least 1, not 0"),
        (partial(ANY_FAULT.pieces, 1, -0.5), ValueError, "seconds must be at least 0, and not without end, not -0.5"),
        (
            partial(ANY_FAULT.pieces, 1, math.nan),
            ValueError,
            "seconds must be at least 0, and not without end, not nan",
        ),
        (
            partial(ANY_FAULT.pieces, 1, math.inf),
            ValueError,
            "seconds must be at least 0, and not without end, not inf",
        ),
        (partial(ANY_FAULT.header, "A", 3), TypeError, "value of a header must be a str, not 3"),
        (partial(ANY_FAULT.header, b"A", None), TypeError, "name of a header must be a str, not b'A'"),
        (
            partial(ANY_FAULT.header, "A", "b\r\nC: d"),
            ValueError,
            "value of a header must be one line of Latin-1, not 'b\\r\\nC: d'; Fault.insert sends any bytes",
        ),
        (partial(ANY_FAULT.header, "A", "\u20ac"), ValueError, "value of a header must be one line of Latin-1"),
        (partial(ADD, FAULTS["empty"], None), TypeError, "unsupported operand type"),
        (partial(ANY_FAULT.pieces, 1, "1"), TypeError, "seconds must be a number, not '1'"),
    ],
    ids=repr,
)
def test_a_fault_that_makes_no_sense_is_refused_where_it_is_made(
    made: Callable[[], Fault], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=re.escape(said)):
        made()


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
@pytest.mark.parametrize("stream", [True, False])
def test_every_fault_fits_the_greeting(path: str, *, stream: bool) -> None:
    said = GREETING(replace(received(stream=stream), path=path))
    plain = b"".join(action for action in faulty(None, said) if isinstance(action, bytes))
    for name, fault in FAULTS.items():
        assert fault.refuses or acts(fault, said, 50) != acts(None, said, 50), name
    assert sent(FAULTS["not done"], said) != plain


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_a_value(name: str) -> None:
    fault = FAULTS[name]
    assert pickle.loads(pickle.dumps(fault)) == fault
    assert len({fault, pickle.loads(pickle.dumps(fault))}) == 1


def received(**fields: Any) -> testing.Received:
    body = json.dumps({"model": "m", **fields}).encode()
    return testing.Received("POST", "/api/chat", (), body, len(body), "")


# --- the server, asked by other clients ------------------------------------------------------------------------------


def test_the_official_client_can_talk_to_it() -> None:
    with serve(reply("Yes, it is.")) as server:
        client = ollama.Client(host=server.url)
        assert client.chat("any", [{"role": "user", "content": "?"}])["message"]["content"] == "Yes, it is."
        assert [part["response"] for part in client.generate("any", "?", stream=True)] == ["Yes,", " it", " is.", ""]
        client._client.close()


def test_http_client_can_talk_to_it() -> None:
    with serve() as server:
        for path, status in (("/", 200), ("/api/nonsense", 404), ("/api/chat", 405)):
            connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
            connection.request("GET", path)
            assert connection.getresponse().status == status
            connection.close()
        assert [request.path for request in server.requests] == ["/", "/api/nonsense", "/api/chat"]
        assert server.connections == 3


def test_several_faults_are_met_in_turn_and_then_none() -> None:
    too_many = FAULTS["error of too many"]
    with serve(fault=[too_many, None, FAULTS["error of a panic"]]) as server, httpx.Client() as client:
        found = [client.post(f"{server.url}/api/chat", json={"stream": False}).status_code for _ in range(5)]
        assert found == [429, 200, 500, 200, 200]
        server.fault = too_many
        found = [client.post(f"{server.url}/api/chat", json={"stream": False}).status_code for _ in range(2)]
        assert (found, server.fault) == ([429, 429], too_many)


def test_connections_are_refused_for_as_long_as_it_is_set() -> None:
    with serve() as server, httpx.Client(timeout=30) as client:
        url = f"{server.url}/api/version"
        for _ in range(3):
            assert client.get(server.url).text == "Ollama is running"  # keeps a connection
            server.fault = FAULTS["refused"]
            for _ in range(2):
                with pytest.raises(httpx.ConnectError):
                    client.get(url)
            server.fault = None
        with pytest.raises(ValueError, match="a refused connection has no request"):
            server.fault = [None, FAULTS["refused"]]


@pytest.mark.parametrize("wrong", ["refused", ["refused"], 1, [1]])
def test_what_is_no_fault_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"fault must be a Fault, such as FAULTS\['refused'\]"), serve(fault=wrong):
        pass


def test_who_leaves_is_noticed_and_what_is_under_way_is_told() -> None:
    with serve(fault=Fault.cut("stall", part=1)) as server:
        with httpx.Client() as client, client.stream("POST", f"{server.url}/api/chat", json={}) as response:
            lines = response.iter_lines()
            assert next(lines)
            eventually(lambda: server.underway == 0)  # a stall is no work
            assert server.abandoned == []
        eventually(lambda: server.abandoned == server.requests)


def test_what_goes_wrong_in_a_function_of_replies_is_raised_at_the_end() -> None:
    def answer(_: testing.Received) -> Reply:
        raise LookupError("no such reply")

    with (
        pytest.raises(LookupError, match="no such reply"),
        serve(answer) as server,
        httpx.Client() as client,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        client.get(server.url)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\r\n\r\n", "no request begins with ''"),
        (b"GET /\r\n\r\n", "no request begins with 'GET /'"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", r"no request begins with '\x16\x03\x01\x02\x00'"),
        (b"\x16\x03\x01\x02\x00", r"no request begins with '\x16\x03\x01\x02\x00'"),
        (b"a" * 70_000, "no end of line or head in 65536 bytes"),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "no size is 'x'"),
        (b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n123456789", "no size is '-5'"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "no size is 'x'"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 5000 + b"\r\n", "no size is 'fff"),
    ],
)
def test_who_speaks_no_http_gets_a_400_and_nobody_else_is_troubled(data: bytes, said: str) -> None:
    with serve() as server:
        with socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0), timeout=10) as stray:
            stray.sendall(data)
            assert stray.recv(100).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        (why,) = server.rejected
        assert why.startswith(said)
        assert ollama_fast.generate(server.url, "m", "Hi")["done"] is True
        assert [request.path for request in server.requests] == ["/api/generate"]


def test_https_is_answered_at_once(both: Colour) -> None:
    with serve() as server:
        error = both.attempt("version", Host(server.url.replace("http:", "https:"), timeout=60)).error
    assert "what listens there speaks no TLS" in str(error)


def test_json_that_is_nested_too_deeply_is_no_json() -> None:
    with serve() as server, httpx.Client() as client:
        assert client.post(f"{server.url}/api/chat", content=b"[" * 500_000).status_code == 501


@pytest.mark.parametrize("wrong", ["Yes.", {"response": "Yes."}, None])
def test_what_gives_no_reply_is_told(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"answer must be a function, such as reply\('Yes.'\) makes"), serve(wrong):
        pass
    told = pytest.raises(TypeError, match="what answers GET / must give a Reply, not ")
    with told, serve(lambda _: wrong) as server, httpx.Client() as client, pytest.raises(httpx.RemoteProtocolError):
        client.get(server.url)


def test_the_server_ends_while_replies_have_no_end() -> None:
    client = httpx.Client()
    with serve(fault=FAULTS["endless line"]) as server:
        response = client.send(client.build_request("POST", f"{server.url}/api/chat", json={}), stream=True)
        assert response.status_code == 200
    client.close()
    with serve(fault=FAULTS["nothing is said"]) as server:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
        connection.request("POST", "/api/chat", "{}")
        eventually(lambda: len(server.requests) == 1)
    connection.close()


@pytest.mark.parametrize("name", ["endless headers", "endless header", "endless informational"])
def test_a_head_without_end_is_sent_and_not_gathered(name: str) -> None:
    with serve(fault=FAULTS[name]) as server, socket.create_connection(("127.0.0.1", _port(server)), 30) as connection:
        connection.sendall(b"POST /api/chat HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        connection.recv(1)
        tracemalloc.start()
        try:
            left = 20 * 2**20
            while left > 0:
                left -= len(connection.recv(1 << 18))
            assert tracemalloc.get_traced_memory()[1] < 5 * 2**20
        finally:
            tracemalloc.stop()


def _port(server: Server) -> int:
    port = urlsplit(server.url).port
    assert port is not None
    return port


# --- what it needs ---------------------------------------------------------------------------------------------------


def test_it_needs_the_standard_library_alone_and_no_call_needs_it() -> None:
    package = Path(ollama_fast.__file__).parent
    beyond = {
        "_recorder": {"ollama_fast"},
        "_recording": {"ollama_fast"},
        "_recording_file": {"ollama_fast"},
        "_upstream": {"httpx", "ollama_fast"},
    }
    for file in package.rglob("*.py"):
        inside, may = file.parent.name == "testing", file.parent.name in {"testing", "cli", "bench"}
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert not (inside and node.level > 1), (file, node.module)
                assert may or node.module not in {"testing", "ollama_fast.testing"}, file
                names = [node.module or ""] if node.level == 0 else []
            if inside:
                allowed = sys.stdlib_module_names | beyond.get(file.stem, set())
                assert {name.partition(".")[0] for name in names} <= allowed, (file, names)


def test_what_is_pure_knows_no_sockets() -> None:
    room = Path(testing.__file__).parent
    for name in ("_values", "_replies", "_wire", "_fault_steps", "_faults", "_named_faults", "_matching"):
        named = re.findall(
            r"^ *(?:from|import) ([\w.]+)", (room / f"{name}.py").read_text(encoding="utf-8"), re.MULTILINE
        )
        assert named
        assert not {"socket", "select", "selectors", "threading", "._loopback", "._incoming", "._serving"} & set(
            named
        ), name


def hints(found: Any) -> Iterator[Any]:
    """Give the types of all that a caller sees of a public thing."""
    own = list(vars(found).values()) if inspect.isclass(found) else []
    seen = [found, *(one.fget if isinstance(one, property) else getattr(one, "__func__", one) for one in own)]
    for one in seen:
        if inspect.isclass(one) or (inspect.isfunction(one) and not one.__name__.startswith("_")):
            # What a fault is made of is its own business: public.md promises the functions that make one.
            yield from (hint for name, hint in get_type_hints(one).items() if (one, name) != (Fault, "steps"))


def classes(hint: Any) -> Iterator[type]:
    """Give the classes of this package in a type."""
    if inspect.isclass(hint) and hint.__module__.startswith("ollama_fast"):
        yield hint
    for part in get_args(hint):
        yield from (found for each in (part if isinstance(part, list) else [part]) for found in classes(each))


@pytest.mark.parametrize("name", testing.__all__)
def test_what_is_public_gives_and_takes_what_is_public(name: str) -> None:
    found = {one for hint in hints(getattr(testing, name)) for one in classes(hint)}
    rooms = (testing, ollama_fast)
    assert {one for one in found if not any(getattr(room, one.__name__, None) is one for room in rooms)} == set()


def test_it_loads_nothing_that_is_heavy() -> None:
    code = "import sys, ollama_fast.testing\nprint(*sorted({'pytest', 'httpx', 'orjson', 'pydantic'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_it_does_without_what_windows_has_not() -> None:
    code = """
        import select
        for name in {"poll", "epoll", "kqueue"} & {*vars(select)}:
            delattr(select, name)
        import selectors, socket, urllib.error, urllib.request  # selectors looks at what select has
        assert not hasattr(selectors, "PollSelector")
        vars(socket).pop("SO_REUSEPORT", None)
        from ollama_fast.testing import FAULTS, serve
        with serve() as server:
            print(urllib.request.urlopen(server.url).read().decode())
            server.fault = FAULTS["refused"]
            try:
                urllib.request.urlopen(server.url)
            except urllib.error.URLError as error:
                print(type(error.reason).__name__)
            server.fault = None
            print(urllib.request.urlopen(server.url).read().decode())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    running = "Ollama is running"
    assert done.stdout.splitlines() == [running, "ConnectionRefusedError", running], done.stderr


# --- the plugin ------------------------------------------------------------------------------------------------------


def test_the_package_has_the_entry_point() -> None:
    (found,) = importlib.metadata.entry_points(group="pytest11", name="ollama_fast")
    assert found.value == "_ollama_fast_pytest"
    assert found.dist is not None
    assert found.dist.name == "ollama_fast"


def test_the_fixture_is_there_for_a_suite_that_asks_and_no_other_notices(tmp_path: Path) -> None:
    (tmp_path / "test_asks.py").write_text(
        textwrap.dedent("""
            import urllib.request

            from ollama_fast.testing import FAULTS


            def test_asks(ollama_server):
                assert urllib.request.urlopen(ollama_server.url).read() == b"Ollama is running"
                assert len(ollama_server.requests) == 1
                ollama_server.fault = FAULTS["refused"]


            def test_another(ollama_server):
                assert ollama_server.requests == []


            def test_does_not_ask(request):
                assert "ollama_server" not in request.fixturenames
                assert not [name for name in request.fixturenames if "ollama" in name]
        """),
        encoding="utf-8",
    )
    assert "3 passed" in pytest_in(tmp_path)
    shown = pytest_in(tmp_path, "--fixtures")
    assert "ollama_server" in shown
    assert "Run a server in place of Ollama" in shown


def test_a_run_that_does_not_ask_loads_nothing_of_the_package(tmp_path: Path) -> None:
    (tmp_path / "test_loads.py").write_text(
        textwrap.dedent("""
            import sys


            def test_loads():
                assert "_ollama_fast_pytest" in sys.modules
                assert not [name for name in sys.modules if name.partition(".")[0] == "ollama_fast"]
        """),
        encoding="utf-8",
    )
    assert "1 passed" in pytest_in(tmp_path)
