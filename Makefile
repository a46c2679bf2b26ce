# What a person does here. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LAYOUT ?= opencto-dev
# Half as many workers again as cores: many tests wait for processes. They share what is left at the end, so that none
# idles behind the longest ones, and may, for each test has free ports and a tmux server of its own.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(((os.cpu_count() or 1) * 3 + 1) // 2)')
TEST_ARGS ?= -n $(WORKERS) --dist worksteal

.PHONY: help
help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

.PHONY: system
system:  ## tmux, mosquitto and Python's venv from apt, where they are missing
	@missing=""; \
	command -v tmux >/dev/null || missing="$$missing tmux"; \
	PATH="$$PATH:/usr/sbin:/usr/local/sbin" command -v mosquitto >/dev/null || missing="$$missing mosquitto"; \
	[ -z "$(TESTS)" ] || command -v mosquitto_pub >/dev/null || missing="$$missing mosquitto-clients"; \
	command -v git >/dev/null || missing="$$missing git"; \
	command -v $(PYTHON) >/dev/null || missing="$$missing python3"; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	[ -z "$$missing" ] && exit 0; \
	command -v apt-get >/dev/null || { echo "install these with your system's package manager, then try again:$$missing"; exit 1; }; \
	sudo=""; [ "$$(id -u)" = 0 ] || sudo="sudo"; \
	echo "about to install from apt:$$missing"; \
	$$sudo apt-get update -qq; \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make setup PYTHON=python3.12"; exit 1; }
	@echo "about to install into $(VENV): swarm-tui, what it needs, and the tools of its roles (a minute or two)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[tools,llm,acp]'
	@touch $@

$(VENV)/.installed-dev: $(STAMP)
	@echo "about to install into $(VENV): what the checks and tests need (half a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[tools,llm,acp,dev]'
	@touch $@

.PHONY: setup
# The tests publish with mosquitto_pub too, as the seed does.
setup: TESTS = yes
setup: system $(VENV)/.installed-dev  ## everything that development needs
	@echo "ready: \`make up\` starts a swarm and its screen, \`. $(BIN)/activate\` puts swarm-tui on the PATH"

.PHONY: up
up: system $(STAMP)  ## install what is missing, then start the swarm and its screen (LAYOUT=opencto-dev)
	@if [ -t 0 ] && [ -t 1 ]; then $(BIN)/swarm-tui up $(LAYOUT); else $(BIN)/swarm-tui up $(LAYOUT) --detach; fi

.PHONY: down
down: $(STAMP)  ## stop the swarm
	@$(BIN)/swarm-tui down

.PHONY: check
check: $(VENV)/.installed-dev  ## format, lint, types, direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: quick
# Handlers and conversations are tested with the programs that they call, which takes longer than all else here. A property is tried with fewer
# examples, and fewer simulated swarms live, than in `make test`.
quick: $(VENV)/.installed-dev  ## the unit tests but for handlers and conversations, in less than a minute
	$(BIN)/python -m pytest tests/unit tests/sim $(TEST_ARGS) --hypothesis-profile=quick \
		--ignore tests/unit/handlers --ignore tests/unit/agent/test_handlers.py --ignore tests/unit/conversation

.PHONY: test
# A test that fails is tried once more, and named at the end: a fault of its own, to be mended. `RERUNS=0` takes none.
test: RERUNS ?= 1
test: setup  ## the whole test suite
	$(BIN)/python -m pytest $(TEST_ARGS) --reruns $(RERUNS) -rR

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	@echo "about to install into $(VENV): what the benchmarks compare with"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[tools,llm,acp,dev,bench]'
	@touch $@

.PHONY: bench
bench: setup $(VENV)/.installed-bench  ## the measured bars
	$(BIN)/python -m tests.bench

.PHONY: drill
drill: setup  ## long random runs: kills, loss, thousands of seeds
	$(BIN)/python -m pytest -m drill -s

# Theirs is the choice of the node that they need: the first step brings one, by which npm then chooses the newest.
CLIS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/swarm-tui/clis
.PHONY: clis
clis:  ## the agent CLIs Claude, Codex, Gemini and opencode from npm, into a cache folder of ours (about 2 GB)
	@command -v npm >/dev/null || { echo "npm is needed: install node with your system's package manager"; exit 1; }
	@echo "about to install into $(CLIS): node 22, and the agent CLIs with their ACP adapters"
	@mkdir -p "$(CLIS)"
	@printf '%s' '{"private": true, "allowScripts": {"node": true, "opencode-ai": true, "@anthropic-ai/claude-code": true}}' > "$(CLIS)/package.json"
	@cd "$(CLIS)" && npm install --no-audit --no-fund --loglevel error node@22
	@cd "$(CLIS)" && PATH="$$PWD/node_modules/.bin:$$PATH" npm install --no-audit --no-fund --loglevel error \
		@anthropic-ai/claude-code @agentclientprotocol/claude-agent-acp @openai/codex @agentclientprotocol/codex-acp \
		@google/gemini-cli opencode-ai
	@for one in claude claude-agent-acp codex codex-acp gemini opencode; do \
		test -e "$(CLIS)/node_modules/.bin/$$one" || { echo "$$one was not installed"; exit 1; }; done
	@echo "installed; agents find them there"

.PHONY: screenshot
screenshot: setup  ## draw the README's pictures, and accept the screens as they are now as the tests' pictures
	$(BIN)/python -m tests.screenshot
	$(BIN)/python -m pytest tests/snapshot --snapshot-update

.PHONY: clean
clean:  ## delete what was built and installed here; a running swarm and its state stay
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache snapshot_report.html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
