"""Print the oldest versions that pyproject.toml allows, of what is always installed and of all extras, for pip."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


def floors(requirements: Iterable[str]) -> list[str]:
    """Give each package once, at its least version. Raises ValueError for one that has none, or two."""
    found: dict[str, str] = {}
    for requirement in map(Requirement, requirements):
        least = [bound.version for bound in requirement.specifier if bound.operator == ">="]
        if len(least) != 1 or found.setdefault(requirement.name, least[0]) != least[0]:
            raise ValueError(f"{requirement}: not one least version of {requirement.name}")
    return [f"{name}=={version}" for name, version in sorted(found.items())]


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    print(
        *floors(
            [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
        )
    )
