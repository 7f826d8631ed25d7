# Everything runs from .venv, which `make env` builds from requirements.lock (every version and hash fixed).
# uv when it is on the PATH, else pip. Another Python: make env PYTHON=/path/to/python3.12

VENV  := .venv
BIN   := $(VENV)/bin
ROOMS := metroflux observations priors transport inversion products pipelines
UV    := $(shell command -v uv 2>/dev/null)

# venv without uv needs ensurepip, which some systems package apart
NEEDS      := $(if $(UV),sys,sys, ensurepip)
CANDIDATES := python3 python3.11 python3.12 python3.13 python3.14 python
PYTHON ?= $(shell for p in $(CANDIDATES); do \
	"$$p" -c 'import $(NEEDS); raise SystemExit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$p" && break; \
	done)

.DEFAULT_GOAL := help
.PHONY: help env demo test test-fast check bench lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

env: $(VENV)/.installed ## make .venv with everything, tests included

# A changed lock rebuilds from nothing: what the lock no longer names must not linger. The lock is complete, so
# nothing is resolved (pip 23 cannot match a pin to a requirement with an extra); the check below proves it.
$(VENV)/.locked: requirements.lock
	$(if $(PYTHON),,$(error no Python 3.11 or newer with venv found (tried $(CANDIDATES)); install one or give PYTHON=/path/to/python))
	rm -rf $(VENV)
ifdef UV
	$(UV) venv --quiet --seed --no-project --python "$(PYTHON)" $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements.lock
else
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
endif
	touch $@

# Editable, without isolation: the build backend comes from the lock too.
$(VENV)/.installed: $(VENV)/.locked pyproject.toml
ifdef UV
	$(UV) pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps --editable .
	$(UV) pip check --quiet --python $(BIN)/python
else
	$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps --editable .
	$(BIN)/python -m pip check
endif
	touch $@

demo: env ## run the synthetic city end to end into runs/demo
	$(BIN)/metroflux demo --output runs/demo

# A file stays on one worker: its fixtures (a run of the demo, a browser, a Prefect server) are made once.
test: env ## run all tests
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

test-fast: env ## run the tests that take less than ten seconds each
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile -m "not slow"

check: env ## format, lint, types, import order, doctests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --doctest-modules $(ROOMS)

# Files without a main are twins and worlds that others import. The two field experiments need the data folder.
bench: env ## run the benchmarks, one after the other (METROFLUX_DATA=folder for the field experiments)
	@set -e; for file in $$(grep -l __main__ $(sort $(wildcard benchmarks/*.py))); do \
		name=$$(basename $$file .py); echo "== $$name"; data=; \
		case $$name in ginninderra|prairie_grass) data="$$METROFLUX_DATA/controlled_release/$$name"; \
			if [ ! -d "$$data" ]; then echo "left out: no folder $$data; set METROFLUX_DATA"; continue; fi;; \
			metrology) data="$$METROFLUX_DATA";; esac; \
		$(BIN)/python -m benchmarks.$$name $$data; done

# One lock for every Python from 3.11 on and every system. "fewest": where one version serves all Pythons it
# is taken, so that what is tested on the oldest is what runs on the newest.
lock: ## choose the versions anew and write requirements.lock (needs uv)
	$(if $(UV),,$(error make lock needs uv on the PATH))
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(UV) pip compile pyproject.toml --quiet --upgrade --all-extras \
		--universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
		--no-sources --no-emit-index-url --no-emit-find-links --output-file requirements.lock

clean: ## remove the environment and all caches; runs/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
