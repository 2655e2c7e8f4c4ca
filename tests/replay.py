"""
A loopback server that replays exchanges, in the chunks and at the pace in which they were recorded.

Exchanges are found and served as `ollama_fast.testing.replay` does it. With a `respond` of your own the server says
whatever bytes a test needs. `python tests/replay.py` serves all of tests/exchanges until Ctrl-C.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeAlias

from exchange import Exchange, load_all
from ollama_fast.testing import Received
from ollama_fast.testing._loopback import KEPT, Loopback, once_whole
from ollama_fast.testing._replaying import Pace, Replies
from ollama_fast.testing._values import Action, End

__all__ = [
    "KEPT",
    "RUNNING",
    "Action",
    "HangUpError",
    "Pace",
    "Received",
    "ReplayServer",
    "Respond",
    "replay",
    "respond_from",
]

Respond: TypeAlias = Callable[[Received], Iterable[Action]]
"""
Gives the bytes of a whole reply, head and all, one write each; a number is a pause in seconds.

It may also say how the connection ends, or raise a HangUpError.
"""


class HangUpError(Exception):
    """Raised by a `respond` to close the connection, or with *reset* to break it, where the reply is."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__("reset" if reset else "close")
        self.reset = reset


class ReplayServer(Loopback):
    """A running server: where it is, what it says, and what it saw."""

    def __init__(self, says: Respond, port: int = 0) -> None:
        self.says = says
        super().__init__(once_whole(self._actions), port)

    def _actions(self, request: Received) -> Iterator[Action]:
        try:
            yield from self.says(request)
        except HangUpError as exc:
            yield End.RESET if exc.reset else End.CLOSE


RUNNING: Final[dict[str, ReplayServer]] = {}
"""Every running server by its URL, for who asks it without a socket."""


@contextmanager
def replay(
    exchanges: Iterable[Exchange] = (),
    *,
    pace: Pace = "recorded",
    strict: bool = True,
    respond: Respond | None = None,
    port: int = 0,
) -> Generator[ReplayServer]:
    """
    Serve *exchanges* on loopback; what goes wrong in `respond` is raised at the end.

    Args:
        exchanges: What to serve.

        pace: Whether chunks come when they came at the recording, or at once.

        strict: Whether a body must be equal to the recorded one, even if only one was recorded for its method and path.

        respond: Makes the replies, in place of `respond_from(exchanges, pace=pace, strict=strict)`.

        port: By default a free one.
    """
    server = ReplayServer(respond or respond_from(exchanges, pace=pace, strict=strict), port)
    RUNNING[server.url] = server
    try:
        yield server
    finally:
        del RUNNING[server.url]
        server.stop()
    if server.failure is not None:
        raise server.failure
    if strange := [why for why in server.rejected if r"\x16\x03" not in why]:  # but a greeting in TLS, as of `doctor`
        raise ValueError(f"a request is none: {strange}")


def nobody_is_served() -> bool:
    """Whether the servers of this process have seen all their connections closed."""
    return not any(thread.name.startswith("loopback-") for thread in threading.enumerate())


def respond_from(exchanges: Iterable[Exchange], *, pace: Pace = "recorded", strict: bool = True) -> Replies:
    """Make a `respond` that finds the exchange of a request, as `replay` does."""
    return Replies((exchange.recorded for exchange in exchanges), pace=pace, strict=strict)


def main() -> None:
    """Serve every recorded exchange until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Serve the recorded exchanges of a genuine Ollama server.")
    parser.add_argument("--port", type=int, default=0, help="by default a free one")
    parser.add_argument("--pace", choices=["recorded", "fast"], default="recorded")
    parser.add_argument("--any-body", action="store_true", help="do without an equal body where there is no choice")
    arguments = parser.parse_args()
    exchanges = load_all()
    with replay(exchanges.values(), pace=arguments.pace, strict=not arguments.any_body, port=arguments.port) as server:
        print(f"OLLAMA_HOST={server.url}")
        print(f"{len(exchanges)} recorded exchanges; Ctrl-C stops it", flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
