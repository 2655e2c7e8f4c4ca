"""A genuine server, recorded through the proxy and replayed, with several clients."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import ollama
import pytest

import ollama_fast
from colours import Colour
from ollama_fast.testing import record, replay
from ollama_fast.testing._recording import Upload
from ollama_fast.testing._recording_file import load
from real import genuine
from real.target import Genuine

pytestmark = pytest.mark.real

OPTIONS: Any = {"temperature": 0, "seed": 7, "num_predict": 12}


def test_what_a_genuine_server_said_is_replayed_part_by_part(every: Colour, real: Genuine, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    question = [{"role": "user", "content": "Name three colours of the rainbow."}]

    def ask(url: str) -> list[Any]:
        seen = every.parts("chat_stream", url, real.model, question, options=OPTIONS, **real.at_once)
        assert seen.error is None
        return [
            *seen.parts,
            every.whole("generate", url, real.model, "Why is the sky blue?", options=OPTIONS, **real.at_once),
            every.whole("embed", url, real.model, ["one", "two"]),
            every.whole("show", url, real.model),
            every.whole("version", url),
            str(every.attempt("show", url, "nope").error).partition("model ")[2],
        ]

    with record(real.url, path) as recorder:
        said = ask(recorder.url)
        assert recorder.failures == []
    with replay(path, pace="fast") as replayer:
        assert ask(replayer.url) == said
        assert (replayer.unknown, replayer.unused) == ([], [])
    streamed = load(path)[0].response
    assert streamed is not None
    assert len(streamed.chunks) >= 5  # a token each, as it came
    times = [chunk.ms for chunk in streamed.chunks]
    assert times == sorted(times)
    with replay(path) as replayer:
        began = time.monotonic()
        every.parts("chat_stream", replayer.url, real.model, question, options=OPTIONS, **real.at_once)
        assert time.monotonic() - began >= (times[-1] - times[0]) / 1000


def test_an_upload_goes_through_and_is_kept_by_its_digest(real: Genuine, tmp_path: Path) -> None:
    real.need("gguf")
    assert real.gguf is not None
    path = tmp_path / "one.json"
    with record(real.url, path) as recorder:
        url = recorder.url
        digest = subprocess.run(["sha256sum", real.gguf], capture_output=True, text=True, check=True).stdout.split()[0]
        status = subprocess.run(
            ["curl", "-sS", "-T", real.gguf, "-X", "POST", "-w", "%{http_code}", f"{url}/api/blobs/sha256:{digest}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        assert status.stdout in ("200", "201")
        ollama_fast.create(url, "kit-copy", files={real.gguf.name: real.gguf})
        ollama_fast.delete(url, "kit-copy")
    kept = [each.request.body for each in load(path)]
    assert kept[0] == Upload(digest, real.gguf.stat().st_size)
    assert path.stat().st_size < 20_000


def test_the_official_client_gets_from_the_replay_what_it_got(real: Genuine, tmp_path: Path) -> None:
    path = tmp_path / "one.json"

    def ask(url: str) -> list[Any]:
        client = ollama.Client(host=url)
        try:
            parts = client.generate(real.model, "Why is the sky blue?", stream=True, options=OPTIONS)
            return [*(part.model_dump() for part in parts), client.show(real.model).model_dump()]
        finally:
            client._client.close()

    with record(real.url, path) as recorder:
        said = ask(recorder.url)
    with replay(path, pace="fast") as replayer:
        assert ask(replayer.url) == said


def test_the_go_client_gets_from_the_replay_what_it_got(real: Genuine, tmp_path: Path) -> None:
    real.need("gguf")  # of a server that was built here, whose program is the client, too
    path, program = tmp_path / "one.json", genuine.build().server
    prompt = "What is blue? Say it in one word."

    def ask(url: str, *arguments: str) -> str:
        environ = {**os.environ, "HOME": str(tmp_path), "OLLAMA_HOST": url, "NO_COLOR": "1"}
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, check=True, env=environ, timeout=300
        )
        return re.sub(r" \d+ \w+ ago", "", done.stdout)  # list says how long ago a model was made

    with record(real.url, path) as recorder:
        said = [ask(recorder.url, "run", real.model, prompt), ask(recorder.url, "list")]
        assert recorder.failures == []
    assert said[0].strip()
    assert {each.request.method for each in load(path)} >= {"HEAD", "POST", "GET"}  # it asks HEAD / first
    with replay(path) as replayer:
        assert [ask(replayer.url, "run", real.model, prompt), ask(replayer.url, "list")] == said
        assert replayer.unknown == []
