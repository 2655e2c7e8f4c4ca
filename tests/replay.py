"""
A loopback server that replays exchanges, in the chunks and at the pace in which they were recorded.

With a `respond` of your own it says whatever bytes a test needs. `python tests/replay.py` serves all of
tests/exchanges until Ctrl-C. The server itself is that of `ollama_fast.testing`.
"""

from __future__ import annotations

import argparse
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, Literal, TypeAlias

from exchange import Exchange, Reply, at_once, load_all
from ollama_fast.testing import Received
from ollama_fast.testing._faults import faulty
from ollama_fast.testing._loopback import KEPT, Loopback
from ollama_fast.testing._replies import missing, of_no_model
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
    "recorded",
    "replay",
    "respond_from",
]

Pace: TypeAlias = Literal["recorded", "fast"]

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
        super().__init__(self._actions, port)

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
    if server.rejected:
        raise ValueError(f"a request is none: {server.rejected}")


def nobody_is_served() -> bool:
    """Whether the servers of this process have seen all their connections closed."""
    return not any(thread.name.startswith("loopback-") for thread in threading.enumerate())


def respond_from(exchanges: Iterable[Exchange], *, pace: Pace = "recorded", strict: bool = True) -> Respond:
    """Make a `respond` that finds the exchange of a request, as `replay` does."""
    answer = recorded(exchanges, strict=strict)
    timed = (lambda reply: reply) if pace == "recorded" else at_once

    return lambda request: faulty(None, timed(answer(request)), request.method)


def recorded(exchanges: Iterable[Exchange], *, strict: bool) -> Callable[[Received], Reply]:
    """
    Find the exchange of a request by its method, path and JSON body.

    Of several equal ones each is served once, in their order, and the last from then on.

    Args:
        exchanges: What to find it in.

        strict: Whether a body must be equal to the recorded one, even if only one was recorded for its method and path.
    """
    known: dict[tuple[str, str], list[Exchange]] = defaultdict(list)
    for exchange in exchanges:
        known[exchange.request.method, exchange.request.path].append(exchange)
    served: dict[tuple[str, str, str], int] = defaultdict(int)
    lock = threading.Lock()

    def answer(request: Received) -> Reply:
        candidates = known.get((request.method, request.path), [])
        asked = _canonical(request.json)
        equal = [exchange for exchange in candidates if _canonical(exchange.request.body) == asked]
        if not equal and len(candidates) == 1 and not strict:
            equal = candidates
        if not equal:
            methods = {method for method, path in known if path == request.path}
            return (None if candidates else of_no_model(request, methods)) or missing(_why(request, candidates))
        with lock:
            turn = served[request.method, request.path, asked]
            served[request.method, request.path, asked] += 1
        return equal[min(turn, len(equal) - 1)].response

    return answer


def _canonical(body: Any) -> str:
    # As text, since to Python 1, 1.0 and True are equal.
    return json.dumps(body, sort_keys=True)


def _why(request: Received, candidates: list[Exchange]) -> str:
    asked = request.body.decode(errors="replace") if request.body else f"a body of {request.length} bytes"
    there = [json.dumps(exchange.request.body, ensure_ascii=False) for exchange in candidates]
    return (
        f"no exchange is recorded for {request.method} {request.path} with {asked}; "
        f"recorded for it: {'; '.join(there) or 'nothing'}"
    )


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
