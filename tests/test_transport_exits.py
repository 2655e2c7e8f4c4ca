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
    "daemon threads whose loops make calls": """
class Loop(asyncio.SelectorEventLoop):
    def create_future(self):
        time.sleep(0.02)  # at the end of the program they are all in Python, called from the core
        return super().create_future()
async def main():
    transport = AsyncTransport()
    async def call(): await (await transport.handle_async_request(request(url + "/whole"))).aread()
    while True: await asyncio.gather(*(call() for _ in range(5)))
def run():
    with asyncio.Runner(loop_factory=Loop) as runner: runner.run(main())
for _ in range(6): threading.Thread(target=run, daemon=True).start()
time.sleep(0.5)
class Slow:
    def __del__(self, sleep=time.sleep): sleep(0.1)
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
    def respond(received: Received) -> Iterable[bytes | float]:
        yield from says(CHUNKED, line(1))
        if received.path == "/whole":
            yield END
            return
        if received.path == "/steady":
            for number in range(100_000):
                yield line(number)
                yield 0.0005
        yield 30.0

    with replay(respond=respond) as server, program(ENDS[moment], server.url) as running:
        ended = running.end()
        assert (ended.code, ended.out, ended.err) == (0, "", "")
