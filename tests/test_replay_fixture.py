"""The pytest fixture `ollama_replay`, in runs of pytest of their own."""

from __future__ import annotations

import re
import socket
import textwrap
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import ollama_fast
from docs_server import docs_server
from ollama_fast.testing import Fault, reply, serve
from ollama_fast.testing._recording_file import load
from ollama_fast.testing._shut_in import NetworkBlockedError, shut_in
from programs import pytest_in

TESTS = """
    import ollama
    import pytest

    import ollama_fast


    def test_by_url(ollama_replay):
        assert ollama_fast.generate(ollama_replay.url, "m", "Hi!")["response"] == "Recorded."
        assert len(ollama_replay.requests) == 1


    class TestOther:
        @pytest.mark.parametrize("text", ["a/b", "c d"])
        def test_by_environment(self, ollama_replay, text):
            assert ollama_fast.generate(None, "m", text)["response"] == "Recorded."
            client = ollama.Client()
            assert client.generate("m", text)["response"] == "Recorded."
            client._client.close()
"""


def suite(folder: Path, code: str = TESTS) -> Path:
    (folder / "test_app.py").write_text(textwrap.dedent(code), encoding="utf-8")
    return folder


def test_what_was_recorded_is_replayed_without_the_server(tmp_path: Path) -> None:
    folder = suite(tmp_path)
    with serve(reply("Recorded.")) as genuine:
        assert "3 passed" in pytest_in(folder, "--ollama-record", environ={"OLLAMA_HOST": genuine.url})
        assert len(genuine.requests) == 5
        (found,) = (folder / "recordings").iterdir()
        assert found.name == "test_app"
        assert sorted(file.name for file in found.iterdir()) == [
            "TestOther.test_by_environment-a-b.40963bb7.json",
            "TestOther.test_by_environment-c-d.60586546.json",
            "test_by_url.json",
        ]
        assert len(load(found / "test_by_url.json")) == 1
        assert "3 passed" in pytest_in(folder, environ={"OLLAMA_HOST": genuine.url})
        assert len(genuine.requests) == 5
        assert "3 passed" in pytest_in(folder, "-n", "2", environ={"OLLAMA_HOST": "http://127.0.0.1:9"})


def test_without_a_recording_it_says_how_to_make_one(tmp_path: Path) -> None:
    said = pytest_in(suite(tmp_path), "-k", "by_url")
    path = tmp_path / "recordings" / "test_app" / "test_by_url.json"
    assert f"there is no recording {path}; `pytest --ollama-record` records it" in said.replace("\n", "")
    assert "1 error" in said
    path.parent.mkdir(parents=True)
    path.write_text("{")
    said = pytest_in(tmp_path, "-k", "by_url")
    assert "test_by_url.json holds no recording: it is no JSON" in said
    assert "1 error" in said


def test_each_test_has_a_recording_of_its_own(tmp_path: Path) -> None:
    folder = suite(
        tmp_path,
        """
        import pytest, ollama_fast

        def ask(host, text):
            assert ollama_fast.generate(host.url, "m", text)["response"] == "Recorded."

        @pytest.mark.parametrize("text", ["a/b", "a b", "a:b", "A:b", "", "y" * 250, "y" * 251, "\u2603" * 80])
        def test_v(ollama_replay, text):
            ask(ollama_replay, text)

        class TestI:
            def test_v(self, ollama_replay):
                ask(ollama_replay, "I")

        class TestO:
            class TestI:
                def test_v(self, ollama_replay):
                    ask(ollama_replay, "O.I")
        """,
    )
    with serve(reply("Recorded.")) as genuine:
        environ = {"OLLAMA_HOST": genuine.url}
        assert "10 passed" in pytest_in(folder, "--ollama-record", environ=environ)
        assert "10 passed" in pytest_in(folder, environ=environ)
        assert len(genuine.requests) == 10
    names = [file.name for file in (folder / "recordings" / "test_app").iterdir()]
    assert len({name.casefold() for name in names}) == 10
    assert {"TestI.test_v.json", "TestO.TestI.test_v.json"} < {*names}


def test_a_test_that_fails_keeps_the_old_recording(tmp_path: Path) -> None:
    folder = suite(
        tmp_path,
        """
        import os, ollama_fast

        def test_app(ollama_replay):
            assert ollama_fast.generate(None, "m", "x")["response"] == "Good."
        """,
    )
    path = folder / "recordings" / "test_app" / "test_app.json"
    with serve(reply("Good.")) as genuine:
        assert "1 passed" in pytest_in(folder, "--ollama-record", environ={"OLLAMA_HOST": genuine.url})
    good = path.read_bytes()
    with serve(reply("Bad.")) as genuine:
        said = pytest_in(folder, "--ollama-record", environ={"OLLAMA_HOST": genuine.url})
    assert "1 failed" in said
    assert "nothing was recorded in" in said
    assert path.read_bytes() == good


def test_what_could_not_be_recorded_is_told(tmp_path: Path) -> None:
    folder = suite(
        tmp_path,
        """
        import ollama_fast, pytest

        def test_app(ollama_replay):
            with pytest.raises(ollama_fast.errors.OllamaError):
                ollama_fast.generate(None, "m", "x")
        """,
    )
    with serve(fault=Fault.refuse()) as genuine:
        shown = ("-W", "default::pytest.PytestWarning")
        said = pytest_in(folder, "--ollama-record", *shown, environ={"OLLAMA_HOST": genuine.url})
    assert "1 passed, 1 warning" in said
    assert "POST /api/generate was not recorded" in said


def test_a_test_that_asks_nothing_is_told_that_it_needs_no_recording(tmp_path: Path) -> None:
    folder = suite(
        tmp_path,
        """
        def test_app(ollama_replay):
            pass
        """,
    )
    with serve(reply("Recorded.")) as genuine:
        said = pytest_in(folder, "-W", "default", "--ollama-record", environ={"OLLAMA_HOST": genuine.url})
    assert "1 passed, 1 warning" in said
    assert "this test needs no `ollama_replay`" in said


def test_a_request_that_is_not_recorded_fails_the_test_that_hides_it(tmp_path: Path) -> None:
    folder = suite(
        tmp_path,
        """
        import os, ollama_fast

        def test_app(ollama_replay):
            for text in os.environ["TEXTS"].split():
                try:
                    ollama_fast.generate(None, "m", text)
                except ollama_fast.errors.OllamaError:
                    pass
        """,
    )
    with serve() as genuine:
        environ = {"OLLAMA_HOST": genuine.url, "TEXTS": "a b"}
        assert "1 passed" in pytest_in(folder, "--ollama-record", environ=environ)
        assert "1 passed" in pytest_in(folder, environ=environ)
        said = pytest_in(folder, environ={**environ, "TEXTS": "a c"})
    assert "1 passed, 1 error" in said
    assert 'the nearest has prompt: "b", and not "c"' in said or 'the nearest has prompt: "a", and not "c"' in said


def test_who_asks_the_genuine_server_is_refused(tmp_path: Path) -> None:
    folder = suite(
        tmp_path,
        """
        import os, ollama_fast

        HOST = os.environ["OLLAMA_HOST"]

        def test_app(ollama_replay):
            ollama_fast.generate(HOST if os.environ["STRAY"] == "1" else None, "m", "x")
        """,
    )
    with serve() as genuine:
        environ = {"OLLAMA_HOST": genuine.url, "STRAY": "0"}
        assert "1 passed" in pytest_in(folder, "--ollama-record", environ=environ)
        assert "1 passed" in pytest_in(folder, environ=environ)
        said = pytest_in(folder, environ={**environ, "STRAY": "1"})
        assert len(genuine.requests) == 1
    assert "1 failed" in said
    assert "this test replays a recording, and connects to 127.0.0.1:" in said


@pytest.mark.parametrize("name", ["connect", "connect_ex"])
def test_only_other_places_are_refused_and_only_in_the_block(name: str) -> None:
    before = dict(vars(socket.socket))
    with serve() as server, serve() as other:
        port = urlsplit(server.url).port or 0
        with shut_in(port):
            assert ollama_fast.generate(other.url, "m", "x")["done"] is True
            for place in (("127.0.0.1", port), ("192.0.2.1", 80), ("example.invalid", 80)):
                with socket.socket() as made, pytest.raises(NetworkBlockedError, match=f"connects to {place[0]}:"):
                    getattr(made, name)(place)
        assert ollama_fast.generate(server.url, "m", "x")["done"] is True
    assert dict(vars(socket.socket)) == before


def test_the_tests_that_the_docs_show_pass(tmp_path: Path) -> None:
    page = Path(__file__).parent.parent / "docs" / "testing.md"
    shown = [
        code
        for code in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
        if "def test_" in code
    ]
    assert len(shown) == 3
    for number, code in enumerate(shown):
        (tmp_path / f"test_{number}.py").write_text(code)
    with docs_server() as port:
        environ = {"OLLAMA_HOST": f"127.0.0.1:{port}"}
        assert "3 passed" in pytest_in(tmp_path, "--ollama-record", environ=environ)
    assert [file.name for file in tmp_path.rglob("*.json")] == ["test_colours.json"]
    assert "3 passed" in pytest_in(tmp_path, environ=environ)
