"""Running tests of other projects that import `ollama`, with this package in its place."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import sdists

TESTS: Final = Path(__file__).parent.parent


def run(
    root: Path,
    arguments: Sequence[str],
    *,
    plugins: Sequence[str],
    genuine: bool = False,
    failing: Mapping[str, str] | None = None,
    more: Mapping[str, str] | None = None,
) -> int:
    """
    Run pytest in *root*, and give its exit status.

    Args:
        root: The folder of the tests. A run writes to it.

        arguments: For pytest.

        plugins: Those that the tests need. No others are loaded: some replace parts of httpx.

        genuine: Leave the genuine package in its place.

        failing: Tests that fail with the genuine package and must with ours, each with the reason.

        more: Variables of the environment.
    """
    names = [*plugins, "pytest_timeout", "dropin.substitute"]
    command = [sys.executable, "-m", "pytest", *(word for name in names for word in ("-p", name))]
    command += ["--override-ini=addopts=", "--override-ini=log_cli=false", "--timeout=60", "-rs", *arguments]
    environment = {
        **sdists.environment(),
        "DROPIN_COLLECTED": str(root / "collected.json"),
        "DROPIN_FAILING": json.dumps(dict(failing or {})),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(TESTS),
        **(more or {}),
    }
    with_genuine = {**environment, "DROPIN_GENUINE": "1"}
    if not genuine:  # what there is to run does not depend on what is tested
        collect = [*command, "--collect-only", "--quiet", "--quiet"]
        found = subprocess.run(
            collect,
            cwd=root,
            env=with_genuine,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if found.returncode:
            print(found.stdout)
            return found.returncode
    return subprocess.run(command, cwd=root, env=with_genuine if genuine else environment, check=False).returncode
