# Debian packages: make git curl python3 python3-venv (Python 3.11). Go is optional: tests against MinIO need it.
export PYTHON ?= python3
UV := scripts/uv.sh
BIN := .venv/bin
DRAIN_S ?= 20
WORKERS ?= 3
VARIANT ?= cpu
# Compiled modules are kept, whatever the environment says: tests start some hundred processes, each of which would
# compile all that it imports.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --durations 25

.DEFAULT_GOAL := help
# Optional, for the JavaScript client, the page and the Kotlin client: Debian packages nodejs npm chromium maven
# (Node 20.10 or newer: Debian 13).
JS := $(if $(shell command -v npm),clients/js/node_modules/ready)
# Built before the tests begin: beside them it takes longer than a test may wait.
MINIO := $(if $(shell command -v go),minio)

.PHONY: help setup serve demo bento image test test-quick test-deploy lint format proto lock minio tools bench clean js kotlin screenshots

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: .venv/ready ## Set up .venv from the lock file

.venv/ready: requirements.lock clients/python/pyproject.toml
	$(UV) venv --quiet --allow-existing --python 3.11 .venv
	$(UV) pip sync --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable clients/python
	ln -sf ../../scripts/bonafide-scan $(BIN)/bonafide-scan
	touch $@

# What test processes import, compiled once, in two halves: workers that begin together would each compile it all.
IMPORT_ALL := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m scripts.import_all
.venv/compiled: .venv/ready
	$(IMPORT_ALL) lab models sklearn.metrics torchaudio & \
	$(IMPORT_ALL) bonafide scan benchmarks scripts bonafide_client _pytest.pytester hypothesis playwright.sync_api xdist.plugin \
	  && wait $$!
	touch $@

serve: setup ## Serve both detectors: HTTP on 3000, gRPC on 50051 and 50052
	$(BIN)/python -m scripts.serve --timeout-graceful-shutdown $(DRAIN_S)

demo: setup ## Serve, judge the samples over gRPC and HTTP, and stop
	$(BIN)/python -m scripts.demo

bento: setup ## Build the Bento (VARIANT=cpu|cuda|scan|scan-cuda); VOICE= and FACE= put models in (a folder, .pth, bento:tag, hub id)
	$(BIN)/python -m scripts.bento --variant $(VARIANT) --voice "$(VOICE)" --face "$(FACE)"

image: setup ## Build the Bento and its image (VARIANT=cpu|cuda|both|scan|scan-cuda, VOICE, FACE; more: see scripts/image.sh)
	VARIANT="$(VARIANT)" VOICE="$(VOICE)" FACE="$(FACE)" scripts/image.sh

# Three workers for two cores, since many a test waits, and each imports all of them first. Tests that hold a running
# service to times run alone, at the end.
define run_tests
@began=$$(date +%s); \
$(PYTEST) -m "$(1)" --numprocesses $(WORKERS) --max-worker-restart 0 --dist loadgroup --no-loadscope-reorder && \
echo "All tests passed in $$(($$(date +%s) - began)) s."
endef

test: setup .venv/compiled $(JS) $(MINIO) ## Run all tests but those of test-deploy
	$(call run_tests,not deploy)

test-quick: setup .venv/compiled $(JS) $(MINIO) ## Run the tests that take less than a few seconds each
	$(call run_tests,not slow and not deploy)

test-deploy: setup tools ## Test image, network namespaces, nginx and more; as root, see docs/deploy.md for what it needs
	$(PYTEST) -m deploy
	deploy/test-image.sh

lint: setup ## Check style, types and the wire contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/buf lint proto
	$(BIN)/buf breaking proto --against tests/proto/legacy

format: setup ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clients/js/node_modules/ready: clients/js/package-lock.json
	cd clients/js && npm ci --silent --no-audit --no-fund && touch node_modules/ready \
	  || echo "npm could not fetch TypeScript: the tests that need it are skipped"

js: clients/js/node_modules/ready ## Compile the JavaScript client, for the page too (needs Node and npm)
	cd clients/js && npm run --silent build && npm run --silent page && npm run --silent check

kotlin: ## Compile the Kotlin client, and fetch what its test needs (needs Maven and a JDK)
	cd clients/kotlin && mvn --batch-mode --quiet test-compile exec:java && touch target/fetched

proto: setup ## Generate the protobuf stubs of the service and the clients (those for Go need Go)
	$(BIN)/python proto/generate.py
	if command -v go >/dev/null; then $(BIN)/python proto/generate_go.py; else echo "no Go: its stubs stay as they are"; fi

# One resolution: what the images have are parts of what a developer has.
lock: LOCK = $(UV) pip compile pyproject.toml --python-version 3.11 --generate-hashes --no-header --quiet
lock: ## Resolve the pinned versions anew
	$(LOCK) --group torch --group postgresql --group scan --group cluster --group dev --group training -o requirements.lock
	$(LOCK) --constraint requirements.lock --no-annotate -o deploy/image/requirements-cpu.lock
	$(LOCK) --constraint requirements.lock --no-annotate --group torch -o deploy/image/requirements-cuda.lock
	$(LOCK) --constraint requirements.lock --no-annotate --group scan --group cluster -o deploy/image/requirements-scan.lock
	$(LOCK) --constraint requirements.lock --no-annotate --group scan --group cluster --group torch -o deploy/image/requirements-scan-cuda.lock
	$(UV) pip compile benchmarks/peer_servers/requirements.in --constraint requirements.lock --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet -o benchmarks/peer_servers/requirements.lock

tools: ## Build Helm and the loader of compose files into the user's cache (needs Go); without them their tests are skipped
	scripts/helm.sh
	scripts/compose_go.sh

screenshots: setup ## Take the pictures of the page in docs/ (needs Chromium)
	$(BIN)/python -m scripts.screenshots $(if $(VOICE),--voice "$(VOICE)")

minio: ## Build the pinned MinIO that the tests use (needs Go)
	scripts/minio.sh

bench: setup ## Measure the engines and the service (tables of docs/performance.md)
	$(BIN)/python -m benchmarks.engines
	$(BIN)/python -m benchmarks.serve
	$(BIN)/python -m benchmarks.live

clean: ## Remove .venv and what tests leave
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
