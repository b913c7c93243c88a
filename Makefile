# Everything a person or CI runs. A target that builds looks at the machine first (dev/check-machine), so that what is
# missing is named before minutes have gone by.

CARGO ?= cargo
# Dependencies are those of Cargo.lock. While changing them: make LOCKED= ...
LOCKED ?= --locked
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)

# Seeds for `make soak`; `make test` has its own, smaller number.
SIM_SEEDS ?= 20000

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help demo test soak mutants bench lint fmt crds clean tools test-rust test-botocore check

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: tools ## a control plane, AWS and the operator on this machine; runs until Ctrl-C
	$(CARGO) build $(LOCKED) -p ecr-permissions-operator -p aws-sim -p dev --bins
	$(TARGET_DIR)/debug/demo

test: check ## all that CI checks
	$(MAKE) lint
	$(MAKE) test-rust
	$(MAKE) test-botocore

test-rust: tools ## all Rust tests
	$(CARGO) test $(LOCKED) --workspace

test-botocore: check ## the simulator, as AWS's own client library sees it
	aws-sim/tests/botocore/run

soak: tools ## the simulation with SIM_SEEDS=20000 seeds, or as many as you say
	SIM_SEEDS=$(SIM_SEEDS) $(CARGO) test $(LOCKED) -p ecr-permissions-operator --test sim

mutants: tools ## plant known mistakes one by one and see the tests notice each; PART=1/4 takes a quarter of them
	dev/mutants/run

bench: tools ## release build: times, AWS calls and memory, beside floors of the same run; more in docs/benchmark.md
	$(CARGO) build --release $(LOCKED) -p ecr-permissions-operator -p aws-sim -p dev --bins
	$(TARGET_DIR)/release/bench

lint: check ## formatting and lints; any finding fails
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(LOCKED) --workspace --all-targets -- -D warnings

fmt: ## format all Rust code
	$(CARGO) fmt --all

crds: check ## write crds/ anew from core/src/api
	UPDATE_CRDS=1 $(CARGO) test -q $(LOCKED) -p ecr-permissions-core --test crds

tools: ## build etcd, kube-apiserver, kube-controller-manager and kubectl (6 minutes the first time)
	@dev/check-machine rust tools
	@dev/tools/build

clean: ## remove all that was built
	rm -rf target .venv

check:
	@dev/check-machine
