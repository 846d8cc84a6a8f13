# The one entry point for people and CI. Each target is one step; `make help` lists them.

CARGO ?= cargo
RAITO := target/debug/raito
PARTS := connectors/demo connectors/postgresql tests/guests/chaos
PYTHON := connectors/demo-python
PACK := for part in $(PARTS); do tests/connector.sh $$part $(RAITO) || exit 1; done && tests/setup.sh connectors && \
	tests/python-connector.sh $(PYTHON) connectors/demo/connector.toml $(RAITO)

.PHONY: help setup connectors build demo check test fuzz soak bench fmt clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## install the toolchain, and the servers that tests need
	@tests/setup.sh test

build: ## build the program
	@tests/setup.sh build && $(CARGO) build

connectors: build ## build and pack the connectors
	@$(PACK)

demo: build ## show a run on a demo warehouse: five steps, a change, and the record of it
	@tests/connector.sh connectors/demo $(RAITO)
	$(RAITO) demo

check: setup ## format, lints, and the licences of dependencies
	$(CARGO) fmt --check && $(CARGO) clippy --workspace --all-targets -- -D warnings && tests/licences.sh

# The tests' own dependencies turn on features of others, so the program is built as they need it, once, and packs with that.
# There are no examples in the documentation of items, which would be linked one by one.
test: setup ## run all tests
	$(CARGO) test --workspace --tests --no-run && $(PACK) && $(CARGO) test --workspace --tests

fuzz: build ## fuzz every border at which bytes from outside become values, each for SECONDS (60)
	@tests/connector.sh connectors/demo $(RAITO)
	@CARGO="$(CARGO)" tests/fuzz/run.sh $(or $(SECONDS),60)

# Hours of the same evidence of which `make test` has minutes. HOURS is for each fuzz target of the gate for SQL.
soak: setup ## gather long evidence: the gate for SQL against PostgreSQL's own parser and real servers
	RAITO_FUZZ_ROUNDS=20000000 RAITO_FUZZ_STATEMENTS=20000 $(CARGO) test --release -p raito-fuzz --test statements --test servers \
		--test usage -- --nocapture
	@CARGO="$(CARGO)" tests/fuzz/run.sh $$(($(or $(HOURS),1) * 3600)) statements texts

bench: setup connectors ## measure what host/docs/performance.md states
	$(CARGO) bench -p raito-core --bench expansion --bench leak -p raito-access --bench files -p raito-audit --bench append \
		-p raito-sandbox --bench boundary -p raito-worker --bench isolation -p raito --bench program

fmt: ## format the sources
	$(CARGO) fmt

clean: ## remove everything that was built
	$(CARGO) clean
