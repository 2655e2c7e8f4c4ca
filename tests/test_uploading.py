"""Files while they are sent: how far they are, at a bounded rate; left early; hashed together; sent once."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

import ollama_fast
from colours import Colour
from ollama_fast import Progress, _upload, aio
from ollama_fast._steps import Run, run_all
from ollama_fast._sync import perform
from ollama_fast.errors import ResponseError, StreamClosedError
from programs import program
from replay import Received, replay
from test_create import Blobs, digest_of

SUCCESS = {"status": "success"}


def slow(monkeypatch: pytest.MonkeyPatch, pieces: int, size: int, seconds: float) -> None:
    """Let a file be read in small pieces, slowly, as if the way to the server were slow."""
    plain = _upload.Upload.__iter__

    def iterate(upload: _upload.Upload) -> Iterator[bytes]:
        for piece in plain(upload):
            time.sleep(seconds)
            yield piece

    monkeypatch.setattr(_upload, "_PIECE", size // pieces)
    monkeypatch.setattr(_upload.Upload, "__iter__", iterate)


def test_bytes_are_seen_while_they_go(every_or_mocked: Colour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch, pieces=20, size=1000, seconds=0.03)
    file = tmp_path / "m.gguf"
    file.write_bytes(os.urandom(1000))
    with replay(respond=Blobs()) as server:
        seen = every_or_mocked.parts("create_stream", server.url, "mine", files=file)
    assert seen.error is None
    sent = [part.get("completed", 0) for part in seen.parts if "digest" in part]
    assert sent == sorted(sent)
    assert sent[0] == 0
    assert sent[-1] == 1000
    assert len({count for count in sent if 0 < count < 1000}) >= 2
    assert seen.parts[-1] == SUCCESS


def test_bytes_that_a_redirect_has_sent_again_are_not_told_of_as_less(
    both: Colour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(monkeypatch, pieces=10, size=1000, seconds=0.05)
    file = tmp_path / "m.gguf"
    file.write_bytes(os.urandom(1000))
    blobs, sent_on = Blobs(), threading.Event()

    def respond(request: Received) -> Iterator[bytes]:
        if request.method == "POST" and "/blobs/" in request.path and not sent_on.is_set():
            sent_on.set()
            return iter([b"HTTP/1.1 307 X\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % request.path.encode()])
        return blobs(request)

    with replay(respond=respond) as server:
        seen = both.parts("create_stream", server.url, "mine", files=file)
        assert seen.error is None
        assert [request.length for request in server.requests if "/blobs/" in request.path] == [0, 1000, 1000]
    told = [part.get("completed", 0) for part in seen.parts if "digest" in part]
    assert told == sorted(told)
    assert len(set(told)) >= 4


def test_how_often_they_are_seen_is_bounded(both: Colour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch, pieces=1000, size=10_000, seconds=0.0003)
    file = tmp_path / "m.gguf"
    file.write_bytes(os.urandom(10_000))
    began = time.monotonic()
    with replay(respond=Blobs()) as server:
        seen = both.parts("create_stream", server.url, "mine", files=file)
    took = time.monotonic() - began
    assert seen.error is None
    assert len(seen.parts) <= took / 0.1 + 6


def test_all_files_are_named_before_the_first_is_sent(both: Colour, tmp_path: Path) -> None:
    for place in range(3):
        (tmp_path / f"model-{place}.safetensors").write_bytes(b"%d" % place * 1000)
    with replay(respond=Blobs()) as server:
        seen = both.parts("create_stream", server.url, "mine", files=tmp_path)
    totals = [now.total for now in ollama_fast.progress(seen.parts)]
    assert totals == [0, 1000, 2000, *[3000] * (len(totals) - 3)]


def test_what_the_server_has_is_skipped_so_that_a_broken_upload_goes_on(both: Colour, tmp_path: Path) -> None:
    for place in range(3):
        (tmp_path / f"model-{place}.safetensors").write_bytes(b"%d" % place * 1000)
    blobs = Blobs()
    full = threading.Event()

    def respond(request: Received) -> Iterator[bytes]:
        if request.method == "POST" and len(blobs.known) == 2 and not full.is_set():
            full.set()
            body = b'{"error":"write /models/blobs/x: no space left on device"}'
            return iter([b"HTTP/1.1 500 X\r\nContent-Type: application/json\r\nContent-Length: 58\r\n\r\n" + body])
        return blobs(request)

    with replay(respond=respond) as server:
        seen = both.parts("create_stream", server.url, "mine", files=tmp_path)
        assert isinstance(seen.error, ResponseError)
        assert seen.error.status == 500
        assert "no space left on device" in str(seen.error)
        assert both.whole("create", server.url, "mine", files=tmp_path) == SUCCESS
        sent = [request.sha256 for request in server.requests if "/blobs/" in request.path and request.method == "POST"]
    assert len(sent) == 4
    assert len(set(sent)) == 3


def test_a_file_that_changed_after_it_was_hashed_is_the_servers_error(both: Colour, tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")
    once = digest_of(b"GGUF")

    def respond(request: Received) -> Iterator[bytes]:
        if request.method == "HEAD":
            file.write_bytes(b"FUGG")
            return iter([b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"])
        body = json.dumps({"error": f'digest mismatch, expected "{once}", got "sha256:{request.sha256}"'}).encode()
        return iter([b"HTTP/1.1 400 X\r\nContent-Length: %d\r\n\r\n" % len(body) + body])

    with replay(respond=respond) as server:
        seen = both.parts("create_stream", server.url, "mine", files=file)
    assert isinstance(seen.error, ResponseError)
    assert "digest mismatch" in str(seen.error)


def test_a_file_that_cannot_be_read_is_an_os_error(
    both: Colour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")

    def refuse(path: Path, *_: Any) -> Any:  # a mode would not stop root
        raise PermissionError(13, "Permission denied", str(path))

    with replay(respond=Blobs()) as server:
        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(PermissionError, match=r"m\.gguf"):
            both.whole("create", server.url, "mine", files=file)
        assert server.requests == []


# --- left early ------------------------------------------------------------------------------------------------------


class Hearing:
    """A server that says when the body of an upload has begun to come, or was broken off."""

    def __init__(self) -> None:
        self.posts = 0

    def __call__(self, request: Received) -> Iterator[bytes]:
        if request.method == "HEAD":
            return iter([b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"])
        self.posts += 1
        return iter([b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"])


@pytest.mark.parametrize("way", ["host", "client"])
def test_leaving_it_ends_the_upload(both: Colour, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch, pieces=1000, size=1000, seconds=0.02)
    file = tmp_path / "m.gguf"
    file.write_bytes(os.urandom(1000))
    hearing = Hearing()
    before = {thread.ident for thread in threading.enumerate()}
    with replay(respond=hearing) as server:
        if not both.asynchronous:
            client = httpx.Client(base_url=server.url, trust_env=False)
            with client, ollama_fast.create_stream(server.url if way == "host" else client, "m", files=file) as parts:
                until_some_went(iter(parts))
            mine = [t for t in threading.enumerate() if t.ident not in before and t.name == "ollama_fast"]
            for thread in mine:
                thread.join(20)
                assert not thread.is_alive()
        else:

            async def run() -> None:
                client = httpx.AsyncClient(base_url=server.url, trust_env=False)
                async with client:
                    stream = aio.create_stream(server.url if way == "host" else client, "m", files=file)
                    async with stream as parts:
                        async for part in parts:
                            if 0 < part.get("completed", 0) < 1000:
                                break
                assert len(asyncio.all_tasks()) == 1

            asyncio.run(run())
    assert hearing.posts == 0  # no whole body ever came


def until_some_went(parts: Iterator[Any]) -> None:
    for part in parts:
        if 0 < part.get("completed", 0) < 1000:
            return


def test_leaving_it_after_it_failed_says_nothing_to_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch, pieces=10, size=1000, seconds=0.02)
    file = tmp_path / "m.gguf"
    file.write_bytes(os.urandom(1000))
    failed = threading.Event()

    def respond(request: Received) -> Iterator[bytes]:
        if request.method == "HEAD":
            return iter([b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"])
        failed.set()
        return iter([b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"])

    async def run(url: str) -> list[Any]:
        logged: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: logged.append(context))
        async with aio.create_stream(url, "m", files=file) as parts:
            async for part in parts:
                if part.get("completed"):
                    await asyncio.to_thread(failed.wait, 30)
                    await asyncio.sleep(0.2)  # its task ends meanwhile
                    break
        gc.collect()
        await asyncio.sleep(0)
        return logged

    with replay(respond=respond) as server:
        assert asyncio.run(run(server.url)) == []
    assert failed.is_set()


HASHING = """
from pathlib import Path
import ollama_fast
from ollama_fast import aio
say("go")
{call}
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a signal of Windows ends a process at once")
@pytest.mark.parametrize("files", [1, 3])
def test_ctrl_c_ends_a_program_that_reads_large_files(files: int, both: Colour, tmp_path: Path) -> None:
    for place in range(files):
        with (tmp_path / f"model-{place}.safetensors").open("wb") as file:
            file.truncate(1 << 40)  # which takes no place, and half an hour to hash
    call = f"create({{}}, 'm', files=Path({str(tmp_path)!r}))".format("'http://127.0.0.1:1'")
    call = f"asyncio.run(aio.{call})" if both.asynchronous else f"ollama_fast.{call}"
    with program(HASHING.format(call=call)) as running:
        assert running.heard() == "go"
        time.sleep(1)
        running.signal(signal.SIGINT)
        ended = running.end(30)
    for path in tmp_path.iterdir():
        path.unlink()  # some programs read what is left
    assert ended.code == -signal.SIGINT, ended
    assert "KeyboardInterrupt" in ended.err


def test_closing_it_from_elsewhere_tells_who_reads(
    both: Colour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(monkeypatch, pieces=1000, size=1000, seconds=0.02)
    file = tmp_path / "m.gguf"
    file.write_bytes(os.urandom(1000))
    with replay(respond=Hearing()) as server:
        if not both.asynchronous:
            parts = ollama_fast.create_stream(server.url, "m", files=file)
            timer = threading.Timer(0.4, parts.close)
            timer.start()
            with pytest.raises(StreamClosedError):
                for _ in parts:
                    pass
            timer.join()
        else:

            async def run() -> None:
                stream = aio.create_stream(server.url, "m", files=file)
                asyncio.get_running_loop().call_later(0.4, lambda: closing.append(asyncio.create_task(stream.aclose())))
                with pytest.raises(StreamClosedError):
                    async for _ in stream:
                        pass

            closing: list[asyncio.Task[None]] = []
            asyncio.run(run())


def test_progress_of_an_upload_is_shown(both: Colour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch, pieces=20, size=1000, seconds=0.03)
    file = tmp_path / "m.gguf"
    file.write_bytes(os.urandom(1000))
    seen: list[Progress] = []
    with replay(respond=Blobs()) as server:
        if not both.asynchronous:
            stream = ollama_fast.create_stream(server.url, "m", files=file)
            assert ollama_fast.collect(ollama_fast.show_progress(stream, to=seen.append)) == SUCCESS
        else:

            async def run() -> Any:
                stream = aio.create_stream(server.url, "m", files=file)
                return await aio.collect(aio.show_progress(stream, to=seen.append))

            assert asyncio.run(run()) == SUCCESS
    assert any(0 < now.fraction < 0.999 for now in seen)
    assert seen[-1].done
    assert (seen[-1].completed, seen[-1].total) == (1000, 1000)


def test_on_trio_a_callers_own_client_sends_files_too(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")

    async def run(url: str) -> list[Any]:
        client = httpx.AsyncClient(base_url=url, trust_env=False)
        async with client, aio.create_stream(client, "m", files=file) as parts:
            return [part async for part in parts]

    with replay(respond=Blobs()) as server:
        parts = trio.run(run, server.url)
    seen = [status for status, _ in groupby(part["status"].partition(" ")[0] for part in parts)]
    assert seen == ["gathering", "uploading", "success"]


# --- hashed together -------------------------------------------------------------------------------------------------


def meet(parties: int) -> Callable[[], int]:
    """Give a job that ends only when as many of it are done at once."""
    barrier = threading.Barrier(parties)
    return lambda: barrier.wait(30)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor hashes one file at a time")
def test_jobs_of_a_run_are_done_together_in_threads() -> None:
    assert sorted(perform(None, run_all(*[meet(2)] * 2))) == [0, 1]


def test_their_results_keep_their_order_and_one_that_fails_is_raised() -> None:
    def late(number: int) -> int:
        time.sleep(0.01 * (3 - number))
        return number

    jobs = [partial(late, number) for number in range(4)]
    assert perform(None, run_all(*jobs)) == [0, 1, 2, 3]

    def fail() -> int:
        raise OSError("unreadable")

    with pytest.raises(OSError, match="unreadable"):
        perform(None, run_all(fail, *jobs))
    assert Run(()).jobs == ()


def test_files_of_a_folder_get_their_own_digests(tmp_path: Path, both: Colour) -> None:
    contents = {f"model-{place}.safetensors": os.urandom(5000 + place) for place in range(12)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    with replay(respond=Blobs()) as server:
        both.whole("create", server.url, "m", files=tmp_path)
        assert server.requests[-1].json["files"] == {
            name: f"sha256:{hashlib.sha256(content).hexdigest()}" for name, content in contents.items()
        }
