"""Files on their way to the server: what they are called there, their digests, and their bytes in pieces."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import StreamClosedError

BETWEEN: Final = 0.1
"""Seconds between two looks at how much of a file has gone."""
_PIECE = 1 << 20
"""How much of a file is in memory at a time, in bytes."""


_ENDINGS: Final = (".gguf", ".safetensors")
_MAGIC: Final = (b"GGUF", b"FUGG")
"""How a GGUF file begins, by its byte order; its name may end in any way."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to send as it is, and how long it is in bytes."""

    path: Path
    size: int

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Upload:
        """Look at the file; raises OSError if there is none, or one that has no end, such as a pipe or a device."""
        looked_at = Path(path).stat()
        if not stat.S_ISREG(looked_at.st_mode):
            if stat.S_ISDIR(looked_at.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
            raise OSError(errno.EINVAL, "no regular file, which is what can be sent", os.fspath(path))
        return cls(Path(path), looked_at.st_size)

    def __iter__(self) -> Generator[bytes]:
        """Read the file piece by piece, and never more than it was long when looked at."""
        left = self.size
        with self.path.open("rb") as file:
            while left > 0 and (piece := file.read(min(_PIECE, left))):
                left -= len(piece)
                yield piece
        if left:
            raise OSError(
                f"{str(self.path)!r} became shorter while it was sent: {left} of {self.size} bytes are missing"
            )


class Counted:
    """A file to send that counts what of it has gone, and can be held back."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self.size = upload.size
        self.sent = 0
        """How many bytes were taken: of several attempts, as after a redirect, in the one that came furthest."""
        self.held = False
        """Whether nothing more of it shall go."""

    def __iter__(self) -> Generator[bytes]:
        """Read the file piece by piece. Raises StreamClosedError once it is held back."""
        taken = 0
        for piece in self._upload:
            if self.held:
                raise StreamClosedError("the stream was closed while a file was sent")
            yield piece
            taken += len(piece)
            self.sent = max(self.sent, taken)


class Digest:
    """The digest of a file, as a job that can be held back: "sha256:" and its hexadecimal SHA-256."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self.held = False
        """Whether nothing more of it shall be read."""

    def __call__(self) -> str:
        """Read the file. Raises OSError if it is not as long as when it was looked at."""
        import hashlib

        path, left = self._upload.path, self._upload.size
        hashed, piece = hashlib.sha256(), memoryview(bytearray(min(_PIECE, left + 1)))
        with path.open("rb", 0) as file:
            while count := file.readinto(piece):
                left -= count
                if self.held:
                    raise StreamClosedError("the call was left while a file was read")
                if left < 0:
                    break
                hashed.update(piece[:count])
        if left:
            raise OSError(f"{str(path)!r} is not of {self._upload.size} bytes any more: it changed while it was read")
        return f"sha256:{hashed.hexdigest()}"


def digest(path: str | os.PathLike[str]) -> str:
    """Give the digest of a file."""
    return Digest(Upload.of(path))()


Files = Mapping[str, str | os.PathLike[str]] | os.PathLike[str]
"""Names on the server to digests (a str) or local files (a path); or one local file or model folder."""


def named(files: Files | None) -> dict[str, str | Path]:
    """
    Give each file its name on the server: a digest, as a str, or a local file, as a Path.

    A folder stands for the files in it that make up a model, chosen as Ollama's own command does (OLLAMA-API 10).
    Raises FileNotFoundError for a path where nothing is, and ValueError for a folder without a model.
    """
    if files is None:
        return {}
    if isinstance(files, Mapping):
        return {name: file if isinstance(file, str) else _there(Path(file)) for name, file in files.items()}
    if isinstance(files, str | bytes):
        raise TypeError("files is a mapping of names to digests or paths, or a path; wrap a str in pathlib.Path")
    path = _there(Path(files))
    if not path.is_dir():
        return {path.name: path}
    return {file.relative_to(path).as_posix(): file for file in _model_files(path)}


def check_kind(files: Mapping[str, str | Path]) -> None:
    """
    Raise ValueError if *files*, which have been looked at, are of no kind that servers make models of.

    They say so only when they have all of them, which may take an hour.
    """
    for name, file in files.items():
        if isinstance(file, str) or name.endswith(_ENDINGS):  # or what the server has
            return
        with file.open("rb") as opened:
            if opened.read(4) in _MAGIC:
                return
    if files:
        raise ValueError(f"no GGUF or safetensors file, which a model is made of: {', '.join(map(repr, files))}")


def _there(path: Path) -> Path:
    path.stat()
    return path


def _model_files(folder: Path) -> list[Path]:
    for pattern in ("model*.safetensors", "*/model*.safetensors", "consolidated*.safetensors", "adapter*.safetensors"):
        if weights := sorted(folder.glob(pattern)):
            break
    else:
        if not (weights := sorted(folder.glob("*.gguf"))):
            raise ValueError(f"no safetensors or GGUF file of a model in {str(folder)!r}")
        return weights
    if pattern == "model*.safetensors":  # also those one level down
        weights += sorted(folder.glob("*/model*.safetensors"))
    others = [*sorted(folder.glob("*.json")), *sorted(folder.glob("*/*.json"))]
    others += [path for name in ("chat_template.jinja", "tokenizer.model") if (path := folder / name).exists()]
    return weights + others
