"""What is logged: by the logger `ollama_fast` what happens before an answer, and nothing by httpx's for our clients."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx

import ollama_fast
from colours import Colour
from ollama_fast import Host, Retry, aio
from ollama_fast.testing import FAULTS, serve
from peers import unused_port

public: Any = ollama_fast


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


def of(log: pytest.LogCaptureFixture, name: str) -> list[tuple[int, str]]:
    return [(one.levelno, one.getMessage()) for one in log.records if one.name == name]


# --- our own ---------------------------------------------------------------------------------------------------------


def test_each_head_is_a_line_for_who_debugs(every: Colour, log: pytest.LogCaptureFixture) -> None:
    with serve() as server:
        every.whole("generate", server.url, "m", "Hi, s3cret!")
        every.parts("chat_stream", server.url, "m", [{"role": "user", "content": "s3cret"}])
    lines = of(log, "ollama_fast")
    assert [level for level, _ in lines] == [logging.DEBUG] * 2
    assert lines[0][1].startswith(f"POST {server.url}/api/generate for model 'm': status 200 after 0.")
    assert "s3cret" not in str(lines)


def test_another_attempt_is_a_line_of_information(both: Colour, over: str, log: pytest.LogCaptureFixture) -> None:
    log.set_level(logging.INFO, "ollama_fast")
    with serve(fault=[FAULTS["error of too many"], None]) as server:
        host = Host(server.url.replace("//", "//user:s3cret@"), retry=Retry(attempts=2, wait=0.0, jitter=0.0))
        both.whole("generate", host, "m", "Hi!")
    text = f"POST {server.url}/api/generate for model 'm' (2 attempts): trying again, since the server said 429: "
    ((level, line),) = of(log, "ollama_fast")
    assert level == logging.INFO
    assert line.startswith(text)
    assert line.endswith("; at most 2 attempts")


@pytest.mark.parametrize("asynchronous", [False, True], ids=["blocking", "asyncio"])
def test_a_dead_host_of_several_is_a_warning(asynchronous: bool, log: pytest.LogCaptureFixture) -> None:
    log.set_level(logging.INFO, "ollama_fast")
    with serve() as server, unused_port() as port:
        hosts = [f"http://127.0.0.1:{port}", server.url]
        if asynchronous:

            async def run() -> int:
                return len([one async for one in aio.map_generate(hosts, "m", map(str, range(6)))])

            assert asyncio.run(run()) == 6
        else:
            assert len(list(ollama_fast.map_generate(hosts, "m", map(str, range(6))))) == 6
    ((level, line),) = of(log, "ollama_fast")
    assert level == logging.WARNING
    assert line.startswith(f"a host is asked for no more of the inputs: POST http://127.0.0.1:{port}/api/generate")


def test_a_busy_host_of_several_is_a_line_of_information(log: pytest.LogCaptureFixture) -> None:
    log.set_level(logging.INFO, "ollama_fast")
    with serve(fault=[FAULTS["error of too many"], None]) as server:
        assert len(list(ollama_fast.map_generate(server.url, "m", ["a"], concurrency=1))) == 1
    ((level, line),) = of(log, "ollama_fast")
    assert level == logging.INFO
    assert line.startswith("a busy host is left alone for ")


def test_answers_that_are_closed_are_no_matter_of_the_log(both: Colour, log: pytest.LogCaptureFixture) -> None:
    log.set_level(logging.INFO, "ollama_fast")
    with serve(fault=FAULTS["nothing is said"]) as server:
        if both.asynchronous:

            async def run() -> None:
                answers = aio.map_generate(server.url, "m", ["a", "b"])
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(answers), 0.2)
                await answers.aclose()

            asyncio.run(run())
        else:
            import threading

            answers = ollama_fast.map_generate(server.url, "m", ["a", "b"])
            threading.Timer(0.2, answers.close).start()
            with pytest.raises(ollama_fast.errors.StreamClosedError):
                next(answers)
    assert of(log, "ollama_fast") == []


def test_a_program_that_sets_up_no_logging_sees_nothing() -> None:
    program = """
import sys, ollama_fast
from ollama_fast.testing import serve
with serve() as server:
    list(ollama_fast.map_generate(["http://127.0.0.1:1", server.url], "m", ["a", "b"]))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert (ended.stdout, ended.stderr) == ("", "")


# --- httpx's ---------------------------------------------------------------------------------------------------------


def test_httpx_says_nothing_of_our_clients_even_if_they_are_patched(
    both: Colour, log: pytest.LogCaptureFixture
) -> None:
    with respx.mock as router:
        router.post("http://ollama.test/api/generate").respond(json={"response": "mock", "done": True})
        assert both.whole("generate", "http://ollama.test", "m", "Hi!")["response"] == "mock"
        assert both.parts("generate_stream", "http://ollama.test", "m", "Hi!").error is None
        assert router.calls.call_count == 2
    assert of(log, "httpx") == []
    assert len(of(log, "ollama_fast")) == 2


def test_httpx_says_nothing_over_any_transport(both: Colour, over: str, log: pytest.LogCaptureFixture) -> None:
    with serve() as server:
        both.whole("generate", server.url, "m", "Hi!")
    assert of(log, "httpx") == []


def test_httpx_goes_on_telling_of_a_callers_own_client(both: Colour, log: pytest.LogCaptureFixture) -> None:
    level = logging.getLogger("httpx").level
    with respx.mock as router, serve() as server:
        router.post("http://ollama.test/api/generate").respond(json={"response": "mock", "done": True})
        router.route(host="127.0.0.1").pass_through()
        both.whole("generate", "http://ollama.test", "m", "Hi!")  # by now the filter is there
        if both.asynchronous:

            async def run() -> None:
                async with httpx.AsyncClient(base_url=server.url) as client:
                    await aio.generate(client, "m", "Hi!")

            asyncio.run(run())
        else:
            with httpx.Client(base_url=server.url) as client:
                ollama_fast.generate(client, "m", "Hi!")
        httpx.get(server.url)
    assert [text.partition(' "')[0] for _, text in of(log, "httpx")] == [
        f"HTTP Request: POST {server.url}/api/generate",
        f"HTTP Request: GET {server.url}",
    ]
    assert logging.getLogger("httpx").level == level
