"""The line of a bar: what stays on a narrow terminal, and what is shortened first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_fast import Progress
from ollama_fast._bar_line import amounts_of, fitted, shortened

pytestmark = pytest.mark.unsent

NOW = Progress("uploading b179c9523d0e", 40_000_000, 98_000_000, 0.41, 77_000_000, 1.0)
LONG = "127.0.0.1:45087/me/smollm2"


@pytest.mark.parametrize(
    ("width", "label", "line"),
    [
        (120, LONG, (f"{LONG} uploading b179c9523d0e", 32, "40 MB of 98 MB, 77 MB/s, 1s left")),
        (80, "smollm2", ("smollm2 uploading b179c9523d0e", 11, "40 MB of 98 MB, 77 MB/s, 1s left")),
        (80, LONG, ("…087/me/smollm2 uploading b179…", 10, "40 MB of 98 MB, 77 MB/s, 1s left")),
        (40, LONG, ("…smollm2 upload…", 10, "1s left")),
        (20, LONG, ("…m2", 10, "")),
        (5, LONG, ("", 0, "")),
    ],
)
def test_names_are_shortened_first_and_then_the_amounts(width: int, label: str, line: tuple[str, int, str]) -> None:
    assert fitted(label, NOW, width) == line


@given(st.integers(1, 250), st.text("abc/:", max_size=60), st.text("xyz ", max_size=60), st.booleans())
def test_a_line_is_never_wider_than_there_is_room(width: int, label: str, status: str, counted: bool) -> None:
    progress = Progress(status, 4, 9, 0.4, 7.0, 100.0) if counted else Progress(status)
    names, bar, amounts = fitted(label, progress, width)
    assert len(names) + 1 + bar + 1 + 4 + 1 + len(amounts) <= max(width, 7)
    assert bar >= min(10, width - 7) or width < 7


def test_a_rate_of_nothing_is_not_said() -> None:
    assert amounts_of(Progress("parsing GGUF", 98, 98, 0.999, 5.0)) == ("98 B of 98 B",)
    assert amounts_of(Progress("pulling manifest")) == ()


def test_of_a_label_the_end_stays_and_of_a_status_the_beginning() -> None:
    assert shortened("hf.co/someone/model", "pulling 797b70c4edf8", 24) == "…meone/model pulling 79…"
    assert shortened("m", "pulling 797b70c4edf8", 12) == "m pulling 7…"
    assert shortened("hf.co/someone/model", "success", 20) == "…meone/model success"
    assert shortened("", "pulling 797b70c4edf8", 10) == "pulling 7…"
    assert shortened("model", "", 3) == "mo…"
