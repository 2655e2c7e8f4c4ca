#!/usr/bin/env bash
# smoke_wheel.sh PYTHON WHEEL: installs the wheel into a clean environment with no Rust on PATH, and uses it there.
set -euo pipefail
python=$1 wheel=$2
here=$(cd "$(dirname "$0")" && pwd)
clean=$(mktemp -d)
trap 'rm -rf "$clean"' EXIT

without_rust=
while IFS= read -r -d: folder; do
    [ -x "$folder/cargo" ] || [ -x "$folder/rustc" ] || without_rust+="${without_rust:+:}$folder"
done <<<"$PATH:"
"$python" -m venv "$clean/env"
unset VIRTUAL_ENV
export PATH=$clean/env/bin:$without_rust
if command -v cargo rustc; then echo "smoke_wheel: Rust is still on PATH"; exit 1; fi

"$clean/env/bin/python" -m pip install -q "$wheel"
cd "$clean"  # so that the checkout's own package cannot be what is imported
"$clean/env/bin/python" -W error "$here/smoke_wheel.py" "$here"
