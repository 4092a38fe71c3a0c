# Everything one does with this repository. `make` lists it.

BIN   := .venv/bin
READY := .venv/.ready
# The one place that names the version of uv is pyproject.toml.
UV    := $(shell sed -n 's/^ *"\(uv==[0-9.]*\)".*/\1/p' pyproject.toml)

# More words for the command behind a target: make run ARGS="--port 9000"
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench drill crash format docs clean

help: ## List what can be done here.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## Make .venv with everything in it; needs only Python 3.11 or newer.

run: $(READY) ## Run a wallet bank with demo customers until Ctrl-C; prints where it is and how to pay.
	$(BIN)/unbusy up --demo $(ARGS)

# Where ARGS leaves out all of one half, pytest says so by 5.
test: $(READY) ## Run every test but the long ones, against a real PostgreSQL.
	$(BIN)/pytest -n auto --dist worksteal -m "not long and not alone" $(ARGS) || test $$? -eq 5
	$(BIN)/pytest -m "alone and not long" $(ARGS) || test $$? -eq 5

check: $(READY) ## Check format, lint, types, import contracts, migrations, the lock file, and the rules of the house.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/squawk src/unbusy/db/migrations/*.sql
	$(BIN)/uv lock --check
	$(BIN)/pytest tests/rules $(ARGS)

bench: $(READY) ## Measure the ledger, payments and round trips to banks on this machine, in a database of its own.
	$(BIN)/unbusy bench ledger $(ARGS)
	$(BIN)/unbusy bench payments $(ARGS)
	$(BIN)/unbusy bench banks $(ARGS)

drill: $(READY) ## Put ten times the load on a wallet, freeze and kill its parts, and judge; ARGS="--quick" for six minutes.
	$(BIN)/unbusy drill $(ARGS)

crash: $(READY) ## Kill the gateway, the worker and PostgreSQL under load, twenty times each; takes a while.
	UNBUSY_CRASH_KILLS=20 $(BIN)/pytest tests/crash $(ARGS)

format: $(READY) ## Format the code and mend what the linter can mend.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY) ## Write again the parts of docs/ and the schema that are made from the code.
	$(BIN)/python -m tests.rules.generated

clean: ## Remove what was made here (.venv, caches); the data directory .unbusy stays.
	rm -rf .venv dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Written last, so that a setup which was interrupted begins again. uv takes the versions and the
# hashes from uv.lock, and removes what does not belong.
$(READY): pyproject.toml uv.lock
	@$(NEW_ENOUGH) || { $(FIND_PYTHON) && $$python -m venv --clear .venv; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	$(BIN)/uv sync --locked --quiet
	@touch $@

NEW_ENOUGH = $(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null

# The first of these that is new enough and can make a virtual environment.
define FIND_PYTHON
for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	python=; \
done; \
test -n "$$python" || { echo 'setup needs Python 3.11 or newer with venv (on Debian: apt install python3-venv)'; exit 1; }
endef
