"""Files of prompts for benchmarks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ollama_fast.bench import Prompt, read_prompts


def test_prompts_are_lines_or_json_lines(tmp_path: Path) -> None:
    lines = tmp_path / "prompts.txt"
    lines.write_text('Hi!\n\n{"prompt": "as it is"}\n', encoding="utf-8")
    assert read_prompts(lines) == (Prompt("Hi!"), Prompt('{"prompt": "as it is"}'))
    decoded = tmp_path / "prompts.jsonl"
    decoded.write_text('"Hi!"\n{"prompt": "a"}\n\n{"messages": [{"role": "user", "content": "b"}]}\n', encoding="utf-8")
    conversation = Prompt(messages=({"role": "user", "content": "b"},))
    assert read_prompts(decoded) == (Prompt("Hi!"), Prompt("a"), conversation)


@pytest.mark.parametrize("name", ["prompts.txt", "prompts.jsonl"])
def test_only_what_ends_a_line_of_a_file_does_so_and_its_mark_is_no_text(tmp_path: Path, name: str) -> None:
    texts = ("one\u2028line", "\u0085x\x1c", "last")
    lines = [json.dumps(text, ensure_ascii=False) if name.endswith("l") else text for text in texts]
    (tmp_path / name).write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    assert read_prompts(tmp_path / name) == tuple(map(Prompt, texts))


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("p.txt", b"\n \n", "holds no prompt"),
        ("p.txt", b"\xff\xfe", "line 1 is not text in UTF-8"),
        ("p.jsonl", b'"a"\n{"prompt": 3}\n', "line 2: neither a text"),
        ("p.jsonl", b'{"messages": []}\n', "line 1: neither a text"),
        ("p.jsonl", b"{\n", "line 1: "),
        ("p.jsonl", b'"a"\n{"messages": [{"foo": 1}]}\n', "line 2: a message must have a role"),
        ("p.jsonl", b'"a"\n"\\ud800"\n', "line 2: .*surrogate"),
        ("p.jsonl", b'"a"\n{"messages": [{"role": "user", "content": "", "images": ["?"]}]}\n', "line 2: .*base64"),
        ("p.jsonl", b"[" * 100_000, "line 1: .*limit exceeded"),
        ("p.JSONL", b"Hi!\n", "line 1: "),
    ],
)
def test_a_file_that_holds_no_prompts_is_refused_with_its_line(
    tmp_path: Path, name: str, content: bytes, text: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=text):
        read_prompts(tmp_path / name)
