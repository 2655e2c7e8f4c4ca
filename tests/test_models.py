"""Models on a server, there or not, in memory or not; a server that is waited for; what a context has no room for."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import trio

from colours import Colour
from ollama_fast import Host, aio, check_context
from ollama_fast._models import context_of, ensure_model, load, unload, unload_all, wait_ready
from ollama_fast._request import Request
from ollama_fast._steps import Course, Limited, Pause, Steps, Tell
from ollama_fast.errors import (
    AuthenticationError,
    ConnectError,
    DecodeError,
    ModelNotFoundError,
    ResponseError,
    TimeoutError,
)
from replay import Received, replay

SUCCESS = {"status": "success"}


def response(status: int, body: Any) -> Iterator[bytes]:
    content = b"" if body is None else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    yield head.encode() + content


class Ollama:
    """A server with models, of which some only make embeddings and some are in memory."""

    def __init__(self, *models: str, embedding: tuple[str, ...] = (), running: tuple[str, ...] = ()) -> None:
        self.models = {*models, *embedding}
        self.embedding = embedding
        self.running = running
        self.asked: list[tuple[str, Any]] = []

    def __call__(self, request: Received) -> Iterator[bytes]:
        path = request.path.removeprefix("/api/")
        body: dict[str, Any] = request.json if request.body else {}
        self.asked.append((path, body))
        model = str(body.get("model"))
        if path == "ps":
            running = [{"name": name, "model": name, "context_length": 4096} for name in self.running]
            return response(200, {"models": running})
        if path == "pull":
            self.models.add(model)
            return response(200, SUCCESS)
        if model not in self.models:
            return response(404, {"error": f"model '{model}' not found"})
        if path == "generate" and model in self.embedding and body.get("keep_alive") != 0:
            return response(400, {"error": f'"{model}" does not support generate'})
        answer = {"response": "", "done": True} if path == "generate" else {"embeddings": []}
        return response(200, {"model": model, "details": {}, **answer})


# --- there or not ----------------------------------------------------------------------------------------------------


def test_a_model_is_pulled_once(every_or_mocked: Colour) -> None:
    ollama = Ollama()
    with replay(respond=ollama) as server:
        assert every_or_mocked.whole("ensure_model", server.url, "m", insecure=True) == SUCCESS
        assert every_or_mocked.whole("ensure_model", server.url, "m") == SUCCESS
        assert every_or_mocked.parts("ensure_model_stream", server.url, "m").parts == [SUCCESS]
    pull = {"model": "m", "insecure": True, "stream": False}
    assert [path for path, _ in ollama.asked] == ["show", "pull", "show", "show"]
    assert ollama.asked[1] == ("pull", pull)


def test_its_stream_is_that_of_the_pull(every_or_mocked: Colour) -> None:
    def respond(request: Received) -> Iterator[bytes]:
        if request.path == "/api/show":
            return response(404, {"error": "model 'm' not found"})
        lines = b'{"status":"pulling manifest"}\n{"status":"success"}\n'
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n" % len(lines)
        return iter([head + lines])

    with replay(respond=respond) as server:
        seen = every_or_mocked.parts("ensure_model_stream", server.url, "m")
    assert seen.parts == [{"status": "pulling manifest"}, SUCCESS]
    assert seen.error is None


def test_a_server_in_trouble_is_not_asked_to_pull() -> None:
    steps = ensure_model("m")
    next(steps)
    with pytest.raises(ResponseError, match="out of order"):
        steps.throw(ResponseError("out of order", status=500))


# --- in memory or not ------------------------------------------------------------------------------------------------


def test_a_model_is_loaded_and_unloaded(every_or_mocked: Colour) -> None:
    ollama = Ollama("m")
    with replay(respond=ollama) as server:
        assert every_or_mocked.whole("load", server.url, "m", keep_alive="5m", options={"num_ctx": 8192}) is None
        assert every_or_mocked.whole("unload", server.url, "m") is None
    assert ollama.asked == [
        ("generate", {"model": "m", "keep_alive": "5m", "options": {"num_ctx": 8192}, "stream": False}),
        ("generate", {"model": "m", "keep_alive": 0, "stream": False}),
    ]


def test_one_that_only_makes_embeddings_is_too(every_or_mocked: Colour) -> None:
    ollama = Ollama(embedding=("e",))
    with replay(respond=ollama) as server:
        every_or_mocked.whole("load", server.url, "e", keep_alive=-1)
        every_or_mocked.whole("unload", server.url, "e")
    assert [path for path, _ in ollama.asked] == ["generate", "embed", "generate"]
    assert ollama.asked[1][1] == {"model": "e", "input": [], "keep_alive": -1}


def test_wrong_options_are_what_loading_complains_about(both: Colour) -> None:
    def respond(request: Received) -> Iterator[bytes]:
        embeds = request.path == "/api/embed"
        text = "this model does not support embeddings" if embeds else "invalid option: num_ctx must be positive"
        return response(400, {"error": text})

    with replay(respond=respond) as server, pytest.raises(ResponseError, match="num_ctx must be positive"):
        both.whole("load", server.url, "m", options={"num_ctx": -5})


def test_an_unknown_model_is_neither(every_or_mocked: Colour) -> None:
    with replay(respond=Ollama()) as server:
        for function in ("load", "unload"):
            seen = every_or_mocked.attempt(function, server.url, "nope")
            assert isinstance(seen.error, ModelNotFoundError), function
            assert "nope" in str(seen.error)


def test_all_models_are_unloaded_and_named(every_or_mocked: Colour) -> None:
    ollama = Ollama("a:latest", "b:1b", running=("a:latest", "gone:latest", "b:1b"))
    with replay(respond=ollama) as server:
        assert every_or_mocked.whole("unload_all", server.url) == ("a:latest", "gone:latest", "b:1b")
    assert [body["model"] for path, body in ollama.asked if path == "generate"] == ["a:latest", "gone:latest", "b:1b"]


# --- its context -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "there"),
    [
        ("llama3", "llama3:latest"),
        ("llama3:8b", "llama3:8b"),
        ("Llama3:8B", "llama3:8b"),
        ("registry.ollama.ai/library/llama3", "llama3:latest"),
        ("127.0.0.1:5000/me/m", "127.0.0.1:5000/me/m:latest"),
    ],
)
def test_a_context_is_found_by_any_name_of_its_model(both: Colour, asked: str, there: str) -> None:
    with replay(respond=Ollama(running=("other:latest", there))) as server:
        assert both.whole("context_of", server.url, asked) == 4096
        assert both.whole("context_of", server.url, "not-loaded") is None


@pytest.mark.parametrize(
    "models",
    [{"a": 1}, ["m"], [{}], [{"model": 5}], [{"model": "m", "context_length": "4096"}], 5],
    ids=repr,
)
def test_an_answer_of_another_shape_is_a_decode_error(models: Any, both: Colour) -> None:
    with replay(respond=lambda _request: response(200, {"models": models})) as server:
        for name, arguments in (("unload_all", ()), ("context_of", ("m",))):
            with pytest.raises(DecodeError, match="the answer of ps has not the shape of Ollama's"):
                both.whole(name, server.url, *arguments)
    shape = "has not the shape of Ollama's"
    with replay(respond=lambda _request: response(200, {})) as server, pytest.raises(DecodeError, match=shape):
        both.whole("unload_all", server.url)


def test_a_server_that_does_not_tell_gives_none() -> None:
    steps = context_of("m")
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send({"models": [{"name": "m:latest", "model": "m:latest"}]})
    assert end.value.value is None


def answer(prompt: int, made: int, reason: str = "stop") -> dict[str, Any]:
    return {"done": True, "done_reason": reason, "prompt_eval_count": prompt, "eval_count": made}


# What Ollama 0.24.0 counted with num_ctx=256; tests/real looks whether it still does.
@pytest.mark.parametrize(
    ("counts", "cut", "ended", "shifted"),
    [
        (answer(15, 8), False, False, False),
        (answer(15, 8, "length"), False, False, False),  # by num_predict
        (answer(256, 8, "length"), True, False, True),  # a prompt of 1200 tokens
        (answer(23, 600, "length"), False, False, True),  # an answer that went on
        (answer(23, 234, "length"), False, True, False),  # the same with shift=False
        (answer(256, 1, "length"), True, True, False),
        (answer(23, 232, "length"), False, False, False),
    ],
)
def test_an_answer_tells_what_its_context_had_no_room_for(
    counts: dict[str, Any], cut: bool, ended: bool, shifted: bool
) -> None:
    use = check_context(counts, 256)
    assert (use.prompt_cut, use.answer_cut, use.shifted) == (cut, ended, shifted)
    assert use.fits is not (cut or ended or shifted)
    assert (use.num_ctx, use.prompt, use.answer) == (256, counts["prompt_eval_count"], counts["eval_count"])


def test_an_answer_without_counts_is_a_value_error() -> None:
    for wrong in ({"done": True, "done_reason": "load"}, {"done": False, "eval_count": 3}, {}):
        with pytest.raises(ValueError, match="no counts"):
            check_context(wrong, 256)
    for number in (0, -1, True, 2.5):
        with pytest.raises(ValueError, match="num_ctx"):
            check_context(answer(1, 1), number)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# --- a server that is waited for -------------------------------------------------------------------------------------


def effects(steps: Steps[Any], *replies: Any) -> list[Any]:
    """Give the effects of *steps*, answered by *replies*, of which an exception is thrown."""
    course, seen = Course(steps), []
    answers = iter(replies)
    while (effect := course.advance()) is not None:
        seen.append(effect)
        with course:
            if isinstance(effect, Pause | Tell):
                continue
            reply = next(answers)
            if isinstance(reply, Exception):
                raise reply
            course.reply = reply
    return seen


def test_what_passes_is_waited_for_with_growing_pauses() -> None:
    down = [ConnectError("down"), ResponseError("starting", status=503), TimeoutError("silent"), ConnectError("down")]
    seen = effects(wait_ready(timeout=60), *down, {"version": "0.24.0"})
    assert [effect.seconds for effect in seen if isinstance(effect, Pause)] == [0.05, 0.1, 0.2, 0.4]
    assert all(effect.seconds <= 5 for effect in seen if isinstance(effect, Limited))
    assert len(seen) == 9


@pytest.mark.parametrize("error", [AuthenticationError("who", status=401), ResponseError("no such page", status=404)])
def test_what_does_not_pass_is_raised_at_once(error: Exception) -> None:
    with pytest.raises(type(error)):
        effects(wait_ready(timeout=60), error)


def test_a_certificate_that_is_not_trusted_does_not_pass() -> None:
    error = ConnectError("no trust")
    error.__cause__ = ssl.SSLCertVerificationError("self-signed certificate")
    with pytest.raises(ConnectError, match="no trust"):
        effects(wait_ready(timeout=60), error)


def test_a_server_is_waited_for_until_it_is_there(every: Colour) -> None:
    with later(0.3) as url:
        began = time.monotonic()
        assert every.whole("wait_ready", url, timeout=60) is None
        assert time.monotonic() - began > 0.2


def test_on_trio_a_callers_own_client_waits_too() -> None:
    async def run(url: str) -> None:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            await aio.wait_ready(client, timeout=60)

    with later(0.3) as url:
        trio.run(run, url)


@contextmanager
def later(seconds: float) -> Generator[str]:
    """Give the URL of a server that is not there yet."""
    with replay(respond=lambda _request: response(200, {"version": "0.24.0"})) as server:
        port = int(server.url.rpartition(":")[2])
    stop, started = threading.Event(), threading.Event()

    def serve() -> None:
        time.sleep(seconds)
        with replay(respond=lambda _request: response(200, {"version": "0.24.0"}), port=port):
            started.set()
            stop.wait(60)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        thread.join()
    assert started.is_set()


def test_one_that_never_comes_is_a_timeout_that_says_what_was_wrong(every: Colour) -> None:
    with replay(respond=lambda _request: response(503, {"error": "starting"})) as server:
        seen = every.attempt("wait_ready", server.url, timeout=0.3)
    assert isinstance(seen.error, TimeoutError)
    assert seen.error.after == 0.3
    assert "not ready within 0.3 s" in str(seen.error)
    assert "starting" in str(seen.error)
    assert isinstance(seen.error.__cause__, ResponseError)


def test_one_that_takes_the_question_and_says_nothing_is_not_waited_for_for_ever(both: Colour) -> None:
    def silent(_request: Received) -> Iterator[bytes | float]:
        yield 30.0

    with replay(respond=silent) as server:
        began = time.monotonic()
        seen = both.attempt("wait_ready", Host(server.url), timeout=0.3)
        assert isinstance(seen.error, TimeoutError)
        assert time.monotonic() - began < 20


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), None, "3", True], ids=repr)
def test_a_timeout_that_is_none_is_a_value_error(wrong: Any, both: Colour) -> None:
    with pytest.raises(ValueError, match="timeout must be a number of seconds, more than 0, not "):
        both.whole("wait_ready", "http://127.0.0.1:1", timeout=wrong)


def test_steps_ask_for_what_they_say() -> None:
    for steps in (load("m"), unload("m"), unload_all(), ensure_model("m")):
        assert isinstance(next(steps), Request)
        steps.close()
