"""Exchanges as files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exchange import (
    Chunk,
    Exchange,
    RecordedCall,
    RecordedRequest,
    Reply,
    decode,
    dump,
    encode,
    load,
    load_all,
)

TESTS = Path(__file__).parent


def example(*chunks: Chunk) -> Exchange:
    return Exchange(
        about="A chat, streamed.",
        server="ollama 0.24.0",
        call=RecordedCall("chat_stream", {"model": "m", "messages": [{"role": "user", "content": "Grüße"}]}),
        request=RecordedRequest("POST", "/api/chat", {"model": "m"}, {"content-type": "application/json"}),
        response=Reply(200, (("Content-Type", "application/x-ndjson"), ("Transfer-Encoding", "chunked")), chunks),
    )


@pytest.mark.parametrize(
    "data",
    [b"", b'{"a":1}\n', "é\u2028\u0085\x00".encode(), b"\xff\xfe", "é".encode()[:1], b'{"base64": "AA=="}'],
    ids=["empty", "line", "unicode", "binary", "half a character", "looks like base64"],
)
def test_bytes_come_back_as_they_were(data: bytes, tmp_path: Path) -> None:
    exchange = example(Chunk(0, data), Chunk(17, b"end"))
    dump(exchange, tmp_path / "one.json")
    assert load(tmp_path / "one.json") == exchange
    assert exchange.body == data + b"end"


def test_each_chunk_has_a_line() -> None:
    text = encode(example(Chunk(0, b'{"response":"a"}\n'), Chunk(3, b"\xff")))
    assert '\n      [0, "{\\"response\\":\\"a\\"}\\n"],\n      [3, {"base64": "/w=="}]\n' in text
    assert text.endswith("}\n")
    assert "Grüße" in text


def test_a_file_is_the_same_for_the_same_exchange() -> None:
    exchange = example(Chunk(0, b"a"))
    assert encode(decode(encode(exchange))) == encode(exchange)


def test_nothing_is_an_empty_list() -> None:
    assert json.loads(encode(example()))["response"]["chunks"] == []
    assert decode(encode(example())).body == b""


def test_what_is_expected_stays() -> None:
    text = encode(example()).rstrip().removesuffix("}") + ', "expect": {"parts": 1}}'
    assert decode(text).expect == {"parts": 1}
    assert decode(encode(decode(text))).expect == {"parts": 1}
    assert decode(encode(example())).expect is None


def test_headers_are_found_in_any_case() -> None:
    response = example().response
    assert response.header("content-TYPE") == "application/x-ndjson"
    assert response.header("Location") is None


def test_a_file_without_exchange_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    for text in ("", "[]", "{}", encode(example()).replace('"status"', '"stadium"')):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"broken\.json holds no exchange"):
            load(path)


@pytest.mark.parametrize("folder", ["exchanges", "faults", "newer"])
def test_every_file_is_an_exchange(folder: str) -> None:
    exchanges = load_all(TESTS / folder)
    for name, exchange in exchanges.items():
        assert exchange.about.endswith((".", ":")), name
        assert exchange.request.path.startswith("/"), name
        assert [chunk.ms for chunk in exchange.response.chunks] == sorted(c.ms for c in exchange.response.chunks), name
