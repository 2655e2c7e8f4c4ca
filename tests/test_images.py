"""Images: every kind arrives as its base64, and what can be none is refused before any I/O."""

from __future__ import annotations

import array
import asyncio
import base64
import ctypes
import gzip
import hashlib
import io
import json
import mmap
import os
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
import zipfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from colours import Colour
from ollama_fast import _core, _images, aio
from ollama_fast import _endpoints as to
from ollama_fast._request import Request
from replay import Received, ReplayServer, replay

DATA = bytes(range(256))
TEXT = base64.b64encode(DATA).decode()
BLOCK = 192 * 1024
"""How much of a buffer the core copies at a time."""


def sent(request: Request[Any]) -> Any:
    return json.loads(request.encode(stream=False))


def one(image: Any) -> bytes:
    """Encode a request with the image, and give the bytes that arrive."""
    (text,) = sent(to.generate("m", images=[image]))["images"]
    return base64.b64decode(text, validate=True)


# --- what is accepted ------------------------------------------------------------------------------------------------


class Named:
    """A path of somebody's own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return str(self._path)


class Minimal:
    """The least that is a file."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self) -> bytes:
        data, self._data = self._data, b""
        return data


def written(data: bytes, folder: Path) -> Path:
    path = folder / "image.png"
    path.write_bytes(data)
    return path


def spaced(data: bytes) -> bytearray:
    """Put a byte after each one."""
    wide = bytearray(2 * len(data))
    wide[::2] = data
    return wide


def mapped(data: bytes, folder: Path) -> mmap.mmap:
    with written(data, folder).open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def zipped(data: bytes, folder: Path) -> Any:
    path = folder / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("image.png", data)
    return zipfile.ZipFile(path).open("image.png")


def squeezed(data: bytes, folder: Path) -> Any:
    path = folder / "image.gz"
    path.write_bytes(gzip.compress(data))
    return gzip.open(path, "rb")


def piped(data: bytes, folder: Path) -> Any:
    out, into = os.pipe()

    def write() -> None:
        with os.fdopen(into, "wb") as file:
            file.write(data)

    threading.Thread(target=write).start()
    return os.fdopen(out, "rb")


def temporary(data: bytes, folder: Path) -> Any:
    file = tempfile.NamedTemporaryFile(dir=folder)  # noqa: SIM115 - the test closes it
    file.write(data)
    file.seek(0)
    return file


Make = Callable[[bytes, Path], Any]

BUFFERS: dict[str, Make] = {
    "bytes": lambda data, folder: data,
    "bytearray": lambda data, folder: bytearray(data),
    "memoryview": lambda data, folder: memoryview(data),
    "memoryview of a bytearray": lambda data, folder: memoryview(bytearray(data)),
    "memoryview of signed bytes": lambda data, folder: memoryview(data).cast("b"),
    "memoryview with steps": lambda data, folder: memoryview(spaced(data))[::2],
    "memoryview of signed bytes with steps": lambda data, folder: memoryview(spaced(data)).cast("b")[::2],
    "memoryview backwards": lambda data, folder: memoryview(data[::-1])[::-1],
    "numpy": lambda data, folder: np.frombuffer(data, np.uint8),
    "numpy with steps": lambda data, folder: np.frombuffer(spaced(data), np.uint8)[::2],
    "numpy of signed bytes": lambda data, folder: np.frombuffer(data, np.int8),
    "array": lambda data, folder: array.array("B", data),
    "array of signed bytes": lambda data, folder: array.array("b", data),
    "ctypes": lambda data, folder: (ctypes.c_ubyte * len(data)).from_buffer_copy(data),
    "mmap": mapped,
}
FILES: dict[str, Make] = {
    "path": written,
    "path of its own": lambda data, folder: Named(written(data, folder)),
    "file": lambda data, folder: written(data, folder).open("rb"),
    "file without a buffer": lambda data, folder: written(data, folder).open("rb", buffering=0),
    "BytesIO": lambda data, folder: io.BytesIO(data),
    "BytesIO at its middle": lambda data, folder: at(io.BytesIO(b"before" + data), 6),
    "temporary file": temporary,
    "zip": zipped,
    "gzip": squeezed,
    "pipe": piped,
    "read() alone": lambda data, folder: Minimal(data),
}
TEXTS: dict[str, Make] = {
    "base64": lambda data, folder: base64.b64encode(data).decode(),
    "base64 in lines": lambda data, folder: base64.encodebytes(data).decode(),
    "base64 in lines as mail has them": lambda data, folder: (
        "\r\n" + base64.encodebytes(data).decode().replace("\n", "\r\n")
    ),
    "data URL": lambda data, folder: f"data:image/png;base64,{base64.b64encode(data).decode()}",
    "data URL of no type": lambda data, folder: f"data:;base64,{base64.b64encode(data).decode()}",
    "data URL in capitals": lambda data, folder: f"DATA:IMAGE/PNG;a=b;BASE64,{base64.encodebytes(data).decode()}",
}
KINDS = {**BUFFERS, **FILES, **TEXTS}


def at(file: io.BytesIO, position: int) -> io.BytesIO:
    file.seek(position)
    return file


@contextmanager
def closed_at_the_end(image: Any) -> Generator[Any]:
    try:
        yield image
    finally:
        if hasattr(image, "close"):
            image.close()


def respond(request: Received) -> Iterator[bytes]:
    """Answer whatever is asked for."""
    known = {"model": "m", "created_at": "", "done": True}
    answers: dict[str, dict[str, Any]] = {
        "/api/generate": {**known, "response": "r"},
        "/api/chat": {**known, "message": {"role": "assistant", "content": "c"}},
        "/api/create": {"status": "success"},
    }
    content = json.dumps(answers[request.path]).encode() + b"\n"
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content) + content


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    with replay(respond=respond) as running:
        yield running


def message(image: Any) -> dict[str, Any]:
    return {"role": "user", "content": "c", "images": [image]}


WAYS: dict[str, Callable[[Any], tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "generate": lambda image: (("m", "p"), {"images": [image]}),
    "chat": lambda image: (("m", [{"role": "system", "content": "s"}, message(image)]), {}),
    "create": lambda image: (("m",), {"from_": "n", "messages": [message(image)]}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_every_kind_arrives_as_its_base64(
    both: Colour, server: ReplayServer, way: str, streamed: bool, kind: str, tmp_path: Path
) -> None:
    with closed_at_the_end(KINDS[kind](DATA, tmp_path)) as image:
        args, kwargs = WAYS[way](image)
        if streamed:
            assert both.parts(f"{way}_stream", server.url, *args, **kwargs).error is None
        else:
            both.whole(way, server.url, *args, **kwargs)
        body = server.requests[-1].json
        assert (body["images"] if way == "generate" else body["messages"][-1]["images"]) == [TEXT]


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "path", "BytesIO", "base64", "data URL"])
def test_a_large_image_arrives_through_every_client(
    every_or_mocked: Colour, server: ReplayServer, kind: str, tmp_path: Path
) -> None:
    data = os.urandom(10 << 20)
    with closed_at_the_end(KINDS[kind](data, tmp_path)) as image:
        every_or_mocked.whole("generate", server.url, "m", images=[image])
    expected = orjson.dumps({"model": "m", "images": [base64.b64encode(data).decode()], "stream": False})
    received = server.requests[-1]
    assert (received.length, received.sha256) == (len(expected), hashlib.sha256(expected).hexdigest())


@pytest.mark.unsent
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, BLOCK - 1, BLOCK, BLOCK + 1, 16 * BLOCK, 32 * BLOCK + 5, 10 << 20])
@pytest.mark.parametrize("kind", KINDS)
def test_every_size_is_encoded_byte_for_byte(kind: str, size: int, tmp_path: Path) -> None:
    data = os.urandom(size)
    expected = {"model": "m", "prompt": "p", "images": [base64.b64encode(data).decode()] * 2, "stream": False}
    with closed_at_the_end(KINDS[kind](data, tmp_path)) as image:
        same = image if kind not in ("pipe", "read() alone") else data  # which can be read by one alone
        assert to.generate("m", "p", images=[image, same]).encode(stream=False) == orjson.dumps(expected)


IMAGES = st.binary(min_size=1, max_size=300)
PRESENTATIONS = ["bytes", "bytearray", "memoryview with steps", "numpy", "BytesIO", "base64", "base64 in lines"]


@given(st.lists(st.tuples(IMAGES, st.sampled_from(PRESENTATIONS), st.text())))
def test_any_images_between_any_texts_come_back(given: list[tuple[bytes, str, str]]) -> None:
    nowhere = Path()
    messages = [
        {"role": "user", "content": text, "images": [KINDS[kind](data, nowhere), data], text: text}
        for data, kind, text in given
        if text not in ("role", "content", "images")
    ]
    texts = [(data, text) for data, _, text in given if text not in ("role", "content", "images")]
    found = sent(to.chat("m", messages))["messages"]
    assert [([base64.b64decode(image) for image in each["images"]], each["content"]) for each in found] == [
        ([data, data], text) for data, text in texts
    ]


LOOKS_LIKE_A_GAP = ["\0", '"\0"', "\\u0000", '\\"\\u0000\\"', "\0\0\0", "[img]", '","images":["\0"],"']


@pytest.mark.parametrize("text", LOOKS_LIKE_A_GAP, ids=repr)
def test_text_of_the_user_that_looks_like_a_gap_is_untouched(text: str) -> None:
    first, second = b"first", b"second"
    request = to.chat(
        "m",
        [
            {"role": "user", "content": text, "images": [first]},
            {"role": text, "content": text, "images": [second, "QUJD"]},
        ],
        options={"stop": [text]},
        extra={text: {text: text}},
    )
    body = sent(request)
    images = [[base64.b64decode(image) for image in message["images"]] for message in body["messages"]]
    assert images == [[first], [second, b"ABC"]]
    assert [message["content"] for message in body["messages"]] == [text, text]
    assert (body["messages"][1]["role"], body["options"], body[text]) == (text, {"stop": [text]}, {text: text})


def test_a_gap_of_the_callers_own_making_is_refused() -> None:
    request = to.generate("m", images=[b"image"], extra={"x": orjson.Fragment(b'"\0"')})
    with pytest.raises(ValueError, match="gaps"):
        request.encode(stream=False)
    for images in ([], [b"a"], [b"a", b"b", b"c"]):
        with pytest.raises(ValueError, match="gaps"):
            _core.fill_in(b'["\0","\0"]', list(images))


def test_images_may_come_from_any_iterable() -> None:
    ways: list[Any] = [[DATA], (DATA,), iter([DATA]), {DATA: 1}, {DATA}]
    for images in ways:
        assert sent(to.generate("m", "p", images=images))["images"] == [TEXT]
        assert sent(to.chat("m", [{"role": "user", "images": images}]))["messages"][0]["images"] in ([TEXT], [])


def test_no_images_stay_as_they_are() -> None:
    assert sent(to.chat("m", [{"role": "user", "images": None}]))["messages"] == [{"role": "user", "images": None}]
    assert sent(to.chat("m", [{"role": "user", "images": []}]))["messages"] == [{"role": "user", "images": []}]
    assert "images" not in sent(to.generate("m"))
    assert sent(to.generate("m", images=[]))["images"] == []


def test_bytes_that_are_base64_are_not_guessed_to_be() -> None:
    assert one(TEXT.encode()) == TEXT.encode()


# --- pictures of PIL -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_picture_is_encoded_as_png_which_loses_nothing(mode: str) -> None:
    picture = Image.linear_gradient("L").convert(mode) if mode != "I;16" else Image.new("I;16", (3, 3), 777)
    found = Image.open(io.BytesIO(one(picture)))
    assert found.format == "PNG"
    assert found.size == picture.size
    assert found.mode == mode
    assert found.tobytes() == picture.tobytes()


@pytest.mark.parametrize(
    ("mode", "shown"),
    [("CMYK", "RGB"), ("YCbCr", "RGB"), ("HSV", "RGB"), ("F", "RGB"), ("I", "I;16"), ("PA", "RGBA"), ("La", "LA")],
)
def test_a_picture_of_a_mode_that_png_has_not_is_converted(mode: str, shown: str) -> None:
    picture = Image.new(mode, (3, 3))
    found = Image.open(io.BytesIO(one(picture)))
    assert (found.format, found.mode, found.size) == ("PNG", shown, (3, 3))
    assert picture.mode == mode


def test_a_jpeg_stays_a_jpeg_of_the_same_quality() -> None:
    out = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(out, "JPEG", quality=31)
    picture: Any = Image.open(io.BytesIO(out.getvalue()))
    found: Any = Image.open(io.BytesIO(one(picture)))
    assert found.format == "JPEG"
    assert found.quantization == picture.quantization
    named: Any = Image.new("RGB", (2, 2))
    named.format = "JPEG"  # as it is said of one that never was
    assert Image.open(io.BytesIO(one(named))).format == "PNG"


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF", "WEBP"])
def test_a_picture_of_a_format_that_old_servers_cannot_read_becomes_png(form: str) -> None:
    out = io.BytesIO()
    Image.new("RGB", (4, 4), (9, 9, 9)).save(out, form)
    assert Image.open(io.BytesIO(one(Image.open(out)))).format == "PNG"


@pytest.mark.parametrize("way", WAYS)
def test_a_picture_arrives(both: Colour, server: ReplayServer, way: str) -> None:
    picture = Image.new("RGB", (5, 4), (1, 2, 3))
    args, kwargs = WAYS[way](picture)
    both.whole(way, server.url, *args, **kwargs)
    body = server.requests[-1].json
    (text,) = body["images"] if way == "generate" else body["messages"][-1]["images"]
    found = Image.open(io.BytesIO(base64.b64decode(text, validate=True)))
    assert (found.format, found.size, found.getpixel((4, 3))) == ("PNG", (5, 4), (1, 2, 3))


def test_nothing_heavy_is_imported_for_images() -> None:
    code = """
import sys
from ollama_fast import _endpoints as to
for image in (b"a", bytearray(b"a"), "QQ==", memoryview(b"a")):
    to.generate("m", images=[image]).encode(stream=False)
try:
    to.generate("m", images=[object()])
except TypeError as exc:
    assert "PIL" in str(exc)
print([name for name in ("PIL", "numpy", "httpx", "asyncio", "pathlib", "pydantic") if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout == "[]\n"


# --- what is refused -------------------------------------------------------------------------------------------------


class ReadsText:
    """A file of text that does not say so."""

    def read(self) -> str:
        return "text"


class ReadsLater:
    """A file for asyncio."""

    async def read(self) -> bytes:
        raise AssertionError("nobody awaits this")


def closed_map() -> mmap.mmap:
    area = mmap.mmap(-1, 10)
    area.close()
    return area


REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: b"", ValueError, r"is empty"),
    (bytearray, ValueError, r"is empty"),
    (lambda: memoryview(b""), ValueError, r"is empty"),
    (lambda: np.zeros(0, np.uint8), ValueError, r"is empty"),
    (lambda: "", ValueError, r"is empty"),
    (lambda: "\r\n", ValueError, r"is empty"),
    (lambda: "\n" * 100, ValueError, r"is empty"),
    (lambda: "data:image/png;base64,", ValueError, r"is empty"),
    (lambda: Image.new("RGB", (0, 4)), ValueError, r"is empty: the PIL image has no pixels"),
    (lambda: "http://example.com/cat.png", ValueError, r"is a URL, and Ollama fetches none; download it first"),
    (lambda: "HTTPS://example.com/cat.png", ValueError, r"is a URL, and Ollama fetches none; download it first"),
    (lambda: "data:image/svg+xml,%3Csvg/%3E", ValueError, r"data URL without base64"),
    (lambda: "data:image/png;base64", ValueError, r"data URL without base64"),
    (lambda: "data:", ValueError, r"data URL without base64"),
    (lambda: "data:image/png;base64,AA%3D%3D", ValueError, r"'%' at position 24 .*unquote"),
    (lambda: "data:é;base64,AAAA", ValueError, r"'é' at position 5"),
    (lambda: "cat.png", ValueError, r"'\.' at position 3 .* pass pathlib\.Path"),
    (lambda: "Cats/cat.JPEG", ValueError, r"pass pathlib\.Path"),
    (lambda: "/etc/hostname", ValueError, r"pass pathlib\.Path"),
    (lambda: "./AAAA", ValueError, r"'\.' at position 0 .* pass pathlib\.Path"),
    (lambda: "~/cat", ValueError, r"pass pathlib\.Path"),
    (lambda: r"C:\cat", ValueError, r"pass pathlib\.Path"),
    (lambda: "file:///tmp/cat", ValueError, r"pass pathlib\.Path"),
    (lambda: base64.urlsafe_b64encode(b"\xff" * 9).decode(), ValueError, r"'_' at position 0 is of the URL-safe"),
    (lambda: "AA-A", ValueError, r"'-' at position 2 is of the URL-safe alphabet"),
    (lambda: TEXT.rstrip("="), ValueError, r"its 342 characters are no multiple of four"),
    (lambda: "AAA\nAAA\r\n", ValueError, r"its 6 characters are no multiple of four"),
    (lambda: "data:;base64,AAA", ValueError, r"its 3 characters are no multiple of four"),
    (lambda: "A", ValueError, r"its 1 characters are no multiple of four"),
    (lambda: "AA=", ValueError, r"no multiple of four"),
    (lambda: "AA===", ValueError, r"'=' at position 4 is padding where there is none"),
    (lambda: "AAAA=", ValueError, r"'=' at position 4 is padding"),
    (lambda: "=AAA", ValueError, r"'=' at position 0 is padding"),
    (lambda: "AA==AAAA", ValueError, r"'A' at position 4 comes after the padding"),
    (lambda: "AA=A", ValueError, r"'A' at position 3 comes after the padding"),
    (lambda: "AA\n==\nAAAA", ValueError, r"'A' at position 6 comes after the padding"),
    (lambda: "AAAA AAAA", ValueError, r"' ' at position 4 is no character of base64"),
    (lambda: "AAAA\tAAAA", ValueError, r"'\\t' at position 4"),
    (lambda: "AAAA\0", ValueError, r"'\\x00' at position 4"),
    (lambda: "AAAé", ValueError, r"'é' at position 3"),
    (lambda: "A-é", ValueError, r"'-' at position 1"),
    (lambda: "AA\ud800A", ValueError, r"'\\ud800' at position 2"),
    (lambda: "what is this?", ValueError, r"' ' at position 4"),
    (lambda: np.zeros((4, 4, 3), np.uint8), TypeError, r"'B' in 3 dimensions.* encode pixels .*Image\.fromarray"),
    (lambda: np.zeros(4, np.float32), TypeError, r"items of format 'f', not the bytes"),
    (lambda: np.zeros(4, np.bool_), TypeError, r"items of format '\?'"),
    (lambda: np.uint8(7), TypeError, r"in 0 dimensions"),
    (lambda: np.zeros(4, "M8[s]"), TypeError, r"ndarray, gives no bytes"),
    (lambda: array.array("H", [1]), TypeError, r"items of format 'H'"),
    (lambda: memoryview(b"abcd").cast("B", (2, 2)), TypeError, r"in 2 dimensions"),
    (lambda: memoryview(b"abcd").cast("I"), TypeError, r"items of format 'I'"),
    (closed_map, TypeError, r"gives no bytes"),
    (lambda: io.StringIO("text"), TypeError, r'is a text file; open it .*"rb"'),
    (lambda: io.TextIOWrapper(io.BytesIO(b"text")), TypeError, r'is a text file; open it .*"rb"'),
    (lambda: 5, TypeError, r"is an int, which is no image"),
    (lambda: None, TypeError, r"is a NoneType, which is no image"),
    (lambda: [b"image"], TypeError, r"is a list, which is no image"),
    (lambda: {"url": "x"}, TypeError, r"is a dict, which is no image"),
    (lambda: Image, TypeError, r"is a module, which is no image"),
]


@pytest.mark.parametrize(("make", "kind", "text"), REFUSED)
def test_what_can_be_no_image_is_refused_where_it_is_given(
    both: Colour, make: Callable[[], Any], kind: type[Exception], text: str
) -> None:
    nowhere = "http://127.0.0.1:1"  # where nobody is asked
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("generate", ("m",), {"images": [b"good", make()]}),
        ("chat", ("m", [{"role": "user"}, {"role": "user", "images": [b"good", make()]}]), {}),
        ("create", ("m",), {"messages": [{"role": "user"}, {"role": "user", "images": [b"good", make()]}]}),
    ]
    for way, args, kwargs in calls:
        name = r"images\[1\]" if way == "generate" else r"messages\[1\]\.images\[1\]"
        with pytest.raises(kind, match=rf"(?s)^{name}.*{text}"):
            both.whole(way, nowhere, *args, **kwargs)
        with pytest.raises(kind, match=rf"(?s)^{name}.*{text}"):
            getattr(both.module, f"{way}_stream")(nowhere, *args, **kwargs)  # at the call, before any waiting


ONE: list[Any] = [
    DATA,
    bytearray(DATA),
    memoryview(DATA),
    "QUJD",
    Path("x"),
    io.BytesIO(DATA),
    io.StringIO("x"),
    np.frombuffer(DATA, np.uint8),
    Image.new("L", (1, 1)),
]


@pytest.mark.parametrize("images", ONE, ids=lambda image: type(image).__name__)
def test_one_image_is_no_sequence_of_images(images: Any) -> None:
    with pytest.raises(TypeError, match=r"^images is a sequence .* write images=\[image\]"):
        to.generate("m", images=images)
    with pytest.raises(TypeError, match=r"^messages\[0\]\.images is a sequence"):
        to.chat("m", [{"role": "user", "images": images}])


def test_a_file_that_is_no_image_is_refused_when_it_is_read(both: Colour, tmp_path: Path) -> None:
    empty, nowhere = tmp_path / "empty.png", "http://127.0.0.1:1"
    empty.touch()
    cases: list[tuple[Any, type[Exception], str]] = [
        (empty, ValueError, r"images\[0\] is empty: the file '.*empty\.png' has no bytes"),
        (io.BytesIO(), ValueError, r"images\[0\] is empty: nothing is left to read"),
        (at(io.BytesIO(DATA), len(DATA)), ValueError, r"nothing is left to read in the file; is it at its end\?"),
        (ReadsText(), TypeError, r'images\[0\], a ReadsText, is no binary file: read\(\) gave a str; open .*"rb"'),
        (ReadsLater(), TypeError, r"read\(\) gave a coroutine"),
    ]
    for image, kind, text in cases:
        with pytest.raises(kind, match=text):
            both.whole("generate", nowhere, "m", images=[image])


def test_a_file_that_cannot_be_read_is_the_systems_own_error_that_names_the_image(both: Colour, tmp_path: Path) -> None:
    for path, kind in ((tmp_path / "missing.png", FileNotFoundError), (tmp_path, IsADirectoryError)):
        with pytest.raises(kind, match=path.name) as caught:
            both.whole("chat", "http://127.0.0.1:1", "m", [{"role": "user", "images": [path]}])
        assert caught.value.__notes__ == ["The file is messages[0].images[0] of a request to Ollama."]


class _Opened:
    """What was opened, while somebody wants to know."""

    watching = False
    names: list[str] = []  # noqa: RUF012 - there is one


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and _Opened.watching:
        _Opened.names.append(str(args[0]))


sys.addaudithook(_hook)  # which nothing can remove


def test_a_str_that_names_a_file_is_never_opened(
    both: Colour, server: ReplayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    both.whole("generate", server.url, "m")  # so that all is imported
    secret = tmp_path / "secrets1"
    secret.write_bytes(b"a secret")
    _Opened.names.clear()
    _Opened.watching = True
    try:
        both.whole("generate", server.url, "m", images=["secrets1"])
        for name in (str(secret), "./secrets1", "~/secrets1", f"file://{secret}", "secrets1 "):
            with pytest.raises(ValueError, match="is no base64"):
                both.whole("generate", server.url, "m", images=[name])
        assert _Opened.names == []
        both.whole("generate", server.url, "m", images=[secret])
        assert _Opened.names == [str(secret)]  # so the hook does see
    finally:
        _Opened.watching = False
    texts = [request.json.get("images") for request in server.requests]
    assert texts == [None, ["secrets1"], [base64.b64encode(b"a secret").decode()]]


# --- nothing is changed, and all can be sent again -------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_can_be_encoded_again(kind: str, tmp_path: Path) -> None:
    with closed_at_the_end(KINDS[kind](DATA, tmp_path)) as image:
        request = to.chat("m", [message(image)])
        first = request.encode(stream=True)
        assert base64.b64decode(json.loads(first)["messages"][0]["images"][0]) == DATA
        assert request.encode(stream=True) == first


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("pipe", "read() alone")])
def test_messages_can_be_sent_again_and_stay_as_they_were(kind: str, tmp_path: Path) -> None:
    with closed_at_the_end(KINDS[kind](DATA, tmp_path)) as image:
        messages = [message(image)]
        first = to.chat("m", messages).encode(stream=True)
        assert to.chat("m", messages).encode(stream=True) == first
        assert messages[0]["images"] == [image]
        assert messages[0]["images"][0] is image


def test_sealed_messages_can_be_sent_again_even_with_a_pipe(tmp_path: Path) -> None:
    with closed_at_the_end(piped(DATA, tmp_path)) as image:
        messages = [_images.seal_message(message(image), 0)]
        first = to.chat("m", messages).encode(stream=True)
        assert base64.b64decode(json.loads(first)["messages"][0]["images"][0]) == DATA
        assert (
            to.chat("m", [*messages, {"role": "user", "content": "more"}]).encode(stream=True).startswith(first[:200])
        )


def test_a_file_stays_open_and_where_it_was() -> None:
    file = at(io.BytesIO(b"before" + DATA), 6)
    assert one(file) == one(file) == DATA
    assert (file.closed, file.tell()) == (False, 6)


def test_a_bytearray_can_grow_between_building_and_encoding_and_after() -> None:
    image = bytearray(b"abc")
    request = to.generate("m", images=[image])
    image += b"d"
    assert sent(request)["images"] == [base64.b64encode(b"abcd").decode()]
    image += b"e"


class Slow(io.BytesIO):
    """A file that lets other threads run while it is read."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        time.sleep(0.002)
        return data


def test_many_threads_may_read_one_file() -> None:
    file = Slow(DATA)
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: one(file), range(32))) == {DATA}


def test_a_redirected_request_has_its_image_still(both: Colour, tmp_path: Path) -> None:
    def elsewhere(request: Received) -> Iterator[bytes]:
        if request.header("x-there") is None and request.path == "/a/api/generate":
            yield b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /api/generate\r\nContent-Length: 0\r\n\r\n"
        else:
            yield from respond(request)

    with replay(respond=elsewhere) as server, closed_at_the_end(piped(DATA, tmp_path)) as image:
        both.whole("generate", f"{server.url}/a", "m", images=[image])
        assert [request.json["images"] for request in server.requests] == [[TEXT], [TEXT]]


class Again(httpx.Auth):
    """Sends every request twice, as a challenge makes httpx do."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        yield request
        yield request


def test_a_client_that_sends_again_sends_the_image_again(both: Colour, server: ReplayServer, tmp_path: Path) -> None:
    with closed_at_the_end(piped(DATA, tmp_path)) as image:
        if both.asynchronous:

            async def run() -> None:
                async with httpx.AsyncClient(base_url=server.url, auth=Again(), trust_env=False) as client:
                    await aio.generate(client, "m", images=[image])

            asyncio.run(run())
        else:
            with httpx.Client(base_url=server.url, auth=Again(), trust_env=False) as client:
                both.module.generate(client, "m", images=[image])
    assert [request.json["images"] for request in server.requests] == [[TEXT], [TEXT]]


def test_an_image_is_pickled_with_its_request() -> None:
    import pickle

    request = to.generate("m", images=[DATA, "QUJD", Path(__file__)])
    assert pickle.loads(pickle.dumps(request)).encode(stream=False) == request.encode(stream=False)


# --- memory ----------------------------------------------------------------------------------------------------------


COPIED = ("ctypes", "memoryview of signed bytes with steps")
"""Bytes of formats that cannot be looked at as bytes, so they are copied first."""


@pytest.mark.parametrize("kind", [kind for kind in (*BUFFERS, *TEXTS) if kind not in COPIED])
def test_a_body_takes_little_more_memory_than_itself(kind: str, tmp_path: Path) -> None:
    with closed_at_the_end(KINDS[kind](os.urandom(10 << 20), tmp_path)) as image:
        to.generate("m", images=[b"warm"]).encode(stream=False)
        tracemalloc.start()
        try:
            body = to.generate("m", images=[image]).encode(stream=False)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    print(f"{peak / len(body):.4f} times the body")
    assert peak <= 1.1 * len(body)


# --- on asyncio ------------------------------------------------------------------------------------------------------


class Ticks:
    """How often the event loop came round, and how long it took at most."""

    def __init__(self) -> None:
        self.count = 0
        self.longest = 0.0
        self.twenty = asyncio.Event()

    async def run(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            self.count += 1
            self.longest = max(self.longest, now - last)
            last = now
            if self.count == 20:
                self.twenty.set()


@contextmanager
def ticking() -> Generator[Ticks]:
    ticks = Ticks()
    task = asyncio.ensure_future(ticks.run())
    try:
        yield ticks
    finally:
        task.cancel()


class Witness:
    """Stands before the core's encoding: which thread did it, and how often the loop came round meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, most: int = 1) -> None:
        self.threads: list[int] = []
        self.meanwhile: list[int] = []
        self.ticks: Ticks | None = None
        real = _core.fill_in

        def fill_in(text: bytes, images: Any) -> bytes:
            self.threads.append(threading.get_ident())
            for _ in range(most - 1):
                before = 0 if self.ticks is None else self.ticks.count
                real(text, images)
                self.meanwhile.append((0 if self.ticks is None else self.ticks.count) - before)
                if self.meanwhile[-1]:  # on a busy machine the loop's thread may not get a processor the first time
                    break
            return real(text, images)

        monkeypatch.setattr(_core, "fill_in", fill_in)


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "base64"])
def test_the_loop_goes_on_while_a_large_image_is_encoded(
    kind: str, server: ReplayServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    image = KINDS[kind](bytes(64 << 20), tmp_path)
    witness = Witness(monkeypatch, most=100)

    async def run() -> None:
        with ticking() as ticks:
            witness.ticks = ticks
            await aio.generate(server.url, "m", images=[image])
            print(
                f"{ticks.count} ticks, at most {ticks.longest * 1e3:.1f} ms apart; while encoding {witness.meanwhile}"
            )
            assert ticks.longest < 10

    asyncio.run(run())
    assert witness.threads[0] != threading.get_ident()
    assert max(witness.meanwhile) > 0


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("kind", "size", "on_the_loop"),
    [
        ("bytes", 1000, True),
        ("base64", 1000, True),
        ("bytes", _images.LONG, False),
        ("base64", _images.LONG, False),
        ("path", 10, False),
        ("BytesIO", 10, False),
    ],
)
def test_small_bodies_are_encoded_on_the_loop_and_others_in_a_thread(
    kind: str,
    size: int,
    on_the_loop: bool,
    streamed: bool,
    server: ReplayServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    witness = Witness(monkeypatch)

    async def run(image: Any) -> None:
        if streamed:
            async with aio.generate_stream(server.url, "m", images=[image]) as parts:
                assert [part["response"] async for part in parts] == ["r"]
        else:
            assert (await aio.generate(server.url, "m", images=[image]))["response"] == "r"

    with closed_at_the_end(KINDS[kind](bytes(size), tmp_path)) as image:
        asyncio.run(run(image))
    (thread,) = witness.threads
    assert (thread == threading.get_ident()) is on_the_loop


def test_many_small_images_are_encoded_in_a_thread(server: ReplayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    witness = Witness(monkeypatch)
    asyncio.run(aio.generate(server.url, "m", images=[bytes(1000)] * 300))
    assert witness.threads != [threading.get_ident()]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_path_that_blocks_does_not_block_the_loop(server: ReplayServer, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    async def run() -> None:
        with ticking() as ticks:
            call = asyncio.ensure_future(aio.generate(server.url, "m", images=[fifo]))
            await asyncio.wait_for(ticks.twenty.wait(), 60)  # which it would not come to
            assert not call.done()
            await asyncio.to_thread(fifo.write_bytes, DATA)
            await call
            print(f"{ticks.count} ticks, at most {ticks.longest * 1e3:.1f} ms apart")

    asyncio.run(run())
    assert server.requests[-1].json["images"] == [TEXT]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_call_that_waits_for_a_file_can_be_cancelled(server: ReplayServer, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    async def run() -> None:
        call = asyncio.ensure_future(aio.generate(server.url, "m", images=[fifo]))
        await asyncio.sleep(0.05)
        call.cancel()
        with suppress(asyncio.CancelledError):
            await call
        assert call.cancelled()
        await asyncio.to_thread(fifo.write_bytes, DATA)  # frees the thread

    asyncio.run(run())
    assert server.requests == []


def test_a_missing_file_is_told_where_files_are_read(server: ReplayServer, tmp_path: Path) -> None:
    missing = tmp_path / "missing.png"

    async def run() -> AsyncIterator[Any]:
        stream = aio.generate_stream(server.url, "m", images=[missing])  # reads nothing yet
        with pytest.raises(FileNotFoundError):
            await anext(stream)
        stream = aio.generate_stream(server.url, "m", images=[missing])
        with pytest.raises(FileNotFoundError):
            async with stream:
                raise AssertionError("never here")
        yield

    async def drain() -> None:
        async for _ in run():
            pass

    asyncio.run(drain())
    import ollama_fast

    with pytest.raises(FileNotFoundError):
        ollama_fast.generate_stream(server.url, "m", images=[missing])
    assert server.requests == []


def test_on_trio_a_callers_own_client_sends_files(server: ReplayServer, tmp_path: Path) -> None:
    path = written(DATA, tmp_path)

    async def run() -> None:
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
            await aio.generate(client, "m", images=[path, bytes(_images.LONG)])

    trio.run(run)
    assert server.requests[-1].json["images"][0] == TEXT
