"""Vectors as float32: the decoder of the core, and the value that embed_array gives."""

from __future__ import annotations

import copy
import json
import pickle
import struct
import sys
from collections.abc import Iterable
from dataclasses import FrozenInstanceError
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange import load_all
from ollama_fast import EmbedArray, _core

pytestmark = pytest.mark.unsent

RECORDED = {
    name: exchange
    for name, exchange in load_all().items()
    if exchange.call.function == "embed" and exchange.response.status == 200
}
TEXTS = ["-0.012345678", "1", "0", "-0.0", "1.5e-07", "16777217", "3.4028235e+38", "1e-45", "0.30000001192092896"]
ROWS = f"[ [{','.join(TEXTS)}],\t[{' , '.join(reversed(TEXTS))}] ]"
BODY = f'{{"model":"m",\r\n"embeddings" : {ROWS} ,"x":"[[1]]"}}'.encode()


def decode(chunks: Iterable[bytes]) -> tuple[Any, bytes, tuple[int, int]]:
    decoder = _core.VectorDecoder("embeddings")
    for chunk in chunks:
        decoder.feed(chunk)
    rest, numbers, *shape = decoder.close()
    return json.loads(rest), numbers, (shape[0], shape[1])


def nearest(text: str) -> np.float32:
    """Give the float32 nearest to the text; numpy's own, by way of float64, can be its neighbour."""
    near = np.float32(text)
    if near == 0:
        return near
    around = [near, np.nextafter(near, np.float32(0)), np.nextafter(near, np.copysign(np.finfo(np.float32).max, near))]
    exact = Fraction(text)
    return min(around, key=lambda number: (abs(Fraction(float(number)) - exact), number.view(np.uint32) & 1))


def float32s(texts: Iterable[str]) -> bytes:
    return np.array([nearest(text) for text in texts], np.float32).tobytes()


def array(rows: list[list[float]], **rest: Any) -> EmbedArray:
    numbers = struct.pack(f"{sum(map(len, rows))}f", *(number for row in rows for number in row))
    return EmbedArray((len(rows), len(rows[0]) if rows else 0), numbers, rest)


VECTORS = array([[1, 2, 3], [4, 5, 0.5]], model="m", prompt_eval_count=7)
NOTHING = array([], model="m")


# --- bytes into numbers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", range(len(BODY) + 1))
def test_a_cut_anywhere_gives_the_same(end: int) -> None:
    rest, numbers, shape = decode([BODY[:end], BODY[end:]])
    assert rest == {"model": "m", "embeddings": [], "x": "[[1]]"}
    assert numbers == float32s([*TEXTS, *reversed(TEXTS)])
    assert shape == (2, len(TEXTS))


@pytest.mark.parametrize("name", RECORDED)
def test_byte_by_byte_gives_what_the_recorded_bytes_say(name: str) -> None:
    body = RECORDED[name].body
    rest, numbers, shape = decode(bytes([byte]) for byte in body)
    whole = json.loads(body)
    vectors = np.array(whole["embeddings"], np.float32)
    assert rest == whole | {"embeddings": []}
    assert (numbers, shape[0]) == (vectors.tobytes(), len(whole["embeddings"]))


FLOATS = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda number: repr(np.float32(number).item())),
    st.floats(min_value=-3e38, max_value=3e38).map(repr),
    st.integers(-(10**25), 10**25).map(str),
    st.tuples(st.integers(-(10**19), 10**19), st.integers(0, 10**25), st.integers(-60, 18)).map(
        "{0[0]}.{0[1]}E{0[2]}".format
    ),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20).map("{:f}".format),
)


def test_a_number_is_rounded_once() -> None:
    for text, number in (("16777217.0000000001", 16777218), ("16777218.9999999999", 16777218)):
        assert np.float32(text) != number, "by way of float64 it is rounded twice"
        _, numbers, _ = decode([f'{{"embeddings":[[{text}]]}}'.encode()])
        assert np.frombuffer(numbers, np.float32)[0] == number == nearest(text)


@given(st.data())
def test_random_numbers_in_random_cuts_are_the_nearest_float32(data: Any) -> None:
    length = data.draw(st.integers(1, 5))
    rows = data.draw(st.lists(st.lists(FLOATS, min_size=length, max_size=length), max_size=4))
    space = data.draw(st.sampled_from(["", " ", "\r\n\t"]))
    text = f",{space}".join(f"[{f'{space},'.join(row)}{space}]" for row in rows)
    body = f'{{"a":{{"embeddings":[1]}},"embeddings":[{space}{text}]}}'.encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=8)))
    rest, numbers, shape = decode(body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True))
    assert rest == {"a": {"embeddings": [1]}, "embeddings": []}
    assert numbers == float32s(number for row in rows for number in row)
    assert shape == ((len(rows), length) if rows else (0, 0))


def test_what_is_wrong_is_said_again() -> None:
    decoder = _core.VectorDecoder("embeddings")
    for call in (lambda: decoder.feed(b'{"embeddings":[[1],[null'), lambda: decoder.feed(b""), decoder.close):
        with pytest.raises(ValueError, match=r"^embeddings\[1\]\[0\]: it is null, not a number$"):
            call()


def test_the_numbers_are_given_once() -> None:
    decoder = _core.VectorDecoder("embeddings")
    decoder.feed(b'{"embeddings":[[1]]}')
    assert decoder.close() == (b'{"embeddings":[]}', float32s(["1"]), 1, 1)
    for call in (decoder.close, lambda: decoder.feed(b" ")):
        with pytest.raises(ValueError, match=r"^the decoder is closed, and its numbers were given$"):
            call()


# --- the value -------------------------------------------------------------------------------------------------------


def test_the_numbers_are_a_read_only_buffer_of_float32() -> None:
    data = VECTORS.data
    assert (data.format, data.shape, data.itemsize, data.readonly, data.c_contiguous) == ("f", (2, 3), 4, True, True)
    assert data[1, 2] == 0.5
    assert VECTORS.tolist() == [[1, 2, 3], [4, 5, 0.5]]
    assert data.tobytes() == VECTORS.numbers
    with pytest.raises(TypeError, match="read-only"):
        data[0, 0] = 1.0


def test_numpy_copies_nothing() -> None:
    for given_array in (np.asarray(VECTORS), np.asarray(VECTORS.data)):
        assert (given_array.shape, str(given_array.dtype), given_array.flags.writeable) == ((2, 3), "float32", False)
        assert given_array.tolist() == VECTORS.tolist()
        assert np.shares_memory(given_array, np.frombuffer(VECTORS.numbers, np.float32))
    assert np.shares_memory(np.asarray(VECTORS[1]), np.frombuffer(VECTORS.numbers, np.float32))
    assert np.asarray(VECTORS, np.float64).dtype == np.float64


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python knows __buffer__ from 3.12 on")
def test_the_value_is_a_buffer() -> None:
    assert memoryview(VECTORS).shape == (2, 3)  # type: ignore[arg-type,unused-ignore]
    with pytest.raises(BufferError):
        memoryview(NOTHING)  # type: ignore[arg-type,unused-ignore]


def test_the_buffer_method_gives_the_numbers() -> None:
    assert VECTORS.__buffer__(0).shape == (2, 3)
    with pytest.raises(BufferError):
        NOTHING.__buffer__(0)


def test_a_vector_is_found_by_its_number() -> None:
    assert len(VECTORS) == 2
    assert [vector.tolist() for vector in VECTORS] == [VECTORS[0].tolist(), VECTORS[1].tolist()]
    assert (VECTORS[-1].tolist(), VECTORS[-2].tolist()) == ([4, 5, 0.5], [1, 2, 3])
    assert (VECTORS[0].format, VECTORS[0].shape, VECTORS[0].readonly) == ("f", (3,), True)
    assert VECTORS[np.int64(1)].tolist() == [4, 5, 0.5]
    for number in (2, -3):
        with pytest.raises(IndexError, match=f"there are 2 vectors, and none at {number}"):
            VECTORS[number]
    for wrong in ("0", 0.0, slice(1)):
        with pytest.raises(TypeError):
            VECTORS[wrong]  # type: ignore[index]  # pyright: ignore[reportArgumentType]


def test_no_vectors_have_a_shape_too() -> None:
    assert (NOTHING.shape, len(NOTHING), list(NOTHING), NOTHING.tolist()) == ((0, 0), 0, [], [])
    assert np.asarray(NOTHING).shape == (0, 0)
    assert np.asarray(NOTHING).dtype == np.float32
    assert (NOTHING.data.format, NOTHING.data.nbytes) == ("f", 0)
    with pytest.raises(IndexError):
        NOTHING[0]


def test_what_the_server_said_beside_is_kept() -> None:
    assert (VECTORS.model, VECTORS.prompt_eval_count) == ("m", 7)
    assert (VECTORS.total_duration, VECTORS.load_duration) == (None, None)
    assert array([], total_duration=1, load_duration=2).total_duration == 1
    assert array([], load_duration=2).load_duration == 2
    assert NOTHING.prompt_eval_count is None


def test_the_value_is_a_value() -> None:
    same = array([[1, 2, 3], [4, 5, 0.5]], model="m", prompt_eval_count=7)
    assert same == VECTORS
    assert hash(VECTORS) == hash(same)
    for other in (
        array([[1, 2, 3], [4, 5, 6]], model="m", prompt_eval_count=7),
        NOTHING,
        array([[1, 2, 3]], model="m"),
    ):
        assert other != VECTORS
    assert array([[1, 2, 3], [4, 5, 0.5]], model="m", total_duration=5) == VECTORS  # another call, the same vectors
    assert pickle.loads(pickle.dumps(VECTORS)) == VECTORS == copy.deepcopy(VECTORS)
    with pytest.raises(FrozenInstanceError):
        VECTORS.shape = (3, 2)  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def test_its_repr_is_short() -> None:
    assert repr(array([[0.5] * 4096] * 64, model="m")) == "<EmbedArray of shape (64, 4096), model 'm'>"
