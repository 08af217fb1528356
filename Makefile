# Everything a developer or CI runs. Each target sets up what it needs; nothing is installed outside this folder.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3.12 python3.13 python3.11 python3; do \
  "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
WEB := dashboard/web
SERVERS := .servers
STATIC := dashboard/server/src/repack_dashboard/static
# What another tool put into the environment must not change what is installed here.
CLEAN := env -u PIP_FIND_LINKS -u PIP_REQUIRE_VIRTUALENV -u VIRTUAL_ENV -u PYTHONPATH
WEB_SOURCES := $(shell find $(WEB)/src $(WEB)/public -type f 2>/dev/null) \
  $(wildcard $(WEB)/index.html $(WEB)/vite.config.ts $(WEB)/tsconfig.json)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(VENV)/.ready $(STATIC)/index.html ## Make .venv and the web build inside this folder

$(VENV)/.ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "dify-repack needs Python 3.11 or newer; install it, or say make PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(CLEAN) $(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -oE '^uv==[^ ;]+' requirements.lock)"
	@$(CLEAN) $(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(CLEAN) $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(WEB)/node_modules/.ready: $(WEB)/package-lock.json
	@command -v npm >/dev/null || { echo "the page needs Node.js 20 or newer with npm; install it and run make again" >&2; exit 1; }
	@cd $(WEB) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(STATIC)/index.html: $(WEB)/node_modules/.ready $(WEB_SOURCES)
	@cd $(WEB) && npm run --silent build
	@touch $@

# Programs that tests talk to, apart from .venv, because what they need is older than what we need.
$(SERVERS)/.ready: tests/servers.lock $(VENV)/.ready
	@$(CLEAN) $(BIN)/uv venv --quiet --clear --python $(BIN)/python $(SERVERS)
	@$(CLEAN) $(BIN)/uv pip sync --quiet --python $(SERVERS)/bin/python --require-hashes tests/servers.lock
	@touch $@

.PHONY: servers
servers: $(SERVERS)/.ready ## Install the S3 server that tests talk to into .servers

.PHONY: demo
demo: setup ## Repackage an example plugin without a cluster, and watch it in the browser
	@$(BIN)/python scripts/demo.py

.PHONY: test
test: setup servers ## Run every test: unit, conformance, integration, web, browser
	@cd $(WEB) && npm run --silent test
	@$(BIN)/python -m pytest

.PHONY: lint
lint: setup ## Check style, types and the direction of imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@cd $(WEB) && npm run --silent check && npm run --silent size

.PHONY: generate
generate: $(VENV)/.ready $(WEB)/node_modules/.ready ## Write the generated files: CRD, OpenAPI, TypeScript types, tables of README
	@$(BIN)/python scripts/generate.py --write
	@cd $(WEB) && npm run --silent types

.PHONY: lock
lock: $(VENV)/.ready ## Resolve the Python dependencies anew into requirements.lock
	@$(CLEAN) $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes \
	  --upgrade pyproject.toml -o requirements.lock
	@$(CLEAN) $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-annotate --no-header tests/servers.in -o tests/servers.lock
	@$(MAKE) --no-print-directory image-locks

.PHONY: image-locks
image-locks: $(VENV)/.ready ## Take from requirements.lock what each image installs, into images/*.lock
	@for part in operator worker dashboard; do \
	  $(CLEAN) $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra $$part --generate-hashes \
	    $$([ $$part = operator ] || echo "--extra objectstore") --constraint requirements.lock --no-annotate --no-header pyproject.toml -o images/$$part.lock; \
	done
	@$(CLEAN) $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --constraint images/worker.lock images/build.in -o images/build.lock

# How an image is built and given to the cluster: `$(IMAGE_BUILD) TAG CONTEXT --target TARGET`. Empty: they are there already.
TEST_CLUSTER := $(wildcard ../shared/cluster/cluster)
IMAGE_BUILD ?= $(if $(TEST_CLUSTER),$(TEST_CLUSTER) build)
E2E_TAG ?= e2e

.PHONY: e2e-images
e2e-images: ## Build the images under test and give them to the cluster
	@$(if $(IMAGE_BUILD),for part in operator worker dashboard redis s3; do \
	  what=". --target $$part"; test ! -f tests/images/$$part.Dockerfile || what="tests -f tests/images/$$part.Dockerfile"; \
	  $(IMAGE_BUILD) dify-repack/$$part:$(E2E_TAG) $$what > /tmp/dify-repack-$$part-image.log 2>&1 \
	    || { cat /tmp/dify-repack-$$part-image.log >&2; exit 1; }; \
	done,echo "IMAGE_BUILD is empty: the images dify-repack/*:$(E2E_TAG) must be in the cluster already")

.PHONY: e2e
e2e: setup e2e-images ## Run the conformance and end-to-end tests against the cluster that KUBECONFIG names
	@test -n "$${KUBECONFIG:-}" || { echo "make e2e needs KUBECONFIG: the path of a cluster's kubeconfig" >&2; exit 1; }
	@REPACK_CHAOS_IMAGE=$${REPACK_CHAOS_IMAGE:-dify-repack/worker:$(E2E_TAG)} $(BIN)/python -m pytest -m cluster --ignore tests/e2e
	@E2E_TAG=$(E2E_TAG) $(BIN)/python -m pytest tests/e2e

# Helm 3 from its Go module; like the project's releases it believes in a current Kubernetes when it has no cluster.
HELM3 := helm.sh/helm/v3
HELM3_BELIEVES := $(foreach where,pkg/chartutil pkg/lint/rules,-X $(HELM3)/$(where).k8sVersionMajor=1 -X $(HELM3)/$(where).k8sVersionMinor=37)

.PHONY: helm3
helm3: setup ## Run the chart's tests with Helm 3, built from its Go module (with KUBECONFIG: install with it too)
	@test -x .local/go/helm || GOBIN="$(CURDIR)/.local/go" nice go install -ldflags "$(HELM3_BELIEVES)" $(HELM3)/cmd/helm@v3.22.0
	@PATH="$(CURDIR)/.local/go:$$PATH" $(BIN)/python -m pytest tests/chart
	@test -z "$${KUBECONFIG:-}" || PATH="$(CURDIR)/.local/go:$$PATH" E2E_TAG=$(E2E_TAG) $(BIN)/python -m pytest tests/e2e/test_lifecycle.py

.PHONY: e2e-kinds
e2e-kinds: setup e2e-images ## Install the chart beside the CRDs of the Prometheus operator and of the Gateway API, from their Go modules
	@E2E_TAG=$(E2E_TAG) $(BIN)/python -m pytest tests/e2e/on_demand_kinds.py

# What enforces NetworkPolicies while the tests run; by default kube-router beside the node of ../shared/cluster (needs ipset).
POLICY_ENFORCER ?= nsenter --target $(shell cat ~/.cache/test-cluster/node.pid 2>/dev/null) --mount --net --uts \
  $(CURDIR)/.local/go/kube-router --kubeconfig=$(KUBECONFIG) --hostname-override=node1 \
  --run-firewall=true --run-router=false --run-service-proxy=false --run-loadbalancer=false

.PHONY: e2e-policies
e2e-policies: setup e2e-images ## Prove the chart's NetworkPolicies, with kube-router from its Go module to enforce them
	@test -x .local/go/kube-router || GOBIN="$(CURDIR)/.local/go" nice go install github.com/cloudnativelabs/kube-router/v2/cmd/kube-router@v2.1.0
	@trap '$(POLICY_ENFORCER) --cleanup-config > /dev/null 2>&1' EXIT; \
	  POLICY_ENFORCER="$(POLICY_ENFORCER)" E2E_TAG=$(E2E_TAG) $(BIN)/python -m pytest tests/e2e/on_demand_policies.py

.PHONY: bench
bench: setup ## Print the performance table of the worker, its quick form
	@$(BIN)/python bench/worker --quick

.PHONY: bench-worker
bench-worker: setup ## Measure the worker on synthetic plugins and write docs/worker-bench.md
	@$(BIN)/python bench/worker --write docs/worker-bench.md

.PHONY: matrix
matrix: setup ## Install every style of plugin the way of thirteen daemons and write docs/compatibility.md
	@$(BIN)/python scripts/matrix.py --write docs/compatibility.md

.PHONY: bench-realtime
bench-realtime: setup ## Measure the WebSocket fan-out against a C loop and write docs/realtime-bench.md
	@$(BIN)/python bench/realtime --write docs/realtime-bench.md

.PHONY: fuzz
fuzz: $(VENV)/.ready ## Throw bytes at the reader of packages for a minute (make fuzz FUZZ_SECONDS=600 for longer)
	@test -d .fuzz/atheris || $(CLEAN) $(BIN)/uv pip install --quiet --python $(BIN)/python --target .fuzz/atheris atheris \
	  || echo "atheris cannot be installed for this Python; going on without it" >&2
	@PYTHONPATH=.fuzz/atheris $(BIN)/python scripts/fuzz.py --seconds $${FUZZ_SECONDS:-60}

.PHONY: autobahn
autobahn: setup ## Run Autobahn|Testsuite (needs Python 2.7) against our WebSocket class and write docs/autobahn.md
	@PYTHON2="$(PYTHON2)" $(BIN)/python scripts/autobahn.py --write docs/autobahn.md

.PHONY: soak
soak: setup ## A storm of 5,000 clients that come back, ten minutes of churn and faults; writes docs/soak.md
	@$(BIN)/python bench/soak --write docs/soak.md $(SOAK)

# The file that the API server of KUBECONFIG writes its audit log to (tests/audit-policy.yaml); empty: the embedded API alone.
AUDIT_LOG ?=

.PHONY: bench-operator
bench-operator: setup ## Count the operator's calls per task, its CPU and memory, into docs/operator-bench.md (AUDIT_LOG=FILE: also on KUBECONFIG)
	@nice $(BIN)/python bench/operator --write docs/operator-bench.md $(if $(AUDIT_LOG),--kubeconfig "$$KUBECONFIG" \
	  --audit-log $(AUDIT_LOG) --worker-image dify-repack/worker:$(E2E_TAG))

.PHONY: chaos
chaos: setup ## Provoke the 17 faults of the design and write docs/faults.md (with KUBECONFIG: also on that cluster)
	@$(BIN)/python scripts/chaos.py --write docs/faults.md

.PHONY: bench-cluster
bench-cluster: setup e2e-images ## Measure apply → verified package on the cluster of KUBECONFIG and write docs/cluster-bench.md
	@E2E_TAG=$(E2E_TAG) $(BIN)/python bench/cluster.py --write docs/cluster-bench.md

.PHONY: bench-page
bench-page: setup ## Measure first paint, long tasks and scrolling in Chromium and write docs/page-bench.md
	@$(BIN)/python bench/page.py --write docs/page-bench.md

.PHONY: transcript
transcript: setup ## Write docs/kubectl.md from a real run of kubectl on the embedded mode
	@$(BIN)/python scripts/transcript.py

.PHONY: screenshots
screenshots: setup ## Take the screenshots of README and docs
	@$(BIN)/python scripts/screenshots.py

.PHONY: clean
clean: ## Remove what make made here (tasks and artifacts of the demo too)
	@rm -rf $(VENV) $(SERVERS) $(WEB)/node_modules $(STATIC) .local .fuzz .mypy_cache .ruff_cache .pytest_cache .hypothesis
