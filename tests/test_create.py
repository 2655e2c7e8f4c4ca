"""Files on their way to the server: hashed, asked for, and sent in pieces."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from colours import Colour
from ollama_fast.errors import DecodeError, ResponseError
from replay import Received, replay

SUCCESS = b'{"status":"success"}'


class Blobs:
    """A server that keeps the digests of what it was sent."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.asked: list[str] = []

    def __call__(self, request: Received) -> Iterator[bytes]:
        self.asked.append(f"{request.method} {request.path.removeprefix('/api/')}")
        digest = request.path.rpartition("/")[2]
        if request.method == "HEAD":
            yield b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % (
                b"200 OK" if digest in self.known else b"404 Not Found"
            )
        elif "/blobs/" in request.path:
            assert digest == f"sha256:{request.sha256}"
            self.known.add(digest)
            yield b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
        else:
            yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n" + SUCCESS


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_a_blob_is_sent_once_with_its_length(every_or_mocked: Colour, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    file = tmp_path / "model.gguf"
    file.write_bytes(data)
    blobs = Blobs()
    with replay(respond=blobs) as server:
        for path in (file, str(file)):
            assert every_or_mocked.whole("create_blob", server.url, path) == digest_of(data)
        upload = next(request for request in server.requests if request.method == "POST")
        headers = {name.lower(): value for name, value in upload.headers}
        assert headers["content-length"] == "3000000"
        assert "transfer-encoding" not in headers
        assert (upload.length, upload.sha256) == (3_000_000, hashlib.sha256(data).hexdigest())
    there = f"blobs/{digest_of(data)}"
    assert blobs.asked == [f"HEAD {there}", f"POST {there}", f"HEAD {there}"]


def test_create_sends_local_files_and_names_them(every_or_mocked: Colour, tmp_path: Path) -> None:
    weights, config = b"weights" * 1000, b"{}"
    (tmp_path / "model.safetensors").write_bytes(weights)
    (tmp_path / "config.json").write_bytes(config)
    (tmp_path / "notes.txt").write_bytes(b"not a part of the model")
    adapter = tmp_path / "adapter.gguf"
    adapter.write_bytes(b"adapter")
    with replay(respond=Blobs()) as server:
        answer = every_or_mocked.whole(
            "create", server.url, "mine", files=tmp_path, adapters={"a.gguf": adapter, "b.gguf": "sha256:" + "0" * 64}
        )
        assert answer == {"status": "success"}
        assert server.requests[-1].json == {
            "model": "mine",
            "files": {"model.safetensors": digest_of(weights), "config.json": digest_of(config)},
            "adapters": {"a.gguf": digest_of(b"adapter"), "b.gguf": "sha256:" + "0" * 64},
            "stream": False,
        }


def test_create_stream_tells_of_uploads_too(every_or_mocked: Colour, tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")
    digest = digest_of(b"GGUF")
    status = f"uploading {digest[7:19]}"
    with replay(respond=Blobs()) as server:
        seen = every_or_mocked.parts("create_stream", server.url, "mine", files={"m.gguf": file})
    assert seen.error is None
    assert [part for part, _ in groupby(seen.parts)] == [  # on a busy machine it is looked at more than once
        {"status": "gathering model components"},
        {"status": status, "digest": digest, "total": 4},
        {"status": status, "digest": digest, "total": 4, "completed": 4},
        {"status": "success"},
    ]
    assert seen.partial == {"status": "success"}


def test_a_file_that_is_not_there_is_found_before_any_io(every_or_mocked: Colour, tmp_path: Path) -> None:
    with replay(respond=Blobs()) as server:
        for arguments in ({"files": tmp_path / "no.gguf"}, {"adapters": {"a": tmp_path / "no.gguf"}}):
            with pytest.raises(FileNotFoundError):
                every_or_mocked.whole("create", server.url, "m", **arguments)
        with pytest.raises(FileNotFoundError):
            every_or_mocked.whole("create_blob", server.url, tmp_path / "no.gguf")
        with pytest.raises(ValueError, match="no safetensors or GGUF"):
            every_or_mocked.whole("create", server.url, "m", files=tmp_path)
        with pytest.raises(TypeError, match="no JSON form"):
            every_or_mocked.whole("create", server.url, "m", from_="x", parameters={"stop": {1, 2}})
        assert server.requests == []


def test_a_digest_that_is_not_the_files_is_the_servers_error(every_or_mocked: Colour, tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")

    def respond(request: Received) -> Iterator[bytes]:
        if request.method == "HEAD":
            yield b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        else:
            yield b'HTTP/1.1 400 Bad\r\nContent-Length: 27\r\n\r\n{"error":"digest mismatch"}'

    with replay(respond=respond) as server, pytest.raises(ResponseError, match="digest mismatch"):
        every_or_mocked.whole("create_blob", server.url, file, digest="sha256:" + "0" * 64)


@pytest.mark.parametrize("colour", ["blocking", "asyncio"])
def test_a_big_file_is_sent_in_constant_memory(colour: str, tmp_path: Path) -> None:
    file = tmp_path / "big"
    with file.open("wb") as sparse:
        sparse.truncate(1 << 30)
    code = f"""
        import asyncio, resource, sys
        import ollama_fast
        from ollama_fast import aio
        url, path, small = sys.argv[1:]

        def send(path):
            if {colour == "blocking"}:
                return ollama_fast.create_blob(url, path)
            return asyncio.run(aio.create_blob(url, path))

        send(small)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        send(path)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    small = tmp_path / "small"
    small.write_bytes(b"x" * (4 << 20))
    with replay(respond=Blobs()) as server:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), server.url, str(file), str(small)],
            capture_output=True,
            text=True,
            check=True,
            timeout=110,
        )
    grown = int(done.stdout)
    print(f"{colour}: 1 GiB sent, {grown} KiB more at the peak")
    assert grown < 32 * 1024


def test_a_file_that_becomes_shorter_meanwhile_is_an_os_error(every_or_mocked: Colour, tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")

    def respond(request: Received) -> Iterator[bytes]:
        file.write_bytes(b"GG")
        yield b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

    with replay(respond=respond) as server, pytest.raises(OSError, match="became shorter"):
        every_or_mocked.whole("create_blob", server.url, file)


def test_a_wrong_host_is_found_before_a_file_is_read(
    both: Colour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashlib, "file_digest", None)
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")
    for host, error in ((5, TypeError), ("ftp://x", ValueError)):
        with pytest.raises(error, match="host"):
            both.whole("create", host, "m", files=file)
        with pytest.raises(error, match="host"):
            both.module.create_stream(host, "m", files=file)


@pytest.mark.parametrize("function", ["copy", "delete", "signout"])
def test_a_page_in_place_of_an_empty_answer_is_a_decode_error(every_or_mocked: Colour, function: str) -> None:
    def respond(_request: Received) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>"

    arguments = {"copy": ("a", "b"), "delete": ("a",)}.get(function, ())
    with replay(respond=respond) as server:
        seen = every_or_mocked.attempt(function, server.url, *arguments)
        assert type(seen.error) is DecodeError
        assert "<html>" in str(seen.error)
