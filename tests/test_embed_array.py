"""embed_array in every colour: the same vectors as embed, and the right error for an answer that has none."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, get_type_hints

import numpy as np
import pytest

import ollama_fast
from colours import Colour
from exchange import Exchange, load_all
from ollama_fast import EmbedArray, errors
from ollama_fast._embeddings import ArrayDecoder
from replay import HangUpError, Received, ReplayServer, replay

RECORDED = {name: exchange for name, exchange in load_all().items() if exchange.call.function == "embed"}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def serving(
    body: bytes, *pieces: bytes, headers: bytes = b"", status: bytes = b"200 OK"
) -> AbstractContextManager[ReplayServer]:
    """Answer every request with the body, in chunks of HTTP if pieces of it are given, too."""

    def respond(_: Received) -> Iterator[bytes | float]:
        head = HEAD.replace(b"200 OK", status) + headers
        if not pieces:
            yield head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            return
        yield head + b"Transfer-Encoding: chunked\r\n\r\n"
        for piece in (body, *pieces):
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
            yield 0.005
        yield b"0\r\n\r\n"

    return replay(respond=respond)


def said(exchange: Exchange) -> np.ndarray[Any, Any]:
    vectors = json.loads(exchange.body)["embeddings"]
    return np.array(vectors, np.float32).reshape(len(vectors), -1 if vectors else 0)


@pytest.mark.parametrize("name", RECORDED)
def test_the_vectors_are_those_of_embed(every_or_mocked: Colour, name: str) -> None:
    exchange = RECORDED[name]
    with replay([exchange], pace="fast") as server:
        plain = every_or_mocked.attempt("embed", server.url, **exchange.call.kwargs)
        seen = every_or_mocked.attempt("embed_array", server.url, **exchange.call.kwargs)
        first, second = server.requests
    assert (first.method, first.path, first.json) == (second.method, second.path, second.json)
    if plain.error is not None:
        assert (type(seen.error), str(seen.error)) == (type(plain.error), str(plain.error))
        return
    (answer,) = seen.parts
    assert isinstance(answer, EmbedArray)
    assert np.array_equal(np.asarray(answer), said(exchange))
    assert answer.shape == said(exchange).shape
    assert answer.response == {key: value for key, value in plain.parts[0].items() if key != "embeddings"}
    assert answer.model == "smollm2"


def test_numbers_may_be_cut_anywhere(every_or_mocked: Colour) -> None:
    body = b'{"model":"m","embeddings":[[-0.125,1.5e-3],[10,20]],"new":{"embeddings":[1]}}'
    for pieces in ((body[:30], body[30:42], body[42:]), tuple(body[at : at + 1] for at in range(len(body)))[:50]):
        rest = b"".join(pieces)
        with serving(*pieces, body[len(rest) :] or b" ") as server:
            answer = every_or_mocked.whole("embed_array", server.url, "m", ["a", "b"])
        assert answer.tolist() == [[-0.125, np.float32("1.5e-3").item()], [10, 20]]
        assert answer.response == {"model": "m", "new": {"embeddings": [1]}}


def test_a_compressed_answer_is_decompressed(every_or_mocked: Colour) -> None:
    body = gzip.compress(json.dumps({"embeddings": [[0.5] * 1000] * 3}).encode())
    with serving(body[:20], body[20:], headers=b"Content-Encoding: gzip\r\n") as server:
        answer = every_or_mocked.whole("embed_array", server.url, "m", ["a", "b", "c"])
    assert answer.shape == (3, 1000)
    assert set(answer.data.tobytes()) == {0, 63}


WRONG = {
    # the body: the error, and what it says
    "": (errors.IncompleteStreamError, "the answer is incomplete: it is empty"),
    "not JSON": (errors.DecodeError, "the answer is not JSON"),
    "[[1.5]]": (errors.DecodeError, "the answer has not the shape of Ollama's"),
    '{"model":"m"}': (errors.DecodeError, "the answer has not the shape of Ollama's"),
    '{"embeddings":null}': (errors.DecodeError, "embeddings is of type NoneType, not an array"),
    '{"embeddings":{"a":[[1]]}}': (errors.DecodeError, "embeddings is of type dict, not an array"),
    '{"embeddings":[[1,2],[3]]}': (errors.DecodeError, "embeddings[1]: it has fewer numbers than embeddings[0], which"),
    '{"embeddings":[[1],[3,4]]}': (errors.DecodeError, "embeddings[1]: it has more numbers than embeddings[0], which"),
    '{"embeddings":[[]]}': (errors.DecodeError, "embeddings[0]: it is empty"),
    '{"embeddings":[null]}': (errors.DecodeError, "embeddings[0]: it is null, not a vector"),
    '{"embeddings":[[1,null]]}': (errors.DecodeError, "embeddings[0][1]: it is null, not a number"),
    '{"embeddings":[[1],["2"]]}': (errors.DecodeError, "embeddings[1][0]: it is a string, not a number"),
    '{"embeddings":[[1],[1e39]]}': (errors.DecodeError, "embeddings[1][0]: it is beyond float32"),
    '{"embeddings":[[01]]}': (errors.DecodeError, "embeddings[0][0]: it is no number as JSON writes them"),
    '{"embeddings":[[1.5': (errors.IncompleteStreamError, "embeddings[0][0]: the bytes end before it does"),
    '{"embeddings":[[1.': (errors.IncompleteStreamError, "embeddings[0][0]: the bytes end before it does"),
    '{"embeddings":[[1],': (errors.IncompleteStreamError, "embeddings[1]: the bytes end before it does"),
    '{"embeddings":[[1]]': (errors.IncompleteStreamError, "the answer is incomplete: it ended too early"),
    '{"embeddings":[[1]]}x': (errors.DecodeError, "the answer is not JSON"),
    '{"embeddings":[[1]],"embeddings":[]}': (errors.DecodeError, 'the key "embeddings" is there twice'),
    '{"error":"no"}': (errors.ResponseError, "error: no"),
    '{"embeddings":[],"error":"no"}': (errors.ResponseError, "error: no"),
    '{"error":"no","embeddings":null}': (errors.ResponseError, "error: no"),
}


@pytest.mark.parametrize("body", WRONG)
def test_an_answer_without_vectors_is_an_error(every_or_mocked: Colour, body: str) -> None:
    kind, says = WRONG[body]
    with serving(body.encode()) as server:
        seen = every_or_mocked.attempt("embed_array", server.url, "m", "x")
    assert type(seen.error) is kind
    assert says in str(seen.error)
    assert f"POST {server.url}/api/embed for model 'm': " in str(seen.error)
    assert seen.error is not None
    assert (seen.error.method, seen.error.url, seen.error.model) == ("POST", f"{server.url}/api/embed", "m")
    if kind is errors.ResponseError:
        assert isinstance(seen.error, errors.ResponseError)
        assert (seen.error.status, seen.error.message) == (200, "no")


def test_a_wrong_number_is_known_before_the_rest_arrives(both: Colour) -> None:
    def respond(_: Received) -> Iterator[bytes | float]:
        yield HEAD + b'Content-Length: 1000000\r\n\r\n{"embeddings":[[null'
        yield 60.0  # longer than the test may take, unless the client leaves

    with replay(respond=respond) as server:
        seen = both.attempt("embed_array", ollama_fast.Host(server.url, timeout=30), "m", "x")
    assert isinstance(seen.error, errors.DecodeError)


def test_an_error_status_is_the_same_error_as_for_embed(every_or_mocked: Colour) -> None:
    for status, body in ((b"404 Not Found", b'{"error":"model not found"}'), (b"500 Oh", b"oh"), (b"400 No", b"")):
        with serving(body, status=status) as server:
            plain, seen = (every_or_mocked.attempt(name, server.url, "m", "x") for name in ("embed", "embed_array"))
        assert isinstance(seen.error, errors.ResponseError)
        assert (type(seen.error), str(seen.error)) == (type(plain.error), str(plain.error))


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "broken"])
def test_a_connection_that_breaks_is_the_same_error_as_for_embed(every_or_mocked: Colour, *, reset: bool) -> None:
    def respond(_: Received) -> Iterator[bytes | float]:
        yield HEAD + b'Content-Length: 1000\r\n\r\n{"embeddings":[[1,2'
        yield 0.02
        raise HangUpError(reset=reset)

    with replay(respond=respond) as server:
        plain, seen = (every_or_mocked.attempt(name, server.url, "m", "x") for name in ("embed", "embed_array"))
    assert isinstance(seen.error, errors.IncompleteStreamError)
    assert (type(seen.error), str(seen.error)) == (type(plain.error), str(plain.error))


def test_what_gave_the_answer_does_not_keep_it() -> None:
    decoder = ArrayDecoder()
    decoder.feed(b'{"embeddings":[[1,2]]}')
    answer = decoder.answer(json.loads(decoder.close()))
    assert answer.tolist() == [[1, 2]]
    assert decoder.answer({"embeddings": []}).numbers == b""
    with pytest.raises(AttributeError):
        decoder.close()


def test_the_types_of_an_array_are_there_at_run_time() -> None:
    data: Any = EmbedArray.data
    for function in (EmbedArray.__getitem__, data.fget):
        assert get_type_hints(function)["return"] is memoryview
    assert get_type_hints(EmbedArray.__iter__)["return"] == Iterator[memoryview]


def test_the_connection_is_used_again() -> None:
    with serving(b'{"embeddings":[[1]]}') as server:
        for _ in range(3):
            assert ollama_fast.embed_array(server.url, "m", "x").shape == (1, 1)
        assert (len(server.requests), server.connections) == (3, 1)


def test_wrong_arguments_are_refused_before_anything_is_sent(both: Colour) -> None:
    for wrong in (5, b"x"):
        with pytest.raises(TypeError):
            both.whole("embed_array", "http://127.0.0.1:1", "m", wrong)
