# Everything a contributor runs. Each target prepares what it needs: see scripts/setup.sh.

.DEFAULT_GOAL := help
.PHONY: help setup demo anomaly run test quick-test cluster-test mutants check fix native wheel clean

BIN := .venv/bin

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what a run needs: system packages if missing, and .venv
	@scripts/setup.sh run

demo: setup ## Break a dqlite cluster that survives it: 5 nodes, 30 s of faults
	$(BIN)/dissever test dqlite --workload register --consistency quorum \
		--faults partition,kill,pause --nodes 5 --rate 400 --time-limit 30

ANOMALY := $(BIN)/dissever test dqlite --workload register --consistency leader \
	--faults deposed-leader --rate 300 --fault-interval 8 --time-limit 40

anomaly: setup ## Make a deposed leader answer with the past; the run must find it
	@echo "$(ANOMALY)"; $(ANOMALY); status=$$?; \
	if [ $$status -ne 1 ]; then echo "expected exit status 1, invalid; got $$status" >&2; exit 1; fi; \
	echo "Exit status 1, as expected: the history is invalid."

run: setup ## Run dissever: make run ARGS="doctor"
	$(BIN)/dissever $(ARGS)

# A process for each core; one of them runs all tests that start nodes, one after the other.
PYTEST := $(BIN)/pytest -n auto

test: setup-test ## Run all tests: make test ARGS="-k register"
	$(PYTEST) $(ARGS)

quick-test: setup-test ## Run the tests that start no nodes and open no browser
	$(PYTEST) -m "not cluster and not browser and not mutants" $(ARGS)

cluster-test: setup-test ## Run the tests that start real nodes
	$(BIN)/pytest -m cluster $(ARGS)

mutants: setup-test ## Break the harness on purpose in many ways: a test must notice each
	$(BIN)/pytest tests/mutants $(ARGS)

check: setup ## Lint and type-check; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict -p dissever -p dqlite

fix: setup ## Lint and format, changing files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

native: setup ## Build the C code into native/
	$(BIN)/python native/build.py

wheel: setup ## Build a source distribution and a wheel into dist/
	rm -rf build dist
	$(BIN)/python -m build --no-isolation

clean: ## Remove what was built and the caches; keeps .venv and runs/
	rm -rf build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache native/_*.so native/faultfs/faultfs
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

.PHONY: setup-test
setup-test:
	@scripts/setup.sh test
