"""A fork beside a server of `ollama_fast.testing`: a child has nothing that could keep its faults from a client."""

from __future__ import annotations

import os

import pytest

from programs import program

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

BEFORE = """
import socket, warnings
from contextlib import contextmanager
from ollama_fast.testing import FAULTS, Fault, reply, serve
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of a fork beside threads

@contextmanager
def child(does=lambda: None):
    ends, end = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(end)
        does()
        os.read(ends, 1)
        os._exit(0)
    os.close(ends)
    try:
        yield
    finally:
        os.close(end)
        assert os.waitpid(pid, 0)[1] == 0

def ask(sock):
    sock.sendall(b'POST /api/chat HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 13\\r\\n\\r\\n{"model":"m"}')

def connected(server):
    return socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), 10)
"""

CLOSED = """
with serve(reply("a b")) as server, connected(server) as sock:
    ask(sock)
    while not sock.recv(65536).endswith(b"0\\r\\n\\r\\n"): pass
    with child():
        server.fault = Fault.cut(sys.argv[1], part=1)
        ask(sock)
        try:
            while sock.recv(65536): pass
            print("an end")
        except ConnectionResetError:
            print("a reset")
"""

REFUSED = """
with serve(reply("a b")) as server:
    with child():
        server.fault = FAULTS["refused"]
        try:
            connected(server)
        except ConnectionRefusedError:
            print("refused")
        server.fault = None
        for _ in range(20):  # a listener that nobody accepts from would get some of them
            with connected(server) as sock:
                ask(sock)
                assert sock.recv(65536).startswith(b"HTTP/1.1 200 OK")
"""

STOPPED = """
children = child()
with serve(reply("a b")) as server:
    children.__enter__()
try:
    connected(server)
except ConnectionRefusedError:
    print("refused")
children.__exit__(None, None, None)
"""

LEFT = """
with serve(reply("a b")) as server:
    with connected(server) as sock:
        ask(sock)
        while not sock.recv(65536).endswith(b"0\\r\\n\\r\\n"): pass
        pid = os.fork()
        if not pid:
            server.fault = FAULTS["refused"]
            server.fault = None
            sys.exit(0)  # which leaves the block in the child, too
        assert os.waitpid(pid, 0)[1] == 0
        ask(sock)
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 OK")
        print(len(server.requests))
"""


@pytest.mark.parametrize(
    ("code", "how", "said"),
    [
        pytest.param(CLOSED, "close", "an end", id="closed"),
        pytest.param(CLOSED, "half-close", "an end", id="half-closed"),
        pytest.param(CLOSED, "reset", "a reset", id="reset"),
        pytest.param(REFUSED, "", "refused", id="refused"),
        pytest.param(STOPPED, "", "refused", id="stopped"),
        pytest.param(LEFT, "", "2", id="left by the child"),
    ],
)
def test_a_child_of_a_fork_keeps_nothing_open(code: str, how: str, said: str) -> None:
    with program(BEFORE + code, how) as running:
        ended = running.end(30)
    assert (ended.code, ended.out.strip()) == (0, said), ended.err
