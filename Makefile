# Every target can be run again at any time; what it needs and the machine lacks, it installs (scripts/).

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:

# `make run PROFILE=relfast` takes longer to build and answers faster.
PROFILE ?= dev
ARGS ?=
# Of `make crash-test` and `make setup-faults`, unless given.
KILLS ?=
# Of `make dual-write-checker`, unless given.
FAULTS ?=
# Of `make non-interference`.
READS ?= 600
# Of `make bench`: customers of the initial sync.
ROWS ?= 20000

export TOMBOLO_CACHE ?= $(CURDIR)/.cache
# Holds only what the machine lacked or had too old.
export PATH := $(TOMBOLO_CACHE)/bin:$(PATH)
export RUST_BACKTRACE ?= 1

target_dir := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),$(CURDIR)/target)
step := scripts/step.sh

.PHONY: help bootstrap run test differential crash-test setup-faults dual-write-checker non-interference unit-and-e2e lint fmt fmt-check clippy proto-lint bench load-test fuzz clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

bootstrap: ## Install what building and testing need and this machine lacks
	@scripts/bootstrap.sh

run: ## Build and run everything in one process, with a private PostgreSQL and the demo ERP
	@scripts/postgres.sh
	cargo run --profile $(PROFILE) --bin tombolo -- dev $(ARGS)

test: ## Lint, then run all tests: unit, real PostgreSQL, end to end, real clients
	@$(step) 'tools' scripts/test-tools.sh
	@$(MAKE) fmt-check proto-lint unit-and-e2e

# One build with the dev profile serves every test; the end-to-end tests run the binary that is built with them.
# No -p: with one selection of packages the features are the same, and nothing is compiled twice. The compiler of our own
# crates is clippy's, which looks at them as `make clippy` does and compiles them as well: a build less.
unit-and-e2e: export RUSTC_WORKSPACE_WRAPPER := clippy-driver
unit-and-e2e: export CLIPPY_ARGS := -Dwarnings
unit-and-e2e:
	@$(step) 'clippy and build' cargo build --workspace --all-targets --locked
	@export TOMBOLO_BIN='$(target_dir)/debug/tombolo'; \
	if cargo nextest --version >/dev/null 2>&1; then \
		$(step) 'tests' cargo nextest run --workspace --locked $(ARGS); \
		$(step) 'examples in docs' cargo test --workspace --doc --locked --quiet; \
	else \
		$(step) 'tests' cargo test --workspace --locked $(ARGS); \
	fi

lint: fmt-check proto-lint clippy ## Check formatting, protos and clippy, with warnings denied

fmt: ## Format the Rust code
	cargo fmt --all

fmt-check:
	@$(step) 'format' cargo fmt --all --check

clippy:
	@$(step) 'clippy' cargo clippy --workspace --all-targets --locked --quiet -- -D warnings

proto-lint:
	@scripts/test-tools.sh lint
	@$(step) 'protos' '$(TOMBOLO_CACHE)/venv/bin/buf' lint proto

differential: ## Compare answers to random queries with an independent evaluator; QUERIES=1000000 for many
	@scripts/postgres.sh
	cargo build --profile $(PROFILE) --bin tombolo
	TOMBOLO_BIN='$(target_dir)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/tombolo' cargo test -p tests --test differential

crash-test: ## Kill the system while it writes to both databases and compare them; KILLS=30 for fewer
	@scripts/postgres.sh
	cargo build --bin tombolo
	KILLS='$(or $(KILLS),500)' TOMBOLO_BIN='$(target_dir)/debug/tombolo' cargo test -p tests --test crash

setup-faults: ## Kill the system while it sets environments up and look at what is left; KILLS=30 for fewer
	@scripts/postgres.sh
	cargo build --bin tombolo
	KILLS='$(or $(KILLS),200)' TOMBOLO_BIN='$(target_dir)/debug/tombolo' cargo test -p tests --test setup_faults

dual-write-checker: ## Break everything while clients write on both sides, and compare them; FAULTS=50 for fewer
	@scripts/postgres.sh
	cargo build --bin tombolo
	FAULTS='$(or $(FAULTS),1000)' TOMBOLO_BIN='$(target_dir)/debug/tombolo' cargo test -p tests --test dual_write_checker

non-interference: ## Ask as users over two databases that differ in what these may not see; READS=100000 for many
	@scripts/postgres.sh
	cargo build --bin tombolo
	READS='$(READS)' TOMBOLO_BIN='$(target_dir)/debug/tombolo' cargo test -p tests --test non_interference

bench: ## Measure calls against the same SQL sent directly, and dual-write; ROWS=1000000 for its whole copy
	@scripts/postgres.sh
	cargo build --profile relfast --workspace --bins --locked
	TOMBOLO_BIN='$(target_dir)/relfast/tombolo' '$(target_dir)/relfast/overhead' $(ARGS)
	'$(target_dir)/relfast/capture'
	'$(target_dir)/relfast/authorization'
	TOMBOLO_BIN='$(target_dir)/relfast/tombolo' '$(target_dir)/relfast/initial-sync' --rows '$(ROWS)'
	TOMBOLO_BIN='$(target_dir)/relfast/tombolo' '$(target_dir)/relfast/dual-write'

load-test: bench ## The same as bench

fuzz: ## Fuzz the readers of URLs, FetchXML, batches and JSON; SECONDS_EACH=60 for each
	@scripts/fuzz.sh $(ARGS)

clean: ## Remove what was built and fetched; the data in .tombolo stays
	cargo clean
	rm -rf '$(TOMBOLO_CACHE)' tests/clients/node_modules fuzz/target
