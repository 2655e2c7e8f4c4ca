"""How a benchmark loads a server, shown on servers whose delays and faults are known."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from typing import Any

import pytest

from ollama_fast import Host, Timeout
from ollama_fast.bench import (
    Amount,
    Begun,
    ClosedLoop,
    Level,
    Load,
    OpenLoop,
    Prompt,
    Run,
    Sample,
    Workload,
    benchmark,
    measure_load,
    self_test,
    summarise_level,
)
from ollama_fast.bench._arrivals import arrivals
from ollama_fast.bench._fast_server import pieces
from ollama_fast.errors import ConnectError, ModelNotFoundError
from ollama_fast.testing import FAULTS, Chunk, Fault, Received, Reply, Server, reply, serve
from transports import eventually

WORK = Workload("m", (Prompt("one"), Prompt("two"), Prompt("three")), num_predict=7, options={"temperature": 0})
COUNTS = {
    "eval_count": 5,
    "prompt_eval_count": 3,
    "total_duration": 90_000_000,
    "load_duration": 1_000_000,
    "prompt_eval_duration": 2_000_000,
    "eval_duration": 50_000_000,
}


def answering(*moments: int, end: int | None = None, **more: Any) -> Callable[[Received], Reply]:
    """Answer with a part at each of *moments*, in ms after the request, and the last one at *end*."""

    def answer(request: Received) -> Reply:
        if request.path not in ("/api/chat", "/api/generate"):
            return Reply(200, (), (Chunk(0, b'{"version":"0.24.0"}'),))

        def line(text: str, **more: Any) -> bytes:
            said = {"message": {"role": "assistant", "content": text}} if "chat" in request.path else {"response": text}
            return json.dumps({"model": "m", "created_at": "x", **said, **more}).encode() + b"\n"

        chunks = [Chunk(ms, line("a", done=False)) for ms in moments]
        last = Chunk(moments[-1] if end is None else end, line("", done=True, done_reason="stop", **COUNTS, **more))
        return Reply(200, (("Content-Type", "application/x-ndjson"),), (*chunks, last))

    return answer


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(answering(0)) as running:
        yield running


def measured(server: Server, load: Load, amount: Amount, work: Workload = WORK, **more: Any) -> Level:
    return asyncio.run(measure_load(server.url, work, load, amount, **more))


def asked(server: Server) -> list[str]:
    """Give the prompts of the chats that arrived."""
    return [one.json["messages"][0]["content"] for one in server.requests if one.path == "/api/chat"]


# --- one stream ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("api", ["chat", "generate"])
def test_a_stream_is_timed_part_by_part_and_has_what_the_server_says(server: Server, over: str, api: Any) -> None:
    server.answer = answering(100, 150, 250, end=300)
    work = Workload("m", (Prompt("one"),), api=api, num_predict=7, options={"temperature": 0})
    (one,) = measured(server, ClosedLoop(1), Amount(1, warm_up=0), work).samples
    assert server.requests[0].json["options"] == {"temperature": 0, "num_predict": 7}
    assert (one.outcome, one.parts, len(one.arrivals), one.done_reason) == ("done", 4, 3, "stop")
    assert (one.tokens, one.prompt_tokens, one.total, one.load, one.prompt_eval, one.eval) == (
        5,
        3,
        90_000_000,
        1_000_000,
        2_000_000,
        50_000_000,
    )
    # The server never sends before its time; how much later a busy machine reads is not looked at.
    assert one.arrivals[0] - one.sent >= 0.09
    assert one.arrivals[2] - one.sent >= 0.24
    assert one.ended - one.sent >= 0.29
    assert list(one.arrivals) == sorted(one.arrivals)


def test_messages_are_sent_as_they_are(server: Server) -> None:
    messages = ({"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi!"})
    measured(server, ClosedLoop(1), Amount(1, warm_up=0), Workload("m", (Prompt(messages=messages),)))
    assert server.requests[0].json["messages"] == list(messages)


# --- closed loop -----------------------------------------------------------------------------------------------------


def test_a_closed_loop_has_as_many_underway_as_there_are_workers(server: Server) -> None:
    most, lock = 0, threading.Lock()
    plain, told = answering(50), list[Sample]()

    def answer(request: Received) -> Reply:
        nonlocal most
        with lock:
            most = max(most, len(server.requests) - len(told))
        return plain(request)

    server.answer = answer
    found = measured(server, ClosedLoop(3), Amount(12, warm_up=0), tell=told.append)
    assert most == 3
    assert len(found.samples) == 12
    assert {one.worker for one in found.samples} == {0, 1, 2}
    for worker in range(3):
        own = [one for one in found.samples if one.worker == worker]
        assert all(after.intended >= before.ended for before, after in pairwise(own))
    assert summarise_level(found).concurrency <= 3
    assert not found.cut


def test_there_are_no_more_workers_than_requests(server: Server) -> None:
    found = measured(server, ClosedLoop(10**9), Amount(2))
    assert ({one.worker for one in found.samples}, len(server.requests)) == ({0, 1}, 2 + 2)


def test_prompts_are_taken_in_order_and_again(server: Server) -> None:
    found = measured(server, ClosedLoop(1), Amount(5, warm_up=0))
    assert asked(server) == ["one", "two", "three", "one", "two"]
    assert [one.prompt for one in found.samples] == [0, 1, 2, 0, 1]


def test_the_warm_up_does_not_count(server: Server) -> None:
    found = measured(server, ClosedLoop(2), Amount(3))
    assert (len(found.samples), len(server.requests)) == (3, 2 + 3)
    found = measured(server, ClosedLoop(2), Amount(3, warm_up=4))
    assert (len(found.samples), len(server.requests)) == (3, 5 + 4 + 3)


def test_a_load_of_seconds_sends_no_more_after_them_and_reads_what_is_underway(server: Server) -> None:
    server.answer = answering(300)
    found = measured(server, ClosedLoop(2), Amount(None, seconds=0.4, warm_up=0))
    assert {one.outcome for one in found.samples} == {"done"}
    assert all(one.intended < 0.4 for one in found.samples)
    assert max(one.ended for one in found.samples) >= 0.29
    assert not found.cut


# --- open loop -------------------------------------------------------------------------------------------------------


def test_arrivals_do_not_wait_for_answers(server: Server) -> None:
    plain = answering(0)

    def answer(request: Received) -> Reply:
        eventually(lambda: len(server.requests) == 20, seconds=60)  # of which each is sent before the first answer
        return plain(request)

    server.answer = answer
    found = measured(server, OpenLoop(40), Amount(20, warm_up=0), seed=5)
    moments = list(islice(arrivals(40, 5), 20))
    assert [one.intended for one in found.samples] == pytest.approx(moments)
    assert max(one.sent for one in found.samples) < min(one.arrivals[0] for one in found.samples)
    assert {one.worker for one in found.samples} == {None}


def test_latencies_count_from_the_intended_arrival_also_where_the_client_was_late(server: Server) -> None:
    blocked: list[Sample] = []

    def late(sample: Sample) -> None:
        if not blocked:
            blocked.append(sample)
            threading.Event().wait(0.4)  # what blocks the loop makes what arrives meanwhile late

    found = measured(server, OpenLoop(100), Amount(200, warm_up=0), seed=1, tell=late)
    summary = summarise_level(found)
    assert summary.lag is not None
    assert summary.lag.max >= 0.3
    for one in found.samples:
        assert one.sent >= one.intended
    delayed = max(found.samples, key=lambda one: one.sent - one.intended)
    assert summary.ttft is not None
    assert summary.ttft.max >= delayed.sent - delayed.intended


def test_an_open_loop_of_seconds_ends_with_them(server: Server) -> None:
    found = measured(server, OpenLoop(50), Amount(None, seconds=0.5, warm_up=0))
    expected = sum(moment < 0.5 for moment in islice(arrivals(50, 0), 1000))
    assert len(found.samples) == expected > 0


# --- errors, and ends ------------------------------------------------------------------------------------------------


def test_errors_are_counted_by_kind_and_the_load_goes_on(server: Server) -> None:
    server.answer = answering(0, 0, 0)
    server.fault = [FAULTS["error of too many"], None, FAULTS["error of no model"], Fault.cut("close", part=2), None]
    found = summarise_level(measured(server, ClosedLoop(1), Amount(5, warm_up=0)))
    assert (found.requests, found.done, found.failed) == (5, 2, 3)
    assert [(one.kind, one.count) for one in found.errors] == [
        ("ResponseError (429)", 1),
        ("ModelNotFoundError (404)", 1),
        ("IncompleteStreamError", 1),
    ]
    assert "too many requests" in found.errors[0].message


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("error before the first part", "ResponseError (500)"),
        ("error of too many", "ResponseError (429)"),
        ("error between parts", "ResponseError (in a stream)"),
        ("refused", "ConnectError (Connection refused)"),
        ("reset before the head", "TransportError (Connection reset by peer)"),
        ("reset between parts", "IncompleteStreamError (Connection reset by peer)"),
        ("nothing is said", "TimeoutError (first_part)"),
        ("stalled between parts", "TimeoutError (idle)"),
        ("no JSON", "DecodeError"),
    ],
)
def test_kinds_of_errors_tell_what_was_wrong(fault: str, kind: str, server: Server, over: str) -> None:
    server.answer, server.fault = answering(0, 0, 0), FAULTS[fault]
    host = Host(server.url, timeout=Timeout(first_part=0.5, idle=0.5))
    found = summarise_level(asyncio.run(measure_load(host, WORK, ClosedLoop(1), Amount(1, warm_up=0))))
    if over == "httpx" and "reset" in fault:
        kind = kind.partition(" (")[0]  # which it does not tell on asyncio
    assert [(one.kind, one.count) for one in found.errors] == [(kind, 1)]
    assert "for model 'm': " in found.errors[0].message


def test_a_failure_is_kept_with_what_it_says(server: Server) -> None:
    server.fault = FAULTS["error of too many"]
    (one,) = measured(server, ClosedLoop(1), Amount(1, warm_up=0)).samples
    assert (one.outcome, one.error, one.reason, one.tokens) == ("failed", "ResponseError", "429", None)
    assert "429" in (one.message or "")
    assert len(server.requests) == 1, "nothing is tried again"


def test_what_is_stopped_is_cut_and_what_was_done_stays(server: Server) -> None:
    quick, slow = answering(0), answering(0, 60_000)

    def answer(request: Received) -> Reply:
        return slow(request) if asked(server).count("one") > 1 else quick(request)

    server.answer = answer

    async def stopped() -> Level:
        stop = asyncio.Event()
        loading = asyncio.create_task(measure_load(server.url, WORK, ClosedLoop(1), Amount(9, warm_up=0), stop=stop))
        await asyncio.to_thread(eventually, lambda: len(server.requests) == 4)
        await asyncio.sleep(0.1)  # its first part comes at once
        stop.set()
        return await loading

    found = asyncio.run(stopped())
    assert found.cut
    assert [one.outcome for one in found.samples] == ["done", "done", "done", "cut"]
    assert found.samples[-1].error is None
    assert summarise_level(found).cut == 1


def test_a_prompt_that_cannot_be_sent_is_found_before_the_load(server: Server) -> None:
    prompts = (Prompt("one"), Prompt(messages=({"content": "no role"},)))
    with pytest.raises(ValueError, match=r"prompts\[1\]: a message must have a role"):
        measured(server, ClosedLoop(1), Amount(4), Workload("m", prompts))
    with pytest.raises(ValueError, match=r"prompts\[0\]: .*not valid UTF-8"):
        benchmark(server.url, Workload("m", (Prompt("\ud800"),), api="generate"), [ClosedLoop(1)])
    assert server.requests == []


# --- whole runs ------------------------------------------------------------------------------------------------------


def test_a_run_measures_one_load_after_the_other_and_tells_of_it(server: Server) -> None:
    told: list[Any] = []
    found = benchmark(
        server.url,
        WORK,
        [ClosedLoop(1), ClosedLoop(2)],
        Amount(2, warm_up=0),
        seed=9,
        ceiling_seconds=0,
        tell=told.append,
    )
    assert isinstance(found, Run)
    assert [level.load for level in found.levels] == [ClosedLoop(1), ClosedLoop(2)]
    assert [type(one) for one in told] == [Begun, Sample, Sample, Level, Begun, Sample, Sample, Level]
    assert (found.label, found.host, found.server, found.seed, found.ceiling, found.cut) == (
        server.url,
        server.url,
        "0.24.0",
        9,
        None,
        False,
    )
    assert server.requests[0].json["options"]["num_predict"] == 1, "one token, to find out what is wrong"


def test_what_is_wrong_with_host_or_model_is_raised_before_any_load(server: Server) -> None:
    told: list[Any] = []
    server.fault = FAULTS["error of no model"]
    with pytest.raises(ModelNotFoundError):
        benchmark(server.url, WORK, [ClosedLoop(4)], tell=told.append)
    assert len(server.requests) == 1
    server.fault = FAULTS["refused"]
    with pytest.raises(ConnectError):
        benchmark(server.url, WORK, [ClosedLoop(4)], tell=told.append)
    assert told == []


def test_a_server_without_a_version_is_measured_all_the_same(server: Server) -> None:
    server.answer = reply("Hello!")
    found = benchmark(server.url, WORK, [ClosedLoop(1)], Amount(1), ceiling_seconds=0)
    assert (found.server, len(found.levels)) == (None, 1)


def test_a_run_without_loads_is_refused() -> None:
    with pytest.raises(ValueError, match="no load"):
        benchmark(None, WORK, [])


# --- the client's own ceiling ----------------------------------------------------------------------------------------


def test_the_self_test_reads_streams_of_a_server_of_its_own() -> None:
    found = self_test(streams=3, seconds=0.5)
    assert found.streams == 3
    assert found.tokens_per_second == pytest.approx(200 * found.requests_per_second)
    assert found.tokens_per_second > 0
    assert 0 < found.client_cpu < 1.5
    assert 0 < found.server_cpu < 1.5
    assert found.limited_by in ("client", "server", "neither")


def test_a_run_measures_the_ceiling_with_as_many_streams_as_it_had(server: Server) -> None:
    told: list[Any] = []
    found = benchmark(
        server.url, WORK, [ClosedLoop(1), ClosedLoop(3)], Amount(3), ceiling_seconds=0.3, tell=told.append
    )
    assert found.ceiling is not None
    assert found.ceiling.streams == 3
    assert told[-1] == Begun(server.url, None)


def test_the_server_of_the_self_test_sends_a_part_at_a_time_as_ollama_frames_it() -> None:
    sent = pieces(3)
    head, _, first = sent[0].partition(b"\r\n\r\n")
    assert b"application/x-ndjson" in head
    lines = [piece.split(b"\r\n")[1] for piece in (first, *sent[1:])]
    sizes = [int(piece.split(b"\r\n")[0], 16) for piece in (first, *sent[1:])]
    assert [len(line) for line in lines] == sizes
    assert [json.loads(line)["done"] for line in lines] == [False, False, False, True]
    assert json.loads(lines[-1])["eval_count"] == 3
