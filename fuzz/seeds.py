"""
Write what the fuzz targets begin with: the recorded exchanges, in the forms that the targets read.

`python fuzz/seeds.py FOLDER` makes one folder for each target in it. The forms are those of fuzz/src: see `cuts.rs`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from exchange import Exchange, load_all  # noqa: E402 - it is in tests

MOST: Final = 2000
"""Longer bytes are cut off: libFuzzer is slow with long ones, and what follows is more of the same."""

FOLDERS: Final = ("exchanges", "faults", "newer")
NUMBERS: Final = (
    b"0",
    b"-0.0",
    b"1e-45",
    b"3.4028236e38",
    b"-120.50e-07",
    b"16777217",
    b"0.1234567890123456789",
    b"1E+400",
)
FRAMES: Final = (
    b"HTTP/1.1 100 Continue\r\n\r\n%s",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 9\r\n\r\n%.9s",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5;a=b\r\n%.5s\r\n0\r\nT: x\r\n\r\n",
    b"HTTP/1.1 200 OK\nFolded: a\r\n b\r\n\n%s",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 5, 5\r\n\r\n%s",
    b"HTTP/1.1 304 \r\n\r\n%s",
)

Seed: TypeAlias = tuple[str, bytes]
"""The name of a target, and an input of it."""


def cuts(data: bytes) -> bytes:
    """Put before *data* where it is to be cut."""
    return b"\x03\x01\x10\x40" + data[:MOST]


def wire_of(exchange: Exchange) -> bytes:
    """Give the response as it was on the wire."""
    response = exchange.response
    head = b"HTTP/1.1 %d x\r\n" % response.status
    head += b"".join(f"{name}: {value}\r\n".encode() for name, value in response.headers) + b"\r\n"
    if "chunked" not in (response.header("transfer-encoding") or ""):
        return head + response.body
    chunks = (b"%x\r\n%s\r\n" % (len(chunk.data), chunk.data) for chunk in response.chunks if chunk.data)
    return head + b"".join(chunks) + b"0\r\n\r\n"


def seeds_of(exchange: Exchange) -> Iterator[Seed]:
    """Give all inputs that an exchange makes."""
    wire, body = wire_of(exchange), exchange.response.body
    yield "response", b"\x00\x00" + cuts(wire)
    if exchange.request.method == "HEAD":
        yield "response", b"\x01\x00" + cuts(wire)
    lines = b"\n".join(line for line in body[:MOST].split(b"\n") if len(line) < MOST)
    yield "decoder", lines
    yield "splitter", b"".join(b"\x06\xff" + lines[at : at + 255] + b"\x00\x01" for at in range(0, len(lines), 255))
    yield "vectors", cuts(body)
    yield "images", cuts(body[:300])
    yield "base64", base64.encodebytes(body[:150])


def seeds() -> Iterator[Seed]:
    """Give all inputs."""
    for folder in FOLDERS:
        for exchange in load_all(ROOT / "tests" / folder).values():
            yield from seeds_of(exchange)
    for frame in FRAMES:
        yield "response", b"\x00\x00" + cuts(frame % (b'{"done":true}\n' * 2))
        yield "response", b"\x42\x40" + cuts(frame % b"")
    for number in NUMBERS:
        yield "float32", number
        yield "vectors", cuts(b'{"a":[],"embeddings":[[%s,1.5],[2,-3e1]]}' % number)
    yield "base64", b'[{"images":["\0","\0"]}]'


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for target, data in seeds():
        (folder / target).mkdir(parents=True, exist_ok=True)
        (folder / target / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)


if __name__ == "__main__":
    main()
