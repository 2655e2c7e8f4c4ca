"""Values of benchmarks made by hand, for the tests of `ollama_fast.bench`."""

from __future__ import annotations

from typing import Any

from ollama_fast.bench import Amount, Ceiling, ClosedLoop, Level, Load, Machine, Prompt, Run, Sample, Workload

MACHINE = Machine("A processor", 2, "An OS", "CPython 3", {"ollama_fast": "0"})


def sample(*arrivals: float, intended: float = 0.0, ended: float | None = None, **more: Any) -> Sample:
    """Make a sample that is done, whose tokens the server has counted unless *more* says otherwise."""
    last = ended if ended is not None else arrivals[-1] if arrivals else intended
    fields: dict[str, Any] = {"prompt": 0, "worker": 0, "sent": intended, "parts": len(arrivals) + 1, "outcome": "done"}
    fields |= {"tokens": len(arrivals), **more}
    return Sample(intended=intended, arrivals=arrivals, ended=last, **fields)


def level(*samples: Sample, load: Load | None = None, **more: Any) -> Level:
    fields: dict[str, Any] = {"began_at": "2026-01-01T00:00:00.000+00:00", "client_seconds": 10.0, "client_cpu": 1.0}
    return Level(load=load or ClosedLoop(1), samples=samples, **{**fields, **more})


def run(*levels: Level, **more: Any) -> Run:
    fields: dict[str, Any] = {
        "label": "http://a:1",
        "host": "http://a:1",
        "server": "0.24.0",
        "workload": Workload("m", (Prompt("Hi!"),)),
        "amount": Amount(2),
        "seed": 0,
        "machine": MACHINE,
        "began_at": "2026-01-01T00:00:00+00:00",
        "ceiling": Ceiling(4, 100_000.0, 500.0, 1.5, 0.99, 0.5),
    }
    return Run(levels=levels, **{**fields, **more})
