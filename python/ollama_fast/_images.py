"""Images by type, never by guess: bytes are the image, a str is base64 already, a path is read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from . import _core

if TYPE_CHECKING:
    from .types import Image


class Unencoded:
    """An image that becomes base64 when its request is encoded: reading a file is no work for a pure builder."""

    __slots__ = ("_image",)  # no dataclass: orjson would write its fields without asking

    def __init__(self, image: bytes | bytearray | memoryview | os.PathLike[str]) -> None:
        self._image = image

    def encode(self) -> str:
        """Read the image if it is a file, and give it in base64."""
        image = self._image
        if isinstance(image, os.PathLike):
            with open(image, "rb") as file:  # noqa: PTH123 - pathlib takes long to import
                return _core.encode_base64(file.read())
        return _core.encode_base64(bytes(image))


def seal(images: Iterable[Image] | None) -> list[str | Unencoded] | None:
    """Make *images* ready for a request's body."""
    if images is None:
        return None
    if isinstance(images, str | bytes | bytearray | memoryview | os.PathLike):
        raise TypeError(f"images is a sequence of images, not one {type(images).__name__}; write images=[image]")
    return [_seal_one(image) for image in images]


def seal_message(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Make the images of *message* ready; a message without images is given back as it is."""
    if message.get("images") is None:
        return message
    return {**message, "images": seal(message["images"])}


def _seal_one(image: Image) -> str | Unencoded:
    if isinstance(image, str):
        return image
    if isinstance(image, bytes | bytearray | memoryview | os.PathLike):
        return Unencoded(image)
    raise TypeError(f"an image is bytes, base64 text or a path, not {type(image).__name__}")
