# The verbs that people and CI share. Each makes .venv and installs what it needs; repeated calls are quick.
#   make demo       train a model that pronounces English words, about three minutes on two cores
#   make check      format, lint and types
#   make test       the fast tests        make test-all   all of them, on record
#   make docs       the documentation as a site that reads offline, in site/; stops at whatever is wrong with it
#   make tour       all experiments of docs/tour, half an hour on two cores, with their figures and tables
#   make table3     the rows of the paper's Table 3, small; goes on where it was stopped
#   make setup      only make .venv with everything a developer needs
# Another interpreter: make setup PYTHON=python3.12    Some of the tests: make test TESTS=tests/model

PYTHON ?= python3
TESTS ?= tests

VENV := .venv
BIN := $(VENV)/bin
DEV := $(VENV)/.installed-dev
# Programs of others, and real models, that slow tests compare with.
PEERS := $(VENV)/.installed-peers
# The development extras hold the demo's, so an environment that has them is not touched.
DEMO := $(if $(wildcard $(DEV)),$(DEV),$(VENV)/.installed-demo)

.PHONY: setup check test test-all demo docs tour table3

setup: $(DEV)

check: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: $(DEV)
	$(BIN)/python -m pytest -n auto $(TESTS)

test-all: $(DEV) $(PEERS)
	$(BIN)/python benchmarks/all_tests.py $(filter-out tests,$(TESTS))

demo: $(DEMO)
	$(BIN)/headway demo pronounce

docs: $(DEV)
	$(BIN)/python -m docs_build

tour: $(DEV)
	$(BIN)/python -m tour

table3: $(DEV)
	$(BIN)/python benchmarks/table3.py

$(VENV)/.installed-%: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Python 3.11 or newer is needed; name one: make $(MAKECMDGOALS) PYTHON=python3.12' >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@echo 'Installing headway[$*] into $(VENV); PyTorch is large, so the first time takes minutes.'
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[$*]'
	@touch $@
