# Every command installs what it needs; a second run installs nothing.
# Paths are relative on purpose: the folder's own name may hold spaces.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
PYTEST := $(BIN)/python -m pytest
# More at once than there are cores, since tests mostly wait for processes.
BESIDE := -n 4 --dist loadfile --no-loadscope-reorder

.PHONY: help demo up test test-fast chaos check bench lock clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

demo: $(READY) ## cut twelve clips with the whole stack and stop; URL=… cuts your own source
	@$(BIN)/python -m clipmill demo $(if $(URL),--url "$$URL")

up: $(READY) ## run the whole stack in the foreground; Ctrl-C stops it
	@exec $(BIN)/python -m clipmill up

test: $(READY) ## run every test; SHUFFLE=… runs them in the order that this seed gives
	@sh .ci/debian-packages
	$(PYTEST) -m "not alone" $(BESIDE) $(SHUFFLE:%=--shuffle %)
	$(PYTEST) -m alone $(SHUFFLE:%=--shuffle %)

test-fast: $(READY) ## run the unit tests, in seconds
	@exec $(BIN)/python -m pytest tests/unit tests/architecture

sweep: $(READY) ## cut each kind of source at each kind of point, a quarter of an hour
	@CLIPMILL_SWEEP=1 $(BIN)/python -m pytest --timeout 3600 tests/integration/worker/pyav/test_exactness.py

chaos: $(READY) ## ten minutes of jobs under faults, then check invariants; SEED=… repeats a run, REAL=1 cuts
	@exec $(BIN)/python -m tests.chaos.run $(if $(SEED),--seed $(SEED)) $(if $(REAL),--real)

check: $(READY) ## linters, formatting, types, direction of imports
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports

bench: $(READY) ## run the benchmarks; PARTS="queue clips" runs only these
	@exec $(BIN)/python -m benchmarks $(PARTS)

lock: $(READY) ## write the lock files anew from pyproject.toml
	$(BIN)/python -m uv pip compile --quiet --universal --generate-hashes --upgrade --no-emit-package clipmill --custom-compile-command 'make lock' pyproject.toml -o requirements.lock
	$(BIN)/python -m uv pip compile --quiet --universal --generate-hashes --upgrade --no-emit-package clipmill --custom-compile-command 'make lock' --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean: ## remove the environment and the output of tools and demos, never ./data
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist demo-output
	find . -name __pycache__ -type d -not -path './data/*' -prune -exec rm -rf {} +

# The lock file has the hash of every package; the project itself is linked, not copied.
$(READY): requirements-dev.lock pyproject.toml
	@PYTHON='$(PYTHON)' sh .ci/environment
	@touch $@
