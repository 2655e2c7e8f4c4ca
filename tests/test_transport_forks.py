"""A fork in the middle of use: parent and child each go on, and the child does not disturb the parent."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from colours import Colour
from programs import program
from replay import Received, replay
from transports import CHUNKED, END, chunk, eventually, line, says

pytestmark = pytest.mark.fast

FORK = """
def forked(child):
    said = os.fork()
    if not said:
        code = 1
        try:
            child()
            gc.collect()
            code = 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(said, 0)[1]) == 0
"""

BLOCKING = (
    FORK
    + """
transport = Transport()
client = httpx.Client(transport=transport)
get = lambda: client.get(url + "/whole").text
assert get() == '{"n":1}\\n'
response = transport.handle_request(request(url + "/slow"))
lines = response.extensions["ndjson"]
assert next(lines) == {"n": 1}
"""
)

ASYNC = (
    FORK
    + """
transport = AsyncTransport()
async def get(): return (await (await transport.handle_async_request(request(url + "/whole"))).aread())
async def use():
    for _ in range(3): assert await get() == b'{"n":1}\\n'
async def main(child, after):
    asyncio.get_running_loop().slow_callback_duration = 60  # a fork may take long
    await use()
    response = await transport.handle_async_request(request(url + "/slow"))
    lines = response.extensions["ndjson"]
    assert await anext(lines) == {"n": 1}
    waiting = asyncio.ensure_future(anext(lines)) if after == "waiting" else None
    await asyncio.sleep(0)
    forked(lambda: child(response, lines))
    await use()
    rest = [] if waiting is None else [await waiting]
    rest += [part async for part in lines]
    assert rest == [{"n": 2}], rest
    say("parent", len(os.listdir("/proc/self/fd")) < 30)
"""
)

CHILDREN: dict[str, str] = {
    "blocking, the child uses it": BLOCKING + "forked(lambda: say('child', get()))",
    "blocking, the child closes the response": BLOCKING + "forked(lambda: response.close())",
    "blocking, the child drops everything": BLOCKING
    + """
def child():
    global response, lines, client, transport, get
    del response, lines, client, transport, get
forked(child)""",
    "blocking, the child closes the client": BLOCKING + "forked(lambda: client.close())",
    "blocking, a thread waits in the parent": BLOCKING
    + """
seen = []
thread = threading.Thread(target=lambda: seen.extend(lines))
thread.start()
time.sleep(0.05)
forked(lambda: say('child', get()))
thread.join()
lines = iter(seen)""",
    "blocking, a child of a child": BLOCKING + "forked(lambda: (get(), forked(get), get()))",
    "asyncio, the child uses it": ASYNC + "asyncio.run(main(lambda *_: asyncio.run(use()), ''))",
    "asyncio, the child uses it while a task waits": ASYNC
    + "asyncio.run(main(lambda *_: asyncio.run(use()), 'waiting'))",
    "asyncio, the child closes the response": ASYNC + "asyncio.run(main(lambda response, lines: lines.close(), ''))",
    "asyncio, the child drops everything": ASYNC
    + """
def child(response, lines):
    import ollama_fast._readiness as readiness
    readiness.watches._left_behind.clear()
    gc.collect()
asyncio.run(main(child, 'waiting'))""",
    "asyncio, the child waits for a timeout": ASYNC
    + """
async def late():
    try: await (await transport.handle_async_request(request(url + "/slow", timeout=0.05))).aread()
    except httpx.ReadTimeout: return
    raise AssertionError
asyncio.run(main(lambda *_: asyncio.run(late()), ''))""",
}


@pytest.mark.parametrize("code", CHILDREN.values(), ids=CHILDREN)
def test_a_fork(code: str) -> None:
    def respond(received: Received) -> Iterable[bytes | float]:
        yield from says(CHUNKED, line(1))
        if received.path == "/slow":
            yield from says(0.4, line(2))
        yield END

    is_async = code.startswith(ASYNC)
    if not is_async:
        code += "\nassert list(lines) == [{'n': 2}]\nassert get() == '{\"n\":1}\\n'\nsay('parent', True)"
    with replay(respond=respond) as server, program(code, server.url) as running:
        ended = running.end()
        assert (ended.code, ended.err) == (0, ""), ended
        assert ended.out.endswith("parent True\n")


def test_a_process_pool() -> None:
    """As programs do it: worker processes that are forked while a loop is at work."""
    code = (
        FORK
        + """
import multiprocessing, concurrent.futures
transport = Transport()
def work(number):
    return transport.handle_request(request(url + "/whole")).read()
async def main():
    other = AsyncTransport()
    response = await other.handle_async_request(request(url + "/slow"))
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        loop = asyncio.get_running_loop()
        seen = await asyncio.gather(*(loop.run_in_executor(pool, work, n) for n in range(6)))
    assert seen == [b'{"n":1}\\n'] * 6
    assert [part async for part in response.extensions["ndjson"]] == [{"n": 1}, {"n": 2}]
work(0)
asyncio.run(main())
work(0)
say("parent True")
"""
    )

    def respond(received: Received) -> Iterable[bytes | float]:
        yield from says(CHUNKED, line(1))
        if received.path == "/slow":
            yield from says(0.1, line(2))
        yield END

    with replay(respond=respond) as server, program(code, server.url) as running:
        ended = running.end()
        assert (ended.code, ended.out, ended.err) == (0, "parent True\n", ""), ended


def test_a_stream_that_is_left_ends_for_the_server_though_a_child_has_its_socket(both: Colour) -> None:
    code = """
async def anext_of(stream): return await anext(stream) if asynchronous else next(stream)
import ollama_fast, ollama_fast.aio
async def main():
    asyncio.get_running_loop().slow_callback_duration = 60  # a fork may take long
    module = ollama_fast.aio if asynchronous else ollama_fast
    stream = module.generate_stream(url, "m", "Hi")
    await anext_of(stream)
    child = os.fork()
    if not child:
        sys.stdin.read()
        os._exit(0)
    if asynchronous: await stream.aclose()
    else: stream.close()
    say("left")
    await asyncio.to_thread(sys.stdin.read)
    os.waitpid(child, 0)
asynchronous = %r
asyncio.run(main())
"""

    def respond(_received: Received) -> Iterable[bytes | float]:
        yield CHUNKED + chunk(b'{"response":"x","done":false}\n')
        yield 60.0

    with replay(respond=respond) as server, program(code % both.asynchronous, server.url) as running:
        assert running.heard() == "left"
        eventually(lambda: server.abandoned)
        ended = running.end()
        assert (ended.code, ended.err) == (0, ""), ended
