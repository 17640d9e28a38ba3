# Every target works from a fresh checkout.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test demo lint bench engines clean

run: $(VENV)/.runtime
	@$(BIN)/trunkline run

test: $(VENV)/.dev
	@$(BIN)/python -m pytest

demo: $(VENV)/.runtime
	@$(BIN)/trunkline demo

lint: $(VENV)/.dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/.runtime
	@$(BIN)/trunkline bench

# The lock files name every dependency with its hash; --no-deps keeps silero-vad's torch out.
$(VENV)/.runtime: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Trunkline needs Python 3.11 to 3.13; name one: make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements-dev.txt
	@touch $@

# Libraries of the engines that are not embedded.
engines: $(VENV)/.runtime requirements-engines.txt
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements-engines.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
