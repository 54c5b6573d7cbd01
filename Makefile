# Rescind: access reviews and verified revocation on Apache Airflow.
# Everything runs from .venv and writes below .rescind; "make clean" removes the data, "make distclean" both.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
LOCAL := $(PY) include/local
INSTALL := $(PYTHON) -I include/local/install.py --venv $(VENV)
PYTEST_ARGS ?=
BENCH_ARGS ?=
# One half of the suite waits for processes more than it works; the other runs beside it.
WAITING_TESTS := tests/e2e tests/browser tests/faults
# What may go, what is covered, what is bound: nothing beyond the plan.
PLAN_PROPERTIES := tests/unit/plan/test_final_requests.py tests/unit/plan/test_grouping.py \
	tests/unit/plan/test_batches_properties.py
# What is decided: less with less knowledge.
REVIEW_PROPERTIES := tests/unit/review/test_monotone.py::test_losing_knowledge_never_adds_a_revocation

# Kept byte code halves the time that Airflow takes to start.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH

.DEFAULT_GOAL := help
.PHONY: help install install-dev demo up down status migrate test properties bench lint types check constraints clean distclean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## make .venv with what the project needs
	@$(INSTALL)

install-dev: ## the same with the tools of development and of the whole test suite
	@$(INSTALL) --dev

demo: install ## start everything, hold one access review against the emulator, check the result
	@$(LOCAL) demo

up: install ## start the stack against your own connections (no emulator)
	@$(LOCAL) up

down: ## stop everything that was started, and nothing else
	@if [ -x $(PY) ]; then $(LOCAL) down; else echo "nothing was running"; fi

status: install ## list the stack's processes and their logs
	@$(LOCAL) status

migrate: install ## bring the databases of Airflow and of the ledger up to date
	@$(LOCAL) migrate

test: install-dev ## run the whole test suite, in two halves at the same time
ifeq ($(strip $(PYTEST_ARGS)),)
	@mkdir -p test-results; trap 'kill $$waiting 2>/dev/null; wait $$waiting' INT TERM; \
	$(PY) -m pytest $(WAITING_TESTS) >test-results/waiting.txt 2>&1 & waiting=$$!; \
	$(PY) -m pytest $(WAITING_TESTS:%=--ignore=%); rest=$$?; \
	wait $$waiting; code=$$?; cat test-results/waiting.txt; [ $$rest = 0 ] && exit $$code
else
	@$(PY) -m pytest $(PYTEST_ARGS)
endif

properties: install-dev ## try the safety properties with 10,000 examples each (some minutes)
	@export RESCIND_HYPOTHESIS=thorough; $(PY) -m pytest -q $(PLAN_PROPERTIES) & first=$$!; \
	RESCIND_HYPOTHESIS=thorough $(PY) -m pytest -q $(REVIEW_PROPERTIES); second=$$?; wait $$first && exit $$second

bench: install-dev ## run the benchmarks and print their tables (BENCH_ARGS=--quick takes about two minutes)
	@$(PY) -m tests.bench.pacing $(BENCH_ARGS)
	@$(PY) -m tests.bench.planning $(BENCH_ARGS)
	@$(PY) -m tests.bench.population $(BENCH_ARGS)
	@$(PY) -m tests.bench.review $(BENCH_ARGS)

lint: install-dev ## check style and formatting rules
	@$(PY) -m ruff check .

types: install-dev ## check types, strictly in the package
	@$(PY) -m mypy

check: lint types test ## all of lint, types and test

constraints: ## resolve the requirements anew and write constraints.txt
	@$(PYTHON) -I include/local/install.py --constraints

clean: ## stop everything and remove the data, logs and secrets of the stack
	@if [ -x $(PY) ]; then $(LOCAL) clean; else rm -rf .rescind; fi

distclean: clean ## the same, and remove .venv and caches
	@rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
