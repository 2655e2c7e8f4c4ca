"""Build what is not Python, outside the sources; what cannot be built is skipped, with its reason."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
_OUT: Final = _HERE.parent.parent / "target" / "bench-streams"


@dataclass(frozen=True)
class Program:
    """What to run, and its version."""

    command: list[str]
    version: str


@dataclass(frozen=True)
class Skipped:
    """Why a program is not there."""

    reason: str


def compile_c(name: str, folder: Path = _OUT) -> Program:
    """Compile a source of this folder. Raises SystemExit, because nothing can be measured without."""
    if sys.platform != "linux":
        raise SystemExit("the replay server is for Linux only")
    if shutil.which("cc") is None:
        raise SystemExit("cc is needed for the replay server: apt-get install gcc libc6-dev")
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / name
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", out, _HERE / f"{name}.c"], check=True)
    return Program([str(out)], _said("cc", "--version").splitlines()[0])


def build_go() -> Program | Skipped:
    """Build the program around Ollama's Go client."""
    if shutil.which("go") is None:
        return Skipped("go is not installed")
    _OUT.mkdir(parents=True, exist_ok=True)
    out = _OUT / "go-client"
    print("building the Go client ...", flush=True)
    built = subprocess.run(
        ["go", "build", "-o", out, "."], cwd=_HERE / "go", check=False, capture_output=True, text=True
    )
    if built.returncode != 0:
        return Skipped(f"go build failed: {_last_line(built.stderr)}")
    used = (line.split() for line in _said("go", "version", "-m", str(out)).splitlines())
    module = next(words[2] for words in used if words[:2] == ["dep", "github.com/ollama/ollama"])
    return Program([str(out)], f"{_said('go', 'env', 'GOVERSION')}, github.com/ollama/ollama {module}")


def build_js() -> Program | Skipped:
    """Install Ollama's JavaScript client."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return Skipped("node or npm is not installed")
    out = _OUT / "js"
    lock = (_HERE / "js" / "package-lock.json").read_bytes()
    done = out / "installed"
    shutil.copytree(_HERE / "js", out, dirs_exist_ok=True)
    if not done.exists() or done.read_bytes() != lock:
        print("installing the JavaScript client ...", flush=True)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        installed = subprocess.run(command, cwd=out, check=False, capture_output=True, text=True)
        if installed.returncode != 0:
            return Skipped(f"npm ci failed: {_last_line(installed.stderr)}")
        done.write_bytes(lock)
    package = json.loads((out / "node_modules" / "ollama" / "package.json").read_text(encoding="utf-8"))
    return Program(
        ["node", str(out / "main.js")], f"node {_said('node', '--version')}, npm's ollama {package['version']}"
    )


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["nothing was said"])[-1]
