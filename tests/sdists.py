"""Source distributions from PyPI, for the tests in them. They are fetched once into a cache."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path


def fetch(name: str, version: str) -> Path:
    """Give the source distribution, from the cache if it is there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ollama_fast"
    path = cache / f"{name.replace('-', '_')}-{version}.tar.gz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        # Into a folder of its own first, so that nobody finds half a file.
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            wish = ["--no-deps", "--no-binary", name, "--dest", folder, f"{name}=={version}"]
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *wish], check=True)
            (Path(folder) / path.name).replace(path)
    return path


def unpack(name: str, version: str, wanted: Iterable[str], folder: Path) -> Path:
    """Put *wanted*, which are files and whole folders of a source distribution, into *folder*; give its own folder."""
    source = fetch(name, version)
    root = source.name.removesuffix(".tar.gz")
    paths = [f"{root}/{path}" for path in wanted]
    with tarfile.open(source) as archive:
        there = archive.getmembers()
        members = [one for one in there if any(one.name == path or one.name.startswith(f"{path}/") for path in paths)]
        archive.extractall(folder, members, filter="data")
    return folder / root


def environment() -> dict[str, str]:
    """Give this process's, without proxies and what says where Ollama is: the tests do not expect either."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and name not in ("OLLAMA_HOST", "OLLAMA_API_KEY")
    }
