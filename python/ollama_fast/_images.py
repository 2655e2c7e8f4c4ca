"""
Images by type, never by guess: bytes are the image, a str is base64 already, a path or a file is read.

Builders seal images: what can be known without I/O is checked then. Files are read, and all becomes base64, when the
request's body is encoded.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from io import BytesIO, TextIOBase
from typing import Any, Final, TypeAlias

from . import _core

Piece: TypeAlias = "bytes | memoryview | tuple[str, int]"
"""An image as the core takes it: its bytes, or base64 text and where in it to begin."""

LONG: Final = 256 * 1024
"""From this size on, in bytes, images are encoded off the event loop."""

# Not compiled, which would be a part of `import ollama_fast`; re remembers them from their first use on.
_URL: Final = r"(?i)https?://"
_DATA_URL: Final = r"(?i)data:[^,]*,?"
_PATH: Final = (
    r"(?i)(?:~|\.{1,2}[/\\]|/(?!9j/)|[a-z]:[/\\]|file:).*"
    r"|.*\.(?:png|jpe?g|jfif|gif|bmp|webp|tiff?|heic|avif|svg|wav|mp3)"
)
"""What looks like a path; "/9j/" is how every JPEG begins in base64."""
_LONGEST_PATH: Final = 1024
_AS_PNG: Final = {"I": "I;16", "La": "LA", "PA": "RGBA", "RGBa": "RGBA"}
"""Where the modes go that PNG has not; the others become RGB."""
_PNG_MODES: Final = frozenset({"1", "I;16", "L", "LA", "P", "RGB", "RGBA"})

_turn = threading.Lock()
"""Held while a file that can seek is read, since another thread may read it, too."""


def _forget() -> None:
    global _turn  # noqa: PLW0603 - nobody in a child of fork releases it
    _turn = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


# --- from arguments to a body ----------------------------------------------------------------------------------------


class Draft:
    """A JSON body, but for its images."""

    __slots__ = ("_images", "_text")

    def __init__(self, text: bytes, images: list[Sealed]) -> None:
        self._text = text
        self._images = images

    @property
    def is_short(self) -> bool:
        """Whether to encode it is little work, and reads no file."""
        left = LONG
        for image in self._images:
            if image.size is None:
                return False
            left -= image.size
        return left > 0

    def encode(self) -> bytes:
        """Give the whole body, in one buffer. Raises OSError, TypeError or ValueError for a file that is no image."""
        return _core.fill_in(self._text, [image.load() for image in self._images])


class Sealed(ABC):
    """
    An image of which all is known that can be known without I/O.

    Args:
        name: What errors call it, such as "images[0]".
    """

    __slots__ = ("_name",)  # no dataclass: orjson would write its fields without asking

    size: int | None = None
    """How many bytes there are to encode; None if that is not known without I/O."""

    def __init__(self, name: str) -> None:
        self._name = name

    @abstractmethod
    def load(self) -> Piece:
        """Give the image, after reading it if it is a file."""


def seal(images: Iterable[Any] | None, name: str = "images") -> list[Sealed] | None:
    """
    Check *images*, and make them ready for a request's body. One that is sealed already stays as it is.

    Args:
        images: Of the types that `types.Image` lists.

        name: What errors call them.

    Raises TypeError or ValueError for what can be no image.
    """
    if images is None:
        return None
    if _is_one(images):
        raise TypeError(f"{name} is a sequence of images, not one {type(images).__name__}; write images=[image]")
    return [_seal_one(image, f"{name}[{index}]") for index, image in enumerate(images)]


def seal_message(message: Mapping[str, Any], index: int) -> Mapping[str, Any]:
    """Make the images of message *index* ready; a message without images is given back as it is."""
    if message.get("images") is None:
        return message
    return {**message, "images": seal(message["images"], f"messages[{index}].images")}


def _seal_one(image: Any, name: str) -> Sealed:
    if isinstance(image, Sealed):
        return image
    if isinstance(image, str):
        return _Text(image, name)
    if isinstance(image, bytes | bytearray | memoryview) or _has_buffer(image):
        return _Raw(image, name)
    if isinstance(image, os.PathLike):
        return _Path(image, name)
    if _is_picture(image):
        return _Picture(image, name)
    if callable(getattr(image, "read", None)):
        return _File(image, name)
    raise TypeError(
        f"{name} is {_a(image)}, which is no image: an image is bytes, base64 text, a path, a binary file or a "
        "PIL image"
    )


def _is_one(images: Any) -> bool:
    """Whether it is an image itself, though Python could iterate over it."""
    if isinstance(images, str | bytes | os.PathLike | Sealed) or hasattr(images, "read"):
        return True
    return _has_buffer(images) or _is_picture(images)


def _has_buffer(image: object) -> bool:
    if isinstance(image, list | tuple):  # the usual sequences of images have none
        return False
    try:
        memoryview(image).release()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    except TypeError:
        return False
    except (BufferError, ValueError):  # it has one, but not now, or not of such items
        return True
    return True


def _a(value: object) -> str:
    name = type(value).__name__
    return f"an {name}" if name[:1].lower() in "aeio" else f"a {name}"


# --- bytes -----------------------------------------------------------------------------------------------------------


class _Raw(Sealed):
    """Bytes in memory, whoever owns them."""

    __slots__ = ("_image", "size")

    def __init__(self, image: Any, name: str) -> None:
        super().__init__(name)
        self._image = image
        self.size = len(_piece(image, name))

    def load(self) -> bytes | memoryview:
        return _piece(self._image, self._name)


def _piece(image: Any, name: str) -> bytes | memoryview:
    """Give bytes as they are, and a look at those of anything else; without one, the owner could not grow it."""
    if isinstance(image, bytes):
        found: bytes | memoryview = image
    else:
        try:
            view = memoryview(image)
        except (BufferError, ValueError) as exc:
            raise TypeError(f"{name}, {_a(image)}, gives no bytes: {exc}") from exc
        if view.ndim != 1 or view.format.lstrip("@=<>!") not in ("B", "b", "c"):
            raise TypeError(
                f"{name}, {_a(image)}, holds {_items(view)}, not the bytes of an encoded image; encode pixels first, "
                'as PIL.Image.fromarray(...).save(file, "PNG") does, or give the PIL image'
            )
        if view.format == "B":
            found = view
        elif view.contiguous and view.format in ("b", "c"):
            found = view.cast("B")
        else:
            found = view.tobytes()
    if not len(found):
        raise ValueError(f"{name} is empty: no image is in {_a(image)} of no bytes")
    return found


def _items(view: memoryview) -> str:
    what = f"items of format {view.format!r}"
    return what if view.ndim == 1 else f"{what} in {view.ndim} dimensions"


# --- text ------------------------------------------------------------------------------------------------------------


class _Text(Sealed):
    """Base64 text, or a data URL with some."""

    __slots__ = ("_start", "_text", "size")

    def __init__(self, text: str, name: str) -> None:
        super().__init__(name)
        self._text = text
        self._start = _check_text(text, name)
        self.size = len(text)

    def load(self) -> tuple[str, int]:
        return self._text, self._start


def _check_text(text: str, name: str) -> int:
    """Give where in *text* the base64 begins; raise ValueError if it is none."""
    if re.match(_URL, text):
        raise ValueError(f"{name} is a URL, and Ollama fetches none; download it first, and give the bytes")
    start = 0
    if (prefix := re.match(_DATA_URL, text)) is not None:
        start = prefix.end()
        if not prefix[0].lower().endswith(";base64,"):
            raise ValueError(f"{name} is a data URL without base64; only data:...;base64,... can be sent")
    # The core counts bytes, which are characters as long as these are ASCII.
    ascii_only = text if text.isascii() else text[: next(i for i, c in enumerate(text) if c > "\x7f")]
    fault = _core.base64_fault(ascii_only, start) if len(ascii_only) >= start else len(ascii_only)
    if fault is None and ascii_only is not text:
        fault = len(ascii_only)
    if fault is not None:
        raise ValueError(f"{name} is no base64: {_fault(text, start, fault)}{_hint(text)}")
    if not text[start : start + 64].strip("\r\n") and not text[start:].strip("\r\n"):
        raise ValueError(f"{name} is empty: no base64 is in the text")
    return start


def _fault(text: str, start: int, position: int) -> str:
    if position >= len(text):
        count = len(text) - start - text.count("\n", start) - text.count("\r", start)
        return f"its {count} characters are no multiple of four, so padding with '=' is missing, or it was cut off"
    character = text[position]
    where = f"{character!r} at position {position}"
    if character in "-_":
        return f"{where} is of the URL-safe alphabet; the standard one has '+' and '/'"
    if character == "=":
        return f"{where} is padding where there is none"
    if "=" in text[max(start, position - 4) : position]:
        return f"{where} comes after the padding"
    if character == "%":
        return f"{where} is no character of base64; urllib.parse.unquote() undoes a URL's escapes"
    return f"{where} is no character of base64"


def _hint(text: str) -> str:
    if len(text) <= _LONGEST_PATH and re.fullmatch(_PATH, text):
        return ". A str is never opened as a file: for a path pass pathlib.Path(...)"
    return ""


# --- files -----------------------------------------------------------------------------------------------------------


class _Path(Sealed):
    """The path of a file, which is read each time."""

    __slots__ = ("_path",)

    def __init__(self, path: os.PathLike[Any], name: str) -> None:
        super().__init__(name)
        self._path = path

    def load(self) -> bytes:
        try:
            with open(self._path, "rb", buffering=0) as file:  # noqa: PTH123 - pathlib takes long to import
                data = file.read()
        except OSError as exc:
            exc.add_note(f"The file is {self._name} of a request to Ollama.")
            raise
        if not data:
            raise ValueError(f"{self._name} is empty: the file {os.fspath(self._path)!r} has no bytes")
        return data


class _File(Sealed):
    """
    An open binary file, which is read from where it is to its end.

    One that can seek is put back to where it was, so that it may be read again, by this request or another. What came
    of one that cannot is remembered.
    """

    __slots__ = ("_file", "_lock", "_read")

    def __init__(self, file: Any, name: str) -> None:
        super().__init__(name)
        if isinstance(file, TextIOBase):
            raise TypeError(f'{name} is a text file; open it as a binary one: open(path, "rb")')
        _check_open(file, name)
        self._file = file
        self._lock = threading.Lock()
        self._read: bytes | memoryview | None = None

    def load(self) -> bytes | memoryview:
        file = self._file
        _check_open(file, self._name)
        if not (hasattr(file, "seekable") and file.seekable()):
            with self._lock:
                if self._read is None:
                    self._read = self._checked(file.read())
                return self._read
        with _turn:
            place = file.tell()
            try:
                data = file.read()
            finally:
                file.seek(place)
        return self._checked(data)

    def _checked(self, data: Any) -> bytes | memoryview:
        if not isinstance(data, bytes | bytearray | memoryview):
            if hasattr(data, "close"):
                data.close()  # a coroutine, which would complain that nobody awaited it
            hint = '; open it as a binary file: open(path, "rb")' if isinstance(data, str) else ""
            raise TypeError(f"{self._name}, {_a(self._file)}, is no binary file: read() gave {_a(data)}{hint}")
        if not len(data):
            raise ValueError(f"{self._name} is empty: nothing is left to read in the file; is it at its end?")
        return _piece(data, self._name)


def _check_open(file: Any, name: str) -> None:
    if getattr(file, "closed", False) is True:
        raise ValueError(f"{name} is a closed file: nothing can be read from it; give it open, or its path")


# --- pictures --------------------------------------------------------------------------------------------------------


def _is_picture(image: object) -> bool:
    # Who has a picture of PIL's has imported it.
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(image, pil.Image)


class _Picture(Sealed):
    """A picture of PIL's: a JPEG is encoded as one, with its own quality, and any other as PNG, which loses nothing."""

    __slots__ = ("_picture",)

    def __init__(self, picture: Any, name: str) -> None:
        super().__init__(name)
        if 0 in picture.size:
            raise ValueError(f"{name} is empty: the PIL image has no pixels")
        self._picture = picture

    def load(self) -> bytes:
        picture, out = self._picture, BytesIO()
        if picture.format == "JPEG" and hasattr(picture, "quantization"):
            picture.save(out, "JPEG", quality="keep")
            return out.getvalue()
        if picture.mode not in _PNG_MODES:
            picture = picture.convert(_AS_PNG.get(picture.mode, "RGB"))
        picture.save(out, "PNG")
        return out.getvalue()
