"""Build a wheel from a source distribution alone, without the network, and compare it with the checkout's."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from release.archives import Files, wheel_files


def build(sdist: Path, folder: Path) -> Path:
    """Have pip build the wheel with this environment's maturin, and give its path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "CARGO_NET_OFFLINE": "true", "MATURIN_PEP517_ARGS": "--locked", "PATH": path}
    alone = ["--no-index", "--no-deps", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", *alone, "--wheel-dir", str(folder), str(sdist)]
    subprocess.run(command, check=True, env=environment)
    (wheel,) = folder.glob("*.whl")
    return wheel


# They depend on where and when a wheel was built, and on the platform that it claims to be for.
OF_THE_BUILD = ("/RECORD", "/WHEEL", ".cyclonedx.json")


def differences(one: Files, other: Files) -> Iterator[str]:
    """Tell which files only one of two wheels has, and which are not the same."""
    if one.keys() != other.keys():
        yield f"only one of the wheels has {', '.join(sorted(one.keys() ^ other.keys()))}"
    both = {name for name in one.keys() & other.keys() if not name.endswith(OF_THE_BUILD)}
    if changed := sorted(name for name in both if one[name] != other[name]):
        yield f"not the same in both: {', '.join(changed)}"


def main(sdist: Path, wheel: Path) -> int:
    """Print how the wheel of the source distribution differs from *wheel*; give 1 if it does."""
    with tempfile.TemporaryDirectory() as folder:
        built = wheel_files(build(sdist, Path(folder)))
    found = list(differences(built, wheel_files(wheel)))
    print(
        "\n".join(found) or f"{sdist.name} builds without the network into the same {len(built)} files as the checkout"
    )
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
