"""What the metadata of a wheel or a source distribution must say."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.metadata import ExceptionGroup, InvalidMetadata, Metadata
from packaging.requirements import Requirement
from readme_renderer.markdown import render
from trove_classifiers import classifiers

LICENCE_FILES = ["LICENSE", "THIRD-PARTY-LICENSES.txt"]

# What every program that imports the package must install. Each has a decision, and nothing joins them without one.
RUNTIME = {"docstring-parser", "httpx", "orjson", "pydantic", "typing-extensions"}

# What is installed on demand: docs/install.md says what for.
EXTRAS = {
    "bench": {"matplotlib", "rich"},
    "cli": {"click", "rich"},
    "otel": {"opentelemetry-api"},
    "parquet": {"pyarrow"},
    "progress": {"rich"},
    "retry": {"tenacity"},
}


def requirements(listed: list[Requirement]) -> tuple[set[str], dict[str, set[str]]]:
    """Give the names of what is always required, and by extra what that requires."""
    runtime: set[str] = set()
    extras: dict[str, set[str]] = {}
    for requirement in listed:
        named = [extra for extra in EXTRAS if requirement.marker and requirement.marker.evaluate({"extra": extra})]
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            runtime.add(requirement.name)
        elif named:
            extras.setdefault(named[0], set()).add(requirement.name)
        else:
            extras.setdefault(str(requirement.marker), set()).add(requirement.name)
    return runtime, extras


def wrong_in_metadata(text: bytes) -> Iterator[str]:
    """Tell what is wrong in a METADATA or PKG-INFO file."""
    try:
        metadata = Metadata.from_email(text, validate=True)
    except (ExceptionGroup, InvalidMetadata) as error:
        yield f"the metadata is not valid: {getattr(error, 'exceptions', error)}"
        return
    runtime, extras = requirements(metadata.requires_dist or [])
    if runtime != RUNTIME:
        yield f"run-time dependencies are {sorted(runtime)} and may only be {sorted(RUNTIME)}"
    if extras != EXTRAS or set(metadata.provides_extra or []) != set(EXTRAS):
        yield f"the extras are {extras}, and not {EXTRAS}"
    if metadata.license_expression != "MIT":
        yield f"the licence is {metadata.license_expression!r}, and not 'MIT'"
    if sorted(metadata.license_files or []) != LICENCE_FILES:
        yield f"the licence files are {metadata.license_files}, and not {LICENCE_FILES}"
    for classifier in metadata.classifiers or []:
        if classifier not in classifiers:
            yield f"PyPI knows no classifier {classifier!r}"
        if classifier.startswith("License ::"):
            yield f"{classifier!r} says again what the licence's expression says"
    if metadata.requires_python is None or "3.11" not in metadata.requires_python or "3.10" in metadata.requires_python:
        yield f"Python must be at least 3.11, and may be {metadata.requires_python}"
    if not metadata.description or render(metadata.description, variant="GFM") is None:
        yield "PyPI cannot show the README"
