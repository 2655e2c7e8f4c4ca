"""The usual line, which the core decodes by a way of its own: json's result all the same, whatever the bytes."""

from __future__ import annotations

import gc
import json
import random
import threading
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange import load_all
from ollama_fast import _core
from test_core import by_json, exactly

pytestmark = pytest.mark.unsent

_USUAL_KEYS: Final = (
    "model created_at message role content thinking tool_calls function name arguments index id done done_reason "
    "total_duration load_duration prompt_eval_count prompt_eval_duration eval_count eval_duration response context "
    "status digest total completed error logprobs token logprob bytes top_logprobs"
)
KEYS: Final = _USUAL_KEYS.split(" ")

LINES: Final = sorted({line for each in load_all().values() for line in each.response.body.splitlines()}, key=len)
USUAL: Final = [line for line in LINES if line.startswith(b"{") and len(line) <= 1500]

PIECES: Final = [
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\n", b"\r", b"\x00", b"\x1f", b"\x7f", b"\xff", b"\xc3"),
    *(
        b'""',
        b"{}",
        b"[]",
        b"0",
        b"-",
        b"-0",
        b".5",
        b"e9",
        b"E-3",
        b"1.",
        b"00",
        b"123456789012345678901234567890",
        b"NaN",
    ),
    *(
        b"\\n",
        b"\\u00e9",
        b"\\u2028",
        b"\\uD83D\\uDE00",
        b"\\ud83d",
        b"\\x",
        b"\\",
        b"\xed\xa0\x80",
        "é😀\u2028".encode(),
    ),
    *(
        b"true",
        b"nul",
        b"null",
        b',"model":1',
        b',"content":{"context":{}}',
        b'"":',
        b'{"role":"',
        b"9223372036854775808",
    ),
]


def outcome(data: bytes) -> str:
    try:
        return exactly(_core.decode(data))
    except ValueError:
        return "ValueError"


def expected_of(data: bytes) -> str:
    try:
        return exactly(by_json(data))
    except ValueError:
        return "ValueError"


def mutated(line: bytes, source: random.Random) -> bytes:
    """Change *line* in one to three places."""
    for _ in range(source.choice((1, 1, 2, 3))):
        begin = source.randrange(len(line) + 1)
        end = min(len(line), begin + source.choice((0, 0, 1, 1, 2, 9, len(line))))
        new = source.choice(
            (
                b"",
                bytes([source.randrange(256)]),
                source.choice(PIECES),
                line[begin:end] * 2,
                b'"%s":' % source.choice(KEYS).encode(),
            )
        )
        line = line[:begin] + new + line[end:]
    return line


# --- json's result ---------------------------------------------------------------------------------------------------


def test_recorded_lines_are_what_json_makes_of_them() -> None:
    assert len(USUAL) > 100
    for _ in range(2):  # the second time, keys and values are remembered
        for line in LINES:
            assert outcome(line) == expected_of(line)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_lines_are_what_json_makes_of_them(seed: int) -> None:
    source = random.Random(seed)
    good = 0
    for _ in range(10_000):
        line = mutated(source.choice(USUAL), source)
        expected = expected_of(line)
        if b"\\ud" not in line.lower():  # halves of a surrogate pair have a test of their own
            assert outcome(line) == expected, line
        good += expected != "ValueError"
    assert 1_000 < good < 9_000  # both are common


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=6)
        ),
        max_leaves=12,
    ),
    st.booleans(),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", "\r :\n")]),
)
def test_lines_like_those_of_the_server_are_what_json_makes_of_them(
    value: Any, ascii_only: bool, separators: tuple[str, str]
) -> None:
    data = json.dumps({"message": value}, ensure_ascii=ascii_only, separators=separators).encode()
    for _ in range(2):
        assert outcome(data) == expected_of(data) == exactly({"message": value})


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        " {\t} \r",
        "{}{}",
        "{},",
        '{"a":1}}',
        '{"a":1,}',
        '{,"a":1}',
        '{"a"}',
        '{"a" "b"}',
        '{"a":}',
        '{"":"","":1}',
        '{"model":"a","role":1,"model":"b"}',
        '{"content":{"context":{"content":1},"context":2},"content":3,"context":4}',  # these two share a slot
        '{"model":"x","model":"xy","model":"x\\"","model":"x"}',
        '{"do\\u006ee":1}',
        '{"né":{"né":[]}}',
        '{"a":[1,[2,{"b":[]}],{}]}',
        '{"a":[1 2]}',
        '{"a":[,]}',
        '{"a":truex}',
        '{"a":tru}',
        '{"a":01}',
        '{"a":-}',
        '{"a":-01}',
        '{"a":+1}',
        '{"a":1.}',
        '{"a":.1}',
        '{"a":1.e1}',
        '{"a":1e}',
        '{"a":[1E5,-0,-0.0,0e1,1e400,-1e400,5e-324,1e-400,0.1,2.5e+3]}',
        '{"a":[9223372036854775807,9223372036854775808,-9223372036854775808,-9223372036854775809]}',
        '{"a":12345678901234567890.5}',
        '{"a":0.1000000000000000055511151231257827021181583404541015625}',
        '{"a":9007199254740993.0}',
        '{"a":NaN}',
        '{"a":-Infinity}',
        '{"a":"\\u0000\\b\\f\\n\\r\\t\\/\\\\\\""}',
        '{"a":"\\ud83d\\ude00"}',
        '{"a":"\\u12"}',
        '{"a":"\\',
        '{"a":"',
        '{"a',
        "{",
    ],
)
def test_odd_objects_are_what_json_makes_of_them(text: str) -> None:
    for _ in range(2):
        assert outcome(text.encode()) == expected_of(text.encode())


@pytest.mark.parametrize("name", ["model", "key"])
@pytest.mark.parametrize("size", [1, 7, 8, 9, 63, 64, 65, 66, 4050, 4096, 5000])
@pytest.mark.parametrize("letter", ["x", "é", "\\n", "\t"])
def test_any_length_of_keys_and_values_will_do(name: str, size: int, letter: str) -> None:
    for text in (f'{{"{name}":"{letter * size}"}}', f'{{"{letter * size}":[]}}', f'{{"a":"{"y" * size}{letter}"}}'):
        for _ in range(2):
            assert outcome(text.encode()) == expected_of(text.encode())


@pytest.mark.parametrize("depth", [1, 8, 15, 16, 17, 18, 40])
@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ('{"a":[', "]}")])
def test_any_depth_will_do(depth: int, opening: str, closing: str) -> None:
    for end in (0, 1):
        text = opening * depth + '"x"' + closing * (depth - end)
        assert outcome(text.encode()) == expected_of(text.encode())


# --- what is remembered ----------------------------------------------------------------------------------------------


def test_answers_share_nothing_that_can_be_changed() -> None:
    line = b'{"model":"m","message":{"role":"assistant","tool_calls":[{"function":{"arguments":{}}}]},"done":false}'
    expected = by_json(line)
    for _ in range(3):
        answer = _core.decode(line)
        assert exactly(answer) == exactly(expected)
        answer["message"]["tool_calls"][0]["function"]["arguments"]["x"] = 1
        answer["message"]["tool_calls"].append(2)
        answer["message"].clear()
        answer["model"] += "!"
        del answer["done"]


def test_a_remembered_value_is_never_given_for_another() -> None:
    source = random.Random(7)
    for _ in range(5_000):
        names = [source.choice(("a", "ab", "abc", "é", "", "a\n", 'a"', "a\\", "x" * 64, "x" * 65)) for _ in range(4)]
        line = dict(zip(("model", "role", "status", "done_reason"), names, strict=True))
        assert _core.decode(json.dumps(line, ensure_ascii=False).encode()) == line


def test_a_finalizer_may_decode_while_a_line_is_decoded() -> None:
    found = []

    class Cycle:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            found.append(_core.decode(b'{"model":"other","done":true}'))

    line = b'{"model":"m","message":{"a":{},"b":{},"c":{}},"done":false}'
    expected = by_json(line)
    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(500):
            Cycle()
            assert _core.decode(line) == expected
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert len(found) == 500
    assert all(each == {"model": "other", "done": True} for each in found)


def test_threads_come_decode_and_go() -> None:
    wrong: list[Any] = []

    def work(number: int) -> None:
        line = {"model": f"model {number}", f"key {number}": number}
        data = json.dumps(line).encode()
        wrong.extend(each for each in (_core.decode(data) for _ in range(300)) if each != line)

    for _ in range(5):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_what_is_remembered_is_no_threads_own() -> None:
    """
    A thread that ends has no reference to let go of.

    It would do so without the interpreter's lock, and a fork in that moment left the child hanging.
    """
    line = b'{"model":"a name that no other test has","a key that no other test has":1}'
    seen: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: seen.append(_core.decode(line))) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join()
    first, second = seen
    assert first["model"] is second["model"]
    assert [*first][1] is [*second][1]
