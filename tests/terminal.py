"""A program on a terminal of its own, which a test reads and types into."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Final

GENEROUS: Final = 30.0
_STYLES: Final = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def plain(text: str) -> str:
    """Give what a terminal shows, without colours and moves of the cursor."""
    return _STYLES.sub("", text).replace("\r\n", "\n")


class Terminal:
    """
    A terminal, in which a program runs.

    Args:
        process: The program.

        screen: The terminal's other end.
    """

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self.process = process
        self.shown = ""
        """All that the program wrote."""
        self._screen = screen
        self._seen = 0

    def until(self, text: str) -> str:
        """Wait until *text* is shown, and give what is new up to there. Raises AssertionError if it never is."""
        ends_at = time.monotonic() + GENEROUS
        while (found := self.shown.find(text, self._seen)) < 0:
            assert time.monotonic() < ends_at, f"{text!r} was not shown: {self.shown!r}"
            assert self._read(), f"{text!r} was not shown before the end: {self.shown!r}"
        before, self._seen = self._seen, found + len(text)
        return self.shown[before : self._seen]

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._screen, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C as a person does, and not in the microsecond between a prompt and the wait behind it."""
        time.sleep(0.3)
        self.type("\x03")

    def end(self) -> int:
        """Wait for the end of the program, and give its exit code."""
        while self._read():
            pass
        return self.process.wait(GENEROUS)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._screen], [], [], GENEROUS)
        assert ready, f"nothing more was shown: {self.shown!r}"
        try:
            found = os.read(self._screen, 1 << 16)
        except OSError:  # as Linux says that the last program has left
            return False
        self.shown += found.decode(errors="replace")
        return bool(found)


@contextmanager
def terminal(*arguments: str, environ: Mapping[str, str], columns: int = 120) -> Generator[Terminal]:
    """Run `ollama-fast` with *arguments* on a terminal of its own, and end it with the block if it has not ended."""
    import fcntl
    import pty
    import struct
    import termios

    screen, its_end = pty.openpty()
    fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    # A session of its own, whose terminal this is: else Ctrl-C would be for nobody.
    leads = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    command = [sys.executable, "-c", leads, sys.executable, "-m", "ollama_fast", *arguments]
    process = subprocess.Popen(
        command,
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", **environ},
    )
    os.close(its_end)
    try:
        yield Terminal(process, screen)
    finally:
        process.kill()
        process.wait()
        os.close(screen)
