# Everything lives in .venv. A second run installs nothing and needs no network.
PYTHON ?= python3
BIN := .venv/bin
SDK := .venv/sdk/bin
INTEGRATIONS := langchain crewai openai-agents pydantic-ai
COMPILED := types routing recovery fleet checks dispatch ledger app runtime native
SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
TESTS_langchain := tests/runtime/test_langchain_messages.py
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test test-sdk test-compiled test-integrations chaos chaos-calls fuzz bench bench-agents clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile

demo: .venv/.user ## set everything up, pull the weights of two small models, and run the main job
	@echo "== weights"
	@$(BIN)/orchestra models pull
	@echo "== demo"
	@$(BIN)/python examples/demo.py

test: .venv/.dev ## set everything up, and check it the way the pipeline does
	@echo "== style"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@echo "== types"
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@$(BIN)/pyright --project benchmarks --pythonpath $(BIN)/python
	@$(BIN)/pyright --project tests/typing --pythonpath $(BIN)/python
	@echo "== layers"
	@$(BIN)/lint-imports --no-logo
	@echo "== tests"
	@$(BIN)/python -m pytest -q -n 2 -m "not weights" --cov --cov-report=term
	@$(MAKE) --no-print-directory -j 2 $(SYNC) test-sdk test-integrations .venv/compiled
	@$(MAKE) --no-print-directory test-compiled
	@echo "== the smoke test, on a real model"
	@$(BIN)/orchestra models pull || echo "no weights: the smoke test says so and skips"
	@$(BIN)/python -m pytest -q -m weights tests/smoke

test-sdk: .venv/.sdk ## hold every dialect against the providers' own SDKs, in an environment of their own
	@echo "== the official SDKs"
	@$(SDK)/python -m pytest -q tests/sdk

test-compiled: .venv/compiled ## compile what a call passes through (docs/compiled.md), and run its tests on that
	@echo "== compiled"
	@PYTHONPATH=.venv/compiled $(BIN)/python -m pytest -q -n 2 -m "not weights" --override-ini "pythonpath=.venv/compiled ." \
	  $(COMPILED:%=tests/%)

test-integrations: $(INTEGRATIONS:%=.test-%) ## run the apps of other frameworks on orchestra, each in an environment of its own

.test-%: .venv/.% .venv/.dev
	@echo "== $*"
	@INTEGRATION=$(subst -,_,$*) .venv/$*/bin/python -m pytest -q tests/integrations/$(subst -,_,$*) $(TESTS_$*) \
	  --cov --cov-config=tests/integrations/coverage.ini
	@$(BIN)/pyright --project tests/integrations/$(subst -,_,$*) --pythonpath .venv/$*/bin/python

chaos: .venv/.dev ## kill thousands of runs at random moments and check that nothing is lost or done twice
	@$(BIN)/python -m tests.chaos --kills 5000

chaos-calls: .venv/.dev ## make 10,000 calls of which three in ten requests fail, and check that each ends as promised
	@$(BIN)/python -m tests.faults --calls 10000

fuzz: .venv/.dev ## break 100,000 streams of every dialect, bend every schema, and check that nothing is lost or made up
	@$(BIN)/python -m tests.fuzz --streams 100000 --schemas 4154 --seed 1

bench: .venv/.dev .venv/optimised ## measure what the README promises
	@for benchmark in benchmarks/*.py; do $(BIN)/python "$$benchmark" || exit 1; done

bench-agents: .venv/.user ## ask the embedded models 72 questions whose answers SQL knows; takes an hour or two, a killed run goes on
	@$(BIN)/orchestra models pull
	@$(BIN)/python benchmarks/agents/analyst.py --out .orchestra/bench-agents.jsonl --resume

clean: ## remove what the other targets made; weights stay, `orchestra models remove` deletes them
	rm -rf .venv .orchestra .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage*

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "orchestra needs Python 3.11 or newer, and $(PYTHON) is not; try: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "== virtual environment (.venv)"
	@"$(PYTHON)" -m venv .venv
	@touch $@

.venv/.user: pyproject.toml | .venv/.made
	@echo "== orchestra and its dependencies"
	@$(PIP) install --editable '.[local,fast]'
	@touch $@

.venv/.dev: pyproject.toml | .venv/.made
	@echo "== orchestra, its dependencies and the tools that check it"
	@$(PIP) install --editable '.[local,fast,dev]'
	@touch .venv/.user $@

.venv/compiled: OPTIMISE := 0
.venv/optimised: OPTIMISE := 2
.venv/compiled .venv/optimised: $(shell find orchestra native -name '*.py' -o -name modules.txt) .venv/.dev
	@echo "== what a call passes through, compiled to C ($@)"
	@rm -rf $@ $@.tmp
	@$(BIN)/python -m native.build $@.tmp --optimise $(OPTIMISE)
	@ln -s ../../agents ../../tools $@.tmp
	@mv $@.tmp $@

.venv/.sdk: tests/sdk/requirements.txt | .venv/.made
	@echo "== the official SDKs, which do not fit beside our own dependencies (.venv/sdk)"
	@$(BIN)/python -m venv .venv/sdk
	@$(SDK)/python -m pip -qq --disable-pip-version-check install --requirement tests/sdk/requirements.txt
	@touch $@

$(INTEGRATIONS:%=.venv/.%): .venv/.%: pyproject.toml | .venv/.made
	@echo "== $*, whose pins are its own (.venv/$*)"
	@$(BIN)/python -m venv .venv/$*
	@.venv/$*/bin/python -m pip -qq --disable-pip-version-check install --editable '.[fast,$*]' \
	  --requirement tests/integrations/$(subst -,_,$*)/requirements.txt
	@touch $@
