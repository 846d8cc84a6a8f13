# The one entry point for people and CI. Each target is one step; `make help` lists them.

CARGO ?= cargo
WASM := target/wasm32-wasip2/connector
CONNECTORS := demo postgresql

.PHONY: help setup connectors build demo check test bench fmt clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## install what building and testing needs
	@rustup toolchain install --no-self-update

test: setup ## run all tests
	$(CARGO) test --workspace --exclude demo --exclude postgresql --exclude raito-sdk
	$(CARGO) test -p demo -p postgresql -p raito-sdk
