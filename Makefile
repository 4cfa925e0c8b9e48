# One door to everything that is done here. Each target prepares what it needs; `make` alone lists them.
SHELL := bash
.DEFAULT_GOAL := help
export UV_PYTHON_DOWNLOADS := never
# Where it is set, each of the hundreds of processes that tests and drills start would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
READY := .venv/.ready
MEMBERS := $(wildcard core/pyproject.toml plugins/*/pyproject.toml examples/*/pyproject.toml)

BENCH ?= inbound
DRILL ?= kill
STORE ?= sqlite
KILLS ?= 20
TESTS ?=
# Half of the time is waiting, for servers and for what is said to come late: four workers keep two cores busy.
WORKERS := -n 4 --dist loadfile --no-loadscope-reorder

# What the type checker reads: every folder of code that holds a Python file by now.
TYPED = $(foreach dir,$(wildcard core/src core/tests plugins/*/src plugins/*/tests\
	examples/*/src examples/*/tests conftest.py tests benchmarks drills),\
	$(if $(shell find $(dir) -name '*.py' -print -quit),$(dir)))

.PHONY: help env run test check rules format lint types layers generated docs servers fix bench drill

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

env: $(READY) ## the environment in .venv: the system's Python, uv, all members editable, the tools

$(READY): constraints.txt pyproject.toml $(MEMBERS) scripts/prepare
	@scripts/prepare
	@touch $@

run: $(READY) ## the demo: one customer's mail comes in, and you answer it
	@$(BIN)/fernamt demo

test: $(READY) servers ## every test, the fast ones first  [TESTS=path]
	@$(BIN)/pytest $(or $(TESTS),$(WORKERS))

# A desk may lack a server (its tests are then skipped, with the reason); CI may not. While they are installed one process
# compiles what the tests import: otherwise each worker would, at the same time.
servers: $(READY)
	@if [ "$$CI" = true ]; then \
	    $(BIN)/pytest --collect-only -qq $(TESTS) >/dev/null 2>&1 & \
	    scripts/servers; failed=$$?; wait; exit $$failed; \
	fi

check: $(READY) ## format, lint, types, layers and documentation, in under a minute
	@$(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync=target types docs format lint layers generated

format:
	@$(BIN)/ruff format --check

lint:
	@$(BIN)/ruff check

types:
	@$(BIN)/mypy $(TYPED)

# Without its cache: that keeps the imports of a file whose neighbours have moved since.
layers:
	@$(BIN)/lint-imports --no-cache

generated:
	@if [ -x scripts/generate ]; then $(BIN)/python scripts/generate --check; fi

# A page that was read with a warning is read again: what was kept of it would hide the warning from the next run.
docs: $(READY) ## the documentation as a site, in docs/_build/html
	@$(BIN)/sphinx-build -W --keep-going -q -d docs/_build/pages docs docs/_build/html || { rm -rf docs/_build/pages; exit 1; }

fix: $(READY) ## let the formatter and the linter mend what they can
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

rules: $(READY) ## every rule of the conformance kit on every mutant; the last line is JSON
	@scripts/rules

bench: $(READY) ## one benchmark; the last line is JSON  [BENCH=inbound]
	@$(BIN)/python benchmarks/$(BENCH).py

drill: $(READY) ## one drill; the last line is JSON  [DRILL=kill STORE=sqlite KILLS=20]
	@$(BIN)/python drills/$(DRILL).py --store $(STORE) --kills $(KILLS)
