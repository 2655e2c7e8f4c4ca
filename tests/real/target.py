"""What the tests in this folder run against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from real import genuine


@dataclass(frozen=True)
class Genuine:
    """A genuine server and what it has; None is what the user's own server is not known to have."""

    url: str
    model: str
    model_with_tools: str | None = None
    model_that_thinks: str | None = None
    gguf: Path | None = None
    registry: genuine.Registry | None = None
    log: Path | None = None

    @property
    def at_once(self) -> dict[str, bool]:
        """Arguments that make the model answer without thinking, which a thinking one does by default."""
        return {"think": False} if self.model == self.model_that_thinks else {}

    def need(self, *names: str) -> None:
        """Skip the test, and say why, if the server lacks something."""
        missing = [name for name in names if getattr(self, name) is None]
        if missing:
            pytest.skip(f"OLLAMA_HOST names a server of the user's, which has no {', '.join(missing)} for this test")
