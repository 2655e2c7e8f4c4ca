"""What is promised of many callers at once: threads, loops, forks, trio, and an interpreter that ends under way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx
import pytest
import trio

import ollama_fast
from colours import Colour
from ollama_fast import Host, aio
from ollama_fast.errors import StreamClosedError
from programs import program
from replay import Received, replay
from transports import CHUNKED, END, chunk, eventually

VERSION: Final = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"version":"1"}'


def part(text: str, *, last: bool = False) -> bytes:
    """Give a chunk with one part."""
    done = b"true" if last else b"false"
    return chunk(b'{"model":"m","created_at":"","response":"%b","done":%b}\n' % (text.encode(), done))


def tell_names(received: Received) -> Iterator[bytes | float]:
    """Answer with parts that tell which model was asked for; of the model "open" only the first comes at once."""
    if received.path in ("/api/version", "/api/tags", "/api/ps"):
        yield VERSION
        return
    name = received.json["model"]
    yield CHUNKED + part(f"{name}:0")
    yield {"open": 0.5, "stalled": 60.0}.get(name, 0.001)
    yield part(f"{name}:1") + part(f"{name}:2", last=True) + END


def test_threads_and_loops_at_once() -> None:
    """Blocking calls in threads and loops of their own in other threads, all to one host: each gets its own answer."""

    def blocking(host: Host, name: str) -> list[str]:
        return [each["response"] for each in ollama_fast.generate_stream(host, name)]

    def on_a_loop(host: Host, name: str) -> list[list[str]]:
        async def one(name: str) -> list[str]:
            return [each["response"] async for each in aio.generate_stream(host, name)]

        async def many() -> list[list[str]]:
            return await asyncio.gather(*(one(f"{name}-{number}") for number in range(10)))

        return asyncio.run(many())

    with replay(respond=tell_names) as server, ThreadPoolExecutor(12) as threads:
        host = Host(server.url)
        answers = [(name, threads.submit(blocking, host, name)) for name in map(str, range(60))]
        loops = [(name, threads.submit(on_a_loop, host, name)) for name in map(chr, range(97, 109))]
        for name, answer in answers:
            assert answer.result(60) == [f"{name}:{number}" for number in range(3)]
        for name, several in loops:
            assert several.result(60) == [[f"{name}-{one}:{number}" for number in range(3)] for one in range(10)]


# --- forks -----------------------------------------------------------------------------------------------------------

FORK: Final = """
import ollama_fast, warnings
from ollama_fast import aio

def child():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12 and later: a fork with threads
        pid = os.fork()
    return pid

def ended(pid):
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

def use():
    assert ollama_fast.version(url) == {"version": "1"}
    assert asyncio.run(aio.version(url)) == {"version": "1"}

def elsewhere(use, *more):
    thread = threading.Thread(target=use, args=more, daemon=True)
    thread.start()
    return thread
"""

# Each program makes its first calls before it forks: a module that another thread is just importing, or a lock that it
# holds in a library of the system, is not to be had in a child. That is Python's and POSIX's own.
FORKS: Final = {
    "a stream is open": """
with ollama_fast.generate_stream(url, "open") as stream:
    seen = [next(stream)]
    if not (pid := child()):
        use()
        os._exit(0)
    ended(pid)
    seen += stream
""",
    "the child closes the open stream and its pools": """
with ollama_fast.generate_stream(url, "open") as stream:
    seen = [next(stream)]
    if not (pid := child()):
        stream.close()
        ollama_fast.close()
        use()
        os._exit(0)
    ended(pid)
    seen += stream
""",
    "a thread reads a stream": """
seen, begun = [], threading.Event()
def read():
    for part in ollama_fast.generate_stream(url, "open"):
        seen.append(part)
        begun.set()
thread = elsewhere(read)
begun.wait()
if not (pid := child()):
    use()
    os._exit(0)
use()
ended(pid)
thread.join()
""",
    "threads call all the time": """
done = threading.Event()
def call():
    while not done.is_set(): assert ollama_fast.version(url) == {"version": "1"}
threads = [elsewhere(call) for _ in range(4)]
for _ in range(10):
    if not (pid := child()):
        use()
        os._exit(0)
    ended(pid)
done.set()
for thread in threads: thread.join()
seen = list(ollama_fast.generate_stream(url, "m"))
""",
    "a task has a stream open": """
async def main():
    async with aio.generate_stream(url, "open") as stream:
        seen = [await anext(stream)]
        if not (pid := child()):
            asyncio._set_running_loop(None)
            use()
            os._exit(0)
        await asyncio.to_thread(ended, pid)
        async for part in stream: seen.append(part)
    return seen
seen = asyncio.run(main())
""",
}


@pytest.mark.parametrize("moment", FORKS)
def test_a_fork_while(moment: str) -> None:
    after = "use()\nassert [part['response'][-2:] for part in seen] == [':0', ':1', ':2'], seen"
    code = "\n".join([FORK, "use()", FORKS[moment], after])
    with replay(respond=tell_names) as server, program(code, server.url) as running:
        ended = running.end(60)
    assert (ended.code, ended.out, ended.err) == (0, "", "")


# --- trio ------------------------------------------------------------------------------------------------------------


async def _trio_client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=30, trust_env=False)


# Closing a response, httpx leaves its own generators of the body to the collection of garbage, and trio says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_on_trio_a_callers_client_streams_and_closes() -> None:
    async def main(url: str) -> None:
        async with await _trio_client(url) as client:
            assert await aio.version(client) == {"version": "1"}
            texts = [each["response"] async for each in aio.generate_stream(client, "m")]
            assert texts == ["m:0", "m:1", "m:2"]
            async with aio.generate_stream(client, "stalled") as stream:
                await anext(stream)
            with pytest.raises(StreamClosedError):
                await anext(stream)
            assert stream.partial is not None
            assert stream.partial["response"] == "stalled:0"

    with replay(respond=tell_names) as server:
        trio.run(main, server.url)
        eventually(lambda: len(server.abandoned) == 1)


def test_on_trio_a_cancel_scope_frees_the_connection() -> None:
    async def main(url: str) -> None:
        async with await _trio_client(url) as client:
            for form in ("with", "loop"):
                texts: list[Any] = []
                with trio.CancelScope() as scope:
                    stream = aio.generate_stream(client, "stalled")
                    if form == "with":
                        async with stream:
                            async for each in stream:
                                texts.append(each["response"])
                                scope.deadline = trio.current_time() + 0.05
                    else:
                        async for each in stream:
                            texts.append(each["response"])
                            scope.deadline = trio.current_time() + 0.05
                assert scope.cancelled_caught
                assert texts == ["stalled:0"]
            async with trio.open_nursery() as nursery:  # many at once, and the pool is as good as before
                for number in range(5):
                    nursery.start_soon(_whole, client, str(number))

    with replay(respond=tell_names) as server:
        trio.run(main, server.url)
        eventually(lambda: len(server.abandoned) == 2)


async def _whole(client: httpx.AsyncClient, name: str) -> None:
    assert [each["response"] async for each in aio.generate_stream(client, name)] == [f"{name}:{n}" for n in range(3)]


def test_without_a_client_trio_is_told_what_to_do(both: Colour) -> None:
    async def main(url: str) -> None:
        if both.asynchronous:
            with pytest.raises(RuntimeError, match=r"on trio give an httpx\.AsyncClient"):
                await aio.version(url)
        else:  # as in any thread
            assert await trio.to_thread.run_sync(ollama_fast.version, url) == {"version": "1"}

    with replay(respond=tell_names) as server:
        trio.run(main, server.url)


# --- loops in a row, and the end of the interpreter ------------------------------------------------------------------

USE: Final = """
import atexit
import ollama_fast
from ollama_fast import aio
"""

ENDS: Final = {
    "connections are kept": """
ollama_fast.version(url)
asyncio.run(aio.version(url))
assert ollama_fast.doctor(url).findings
""",
    "the functions in place of ollama's keep theirs": """
os.environ["OLLAMA_HOST"] = url
from ollama_fast import compat
assert len([*compat.generate("m", stream=True)]) == 3
""",
    "a stream is open": """
stream = ollama_fast.generate_stream(url, "stalled")
next(stream)
""",
    "a stream is open in a cycle": """
stream = ollama_fast.generate_stream(url, "stalled")
next(stream)
cycle = [stream]
cycle.append(cycle)
del stream, cycle
gc.disable()
""",
    "a block is left by exit": """
with ollama_fast.generate_stream(url, "stalled") as stream:
    for part in stream: sys.exit(0)
""",
    "a generator of the program is suspended": """
def texts():
    with ollama_fast.generate_stream(url, "stalled") as stream:
        for part in stream: yield part["response"]
left = texts()
next(left)
""",
    "a daemon thread reads": """
begun = threading.Event()
def read():
    for part in ollama_fast.generate_stream(url, "stalled"): begun.set()
threading.Thread(target=read, daemon=True).start()
begun.wait()
""",
    "a daemon thread's loop is busy, and so are others'": """
async def main():
    asyncio.get_running_loop().slow_callback_duration = 60  # else a busy machine is reported
    while True: await asyncio.gather(*(aio.version(url) for _ in range(5)))
for _ in range(6): threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
time.sleep(0.3)
""",
    "a daemon thread's loop is busy, and a handler of the program's stops it": """
loop = asyncio.new_event_loop()
loop.slow_callback_duration = 60
async def main():
    while True: await aio.version(url)
thread = threading.Thread(target=loop.run_forever, daemon=True)
def stop():
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
atexit.register(stop)
task = loop.create_task(main())
thread.start()
time.sleep(0.3)
""",
    "calls are made at exit": """
atexit.register(lambda: ollama_fast.version(url))
atexit.register(lambda: list(ollama_fast.generate_stream(url, "m")))
ollama_fast.version(url)
""",
    "a task reads": """
async def read():
    async for part in aio.generate_stream(url, "stalled"): begun.set()
async def main():
    global begun, task
    begun = asyncio.Event()
    task = asyncio.create_task(read())
    await begun.wait()
asyncio.run(main())
""",
    "a stream of asyncio is open": """
async def main():
    global stream
    stream = aio.generate_stream(url, "stalled")
    await anext(stream)
asyncio.run(main())
""",
    "loops in a row leave streams open": """
left = []
async def main():
    stream = aio.generate_stream(url, "stalled")
    await anext(stream)
    left.append(stream)
    assert await aio.version(url) == {"version": "1"}
for _ in range(4): asyncio.run(main())
""",
    "a block of asyncio is left by exit": """
async def main():
    async with aio.generate_stream(url, "stalled") as stream:
        async for part in stream: sys.exit(0)
asyncio.run(main())
""",
    "an async generator of the program is suspended": """
async def texts():
    async with aio.generate_stream(url, "stalled") as stream:
        async for part in stream: yield part["response"]
async def main():
    global left
    left = texts()
    await anext(left)
asyncio.run(main())
""",
}


# Over httpx a daemon thread is told by an error: its own pool, which is closed at the end, closes what is in use, too.
@pytest.mark.parametrize(
    "moment", [pytest.param(name, marks=pytest.mark.fast if name.startswith("a daemon") else ()) for name in ENDS]
)
def test_the_interpreter_ends_while(moment: str) -> None:
    """In development mode, with warnings as errors: no hang, no message, exit code 0."""
    with replay(respond=tell_names) as server, program(USE + ENDS[moment], server.url) as running:
        ended = running.end(30)
    assert (ended.code, ended.out, ended.err) == (0, "", "")
