"""Connections: kept, shared, closed, forgotten; and proxies, which are for other machines."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import ollama_fast
from colours import Colour
from ollama_fast import Host, Limits, Timeout, aio
from ollama_fast._pool import PoolKey
from ollama_fast._transport import Transport
from ollama_fast.errors import HostError
from replay import Received, ReplayServer, replay
from transports import GENEROUS

VERSION = b'{"version":"1.2.3"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(VERSION), VERSION)


def respond(_request: Received) -> Iterator[bytes]:
    yield ANSWER


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    with replay(respond=respond) as running:
        yield running


def test_calls_in_a_row_share_a_connection(server: ReplayServer) -> None:
    for _ in range(5):
        assert ollama_fast.version(server.url) == {"version": "1.2.3"}
    # What does not make a connection does not make a pool.
    ollama_fast.version(Host(server.url, headers={"a": "b"}, auth="x", timeout=5))
    assert server.connections == 1

    async def five_more() -> None:
        for _ in range(5):
            await aio.version(server.url)

    asyncio.run(five_more())
    assert server.connections == 2
    assert len(server.requests) == 11


def test_a_stream_gives_its_connection_back() -> None:
    line = b'{"model":"m","created_at":"","response":"x","done":true}\n'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"

    def stream(_request: Received) -> Iterator[bytes]:
        yield head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(line), line)

    with replay(respond=stream) as server:
        for _ in range(3):
            assert len(list(ollama_fast.generate_stream(server.url, "m"))) == 1
        assert server.connections == 1


def leave(host: Host, way: str) -> object:
    stream = ollama_fast.generate_stream(host, "m")
    if way == "with":
        with stream:
            next(stream)
    elif way == "with, before a part":
        with stream:
            pass
    else:
        next(stream)
        stream.close()
    return stream


async def leave_async(host: Host, way: str) -> object:
    stream = aio.generate_stream(host, "m")
    if way == "with":
        async with stream:
            await anext(stream)
    elif way == "with, before a part":
        async with stream:
            pass
    else:
        await anext(stream)
        await stream.aclose()
    return stream


@pytest.mark.parametrize("way", ["close", "with", "with, before a part"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["blocking", "asyncio"])
def test_a_stream_that_was_left_takes_no_place_though_somebody_still_has_it(
    over: str, way: str, *, asynchronous: bool
) -> None:
    def talk(_request: Received) -> Iterator[bytes | float]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n"
        for _ in range(200):
            yield b'{"model":"m","created_at":"","response":"x","done":false}\n'
            yield 0.05

    with replay(respond=talk) as server:
        host = Host(server.url, limits=Limits(max_connections=1), timeout=Timeout(pool=GENEROUS))

        async def all_of_them() -> list[object]:
            return [await leave_async(host, way) for _ in range(3)]

        left = asyncio.run(all_of_them()) if asynchronous else [leave(host, way) for _ in range(3)]
        assert len(left) == server.connections == 3


def test_what_makes_a_connection_makes_a_pool() -> None:
    url = "http://127.0.0.1:1"
    hosts = [
        Host(url),
        Host(url, limits=Limits(max_connections=1)),
        Host(url, proxy="http://p:1"),
        Host(url, verify=False),
    ]
    more = [
        Host(url, auth="x", timeout=1),
        Host(url, limits=Limits(max_line_bytes=1, max_head_bytes=2, max_body_bytes=3)),
    ]
    assert len({PoolKey.of(host) for host in [*hosts, *more]}) == len(hosts)


def test_closed_pools_are_opened_again(server: ReplayServer) -> None:
    for closed in (None, server.url, Host(server.url), "127.0.0.1:1"):
        ollama_fast.version(server.url)
        ollama_fast.close(closed)
    ollama_fast.version(server.url)
    assert server.connections == 4  # closing another host closed nothing here

    async def run() -> None:
        for closed in (None, server.url, "127.0.0.1:1"):
            await aio.version(server.url)
            await aio.close(closed)
        await aio.version(server.url)

    asyncio.run(run())
    asyncio.run(aio.close())  # a loop that has no pools
    assert server.connections == 7


def test_the_handler_of_a_signal_may_close_in_the_midst_of_a_first_call(
    server: ReplayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = PoolKey.make

    def make_and_close(self: PoolKey, kind: type[Transport]) -> Transport:
        ollama_fast.close()
        return make(self, kind)

    monkeypatch.setattr(PoolKey, "make", make_and_close)
    assert ollama_fast.version(server.url) == {"version": "1.2.3"}


def test_many_threads_share_the_functions(server: ReplayServer) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: ollama_fast.version(server.url), range(64)))
    assert answers == [{"version": "1.2.3"}] * 64
    assert server.connections <= 8


def test_many_tasks_share_the_functions(server: ReplayServer) -> None:
    async def run() -> list[object]:
        return list(await asyncio.gather(*(aio.version(server.url) for _ in range(64))))

    assert asyncio.run(run()) == [{"version": "1.2.3"}] * 64


def in_a_process(code: str, url: str, *flags: str, **environ: str) -> str:
    """Run *code* in an interpreter of its own, with warnings as errors; give what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *flags, "-c", textwrap.dedent(code)],
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        | {"OLLAMA_HOST": url, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == "", done.stderr
    assert done.returncode == 0
    return done.stdout.strip()


def test_three_event_loops_in_a_row_work_and_leave_nothing_open(server: ReplayServer) -> None:
    code = """
        import asyncio, gc
        from ollama_fast import aio

        async def main():
            for _ in range(3):
                print((await aio.version(None))["version"], end=" ")

        for _ in range(3):
            asyncio.run(main())
            gc.collect()
    """
    assert in_a_process(code, server.url) == " ".join(["1.2.3"] * 9)
    assert server.connections == 3


def test_uvloop_works_as_well(server: ReplayServer) -> None:
    pytest.importorskip("uvloop", reason="uvloop is not to be had on this platform")
    code = """
        import uvloop
        from ollama_fast import aio

        async def main():
            print((await aio.version(None))["version"])

        for _ in range(2):
            uvloop.run(main())
    """
    assert in_a_process(code, server.url, "-W", "default::DeprecationWarning") == "1.2.3\n1.2.3"


def test_an_interpreter_that_ends_with_connections_open_says_nothing(server: ReplayServer) -> None:
    assert in_a_process("import ollama_fast; print(ollama_fast.version(None))", server.url) == "{'version': '1.2.3'}"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_makes_its_own_connections(server: ReplayServer) -> None:
    code = """
        import asyncio, os
        import ollama_fast
        from ollama_fast import aio

        def child(call):
            pid = os.fork()
            if pid == 0:
                ok = call() == {"version": "1.2.3"}
                ollama_fast.close()
                os._exit(0 if ok else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

        ollama_fast.version(None)
        child(lambda: ollama_fast.version(None))
        ollama_fast.version(None)

        async def main():
            await aio.version(None)
            child(lambda: ollama_fast.version(None))
            await aio.version(None)

        asyncio.run(main())
        child(lambda: asyncio.run(aio.version(None)))
        print("done")
    """
    assert in_a_process(code, server.url) == "done"
    assert server.connections == 5  # a blocking and an asyncio one of the parent's, and one per child


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.parametrize(
    "ends",
    ["runner.get_loop().run_until_complete(runner.get_loop().shutdown_asyncgens())", "runner.close()"],
    ids=["its generators", "all of it"],
)
def test_a_forked_child_that_ends_the_loop_of_its_parent_leaves_it_its_connections(
    server: ReplayServer, over: str, ends: str
) -> None:
    del over
    code = f"""
        import asyncio, os
        from ollama_fast import Host, Limits, aio

        host = Host(os.environ["OLLAMA_HOST"], limits=Limits(keepalive_expiry=60))

        async def main():
            await aio.version(host)
            pid = os.fork()
            if pid == 0:
                return True
            # Nobody else may wait with the selector of this loop, which the two share.
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            for _ in range(2):
                print(await asyncio.wait_for(aio.version(host), {GENEROUS}))
            return False

        runner = asyncio.Runner()
        if runner.run(main()):
            {ends}
            os._exit(0)
        runner.close()
    """
    assert in_a_process(code, server.url).splitlines() == ["{'version': '1.2.3'}"] * 2
    assert server.connections == 1  # which was kept


@pytest.mark.parametrize(
    "host",
    [Host("127.0.0.1", proxy="foo://x"), Host("https://127.0.0.1", verify="/nowhere.pem")],
    ids=repr,
)
def test_settings_that_no_connection_can_be_made_with_are_a_host_error(both: Colour, host: Host) -> None:
    for seen in (both.attempt("version", host), both.parts("chat_stream", host, "m")):
        assert type(seen.error) is HostError
        assert "127.0.0.1" in str(seen.error)


# --- proxies ---------------------------------------------------------------------------------------------------------


def test_loopback_hosts_bypass_the_proxies_of_the_environment(
    both: Colour, server: ReplayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert both.whole("version", server.url) == {"version": "1.2.3"}


def test_other_hosts_go_through_the_proxy_of_the_environment(
    both: Colour, server: ReplayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    assert both.whole("version", f"http://ollama-{both}.invalid:1234") == {"version": "1.2.3"}
    assert server.requests[-1].path == f"http://ollama-{both}.invalid:1234/api/version"


def test_a_proxy_given_by_name_is_used_for_loopback_too(both: Colour, server: ReplayServer) -> None:
    assert both.whole("version", Host("127.0.0.1:9", proxy=server.url)) == {"version": "1.2.3"}
    assert server.requests[-1].path == "http://127.0.0.1:9/api/version"


@pytest.mark.fast  # httpx leaves a warning for each socket of a loop that was closed so
def test_loops_that_are_closed_without_a_word_do_not_pile_up(server: ReplayServer) -> None:
    loops = []
    for _ in range(5):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(aio.version(server.url))
        loop.close()
        loops.append(weakref.ref(loop))
        del loop
    gc.collect()
    assert [ref() is not None for ref in loops] == [False] * 4 + [True]  # the last goes when the next one comes
    asyncio.run(aio.version(server.url))
    gc.collect()
    assert loops[-1]() is None


@pytest.mark.fast
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="/proc is Linux's")
def test_a_loop_that_ends_leaves_nothing_open(server: ReplayServer) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    asyncio.run(aio.version(server.url))
    gc.collect()
    gc.disable()  # what is closed in time needs no collector
    try:
        before = count()
        for _ in range(5):
            asyncio.run(aio.version(server.url))
        deadline = time.monotonic() + 10  # the server closes its ends, which are in this process, too, later
        while count() > before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert count() <= before
    finally:
        gc.enable()
