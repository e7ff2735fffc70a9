.DEFAULT_GOAL := help
.PHONY: help demo test lint format setup mobile lock clean
export BAG VIDEO CAMERA DURATION BUNDLE OUT PYTHON

help: ## show this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

demo: ## a drive through the node, then a report (BAG=path, VIDEO=path or CAMERA=/topic for your own; BUNDLE=, OUT=)
	@scripts/setup.sh demo
	@scripts/demo.sh

test: ## lint and all tests (ARGS="-k name" goes to pytest)
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory lint
	@scripts/run.sh scripts/test.sh $(ARGS)

lint: ## ruff and mypy
	@scripts/setup.sh test
	@scripts/run.sh ruff check .
	@scripts/run.sh ruff format --check .
	@scripts/run.sh mypy

format: ## let ruff put the code in shape
	@scripts/setup.sh test
	@scripts/run.sh ruff check --fix .
	@scripts/run.sh ruff format .

setup: ## everything for work on the code, into .venv (PYTHON= chooses the interpreter)
	@scripts/setup.sh test

mobile: ## ExecuTorch and LiteRT in an environment of their own, and the tests of exports to them
	@scripts/mobile.sh $(ARGS)

lock: ## take the newest versions into the constraints files (needs uv)
	@scripts/lock.sh

clean: ## remove .venv and everything that commands wrote
	rm -rf .venv .venv-* build install log .mypy_cache .ruff_cache *.egg-info
