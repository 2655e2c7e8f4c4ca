"""A headless Chromium that opens a file and asks no network."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_FLAGS: Final = (
    "--headless",
    "--no-sandbox",  # what runs in a container is root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
_DARK: Final = "--blink-settings=preferredColorScheme=0"


def find_browser() -> str | None:
    """Give the path of Chromium or Chrome, if there is one."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def screenshot(
    browser: str, page: Path, picture: Path, size: tuple[int, int], profile: Path, *, dark: bool = False
) -> None:
    """Write a PNG of *page* in a window of that size."""
    _open(browser, page, [f"--screenshot={picture}"], size, profile, dark=dark)


def document(browser: str, page: Path, size: tuple[int, int], profile: Path, *, dark: bool = False) -> str:
    """Give the document of *page* as it is once its scripts have run."""
    return _open(browser, page, ["--dump-dom"], size, profile, dark=dark)


def _open(browser: str, page: Path, more: Sequence[str], size: tuple[int, int], profile: Path, *, dark: bool) -> str:
    window = f"--window-size={size[0]},{size[1]}"
    command = [browser, *_FLAGS, *([_DARK] if dark else []), window, f"--user-data-dir={profile}", *more, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout
