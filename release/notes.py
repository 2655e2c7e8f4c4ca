"""Print the notes of a release, its section of the changelog, if its tag fits: `python -m release.notes v1.2.3`."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def version() -> str:
    """Give the version of the package, which Cargo.toml has."""
    found: str = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["package"]["version"]
    return found


def notes(tag: str, version: str, changelog: str) -> str:
    """
    Give the section of the changelog for the version that *tag* names.

    Raises LookupError if the tag names another version, or the changelog has no dated section of it.
    """
    if tag != f"v{version}":
        raise LookupError(f"the tag {tag} is not v{version}, as the version in Cargo.toml wants it")
    heading = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |^\[|\Z)"
    section = re.search(heading, changelog, re.MULTILINE | re.DOTALL)
    if section is None:
        raise LookupError(f"CHANGELOG.md has no section [{version}] with a date")
    return section[1].strip() + "\n"


if __name__ == "__main__":
    try:
        print(notes(sys.argv[1], version(), (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")), end="")
    except LookupError as error:
        sys.exit(f"release.notes: {error}")
