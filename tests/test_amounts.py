"""Amounts in words, and options that are given as words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_fast._amounts import digits, left, size, span, took
from ollama_fast._option_texts import kinds, typed

pytestmark = pytest.mark.unsent


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 KB"),
        (1040, "1.0 KB"),
        (9_960, "10.0 KB"),
        (999_999, "999 KB"),
        (98_363_007, "98 MB"),
        (98_999_999.5, "98 MB"),
        (4_661_224_676, "4.7 GB"),
        (5e15, "5000 TB"),
        (float("inf"), "9223372 TB"),
        (10**400, "9223372 TB"),
    ],
)
def test_a_size_is_what_ollamas_own_command_says(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.00 µs"),
        (0.0000256, "25.6 µs"),
        (0.00143, "1.43 ms"),
        (0.25, "250 ms"),
        (1, "1.00 s"),
        (1234.5, "1,234 s"),
    ],
)
def test_a_duration_has_three_digits(seconds: float, text: str) -> None:
    assert took(seconds) == text


def test_a_number_has_three_digits() -> None:
    assert [digits(number) for number in (0.5, 12.34, 123.4, 12345.6)] == ["0.50", "12.3", "123", "12,346"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "less than a second"), (1, "1 second"), (90, "90 seconds"), (150, "2 minutes"), (40 * 86400, "5 weeks")],
)
def test_a_distance_is_said_in_words(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0s"), (59.6, "1m0s"), (72, "1m12s"), (3720, "1h2m"), (360_000, "99h+"), (1e9, "99h+")]
)
def test_what_is_left_is_said_in_few_characters(seconds: float, text: str) -> None:
    assert left(seconds) == text


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("seed", "-1", -1),
        ("seed", "+0042", 42),
        ("seed", "9223372036854775807", 2**63 - 1),
        ("seed", f"{'0' * 5000}7", 7),
        ("temperature", "1e2", 100.0),
        ("temperature", ".5", 0.5),
        ("use_mmap", "T", True),
        ("use_mmap", "0", False),
        ("stop", "a b", ["a b"]),
    ],
)
def test_an_option_has_the_type_of_its_name(key: str, text: str, value: Any) -> None:
    found = typed(kinds()[key], text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("key", "text", "says"),
    [
        ("seed", "1.5", "a whole number, not '1.5'"),
        ("seed", "1_000", "a whole number, not '1_000'"),
        ("seed", "\u0661", "a whole number, not '\u0661'"),
        ("seed", "9223372036854775808", "a whole number of 64 bits, not "),
        ("seed", "9" * 5000, "a whole number of 64 bits, not '99999"),
        ("temperature", "nan", "a number, not 'nan'"),
        ("temperature", "inf", "a number, not 'inf'"),
        ("temperature", "1e39", "a number of 32 bits, not '1e39'"),
        ("temperature", "1e999", "a number of 32 bits, not '1e999'"),
        ("use_mmap", "yes", "true or false, not 'yes'"),
    ],
)
def test_what_an_option_must_be_is_said_in_one_short_line(key: str, text: str, says: str) -> None:
    with pytest.raises(ValueError, match="not") as caught:
        typed(kinds()[key], text)
    assert str(caught.value).startswith(says)
    assert len(str(caught.value)) < 80


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_whole_number_of_64_bits_is_read(number: int) -> None:
    assert typed(int, str(number)) == number
