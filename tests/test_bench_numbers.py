"""What a benchmark makes of what it measured: pure, by values made by hand and at random."""

from __future__ import annotations

import copy
import math
import pickle
import re
from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_values import level, run, sample
from ollama_fast.bench import (
    Amount,
    Ceiling,
    ClosedLoop,
    Failures,
    OpenLoop,
    Prompt,
    Workload,
    compare_runs,
    find_doubts,
    summarise_level,
)
from ollama_fast.bench._aggregate import percentile, spread
from ollama_fast.bench._arrivals import arrivals
from ollama_fast.bench._compare import told_apart
from ollama_fast.bench._measuring import says_something
from ollama_fast.bench._metrics import COUNTS, SERVER, SPREADS, number, shown

SECONDS = st.floats(0, 1e6, allow_nan=False)


# --- percentiles -----------------------------------------------------------------------------------------------------


@given(st.lists(SECONDS, min_size=1, max_size=60), st.floats(0, 100))
def test_a_percentile_is_numpys(values: list[float], share: float) -> None:
    assert percentile(sorted(values), share) == pytest.approx(float(np.percentile(values, share)), rel=1e-9, abs=1e-9)


@given(st.lists(SECONDS, min_size=1, max_size=60))
def test_a_spread_is_that_of_its_values(values: list[float]) -> None:
    found = spread(values)
    assert found is not None
    assert (found.count, found.min, found.max) == (len(values), min(values), max(values))
    assert found.min <= found.p50 <= found.p90 <= found.p99 <= found.max
    assert found.min <= found.mean <= found.max
    assert found.mean == pytest.approx(float(np.mean(values)), rel=1e-9, abs=1e-9)


def test_nothing_has_no_spread() -> None:
    assert spread([]) is None


# --- a load ----------------------------------------------------------------------------------------------------------


def test_the_latencies_of_one_stream_are_as_they_are_defined() -> None:
    # It was to be sent at 1.0 and was at 1.25; its parts came at 1.5, 1.75 and 2.5, and the last one at 3.0.
    one = sample(1.5, 1.75, 2.5, intended=1.0, ended=3.0, sent=1.25, tokens=5, total=1_500_000_000, eval=500_000_000)
    found = summarise_level(level(one))
    assert found.ttft is not None
    assert found.ttft.mean == 0.5
    assert found.itl is not None
    assert (found.itl.count, found.itl.min, found.itl.max) == (2, 0.25, 0.75)
    assert found.e2e is not None
    assert found.e2e.mean == 2.0
    assert found.tpot is not None
    assert found.tpot.mean == (2.0 - 0.5) / (5 - 1)
    assert found.stream_rate is not None
    assert found.stream_rate.mean == pytest.approx(1 / 0.375)
    assert found.lag is not None
    assert found.lag.mean == 0.25
    assert found.server_rate is not None
    assert found.server_rate.mean == 10.0
    assert found.server_total is not None
    assert found.server_total.mean == 1.5
    assert found.outside is not None
    assert found.outside.mean == pytest.approx(3.0 - 1.25 - 1.5)


def test_a_load_is_the_sum_of_what_was_done_in_it() -> None:
    failed = {"outcome": "failed", "error": "ConnectError", "tokens": None}
    found = summarise_level(
        level(
            sample(1.0, 2.0, ended=2.0, tokens=30, prompt_tokens=7),
            sample(3.0, 4.0, intended=2.0, ended=4.0, tokens=10, prompt_tokens=5),
            sample(intended=4.0, ended=9.0, **failed, message="refused"),
            sample(intended=4.0, ended=8.0, **{**failed, "error": "TimeoutError", "reason": "idle", "message": "late"}),
            sample(intended=5.0, ended=10.0, **{**failed, "message": "another"}),
            sample(6.0, intended=5.0, ended=8.0, outcome="cut", tokens=None),
        )
    )
    assert (found.requests, found.done, found.failed, found.cut) == (6, 2, 3, 1)
    assert found.errors == (Failures("ConnectError", 2, "refused"), Failures("TimeoutError (idle)", 1, "late"))
    assert (found.duration, found.request_rate) == (10.0, 0.2)
    assert (found.output_tokens, found.output_rate, found.prompt_tokens) == (40, 4.0, 12)
    assert found.concurrency == (2 + 2 + 5 + 4 + 5 + 3) / 10
    assert found.client_cpu == 0.1
    assert found.e2e is not None
    assert found.e2e.count == 2  # not of those that failed early, which would look quick


def test_tokens_are_counted_by_parts_only_where_the_server_does_not() -> None:
    found = summarise_level(level(sample(1.0, 2.0, tokens=None), sample(1.0, 2.0, tokens=9)))
    assert (found.output_tokens, found.counted_parts) == (2 + 9, 1)


def test_a_load_in_which_all_failed_has_no_latencies_and_no_rate() -> None:
    found = summarise_level(level(sample(ended=1.0, outcome="failed", error="ConnectError")))
    assert (found.ttft, found.itl, found.tpot, found.e2e) == (None, None, None, None)
    assert (found.request_rate, found.output_rate, found.duration) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("outcome", ["failed", "cut"])
def test_what_is_not_done_makes_no_rate_better(outcome: Any) -> None:
    done = [sample(0.5, 1.0, tokens=10)] * 2
    alone = summarise_level(level(*done))
    found = summarise_level(level(*done, sample(intended=1.0, ended=5.0, outcome=outcome, tokens=None)))
    assert (alone.request_rate, alone.output_rate) == (2.0, 20.0)
    assert (found.request_rate, found.output_rate) == (2 / 5, 4.0)


def test_an_answer_of_one_token_has_no_time_per_token() -> None:
    found = summarise_level(level(sample(1.0, ended=1.5)))
    assert (found.tpot, found.stream_rate, found.itl) == (None, None, None)


@given(st.lists(st.lists(SECONDS, min_size=1, max_size=8).map(sorted), max_size=8))
def test_gaps_add_up_to_what_lies_between_first_and_last_part(streams: list[list[float]]) -> None:
    found = summarise_level(level(*[sample(*stream) for stream in streams]))
    gaps = [after - before for stream in streams for before, after in pairwise(stream)]
    assert (0 if found.itl is None else found.itl.count) == len(gaps)
    if found.itl is not None:
        assert found.itl.mean * found.itl.count == pytest.approx(math.fsum(gaps), abs=1e-6)


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"message": {"role": "assistant", "content": "a"}, "done": False}, True),
        ({"message": {"role": "assistant", "content": "", "thinking": "Hm."}, "done": False}, True),
        ({"message": {"role": "assistant", "content": "", "tool_calls": [{}]}, "done": False}, True),
        ({"message": {"role": "assistant", "content": ""}, "done": True}, False),
        ({"response": "a", "done": False}, True),
        ({"response": "", "thinking": "Hm.", "done": False}, True),
        ({"response": "", "done": True}, False),
    ],
)
def test_a_part_counts_if_it_says_something(part: dict[str, Any], says: bool) -> None:
    assert says_something(part) is says


@pytest.mark.parametrize("metric", [*COUNTS, *SPREADS, *SERVER], ids=lambda metric: metric.key)
def test_every_metric_is_in_a_summary(metric: Any) -> None:
    timed = {"total": 9, "load": 1, "prompt_eval": 2, "eval": 3, "prompt_tokens": 2}
    found = summarise_level(level(sample(1.0, 2.0, ended=2.5, **timed)))
    key = metric.key if metric in COUNTS else f"{metric.key}.p50"
    assert isinstance(number(found, key), int | float)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "s", "-"),
        (0.0000012, "s", "1.20 µs"),
        (0.0123, "s", "12.3 ms"),
        (0.9999, "s", "1,000 ms"),
        (1.0, "s", "1.00 s"),
        (123.4, "s", "123 s"),
        (1234.5, "/s", "1,234"),
        (0, "", "0"),
        (12345, "", "12,345"),
        (0.5, "share", "50%"),
    ],
)
def test_a_number_is_shown_in_three_digits(value: float | None, unit: Any, text: str) -> None:
    assert shown(value, unit) == text


# --- arrivals --------------------------------------------------------------------------------------------------------


def test_arrivals_are_random_at_their_rate_and_the_same_for_a_seed() -> None:
    moments = list(islice(arrivals(50, seed=3), 5000))
    assert moments == list(islice(arrivals(50, seed=3), 5000))
    assert moments != list(islice(arrivals(50, seed=4), 5000))
    gaps = np.diff(moments)
    assert gaps.min() > 0
    assert gaps.mean() == pytest.approx(1 / 50, rel=0.1)
    assert gaps.std() == pytest.approx(1 / 50, rel=0.1)  # as exponential ones have it


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Workload("m", ()), "the prompt set is empty"),
        (lambda: Workload("m", num_predict=0), "num_predict must be 1 or more"),
        (lambda: Workload("m", options={"num_predict": 5}), "num_predict, which has a parameter of its own"),
        (lambda: Workload("m", (Prompt(messages=({},)),), api="generate"), "which generate does not take"),
        (lambda: ClosedLoop(0), "needs 1 worker or more"),
        (lambda: OpenLoop(0), "a rate of more than 0"),
        (lambda: OpenLoop(math.inf), "a rate of more than 0"),
        (lambda: Amount(0), "needs 1 request or more"),
        (lambda: Amount(seconds=0), "needs more than 0 seconds"),
        (lambda: Amount(warm_up=-1), "0 requests or more"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_a_load_has_32_requests_only_where_nothing_else_is_said() -> None:
    assert Amount().requests == 32
    assert Amount(seconds=60) == Amount(None, 60)
    assert Amount(seconds=60).requests is None
    assert Amount(5, seconds=60).requests == 5


def test_a_run_cannot_be_changed_and_can_be_copied_and_sent_to_another_process() -> None:
    options = {"temperature": 0.0}
    work = Workload("m", (Prompt(messages=({"role": "user", "content": "Hi!"},)),), options=options)
    options["temperature"] = 1.0
    assert work.options == {"temperature": 0.0}
    one = run(level(sample(1.0)), workload=work)
    for mapping in (one.workload.options, one.machine.versions):
        frozen: Any = mapping
        with pytest.raises(TypeError, match="does not support item assignment"):
            frozen["a"] = "b"
    assert pickle.loads(pickle.dumps(one)) == one
    assert copy.deepcopy(one) == one
    assert len({one, copy.deepcopy(one)}) == 1


# --- comparisons -----------------------------------------------------------------------------------------------------


def test_runs_are_compared_by_the_loads_that_both_have() -> None:
    first = run(level(sample(1.0, 2.0, tokens=10)), level(sample(1.0), load=ClosedLoop(2)))
    second = run(level(sample(2.0, 4.0, tokens=10)), level(sample(1.0), load=OpenLoop(2)), host="http://b:1", label="b")
    found = compare_runs(first, second)
    assert {row.load for row in found.rows} == {"1 worker"}
    assert found.unmatched == ("2 workers", "2 req/s")
    assert found.differences == ("host: http://a:1 and http://b:1",)
    rows = {row.key: row for row in found.rows}
    assert (rows["ttft.p50"].first, rows["ttft.p50"].second) == (1.0, 2.0)
    assert (rows["ttft.p50"].ratio, rows["ttft.p50"].better) == (2.0, False)
    assert (rows["output_rate"].ratio, rows["output_rate"].better) == (0.5, False)
    back = {row.key: row for row in compare_runs(second, first).rows}
    assert (back["ttft.p50"].ratio, back["ttft.p50"].better) == (0.5, True)


def test_what_was_not_measured_has_no_ratio() -> None:
    failed = level(sample(ended=1.0, outcome="failed", error="ConnectError"))
    rows = {row.key: row for row in compare_runs(run(level(sample(1.0))), run(failed)).rows}
    assert (rows["ttft.p50"].second, rows["ttft.p50"].ratio, rows["ttft.p50"].better) == (None, None, None)
    assert rows["request_rate"].ratio == 0.0


def test_a_run_is_as_good_as_itself() -> None:
    one = run(level(sample(1.0, 2.0)))
    assert {row.better for row in compare_runs(one, one).rows} == {None}
    assert {row.ratio for row in compare_runs(one, one).rows} == {1.0}
    assert compare_runs(one, one).differences == ()


def test_runs_of_one_host_get_labels_that_differ() -> None:
    one, other = run(), run(label="b")
    later = replace(one, began_at="2026-01-02T00:00:00+00:00")
    assert [each.label for each in told_apart([one, other])] == ["http://a:1", "b"]
    assert [each.label for each in told_apart([one, later])] == [
        "http://a:1 2026-01-01T00:00:00",
        "http://a:1 2026-01-02T00:00:00",
    ]
    assert len({each.label for each in told_apart([one, one, later])}) == 3


# --- doubts ----------------------------------------------------------------------------------------------------------


def _many(load: Any = None, **more: Any) -> Any:
    return level(*[sample(1.0, 2.0, tokens=1000, **more)] * 100, load=load)


@pytest.mark.parametrize(
    ("doubted", "text"),
    [
        (run(_many(), cut=True), "The benchmark was broken off"),
        (run(_many(), ceiling=None), "ceiling was not measured"),
        (run(_many(), ceiling=Ceiling(4, 1e6, 5.0, 1.5, 0.4, 0.3)), "Other programs took part"),
        (run(_many(), ceiling=Ceiling(4, 60_000.0, 5.0, 1.5, 0.99, 0.3)), "1 worker: the load came to 83% of what"),
        (run(replace(_many(), client_cpu=9.0)), "the client took 90% of a core"),
        (run(_many(OpenLoop(1.0), sent=0.5)), "up to 500 ms late"),
        (run(level(*_many().samples, sample(outcome="failed", error="ConnectError"))), "1 of 101 requests failed; lat"),
        (run(level(sample(outcome="failed", error="ConnectError"))), "1 of 1 requests failed; nothing was measured"),
        (
            run(level(sample(outcome="failed", error="ResponseError", reason="429", message="too many"))),
            r"1 worker: 1 ResponseError \(429\): too many",
        ),
        (run(level(sample(1.0))), "Under 100 requests, p99 .* 1 worker"),
        (run(level(*[sample(1.0, tokens=None)] * 100)), "tokens of 100 answers"),
    ],
)
def test_what_is_to_be_doubted_is_said(doubted: Any, text: str) -> None:
    found = find_doubts(doubted)
    assert any(re.search(text, doubt) for doubt in found), found


def test_a_run_without_anything_to_doubt_says_nothing() -> None:
    assert find_doubts(run(_many(), ceiling=Ceiling(4, 1e6, 5.0, 1.5, 0.99, 0.3))) == []


@pytest.mark.parametrize(
    ("client", "server", "limit"), [(0.98, 0.5, "client"), (0.5, 0.98, "server"), (0.5, 0.4, "neither")]
)
def test_the_self_test_says_who_was_the_limit(client: float, server: float, limit: str) -> None:
    assert Ceiling(1, 1.0, 1.0, 1.0, client, server).limited_by == limit
