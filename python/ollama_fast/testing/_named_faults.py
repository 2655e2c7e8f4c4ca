"""The faults that have a name. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from ._fault_steps import NoModel, Piece
from ._faults import Fault
from ._replies import JSON, LINES
from ._wire import chunk

_OTHER_REPLY: Final = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"error":"evil"}'
_AFTER_STATUS: Final = len(b"HTTP/1.1 200 OK\r\n")
_MARK: Final = b',"done":'
"""What every part of a generate or chat holds, for fields more before it."""


def _field(*pieces: Piece, part: int = 2) -> Fault:
    return Fault.edit(_MARK, b',"extra":', *pieces, _MARK, part=part)


class _Named(dict[str, Fault]):
    """Faults by name, which know what may be meant by a name that none has."""

    def __missing__(self, name: object) -> Fault:
        near = get_close_matches(name, self, cutoff=0.5) if isinstance(name, str) else []
        meant = f"did you mean {' or '.join(map(repr, near))}?" if near else "list(FAULTS) gives all names"
        raise KeyError(f"no fault is called {name!r}; {meant}")


FAULTS: Final[Mapping[str, Fault]] = _Named(
    {
        # The connection.
        "refused": Fault.refuse(),
        "nothing is said": Fault.cut("stall", byte=0),
        "closed before the head": Fault.cut("close", byte=0),
        "reset before the head": Fault.cut("reset", byte=0),
        "closed in the head": Fault.cut("close", byte=40),
        "reset in the head": Fault.cut("reset", byte=40),
        "stalled in the head": Fault.cut("stall", byte=40),
        "closed behind the head": Fault.cut("close", part=0),
        "stalled behind the head": Fault.cut("stall", part=0),
        "closed between parts": Fault.cut("close", part=3),
        "reset between parts": Fault.cut("reset", part=3),
        "half-closed between parts": Fault.cut("half-close", part=3),
        "stalled between parts": Fault.cut("stall", part=3),
        "closed inside a part": Fault.chunks() + Fault.cut("close", byte=-60),
        "reset inside a part": Fault.chunks() + Fault.cut("reset", byte=-60),
        "stalled inside a part": Fault.chunks() + Fault.cut("stall", byte=-60),
        "closed behind the answer": Fault.cut("close"),
        "reset behind the answer": Fault.cut("reset"),
        # How the bytes are cut.
        "one byte at a time": Fault.pieces(1),
        "chunks of one byte": Fault.chunks(1),
        # HTTP.
        "garbage for a head": Fault.insert(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", byte=0),
        "another protocol": Fault.insert(b"SSH-2.0-OpenSSH_9.2p1\r\n", byte=0),
        "wrong status line": Fault.insert(b"X", byte=9),
        "garbage between chunks": Fault.chunks() + Fault.insert(b"\x00\xffgarbage\r\n", part=3),
        "no last chunk": Fault.chunks() + Fault.cut("close", byte=-5),
        "length too long": Fault.length(100) + Fault.cut("close"),
        "length too long, stalled": Fault.length(100) + Fault.cut("stall"),
        "length too short": Fault.length(-100),
        "length of 10 GB": Fault.length(10 * 2**30) + Fault.cut("close"),
        "two lengths": Fault.length(0) + Fault.insert(b"Content-Length: 7\r\n", byte=_AFTER_STATUS),
        "huge chunk": Fault.chunks() + Fault.insert(b"7fffffffffff\r\n", part=3) + Fault.cut("close", part=3),
        "chunk size beyond 64 bits": Fault.chunks()
        + Fault.insert(b"fffffffffffffffff\r\n", part=3)
        + Fault.cut("close", part=3),
        "a second response": Fault.insert(_OTHER_REPLY),
        "informational first": Fault.insert(b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n", byte=0),
        "not compressed as it says": Fault.header("Content-Encoding", "gzip"),
        "redirect of a POST": Fault.instead(301, Location="/api/elsewhere"),
        "redirect in a circle": Fault.instead(307, Location="/api/chat"),
        # Without end.
        "endless headers": Fault.insert(b"X-Padding: %s\r\n" % (b"a" * 1000), byte=_AFTER_STATUS, times=None),
        "endless header": Fault.insert(b"a" * 4096, byte=_AFTER_STATUS, times=None),
        "endless line": Fault.chunks() + Fault.insert(chunk(b"a" * 65536), part=3, times=None),
        "endless informational": Fault.insert(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 40, byte=0, times=None),
        "line of 100 MB": _field(b'"', (b"a", 100 * 2**20), b'"'),
        # What is no answer.
        "empty": Fault.instead(200, b"", LINES),
        "HTML with 200": Fault.instead(200, b"<!DOCTYPE html><title>Log in</title>", "text/html"),
        "HTML with 502": Fault.instead(502, b"<html><h1>502 Bad Gateway</h1></html>", "text/html"),
        "no JSON": Fault.finish(b"Hello!\n", part=3),
        "JSON of another shape": Fault.finish(b'[{"done":true}]\n', part=3),
        "half of a line": Fault.finish(b'{"model":"m","message":{"role":"assist', part=3),
        "no last part": Fault.finish(part=-1),
        "not done": Fault.edit(b'"done":true,"done_reason":', b'"done":false,"extra":', part=-1),
        "nested 10^5 deep": _field((b"[", 10**5), (b"]", 10**5)),
        "NaN": _field(b"NaN"),
        "invalid UTF-8": _field(b'"\xff\xfe"'),
        "lone surrogate": _field(b'"\\ud800"'),
        "duplicated keys": Fault.edit(_MARK, b',"model":"other","model":"smollm2"', _MARK, part=2),
        "null byte": _field(b'"\x00"'),
        # Errors, in every shape in which Ollama and what stands before it say them.
        "error": Fault.instead(400, b'{"error":"invalid options"}', JSON),
        "error of no model": Fault((NoModel(),)),
        "error before the first part": Fault.instead(
            500, b'{"error":"llama runner has terminated"}', "application/json"
        ),
        "error before the first part, with 200": Fault.instead(200, b'{"error":"busy","status":503}\n', LINES),
        "error between parts": Fault.finish(b'{"error":"an error was encountered while running the model"}\n', part=3),
        "error of nobody": Fault.instead(
            401, b'{"error":"unauthorized","signin_url":"https://ollama.com/connect"}', JSON
        ),
        "error of nobody, as a line": Fault.instead(401, b'{"error":"unauthorized"}\n', LINES),
        "error of a struct": Fault.instead(
            404, b'{"StatusCode":404,"Status":"404 Not Found","error":"not here"}', LINES
        ),
        "error of a struct between parts": Fault.finish(
            b'{"StatusCode":500,"Status":"500 Internal Server Error","error":"upstream"}', part=3
        ),
        "error of nobody between parts": Fault.finish(
            b'{"error":"unauthorized","signin_url":"https://ollama.com/connect"}', part=3
        ),
        "error of no route": Fault.instead(404, b"404 page not found", "text/plain"),
        "error of the host": Fault.instead(403),
        "error of a panic": Fault.instead(500),
        "error of too many": Fault.instead(429, b'{"error":"too many requests"}', JSON, Retry_After="1"),
        "error that is JSON in a text": Fault.instead(400, b'{"error":"{\\"error\\":{\\"code\\":400}}"}', JSON),
        "error that is an object": Fault.instead(500, b'{"error":{"message":"overloaded"}}', JSON),
    }
)
"""Faults by name. Those that change content do it to a generate or a chat."""
