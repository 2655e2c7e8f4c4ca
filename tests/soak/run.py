"""
Soak the functions that stream: `PYTHONPATH=tests python -m soak.run --minutes 1`.

A server and two processes of clients, one over the fast path and one over httpx's own transport, work by plans that
follow from one seed. It prints a summary, and exits with 1 if anything was lost, doubled, left open or wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from .limits import raise_file_limit


@dataclass(frozen=True)
class Share:
    """The streams of one process at a time: most are read by tasks; a thread each would be all that a machine does."""

    transport: str
    tasks: int
    threads: int


SHARES: Final = (Share("fast", 900, 100), Share("httpx", 200, 50))
_LATE: Final = 180.0
"""Seconds after its time at which a process hangs."""


def _start(stack: ExitStack, module: str, *arguments: Any, **environ: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-m", f"soak.{module}", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environ},
    )
    stack.callback(process.kill)
    return process


def soak(seconds: float, seed: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Give the reports of the clients, and that of the server."""
    shares: tuple[Share, ...] = SHARES
    most, wanted = raise_file_limit(), sum(share.tasks + share.threads for share in SHARES)
    if most < wanted:
        shares = tuple(
            Share(each.transport, each.tasks * most // wanted, each.threads * most // wanted) for each in SHARES
        )
        print(f"only {most} files may be open: fewer streams than {wanted}: {shares}")
    with ExitStack() as stack:
        server = _start(stack, "server", seed)
        assert server.stdout is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        clients = [
            _start(
                stack,
                *("client", url, seed, number, share.tasks, share.threads, seconds),
                OLLAMA_FAST_TRANSPORT=share.transport,
                MALLOC_ARENA_MAX="1",  # so that what threads freed is there for all, and memory is flat in little time
            )
            for number, share in enumerate(shares)
        ]
        reports = [_report(client, seconds + _LATE) for client in clients]
        unanswered = [number for report in reports for number in report["unanswered"]]
        return reports, _report(server, _LATE, f"{json.dumps(unanswered)}\n")


def _report(process: subprocess.Popen[str], seconds: float, asks: str | None = None) -> dict[str, Any]:
    said, _ = process.communicate(asks, timeout=seconds)
    report: dict[str, Any] = json.loads(said)
    return report


def violations(reports: list[dict[str, Any]], server: dict[str, Any]) -> list[str]:
    """Say all that should not be."""
    said = [
        f"{share.transport}: {report['wrong']} wrong, such as:\n  " + "\n  ".join(report["shown"])
        for share, report in zip(SHARES, reports, strict=True)
        if report["wrong"]
    ]
    wanted = {
        "twice": "streams were asked for twice",
        "still open": "streams were left, and the server did not see it",
        "answered": "streams reached the server, and the client got no answer",
    }
    said += [f"{server[name][:10]}: {text}" for name, text in wanted.items() if server[name]]
    if server["connections"]:
        said.append(f"{server['connections']} connections were left open")
    if server["endings"].get("left", 0) != server["to be left"]:
        said.append(f"of {server['to be left']} streams that do not end the server saw {server['endings']} left")
    return said


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Soak the functions that stream.")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    options = parser.parse_args(arguments)
    print(f"soaking for {options.minutes:g} min with --seed {options.seed}", flush=True)
    began = time.monotonic()
    reports, server = soak(60 * options.minutes, options.seed)
    streams, leaves = Counter[str](), Counter[str]()
    for report in reports:
        streams.update(report["streams"])
        leaves.update(report["leaves"])
    said = violations(reports, server)
    for share, report in zip(SHARES, reports, strict=True):
        print(f"{share.transport}: MiB after each round {report['resident']}, at most {report['most resident']}")
    if unanswered := sum(len(report["unanswered"]) for report in reports):
        print(f"{unanswered} requests met a connection that was being closed, and did not reach the server")
    print(
        f"soak: {streams.total()} streams, {sum(report['parts'] for report in reports)} parts, "
        f"faults {dict(streams)}, left {dict(leaves)}, at most {server['most streams']} streams at once, "
        f"max RSS {max(report['most resident'] for report in reports)} MiB, {time.monotonic() - began:.0f} s, "
        f"{len(said)} violations"
    )
    print("\n".join(said))
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
