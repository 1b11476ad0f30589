# The table of contents of the project: each verb is one command. See CONTRIBUTING.md.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: up install test lint types format bench faults docs screenshots package system clean help

help: ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 14

up: system install ## control plane, console and a lab of four regions on this machine; Ctrl-C ends it
	@exec $(BIN)/opencen up

install: $(VENV)/.installed ## the program and its tools, in .venv

$(VENV)/.installed: pyproject.toml requirements.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

system: ## the system packages that the lab needs (as root on Debian or Ubuntu; NO_APT=1 forbids it)
	@tools/system-packages lab

test: install ## all tests; what this machine cannot run is skipped with the reason (with CI=true that fails)
	@if [ "$$CI" = true ]; then tools/system-packages lab tests; fi
	$(MAKE) --no-print-directory lint types
	$(BIN)/python -m pytest tests/unit tests/property tests/api -n auto
	$(BIN)/python -m pytest tests/netns tests/e2e tests/browser tests/faults

lint: install ## style, and which part may know which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive src

types: install ## mypy --strict
	$(BIN)/mypy

format: install ## put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install ## every figure that the docs quote
	$(BIN)/python -m bench

ROUNDS ?= 300
SEED ?= 1
faults: install ## kill, stop, fill and freeze servers and databases at random; ROUNDS=300 SEED=1; writes its result
	PYTHONPATH=tests $(BIN)/python -m faults --rounds $(ROUNDS) --seed $(SEED) --save

docs: install ## docs/cbn.md, out of the declarations in the code
	$(BIN)/python -m opencen.api.cbn.document > docs/cbn.md

screenshots: install ## pictures of the console, into docs/screenshots
	$(BIN)/python -m tests.browser.screenshots

package: install ## a wheel and a .deb, into dist
	tools/package

clean: ## remove what was installed and built here
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
