# carolina-sockets. `make help` lists the targets.

CARGO ?= cargo
NODE_FOLDERS := examples/quickstart tests/e2e carolina-sockets/frontend examples/chat/web examples/chat/e2e

.PHONY: help run test setup rust-test frontend-test chat-test chat node-packages bench-programs bench bench-quick bench-micro bench-contract bench-resume bench-compile
.PHONY: rolling resume-cuts attack attack-quick fuzz check fmt clippy doc package deny features minimal-versions msrv semver unused

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

run: ## start the quickstart
	$(CARGO) run --package quickstart

test: setup node-packages rust-test frontend-test chat-test ## everything: rules, doctests, compile errors, official clients

setup: ## install what the tests need: servers and a browser
	tests/setup

rust-test:
	$(CARGO) build --workspace --exclude carolina-bench-micro --all-features
	$(CARGO) test --workspace --exclude carolina-bench-micro --all-features

frontend-test:
	cd carolina-sockets/frontend && npm test

chat-test:
	$(MAKE) -C examples/chat check
	cd examples/chat/web && npm run build
	cd examples/chat/e2e && npm test

chat: ## build the chat's page and start it
	$(MAKE) -C examples/chat run

node-packages: $(NODE_FOLDERS:%=%/node_modules)

%/node_modules: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund
	@touch $@

BENCH := $(CARGO) run --release --quiet --package carolina-bench --bin bench --

bench-programs: tests/bench/node/node_modules
	$(CARGO) build --release --package carolina-bench

bench: bench-programs ## measure against raw socketioxide, Node and a bare WebSocket server: about 25 minutes, two idle cores
	$(BENCH)

bench-quick: bench-programs ## the short benchmark, under 3 minutes
	$(BENCH) --quick

rolling: tests/e2e/node_modules ## restart three nodes behind HAProxy under 3,000 official clients: about two minutes
	$(CARGO) run --release --quiet --package carolina-sockets-tests --all-features --bin rolling

resume-cuts: tests/e2e/node_modules ## cut official clients off 1,000 times, with events under way: on one node, and on three over each backplane
	RESUME_CUTS=$${RESUME_CUTS:-1000} $(CARGO) test --package carolina-sockets-tests --all-features --test resume_cuts --test resume_node_cuts -- --nocapture --test-threads 1

attack: ## attack a server as hostile clients would: what each attack costs the others
	$(CARGO) run --release --quiet --package carolina-attack

attack-quick: ## the short form
	$(CARGO) run --quiet --package carolina-attack -- --quick

fuzz: ## a minute each: frames, packets, polling bodies, configurations and macros, on whatever comes
	FUZZ_SECONDS=$${FUZZ_SECONDS:-60} $(CARGO) test --package carolina-sockets --all-features --lib fuzz::
	FUZZ_SECONDS=$${FUZZ_SECONDS:-60} $(CARGO) test --package carolina-sockets-macros whatever_stands_there

bench-micro: ## time and instruction count of one event and one start-up
	$(CARGO) bench --package carolina-bench-micro
	$(CARGO) build --release --package carolina-bench-micro
	$(CARGO) run --release --quiet --package carolina-bench-micro --bin bench-count
	$(CARGO) run --release --quiet --package carolina-bench-micro --bin bench-figures

bench-contract: ## how long the contract of 1,000 channels takes to write
	$(CARGO) run --release --quiet --package carolina-bench-contract

bench-resume: ## what it costs that clients can resume: about 3 minutes
	$(CARGO) build --release --package carolina-bench
	bash tests/bench/resume/measure.sh

bench-compile: ## compile time of the quickstart and of the same program on raw socketioxide
	bash tests/bench/compile/measure.sh

check: fmt clippy doc ## formatting, lints and documentation

fmt:
	$(CARGO) fmt --all --check

clippy: ## lints, with all features and with none
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	$(CARGO) clippy --package carolina-sockets --no-default-features -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --all-features --no-deps

package: setup ## pack both crates as for publishing, unpack them elsewhere and test them there
	tests/package

# What follows needs one tool each: `cargo install cargo-deny cargo-hack cargo-machete cargo-semver-checks --locked`, and for
# `minimal-versions` a nightly toolchain.

LIBRARIES := --package carolina-sockets --package carolina-sockets-macros

deny: ## licences, advisories, sources and bans of all dependencies
	$(CARGO) deny check

features: ## the library with every two features
	$(CARGO) hack check --package carolina-sockets --feature-powerset --depth 2

msrv: ## the libraries with the Rust version that they state
	$(CARGO) hack check $(LIBRARIES) --all-features --rust-version

minimal-versions: ## the libraries with the oldest dependencies that they allow
	cp Cargo.lock Cargo.lock.kept
	$(CARGO) +nightly update -Z direct-minimal-versions && $(CARGO) check $(LIBRARIES) --all-features; \
	    status=$$?; mv Cargo.lock.kept Cargo.lock; exit $$status

semver: ## the public interface against the last tag
	tag=$$(git describe --tags --abbrev=0 2> /dev/null) || { echo "there is no tag to compare with"; exit 0; }; \
	    $(CARGO) semver-checks $(LIBRARIES) --all-features --baseline-rev "$$tag"

unused: ## dependencies that nothing uses
	$(CARGO) machete
