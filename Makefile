# Two commands do everything: `make run` and `make test`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
TOOLS := $(CURDIR)/target/tools
DENY_VERSION := 0.20.2
# What the hot paths are built with: `dev` is there when the tests have run, `bench` is what a release is built with.
PROFILE ?= dev

.PHONY: help run release package packaging test check fmt lint deny unit sim guards reference clients tools bench

help: ## Say what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: ## Build for a trial and start; prints the URL and a key
	@scripts/tools build
	@CARGO="$(CARGO)" scripts/trial
	exec target/pegcount serve

release: ## Build the program as it is shipped
	@scripts/tools build
	$(CARGO) build --release -p pegcount --bin pegcount --target-dir target
	ln -sfn release/pegcount target/pegcount

package: release ## Make a Debian package of the release
	@scripts/package

packaging: ## Install the package on a copy of this machine; check what else ships beside the program
	$(CARGO) build --bin pegcount
	tests/packaging/run

test: tools fmt lint unit clients packaging guards deny ## Everything that CI runs, in its order

check: ## The quick part of test, for every save
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) test --workspace --lib

fmt:
	$(CARGO) fmt --all --check

lint:
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --quiet

unit:
	$(CARGO) test --workspace

# `unit` runs 300 seeds of it.
sim: ## Run 10,000 seeds of simulated faults (SEEDS), or tell the steps of one: make sim SEED=123
	PEGCOUNT_SIMULATED_SEED="$(SEED)" PEGCOUNT_SIMULATED_SEEDS="$(or $(SEEDS),10000)" RUST_BACKTRACE=0 \
		$(CARGO) test --profile $(PROFILE) -p pegcount --test simulation -- --nocapture whatever_fails

guards: ## Count the instructions of hot paths; fails when one takes many more than it did
	$(CARGO) bench --workspace --profile $(PROFILE) --bench guards

reference: ## Write docs/api.md anew from the code
	PEGCOUNT_WRITE_REFERENCE=1 $(CARGO) test -p pegcount --test e2e reference

clients: ## Documents' own and generated clients, and /openapi.json, against the program
	$(CARGO) build --bin pegcount
	tests/clients/run

bench: ## Measure the ledger beside its peers; CALLS says how large a store
	@CALLS="$(CALLS)" scripts/bench

deny: $(TOOLS)/bin/cargo-deny
	PATH="$(TOOLS)/bin:$$PATH" $(CARGO) deny --log-level error check bans licenses sources

# Built without optimization: it runs once for a second, and is built on every new machine.
$(TOOLS)/bin/cargo-deny:
	$(CARGO) install cargo-deny --version $(DENY_VERSION) --locked --debug --root $(TOOLS) --target-dir $(TOOLS)/build --quiet
	rm -rf $(TOOLS)/build

tools: ## Install what is missing, or say what is
	@scripts/tools
	@scripts/recogniser >/dev/null || echo "no recogniser of speech: the test that needs one is skipped" >&2
