# Everything the project does is a target here; `make` lists them.
# CARGO, DOCKER and IMAGE can be set: make image IMAGE=registry.example/trustgate-frontend:1 DOCKER=podman

CARGO ?= cargo
DOCKER ?= docker
IMAGE ?= trustgate-frontend:latest
SERVER_IMAGE ?= trustgate-server:latest
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 600

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

TRIPLE = $(shell rustc -vV | sed -n 's/^host: //p')
RELEASE = target/$(TRIPLE)/release

.PHONY: help deps build release image server-image demo test test-unit test-e2e check lint fuzz bench soak clean-lab

help: ## lists these targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
	  || sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1	\2/p' $(MAKEFILE_LIST)

deps: ## installs the Debian packages that are missing, and fetches the lab's engines
	@scripts/deps build lab postgres mariadb trixie browser

build: ## builds everything for development
	@scripts/deps build
	$(CARGO) build --all-targets

release: ## builds the programs static, as they are shipped
	@scripts/deps build
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --release --bins --target $(TRIPLE)

image: release ## builds the frontend's image IMAGE with DOCKER
	@DOCKER="$(DOCKER)" scripts/image $(RELEASE)/trustgate-frontend $(IMAGE)

server-image: release ## builds the image SERVER_IMAGE of the trust server and its signer with DOCKER
	@DOCKER="$(DOCKER)" scripts/server-image $(RELEASE) $(SERVER_IMAGE)

demo: release ## shows it at work: a private engine, registry and trust server; push, sign, run, four builds
	@scripts/deps lab
	@scripts/demo $(RELEASE)

test: deps release ## runs all tests, those with real engines too, against the static programs
	TRUSTGATE_REQUIRE_ENGINES=1 \
	TRUSTGATE_BIN=$(CURDIR)/$(RELEASE)/trustgate \
	TRUSTGATE_FRONTEND_BIN=$(CURDIR)/$(RELEASE)/trustgate-frontend \
	TRUSTGATE_SERVER_BIN=$(CURDIR)/$(RELEASE)/trustgate-server \
	TRUSTGATE_SIGNER_BIN=$(CURDIR)/$(RELEASE)/trustgate-signer \
	scripts/test

test-unit: ## runs the tests that need no engine
	@scripts/deps build postgres
	$(CARGO) test --lib --bins --test trust

test-e2e: deps ## runs the tests with real engines against the development build
	TRUSTGATE_REQUIRE_ENGINES=1 $(CARGO) test --test e2e

check: lint test ## everything that must hold before a change goes in

lint: ## formatting, clippy, documentation, shell scripts; warnings are errors
	@scripts/deps build lint
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --document-private-items --locked
	shellcheck -x $$(grep -lE '^#!/bin/(ba)?sh' scripts/* .ci/*)

fuzz: ## fuzzes each target of fuzz/ for FUZZ_SECONDS
	@scripts/deps build fuzz
	@scripts/fuzz $(FUZZ_SECONDS)

bench: release ## measures, and writes BENCHMARKS.md; ONLY="a word of titles" prints those sections
	@scripts/deps lab postgres trixie bench
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --release --examples --target $(TRIPLE)
	@scripts/bench $(RELEASE) $(ONLY)

soak: release ## runs the trust server for SOAK_SECONDS among kills, database crashes and clocks that jump
	@scripts/deps lab postgres
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --release --example soak --target $(TRIPLE)
	@. scripts/common.sh && TRUSTGATE_BIN=$(RELEASE)/trustgate LAB_NOTARY=$$cache/bookworm/usr/bin/notary \
	  LAB_DOCKER=$$cache/bookworm/usr/bin/docker $(RELEASE)/examples/soak $(SOAK_SECONDS)

clean-lab: ## removes the engines that deps fetched
	@. scripts/common.sh && rm -rf --one-file-system "$$cache"
