"""A program may end with streams open, tasks that wait and threads that read: it says nothing and exits with 0."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from programs import program
from replay import Received, replay
from transports import CHUNKED, END, line, says

pytestmark = pytest.mark.fast

ENDS = {
    "a stream left open": "stream = Transport().handle_request(request(url)).extensions['ndjson']; next(stream)",
    "a client left open": "client = httpx.Client(transport=Transport()); client.get(url + '/whole')",
    "daemon threads that read": """
def read():
    for _ in Transport().handle_request(request(url + "/steady")).extensions["ndjson"]: pass
for _ in range(6): threading.Thread(target=read, daemon=True).start()
time.sleep(0.1)
class Slow:
    def __del__(self, sleep=time.sleep): sleep(0.05)
sys.modules["slow"] = Slow()
""",
    "a daemon thread in a loop": """
async def main():
    lines = (await AsyncTransport().handle_async_request(request(url + "/steady"))).extensions["ndjson"]
    async for _ in lines: pass
threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
time.sleep(0.1)
class Slow:
    def __del__(self, sleep=time.sleep): sleep(0.05)
sys.modules["slow"] = Slow()
""",
    "an asyncio stream left open": """
async def main():
    global stream, waiting
    stream = (await AsyncTransport().handle_async_request(request(url))).extensions["ndjson"]
    assert await anext(stream) == {"n": 1}
asyncio.run(main())
""",
    "a task that waits": """
async def main():
    global stream, waiting
    stream = (await AsyncTransport().handle_async_request(request(url))).extensions["ndjson"]
    async def read():
        async for _ in stream: pass
    waiting = asyncio.create_task(read())
    await asyncio.sleep(0.02)
asyncio.run(main())
""",
    "exit in the middle": """
async def main():
    response = await AsyncTransport().handle_async_request(request(url))
    async for _ in response.extensions["ndjson"]: sys.exit(0)
asyncio.run(main())
""",
}


@pytest.mark.parametrize("moment", ENDS)
def test_the_end_of_the_interpreter(moment: str) -> None:
    # In asyncio's debug mode futures look at source files, and there Python up to 3.13 may end a daemon thread by a
    # means that no frame of Rust survives.
    develop = moment != "a daemon thread in a loop"

    def respond(received: Received) -> Iterable[bytes | float]:
        yield from says(CHUNKED, line(1))
        if received.path == "/whole":
            yield END
        elif received.path == "/steady":
            for number in range(100_000):
                yield line(number)
                yield 0.0005
        yield 30.0

    with replay(respond=respond) as server, program(ENDS[moment], server.url, develop=develop) as running:
        ended = running.end()
        assert (ended.code, ended.out, ended.err) == (0, "", "")
