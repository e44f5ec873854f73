# The one entry point: `make help` lists the targets. Python 3.11 to 3.14 and make are all that is needed; everything
# else is installed below .tools and .venv on the first call.

UV_VERSION := 0.13.9
# uv reads no configuration of pip's, and by itself trusts only the authorities that it brings along.
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
export UV_SYSTEM_CERTS := 1
UV := .tools/bin/uv
PYTHON_IN_VENV := .venv/bin/python
PROGRAM := .venv/bin/hyperfleet-api
SOURCES := $(shell find src -name '*.py')
PROCESSES ?= 2

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run-no-auth test test-integration lint docs binary db/setup db/login db/teardown bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z\/-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

# The first interpreter in the supported range that really runs (a version manager's shim may exist and fail).
define find-python
for p in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
  "$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' >/dev/null 2>&1 && break; p=; \
done; \
test -n "$$p" || { echo "Python 3.11 to 3.14 is needed; none found. Name one: make PYTHON=/path/to/python3" >&2; exit 1; }
endef

# uv has an environment of its own: installed into .venv, its own sync would remove it. Where Debian's python3-venv is
# missing, `venv` fails and leaves a half environment; pip from outside can still fill one made without pip.
$(UV): Makefile
	@$(find-python); rm -rf .tools; \
	if "$$p" -m venv .tools >/dev/null 2>&1; then pip=".tools/bin/python -m pip"; else \
	  rm -rf .tools; pip="$$p -m pip --python .tools/bin/python"; \
	  "$$p" -m venv --without-pip .tools && $$pip --version >/dev/null 2>&1 || \
	    { rm -rf .tools; echo "$$p has neither ensurepip nor pip. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	fi; \
	$$pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

# --inexact: a developer's tools stay where they are installed.
.venv/.run: $(UV) pyproject.toml uv.lock
	@$(UV) sync --quiet --frozen --no-dev --inexact --python .tools/bin/python
	@touch $@

.venv/.dev: $(UV) pyproject.toml uv.lock
	@$(UV) sync --quiet --frozen --inexact --python .tools/bin/python
	@touch $@ .venv/.run

run-no-auth: .venv/.run ## serve without authentication, on the embedded PostgreSQL
	@exec $(PROGRAM) serve --server-jwt-enabled=false

test: .venv/.dev ## run every test
	$(PYTHON_IN_VENV) -m pytest -n $(PROCESSES) -q $(ARGS)

test-integration: .venv/.dev ## run the tests that need the database or real processes
	$(PYTHON_IN_VENV) -m pytest -n $(PROCESSES) -q tests/store tests/services tests/http tests/cli $(ARGS)

lint: .venv/.dev ## check style, types and floors
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

docs: .venv/.dev ## write the pages that are made from the code's tables
	@for page in search_tables test_errors_docs test_settings_docs test_metrics_docs; do \
	  $(PYTHON_IN_VENV) -m tests.house.$$page || exit 1; \
	done

binary: hyperfleet-api ## build ./hyperfleet-api, one file that needs only the same Python

# It unpacks itself once, below ~/.shiv (SHIV_ROOT names another place).
hyperfleet-api: $(UV) pyproject.toml uv.lock $(SOURCES)
	@rm -rf build/binary && mkdir -p build/binary
	@$(UV) export --quiet --frozen --no-dev --no-emit-project --output-file build/binary/requirements.txt
	@$(UV) pip install --quiet --python .tools/bin/python --target build/binary/site --requirements build/binary/requirements.txt
	@$(UV) pip install --quiet --python .tools/bin/python --target build/binary/site --no-deps .
	@$(UV) sync --quiet --frozen --no-dev --inexact --group binary --python .tools/bin/python
	@minor=$$(.tools/bin/python -c 'import sys; print(".".join(map(str, sys.version_info[:2])))') && \
	  .venv/bin/shiv --site-packages build/binary/site --console-script hyperfleet-api --python "/usr/bin/env python$$minor" --output-file $@

db/setup: .venv/.run ## start the embedded PostgreSQL on localhost:5432
	@$(PROGRAM) db start --port 5432

db/login: .venv/.run ## open psql on it
	@$(PROGRAM) db shell

db/teardown: .venv/.run ## stop it; the data stay
	@$(PROGRAM) db stop

bench: .venv/.dev ## measure; needs wrk
	$(PYTHON_IN_VENV) -m bench $(ARGS)

clean: ## remove what was built and installed here
	rm -rf .venv .tools build dist hyperfleet-api .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
