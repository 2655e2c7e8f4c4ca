"""
Run httpx's own tests of clients with this package's transports in place of httpx's.

The tests come with the source distribution of the version that is installed. It is fetched once into a cache.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import httpx

import sdists

HERE: Final = Path(__file__).parent
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


def unpack(folder: Path, port: int) -> Path:
    """Put the tests into *folder*. Their server, which some of them name, listens at *port*."""
    root = sdists.unpack("httpx", httpx.__version__, ["tests", "pyproject.toml"], folder)
    for path in (root / "tests").rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        moved = text.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace("on port 8000", f"on port {port}")
        path.write_text(moved, encoding="utf-8")
    return root


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
    environment = sdists.environment() | {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(HERE),
        "HTTPX_SUITE_PORT": str(port),
    }
    with tempfile.TemporaryDirectory() as folder:
        root = unpack(Path(folder), port)
        command = [sys.executable, "-m", "pytest", *plugins, *OPTIONS, *FILES, *sys.argv[1:]]
        return subprocess.run(command, cwd=root, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
