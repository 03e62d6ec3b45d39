# What a person does here, one target each. State lives in var/ (or CALLBOARD_VAR); .venv/ is built from the lock.
# `make run` also reads CALLBOARD_MAPPINGS, CALLBOARD_NOW and CALLBOARD_TIME_ZONE from the environment.
PORT ?= 8080
ONCE ?=
PYTHON ?=
export PYTHON
PY := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help run test lint bench chaos docs golden lock install install-dev

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

run: install ## Start everything and deliver the first files (PORT=8080; ONCE=1 stops after the first round)
	@exec $(PY) -m include.platform.start --port $(PORT) $(if $(filter-out 0,$(ONCE)),--once)

test: install-dev ## Lint, types and all tests
	@$(MAKE) --no-print-directory lint
	$(PY) -m pytest -n 2 --dist loadgroup

lint: install-dev ## Rules, format, types, arrows and generated pages; nothing is repaired
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m tools.arrows
	$(PY) -m tools.docs --check

bench: install-dev ## Measure everything and write docs/performance.md; on a quiet machine, some 25 minutes
	$(PY) -m bench

chaos: install-dev ## The fault tests with large numbers, for a night: at most an hour, and a table of what they counted
	$(PY) -m tools.chaos

docs: install-dev ## Write the generated pages anew
	$(PY) -m tools.docs

golden: install-dev ## Write the golden answers anew; read the difference before you commit it
	GOLDEN_WRITE=1 $(PY) -m pytest tests/transforms/test_golden.py tests/alerts/test_mails.py

lock: install-dev ## Write the locks anew from requirements.in and requirements-dev.in
	$(PY) -m uv pip compile --quiet --no-header --generate-hashes --python-version 3.11 requirements.in -o requirements.txt
	$(PY) -m uv pip compile --quiet --no-header --generate-hashes --python-version 3.11 requirements-dev.in -o requirements-dev.txt

install:
	@include/platform/bootstrap.sh requirements.txt

install-dev:
	@include/platform/bootstrap.sh requirements.txt requirements-dev.txt
