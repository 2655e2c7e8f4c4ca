"""Each address of a name is tried; what cannot be reached is a ConnectError."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest

from ollama_fast import _core
from ollama_fast._readiness import watches
from peers import unused_port
from replay import replay
from transports import KINDS, LOOPS, OK, Kind, request, says

pytestmark = pytest.mark.fast

LIMITS: dict[str, float | None] = {"connect": 10.0, "read": 10.0, "write": 10.0, "pool": 10.0}


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_name_of_which_one_address_listens(kind: Kind) -> None:
    with replay(respond=lambda _: says(OK)) as server, kind.session() as session:
        for _ in range(2):
            assert session.get(server.url.replace("127.0.0.1", "localhost")).parts == [{}]
        assert server.connections == 1


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_refused(kind: Kind, host: str) -> None:
    with unused_port() as port, kind.session() as session:
        seen = session.get(f"http://{host}:{port}/")
        assert type(seen.error) is httpx.ConnectError
        assert "refused" in str(seen.error)
        assert session.counts() == (0, 0)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_an_unknown_name(kind: Kind) -> None:
    with kind.session() as session:
        assert type(session.get("http://unknown.invalid/").error) is httpx.ConnectError
        assert session.counts() == (0, 0)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_an_address_of_version_6(kind: Kind) -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listener, kind.session() as session:
        port = listener.getsockname()[1]
        listener.close()
        seen = session.get(f"http://[::1]:{port}/")
        assert type(seen.error) is httpx.ConnectError


@pytest.mark.parametrize("count", [1, 3])
def test_the_next_address_when_blocking(count: int) -> None:
    with unused_port() as port, replay(respond=lambda _: says(OK)) as server:
        good = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        pool = _core.Pool(1, 1, None)
        for addresses in ([*[("127.0.0.1", port)] * count, good], [good]):
            reply = pool.send(
                "name", 1, lambda *_, found=addresses: found, b"GET", b"/", [(b"host", b"name")], b"", LIMITS
            )
            assert reply.read() == b"{}"
        for addresses in ([("127.0.0.1", port)] * count, []):
            with pytest.raises(httpx.ConnectError):
                pool.send("other", 1, lambda *_, found=addresses: found, b"GET", b"/", [(b"host", b"x")], b"", LIMITS)
        assert pool.counts() == (0, 0)


@pytest.mark.parametrize("kind", LOOPS, ids=str)
@pytest.mark.parametrize("count", [1, 3])
def test_the_next_address_on_a_loop(kind: Kind, count: int) -> None:
    async def main(port: int, good: tuple[str, int]) -> None:
        watch = await watches.on(asyncio.get_running_loop())
        pool = _core.AsyncPool(watch.set, 1, 1, None)
        for addresses in ([*[("127.0.0.1", port)] * count, good], [good]):
            reply = pool.send("name", 1, addresses, b"GET", b"/", [(b"host", b"name")], b"", LIMITS, False)
            assert reply is not None
            await reply.head()
            assert await reply.read() == b"{}"
        reply = pool.send(
            "other", 1, [("127.0.0.1", port)] * count, b"GET", b"/", [(b"host", b"x")], b"", LIMITS, False
        )
        assert reply is not None
        with pytest.raises(httpx.ConnectError):
            await reply.head()
        assert pool.counts() == (0, 0)
        assert pool.send("other", 1, [], b"GET", b"/", [(b"host", b"x")], b"", LIMITS, False) is None

    with unused_port() as port, replay(respond=lambda _: says(OK)) as server, kind.session() as session:
        session.run(main(port, ("127.0.0.1", int(server.url.rpartition(":")[2]))))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_two_places_share_no_connection(kind: Kind) -> None:
    with (
        replay(respond=lambda _: says(OK)) as one,
        replay(respond=lambda _: says(OK)) as other,
        kind.session() as session,
    ):
        for server in (one, other, one, other):
            assert session.send(request(server.url)).parts == [{}]
        assert (one.connections, other.connections) == (1, 1)
        assert session.get(one.url.replace("127.0.0.1", "localhost")).parts == [{}]
        assert one.connections == 2
