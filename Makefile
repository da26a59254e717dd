# carolina-sockets. `make help` lists the targets.

CARGO ?= cargo
NODE_FOLDERS := examples/quickstart tests/e2e carolina-sockets/frontend examples/chat/web examples/chat/e2e

.PHONY: help run test rust-test frontend-test chat-test chat node-packages bench-programs bench bench-quick bench-micro bench-compile check fmt clippy doc

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

run: ## start the quickstart
	$(CARGO) run --package quickstart

test: node-packages rust-test frontend-test chat-test ## everything: rules, doctests, compile errors, official clients

rust-test:
	$(CARGO) build --workspace --exclude carolina-bench-micro --all-features
	$(CARGO) test --workspace --exclude carolina-bench-micro --all-features

frontend-test:
	cd carolina-sockets/frontend && npm test

chat-test:
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

bench-micro: ## time and instruction count of one event and one start-up
	$(CARGO) bench --package carolina-bench-micro
	$(CARGO) build --release --package carolina-bench-micro
	$(CARGO) run --release --quiet --package carolina-bench-micro --bin bench-count

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
