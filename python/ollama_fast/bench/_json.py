"""A run to JSON that says what it is, and back."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, Final

from ollama_fast._whole_file import replaced

from ._aggregate import summarise_level
from ._metrics import COUNTS, SERVER, SPREADS
from ._values import Run

FORMAT: Final = "ollama_fast.bench"
VERSION: Final = 1
_UNITS: Final = {"s": "seconds", "/s": "per second", "": "number", "share": "share of one core"}


def encode_json(run: Run) -> bytes:
    """
    Give *run* as JSON: a version, what each number means, all that was measured, and the summary of each load.

    Args:
        run: What was measured.

    What is read from it is `run` alone, with every request; the summaries follow from that, and are for others.
    """
    import orjson

    document = {
        "format": FORMAT,
        "version": VERSION,
        "definitions": {
            metric.key: f"{metric.definition} ({_UNITS[metric.unit]})" for metric in (*COUNTS, *SPREADS, *SERVER)
        },
        "percentiles": "by linear interpolation between the values at both sides, as numpy.percentile has them",
        "times": "of a sample: seconds since its load began; the server's total, load, prompt_eval, eval: nanoseconds",
        "run": run,
        "summaries": [{"load": str(level.load), **asdict(summarise_level(level))} for level in run.levels],
    }
    return orjson.dumps(document, default=dict, option=orjson.OPT_INDENT_2 if _is_small(run) else 0)


def decode_json(content: bytes | str) -> Run:
    """
    Read what `encode_json` gave.

    Args:
        content: The JSON, as bytes or as text.

    Raises ValueError, which says what is wrong, if it is no such JSON, or that of a newer version.
    """
    import orjson
    from pydantic import ValidationError

    try:
        document: Any = orjson.loads(content)
    except ValueError as exc:
        raise ValueError(f"it is no JSON: {exc}") from exc
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f'it is not the JSON of a benchmark, whose "format" is "{FORMAT}"')
    if document.get("version") != VERSION:
        raise ValueError(f"it has version {document.get('version')!r}; this release reads version {VERSION}")
    try:
        run: Run = _reader().validate_python(document.get("run"))
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"its run is damaged at {place}: {first['msg']}") from exc
    return run


def read_json(path: str | Path) -> Run:
    """
    Read the JSON of a run from a file; ValueError names the file, and says what is wrong with it.

    Args:
        path: The file.
    """
    try:
        return decode_json(Path(path).read_bytes())
    except ValueError as exc:
        raise ValueError(f"{path}: {exc}") from exc


def write_json(run: Run, path: str | Path) -> None:
    """
    Write the JSON of *run* to a file, which is whole or not there.

    Args:
        run: What was measured.

        path: The file, which is replaced if it is there.
    """
    content = encode_json(run)
    with replaced(path) as file:
        file.write(content)


@cache
def _reader() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Run)


def _is_small(run: Run) -> bool:
    return sum(len(level.samples) for level in run.levels) <= 32
