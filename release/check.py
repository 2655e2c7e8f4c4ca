"""Check wheels and source distributions before anybody installs them: `python -m release.check dist/*`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from release.archives import Files, checkout_files, dist_info, sdist_files, wheel_files
from release.extension import wrong_in_extension
from release.metadata import LICENCE_FILES, wrong_in_metadata

LARGEST = 2_000_000  # bytes
EXTENSION = re.compile(r"ollama_fast/_core(\.abi3\.so|\.pyd)")

# What the build needs, and what whoever packages it for others must pass on.
IN_SDISTS = ("python", "src", "Cargo.lock", "Cargo.toml", "CHANGELOG.md", "README.md", "pyproject.toml", *LICENCE_FILES)


def differences(there: set[str], wanted: set[str]) -> Iterator[str]:
    """Tell which names are missing, and which do not belong."""
    if missing := sorted(wanted - there):
        yield f"missing: {', '.join(missing)}"
    if surplus := sorted(there - wanted):
        yield f"does not belong: {', '.join(surplus)}"


def wrong_in_sbom(text: bytes, licences: str) -> Iterator[str]:
    """Tell which crates of the licences an SBOM does not name."""
    named = {f"{component['name']} {component['version']}" for component in json.loads(text)["components"]}
    crates = set(re.findall(r"\b([\w-]+ \d+\.\d+\.\d+)(?=,|$)", licences, re.MULTILINE))
    if not crates or not crates <= named:
        yield f"the SBOM does not name {sorted(crates - named) or 'any crate'}"


def wrong_in_wheel(files: Files, checkout: Files) -> Iterator[str]:
    """Tell what is wrong in a wheel, given the files of the checkout that it was built from."""
    info = dist_info(files)
    licences = {f"{info}licenses/{name}": name for name in LICENCE_FILES}
    sbom = f"{info}sboms/ollama_fast.cyclonedx.json"
    extensions = {name for name in files if EXTENSION.fullmatch(name)}
    wanted = {name.removeprefix("python/") for name in checkout if name.startswith("python/")}
    wanted |= {f"{info}{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")} | {*licences, sbom}
    yield from differences(set(files) - extensions, wanted)
    if len(extensions) != 1:
        yield f"there must be one extension, and there are {sorted(extensions)}"
    for name, source in licences.items():
        if files.get(name) != checkout[source]:
            yield f"{name} is not the checkout's {source}"
    yield from wrong_in_metadata(files[f"{info}METADATA"])
    yield from wrong_in_sbom(files.get(sbom, b'{"components": []}'), checkout[LICENCE_FILES[1]].decode())
    for name in extensions:
        yield from wrong_in_extension(files[name])


def wrong_in_sdist(files: Files, checkout: Files) -> Iterator[str]:
    """Tell what is wrong in a source distribution, given the files of the checkout that it was made from."""
    yield from differences(set(files), {*checkout, "PKG-INFO"})
    # Maturin writes Cargo.toml anew.
    same = {name for name in files if name in checkout and files[name] == checkout[name]}
    if changed := sorted(files.keys() & checkout.keys() - same - {"Cargo.toml"}):
        yield f"not as in the checkout: {', '.join(changed)}"
    yield from wrong_in_metadata(files["PKG-INFO"])


def wrong(path: Path) -> Iterator[str]:
    """Tell what is wrong in a file for PyPI."""
    checkout = checkout_files(*IN_SDISTS)
    if (size := path.stat().st_size) > LARGEST:
        yield f"{size} bytes are more than {LARGEST}"
    if path.suffix == ".whl":
        yield from wrong_in_wheel(wheel_files(path), checkout)
    else:
        yield from wrong_in_sdist(sdist_files(path), checkout)


def main(paths: list[Path]) -> int:
    """Print the size of each file and what is wrong in it; give 1 if anything is."""
    failed = not paths
    for path in paths:
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB of at most {LARGEST / 1e6:.0f} MB")
        for what in wrong(path):
            failed = True
            print(f"{path.name}: {what}")
    return failed


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
