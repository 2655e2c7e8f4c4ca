"""
The pytest plugin: fixtures with running servers, an option, and nothing that works unasked.

Every run of pytest loads it where the package is installed. So it is outside of the package, whose import takes a
hundred times longer, and loads that when a fixture is asked for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ollama_fast.testing import Recorder, Replayer, Server

_LONGEST = 50
"""Characters of a test's name in that of its file, which have up to four bytes; systems take 255."""
_ANEW = "`pytest --ollama-record` records it, from the Ollama at OLLAMA_HOST"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that records anew."""
    parser.getgroup("ollama_fast").addoption(
        "--ollama-record",
        action="store_true",
        help="record what tests with the fixture ollama_replay ask, from the Ollama at OLLAMA_HOST, and replay nothing",
    )


@pytest.fixture
def ollama_server() -> Iterator[Server]:
    """
    Run a server in place of Ollama, on a free port: pass `ollama_server.url` to what is tested.

    It answers generates and chats with a greeting; set `ollama_server.answer` for other replies and
    `ollama_server.fault` for what should go wrong. `requests`, `connections` and `abandoned` tell what it saw.
    """
    from ollama_fast.testing import serve

    with serve() as server:
        yield server


@pytest.fixture
def ollama_replay(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Replayer | Recorder]:
    """
    Replay what Ollama said when the test was recorded.

    Pass `ollama_replay.url` to what is tested, or let that read OLLAMA_HOST.

    The recording is in `recordings/FILE/TEST.json` beside the test. `pytest --ollama-record` writes it anew, from the
    Ollama that OLLAMA_HOST names, unless the test fails or asks nothing. A request that is not recorded fails the
    test, and so does a connection to another machine or to Ollama itself.
    """
    from ollama_fast import Host
    from ollama_fast.testing import RecordingError, record, replay
    from ollama_fast.testing._shut_in import shut_in

    path = _recording_of(request)
    genuine = Host.from_env()
    if request.config.getoption("--ollama-record"):
        path.parent.mkdir(parents=True, exist_ok=True)
        failed_before = request.session.testsfailed
        with record(genuine, path) as recorder:
            monkeypatch.setenv("OLLAMA_HOST", recorder.url)
            yield recorder
            if request.session.testsfailed > failed_before:
                recorder.discard()
                request.node.add_report_section("teardown", "ollama_fast", f"nothing was recorded in {path}")
        told = recorder.failures
        if not (told or recorder.recorded or request.session.testsfailed > failed_before):
            told = [f"nothing was asked of Ollama, and so nothing is in {path}: this test needs no `ollama_replay`"]
        if told:
            request.node.warn(pytest.PytestWarning("\n".join(told)))
        return
    with ExitStack() as stack:
        try:
            replayer = stack.enter_context(replay(path, pace="fast"))
        except (OSError, RecordingError) as exc:
            why = f"there is no recording {path}" if isinstance(exc, FileNotFoundError) else str(exc)
            pytest.fail(f"{why}; {_ANEW}", pytrace=False)
        stack.enter_context(shut_in(_port_of(genuine.url)))
        monkeypatch.setenv("OLLAMA_HOST", replayer.url)
        yield replayer
        if replayer.unknown:
            pytest.fail("\n".join((*replayer.unknown, _ANEW)), pytrace=False)


def _recording_of(request: pytest.FixtureRequest) -> Path:
    names = [request.cls.__qualname__] if request.cls is not None else []
    test = ".".join((*names, request.node.name))
    name = re.sub(r"[^\w.=-]+", "-", test).strip("-")[:_LONGEST]
    if name != test:  # others may look the same now
        name += f".{hashlib.sha256(test.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    return request.path.parent / "recordings" / request.path.stem / f"{name}.json"


def _port_of(url: str) -> int:
    from urllib.parse import urlsplit

    place = urlsplit(url)
    return place.port or (443 if place.scheme == "https" else 80)
