# Every target does its own set-up. `make help` lists them.
SHELL := /bin/bash
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ENGINES := .venv-engines
FLOORS := .floors
DOWNSTREAM := .venv-downstream
export VIRTUAL_ENV := $(abspath $(VENV))
unexport PYTHONHOME
# Of pytest. More than there are cores, since most tests wait. WORKERS=0 runs them in one process.
WORKERS ?= 4
SUITE := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal
DEVMODE := tests/test_transport_cancellation.py tests/test_transport_pool.py tests/test_stream.py tests/test_closing.py
PY_TREES := python tests benches examples release website fuzz/seeds.py
CARGO_FUZZ_VERSION := 0.13.2
CACHE := $(or $(OLLAMA_FAST_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ollama_fast)
CARGO_FUZZ := $(CACHE)/cargo-fuzz-$(CARGO_FUZZ_VERSION)
FUZZED := $(notdir $(basename $(wildcard fuzz/fuzz_targets/*.rs)))
ACTIONLINT_VERSION := 1.7.12
ACTIONLINT := $(CACHE)/actionlint-$(ACTIONLINT_VERSION)
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(CACHE)/cargo-deny-$(CARGO_DENY_VERSION)
# Panics name the files of crates by their paths: without this one's own folder, wheels of all machines are the same.
REMAP := --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src=crates
MATURIN = RUSTFLAGS="$$RUSTFLAGS $(REMAP)" $(BIN)/maturin
RUST := Cargo.toml Cargo.lock $(wildcard src/*.rs src/*/*.rs)

.PHONY: help  ## Show this list
help:
	@sed -n 's/^\.PHONY: \([^ ]*\)  ## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F'\t' '{printf "  %-20s %s\n", $$1, $$2}'

# --- set-up ---------------------------------------------------------------------------------------------------------

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "the module venv is needed: apt-get install python3-venv"; exit 1; }
	@echo "making $(VENV) with the tools of the project: a minute or two, once"
	$(BIN)/python -m pip install -q --upgrade 'pip>=25.1'

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q --group dev
	touch $@

$(VENV)/.built: $(VENV)/.installed $(RUST)
	@echo "building the Rust core: about a minute, once"
	$(MATURIN) develop --quiet --release >/dev/null
	touch $@

.PHONY: build  ## Make the local environment, .venv, and build the extension into it
build: $(VENV)/.built

# Fuzz targets that make Python objects link Python, which not every build of it allows: LINKED is `python` if this one does.
LINKED = $(shell $(BIN)/python -c 'import sysconfig; print("python" * bool(sysconfig.get_config_var("Py_ENABLE_SHARED")))')
WITH_PYTHON = PYO3_PYTHON=$(abspath $(BIN)/python) \
	LD_LIBRARY_PATH=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))'):$$LD_LIBRARY_PATH

# --- use ------------------------------------------------------------------------------------------------------------

.PHONY: demo  ## Stream a generate and a chat, from OLLAMA_HOST or else from recorded exchanges
demo: build
	$(BIN)/python examples/demo.py

# --- tests ----------------------------------------------------------------------------------------------------------

.PHONY: test  ## Run the offline tests, of Python by the fast path, which is the default, and of Rust
test: build
	OLLAMA_FAST_TRANSPORT= $(SUITE) $(ARGS)
	cargo test --quiet --no-default-features
	$(WITH_PYTHON) cargo test --quiet --manifest-path fuzz/Cargo.toml --target-dir target --features "$(LINKED)"

.PHONY: test-over-httpx  ## Run the offline tests of Python over httpx's own transports
test-over-httpx: build
	OLLAMA_FAST_TRANSPORT=httpx $(SUITE) $(ARGS)

.PHONY: test-mocked  ## Run those offline tests again that need no socket, over httpx's MockTransport
test-mocked: build
	$(BIN)/python -m pytest -m mocked $(ARGS)

.PHONY: test-devmode  ## Run tests of transports, streams and faults in Python's development mode, and in that of asyncio; ARGS=tests runs all
test-devmode: build
	PYTHONDEVMODE=1 OLLAMA_FAST_TRANSPORT= $(BIN)/python -m pytest $(or $(ARGS),$(DEVMODE))
	PYTHONASYNCIODEBUG=1 OLLAMA_FAST_TRANSPORT= $(BIN)/python -m pytest $(or $(ARGS),$(DEVMODE))

.PHONY: test-httpx-suite  ## Run httpx's own tests of clients, fetched once into a cache, over this package's transports
test-httpx-suite: build
	PYTHONPATH=tests $(BIN)/python tests/httpx_suite/run.py $(ARGS)

.PHONY: test-dropin  ## Run the tests of the package ollama, fetched once into a cache, with ollama_fast.compat in its place
test-dropin: build
	PYTHONPATH=tests $(BIN)/python -m dropin.run $(ARGS)

# The SDK and the instrumentation of OpenTelemetry, which the tests use, are those of the oldest API.
$(FLOORS)/.installed: pyproject.toml $(VENV)/.installed
	rm -rf $(FLOORS)
	$(BIN)/python -m pip install -q --no-warn-conflicts --target $(FLOORS) $$($(BIN)/python -m release.floors) \
		opentelemetry-sdk==1.30 opentelemetry-instrumentation-httpx==0.51b0
	touch $@

# The plugins are those of tools that need newer versions. The oldest wheels are for Python 3.11 and 3.12. Old packages call
# what newer ones below them deprecate.
.PHONY: test-floors  ## Run tests of ollama_fast.compat and of the extras with the oldest packages that pyproject.toml allows
test-floors: build $(FLOORS)/.installed
	PYTHONPATH=$(FLOORS) $(SUITE) -W default::DeprecationWarning -p no:anyio -p no:pytest_httpx \
		$(wildcard $(addprefix tests/test_,compat_client.py compat_threads.py compat_types.py bench_report.py cli_*.py progress.py retry.py telemetry*.py)) $(ARGS)

$(ENGINES)/.installed: pyproject.toml | $(BIN)/python
	@echo "making $(ENGINES) with Ray and Dask: half a minute, once"
	$(PYTHON) -m venv $(ENGINES)
	$(ENGINES)/bin/python -m pip install -q --upgrade 'pip>=25.1'
	$(ENGINES)/bin/python -m pip install -q --group engines
	touch $@

.PHONY: test-engines  ## Run the examples for Ray and Dask with the real engines and the wheel, in .venv-engines
test-engines: build $(ENGINES)/.installed
	rm -rf $(ENGINES)/wheel
	$(MATURIN) build --quiet --release --out $(ENGINES)/wheel
	$(ENGINES)/bin/python -m pip install -q $(ENGINES)/wheel/*.whl
	$(ENGINES)/bin/python -m pip install -q --force-reinstall --no-deps $(ENGINES)/wheel/*.whl
	$(ENGINES)/bin/python -m pytest -m engines --durations 5 tests/engines $(ARGS)

$(DOWNSTREAM)/.installed: pyproject.toml | $(BIN)/python
	@echo "making $(DOWNSTREAM) with libraries on the package ollama: a minute or two, once"
	$(PYTHON) -m venv $(DOWNSTREAM)
	$(DOWNSTREAM)/bin/python -m pip install -q --upgrade 'pip>=25.1'
	$(DOWNSTREAM)/bin/python -m pip install -q --group downstream
	touch $@

$(DOWNSTREAM)/.wheel: $(VENV)/.built $(DOWNSTREAM)/.installed $(shell find python -name '*.py')
	rm -rf $(DOWNSTREAM)/wheel
	$(MATURIN) build --quiet --release --out $(DOWNSTREAM)/wheel
	$(DOWNSTREAM)/bin/python -m pip install -q $(DOWNSTREAM)/wheel/*.whl
	$(DOWNSTREAM)/bin/python -m pip install -q --force-reinstall --no-deps $(DOWNSTREAM)/wheel/*.whl
	touch $@

.PHONY: test-downstream  ## Run the own tests of libraries on the package ollama, with ollama_fast.compat in its place
test-downstream: $(DOWNSTREAM)/.wheel
	PYTHONPATH=tests $(DOWNSTREAM)/bin/python -m downstream.run $(ARGS)

.PHONY: test-downstream-real  ## Have those libraries call the server that test-real calls, through ollama_fast.compat
test-downstream-real: $(DOWNSTREAM)/.wheel genuine
	DOWNSTREAM_PYTHON=$(abspath $(DOWNSTREAM)/bin/python) $(BIN)/python -m pytest -m downstream --timeout 900 tests/downstream $(ARGS)

.PHONY: compare-faults  ## Have the package ollama and this one meet every fault, and write the table into docs/reliability.md
compare-faults: build
	$(BIN)/python tests/compare_faults.py $(ARGS)

.PHONY: genuine  ## Build a genuine Ollama server into a cache, once, unless OLLAMA_HOST and OLLAMA_MODEL name one
genuine:
	@[ -n "$$OLLAMA_HOST" ] && [ -n "$$OLLAMA_MODEL" ] || PYTHON=$(PYTHON) tests/real/build.sh

.PHONY: test-real  ## Run the tests marked `real`: against OLLAMA_HOST with OLLAMA_MODEL, or a server that is built here
test-real: build genuine
	$(BIN)/python -m pytest -m real --timeout 900 --durations 5 tests/real $(ARGS)

.PHONY: test-report  ## Open reports of the benchmark in Chromium, wide and narrow, light and dark
test-report: build
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || apt-get install -y -qq chromium || { echo "Chromium is needed"; exit 1; }
	PYTHONPATH=tests $(BIN)/python tests/report_in_browser.py

.PHONY: soak  ## Read a thousand streams at once, with faults, cancellations and slow readers; MINUTES=1, ARGS="--seed 7"
soak: build
	PYTHONPATH=tests $(BIN)/python -m soak.run --minutes $(or $(MINUTES),1) $(ARGS)

.PHONY: test-calls  ## Make 100,000 calls in each colour, by the fast path and over httpx, and look at what is left of them
test-calls: build
	for transport in fast httpx; do CALLS=100000 OLLAMA_FAST_TRANSPORT=$$transport \
		$(BIN)/python -m pytest tests/test_connections.py -k many_calls $(ARGS) || exit 1; done

.PHONY: record  ## Record tests/exchanges anew from a genuine server that is built here
record: build genuine
	$(BIN)/python tests/record.py

.PHONY: check  ## Check format, lint, types, the stub and the Rust lints
check: build
	$(BIN)/ruff format --check $(PY_TREES)
	$(BIN)/ruff check $(PY_TREES)
	$(BIN)/mypy
	$(BIN)/basedpyright
	MYPYPATH=python $(BIN)/python -m mypy.stubtest ollama_fast._core
	cargo fmt --check
	cargo clippy --quiet --all-targets -- -D warnings
	cargo clippy --quiet --all-targets --no-default-features -- -D warnings
	cd fuzz && cargo fmt --check
	cd fuzz && PYO3_PYTHON=$(abspath $(BIN)/python) cargo clippy --quiet --target-dir ../target --all-targets --all-features -- -D warnings

.PHONY: format  ## Put Python and Rust into the project's format
format: build
	$(BIN)/ruff check --fix-only --quiet $(PY_TREES)
	$(BIN)/ruff format $(PY_TREES)
	cargo fmt
	cd fuzz && cargo fmt

# --- what is released -----------------------------------------------------------------------------------------------

.PHONY: wheel  ## Build the wheel, look at what it holds, and smoke-test it in a clean environment without compilers
wheel: build
	rm -rf dist
	$(MATURIN) build --quiet --release --locked --out dist
	$(BIN)/python -m release.check dist/*.whl
	$(BIN)/abi3audit --strict --assume-minimum-abi3 3.11 dist/*.whl
	tests/smoke_wheel.sh $(BIN)/python dist/*.whl

# The core is compiled anew from what is in the source distribution; the crates that it uses need not be.
.PHONY: sdist  ## Make the source distribution, look at what it holds, and build the same wheel from it without the network
sdist: wheel
	$(BIN)/maturin sdist --out dist 2>/dev/null >/dev/null
	$(BIN)/python -m release.check dist/*.tar.gz
	cargo clean --quiet --release --package ollama_fast
	RUSTFLAGS="$$RUSTFLAGS $(REMAP)" CARGO_TARGET_DIR=$(abspath target) $(BIN)/python -m release.from_sdist dist/*.tar.gz dist/*.whl

.PHONY: reproducible  ## Build the wheel twice, from nothing the second time, and see that it has the same bytes
reproducible: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct)
reproducible: build
	rm -rf target/once target/twice target/again
	$(MATURIN) build --quiet --release --locked --out target/once
	$(MATURIN) build --quiet --release --locked --out target/twice --target-dir target/again
	cmp target/once/*.whl target/twice/*.whl

.PHONY: licences  ## Write THIRD-PARTY-LICENSES.txt, which wheels hold, from the crates in Cargo.lock
licences: $(VENV)/.installed
	$(BIN)/python -m release.third_party

$(CARGO_DENY)/bin/cargo-deny:
	@echo "installing cargo-deny into $(CARGO_DENY): some minutes, once"
	CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
		cargo install --quiet --locked --root $(CARGO_DENY) --version $(CARGO_DENY_VERSION) cargo-deny

.PHONY: deny  ## Check the crates in Cargo.lock: licences, where they are from, and that none is there twice
deny: $(CARGO_DENY)/bin/cargo-deny
	$< --locked check bans licenses sources

.PHONY: advisories  ## Ask the database of RustSec about the crates in Cargo.lock; it is fetched from GitHub
advisories: $(CARGO_DENY)/bin/cargo-deny
	$< --locked check advisories

$(ACTIONLINT)/actionlint:
	@echo "installing actionlint into $(ACTIONLINT): half a minute, once"
	GOBIN=$(ACTIONLINT) go install github.com/rhysd/actionlint/cmd/actionlint@v$(ACTIONLINT_VERSION)

.PHONY: check-workflows  ## Check the workflows: what they mean, and that nobody else can change what they do; Go is needed
check-workflows: $(VENV)/.installed $(ACTIONLINT)/actionlint
	$(ACTIONLINT)/actionlint
	$(BIN)/zizmor --quiet --offline --pedantic .github/workflows

.PHONY: msrv  ## Compile the core with the oldest Rust that Cargo.toml allows; rustup installs it
msrv: MSRV = $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
msrv: $(BIN)/python
	rustup toolchain install $(MSRV) --profile minimal --no-self-update
	PYO3_PYTHON=$(abspath $(BIN)/python) cargo +$(MSRV) check --quiet --locked --target-dir target/msrv
	cargo +$(MSRV) check --quiet --locked --target-dir target/msrv --no-default-features

.PHONY: platforms  ## Type-check the core for every platform that there are wheels for; rustup installs their standard libraries
platforms: PLATFORMS = $(shell sed -n 's/^    "\(.*\)",$$/\1/p' deny.toml)
platforms:
	rustup target add $(PLATFORMS)
	for platform in $(PLATFORMS); do echo "$$platform"; \
		PYO3_NO_PYTHON=1 PYO3_BUILD_EXTENSION_MODULE=1 cargo check --quiet --locked --target-dir target/platforms --target $$platform || exit 1; done

.PHONY: full  ## Run all of .ci/run's checks, the engines, the libraries, the oldest dependencies and Rust, cargo-deny, and the suite on every CPython from 3.11 that is found
full: test test-over-httpx test-calls soak test-mocked test-httpx-suite test-dropin test-floors check docs demo test-report test-real test-engines test-downstream test-downstream-real sdist reproducible deny msrv platforms check-workflows
	$(MAKE) test-devmode ARGS=tests
	tests/every_python.sh dist/*.whl

# --- fuzzing --------------------------------------------------------------------------------------------------------

$(CARGO_FUZZ)/bin/cargo-fuzz:
	@echo "installing cargo-fuzz into $(CARGO_FUZZ): a minute or two, once"
	cargo install --quiet --locked --root $(CARGO_FUZZ) --version $(CARGO_FUZZ_VERSION) cargo-fuzz

# Without a sanitizer, of which stable Rust has none: the core has no `unsafe`. What is found is put where `make test` replays it.
.PHONY: fuzz  ## Look for bytes that break the Rust core: SECONDS=60 for each target, ONLY=decoder for one; fails at a finding
fuzz: SECONDS := 60
fuzz: ONLY = $(if $(LINKED),$(FUZZED),$(filter-out decoder images,$(FUZZED)))
fuzz: build $(CARGO_FUZZ)/bin/cargo-fuzz
	rm -rf target/fuzz-seeds
	$(BIN)/python fuzz/seeds.py target/fuzz-seeds
	@export $(WITH_PYTHON); for target in $(ONLY); do \
		echo "fuzzing $$target for $(SECONDS) s"; \
		mkdir -p target/fuzz-corpus/$$target fuzz/regressions/$$target; \
		$(CARGO_FUZZ)/bin/cargo-fuzz run --fuzz-dir fuzz --target-dir target/fuzz --sanitizer none --features "libfuzzer $(LINKED)" \
			$$target target/fuzz-corpus/$$target target/fuzz-seeds/$$target fuzz/regressions/$$target -- \
			-max_total_time=$(SECONDS) -artifact_prefix=fuzz/regressions/$$target/ || exit 1; \
	done

# --- figures --------------------------------------------------------------------------------------------------------

.PHONY: bench  ## Measure, and write its part of benches/RESULTS.md
bench: build
	$(BIN)/python -m benches.run

.PHONY: bench-genuine  ## Measure a genuine server at 1, 2, 4 and 8 streams by `ollama-fast bench`, and take the picture of docs/bench.md
bench-genuine: build genuine
	PYTHONPATH=tests $(BIN)/python -m benches.genuine $(ARGS)

.PHONY: bench-compat  ## Measure ollama_fast.compat beside the official client, and write that part; ARGS="--only stream --rounds 5" for a glance
bench-compat: build
	$(BIN)/python -m benches.compat $(ARGS)

.PHONY: bench-create  ## Measure create of a local file beside Ollama's own command, and write that part; ARGS="--rounds 3" for a glance
bench-create: build genuine
	$(BIN)/python -m benches.creating $(ARGS)

.PHONY: bench-schemas  ## Measure what decision 0013 says of libraries for schemas, and print it
bench-schemas: build
	$(BIN)/python -m benches.schemas

.PHONY: bench-streams  ## Measure streams beside other clients, and write that part; ARGS="--rounds 2" for a glance
bench-streams: build
	$(BIN)/python -m benches.peers.run $(ARGS)

.PHONY: bench-telemetry  ## Measure what being observed costs; ARGS="--before main" compares with a revision, --count counts instructions by valgrind
bench-telemetry: build
	$(BIN)/python -m benches.telemetry $(ARGS)

.PHONY: bench-abi3  ## Measure what the stable ABI costs, on Linux with valgrind
bench-abi3: $(VENV)/.installed
	@command -v valgrind >/dev/null || apt-get install -y -qq valgrind || { echo "valgrind is needed"; exit 1; }
	$(BIN)/python -m benches.abi3

# --- docs -----------------------------------------------------------------------------------------------------------

# Its theme's news, which would be in the log of every build.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs

.PHONY: docs  ## Build the site of the docs into target/site; fails at a broken link, or a public function without a reference
docs: build
	$(MKDOCS) build --strict
	@echo "target/site/index.html"

.PHONY: docs-serve  ## Show the site of the docs at http://127.0.0.1:8000, built anew when a page changes
docs-serve: build
	$(MKDOCS) serve --watch python --watch website

.PHONY: pictures  ## Draw the pictures of the docs, from benches/RESULTS.md and the recorded stream
pictures: build
	$(BIN)/python -m website.pictures

.PHONY: record-stream  ## Record the stream of the picture in the README anew: from OLLAMA_HOST with OLLAMA_MODEL, or a server that is built here
record-stream: build genuine
	$(BIN)/python -m website.terminal
	$(BIN)/python -m website.pictures

.PHONY: clean  ## Remove what was built, but not the cache of the genuine server
clean:
	rm -rf $(VENV) $(ENGINES) $(DOWNSTREAM) $(FLOORS) target dist python/ollama_fast/*.so
