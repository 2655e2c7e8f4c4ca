"""Steps driven by hand: which effects come in which order, and what becomes of replies and failures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ollama_fast import _endpoints
from ollama_fast._procedures import create, create_blob, is_running
from ollama_fast._request import Request
from ollama_fast._steps import (
    Ask,
    Course,
    Need,
    Outcome,
    Run,
    Steps,
    Tell,
    Try,
    Uploading,
    ask,
    ask_viewed,
    need,
    run_all,
    tell,
    try_all,
)
from ollama_fast.errors import ConnectError, ResponseError

SUCCESS = {"status": "success"}


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Server:
    """Performs effects: keeps what it was asked, has the blobs of these digests, and fails where told."""

    def __init__(self, *has: str, fails: dict[str, Exception] | None = None) -> None:
        self.has = set(has)
        self.fails = fails or {}
        self.asked: list[str] = []
        self.bodies: list[Any] = []

    def __call__(self, effect: object) -> Any:
        match effect:
            case Tell():
                event = effect.event
                self.asked.append(f"tell {event['status']} {event.get('completed', 0)}/{event.get('total', 0)}")
                return None
            case Uploading(request, view):
                answer = self.answer(request)
                self.asked.append(f"seen {view(1)['completed']}/{view(1)['total']}")
                return answer
            case Run(jobs):
                self.asked.append(f"run {len(jobs)}")
                return [job() for job in jobs]
            case Request():
                return self.answer(effect)
            case _:
                raise AssertionError(effect)

    def answer(self, request: Request[Any]) -> Any:
        path = request.path.removeprefix("/api/")
        self.asked.append(f"{request.method} {path}")
        if request.method in self.fails:
            raise self.fails[request.method]
        if request.method == "HEAD":
            return path.removeprefix("blobs/") in self.has
        if request.method == "GET":
            return True
        if request.upload is not None:
            sent = b"".join(request.upload)
            assert request.upload.size == len(sent)
            assert path == f"blobs/{digest_of(sent)}"
            self.has.add(digest_of(sent))
            return None
        self.bodies.append(json.loads(request.encode(stream=True)))
        return SUCCESS


def drive(steps: Steps[Any], server: Callable[[object], Any]) -> Any:
    """Do *steps* as the drivers do."""
    course = Course(steps)
    while (effect := course.advance()) is not None:
        with course:
            course.reply = server(effect)
    return course.result


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    return path


GGUF = digest_of(b"GGUF")
SHORT = GGUF.removeprefix("sha256:")[:12]


# --- the words of steps ----------------------------------------------------------------------------------------------


def place_and_result(place: int, outcome: Outcome[Any]) -> tuple[int, Any]:
    return place, outcome.result


def test_each_word_yields_one_effect_and_gives_its_reply() -> None:
    request = _endpoints.version()
    jobs = (partial(len, "a"), partial(len, "ab"))
    words: list[tuple[Steps[Any], Any, Any]] = [
        (ask(request), request, {"version": "1"}),
        (run_all(*jobs), Run(jobs), [1, 2]),
        (tell("event"), Tell("event"), None),
        (need(len), Need((len,)), None),
        (ask_viewed(request, str), Ask(request, str), {"version": "1"}),
        (try_all(*jobs, view=place_and_result), Try(jobs, place_and_result), [(0, 1), (1, 2)]),
    ]
    for steps, effect, reply in words:
        course = Course(steps)
        assert course.advance() == effect
        course.reply = reply
        assert course.advance() is None
        assert course.result == reply


def test_a_failure_is_thrown_into_the_steps_where_it_can_be_caught() -> None:
    def steps() -> Steps[str]:
        try:
            yield from ask(_endpoints.version())
        except ResponseError as error:
            return f"caught {error}"
        return "nothing to catch"

    assert drive(steps(), Server(fails={"GET": ResponseError("it")})) == "caught it"
    with pytest.raises(KeyError):
        drive(steps(), Server(fails={"GET": KeyError("another")}))


def test_a_cancellation_does_not_go_into_the_steps() -> None:
    course = Course(is_running())
    course.advance()
    with pytest.raises(KeyboardInterrupt), course:
        raise KeyboardInterrupt


# --- is_running ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", [True, False])
def test_a_server_runs_if_it_greets(reply: bool) -> None:
    assert drive(is_running(), lambda _: reply) is reply


@pytest.mark.parametrize("error", [ConnectError("no"), ResponseError("502")])
def test_a_server_that_cannot_be_asked_does_not_run(error: Exception) -> None:
    server = Server(fails={"GET": error})
    assert drive(is_running(), server) is False
    assert server.asked == ["GET /"]


def test_a_mistake_in_the_program_is_no_answer() -> None:
    with pytest.raises(ZeroDivisionError):
        drive(is_running(), Server(fails={"GET": ZeroDivisionError()}))


# --- create_blob -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_text", [True, False])
def test_a_blob_is_hashed_asked_for_and_sent(file: Path, as_text: bool) -> None:
    server = Server()
    assert drive(create_blob(str(file) if as_text else file), server) == GGUF
    assert server.asked == [
        "run 1",
        f"HEAD blobs/{GGUF}",
        f"POST blobs/{GGUF}",
        "seen 1/4",
        f"tell uploading {SHORT} 4/4",
    ]


def test_a_blob_that_the_server_has_is_not_sent(file: Path) -> None:
    server = Server(GGUF)
    assert drive(create_blob(file), server) == GGUF
    assert server.asked == ["run 1", f"HEAD blobs/{GGUF}", f"tell uploading {SHORT} 4/4"]


def test_a_known_digest_spares_the_hashing(file: Path) -> None:
    server = Server(GGUF)
    assert drive(create_blob(file, digest=GGUF), server) == GGUF
    assert server.asked[0] == f"HEAD blobs/{GGUF}"


def test_a_malformed_digest_is_refused_before_anything_is_asked(file: Path) -> None:
    server = Server()
    with pytest.raises(ValueError, match="digest must be"):
        drive(create_blob(file, digest="sha256:../x"), server)
    assert server.asked == []


def test_a_blob_that_is_no_file_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        server = Server()
        with pytest.raises(OSError, match=r"missing|[Dd]irectory"):
            drive(create_blob(path), server)
        assert not [asked for asked in server.asked if not asked.startswith("run")]


def test_a_failed_upload_is_not_told_as_done(file: Path) -> None:
    server = Server(fails={"POST": ResponseError("full")})
    with pytest.raises(ResponseError, match="full"):
        drive(create_blob(file), server)
    assert server.asked[-1] == f"POST blobs/{GGUF}"


# --- create ----------------------------------------------------------------------------------------------------------


def test_a_model_from_a_model_is_one_request() -> None:
    server = Server()
    steps = create("m", from_="n", system="s", parameters={"seed": 0}, license=[], extra={"new": 1})
    assert drive(steps, server) == SUCCESS
    assert server.asked == ["POST create"]
    assert server.bodies == [
        {"model": "m", "from": "n", "system": "s", "parameters": {"seed": 0}, "license": [], "new": 1, "stream": True}
    ]


def test_every_argument_becomes_its_field() -> None:
    texts = ("template", "system", "quantize", "draft_quantize", "renderer", "parser", "requires", "remote_host")
    given: dict[str, Any] = {name: f"the {name}" for name in texts}
    given |= {"license": "l", "parameters": {"a": 1}, "messages": [{"role": "user", "content": "c"}], "info": {"b": 2}}
    sets: dict[str, Any] = {name: {"a.gguf": GGUF} for name in ("files", "adapters", "draft_files")}
    server = Server()
    drive(create("m", from_="n", **given, **sets), server)
    assert server.bodies == [{"model": "m", "from": "n", **given, **sets, "stream": True}]


def test_digests_are_not_uploaded() -> None:
    server = Server()
    drive(create("m", files={"a.gguf": GGUF}), server)
    assert server.asked == ["POST create"]


def test_local_files_are_hashed_together_and_sent_once_each_before_the_model_is_made(tmp_path: Path) -> None:
    for name, data in (("a", b"A"), ("b", b"B")):
        (tmp_path / name).write_bytes(data)
    a, b = tmp_path / "a", tmp_path / "b"
    server = Server(digest_of(b"B"))
    drive(create("m", files={"1": a, "2": b, "3": GGUF}, adapters={"4": a}), server)
    assert [asked.split(" ")[0] for asked in server.asked] == [
        *("tell", "run", "tell", "tell"),
        *("HEAD", "POST", "seen", "tell"),
        *("HEAD", "tell"),
        "POST",
    ]
    assert server.asked[:2] == ["tell gathering model components 0/0", "run 2"]
    assert server.asked[2:4] == [f"tell uploading {digest_of(data)[7:19]} 0/1" for data in (b"A", b"B")]
    (body,) = server.bodies
    assert body["files"] == {"1": digest_of(b"A"), "2": digest_of(b"B"), "3": GGUF}
    assert body["adapters"] == {"4": digest_of(b"A")}


def test_a_path_alone_goes_by_its_own_name(file: Path) -> None:
    server = Server()
    drive(create("m", files=file, adapters=file), server)
    assert server.bodies[0]["files"] == server.bodies[0]["adapters"] == {"model.gguf": GGUF}


def test_nothing_is_made_when_an_upload_fails(file: Path) -> None:
    server = Server(fails={"HEAD": ResponseError("gone")})
    with pytest.raises(ResponseError, match="gone"):
        drive(create("m", files=file), server)
    assert server.bodies == []


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"model": 5}, TypeError),
        ({"model": ""}, ValueError),
        ({"model": "m", "messages": "hi"}, TypeError),
        ({"model": "m", "parameters": {"a": {1}}}, TypeError),
        ({"model": "m", "extra": {"stream": True}}, ValueError),
        ({"model": "m", "files": "model.gguf"}, TypeError),
        ({"model": "m", "files": {"a.gguf": "not a digest"}}, ValueError),
        ({"model": "m", "files": {"a.gguf": Path("/nowhere/a.gguf")}}, FileNotFoundError),
        ({"model": "m", "files": Path("/nowhere")}, FileNotFoundError),
    ],
    ids=repr,
)
def test_wrong_arguments_are_refused_at_the_call(given: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        create(**given)
