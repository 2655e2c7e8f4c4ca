"""Many inputs over several hosts, in both colours: order, laziness, hosts that fail, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import copy
import gc
import itertools
import json
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import ollama_fast
from colours import Colour
from ollama_fast import Host, aio
from ollama_fast._map import WINDOW
from ollama_fast.errors import (
    ConnectError,
    DecodeError,
    HostError,
    IncompleteStreamError,
    InputsError,
    ModelNotFoundError,
    ResponseError,
    StreamClosedError,
)
from peers import unused_port
from programs import program
from replay import HangUpError, Received, ReplayServer, replay

LONG = 60.0


def reply(body: Any, status: int = 200) -> bytes:
    content = json.dumps(body).encode()
    return b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        len(content),
        content,
    )


def echoed(request: Received) -> bytes:
    """Answer so that one sees which input it is for: texts are numbers."""
    body = request.json
    if request.path == "/api/embed":
        return reply({"model": "m", "embeddings": [[float(text), 0.5] for text in body["input"]]})
    if request.path == "/api/chat":
        message = {"role": "assistant", "content": body["messages"][-1]["content"]}
        return reply({"model": "m", "created_at": "", "message": message, "done": True})
    return reply({"model": "m", "created_at": "", "response": body["prompt"], "done": True})


def echo(request: Received) -> Iterable[bytes | float]:
    return [echoed(request)]


def slow(request: Received) -> Iterable[bytes | float]:
    return [0.05, echoed(request)]


def silent(_request: Received) -> Iterable[bytes | float]:
    return [LONG]


def cut(request: Received) -> Iterator[bytes | float]:
    yield echoed(request)[:-5]
    raise HangUpError


def texts(count: int) -> Iterator[str]:
    return map(str, range(count))


def numbers_of(answers: Iterable[Any]) -> list[int]:
    """Give the inputs that answers are for."""
    found: list[int] = []
    for one in answers:
        if isinstance(one, memoryview):
            found.append(int(one[0]))
        else:
            found.append(int(one["response"] if "response" in one else one["message"]["content"]))
    return found


def asked(server: ReplayServer) -> list[str]:
    """Give the inputs that a server was sent."""
    return [text for request in server.requests for text in (request.json.get("input") or [request.json["prompt"]])]


def gather(colour: Colour, function: str, /, *args: Any, **kwargs: Any) -> tuple[list[Any], BaseException | None]:
    """Give all answers, and the error that ended them."""
    found: list[Any] = []

    async def run() -> None:
        async for one in getattr(aio, function)(*args, **kwargs):
            found.append(one)  # noqa: PERF401 - those before an error count

    try:
        if colour.asynchronous:
            asyncio.run(run())
        else:
            for one in getattr(ollama_fast, function)(*args, **kwargs):
                found.append(one)  # noqa: PERF402 - those before an error count
    except Exception as error:  # noqa: BLE001 - whatever it is, tests look at it
        return found, error
    return found, None


def taken(colour: Colour, count: int, function: str, /, *args: Any, **kwargs: Any) -> list[Any]:
    """Give the first answers, and break."""

    async def run() -> list[Any]:
        found: list[Any] = []
        async for one in getattr(aio, function)(*args, **kwargs):
            found.append(one)
            if len(found) == count:
                break
        return found

    if colour.asynchronous:
        return asyncio.run(run())
    return list(itertools.islice(getattr(ollama_fast, function)(*args, **kwargs), count))


def until(true: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ollama_fast"]


@pytest.fixture(autouse=True)
def nobody_left() -> Iterator[None]:
    """See to it that no worker thread outlives a test."""
    yield
    until(lambda: not workers())  # over httpx a thread that was left alone ends with its answer, not before
    assert workers() == []


FUNCTIONS: list[tuple[str, Callable[[int], list[Any]]]] = [
    ("embed_many", lambda count: list(texts(count))),
    ("map_generate", lambda count: list(texts(count))),
    ("map_chat", lambda count: [[{"role": "user", "content": text}] for text in texts(count)]),
]
functions = pytest.mark.parametrize(("function", "inputs"), FUNCTIONS, ids=[name for name, _ in FUNCTIONS])


# --- what comes ------------------------------------------------------------------------------------------------------


@functions
@pytest.mark.parametrize("count", [0, 1, 70])
def test_each_answer_belongs_to_its_input_and_all_come_in_order(
    both: Colour, function: str, inputs: Callable[[int], list[Any]], count: int
) -> None:
    with replay(respond=echo) as quick, replay(respond=slow) as late:
        found, error = gather(both, function, [quick.url, Host(late.url)], "m", inputs(count))
        assert error is None
        assert numbers_of(found) == list(range(count))
        if count == 70:
            assert len(quick.requests) > 0 < len(late.requests)


def test_a_vector_is_a_read_only_view_of_float32(both: Colour) -> None:
    with replay(respond=echo) as server:
        found, error = gather(both, "embed_many", server.url, "m", texts(5), batch_size=2, dimensions=2)
        assert error is None
        assert [(one.format, one.ndim, one.shape, one.readonly) for one in found] == [("f", 1, (2,), True)] * 5
        assert [one.tolist() for one in found] == [[n, 0.5] for n in range(5)]
        sent = sorted((len(request.json["input"]), request.json["dimensions"]) for request in server.requests)
        assert sent == [(1, 2), (2, 2), (2, 2)]


def test_more_goes_to_the_host_that_is_free(both: Colour) -> None:
    def slower(request: Received) -> Iterator[bytes | float]:
        # As slow as six answers of the other host, or as all that are left.
        last = str(min(int(request.json["prompt"]) + 6, 39))
        for _ in range(2000):
            if last in (*asked(quick), request.json["prompt"]):
                break
            yield 0.005
        yield echoed(request)

    with replay(respond=echo) as quick, replay(respond=slower) as late:
        found, error = gather(both, "map_generate", [late.url, quick.url], "m", texts(40), concurrency=1)
        assert (numbers_of(found), error) == (list(range(40)), None)
        assert len(quick.requests) > 30


def test_no_host_has_more_requests_than_concurrency_says(both: Colour) -> None:
    with replay(respond=slow) as server:
        gather(both, "map_generate", server.url, "m", texts(12), concurrency=3)
        assert server.connections == 3


def test_inputs_may_be_an_async_iterable_on_asyncio_only() -> None:
    async def numbers() -> AsyncIterator[str]:
        for text in texts(50):
            await asyncio.sleep(0)
            yield text

    async def run(url: str) -> list[Any]:
        return [one async for one in aio.embed_many(url, "m", numbers(), batch_size=3)]

    with replay(respond=echo) as server:
        assert numbers_of(asyncio.run(run(server.url))) == list(range(50))
        with pytest.raises(TypeError, match=r"ollama_fast\.aio"):
            ollama_fast.embed_many(server.url, "m", numbers())


@pytest.mark.parametrize("own", [True, False])
def test_an_async_iterator_is_closed_unless_it_is_the_callers(own: bool) -> None:
    ends: list[str] = []

    async def numbers() -> AsyncIterator[str]:
        try:
            for text in map(str, itertools.count()):
                yield text
        finally:
            await asyncio.sleep(0)
            ends.append("closed")

    class Numbers:
        def __aiter__(self) -> AsyncIterator[str]:
            return numbers()

    async def run(url: str) -> None:
        inputs = numbers() if own else Numbers()
        async with aio.map_generate(url, "m", inputs) as answers:
            await anext(answers)
        assert ends == ([] if own else ["closed"])
        if own:
            assert isinstance(inputs, AsyncIterator)
            assert int(await anext(inputs)) > 0

    with replay(respond=echo) as server:
        asyncio.run(run(server.url))
    assert ends == ["closed"]


@pytest.mark.parametrize("fast", [True, False])
def test_a_client_of_the_callers_own_is_a_host(both: Colour, fast: bool) -> None:
    async def run(url: str) -> list[Any]:
        transport = ollama_fast.AsyncTransport() if fast else None
        async with httpx.AsyncClient(base_url=url, transport=transport) as client:
            return [one async for one in aio.map_generate([client, url], "m", texts(9))]

    with replay(respond=echo) as server:
        if both.asynchronous:
            found = asyncio.run(run(server.url))
        else:
            transport = ollama_fast.Transport() if fast else None
            with httpx.Client(base_url=server.url, transport=transport) as client:
                found = list(ollama_fast.map_generate([client, server.url], "m", texts(9)))
        assert numbers_of(found) == list(range(9))


# --- laziness --------------------------------------------------------------------------------------------------------


def test_nothing_is_read_or_sent_before_the_first_is_asked_for(both: Colour) -> None:
    read: list[int] = []

    def inputs() -> Iterator[str]:
        read.append(1)
        yield "0"

    with replay(respond=echo) as server:
        both.module.embed_many(server.url, "m", inputs())
        time.sleep(0.05)
        assert (read, server.requests) == ([], [])


def test_inputs_without_end_are_read_no_further_than_the_window(both: Colour) -> None:
    read: list[int] = []

    def inputs() -> Iterator[str]:
        for number in itertools.count():
            read.append(number)
            yield str(number)

    with replay(respond=echo) as server:
        found = taken(both, 10, "embed_many", server.url, "m", inputs(), batch_size=2, concurrency=3)
    assert numbers_of(found) == list(range(10))
    assert len(read) <= 10 + WINDOW * 3 * 2
    assert len(asked(server)) <= 10 + WINDOW * 3 * 2


def test_who_is_slow_to_take_stops_the_work(both: Colour) -> None:
    async def run(url: str) -> None:
        async with aio.map_generate(url, "m", map(str, itertools.count()), concurrency=2) as answers:
            await anext(answers)
            await asyncio.sleep(0.3)

    with replay(respond=echo) as server:
        if both.asynchronous:
            asyncio.run(run(server.url))
        else:
            with ollama_fast.map_generate(server.url, "m", map(str, itertools.count()), concurrency=2) as answers:
                next(answers)
                time.sleep(0.3)
        assert 2 <= len(server.requests) <= 1 + WINDOW * 2


def test_what_reading_the_inputs_raises_comes_in_its_place(both: Colour) -> None:
    def inputs() -> Iterator[str]:
        yield from texts(7)
        raise ZeroDivisionError

    with replay(respond=slow) as server:
        found, error = gather(both, "embed_many", server.url, "m", inputs(), batch_size=3)
    assert numbers_of(found) == list(range(7))
    assert type(error) is ZeroDivisionError


# --- hosts that fail -------------------------------------------------------------------------------------------------


@functions
def test_a_host_that_refuses_leaves_its_work_to_the_others(
    both: Colour, function: str, inputs: Callable[[int], list[Any]]
) -> None:
    with replay(respond=echo) as server, unused_port() as port:
        found, error = gather(both, function, [f"127.0.0.1:{port}", server.url], "m", inputs(50))
    assert (numbers_of(found), error) == (list(range(50)), None)


@pytest.mark.parametrize("moment", ["before", "in the middle"])
def test_a_host_that_breaks_off_leaves_its_work_to_the_others(both: Colour, moment: str) -> None:
    def breaks(request: Received) -> Iterator[bytes | float]:
        if len(dying.requests) <= 3:
            yield echoed(request)
        elif moment == "before":
            raise HangUpError(reset=True)
        else:
            yield from cut(request)

    with replay(respond=slow) as living, replay(respond=breaks) as dying:
        found, error = gather(both, "embed_many", [living.url, dying.url], "m", texts(100), batch_size=2)
        assert (numbers_of(found), error) == (list(range(100)), None)
        assert 3 < len(dying.requests) <= 3 + 4  # not asked again
        assert sorted(asked(living) + asked(dying)) != sorted(texts(100))  # some were sent twice


def test_without_any_host_left_the_last_error_is_the_cause(both: Colour) -> None:
    with unused_port() as one, replay(respond=cut) as other:
        found, error = gather(both, "map_generate", [f"127.0.0.1:{one}", other.url], "m", texts(50))
    assert found == []
    assert isinstance(error, InputsError)
    assert isinstance(error.__cause__, ConnectError | IncompleteStreamError)
    assert (error.inputs, error.model, error.method) == (range(1), "m", "POST")
    assert "no host is left" in str(error)


def test_nothing_is_sent_twice_with_on_dead_raise(both: Colour) -> None:
    with replay(respond=slow) as living, replay(respond=cut) as dying:
        hosts = [living.url, dying.url]
        found, error = gather(both, "embed_many", hosts, "m", texts(200), batch_size=2, on_dead="raise")
        assert isinstance(error, InputsError)
        assert isinstance(error.__cause__, IncompleteStreamError)
        assert numbers_of(found) == list(range(error.inputs.start))
        sent = asked(living) + asked(dying)
        assert len(sent) == len(set(sent)) < 200
        assert {str(index) for index in error.inputs} <= set(asked(dying))


def test_an_error_says_which_inputs_and_keeps_what_else_was_done(both: Colour) -> None:
    def respond(request: Received) -> Iterable[bytes | float]:
        if "10" in request.json["input"]:
            return [0.3, reply({"error": "llama runner process has terminated"}, 500)]
        return [echoed(request)]

    with replay(respond=respond) as server:
        found, error = gather(both, "embed_many", server.url, "m", texts(1000), batch_size=4, concurrency=2)
        assert len(asked(server)) <= 8 + WINDOW * 2 * 4
    assert numbers_of(found) == list(range(8))
    assert isinstance(error, InputsError)
    assert isinstance(error.__cause__, ResponseError)
    assert (error.__cause__.status, error.inputs) == (500, range(8, 12))
    assert error.done.keys() == set(range(12, 8 + WINDOW * 2 * 4))
    assert {index: int(one[0]) for index, one in error.done.items()} == {index: index for index in error.done}
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is InputsError
        assert (again.inputs, again.done, str(again)) == (error.inputs, error.done, str(error))
        assert again.model == error.model == "m"


@pytest.mark.parametrize(
    ("respond", "cause"),
    [
        (lambda _: [reply({"error": "model 'm' not found"}, 404)], ModelNotFoundError),
        (lambda _: [reply({"error": "bad"}, 400)], ResponseError),
        (lambda _: [reply({"model": "m", "embeddings": [[1.0]]})], DecodeError),
        (lambda _: [reply({"model": "m"})], DecodeError),
    ],
    ids=["404", "400", "too few vectors", "no vectors"],
)
def test_what_every_host_would_say_is_no_reason_to_ask_another(
    both: Colour, respond: Any, cause: type[Exception]
) -> None:
    with replay(respond=respond) as server, replay(respond=respond) as other:
        found, error = gather(both, "embed_many", [server.url, other.url], "m", texts(3), concurrency=1)
        assert len(server.requests) + len(other.requests) == 1
    assert found == []
    assert isinstance(error, InputsError)
    assert type(error.__cause__) is cause
    assert error.inputs == range(3)


@pytest.mark.parametrize("status", [502, 504])
def test_a_gateway_without_its_server_is_a_dead_host(both: Colour, status: int) -> None:
    def gateway(_: Received) -> Iterable[bytes | float]:
        return [reply({"error": "upstream"}, status)]

    with replay(respond=gateway) as dead, replay(respond=echo) as server:
        found, error = gather(both, "map_generate", [dead.url, server.url], "m", texts(20), concurrency=2)
        assert (numbers_of(found), error) == (list(range(20)), None)
        assert 1 <= len(dead.requests) <= 2


@pytest.mark.parametrize("fast", [True, False])
def test_a_full_pool_is_no_dead_host(both: Colour, fast: bool) -> None:
    def late(request: Received) -> Iterable[bytes | float]:
        return [0.3, echoed(request)]

    limits, timeout = httpx.Limits(max_connections=1), httpx.Timeout(10, pool=0.1)

    async def run(url: str) -> list[Any]:
        transport = ollama_fast.AsyncTransport(limits=limits) if fast else None
        async with httpx.AsyncClient(base_url=url, transport=transport, limits=limits, timeout=timeout) as client:
            return [one async for one in aio.map_generate(client, "m", texts(4), concurrency=2)]

    with replay(respond=late) as server:
        if both.asynchronous:
            found = asyncio.run(run(server.url))
        else:
            transport = ollama_fast.Transport(limits=limits) if fast else None
            with httpx.Client(base_url=server.url, transport=transport, limits=limits, timeout=timeout) as client:
                found = list(ollama_fast.map_generate(client, "m", texts(4), concurrency=2))
        assert numbers_of(found) == list(range(4))
        assert len(server.requests) == 4


def test_more_concurrency_than_connections_is_an_error_at_the_call(
    both: Colour, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(most: int | None) -> Host:
        return Host("http://h", limits=ollama_fast.Limits(max_connections=most))

    for hosts in (of(2), ["http://other", of(2)]):
        with pytest.raises(ValueError, match=r"concurrency=4 .* 2 connections \(Limits\.max_connections\) of http://h"):
            both.module.map_generate(hosts, "m", ["a"], concurrency=4)
    monkeypatch.setenv("OLLAMA_HOST", "http://env")
    for host in (None, "http://h"):
        with pytest.raises(ValueError, match=r"concurrency=1001 .* 1000 connections"):
            both.module.embed_many(host, "m", ["a"], concurrency=1001)
    both.module.map_generate([of(4), of(None)], "m", ["a"], concurrency=4)
    both.module.map_generate(of(None), "m", ["a"], concurrency=1001)


def double(number: int) -> int:
    """Double a number."""
    return 2 * number


def test_arguments_that_can_be_read_once_go_into_every_request(both: Colour) -> None:
    with replay(respond=echo) as server:
        found, error = gather(
            both, "map_generate", server.url, "m", texts(3), context=iter([1, 2]), images=iter([b"image"])
        )
        assert (numbers_of(found), error) == (list(range(3)), None)
        assert [request.json["context"] for request in server.requests] == [[1, 2]] * 3
        assert [request.json["images"] for request in server.requests] == [["aW1hZ2U="]] * 3
    for tools in (iter([double]), {"double": double}):
        with replay(respond=echo) as server:
            conversations = [[{"role": "user", "content": text}] for text in texts(3)]
            found, error = gather(both, "map_chat", server.url, "m", conversations, tools=tools)
            assert (numbers_of(found), error) == (list(range(3)), None)
            names = [[tool["function"]["name"] for tool in request.json["tools"]] for request in server.requests]
            assert names == [["double"]] * 3


def test_images_of_an_iterator_are_sent_again(both: Colour) -> None:
    def busy_at_first(request: Received) -> Iterable[bytes | float]:
        return [reply({"error": "server busy"}, 503) if len(server.requests) == 1 else echoed(request)]

    with replay(respond=busy_at_first) as server:
        message = {"role": "user", "content": "0", "images": iter([b"image"])}
        found, error = gather(both, "map_chat", server.url, "m", [[message]])
        assert (numbers_of(found), error) == ([0], None)
        sent = [request.json["messages"][0]["images"] for request in server.requests]
    assert sent == [["aW1hZ2U="]] * 2


@pytest.mark.parametrize(("argument", "wrong"), [("context", "12"), ("images", b"image")])
def test_one_in_place_of_several_is_an_error_at_the_call(both: Colour, argument: str, wrong: Any) -> None:
    with pytest.raises(TypeError, match=rf"{argument} .* sequence"):
        both.module.map_generate("http://h", "m", ["a"], **{argument: wrong})
    with pytest.raises(TypeError, match="tools must be a sequence"):
        both.module.map_chat("http://h", "m", [], tools="double")


def test_no_file_is_read_at_the_call(both: Colour, tmp_path: Path) -> None:
    image = tmp_path / "image"
    with replay(respond=echo) as server:
        answers = both.module.map_generate([server.url] * 3, "m", ["0"], images=[image])  # it is not there yet
        image.write_bytes(b"image")

        async def take(answers: Any) -> list[Any]:
            return [one async for one in answers]

        assert numbers_of(asyncio.run(take(answers)) if both.asynchronous else answers) == [0]
        assert server.requests[0].json["images"] == ["aW1hZ2U="]


def test_a_busy_host_is_asked_again(both: Colour) -> None:
    def respond(request: Received) -> Iterable[bytes | float]:
        busy = len(server.requests) in {2, 3}
        return [reply({"error": "server busy"}, 503 if len(server.requests) == 2 else 429) if busy else echoed(request)]

    with replay(respond=respond) as server:
        found, error = gather(both, "map_generate", server.url, "m", texts(6), concurrency=1, on_dead="raise")
        assert (numbers_of(found), error) == (list(range(6)), None)
        assert len(server.requests) == 8


def test_an_input_of_a_wrong_type_is_an_error_in_its_place(both: Colour) -> None:
    with replay(respond=echo) as server:
        for function in ("embed_many", "map_generate"):
            found, error = gather(both, function, server.url, "m", ["0", 1, "2"])
            assert isinstance(error, InputsError)
            assert isinstance(error.__cause__, TypeError)
            assert len(found) == error.inputs.start


@pytest.mark.parametrize("wrong", [{"role": "user", "content": "0"}, iter([{"role": "user", "content": "0"}]), "0"])
def test_a_conversation_is_a_sequence_of_messages(both: Colour, wrong: Any) -> None:
    with replay(respond=echo) as server:
        found, error = gather(both, "map_chat", server.url, "m", [[{"role": "user", "content": "0"}], wrong])
    assert numbers_of(found) == [0]
    assert isinstance(error, InputsError)
    assert isinstance(error.__cause__, TypeError)


# --- wrong calls -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hosts", "args", "kwargs", "kind", "words"),
    [
        (None, ("", ["a"]), {}, ValueError, "model"),
        (None, (5, ["a"]), {}, TypeError, "model"),
        (None, ("m", "abc"), {}, TypeError, "one str"),
        (None, ("m", b"abc"), {}, TypeError, "one bytes"),
        (None, ("m", 5), {}, TypeError, "one int"),
        (None, ("m", ["a"]), {"batch_size": 0}, ValueError, "batch_size"),
        (None, ("m", ["a"]), {"batch_size": 1.5}, TypeError, "batch_size"),
        (None, ("m", ["a"]), {"concurrency": -1}, ValueError, "concurrency"),
        (None, ("m", ["a"]), {"on_dead": "ignore"}, ValueError, "on_dead"),
        (None, ("m", ["a"]), {"dimension": 5}, TypeError, r"embed_many\(\) got an unexpected keyword"),
        (
            None,
            ("m", ["a"]),
            {"stream": True},
            TypeError,
            r"embed_many\(\) got an unexpected keyword argument 'stream'",
        ),
        (None, ("m", ["a"]), {"extra": 5}, TypeError, "extra"),
        (None, ("m", ["a"]), {"keep_alive": object()}, TypeError, "no JSON form"),
        ((), ("m", ["a"]), {}, ValueError, "host"),
        (["localhost", 5], ("m", ["a"]), {}, TypeError, "host must be"),
        ("http://localhost:port", ("m", ["a"]), {}, HostError, "port"),
    ],
)
def test_wrong_arguments_are_errors_at_the_call(
    both: Colour, hosts: Any, args: Any, kwargs: Any, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        both.module.embed_many(hosts, *args, **kwargs)


def test_clients_of_the_other_colour_or_without_a_url_are_errors_at_the_call() -> None:
    with httpx.Client() as client:
        with pytest.raises(ValueError, match="base_url"):
            ollama_fast.map_generate([client], "m", ["a"])
        with pytest.raises(TypeError, match="Client"):
            aio.map_generate([client], "m", ["a"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


# --- the end ---------------------------------------------------------------------------------------------------------


def test_after_the_end_and_after_an_error_nothing_more_comes(both: Colour) -> None:
    async def run(url: str, inputs: list[str]) -> None:
        answers = aio.map_generate(url, "m", inputs)
        assert numbers_of([await anext(answers)]) == [0]
        with pytest.raises((StopAsyncIteration, InputsError)):
            await anext(answers)
        for _ in range(2):
            with pytest.raises(StopAsyncIteration):
                await anext(answers)
        assert len(asyncio.all_tasks()) == 1

    wrong: Any = 5
    for inputs in (["0"], ["0", wrong]):
        with replay(respond=echo) as server:
            if both.asynchronous:
                asyncio.run(run(server.url, inputs))
                continue
            answers = ollama_fast.map_generate(server.url, "m", inputs)
            assert numbers_of([next(answers)]) == [0]
            with pytest.raises((StopIteration, InputsError)):
                next(answers)
            assert workers() == []
            assert next(answers, None) is next(answers, None) is None


def test_answers_that_the_garbage_collector_drops_hold_nobody_up() -> None:
    """It may run in any thread: in one that holds a lock of theirs, or that a request of theirs waits for."""
    held, ended = threading.Event(), threading.Event()

    def drop(url: str) -> None:
        answers = ollama_fast.map_generate(url, "m", map(str, itertools.count()), concurrency=2)
        next(answers)
        circle: list[Any] = [answers]
        circle.append(circle)
        crew = answers._crew
        del answers, circle
        with vars(crew.closing)["_cond"]:  # as a worker that rests
            gc.collect()
        held.set()
        until(lambda: crew.closing.is_set() and not any(one.is_alive() for one in crew._threads))
        ended.set()

    with replay(respond=echo) as server:
        thread = threading.Thread(target=drop, args=(server.url,), daemon=True)
        thread.start()
        assert held.wait(10), "the collector waits for a lock that its own thread holds"
        assert ended.wait(10)
        thread.join()
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading._DummyThread)]


class OwnError(Exception):
    """Raised by a test's own code."""


def leave(url: str, way: str) -> None:
    """Take one answer, and leave the rest."""
    answers = ollama_fast.map_generate(url, "m", map(str, itertools.count()), concurrency=3)
    if way == "break":
        for _ in answers:
            break
        del answers
    elif way == "close":
        next(answers)
        answers.close()
        with pytest.raises(StreamClosedError):
            next(answers)
    else:
        with answers:
            next(answers)
            if way == "error":
                raise OwnError


async def leave_on_asyncio(url: str, way: str) -> None:
    answers = aio.map_generate(url, "m", map(str, itertools.count()), concurrency=3)
    if way == "break":
        async for _ in answers:
            break
        del answers
        gc.collect()
        await asyncio.sleep(0.05)
    elif way == "close":
        await anext(answers)
        await answers.aclose()
        with pytest.raises(StreamClosedError):
            await anext(answers)
    else:
        async with answers:
            await anext(answers)
            if way == "error":
                raise OwnError
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("way", ["break", "with", "close", "error"])
def test_requests_under_way_are_broken_off(both: Colour, way: str) -> None:
    """The server sees the end at once, also before it said anything."""

    def respond(request: Received) -> Iterable[bytes | float]:
        # The first answer comes when the others are under way.
        return [0.3, echoed(request)] if request.json["prompt"] == "0" else [LONG]

    with replay(respond=respond) as server:
        try:
            if both.asynchronous:
                asyncio.run(leave_on_asyncio(server.url, way))
            else:
                leave(server.url, way)
        except OwnError:
            assert way == "error"
        until(lambda: workers() == [])
        until(lambda: len(server.abandoned) >= 2)


def test_closing_from_elsewhere_frees_and_tells_who_waits(both: Colour) -> None:
    async def run(url: str) -> None:
        answers = aio.map_generate(url, "m", ["a"])
        waiting = asyncio.ensure_future(anext(answers))
        await asyncio.sleep(0.1)
        await answers.aclose()
        with pytest.raises(StreamClosedError):
            await asyncio.wait_for(waiting, 5)

    with replay(respond=silent) as server:
        if both.asynchronous:
            asyncio.run(run(server.url))
            return
        answers = ollama_fast.map_generate(server.url, "m", ["a"])
        timer = threading.Timer(0.1, answers.close)
        timer.start()
        began = time.monotonic()
        with pytest.raises(StreamClosedError):
            next(answers)
        assert time.monotonic() - began < 5
        timer.join()


def test_a_cancelled_wait_loses_nothing() -> None:
    async def run(url: str) -> list[Any]:
        answers = aio.map_generate(url, "m", texts(6), concurrency=2)
        found: list[Any] = []
        while True:
            try:
                found.append(await asyncio.wait_for(anext(answers), 0.02))
            except asyncio.TimeoutError:  # noqa: UP041 - not the builtin before Python 3.11
                continue
            except StopAsyncIteration:
                return found

    with replay(respond=slow) as server:
        assert numbers_of(asyncio.run(run(server.url))) == list(range(6))
        assert len(server.requests) == 6


def test_who_takes_what_is_ready_lets_the_others_work() -> None:
    async def run(url: str) -> None:
        passes = 0

        async def count() -> None:
            nonlocal passes
            while True:
                passes += 1
                await asyncio.sleep(0)

        async with aio.map_generate(url, "m", texts(100)) as answers:
            await anext(answers)
            await asyncio.sleep(0.3)  # now all of the window is done
            counting = asyncio.ensure_future(count())
            for _ in range(8):
                await anext(answers)
            assert passes >= 7
            counting.cancel()

    with replay(respond=echo) as server:
        asyncio.run(run(server.url))


def test_inputs_that_cancel_themselves_leave_nobody_waiting() -> None:
    async def inputs() -> AsyncIterator[str]:
        yield "0"
        raise asyncio.CancelledError

    async def run(url: str) -> None:
        answers = aio.map_generate(url, "m", inputs())

        async def take_all() -> list[Any]:
            return [one async for one in answers]

        with pytest.raises(StreamClosedError):
            await asyncio.wait_for(take_all(), 5)
        await answers.aclose()

    with replay(respond=slow) as server:
        asyncio.run(run(server.url))


def test_a_thread_at_a_client_of_the_callers_own_is_not_waited_for() -> None:
    raised = threading.Event()
    in_time: list[bool] = []

    def late(request: Received) -> Iterable[bytes | float]:
        in_time.append(raised.wait(10))
        return [echoed(request)]

    with replay(respond=late) as server, httpx.Client(base_url=server.url) as client:
        answers = ollama_fast.map_generate(client, "m", texts(4))
        timer = threading.Timer(0.1, answers.close)
        timer.start()
        with pytest.raises(StreamClosedError):
            next(answers)
        raised.set()
        timer.join()
        until(lambda: not workers())
    assert set(in_time) == {True}


MANY = """
import ollama_fast
from ollama_fast import aio
answers = ollama_fast.map_generate(url, "m", ["a"] * 100)
async def main():
    async with aio.map_generate(url, "m", ["a"] * 100) as answers:
        say("go")
        async for _ in answers: pass
"""
WAITS = {
    "blocking": ("say('go')\nnext(answers)", 4),
    "asyncio": ("asyncio.run(main())", 4),
    "reading": ("say('go')\nnext(ollama_fast.map_generate(url, 'm', iter(lambda: time.sleep(30), None)))", 0),
}
"""What a program does when it is interrupted, and how many requests the server has by then."""


@pytest.mark.parametrize("moment", WAITS)
def test_ctrl_c_at_once(moment: str) -> None:
    code, requests = WAITS[moment]
    with replay(respond=silent) as server, program(MANY + code, server.url) as running:
        assert running.heard() == "go"
        # While another thread still imports httpx, CPython may forget that it was KeyboardInterrupt that ended the
        # program, since every exec() of a text resets its note of that, and exit with 1.
        until(lambda: len(server.requests) == requests, 20)
        time.sleep(0.4)
        running.signal(signal.SIGINT)
        ended = running.end()
        assert ended.code == -signal.SIGINT, ended
        assert "KeyboardInterrupt" in ended.err
        assert ended.seconds < 20, ended


def test_answers_that_are_held_do_not_hold_the_program() -> None:
    code = MANY + "waits = threading.Thread(target=lambda: next(answers, None), daemon=True)\nwaits.start()\n"
    with replay(respond=silent) as server, program(code + "time.sleep(0.3)\nsay('bye')", server.url) as running:
        ended = running.end()
        assert (ended.code, ended.out) == (0, "bye\n"), ended
        assert ended.seconds < 20, ended


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_of_fork_begins_its_own_and_leaves_the_parents_alone() -> None:
    code = """
import ollama_fast
answers = ollama_fast.map_generate(url, "m", ["7"] * 9)
next(answers)
held, forked = threading.Event(), threading.Event()
def hold():
    with answers._crew.changed:  # as a worker may at that moment
        held.set()
        forked.wait()
threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if child == 0: del hold
else: forked.set()
if child == 0:
    try:
        next(answers)
    except RuntimeError as error:
        assert "another process" in str(error)
        answers.close()
        del answers
        os._exit(len(list(ollama_fast.map_generate(url, "m", ["7"] * 9))))
    os._exit(1)
say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(list(answers)))
"""
    with replay(respond=echo) as server, program(code, server.url, develop=sys.version_info < (3, 12)) as running:
        ended = running.end()
        assert (ended.code, ended.out) == (0, "9 8\n"), ended


def test_contexts_go_along_into_the_threads() -> None:
    from contextvars import ContextVar

    variable: ContextVar[str] = ContextVar("variable", default="none")
    seen: list[str] = []

    def answer(_request: httpx.Request) -> httpx.Response:
        seen.append(variable.get())
        return httpx.Response(200, json={"model": "m", "created_at": "", "response": "0", "done": True})

    variable.set("mine")
    with httpx.Client(base_url="http://x", transport=httpx.MockTransport(answer)) as client:
        assert len(list(ollama_fast.map_generate(client, "m", ["a", "b"]))) == 2
    assert seen == ["mine", "mine"]


def test_answers_of_another_event_loop_say_so() -> None:
    async def first(answers: Any) -> None:
        await anext(answers)

    with replay(respond=echo) as server:
        answers = aio.map_generate(server.url, "m", texts(3))
        asyncio.run(first(answers))
        with pytest.raises((RuntimeError, StreamClosedError)):
            asyncio.run(first(answers))
