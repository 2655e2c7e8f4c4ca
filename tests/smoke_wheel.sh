#!/usr/bin/env bash
# smoke_wheel.sh PYTHON WHEEL: installs the wheel into a clean environment with no compiler on PATH, and uses it there.
set -euo pipefail
python=$1 wheel=$(realpath "$2")
here=$(cd "$(dirname "$0")" && pwd)
clean=$(mktemp -d)
trap 'rm -rf "$clean"' EXIT

"$python" -m venv "$clean/env"
bin=$clean/env/bin
unset VIRTUAL_ENV
cd "$clean"  # so that the checkout's own package cannot be what is imported

alone() { PATH=$bin "$@"; }  # nothing but the environment's own commands
if alone command -v cargo rustc cc gcc clang; then echo "smoke_wheel: there is a compiler on PATH"; exit 1; fi

alone "$bin/python" -m pip install -q --only-binary :all: "$wheel"
alone "$bin/python" -m pip check
alone "$bin/python" -W error "$here/smoke_wheel.py" "$here"
alone "$bin/python" "$here/smoke_extras.py" none

alone "$bin/python" -m pip install -q --only-binary :all: "$wheel[cli]"
alone "$bin/python" -m pip check
alone "$bin/ollama-fast" --version
alone "$bin/python" "$here/smoke_extras.py" cli
