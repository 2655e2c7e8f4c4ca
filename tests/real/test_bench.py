"""A benchmark of a genuine server: what it says of itself fits to what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_fast.bench import (
    Amount,
    ClosedLoop,
    OpenLoop,
    Workload,
    benchmark,
    read_json,
    summarise_level,
    write_html,
    write_json,
)
from real.target import Genuine

pytestmark = pytest.mark.real


@pytest.mark.parametrize("api", ["chat", "generate"])
def test_what_is_measured_of_a_genuine_server_fits_to_what_it_says(real: Genuine, api: str, tmp_path: Path) -> None:
    work = Workload(real.model, api="chat" if api == "chat" else "generate", num_predict=16)
    found = benchmark(real.url, work, [ClosedLoop(1), ClosedLoop(3), OpenLoop(2)], Amount(4), ceiling_seconds=0)
    assert found.server
    for level in found.levels:
        summary = summarise_level(level)
        assert (summary.done, summary.failed, summary.counted_parts) == (4, 0, 0)
        for one in level.samples:
            assert one.tokens is not None
            assert 1 <= one.tokens <= 16
            assert len(one.arrivals) <= one.tokens
            assert one.total is not None
            assert one.eval is not None
            assert one.eval <= one.total
            assert one.ended - one.sent >= one.eval / 1e9, "the client saw all of the time in which it was made"
    write_json(found, tmp_path / "run.json")
    assert read_json(tmp_path / "run.json") == found
    write_html([found], tmp_path / "run.html")
