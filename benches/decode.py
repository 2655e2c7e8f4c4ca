"""Run test_decode.py some times over, and gather the medians that pytest-benchmark found."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

SESSIONS: Final = 7

CHAT: Final = "chat"
OFFICIAL_CHAT: Final = "official: ChatResponse(**json.loads(line))"
OURS_CHAT: Final = "_core.LineDecoder, a line per chunk"

Groups = dict[str, dict[str, list[float]]]
"""Group, row, and the microseconds of CPU per line (or body, or image) of each session."""


def measure() -> Groups:
    """Run the rows one after the other, in as many sessions as give a spread."""
    groups: Groups = {}
    for _ in range(SESSIONS):
        for bench in _session():
            info = bench["extra_info"]
            rows = groups.setdefault(bench["group"], {})
            rows.setdefault(info["row"], []).append(bench["stats"]["median"] / info["per"] * 1e6)
    return groups


def _session() -> list[dict[str, Any]]:
    root = Path(__file__).parent.parent
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        command = [sys.executable, "-m", "pytest", "-q", "benches/test_decode.py", "--benchmark-disable-gc"]
        command += ["--benchmark-timer=time.process_time", "--benchmark-max-time=0.25", "--benchmark-min-rounds=20"]
        run = subprocess.run([*command, f"--benchmark-json={found}"], cwd=root, check=False, capture_output=True)
        if run.returncode != 0:
            raise SystemExit(run.stdout.decode())
        benches: list[dict[str, Any]] = json.loads(found.read_text(encoding="utf-8"))["benchmarks"]
        return benches
