# Palate. The two commands: `make demo` and `make test`. Everything they need goes into .venv.
# Only make and Python 3.11 or newer have to be there; PYTHON=… chooses the interpreter.

.DEFAULT_GOAL := help
.PHONY: help demo test faults soak check data format lock clean setup setup-dev
BIN := .venv/bin
# The files of tests, dealt to two processes: what a module sets up is made once, and a test draws the same chance.
TEST_JOBS ?= 2
SPREAD = -n $(TEST_JOBS) --dist loadfile
export PYTHON

help: ## what there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 20

setup: ## a .venv in which `palate` runs
	@sh tools/setup demo

setup-dev: ## a .venv with the development tools as well
	@sh tools/setup dev

demo: setup ## real films, a real person, one event, and the dashboard
	@$(BIN)/palate demo $(ARGS)

test: setup-dev ## the whole test suite (the browser tests need Chromium, and skip without)
	@$(BIN)/python -m pytest $(SPREAD) $(ARGS)

faults: setup-dev ## the fault tests in full, a quarter of an hour; their figures go into docs/reliability.md
	rm -rf build/faults
	FAULTS=full $(BIN)/python -m pytest tests/faults --ignore=tests/faults/test_soak.py $(ARGS)
	$(BIN)/python -m tests.faults.table

soak: setup-dev ## half an hour at half of what it can take; the figures go into docs/reliability.md
	FAULTS=full $(BIN)/python -m pytest tests/faults/test_soak.py $(ARGS)
	$(BIN)/python -m tests.faults.table

check: setup-dev ## format, lint, strict types, the import law, and all tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/python -m pytest tests/test_house.py
	$(BIN)/python -m pytest $(SPREAD) $(ARGS)

data: setup ## get the films into the cache, so that the tests on real data run too
	@$(BIN)/python -c "from palate import datasets; datasets.load('movies')"

format: setup-dev ## put every file into the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup-dev ## pin the newest versions, with hashes, of everything in pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --group build $(LOCK) --upgrade -o requirements/dev.lock
	$(BIN)/uv pip compile pyproject.toml --extra data --extra dashboard --group build $(LOCK) -c requirements/dev.lock -o requirements/demo.lock

LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

clean: ## remove .venv and what the tools left behind
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis dist build
