"""
A terminal in which a program streams an answer, as an animated picture.

`make record-stream` runs the program with a genuine server, and keeps what it printed and when. The picture is drawn
from that record alone, by `make pictures`; whoever asks for less motion, or has no animation, sees the whole text.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

import ollama_fast

PROGRAM: Final = """\
from ollama_fast import generate_stream

question = "Why do birds sing? Answer in two sentences."
with generate_stream(None, "smollm2", question) as stream:
    for part in stream:
        print(part["response"], end="", flush=True)

stats = stream.stats
print(f"\\n\\n{stats.parts} parts, the first after {stats.first_part:.2f} s")
print(f"{stats.tokens_per_second:.0f} tokens/s")
"""
COMMAND: Final = "python ask.py"

COLUMNS: Final = 78
WIDTH: Final = 8.4
"""Of a character, in pixels. Each text is told its own, so that no reader's font can change where it ends."""
_HEIGHT: Final = 20
LEFT, _TOP, _BAR = 20, 58, 34
_PAUSE: Final = 5.0
"""Seconds that the whole text stands before it begins anew."""
_INK: Final = {"program": "#9ba3af", "prompt": "#34d399", "command": "#f3f4f6", "output": "#e5e7eb"}


@dataclass(frozen=True)
class Record:
    """What a program printed, and when."""

    about: str
    program: str
    command: str
    chunks: list[tuple[float, str]]
    """Seconds after its start, and the text that came then."""


@dataclass(frozen=True)
class Piece:
    """A text at its place, and when it is there: None is from the beginning."""

    row: int
    column: int
    text: str
    kind: str
    at: float | None = None


# --- recording -------------------------------------------------------------------------------------------------------


def record(host: str, model: str, about: str) -> Record:
    """
    Run the program against *host*, and keep what it prints.

    Args:
        host: URL of the server.

        model: What it asks; the record shows it in place of smollm2.

        about: Where and with what.
    """
    program = PROGRAM.replace("smollm2", model)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "ask.py").write_text(program, encoding="utf-8")
        command = [sys.executable, *COMMAND.split()[1:]]
        environment = os.environ | {"OLLAMA_HOST": host, "PYTHONIOENCODING": "utf-8"}
        subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)  # loads the model
        began = time.perf_counter()
        with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE) as process:
            chunks = list(_chunks(process, began))
    if process.returncode:
        raise SystemExit(f"the program ended with {process.returncode}")
    return Record(about, program, COMMAND, chunks)


def _chunks(process: subprocess.Popen[bytes], began: float) -> Iterator[tuple[float, str]]:
    if process.stdout is None:
        raise TypeError("its output is not a pipe")
    while chunk := os.read(process.stdout.fileno(), 1 << 16):
        yield round(time.perf_counter() - began, 4), chunk.decode()


def dump(kept: Record, path: Path) -> None:
    """Write a record, a line for each chunk."""
    fields = asdict(kept)
    chunks = ",\n  ".join(json.dumps(chunk, ensure_ascii=False) for chunk in fields.pop("chunks"))
    told = [f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items()]
    path.write_text("{\n " + ",\n ".join([*told, f'"chunks": [\n  {chunks}\n ]']) + "\n}\n", encoding="utf-8")


def load(path: Path) -> Record:
    """Read a record."""
    found = json.loads(path.read_text(encoding="utf-8"))
    chunks = [(float(seconds), str(text)) for seconds, text in found["chunks"]]
    return Record(found["about"], found["program"], found["command"], chunks)


# --- drawing ---------------------------------------------------------------------------------------------------------


def draw(kept: Record) -> str:
    """Give the picture of a record, as SVG."""
    pieces = list(_laid_out(kept))
    length = max(piece.at or 0 for piece in pieces) + _PAUSE
    height = _TOP + _HEIGHT * (max(piece.row for piece in pieces) + 1)
    width = 2 * LEFT + COLUMNS * WIDTH
    moments = sorted({piece.at for piece in pieces if piece.at is not None})
    names = {moment: f"t{number}" for number, moment in enumerate(moments)}
    rules = "".join(
        f"@keyframes {name}{{0%{{opacity:0}}{100 * moment / length:.3f}%{{opacity:1}}}}"
        f".{name}{{animation-name:{name}}}\n"
        for moment, name in names.items()
    )
    inks = "".join(f".{kind}{{fill:{ink}}}" for kind, ink in _INK.items())
    texts = "\n".join(_text(piece, names) for piece in pieces)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" width="{width:g}" height="{height}" role="img">
<title>A Python program prints an answer of Ollama while it arrives</title>
<desc>{escape(kept.about)}</desc>
<style>
text{{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre}}
{inks}
.moving{{animation:{length:.2f}s step-end infinite}}
{rules}@media (prefers-reduced-motion:reduce){{.moving{{animation:none}}}}
</style>
<rect width="100%" height="100%" rx="9" fill="#111827"/>
<path d="M0 {_BAR}V9a9 9 0 0 1 9-9H{width - 9:g}a9 9 0 0 1 9 9V{_BAR}z" fill="#1f2937"/>
<circle cx="20" cy="17" r="5.5" fill="#f87171"/><circle cx="38" cy="17" r="5.5" fill="#fbbf24"/>\
<circle cx="56" cy="17" r="5.5" fill="#34d399"/>
{texts}
</svg>
"""


def _laid_out(kept: Record) -> Iterator[Piece]:
    lines = ["$ cat ask.py", *kept.program.splitlines(), f"$ {kept.command}"]
    for row, line in enumerate(lines):
        if line.startswith("$ "):
            yield Piece(row, 0, "$", "prompt")
            yield Piece(row, 2, line[2:], "command")
        elif line:
            yield Piece(row, 0, line, "program")
    row, column = len(lines), 0
    for seconds, text in kept.chunks:
        for number, line in enumerate(text.split("\n")):
            if number:
                row, column = row + 1, 0
            for piece in _wrapped(row, column, line, seconds):
                row, column = piece.row, piece.column + len(piece.text)
                yield piece


def _wrapped(row: int, column: int, line: str, seconds: float) -> Iterator[Piece]:
    """Give the words of *line* where a terminal has room for them; a space at the end of a row is not shown."""
    for word in _words(line):
        if column + len(word.rstrip()) > COLUMNS:
            row, column = row + 1, 0
            word = word.lstrip()  # noqa: PLW2901 - the same word, on a line of its own
        if word:
            yield Piece(row, column, word, "output", seconds)
            column += len(word)


def _words(line: str) -> Sequence[str]:
    words: list[str] = []
    for word in line.split(" "):
        words.append(f" {word}" if words else word)
    return [word for word in words if word]


def _text(piece: Piece, names: dict[float, str]) -> str:
    blank = len(piece.text) - len(piece.text.lstrip(" "))
    shown = piece.text.strip(" ")
    if not shown:
        return ""
    x, y = LEFT + (piece.column + blank) * WIDTH, _TOP + piece.row * _HEIGHT
    moving = "" if piece.at is None else f" moving {names[piece.at]}"
    return (
        f'<text class="{piece.kind}{moving}" x="{x:.1f}" y="{y}" textLength="{len(shown) * WIDTH:.1f}">'
        f"{escape(shown)}</text>"
    )


def main() -> None:
    """Record anew, from the server of OLLAMA_HOST and OLLAMA_MODEL, or from a genuine one that is built here."""
    from website.pictures import STREAM

    sys.path[:0] = ["tests"]
    from benches.machine import machine

    from real import genuine

    with ExitStack() as stack:
        host, model = os.environ.get("OLLAMA_HOST"), os.environ.get("OLLAMA_MODEL")
        if not (host and model):
            paths = genuine.build()
            server = stack.enter_context(genuine.server(paths))
            genuine.make_models(server, paths)
            host, model = server.url, genuine.MODEL
        version = ollama_fast.version(host)["version"]
        where = f"Ollama {version}, model {model}, loaded; {machine()}"
        dump(record(host, model, f"What the program printed, and when. {where}"), STREAM)


if __name__ == "__main__":
    main()
