# `make` alone lists what there is. Needs Python >= 3.11 and make; everything else is installed into .venv.

# The first Python that is new enough; `make PYTHON=/path/to/python3.12 …` chooses another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
SOURCES := pyproject.toml uv.lock producer/pyproject.toml worker/pyproject.toml simulator/pyproject.toml \
	devstack/pyproject.toml
PACKAGES := producer/src/wanimate worker/src/wanimate_worker simulator/src/wanimate_simulator \
	devstack/src/wanimate_devstack
# Where words are checked for misspellings.
WORDS := README.md CHANGELOG.md CONTRIBUTING.md docs deploy producer worker simulator devstack benchmarks tests
# What the benchmark measures beside Wanimate, and how large it is: short or full; ONLY="peers scale" chooses scenarios.
PEERS := build/peers-venv
PROFILE ?= short
ONLY ?=
# Where the documentation site is served: the switcher of its versions links from there.
SITE_PATH ?= /
# Test files that run beside each other, for most of a test is waiting; TESTS_AT_ONCE=0 runs one after the other.
TESTS_AT_ONCE ?= 3
BESIDE := --numprocesses $(TESTS_AT_ONCE) --dist loadfile --no-loadscope-reorder
export UV_PROJECT_ENVIRONMENT := $(CURDIR)/.venv

.DEFAULT_GOAL := help
.PHONY: help setup demo up test test-fast test-containers test-failover test-lowest test-newest lint audit format bench bench-full bench-smoke bench-planner bench-webhooks chaos \
	chaos-short docs site dist clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-15s %s\n", $$1, $$2 }'

setup: .venv/.ready ## install everything into .venv

.venv/.ready: $(SOURCES)
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer is needed; name one with make PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
		{ rm -rf .venv; echo "make: this Python cannot make virtual environments (on Debian: apt install python3-venv)" >&2; exit 1; }
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@echo "installing into .venv, which takes a minute or two …"
	@# With bytecode: commands start in half the time, also where PYTHONDONTWRITEBYTECODE is set.
	@$(BIN)/uv sync --quiet --frozen --compile-bytecode
	@$(BIN)/python -m compileall -q $(PACKAGES)
	@touch $@

demo: setup ## 40 jobs through the whole stack, with a simulated vendor
	@$(BIN)/wanimate-devstack demo

up: setup ## the whole stack until Ctrl-C; on the vendor if WANIMATE_API_KEY is set
	@$(BIN)/wanimate-devstack up

test: setup ## all tests that need no Docker
	@$(BIN)/pytest -m "not failover and not containers" $(BESIDE)

test-lowest: setup ## part of the tests, with the lowest allowed dependencies
	@.ci/bounds lowest-direct

test-newest: setup ## the same with the newest dependencies
	@.ci/bounds highest

test-failover: setup ## fail-over tests with Sentinel, some minutes
	@$(BIN)/pytest -m failover tests/integration/test_failover.py

test-containers: setup ## build the images and run the composition, some minutes; needs Docker
	@$(BIN)/pytest -m containers tests/containers

test-fast: setup ## unit tests, under a minute
	@$(BIN)/pytest -m "not integration and not slow" tests/contract tests/worker tests/simulator tests/ledger $(BESIDE)

lint: setup ## style, types, import rules and spelling
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(PACKAGES)
	@$(BIN)/lint-imports
	@$(BIN)/codespell $(WORDS)

audit: setup ## known vulnerabilities of the locked dependencies; needs the internet
	@$(BIN)/python .ci/audit.py

format: setup ## format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup $(PEERS)/.ready ## compare Wanimate with Celery, arq, dramatiq, SAQ and a script, 12 minutes
	@$(BIN)/python benchmarks/bench.py --profile $(PROFILE) $(addprefix --only ,$(ONLY))

bench-full: ## the same at full size, about an hour
	@$(MAKE) bench PROFILE=full

# An environment of its own: the peers need other versions than the product, and nothing else needs them.
$(PEERS)/.ready: benchmarks/peers/pyproject.toml benchmarks/peers/uv.lock | .venv/.ready
	@echo "installing the peers into $(PEERS) …"
	@UV_PROJECT_ENVIRONMENT=$(CURDIR)/$(PEERS) $(BIN)/uv sync --quiet --frozen --project benchmarks/peers --python $(BIN)/python
	@touch $@

bench-smoke: setup ## 3,000 jobs over 200 slots; fails if a figure is wrong
	@$(BIN)/python benchmarks/bench.py --only smoke --report build/reports/bench-smoke.json

bench-planner: setup ## compute what polling can reach: the tables of docs/polling.md
	@$(BIN)/python benchmarks/planner.py

bench-webhooks: setup ## delay of webhooks with 200 receivers, and with 20 of them dead
	@$(BIN)/python benchmarks/webhooks.py

chaos: setup ## kill, freeze and restart everything; compare with the simulator's ground truth
	@PYTHONPATH=tests/support $(BIN)/python tests/chaos/run.py

chaos-short: setup ## the same in about five minutes
	@PYTHONPATH=tests/support $(BIN)/python tests/chaos/run.py --short --mode polling --seed 1
	@PYTHONPATH=tests/support $(BIN)/python tests/chaos/run.py --short --mode callbacks --seed 2

docs: setup ## generate the reference pages and alerts
	@$(BIN)/wanimate-worker settings > docs/reference/settings.md
	@$(BIN)/wanimate-worker failure-codes > docs/reference/failure-codes.md
	@$(BIN)/python deploy/monitoring/kubernetes/make_prometheus_rule.py

site: setup ## the documentation as a site in build/site; fails on a broken link
	@$(BIN)/python docs/site/build.py --path $(SITE_PATH)

dist: setup ## the files of a release: wheels, SBOM, checksums
	@$(BIN)/python .ci/dist.py

clean: ## remove what was installed and built
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
