# make demo    a function on Lambda's own emulator: what becomes of its traces, with the official SDK and with this
# make quick   the tests for every day, in less than a minute
# make test    every test          (make test WORKERS=0 PYTEST_ARGS="-k budget -x")
# make check   linters and types, and whether GitHub and Renovate would understand what is for them
# make wheel-test   some tests on the wheels, in empty environments, under each Python that is here
# make newer-test  the same under Python 3.14 and 3.15 of Debian's next suite, which root installs with ZESPAN_TEST_SYSTEM=1
# make docs    the documentation site, in build/site/html; make docs-serve shows it on http://127.0.0.1:8000/
# make bench   the package beside other telemetry SDKs: docs/benchmarks.md (make bench BENCH_ARGS="--scale 0.1")
# make clean   delete everything that the other targets have built
#
# Another Python needs its own environment: make test PYTHON=python3.13 VENV=.venv313

VENV ?= .venv
PYTEST ?= pytest
PYTEST_ARGS ?=
BENCH_ARGS ?=
# Parallel processes. More than cores, because most tests wait rather than compute.
WORKERS ?= 5

# Azure's worker uses this library from Python 3.13 on. It declares that version, but runs on 3.11 and 3.12, too.
AZURE_WORKER := azure-functions-runtime==1.3.0 azure-functions-runtime-v1==1.2.0

# python3 if it is new enough, else the newest version. Each candidate is run, because a pyenv shim may lead nowhere.
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
endif

export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Vercel's runtime needs Python 3.12: on an older one its tests use an environment of their own, if there is a newer.
NEWER := $(shell for python in python3.12 python3.13 python3.14 ~/.pyenv/versions/3.1[2-9].*/bin/python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && echo $$python && break; done)

.PHONY: demo quick test check wheel-test newer newer-test docs docs-serve bench clean environments hosts

demo: $(VENV)/.local
	@$(VENV)/bin/python -m zespan_serverless_dev.demo

# Hundreds of processes import the same packages, which takes three times as long without bytecode: it is written even
# where the environment forbids it.
quick test $(VENV)/.bytecode: export PYTHONDONTWRITEBYTECODE =

# Each process imports all test files first, which takes seconds of CPU: fewer processes are faster here.
quick: WORKERS = 4
quick: $(VENV)/.dev
	@$(VENV)/bin/python -m zespan_serverless_dev.emulator.binary >/dev/null
	$(VENV)/bin/python -m pytest -n $(WORKERS) --dist worksteal --quick $(PYTEST_ARGS)

# What `make test` runs in. They may be made side by side: make -j environments
environments: $(VENV)/.dev .venv-sam/.installed .venv-vercel/.installed $(VENV)/.environments

# What the tests run on.
hosts: environments $(VENV)/.bytecode
	@$(VENV)/bin/python -m zespan_serverless_dev.emulator.binary >/dev/null
	@$(VENV)/bin/python -m tools.docker
	@$(VENV)/bin/python -m tools.chromium

test: hosts
	$(VENV)/bin/python -m $(PYTEST) -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=15 $(PYTEST_ARGS)

check: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python
	$(VENV)/bin/zizmor --offline --quiet --persona pedantic .github
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.renovate renovate.json

wheel-test newer-test: export PYTHONDONTWRITEBYTECODE =

wheel-test: $(VENV)/.dev
	$(VENV)/bin/python -m tools.wheels build
	$(VENV)/bin/python -m tools.wheels test

# Python 3.14 and 3.15, where Debian's next suite may be installed.
newer: $(VENV)/.dev
	@$(VENV)/bin/python -m tools.pythons

newer-test: newer
	$(VENV)/bin/python -m tools.wheels build
	$(VENV)/bin/python -m tools.wheels test --newer

docs: $(VENV)/.docs
	$(VENV)/bin/python -m tools.site

docs-serve: $(VENV)/.docs
	$(VENV)/bin/python -m tools.site serve

# On a machine that does nothing else. The functions' packages are installed once, beside the environment.
bench: $(VENV)/.dev
	@$(VENV)/bin/python -m zespan_serverless_dev.emulator.binary >/dev/null
	$(VENV)/bin/python -m tools.bench $(BENCH_ARGS)

clean:
	rm -rf build/site dist $(VENV) .venv-sam .venv-vercel .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/pyvenv.cfg:
	$(if $(PYTHON),,$(error Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=/path/to/python))
	$(PYTHON) -m venv $(VENV)

# uv takes a tenth of pip's time, but does not read pip's configuration. pip knows dependency groups from 25.1 on.
define install
	$(VENV)/bin/python -m uv pip install --quiet --python $(1) $(2) || { \
		$(1)/bin/python -m pip install --quiet 'pip>=25.1' && $(1)/bin/python -m pip install --quiet $(2); }
endef

$(VENV)/.uv: $(VENV)/pyvenv.cfg
	$(VENV)/bin/python -m pip install --quiet uv
	@touch $@

$(VENV)/.local: $(VENV)/.uv pyproject.toml dev/pyproject.toml
	$(call install,$(VENV),--editable . --editable ./dev 'openai>=1.50' zespan==1.6.1)
	@touch $@

$(VENV)/.docs: $(VENV)/.uv pyproject.toml
	$(call install,$(VENV),--editable . --group docs)
	@touch $@

$(VENV)/.dev: $(VENV)/.uv pyproject.toml dev/pyproject.toml
	$(call install,$(VENV),--editable . --editable ./dev --group dev)
	$(VENV)/bin/python -m pip install --quiet --no-deps --ignore-requires-python $(AZURE_WORKER)
	@touch $@

# The SAM CLI has an environment of its own, because it pins many dependencies. The first pip command checks the hash of
# the CLI itself, the second installs its dependencies.
.venv-sam/.installed: dev/zespan_serverless_dev/emulator/sam-cli.txt
	$(if $(PYTHON),,$(error Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=/path/to/python))
	$(PYTHON) -m venv .venv-sam
	.venv-sam/bin/python -m pip install --quiet --no-deps --requirement dev/zespan_serverless_dev/emulator/sam-cli.txt
	.venv-sam/bin/python -m pip install --quiet aws-sam-cli
	@touch $@

# One process compiles what all test files import. Otherwise each of those that run them would, at the same time.
$(VENV)/.bytecode: $(VENV)/.dev
	@$(VENV)/bin/python -m pytest --collect-only --quiet >/dev/null || true
	@touch $@

# Packages that need different versions of the same dependencies, each in an environment of its own.
$(VENV)/.environments: $(VENV)/.dev tests/environments.py
	$(VENV)/bin/python -m tests.environments
	@touch $@

.venv-vercel/.installed: $(VENV)/.uv pyproject.toml
	$(if $(NEWER),$(NEWER) -m venv .venv-vercel,mkdir -p .venv-vercel)
	$(if $(NEWER),$(call install,.venv-vercel,--editable . --group vercel))
	@touch $@
