"""Files that are there whole, or as they were before: written beside their place, then renamed."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def replaced(path: str | os.PathLike[str]) -> Generator[IO[bytes]]:
    """
    Write a file beside *path*, which takes its place when the block ends well, and is removed if it does not.

    A link stays one, and what it names is replaced; permissions stay as they were. A device or a pipe, such as
    /dev/stdout, is written to and never replaced.

    Args:
        path: What is to be written.

    Raises OSError, before the block, if it cannot be.
    """
    place, mode = _place(path)
    if place is None:
        with Path(path).open("wb") as file:
            yield file
        return
    beside = _made_beside(place, path, private=mode is not None)
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a crash of the system could leave the new name with nothing in it
        if mode is not None:
            beside.chmod(mode)
        beside.replace(place)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def check_writable(path: str | os.PathLike[str]) -> None:
    """
    Raise OSError, which says what is wrong, if a file cannot be written to *path*; so before the work, not after it.

    Args:
        path: What is to be written later; nothing is left there, and a device or a pipe is not opened.
    """
    place, _ = _place(path)
    if place is not None:
        _made_beside(place, path, private=True).unlink()


def _place(path: str | os.PathLike[str]) -> tuple[Path | None, int | None]:
    """Give the file to replace, which is None for what is written to as it is, and its permissions if it exists."""
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        return Path(os.path.realpath(path)), None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, f"{os.strerror(errno.EISDIR)}, where a file is to be", os.fspath(path))
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
    if stat.S_ISREG(found.st_mode):
        place = Path(os.path.realpath(path))
        with suppress(FileNotFoundError):  # /dev/stdout may name a file that has no name any more
            if os.path.samestat(place.stat(), found):
                return place, stat.S_IMODE(found.st_mode)
    elif not (stat.S_ISCHR(found.st_mode) or stat.S_ISFIFO(found.st_mode)):
        raise OSError(errno.EINVAL, "Neither a file nor a pipe nor a character device", os.fspath(path))
    return None, None


def _made_beside(place: Path, path: str | os.PathLike[str], *, private: bool) -> Path:
    """Make an empty file for what is to take *place*; *private* if that may be so."""
    beside = place.with_name(f".{place.name[:40]}.{secrets.token_hex(8)}")
    try:
        beside.touch(0o600 if private else 0o666, exist_ok=False)
    except OSError as exc:
        raise OSError(exc.errno, exc.strerror, os.fspath(path)) from exc  # the other name says nothing to anybody
    return beside
