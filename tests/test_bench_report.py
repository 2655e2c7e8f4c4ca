"""The reports of a benchmark: JSON that can be read again, and a page whose numbers are those of the JSON."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bench_values import level, run, sample
from ollama_fast._whole_file import check_writable
from ollama_fast.bench import (
    ClosedLoop,
    OpenLoop,
    Prompt,
    Run,
    Workload,
    compare_runs,
    decode_json,
    encode_json,
    make_html,
    read_json,
    write_html,
    write_json,
)
from ollama_fast.bench._compare import told_apart
from ollama_fast.bench._metrics import Unit, shown

TIMES = {"total": 900, "load": 100, "prompt_eval": 200, "eval": 500_000_000, "prompt_tokens": 4}


def everything(**more: Any) -> Run:
    """Make a run with all that a report can show."""
    failed = {"outcome": "failed", "error": "ResponseError", "message": "503 <busy> & gone", "tokens": None}
    return run(
        level(sample(0.5, 0.75, 1.25, ended=1.5, **TIMES), sample(1.75, 2.0, intended=1.5, ended=2.25, **TIMES)),
        level(
            sample(0.5, 1.0, ended=1.25, **TIMES),
            sample(0.6, 1.1, ended=1.5, worker=1),
            sample(intended=1.5, ended=1.6, **failed),
            sample(1.75, intended=1.25, ended=2.0, outcome="cut", tokens=None),
            load=ClosedLoop(2),
            cut=True,
        ),
        level(sample(0.5, 1.0, intended=0.25, sent=0.26, ended=1.25, worker=None), load=OpenLoop(1.5)),
        workload=Workload("m<1>", (Prompt("Is 1 < 2?"), Prompt(messages=({"role": "user", "content": "&"},)))),
        **more,
    )


# --- JSON ------------------------------------------------------------------------------------------------------------


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    one = everything(cut=True)
    assert decode_json(encode_json(one)) == one
    write_json(one, tmp_path / "run.json")
    assert read_json(tmp_path / "run.json") == one
    bare = run(ceiling=None, server=None)
    assert decode_json(encode_json(bare)) == bare


def test_the_json_says_what_it_is_and_holds_every_request() -> None:
    document = json.loads(encode_json(everything()))
    assert (document["format"], document["version"]) == ("ollama_fast.bench", 1)
    assert document["definitions"]["ttft"].endswith("(seconds)")
    assert [one["load"] for one in document["summaries"]] == ["1 worker", "2 workers", "1.5 req/s"]
    assert set(document["summaries"][0]) - {"load", "errors", "counted_parts"} <= set(document["definitions"])
    assert document["run"]["levels"][0]["samples"][0]["arrivals"] == [0.5, 0.75, 1.25]
    assert document["run"]["machine"]["processor"] == "A processor"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"{", "no JSON"),
        (b"[]", "not the JSON of a benchmark"),
        (b'{"format": "other"}', "not the JSON of a benchmark"),
        (b'{"format": "ollama_fast.bench", "version": 2}', "has version 2; this release reads version 1"),
        (b'{"format": "ollama_fast.bench", "version": 1, "run": {}}', "its run is damaged at label"),
    ],
)
def test_what_is_no_run_is_refused_with_the_files_name(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"run\.json: .*{text}"):
        read_json(path)


def test_a_damaged_sample_is_refused_with_its_place() -> None:
    document = json.loads(encode_json(everything()))
    document["run"]["levels"][1]["samples"][2]["ended"] = "late"
    with pytest.raises(ValueError, match=r"damaged at levels\.1\.samples\.2\.ended"):
        decode_json(json.dumps(document))


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    write_json(run(), path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_json(everything(), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_replaces_what_a_link_names_and_is_as_readable_as_other_files(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "run.json"
    link.symlink_to(tmp_path / "real" / "file.json")
    write_json(run(), link)
    assert link.is_symlink()
    assert read_json(tmp_path / "real" / "file.json") == run()
    other = tmp_path / "other"
    other.touch()
    assert stat.S_IMODE(link.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    write_json(run(), pipe)
    assert decode_json(reader.communicate(timeout=30)[0]) == run()
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_what_cannot_be_written_is_found_before(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        check_writable(tmp_path / "gone" / "run.json")
    check_writable(tmp_path / "run.json")
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_only_its_owner_may_read_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.touch(0o600)
    write_json(run(), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# --- the page --------------------------------------------------------------------------------------------------------

_VOID = {"meta", "br", "hr"}


class _Page(HTMLParser):
    """What stands in a page: its elements with their attributes, the text of its cells, and whether all is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[tuple[dict[str, str | None], str]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "td":
            self.cells.append((dict(attrs), ""))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self._open and self._open[-1] == "td":
            attributes, text = self.cells.pop()
            self.cells.append((attributes, text + data))


def cells(page: str, kind: str) -> Iterator[tuple[str, str, str]]:
    """Give key, unrounded value and text of the cells of one kind."""
    for attributes, text in _Page(page).cells:
        if (key := attributes.get(f"data-{kind}")) is not None:
            yield key, attributes["data-value"] or "", text


def unit_of(key: str) -> Unit:
    name, _, statistic = key.partition(".")
    if statistic == "count" or name in {
        "requests",
        "done",
        "failed",
        "cut",
        "prompt_tokens",
        "output_tokens",
        "concurrency",
    }:
        return ""
    if name == "client_cpu":
        return "share"
    return "/s" if name.endswith("_rate") else "s"


@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
def test_a_page_needs_nothing_else(several: bool) -> None:
    text = make_html([everything(), everything(label="b")] if several else [everything()])
    page = _Page(text)
    for tag, attributes in page.elements:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "base"}, tag
        for name, value in attributes.items():
            assert name not in {"src", "srcset", "data", "action", "poster"}, (tag, name)
            if name in {"href", "xlink:href"}:
                assert (value or "").startswith("#"), value
            assert not name.startswith("on"), (tag, name)
    assert re.findall(r"url\((?!#)", text) == []
    assert "@import" not in text
    assert "://" not in text.replace("http://a:1", ""), "but for the host, which is text"


def test_the_parts_of_a_page_have_names_of_their_own_that_are_there() -> None:
    page = _Page(make_html([everything(), everything(label="b")]))
    names = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert len(names) == len(set(names))
    used = {
        name
        for _, attributes in page.elements
        for value in attributes.values()
        for name in re.findall(r"(?:url\(|^)#([\w-]+)", value or "")
        if not re.fullmatch(r"[0-9a-f]{6}", name)
    }
    assert used <= set(names)


def test_every_number_of_a_page_is_that_of_the_json() -> None:
    one = everything()
    summaries = json.loads(encode_json(one))["summaries"]
    shown_numbers = list(cells(make_html([one]), "summary"))
    for key, value, text in shown_numbers:
        run_index, row, path = key.split(".", 2)
        name, _, statistic = path.partition(".")
        expected: Any = summaries[int(row)][name]
        expected = expected[statistic] if statistic and expected is not None else expected
        assert run_index == "0"
        assert value == ("" if expected is None else repr(expected)), key
        assert text == shown(expected, unit_of(path)), key
    keys = {key for key, _, _ in shown_numbers}
    for place, summary in enumerate(summaries):
        spreads = {name: found for name, found in summary.items() if isinstance(found, dict) and name != "errors"}
        assert {f"0.{place}.{name}.{statistic}" for name, found in spreads.items() for statistic in found} <= keys
    assert {"0.0.request_rate", "0.1.failed", "0.2.output_rate"} <= keys


def test_a_page_shows_errors_self_test_and_settings() -> None:
    text = make_html([everything(cut=True)])
    for expected in ("ResponseError", "503 &lt;busy&gt; &amp; gone", "m&lt;1&gt;", "The benchmark was broken off"):
        assert expected in text
    assert "The client took all of its core" in text
    assert "<busy>" not in text
    assert {key: value for key, value, _ in cells(text, "ceiling")}["0.tokens_per_second"] == "100000.0"
    without = make_html([run(level(sample(1.0, 2.0)), ceiling=None)])
    assert "It was not measured." in without


def test_a_page_of_two_runs_has_the_numbers_of_their_comparison() -> None:
    first = everything()
    second = run(level(sample(1.0, 2.0, ended=3.0)), label="b", host="http://b:1")
    text = make_html([first, second]).replace("http://b:1", "")
    expected = compare_runs(first, second)
    for kind in ("first", "second", "ratio"):
        found = {key: value for key, value, _ in cells(text, kind)}
        assert found == {
            f"1.{row.load}.{row.key}": "" if (value := getattr(row, kind)) is None else repr(value)
            for row in expected.rows
        }
    assert "Only one of them had 2 workers" in text


def test_a_page_has_its_plots() -> None:
    def plots(text: str) -> list[str]:
        return [attributes.get("aria-label") or "" for tag, attributes in _Page(text).elements if tag == "svg"]

    latencies = ["ttft", "itl", "e2e"]
    loads = ["throughput-workers", "streams-workers", "ttft-workers"]
    assert plots(make_html([everything()])) == [*loads, *latencies, *(f"timeline-0-{place}" for place in range(3))]
    assert plots(make_html([run(level(sample(1.0, 2.0)))])) == [*latencies, "timeline-0-0"]
    failed = level(sample(ended=1.0, outcome="failed", error="ConnectError"))
    assert plots(make_html([run(failed)])) == [*latencies, "timeline-0-0"]


def test_many_requests_and_parts_make_no_huge_page() -> None:
    stream = sample(*(index / 100 for index in range(1000)))
    text = make_html([run(level(*[stream] * 1000))])
    assert len(text) < 1_000_000
    assert "600 more are in the JSON" in text


def test_the_same_runs_make_the_same_page(tmp_path: Path) -> None:
    write_html([everything()], tmp_path / "one.html")
    assert (tmp_path / "one.html").read_text(encoding="utf-8") == make_html([everything()])
    assert make_html(told_apart([everything(), everything()])) == make_html([everything(), everything()])


def test_a_page_of_no_run_is_refused() -> None:
    with pytest.raises(ValueError, match="no run"):
        make_html([])


@pytest.mark.parametrize("missing", ["matplotlib"])
def test_a_missing_package_names_the_extra(missing: str) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from bench_values import level, run, sample\nfrom ollama_fast.bench import make_html\n"
        "make_html([run(level(sample(1.0, 2.0)))])"
    )
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr.splitlines()[-1] == "ImportError: plots need matplotlib: pip install 'ollama_fast[bench]'"


def test_importing_the_package_loads_neither_plots_nor_tables_nor_asks_the_network() -> None:
    program = (
        "import sys, ollama_fast.bench\n"
        "print([name for name in ('matplotlib', 'rich', 'pydantic', 'httpx', 'click') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
