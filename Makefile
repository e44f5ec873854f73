# Everything that a developer does with this project. `make help` lists it.
# Nothing is installed outside this folder: .tools holds uv, .venv what uv installs from the lock.

UV_VERSION := 0.13.9
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
export UV_SYSTEM_CERTS := 1
UV := .tools/bin/uv
UV_READY := .tools/uv-$(UV_VERSION)
BIN := .venv/bin

# Further words for the program behind a target: make test ARGS="-k search".
ARGS ?=
# Requests of `make fuzz` for each operation of the document.
FUZZ_EXAMPLES ?= 1000
# Where db/* run PostgreSQL: `embedded`, which comes with the package, or `podman`, in a container.
DB ?= embedded
DB_PORT ?= 5432
DB_IMAGE ?= postgres:18
DB_CONTAINER ?= hyperfleet-postgresql
# The password of the one in a container; the embedded one makes its own.
DB_PASSWORD := .run/db-password

# Whether this machine has the Node.js that development takes; without it PyPI's is installed.
NODE := node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20)' >/dev/null 2>&1

# The image: quay.io/openshift-hyperfleet/hyperfleet-api:latest, or what these say.
IMAGE_REGISTRY ?= quay.io/openshift-hyperfleet
IMAGE_NAME ?= hyperfleet-api
IMAGE_TAG ?= latest
CONTAINER_TOOL ?= podman
# A base image with glibc and Python; the Containerfile's own when unset.
IMAGE_BASE ?=
# Further words for the tool's build.
IMAGE_FLAGS ?=
# How long `make soak` goes on.
MINUTES ?= 60
COMMIT := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)

INTEGRATION := $(wildcard $(addprefix tests/,cli contract http services store))

.DEFAULT_GOAL := help
.PHONY: help image image-push image-dev run run-no-auth test test-integration fuzz lint generate examples bench drill soak docs binary db/setup db/login db/teardown clean

help: ## List what there is to make
	@awk -F ':.*## ' '/^[a-z][a-z\/-]*:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/.run ## Serve with authentication, and say where the token of a development issuer is
	@$(BIN)/python -m dev.issuer .run $(ARGS)
	@exec $(BIN)/hyperfleet-api serve --config .run/config.yaml $(ARGS)

run-no-auth: .venv/.run ## Serve API, health and metrics on ports 8000, 8083, 8080, without authentication
	@exec $(BIN)/hyperfleet-api serve --server-jwt-enabled=false $(ARGS)

test: .venv/.dev ## Run every test that this machine can run
	@.ci/missing
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

test-integration: .venv/.dev ## Run the tests that need the database, HTTP or the program itself
	$(BIN)/python -m pytest -n auto --dist worksteal $(INTEGRATION) $(ARGS)

fuzz: .venv/.dev ## Send many requests made from the document, live many made-up lives; FUZZ_EXAMPLES of each
	FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) LIVES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest -n auto --dist worksteal \
	  tests/contract/test_fuzz.py tests/services/test_lives.py $(ARGS)

lint: .venv/.dev ## Check style, format, types and the floors of the house
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

generate: .venv/.dev ## Compile typespec/ to the OpenAPI document and the models that follow from it
	$(BIN)/python -m typespec.generate $(ARGS)

examples: .venv/.dev ## Write typespec/examples.tsp anew, from answers of the service itself
	$(BIN)/python -m tests.contract.examples

bench: .venv/.dev ## Measure the service on this machine; ARGS=--write for docs/performance.md
	$(BIN)/python -m bench $(ARGS)

drill: .venv/.dev ## Break what may break at night: rolling restarts, failover, overload; ARGS=--write
	$(BIN)/python -m drills $(ARGS)

soak: .venv/.dev ## Load the service for MINUTES and see that nothing of it grows
	$(BIN)/python -m drills.soak $(MINUTES) $(ARGS)

docs: .venv/.dev ## Write the pages that follow from the code
	$(BIN)/python -m tests.house.pages

image: ## Build the image; IMAGE_TAG, IMAGE_REGISTRY, IMAGE_BASE, CONTAINER_TOOL
	@$(call require,$(CONTAINER_TOOL),name another tool: make $@ CONTAINER_TOOL=docker)
	$(CONTAINER_TOOL) build --file Containerfile --build-arg COMMIT=$(COMMIT) $(IMAGE_FLAGS) $(if $(IMAGE_BASE),--build-arg BASE=$(IMAGE_BASE)) \
	  --tag $(IMAGE_REGISTRY)/$(IMAGE_NAME):$(IMAGE_TAG) .

image-push: image ## Push it to its registry
	$(CONTAINER_TOOL) push $(IMAGE_REGISTRY)/$(IMAGE_NAME):$(IMAGE_TAG)

image-dev: ## Build and push it to one's own place: QUAY_USER=me make image-dev
	@test -n "$(QUAY_USER)" || { echo "Say whose place it is: QUAY_USER=me make image-dev" >&2; exit 1; }
	$(MAKE) image-push IMAGE_REGISTRY=quay.io/$(QUAY_USER) IMAGE_TAG=dev-$(COMMIT)

binary: hyperfleet-api ## Build ./hyperfleet-api, one file for machines with the same Python

db/setup: .venv/.run ## Start PostgreSQL on localhost:5432, database and user hyperfleet
ifeq ($(DB),podman)
	@$(call require,podman,leave out DB=podman: PostgreSQL comes with the package)
	@mkdir -p .run && umask 077 && { test -s $(DB_PASSWORD) || $(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(24))' >$(DB_PASSWORD); }
	POSTGRES_PASSWORD=$$(cat $(DB_PASSWORD)) podman run --detach --name $(DB_CONTAINER) --publish 127.0.0.1:$(DB_PORT):5432 \
	  --env POSTGRES_DB=hyperfleet --env POSTGRES_USER=hyperfleet --env POSTGRES_PASSWORD $(DB_IMAGE)
	@echo 'Its password is in $(DB_PASSWORD). The service takes it from:'
	@echo '  export HYPERFLEET_DATABASE_HOST=localhost HYPERFLEET_DATABASE_PORT=$(DB_PORT) HYPERFLEET_DATABASE_PASSWORD_FILE=$(DB_PASSWORD)'
else
	@$(BIN)/hyperfleet-api db start --port $(DB_PORT) $(ARGS)
endif

db/login: .venv/.run ## Open psql on it
ifeq ($(DB),podman)
	@$(call require,podman,leave out DB=podman)
	podman exec --interactive --tty $(DB_CONTAINER) psql -U hyperfleet hyperfleet
else
	@$(BIN)/hyperfleet-api db shell $(ARGS)
endif

db/teardown: .venv/.run ## Stop it; the embedded one keeps its data, a container's go with it
ifeq ($(DB),podman)
	@$(call require,podman,leave out DB=podman)
	podman rm --force --volumes $(DB_CONTAINER)
else
	@$(BIN)/hyperfleet-api db stop $(ARGS)
endif

clean: ## Remove what make made here; data of the embedded PostgreSQL stay
	rm -rf .tools .venv .run build typespec/node_modules tests/contract/client/node_modules tests/chart/operator/node_modules tests/browser/mermaid/node_modules hyperfleet-api .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The first interpreter in the supported range that really runs (a pyenv shim may exist and fail).
define find-python
for p in $(if $(PYTHON),"$(PYTHON)",python3 python3.14 python3.13 python3.12 python3.11); do \
  "$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' >/dev/null 2>&1 && break; p=; \
done; \
test -n "$$p" || { echo "$(if $(PYTHON),PYTHON=$(PYTHON) is not a Python 3.11 to 3.14 that runs.,Python 3.11 to 3.14 is needed; none found. Name one: make PYTHON=/path/to/python3)" >&2; exit 1; }
endef

# $(call require,PROGRAM,INSTEAD): says what to install, or to do instead, when the program is not there.
define require
command -v $(1) >/dev/null || { echo "$(1) is not installed. On Debian and Ubuntu: apt install podman. Or $(2)." >&2; exit 1; }
endef

# Everything that make installs lies in this folder.
define require-writable
test -w . || { echo "$(CURDIR) cannot be written to; make installs into .tools and .venv there. Use a checkout of your own." >&2; exit 1; }
endef

# Debian splits the standard library: without python3-venv there is no ensurepip, and pip may still be there.
$(UV_READY):
	@$(require-writable); $(find-python); rm -rf .tools; echo "Installing uv $(UV_VERSION) into .tools with $$p ..."; \
	"$$p" -m venv .tools >/dev/null 2>&1 || { rm -rf .tools; "$$p" -m venv --without-pip .tools && "$$p" -m pip --python .tools/bin/python --version >/dev/null 2>&1 && pip="$$p -m pip --python .tools/bin/python"; } || \
	  { rm -rf .tools; echo "$$p has neither ensurepip nor pip. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	$${pip:-.tools/bin/python -m pip} install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

# --inexact: what development installed stays.
.venv/.run: $(UV_READY) pyproject.toml uv.lock
	@$(require-writable)
	@echo "Installing the service into .venv, PostgreSQL included ..."
	@$(UV) sync --quiet --frozen --no-dev --inexact --python .tools/bin/python
	@touch $@

.venv/.dev: $(UV_READY) pyproject.toml uv.lock
	@$(require-writable)
	@echo "Installing the service and what its development needs into .venv ..."
	@$(UV) sync --quiet --frozen --group binary $$($(NODE) || echo --group node) --python .tools/bin/python
	@touch $@ .venv/.run .venv/.binary

.venv/.binary: $(UV_READY) pyproject.toml uv.lock
	@$(require-writable)
	$(UV) sync --quiet --frozen --no-dev --group binary --inexact --python .tools/bin/python
	@touch $@ .venv/.run

# From the lock, so that the file holds what was tested.
hyperfleet-api: .venv/.binary packaging/preamble.py $(shell find src -type f -not -name '*.pyc')
	@rm -rf build/binary
	$(UV) export --quiet --frozen --no-dev --no-emit-project --output-file build/binary/requirements.txt
	$(UV) pip install --quiet --python $(BIN)/python --target build/binary/site --require-hashes -r build/binary/requirements.txt
	$(UV) pip install --quiet --python $(BIN)/python --target build/binary/site --no-deps .
	@"$(BIN)/python" -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}")' > build/binary/python
	$(BIN)/shiv --site-packages build/binary/site --entry-point hyperfleet.cli.commands:main \
	  --preamble packaging/preamble.py --root '~/.cache/hyperfleet-api' --compressed --reproducible \
	  --python "/usr/bin/env python$$(cat build/binary/python)" --output-file $@
