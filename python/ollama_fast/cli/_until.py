"""A command that serves until somebody ends it."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import suppress


def until_ended() -> None:
    """Wait for Ctrl-C or a SIGTERM, which are the usual end of a server and no failure."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background has it ignored
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)
