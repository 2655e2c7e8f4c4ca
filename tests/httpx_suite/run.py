"""
Run httpx's own tests of clients with this package's transports in place of httpx's.

The tests come with the source distribution of the version that is installed. It is fetched once into a cache.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

import httpx

HERE: Final = Path(__file__).parent
NAME: Final = f"httpx-{httpx.__version__}"
FILES: Final = [
    "tests/client",
    "tests/test_api.py",
    "tests/test_config.py",
    "tests/test_exceptions.py",
    "tests/test_main.py",
    "tests/test_timeouts.py",
    "tests/test_utils.py",
]
"""Those with requests that reach a transport. The others are about models, or about transports without sockets."""

OPTIONS: Final = [
    "--timeout=60",
    "-Wignore:'isolated_filesystem':DeprecationWarning",  # newer click than the tests were made for
]


def source() -> Path:
    """Give the source distribution, from the cache if it is there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ollama_fast"
    path = cache / f"{NAME}.tar.gz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        # Into a folder of its own first, so that nobody finds half a file.
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            wish = ["--no-deps", "--no-binary", "httpx", "--dest", folder, NAME.replace("-", "==")]
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *wish], check=True)
            (Path(folder) / path.name).replace(path)
    return path


def unpack(folder: Path, port: int) -> None:
    """Put the tests into *folder*. Their server, which some of them name, listens at *port*."""
    with tarfile.open(source()) as archive:
        wanted = [
            member
            for member in archive.getmembers()
            if member.name.startswith(f"{NAME}/tests/") or member.name == f"{NAME}/pyproject.toml"
        ]
        archive.extractall(folder, wanted, filter="data")
    for path in (folder / NAME / "tests").rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        moved = text.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace("on port 8000", f"on port {port}")
        path.write_text(moved, encoding="utf-8")


def free_port() -> int:
    """Give a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> int:
    """Run the tests; further arguments are pytest's."""
    port = free_port()
    # No plugins but these: those of this project's own tests replace parts of httpx.
    plugins = ["-p", "anyio.pytest_plugin", "-p", "pytest_timeout", "-p", "substitute"]
    # Nor proxies: the tests clear only some of the variables.
    quiet = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment = quiet | {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(HERE),
        "HTTPX_SUITE_PORT": str(port),
    }
    with tempfile.TemporaryDirectory() as folder:
        unpack(Path(folder), port)
        command = [sys.executable, "-m", "pytest", *plugins, *OPTIONS, *FILES, *sys.argv[1:]]
        return subprocess.run(command, cwd=Path(folder) / NAME, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
