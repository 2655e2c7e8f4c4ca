"""The soak sees what goes wrong: a part that is lost, doubled or another stream's, a wrong end, and what is left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ollama_fast import errors
from programs import program
from soak.plan import Fault, Plan, Seen

PLANS = [Plan.of(1, number) for number in range(2000)]


def of(fault: Fault, parts: int = 5) -> Plan:
    return next(replace(plan, parts=parts) for plan in PLANS if plan.fault == fault and plan.linger == 0)


def seen(plan: Plan, indices: list[int], ended_by: BaseException | None = None) -> Seen:
    found = Seen(plan, ended_by=ended_by)
    for index in indices:
        found.part({"response": plan.text(index)})
    partial = {"response": "".join(plan.text(index) for index in indices)} if indices else None
    found.partial = partial
    if isinstance(ended_by, errors.OllamaError):
        ended_by.partial = partial
    return found


def test_every_fault_is_planned_and_the_same_for_all() -> None:
    assert len({plan.fault for plan in PLANS}) == 14
    assert [Plan.of(1, plan.number) for plan in PLANS] == PLANS
    assert [Plan.of(2, plan.number) for plan in PLANS] != PLANS


def test_what_is_as_planned_is_not_wrong() -> None:
    assert seen(of("none"), [0, 1, 2, 3, 4]).wrong() == ""
    assert seen(of("cut"), [0, 1, 2, 3, 4], errors.IncompleteStreamError("")).wrong() == ""
    assert seen(of("reset"), [0, 1], errors.IncompleteStreamError("")).wrong() == ""


@pytest.mark.parametrize(
    ("fault", "indices", "ended_by", "said"),
    [
        ("none", [0, 1, 3, 4], None, "in place of"),
        ("none", [0, 1, 1, 2, 3, 4], None, "in place of"),
        ("none", [0, 1, 2, 3], None, "5 parts were sent"),
        ("none", [0, 1, 2, 3, 4], errors.TransportError(""), "no error was expected"),
        ("cut", [0, 1, 2, 3], errors.IncompleteStreamError(""), "5 parts were sent"),
        ("cut", [0, 1, 2, 3, 4], None, "IncompleteStreamError was expected"),
        ("error", [0, 1, 2, 3, 4], errors.DecodeError(""), "ResponseError was expected"),
        ("reset", [0, 1, 2, 3, 4, 5], errors.IncompleteStreamError(""), "5 parts were sent"),
    ],
)
def test_what_is_not_as_planned_is_said(fault: Fault, indices: list[int], ended_by: Any, said: str) -> None:
    assert said in seen(of(fault), indices, ended_by).wrong()


def test_a_part_of_another_stream_is_seen() -> None:
    one, other = PLANS[0], PLANS[1]
    found = Seen(one)
    found.part({"response": other.text(0)})
    assert "in place of" in found.wrong()


def test_a_partial_that_lacks_a_part_is_seen() -> None:
    found = seen(of("cut"), [0, 1, 2, 3, 4], errors.IncompleteStreamError(""))
    found.partial = {"response": "0"}
    assert "of the stream" in found.wrong()


# --- what is left ----------------------------------------------------------------------------------------------------

LEAKS = {
    "nothing": ("pass", ""),
    "a file": ("kept.append(os.dup(0))", "after round 1, files, tasks and threads were"),
    "a task": ("kept.append(asyncio.ensure_future(asyncio.sleep(60)))", "after round 0, files, tasks and threads were"),
    "a thread": (
        "threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "after round 0, files, tasks and threads were",
    ),
    "memory": ("kept.append(bytearray(2**20))", "of the second round were still held"),
}

LEAKING = """
from soak import client
client._SETTLED = 0.1
kept = []
class Leaking:
    ledger = client.Ledger()
    async def run(self, end):
        {}
asyncio.run(client.soak(Leaking(), 1))
print(Leaking.ledger.wrong or "", flush=True)
os._exit(0)
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not list open files there")
@pytest.mark.parametrize(("leak", "said"), LEAKS.values(), ids=LEAKS)
def test_what_is_left_is_said(leak: str, said: str) -> None:
    with program(LEAKING.format(leak), develop=False) as running:
        ended = running.end(60)
    assert (said in ended.out) if said else (not ended.out.strip()), (ended.out, ended.err)
    assert ended.code == 0
