# Rescind: access reviews and verified revocation on Apache Airflow.
# Everything runs from .venv and writes to .rescind; "make clean" removes the data, "make distclean" both.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
LOCAL := $(PY) include/local
INSTALL := $(PYTHON) -I include/local/install.py --venv $(VENV)
PYTEST_ARGS ?=
BENCH_ARGS ?=
DEMO_ARGS ?=
MUTANTS ?=
MATRIX_ARGS ?=
# Four parts run at the same time, so that others work while the live tests wait for processes.
LIVE_TESTS := tests/e2e tests/browser tests/faults/test_newest_systems.py
REVIEW_TESTS := $(addprefix tests/integration/,approval closing pages restore reviews)
SYSTEM_TESTS := tests/integration/systems tests/faults
# The quick part: no database, no Airflow, nothing that takes more than ten seconds, and of each property a quarter of
# the examples. Four parts run at the same time, so that others work while one waits for processes: just under two minutes on
# two idle cores.
FAST_FIRST := tests/unit/cloud tests/unit/emulator tests/unit/systems tests/contract
FAST_SECOND := tests/docs $(addprefix tests/unit/,plan review web workflow)
FAST_THIRD := $(addprefix tests/unit/,evidence local oracle packaging)
FAST_FOURTH := tests/unit $(patsubst %,--ignore=%,$(FAST_FIRST) $(FAST_SECOND) $(FAST_THIRD))
SLOW_MARKERS := auth airflow live postgres browser faults bench long slow
LEFT_OUT := $(filter-out tests/unit tests/contract tests/docs tests/support tests/__pycache__,\
	$(patsubst %/.,%,$(wildcard tests/*/.)))
EMPTY :=
FAST := not $(subst $(EMPTY) $(EMPTY), and not ,$(SLOW_MARKERS))
# Two halves of about equal length. What may be revoked, and what is bound.
REQUEST_PROPERTIES := tests/unit/plan/test_final_requests.py
# What is covered; and decisions: less knowledge, fewer revocations.
COVER_PROPERTIES := tests/unit/plan/test_grouping.py tests/unit/plan/test_batches_properties.py \
	tests/unit/review/test_monotone.py::test_losing_knowledge_never_adds_a_revocation

# Cached byte code halves the time that Airflow takes to start.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH

.DEFAULT_GOAL := help
.PHONY: help install install-dev demo up down status rescind migrate test test-fast properties mutants matrix bench lint types docs check constraints tag clean distclean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## make .venv with what the project needs
	@$(INSTALL)

install-dev: ## the same with the tools of development and of the whole test suite
	@$(INSTALL) --dev

demo: install ## start everything, hold one access review against the emulator, check the result
	@$(LOCAL) demo $(DEMO_ARGS)

up: install ## start the stack against your own connections (no emulator)
	@$(LOCAL) up

down: ## stop everything that was started, and nothing else
	@if [ -x $(PY) ]; then $(LOCAL) down; else echo "nothing was running"; fi

status: install ## list the stack's processes and their logs
	@$(LOCAL) status

rescind: install ## run the command rescind in the stack: make rescind ARGS="explain 1 --principal P00086"
	@$(LOCAL) rescind $(ARGS)

migrate: install ## bring the databases of Airflow and of the ledger up to date
	@$(LOCAL) migrate

test: install-dev ## run the whole test suite, in four parts at the same time
ifeq ($(strip $(PYTEST_ARGS)),)
	@mkdir -p test-results; trap 'kill $$live $$reviews $$systems 2>/dev/null; wait $$live $$reviews $$systems' INT TERM; \
	$(PY) -m pytest $(LIVE_TESTS) >test-results/live.txt 2>&1 & live=$$!; \
	$(PY) -m pytest $(REVIEW_TESTS) >test-results/reviews.txt 2>&1 & reviews=$$!; \
	$(PY) -m pytest $(SYSTEM_TESTS) --ignore=tests/faults/test_newest_systems.py >test-results/systems.txt 2>&1 & systems=$$!; \
	$(PY) -m pytest $(patsubst %,--ignore=%,$(LIVE_TESTS) $(REVIEW_TESTS) $(SYSTEM_TESTS)); code=$$?; \
	wait $$systems || code=$$?; cat test-results/systems.txt; \
	wait $$reviews || code=$$?; cat test-results/reviews.txt; \
	wait $$live || code=$$?; cat test-results/live.txt; exit $$code
else
	@$(PY) -m pytest $(PYTEST_ARGS)
endif

test-fast: install-dev ## run unit, contract and docs tests that need no database and no Airflow (1 to 2 minutes)
	@mkdir -p test-results; export RESCIND_HYPOTHESIS=fast; \
	trap 'kill $$second $$third $$fourth 2>/dev/null; wait $$second $$third $$fourth' INT TERM; \
	$(PY) -m pytest -q $(FAST_SECOND) -m "$(FAST)" >test-results/fast-second.txt 2>&1 & second=$$!; \
	$(PY) -m pytest -q $(FAST_THIRD) -m "$(FAST)" >test-results/fast-third.txt 2>&1 & third=$$!; \
	$(PY) -m pytest -q $(FAST_FOURTH) -m "$(FAST)" >test-results/fast-fourth.txt 2>&1 & fourth=$$!; \
	$(PY) -m pytest -q $(FAST_FIRST) -m "$(FAST)"; code=$$?; \
	wait $$second || code=$$?; cat test-results/fast-second.txt; \
	wait $$third || code=$$?; cat test-results/fast-third.txt; \
	wait $$fourth || code=$$?; cat test-results/fast-fourth.txt; \
	echo "left out: tests marked $(SLOW_MARKERS)"; echo "left out: $(LEFT_OUT) (make test runs all)"; exit $$code

properties: install-dev ## try the safety properties with 10,000 examples each (some minutes)
	@export RESCIND_HYPOTHESIS=thorough; $(PY) -m pytest -q $(COVER_PROPERTIES) & first=$$!; \
	RESCIND_HYPOTHESIS=thorough $(PY) -m pytest -q $(REQUEST_PROPERTIES); second=$$?; wait $$first && exit $$second

mutants: install-dev ## change the safety code in more than 500 places, one at a time; a test must fail each time (MUTANTS="guard web/" for a part)
	@$(PY) -m tests.mutants $(MUTANTS)

matrix: install-dev ## try each supported Airflow on each supported Python (needs python3.11, 3.12, 3.13; half an hour)
	@$(PY) -m tests.matrix $(MATRIX_ARGS)

bench: install-dev ## run the benchmarks and print their tables (BENCH_ARGS=--quick takes about ten minutes)
	@$(PY) -m tests.bench.pacing $(BENCH_ARGS)
	@$(PY) -m tests.bench.planning $(BENCH_ARGS)
	@$(PY) -m tests.bench.population $(BENCH_ARGS)
	@$(PY) -m tests.bench.review $(BENCH_ARGS)
	@$(PY) -m tests.bench.page $(BENCH_ARGS)
	@$(PY) -m tests.bench.leaver $(BENCH_ARGS)
	@$(PY) -m tests.bench.start $(BENCH_ARGS)

lint: install-dev ## check style, formatting, spelling and wording
	@$(PY) -m ruff check . && $(PY) -m ruff format --check .
	@$(VENV)/bin/codespell && $(PY) -m tests.docs.words

types: install-dev ## check types, strictly in the package
	@$(PY) -m mypy

docs: install-dev ## build the documentation site in site/, offline; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet --strict

check: lint types docs test ## all of lint, types, docs and test

constraints: ## resolve the requirements again and write constraints.txt with hashes
	@$(PYTHON) -I include/local/install.py --constraints

tag: ## create the tag of this version from its section of CHANGELOG.md
	@version=$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' plugins/rescind/__init__.py); \
	text=$$(awk -v head="## [$$version] - 20" 'index($$0, head) == 1 { on = 1; print substr($$0, 4); next } \
		/^## / { on = 0 } on' CHANGELOG.md); \
	[ -n "$$text" ] || { echo "CHANGELOG.md has no section '## [$$version] - YYYY-MM-DD'"; exit 1; }; \
	[ -z "$$(git status --porcelain)" ] || { echo "commit everything first"; exit 1; }; \
	printf '%s\n' "$$text" | git tag --annotate --cleanup=verbatim --file=- "v$$version" && echo "tagged v$$version"

clean: ## stop everything and remove the data, logs and secrets of the stack
	@if [ -x $(PY) ]; then $(LOCAL) clean; else rm -rf .rescind; fi

distclean: clean ## the same, and remove .venv and caches
	@rm -rf $(VENV) .matrix dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
