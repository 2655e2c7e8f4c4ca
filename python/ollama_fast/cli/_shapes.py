"""Answers that are JSON of Ollama's kind at first sight, but not within."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from ollama_fast.errors import DecodeError, OllamaError


@contextmanager
def understood() -> Generator[None]:
    """Raise DecodeError if what is read out of an answer is not there, or of another type."""
    try:
        yield
    except OllamaError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise DecodeError(f"the answer has not the shape of Ollama's: {type(exc).__name__}: {exc}") from exc
