"""What a wheel and a source distribution hold, as names and bytes."""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).parent.parent

Files: TypeAlias = Mapping[str, bytes]


def wheel_files(path: Path) -> Files:
    """Give a wheel's files."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def sdist_files(path: Path) -> Files:
    """Give the files of a source distribution, without the name of the folder that all are in."""
    with tarfile.open(path) as archive:
        found = {member.name: archive.extractfile(member) for member in archive.getmembers() if member.isfile()}
        return {name.partition("/")[2]: file.read() for name, file in found.items() if file is not None}


def checkout_files(*paths: str) -> Files:
    """Give the files of this checkout at *paths* that git keeps or would keep, by their paths."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *paths]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return {name: (ROOT / name).read_bytes() for name in listed if (ROOT / name).is_file()}


def dist_info(files: Files) -> str:
    """Give the name of a wheel's folder for metadata, with a slash."""
    (name,) = {name.partition("/")[0] for name in files if ".dist-info/" in name}
    return f"{name}/"
