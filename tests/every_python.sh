#!/usr/bin/env bash
# every_python.sh WHEEL: runs the offline suite with the wheel on every CPython from 3.11 that this machine has.
set -euo pipefail
wheel=$(realpath "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset VIRTUAL_ENV

candidates=()
for minor in 11 12 13 14 15; do
    found=$(command -v "python3.$minor" || true)
    [ -n "$found" ] && candidates+=("$found")
    for found in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$minor".*/bin/python; do
        [ -x "$found" ] && candidates+=("$found")
    done
done

declare -A done_already=()
failed=0
for python in "${candidates[@]}"; do
    # A shim may stand for a version that is not there; free-threaded builds need wheels of their own.
    version=$("$python" -c 'import sys, sysconfig; assert sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED"); print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue
    [ -z "${done_already[$version]:-}" ] || continue
    done_already[$version]=1
    echo "=== CPython $version"
    "$python" -m venv "$work/$version"
    "$work/$version/bin/python" -m pip install -q --upgrade 'pip>=25.1'
    (cd "$root" && "$work/$version/bin/python" -m pip install -q --group test "$wheel")
    # Copied, so that the wheel's package is imported and not the checkout's.
    rm -rf "$work/checkout" && mkdir "$work/checkout"
    (cd "$root" && git ls-files -z | grep -zv '^python/ollama_fast/' | xargs -0 cp --parents -t "$work/checkout")
    (cd "$work/checkout" && "$work/$version/bin/python" -m pytest -q -m "not real and not engines and not downstream and not checkout") || failed=1
done
echo "every_python: ran on ${!done_already[*]}"
exit $failed
