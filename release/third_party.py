"""The licences of the crates that are linked into the wheels: `make licences` writes them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "THIRD-PARTY-LICENSES.txt"
KEPT = ROOT / "release" / "licences"

# The platforms that there are wheels for: see .github/workflows/wheels.yml.
PLATFORMS = (
    "aarch64-apple-darwin",
    "aarch64-unknown-linux-gnu",
    "aarch64-unknown-linux-musl",
    "x86_64-apple-darwin",
    "x86_64-pc-windows-msvc",
    "x86_64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
)

# Crates whose package has no licence file: that of their repository, https://github.com/Nugine/simd.
FROM_THE_REPOSITORY = {"base64-simd": "Nugine-simd.txt", "vsimd": "Nugine-simd.txt"}

HEAD = """\
The compiled part of ollama_fast, ollama_fast/_core, is linked with the Rust crates below and with the Rust standard
library. Those that offer several licences are used under the MIT licence. Not every platform's wheel holds all.
"""

Crate = Mapping[str, Any]


def metadata(platform: str) -> dict[str, Any]:
    """Give what cargo knows of the package and its dependencies on a platform."""
    command = ["cargo", "metadata", "--format-version=1", "--locked", f"--filter-platform={platform}"]
    known: dict[str, Any] = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    return known


def linked(metadata: Mapping[str, Any]) -> dict[str, Crate]:
    """Give the crates, by their ids, that end in the extension: no macros, and nothing that only builds or tests."""
    crates = {crate["id"]: crate for crate in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root: str = metadata["resolve"]["root"]
    found: dict[str, Crate] = {}
    ahead = [root]
    while ahead:
        for dependency in nodes[ahead.pop()]["deps"]:
            crate = crates[dependency["pkg"]]
            normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            macro = any("proc-macro" in target["kind"] for target in crate["targets"])
            if normal and not macro and crate["id"] not in found:
                found[crate["id"]] = crate
                ahead.append(crate["id"])
    return found


def licence_text(crate: Crate) -> str:
    """Give the text of a crate's MIT licence.

    Errors:
        LookupError: The crate does not offer that licence, or its package has no text of it.
    """
    name = f"{crate['name']} {crate['version']}"
    offered = re.split(r" OR |/", crate["license"] or "")
    if "MIT" not in offered:
        raise LookupError(
            f"{name} is under {crate['license']!r}: decide whether wheels may hold it, and name that, too"
        )
    if kept := FROM_THE_REPOSITORY.get(crate["name"]):
        return (KEPT / kept).read_text(encoding="utf-8")
    folder = Path(crate["manifest_path"]).parent
    named = ("license-mit", "license", "license.txt") if len(offered) == 1 else ("license-mit",)
    files = {file.name.lower(): file for file in folder.iterdir()}
    for file in named:
        if file in files:
            return files[file].read_text(encoding="utf-8")
    raise LookupError(f"{name} has no file of its MIT licence in {folder}: put it into {KEPT.relative_to(ROOT)}")


def rendered(texts: Iterable[tuple[str, str]]) -> str:
    """Give the whole file for names of crates and their texts; a text that several have is there once."""
    sharing: dict[str, list[str]] = {}
    for name, text in texts:
        plain = "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"
        sharing.setdefault(plain, []).append(name)
    rule = "\n" + "-" * 80 + "\n\n"
    return rule.join([HEAD, *(f"{', '.join(sorted(names))}\n\n{text}" for text, names in sharing.items())])


def third_party() -> str:
    """Give the licences of what is linked into the wheels of all platforms."""
    crates: dict[str, Crate] = {}
    for platform in PLATFORMS:
        crates |= linked(metadata(platform))
    known = sorted(crates.values(), key=lambda crate: (crate["name"], crate["version"]))
    texts = [(f"{crate['name']} {crate['version']}", licence_text(crate)) for crate in known]
    own = (KEPT / "rust-standard-library.txt").read_text(encoding="utf-8")
    return rendered([*texts, ("the Rust standard library", own)])


if __name__ == "__main__":
    TARGET.write_text(third_party(), encoding="utf-8")
    print(f"wrote {TARGET.name}")
