# Every target sets up what it needs: Python 3.11 or newer, make and a network are enough.
SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null && echo $$p && break; done)
PORT ?= 8080
KAFKA_PORT ?= 9092
DATA_DIR ?= .data
ARGS ?= --demo
PYTEST_ARGS ?=
DURATION ?= 300
SEED ?= 1
MACHINE ?= standalone apart
BUS ?= postgres kafka
TOTALS ?=
SEEDS ?= 2000
FIRST ?= 0
PART ?=
MUTANT ?=
JOBS ?= 2

BIN := .venv/bin
RUN_READY := .venv/.ready-run
DEV_READY := .venv/.ready-dev
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
UV_COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

.PHONY: help run kafka setup test unit e2e faults simulate mutants bench check format lock clean

help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z0-9-]*:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUN_READY) ## start Leadline (PORT=8080 DATA_DIR=.data ARGS=--demo; KAFKA=1: on a Kafka of its own)
ifdef KAFKA
	@$(BIN)/python -m deploy.kafka.local --directory $(DATA_DIR)/kafka --port $(KAFKA_PORT) -- \
		$(BIN)/leadline up --port $(PORT) --data-dir $(DATA_DIR) $(ARGS)
else
	@exec $(BIN)/leadline up --port $(PORT) --data-dir $(DATA_DIR) $(ARGS)
endif

kafka: $(RUN_READY) ## start a real Kafka on this machine (KAFKA_PORT=9092; needs Java 17 and Maven)
	@exec $(BIN)/python -m deploy.kafka.local --directory $(DATA_DIR)/kafka --port $(KAFKA_PORT)

setup: $(DEV_READY) ## make .venv with all that development needs; the command is .venv/bin/leadline

test: $(DEV_READY) ## run all tests (PYTEST_ARGS= for pytest)
	$(BIN)/pytest -q $(PYTEST_ARGS)

unit: $(DEV_READY) ## run the tests that need no database and no process
	$(BIN)/pytest -q tests/unit tests/contracts $(PYTEST_ARGS)

e2e: $(DEV_READY) ## run the tests with real processes
	$(BIN)/pytest -q tests/e2e $(PYTEST_ARGS)

faults: $(DEV_READY) ## kill and freeze a running Leadline, then check it (DURATION=300 SEED=1 MACHINE= BUS=)
	$(BIN)/python -m tests.faults --seconds $(DURATION) --seed $(SEED) $(foreach one,$(MACHINE),--machine $(one)) $(foreach one,$(BUS),--bus $(one)) $(if $(TOTALS),--totals $(TOTALS))

simulate: $(DEV_READY) ## the plumbing on a virtual clock, many seeds (SEEDS=2000 FIRST=0)
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) --first $(FIRST)

mutants: $(DEV_READY) ## take out each guard, see its check fail (MUTANT=words of a name JOBS=2)
	$(BIN)/python -m tests.mutants --jobs $(JOBS) $(if $(MUTANT),"$(MUTANT)")

bench: $(DEV_READY) ## measure against references, write benchmarks/RESULTS.md (PART= for some of it)
	$(BIN)/python -m benchmarks $(PART)

check: $(DEV_READY) ## formatting, lint, types, walls: what has to be clean before a merge
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV_READY) ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: .venv/.made ## resolve requirements/*.txt anew from pyproject.toml (hashes, no addresses)
	$(PIP) install 'uv>=0.9'
	$(UV_COMPILE) requirements/build.in --extra standalone --extra dev -o requirements/dev.txt
	$(UV_COMPILE) requirements/build.in --extra standalone -c requirements/dev.txt -o requirements/standalone.txt
	$(UV_COMPILE) -c requirements/dev.txt -o requirements/base.txt
	$(subst pyproject.toml,requirements/build.in,$(UV_COMPILE)) -c requirements/dev.txt -o requirements/build.txt

clean: ## remove .venv and caches (data directories stay)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/.made:
	@test -n "$(PYTHON)" || { echo "Leadline needs Python 3.11, 3.12, 3.13 or 3.14; name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "could not make .venv: on Debian and Ubuntu install python3-venv" >&2; exit 1; }
	@touch $@

$(RUN_READY): .venv/.made pyproject.toml requirements/standalone.txt
	@echo "setting up .venv (once)" >&2
	@$(PIP) install --require-hashes -r requirements/standalone.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_READY): .venv/.made pyproject.toml requirements/dev.txt
	@echo "setting up .venv for development (once)" >&2
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ $(RUN_READY)
