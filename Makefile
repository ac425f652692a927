# The two commands of the quick start are `make demo` and `make test`; both set up all that they need.
# Another Python than python3: make PYTHON=python3.13 test

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Lock files hold versions and hashes, no addresses.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header
LOCK := $(COMPILE) pyproject.toml
LOCK_CI := $(COMPILE) --group ci

.PHONY: help demo test long check format lock clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     run the export against a stand-in API, into demo/"
	@echo "make test     run the tests"
	@echo "make long     run the tests that take minutes, too"
	@echo "make check    format, lint, types, import directions, dependencies, lock files"
	@echo "make format   format the code"
	@echo "make lock     write the lock files anew, for the newest versions that fit"
	@echo "make clean    remove what these commands made"

demo: $(VENV)/.installed
	@$(BIN)/pipefy-usage demo

test: $(VENV)/.installed-dev
	@$(BIN)/python -m pytest -n 2 --cov --cov-report=term

long: $(VENV)/.installed-dev
	@$(BIN)/python -m pytest -n 2 -m "long or not long"

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	@$(MAKE) --no-print-directory check-lock

# Solving again with the locked versions preferred changes nothing, unless pyproject.toml has changed.
.PHONY: check-lock
check-lock: $(VENV)/.installed-dev
	@cp requirements.txt requirements-dev.txt requirements-ci.txt $(VENV)/
	@$(LOCK) --all-extras --group build -o $(VENV)/requirements.txt
	@$(LOCK) --all-extras --group dev -c requirements.txt -o $(VENV)/requirements-dev.txt
	@$(LOCK_CI) -c requirements-dev.txt -o $(VENV)/requirements-ci.txt
	@for file in requirements.txt requirements-dev.txt requirements-ci.txt; do \
			diff -q $$file $(VENV)/$$file || exit 1; done \
		|| { echo "the lock files do not fit pyproject.toml; run: make lock"; exit 1; }
	@echo "lock files fit pyproject.toml"

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(VENV)/.installed-dev
	$(LOCK) --upgrade --all-extras --group build -o requirements.txt
	$(LOCK) --upgrade --all-extras --group dev -c requirements.txt -o requirements-dev.txt
	$(LOCK_CI) --upgrade -c requirements-dev.txt -o requirements-ci.txt

clean:
	rm -rf $(VENV) demo build dist .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.13 ..."; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing what it runs with (once, about a minute) ..."
	@$(PIP) install --require-hashes -r requirements.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt pyproject.toml | $(VENV)/.installed
	@echo "Installing what it is tested with (once) ..."
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@
