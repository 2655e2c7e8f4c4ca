"""Reports on disk: whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def check_writable(path: str | Path) -> None:
    """
    Raise OSError, which says what is wrong, if a report cannot be written to *path*; so before a load, not after.

    Args:
        path: Where the report is to be; nothing is left there.
    """
    place = _place(path)
    if place.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file in it")
    if _is_special(place):
        place.open("ab").close()
        return
    beside = _beside(place)
    try:
        beside.open("xb").close()
    except OSError as exc:
        raise type(exc)(f"a report cannot be written to {path}: {exc.strerror}") from exc
    beside.unlink()


def write(path: str | Path, content: bytes) -> None:
    """Write *content* to a file beside *path*, and give that its name once it is whole."""
    place = _place(path)
    if _is_special(place):
        place.write_bytes(content)
        return
    beside = _beside(place)
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(place)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _place(path: str | Path) -> Path:
    return Path(os.path.realpath(path))  # a link stays one, and what it names is replaced


def _is_special(place: Path) -> bool:
    """Whether it is a device or a pipe, such as /dev/null, which must not be replaced by a file."""
    return place.exists() and not place.is_file() and not place.is_dir()


def _beside(place: Path) -> Path:
    return place.with_name(f".{place.name}.{os.getpid()}")
