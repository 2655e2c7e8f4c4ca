"""The Rust core against oracles: `json`, `base64`, and itself under any cutting of the bytes."""

from __future__ import annotations

import base64
import gc
import json
import sys
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ollama_fast import _core

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def reject(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def by_json(data: bytes) -> Any:
    return json.loads(data.decode("utf-8"), parse_constant=reject)


def is_json(data: bytes) -> bool:
    try:
        by_json(data)
    except ValueError:
        return False
    return True


def exactly(value: Any) -> str:
    return repr(value)  # unlike ==, tells 1 from 1.0 and from True, and 0.0 from -0.0


# --- one JSON text ---------------------------------------------------------------------------------------------------


@given(VALUES, st.booleans(), st.sampled_from([None, 1, "\t", "\r\n"]))
def test_decode_gives_what_json_gives(value: Any, ascii_only: bool, indent: int | str | None) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert exactly(_core.decode(data)) == exactly(by_json(data)) == exactly(value)


@given(st.binary() | st.text(alphabet='{}[]",:\\ue+-.0123456789 \n\tntrufalsNI', max_size=30).map(str.encode))
@example(b'{"a":1,"a":2}')
@example(b"[1,]")
@example(b"01")
@example(b"1.")
@example(b"-")
@example(b"\x0b1")
@example("\ufeff{}".encode())
def test_decode_refuses_what_json_refuses(data: bytes) -> None:
    try:
        expected = by_json(data)
    except ValueError:
        with pytest.raises(ValueError, match="column"):
            _core.decode(data)
    else:
        if b"\\ud" not in data.lower():  # halves of a surrogate pair have a test of their own
            assert exactly(_core.decode(data)) == exactly(expected)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a":1,"b":2,"a":3}', {"a": 3, "b": 2}),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b"-9223372036854775809", -9223372036854775809),
        (b"18446744073709551616", 18446744073709551616),
        (b"12345678901234567890e0", 12345678901234567890.0),
        (b"-0", 0),
        (b"-0.0", -0.0),
        (b"1e400", float("inf")),
        (b"0.1", 0.1),
        (b"3.4e+38", 3.4e38),
        (b"500000", 500000),
        (b'"\\u0000"', "\0"),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"a\\/b"', "a/b"),
        (b'"\\u003c\\u0026\\u2028"', "<&\u2028"),
        ('"\u0085\u2028\u2029\x7f"'.encode(), "\u0085\u2028\u2029\x7f"),
        (b" [ ] ", []),
    ],
)
def test_decode_gives(data: bytes, expected: Any) -> None:
    assert exactly(_core.decode(data)) == exactly(expected) == exactly(by_json(data))


@pytest.mark.parametrize(
    "data",
    [b"", b" ", b"NaN", b"Infinity", b"-Infinity", b"nan", b"[1] [2]", b"'a'", b'"\xff"', b'"\xed\xa0\x80"', b'"\t"'],
)
def test_decode_refuses(data: bytes) -> None:
    with pytest.raises(ValueError, match="column"):
        _core.decode(data)


@pytest.mark.parametrize("half", [b'"\\ud800"', b'"\\ude00"', b'"\\ud83dx"', b'"\\ud83d\\u0041"', b'{"\\ud800":1}'])
def test_half_a_surrogate_pair_is_refused_though_json_takes_it(half: bytes) -> None:
    json.loads(half)
    with pytest.raises(ValueError, match="hex escape"):
        _core.decode(half)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
def test_nesting_is_taken_to_a_depth_of_200_and_is_an_error_beyond(opening: bytes, closing: bytes) -> None:
    levels = len(opening.strip(b'"a:'))
    data = opening * (200 // levels) + b"1" + closing * (200 // levels)
    assert exactly(_core.decode(data)) == exactly(by_json(data))
    for depth in (202, 1000, 1_000_000):
        with pytest.raises(ValueError, match="recursion limit"):
            _core.decode(opening * depth + closing * depth)


@pytest.mark.parametrize("digits", [4300, 4301, 100_000])
def test_integers_have_as_many_digits_as_python_allows(digits: int) -> None:
    data = b"9" * digits
    if digits <= sys.int_info.default_max_str_digits:
        assert _core.decode(data) == int(data)
    else:
        with pytest.raises(ValueError, match="out of range"):
            _core.decode(data)


def test_an_error_says_where_and_shows_the_beginning() -> None:
    with pytest.raises(ValueError, match=r'line 2 column 3: "\{\\n  x\}"'):
        _core.decode(b"{\n  x}")
    with pytest.raises(ValueError, match="column 1: ") as caught:
        _core.decode(b"x" * 1_000_000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("wrong", ["1", None, 1, [b"1"]], ids=repr)
def test_another_type_than_bytes_is_a_type_error(wrong: Any) -> None:
    functions: list[Callable[[Any], Any]] = [_core.decode, _core.encode_base64, _core.LineDecoder().feed]
    for function in functions:
        with pytest.raises(TypeError, match="bytes"):
            function(wrong)


# --- lines -----------------------------------------------------------------------------------------------------------


def lines_of(chunks: Iterable[bytes]) -> list[Any]:
    """Give what comes of the chunks: decoded parts, and errors as pairs of class and text."""
    decoder = _core.LineDecoder()
    found: list[Any] = []

    def take(lines: _core.LineDecoder) -> None:
        while True:
            try:
                found.append(exactly(next(lines)))
            except StopIteration:
                return
            except (ValueError, EOFError) as error:
                found.append((type(error), str(error)))

    for chunk in chunks:
        take(decoder.feed(chunk))
    take(decoder.close())
    return found


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in pairwise(bounds)]


LINES = st.one_of(
    VALUES.map(lambda value: json.dumps(value, ensure_ascii=False).encode()),
    st.sampled_from([b"", b" ", b"\r", b"\t \r", b"{", b"[1", b'"', b"tru", b"x", b'{"a":1}}', b"\xff", b'"\xc3']),
    st.binary(max_size=6),
)
BODIES = st.builds(
    lambda lines, separators, end: b"".join(a + b for a, b in zip(lines, separators, strict=False)) + end,
    st.lists(LINES, max_size=6),
    st.lists(st.sampled_from([b"\n", b"\n", b"\r\n", b"\n\n"]), min_size=6, max_size=6),
    LINES,
)


@given(BODIES, st.lists(st.integers(min_value=0), max_size=8))
@example(b'{"a":"\xc3\xa9"}\r\n\n{"b":1', [7])
def test_any_cutting_gives_the_same_parts_and_errors(body: bytes, places: list[int]) -> None:
    expected = lines_of([body])
    assert lines_of(cut(body, places)) == expected
    assert lines_of([body[at : at + 1] for at in range(len(body))]) == expected


@given(BODIES)
def test_lines_are_what_json_makes_of_them(body: bytes) -> None:
    found = lines_of([body])
    lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip(b" \t\r\x0c")]
    assert len(found) == len(lines)
    for (number, line), part in zip(lines, found, strict=True):
        if isinstance(part, tuple):
            assert part[1].startswith(f"line {number}: ")
            assert not is_json(line)
        else:
            assert part == exactly(by_json(line))


@given(VALUES)
def test_every_truncation_is_an_eof_error(value: Any) -> None:
    data = json.dumps({"part": value}, ensure_ascii=False).encode()
    for end in range(1, len(data)):
        (error,) = lines_of([data[:end]])
        assert error[0] is EOFError


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", []),
        (b"\n\r\n  \n", []),
        (b"1", ["1"]),
        (b"1\n2", ["1", "2"]),
        (b"1\r\n2\r\n", ["1", "2"]),
        (b"\n1\n\n\n2\n\n", ["1", "2"]),
        ('{"a":"\u0085\u2028\u2029\x7f"}\n{"b":2}\n'.encode(), [repr({"a": "\u0085\u2028\u2029\x7f"}), "{'b': 2}"]),
        (b'"a\\nb"\n', [repr("a\nb")]),
    ],
)
def test_a_line_ends_at_a_newline_only(body: bytes, expected: list[str]) -> None:
    assert lines_of([body]) == expected


def test_good_parts_come_before_a_bad_line_and_after_it() -> None:
    found = lines_of([b'{"a":1}\n\n{"b":2}\nbad\n{"c":3}\n'])
    assert [found[0], found[1], found[3]] == ["{'a': 1}", "{'b': 2}", "{'c': 3}"]
    assert found[2] == (ValueError, 'line 4: expected value at column 1: "bad"')


def test_feed_gives_what_is_complete_and_no_more() -> None:
    decoder = _core.LineDecoder()
    assert list(decoder.feed(b'{"a":')) == []
    assert list(decoder.feed(b"1}")) == []
    assert list(decoder.feed(b'\n{"b":2}\n{"c"')) == [{"a": 1}, {"b": 2}]
    assert list(decoder.feed(b"")) == []
    assert list(decoder.feed(b":3}")) == []
    assert list(decoder.close()) == [{"c": 3}]
    assert list(decoder.close()) == []


def test_lines_not_taken_are_kept() -> None:
    decoder = _core.LineDecoder()
    assert next(decoder.feed(b"1\n2\n")) == 1
    assert list(decoder.feed(b"3\n")) == [2, 3]


def test_a_line_of_10_mb_comes_whole_in_small_chunks() -> None:
    part = {"context": list(range(1_400_000)), "done": True}
    data = json.dumps(part).encode() + b"\n"
    assert len(data) > 10_000_000
    decoder = _core.LineDecoder()
    found = [line for at in range(0, len(data), 4096) for line in decoder.feed(data[at : at + 4096])]
    assert found == [part]


# --- base64 and memory -----------------------------------------------------------------------------------------------


@given(st.binary())
@example(b"")
@example(bytes(range(256)) * 40)
def test_encode_base64_gives_what_base64_gives(data: bytes) -> None:
    assert _core.encode_base64(data) == base64.b64encode(data).decode()


@given(st.lists(st.floats() | st.sampled_from([0, True, None, "1", 10**400]), max_size=4))
def test_a_list_is_all_floats_if_it_holds_nothing_else(numbers: list[Any]) -> None:
    assert _core.all_floats(numbers) == ({*map(type, numbers)} <= {float})


@pytest.mark.parametrize("wrong", [None, 1.0, (1.0,), "1"])
def test_only_a_list_is_asked_for_its_floats(wrong: Any) -> None:
    with pytest.raises(TypeError):
        _core.all_floats(wrong)


def test_memory_does_not_grow_with_calls() -> None:
    resource: Any = pytest.importorskip("resource", reason="no module of Windows")
    line = json.dumps({"response": "x" * 200, "list": [1.5] * 20}).encode() + b"\n"

    def work(times: int) -> int:
        decoder = _core.LineDecoder()
        for number in range(times):
            _core.decode(b'{"key %d":[1,2,{"a":"b"}]}' % number)
            _core.encode_base64(line)
            for _ in decoder.feed(line):
                pass
            for bad in (b"{", b'{"a":"' + line):
                with pytest.raises(ValueError, match="column"):
                    _core.decode(bad)
        gc.collect()
        peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak

    before = work(2_000)
    after = work(20_000)  # 100 000 calls; a leak of 200 bytes in each would be 20 MB
    assert after - before < 10_000 * (1024 if sys.platform == "darwin" else 1)
