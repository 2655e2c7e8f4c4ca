"""A core that cannot open sockets, as on Windows: everything works all the same, through httpx's own transports."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import Final

import pytest

from exchange import load_all
from ollama_fast import _core
from replay import replay

SOCKETS: Final = ("Arrived", "AsyncPool", "AsyncReply", "Pool", "ReadinessSet", "Reply", "Wait")
"""What the core has on systems where it opens sockets, and lacks on others."""

WITHOUT_SOCKETS: Final = f"""
import sys
from ollama_fast import _core
for name in {SOCKETS!r}:
    delattr(_core, name)
assert "ollama_fast._transport" not in sys.modules
"""
WITHOUT_FORK: Final = """
import os
for name in ("fork", "register_at_fork"):
    delattr(os, name)
"""
"""The fork hooks are asked for when the package is imported, so this comes first."""

CALLS: Final = """
import asyncio, gc, httpx, os, ollama_fast
from ollama_fast import Host, aio
url = sys.argv[1]

def last(part):
    assert part["done"], part

def blocking(where):
    assert ollama_fast.version(where)["version"]
    assert ollama_fast.is_running(where)
    last(ollama_fast.chat(where, **chat))
    with ollama_fast.chat_stream(where, **stream) as parts:
        *_, newest = parts
    last(newest)
    with ollama_fast.chat_stream(where, **stream) as parts:
        next(parts)
    unfinished = ollama_fast.chat_stream(where, **stream)
    next(unfinished)
    unfinished.close()
    try: ollama_fast.show(where, "no-such-model")
    except ollama_fast.errors.ResponseError: pass
    else: raise SystemExit("no error")

async def by_asyncio(where):
    assert (await aio.version(where))["version"]
    assert await aio.is_running(where)
    last(await aio.chat(where, **chat))
    async with aio.chat_stream(where, **stream) as parts:
        found = [part async for part in parts]
    last(found[-1])
    async with aio.chat_stream(where, **stream) as parts:
        await anext(parts)
    unfinished = aio.chat_stream(where, **stream)
    await anext(unfinished)
    await unfinished.aclose()
    await asyncio.gather(*(aio.version(where) for _ in range(5)))
"""

PROGRAMS: Final = {
    "blocking": """
        for where in (url, Host(url)):
            blocking(where)
            ollama_fast.close()
        with httpx.Client(base_url=url, transport=ollama_fast.Transport()) as client:
            blocking(client)
        ollama_fast.Transport().close()
        """,
    "asyncio": """
        async def main():
            for where in (url, Host(url)):
                await by_asyncio(where)
                await aio.close()
            async with httpx.AsyncClient(base_url=url, transport=ollama_fast.AsyncTransport()) as client:
                await by_asyncio(client)
            await ollama_fast.AsyncTransport().aclose()
            await aio.version(url)  # and is closed with its loop

        for _ in range(2):
            asyncio.run(main())
            gc.collect()
        """,
    "fork": """
        def child(call):
            pid = os.fork()
            if pid == 0:
                try:
                    call()
                    ollama_fast.close()
                except BaseException:
                    os._exit(1)
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

        transport = ollama_fast.Transport()
        blocking(url)
        child(lambda: blocking(url))
        with httpx.Client(base_url=url, transport=transport) as client:
            ollama_fast.version(client)
            child(lambda: asyncio.run(by_asyncio(url)))
            ollama_fast.version(client)

        async def main():
            await aio.version(url)
            child(lambda: blocking(url))
            await aio.version(url)

        asyncio.run(main())
        """,
}


def run(program: str, *, before: str = WITHOUT_SOCKETS) -> None:
    recorded = load_all()
    used = [recorded[name] for name in ("version", "is_running", "chat", "chat_stream", "show_unknown")]
    kwargs = f"chat = {dict(recorded['chat'].call.kwargs)!r}\nstream = {dict(recorded['chat_stream'].call.kwargs)!r}\n"
    with replay(used, pace="fast", strict=False) as server:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", before + kwargs + CALLS + textwrap.dedent(program), server.url],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.parametrize("name", ["blocking", "asyncio"])
@pytest.mark.parametrize("before", [WITHOUT_SOCKETS, WITHOUT_FORK + WITHOUT_SOCKETS], ids=["fork", "no fork"])
def test_httpx_serves(name: str, before: str) -> None:
    run(PROGRAMS[name] + "assert 'httpcore' in sys.modules\n", before=before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_is_served_too() -> None:
    run(PROGRAMS["fork"])


@pytest.mark.fast
def test_the_same_calls_go_through_the_core_where_it_has_sockets() -> None:
    # So that what the tests above show is the lack of sockets, and nothing else.
    for name in ("blocking", "asyncio"):
        run(PROGRAMS[name] + "assert 'httpcore' not in sys.modules\n", before="import sys\n")
    assert set(SOCKETS) <= set(_core.__all__)
