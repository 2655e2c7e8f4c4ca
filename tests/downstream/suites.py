"""Libraries on the package `ollama` whose source distributions have tests of their use of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class Suite:
    """Tests of a library."""

    library: str
    tests: Sequence[str]
    """What of its source distribution they are."""

    needed: Sequence[str] = ()
    """What else of it they need."""

    options: Sequence[str] = ()
    """More arguments for pytest."""

    failing: Mapping[str, str] = field(default_factory=dict[str, str])
    """Those that fail with the genuine package, and therefore must with this one, each with the reason."""


_AUTOGEN: Final = "tests/models/test_ollama_chat_completion_client.py"
_LANGCHAIN: Final = "tests/unit_tests/test_chat_models.py::TestChatOllama"

SUITES: Final = [
    Suite(
        "langchain-ollama",
        tests=["tests/unit_tests"],
        needed=["tests/__init__.py"],
        options=["-p", "syrupy", "-p", "pytest_benchmark.plugin", "--benchmark-disable"],
        failing={
            f"{_LANGCHAIN}::test_standard_params_model_override": (
                "a standard test of LangChain, newer than this version, wants a parameter that it does not know"
            ),
        },
    ),
    Suite(
        "ollama-haystack",
        tests=["tests"],
        options=[
            "-m",
            "not integration",
            "--import-mode=importlib",
            "--override-ini=asyncio_default_fixture_loop_scope=class",
        ],
    ),
    Suite(
        "opentelemetry-instrumentation-ollama",
        tests=["tests"],
        options=["-p", "pytest_recording.plugin", "--block-network"],
    ),
    Suite(
        "autogen-ext",
        tests=[_AUTOGEN],
        needed=["tests/conftest.py", "tests/__init__.py"],
    ),
    Suite(
        "strands-agents",
        tests=["tests/strands/models/test_ollama.py"],
        needed=["tests/conftest.py", "tests/strands/models/conftest.py"],
    ),
]
