"""What the metadata of a wheel or a source distribution must say."""

from __future__ import annotations

import re
from collections.abc import Iterator

from packaging.metadata import Metadata
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
    runtime = {one.name for one in listed if "extra" not in str(one.marker)}
    extras: dict[str, set[str]] = {}
    for one in listed:
        for extra in re.findall(r"extra == ['\"]([\w-]+)", str(one.marker)):
            extras.setdefault(extra, set()).add(one.name)
    return runtime, extras


def wrong_in_requirements(metadata: Metadata) -> Iterator[str]:
    """Tell which packages would be installed that may not, and which would not."""
    runtime, extras = requirements(metadata.requires_dist or [])
    if runtime != RUNTIME:
        yield f"run-time dependencies are {sorted(runtime)} and may only be {sorted(RUNTIME)}"
    if extras != EXTRAS or set(metadata.provides_extra or []) != set(EXTRAS):
        yield f"the extras are {extras}, and not {EXTRAS}"
    if str(metadata.requires_python) != ">=3.11":
        yield f"Python is to be >=3.11, and not {metadata.requires_python}"


def wrong_in_licence(metadata: Metadata) -> Iterator[str]:
    """Tell what is wrong in the names of the licence and of its files."""
    if metadata.license_expression != "MIT":
        yield f"the licence is {metadata.license_expression!r}, and not 'MIT'"
    if sorted(metadata.license_files or []) != LICENCE_FILES:
        yield f"the licence files are {metadata.license_files}, and not {LICENCE_FILES}"


def wrong_in_metadata(text: bytes) -> Iterator[str]:
    """Tell what is wrong in a METADATA or PKG-INFO file."""
    try:
        metadata = Metadata.from_email(text, validate=True)
    except ExceptionGroup as invalid:
        yield f"the metadata is not valid: {'; '.join(map(str, invalid.exceptions))}"
        return
    yield from wrong_in_requirements(metadata)
    yield from wrong_in_licence(metadata)
    for classifier in metadata.classifiers or []:
        if classifier not in classifiers or classifier.startswith("License ::"):
            yield f"{classifier!r} is no classifier of PyPI, or one that the licence's expression makes needless"
    if not metadata.description or render(metadata.description, variant="GFM") is None:
        yield "PyPI cannot show the README"
