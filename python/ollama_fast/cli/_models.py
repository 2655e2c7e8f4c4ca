"""What servers say of models, as rows of tables and as text; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from ollama_fast._amounts import size
from ollama_fast.types import ListModel, ProcessModel, ShowResponse

from . import _phrases

LIST_HEADS: Final = ("NAME", "ID", "SIZE", "MODIFIED")
PS_HEADS: Final = ("NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL")

_FACTS: Final = (
    ("context length", "context_length"),
    ("embedding length", "embedding_length"),
    ("layers", "block_count"),
)
_SHOWN_LINES: Final = 2
"""Of a licence or system message, of which the beginning says which it is."""


def list_rows(models: Sequence[ListModel], now: datetime) -> list[tuple[str, ...]]:
    """Give a row for each model on a server."""
    return [
        (
            model["name"],
            _short(model.get("digest")),
            "-" if model.get("remote_model") else size(model.get("size", 0)),
            _phrases.since(model.get("modified_at", ""), now),
        )
        for model in models
    ]


def ps_rows(models: Sequence[ProcessModel], now: datetime) -> list[tuple[str, ...]]:
    """Give a row for each model in memory."""
    return [
        (
            model["name"],
            _short(model.get("digest")),
            size(model.get("size", 0)),
            _phrases.processor(model.get("size", 0), model.get("size_vram", 0)),
            str(model.get("context_length", "")),
            _phrases.until(model.get("expires_at", ""), now),
        )
        for model in models
    ]


def _short(digest: str | None) -> str:
    return (digest or "").removeprefix("sha256:")[:12]


def described(shown: ShowResponse) -> str:
    """Give what a server knows of a model, for people."""
    parts = [_section(title, lines) for title, lines in _sections(shown) if lines]
    return "\n\n".join(parts)


def _sections(shown: ShowResponse) -> Iterator[tuple[str, list[str]]]:
    yield "Model", _pairs(_model_facts(shown))
    yield "Capabilities", list(shown.get("capabilities") or ())
    yield "Parameters", [line.strip() for line in (shown.get("parameters") or "").splitlines() if line.strip()]
    yield "System", _beginning(shown.get("system") or "")
    yield "License", _beginning(shown.get("license") or "")


def _model_facts(shown: ShowResponse) -> dict[str, str]:
    details: Mapping[str, Any] = shown.get("details") or {}
    info = shown.get("model_info") or {}
    family = str(info.get("general.architecture") or details.get("family") or "")
    counted = {label: info.get(f"{family}.{name}", details.get(name)) for label, name in _FACTS}
    facts = {
        "architecture": family,
        "parameters": details.get("parameter_size"),
        **counted,
        "quantization": details.get("quantization_level"),
        "requires": shown.get("requires"),
        "runs at": shown.get("remote_host"),
    }
    return {label: str(fact) for label, fact in facts.items() if fact}


def _pairs(facts: Mapping[str, str]) -> list[str]:
    width = max(map(len, facts), default=0)
    return [f"{label.ljust(width)}  {fact}" for label, fact in facts.items()]


def _beginning(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[:_SHOWN_LINES] + ["..."] * (len(lines) > _SHOWN_LINES)


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join((title, *(f"  {line}" for line in lines)))
