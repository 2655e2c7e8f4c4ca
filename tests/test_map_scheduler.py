"""Which host does which batch, and what may be given out: decided without network, clock or threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_fast._map import RESTS, WINDOW, Batch, Blame, OnDead, Schedule, blame
from ollama_fast.errors import (
    ConnectError,
    DecodeError,
    IncompleteStreamError,
    InputsError,
    ModelNotFoundError,
    OllamaError,
    ResponseError,
    TimeoutError,
    TransportError,
)

pytestmark = pytest.mark.unsent

DEAD: list[OllamaError] = [
    ConnectError("refused"),
    TransportError("broke"),
    TimeoutError("late"),
    IncompleteStreamError("cut"),
    ResponseError("bad gateway", status=502),
    ResponseError("gateway timeout", status=504),
]
FULL = TimeoutError("none of the 2 connections became free")
FULL.__cause__ = httpx.PoolTimeout("full")
BUSY: list[OllamaError] = [ResponseError("busy", status=503), ResponseError("slow down", status=429), FULL]
WRONG: list[Exception] = [
    ModelNotFoundError("no model", status=404),
    ResponseError("crash", status=500),
    DecodeError("shape"),
    TypeError("no text"),
]


class BadInputsError(Exception):
    """Raised by an iterable of inputs."""


@dataclass
class World:
    """A driver that does one thing at a time, in whatever order, and checks what must hold after each."""

    schedule: Schedule[int, str]
    inputs: Iterator[int]
    hosts: int
    concurrency: int
    batch_size: int
    read: int = 0
    under_way: list[tuple[int, Batch[int]]] = field(default_factory=list[tuple[int, Batch[int]]])
    resting: set[int] = field(default_factory=set[int])
    given: list[str] = field(default_factory=list[str])
    finished: set[int] = field(default_factory=set[int])
    error: Exception | None = None
    died: set[int] = field(default_factory=set[int])

    def can(self) -> list[Callable[[], None]]:
        """Everything that may happen next, but for failures."""
        steps: list[Callable[[], None]] = []
        if self.error is not None or self.schedule.is_over:
            return []
        if self.schedule.has_room:
            steps.append(self.read_one)
        if self.schedule.can_give:
            steps.append(self.give)
        steps += [partial(self.rest, host) for host in sorted(self.resting)]
        steps += [partial(self.settle, place) for place in range(len(self.under_way))]
        return steps

    def take_all(self) -> bool:
        """Let every free worker ask, once; whether one got something."""
        got = False
        for host in range(self.hosts):
            batch = self.schedule.take(host)
            if batch is not None:
                self.under_way.append((host, batch))
                got = True
                assert host not in self.died
                assert host not in self.resting
        for host in range(self.hosts):
            assert sum(h == host for h, _ in self.under_way) <= self.concurrency
        return got

    def read_one(self) -> None:
        try:
            value = next(self.inputs)
        except StopIteration:
            self.schedule.end()
            return
        except BadInputsError as exc:
            self.schedule.end(exc)
            return
        self.read += 1
        self.schedule.add(value)
        assert self.read <= len(self.given) + self.schedule.window * self.batch_size

    def give(self) -> None:
        try:
            self.given.append(self.schedule.give())
        except (InputsError, BadInputsError) as exc:
            self.error = exc

    def rest(self, host: int) -> None:
        self.resting.discard(host)
        self.schedule.rested(host)

    def settle(self, place: int, error: Exception | None = None) -> None:
        host, batch = self.under_way.pop(place)
        results = [] if error is not None else [f"r{one}" for one in batch.inputs]
        if error is None:
            assert not self.finished & set(batch.indices)
            self.finished |= set(batch.indices)
        elif error in DEAD:
            self.died.add(host)
        rest = self.schedule.settle(host, batch, results, error)
        if rest is not None:
            assert rest > 0
            self.resting.add(host)


def world(inputs: Iterator[int], hosts: int, concurrency: int, size: int, on_dead: OnDead = "resend") -> World:
    return World(Schedule(hosts, concurrency, size, on_dead), inputs, hosts, concurrency, size)


def run(this: World, choose: Callable[[int], int], fails: Callable[[], Exception | None]) -> None:
    """Do steps until none is left."""
    for _ in range(10_000):
        while this.take_all():
            pass
        if this.under_way and (error := fails()) is not None:
            this.settle(choose(len(this.under_way)), error)
            continue
        steps = this.can()
        if not steps:
            return
        steps[choose(len(steps))]()
    pytest.fail("it does not end")


def numbers(count: int, *, bad: bool = False) -> Iterator[int]:
    yield from range(count)
    if bad:
        raise BadInputsError


shapes = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4))


@given(st.data(), shapes, st.integers(0, 60), st.booleans())
def test_every_input_once_and_in_order_in_whatever_order_it_is_done(
    data: st.DataObject, shape: tuple[int, int, int], count: int, bad: bool
) -> None:
    this = world(numbers(count, bad=bad), *shape)
    run(this, lambda most: data.draw(st.integers(0, most - 1)), lambda: None)
    assert this.given == [f"r{one}" for one in range(count)]
    assert isinstance(this.error, BadInputsError) is bad
    assert this.schedule.is_over


@given(st.data(), shapes, st.integers(1, 60), st.sampled_from(["resend", "raise"]))
def test_whatever_fails_it_ends_with_all_results_or_an_error_in_its_place(
    data: st.DataObject, shape: tuple[int, int, int], count: int, on_dead: OnDead
) -> None:
    this = world(numbers(count), *shape, on_dead)

    def fails() -> Exception | None:
        error: Exception | None = data.draw(st.sampled_from([*[None] * 12, *DEAD, *BUSY, *BUSY, *WRONG]))
        return error

    run(this, lambda most: data.draw(st.integers(0, most - 1)), fails)
    assert this.given == [f"r{one}" for one in range(len(this.given))]
    assert this.schedule.is_over
    if this.error is None:
        assert len(this.given) == count
        return
    error = this.error
    assert isinstance(error, InputsError)
    assert error.__cause__ in [*DEAD, *BUSY, *WRONG]
    assert error.inputs.start == len(this.given)
    assert error.done == {index: f"r{index}" for index in this.finished if index >= len(this.given)}
    assert not set(error.inputs) & set(error.done)
    if error.__cause__ in DEAD and on_dead == "resend":
        assert len(this.died) == shape[0] or any(isinstance(error.__cause__, type(one)) for one in BUSY)


@given(st.data(), shapes, st.integers(1, 60))
def test_dead_hosts_lose_nothing_while_one_lives(data: st.DataObject, shape: tuple[int, int, int], count: int) -> None:
    hosts, concurrency, size = shape
    this = world(numbers(count), hosts + 1, concurrency, size)

    def choose(most: int) -> int:
        place: int = data.draw(st.integers(0, most - 1))
        return place

    for _ in range(10_000):
        while this.take_all():
            pass
        mortal = [place for place, (host, _) in enumerate(this.under_way) if host > 0]
        if mortal and choose(2):
            this.settle(mortal[choose(len(mortal))], DEAD[choose(len(DEAD))])
            continue
        steps = this.can()
        if not steps:
            break
        steps[choose(len(steps))]()
    assert this.error is None
    assert this.given == [f"r{one}" for one in range(count)]


@given(shapes)
def test_nothing_is_read_beyond_the_window_while_nobody_takes_results(shape: tuple[int, int, int]) -> None:
    hosts, concurrency, size = shape
    this = world(itertools.count(), *shape)
    for _ in range(10_000):
        while this.take_all():
            pass
        if this.under_way:
            this.settle(0)
        elif this.schedule.has_room:
            this.read_one()
        else:
            break
    assert this.read == WINDOW * hosts * concurrency * size == this.schedule.window * size
    for _ in range(size):
        assert not this.schedule.has_room
        this.give()
    assert this.schedule.has_room


# --- single decisions ------------------------------------------------------------------------------------------------


def filled(schedule: Schedule[int, str], count: int) -> Schedule[int, str]:
    for one in range(count):
        schedule.add(one)
    return schedule


def take(schedule: Schedule[int, str], host: int) -> Batch[int]:
    batch = schedule.take(host)
    assert batch is not None
    return batch


@pytest.mark.parametrize(
    ("reason", "errors"), [(Blame.HOST, DEAD), (Blame.BUSY, BUSY), (Blame.INPUTS, WRONG)], ids=["dead", "busy", "wrong"]
)
def test_what_a_failure_says_is_wrong(reason: Blame, errors: list[Exception]) -> None:
    assert [blame(error) for error in errors] == [reason] * len(errors)


def test_work_goes_to_the_host_that_does_least() -> None:
    schedule = filled(Schedule(2, 2, 1), 4)
    take(schedule, 0)
    assert schedule.take(0) is None
    take(schedule, 1)
    take(schedule, 0)
    take(schedule, 1)
    assert schedule.take(0) is schedule.take(1) is None


def test_a_batch_that_is_not_full_waits_for_more_or_for_the_end() -> None:
    schedule: Schedule[int, str] = Schedule(1, 1, 3)
    assert [schedule.add(one) for one in range(4)] == [False, False, True, False]
    assert take(schedule, 0).inputs == (0, 1, 2)
    schedule.settle(0, Batch(0, (0, 1, 2)), "abc")
    assert schedule.take(0) is None
    assert schedule.end() is True
    assert take(schedule, 0).indices == range(3, 4)


def test_an_error_stops_new_work_behind_it_but_not_before_it() -> None:
    schedule = filled(Schedule(2, 2, 1), 8)
    first, second, third = take(schedule, 0), take(schedule, 1), take(schedule, 0)
    schedule.settle(0, third, [], WRONG[1])
    assert not schedule.has_room
    assert schedule.take(0) is None
    schedule.settle(1, second, [], DEAD[0])  # handed back, and stands before the error
    assert take(schedule, 0) == second
    assert not schedule.can_give
    schedule.settle(0, second, ["b"])
    schedule.settle(0, first, ["a"])
    assert [schedule.give(), schedule.give()] == ["a", "b"]
    with pytest.raises(InputsError, match="input 2 failed: crash") as caught:
        schedule.give()
    assert caught.value.__cause__ is WRONG[1]
    assert schedule.is_over


def test_when_all_hosts_are_dead_the_last_ones_error_is_the_cause() -> None:
    schedule = filled(Schedule(2, 1, 2), 6)
    a, b = take(schedule, 0), take(schedule, 1)
    schedule.settle(1, b, [], DEAD[0])
    assert schedule.take(1) is None
    schedule.settle(0, a, ["x", "y"])
    again = take(schedule, 0)
    assert again == b
    schedule.settle(0, again, [], DEAD[1])
    assert [schedule.give(), schedule.give()] == ["x", "y"]
    with pytest.raises(InputsError, match="inputs 2 to 3 failed: no host is left; the last one: broke") as caught:
        schedule.give()
    assert caught.value.__cause__ is DEAD[1]


def test_a_death_is_an_error_at_once_if_nothing_may_be_sent_twice() -> None:
    schedule = filled(Schedule(2, 1, 1, "raise"), 2)
    a, b = take(schedule, 0), take(schedule, 1)
    schedule.settle(1, b, [], DEAD[0])
    schedule.settle(0, a, ["x"])
    assert schedule.take(0) is None
    assert schedule.give() == "x"
    with pytest.raises(InputsError) as caught:
        schedule.give()
    assert caught.value.__cause__ is DEAD[0]


@pytest.mark.parametrize("on_dead", ["resend", "raise"])
def test_a_busy_host_rests_longer_each_time_while_another_does_its_work(on_dead: OnDead) -> None:
    schedule = filled(Schedule(2, 1, 1, on_dead), 4)
    a, b = take(schedule, 0), take(schedule, 1)
    assert schedule.settle(0, a, [], BUSY[0]) == 0.25
    assert schedule.take(0) is None
    schedule.settle(1, b, ["b"])
    assert take(schedule, 1) == a
    schedule.rested(0)
    c = take(schedule, 0)
    assert schedule.settle(0, c, [], BUSY[1]) == 0.5
    schedule.rested(0)
    assert take(schedule, 0) == c
    schedule.settle(0, c, ["c"])
    d = take(schedule, 0)
    assert schedule.settle(0, d, [], BUSY[0]) == 0.25  # it has worked since


def test_two_workers_that_hear_the_same_are_one_rest() -> None:
    schedule = filled(Schedule(1, 2, 1), 2)
    a, b = take(schedule, 0), take(schedule, 0)
    assert schedule.settle(0, a, [], BUSY[0]) == 0.25
    assert schedule.settle(0, b, [], BUSY[0]) is None


def test_a_host_that_stays_busy_counts_as_dead() -> None:
    schedule = filled(Schedule(1, 1, 1), 1)
    rests: list[Any] = []
    for _ in range(RESTS + 1):
        rests.append(schedule.settle(0, take(schedule, 0), [], BUSY[0]))
        schedule.rested(0)
    assert rests == [0.25, 0.5, 1, 2, 4, 8, 16, 32, None]
    with pytest.raises(InputsError, match="no host is left") as caught:
        schedule.give()
    assert caught.value.__cause__ is BUSY[0]


def test_a_busy_host_that_works_on_something_is_not_dead() -> None:
    schedule = filled(Schedule(1, 2, 1), 2)
    long = take(schedule, 0)
    rests: list[Any] = []
    for _ in range(RESTS + 2):
        rests.append(schedule.settle(0, take(schedule, 0), [], FULL))
        schedule.rested(0)
    assert rests == [0.25, 0.5, 1, 2, 4, 8, 16, 32, 32, 32]
    schedule.settle(0, long, ["a"])
    assert schedule.settle(0, take(schedule, 0), [], FULL) == 0.25


def test_what_can_be_no_input_ends_the_inputs_and_is_an_error_behind_those_before_it() -> None:
    def take(one: int | None) -> int:
        if one is None:
            raise TypeError("it is nothing")
        return one

    schedule: Schedule[int | None, int] = Schedule(1, 1, 4, take=take)
    for one in (0, 1, 2, 3, 4):
        schedule.add(one)
    assert schedule.add(None)  # the batch that was begun is whole now
    assert not schedule.has_room
    given: list[int] = []
    while (batch := schedule.take(0)) is not None:
        schedule.settle(0, batch, [one or 0 for one in batch.inputs])
        while schedule.can_give and len(given) < 5:
            given.append(schedule.give())
    assert given == [0, 1, 2, 3, 4]
    with pytest.raises(InputsError, match="input 5 failed: it is nothing") as caught:
        schedule.give()
    assert caught.value.inputs == range(5, 6)
    assert isinstance(caught.value.__cause__, TypeError)
