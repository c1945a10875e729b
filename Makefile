# Thin: what there is to do is in .ci/. Every target sets up what it needs and finds it done the second time.
PYTHON_BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup image demo test test-fast lint format bench soak lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## everything this machine needs: Python environment, programs, Docker Engine, image
	@.ci/setup

image: ## only the image that steps run in
	@.ci/setup python engine image

demo: setup ## run the example plan over the example project
	@.ci/demo

lint: ## ruff, mypy --strict, import contracts, buf over proto/
	@.ci/setup python node
	@.ci/lint

format: ## put the code into the house's form
	@.ci/setup python
	@$(PYTHON_BIN)/ruff check --fix-only --quiet .
	@$(PYTHON_BIN)/ruff format --quiet .

test: setup ## lint, then the whole suite against the real engine
	@.ci/setup node testing
	@.ci/lint
	@$(PYTHON_BIN)/pytest

test-fast: ## tests that need no engine
	@.ci/setup python node
	@$(PYTHON_BIN)/pytest -m "not docker"

bench: setup ## measure; figures in docs/benchmarks.md
	@.ci/setup measuring
	@.ci/bench

soak: setup ## kill the controller 500 times at random; figures in docs/soak.md
	@.ci/soak

lock: ## newer versions into the lock files
	@.ci/setup python node
	@.ci/lock

clean: ## remove what was made in this tree (images and state stay: sandstone gc, docker image rm)
	@rm -rf .venv .build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@rm -rf .ci/node/node_modules examples/node-client/node_modules
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
