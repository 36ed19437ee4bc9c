# What people and CI run here. `make` lists it.
#
# Everything is installed into .venv, at the versions and with the digests of constraints.txt and ops/locked; nothing else
# on the machine is touched.
# PYTHON=… chooses another Python than the one found.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PEERS  := .venv-bench
AUDIT  := .venv-audit
SCHEMA := .venv-contract
PAGES  := .venv-site
ARGS   ?=
# Some images forbid Python to keep what it has compiled; each of some hundred processes would compile all of it anew.
unexport PYTHONDONTWRITEBYTECODE
DOCKER ?= /tmp/roark-ingest-docker
# Marked tests with a target of their own: long, or in need of a program that is no Python.
LONG   := attacks or chaos or contract or docker or docs or browser or installs or monitoring or shift or many or servers or sweep

.DEFAULT_GOAL := help
.PHONY: help demo up test quick lint format chaos browser shift fuzz docker-test monitoring bench bench-quick lock audit sbom images attacks env-example script-texts clean many servers sweep installs contract site dist

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## the whole pipeline against a local stand-in for Roark: watch 300 reports being delivered
	@exec $(BIN)/roark-ingest up --sandbox $(ARGS)

up: $(READY) ## the whole pipeline against the real Roark (needs ROARK_API_BEARER_TOKEN)
	@exec $(BIN)/roark-ingest up $(ARGS)

test: $(READY) ## everything that CI runs: ruff, import-linter, mypy, and all tests but the long ones
	@$(MAKE) --no-print-directory -j2 lint compiled
	@$(MAKE) --no-print-directory quick

# mypy takes one core; the other compiles the tests meanwhile, once for all of pytest's processes.
.PHONY: compiled
compiled: $(READY)
	@$(BIN)/python -m pytest -m "not ($(LONG))" -q --collect-only >/dev/null 2>&1 || true

# Three processes for two cores: a third of their time is waiting.
quick: $(READY) ## all tests but the long ones (ARGS="-k …" chooses)
	$(BIN)/python -m pytest -m "not ($(LONG))" -q -n 3 --dist worksteal $(ARGS)

chaos: $(READY) ## the long tests: kill -9 of everything, outages, full memory
	CHAOS_RESULTS=tests/chaos/results.md $(BIN)/python -m pytest tests/chaos -q $(ARGS)

attacks: $(READY) ## floods, smuggling, bombs, large odd bodies, roles, forms of numbers: some 4 minutes; writes the table of SECURITY.md
	ATTACKS_PAGE=SECURITY.md $(BIN)/python -m pytest tests/attacks tests/integration/test_roles.py tests/integration/test_role_commands.py \
		tests/integration/test_cli_erase_everywhere.py tests/acceptance/test_garbage_in_the_broker.py -q $(ARGS)

sweep: $(READY) ## Roark's bad days: all shares and latencies in virtual time, and with two real workers; some 35 minutes
	$(BIN)/python -m pytest -m sweep -q $(ARGS)

many: $(READY) ## list, choose and group a hundred thousand dead letters, and see how long Redis is kept from others
	$(BIN)/python -m pytest -m many -q -s $(ARGS)

servers: $(READY) ## everything on every kind of Redis: ACLs, TLS, Sentinel, sockets, IPv6, and a fakeredis: some 10 minutes (needs redis-server, openssl)
	$(BIN)/python -m pytest -m servers -q $(ARGS)

contract: $(READY) $(SCHEMA)/.ready ## the webhook against its OpenAPI document, by schemathesis: some 3 minutes
	SCHEMATHESIS=$(abspath $(SCHEMA)/bin/schemathesis) $(BIN)/python -m pytest -m contract -q $(ARGS)

dist: $(READY) ## build wheel and sdist into dist/, and check their metadata and contents
	rm -rf dist
	$(PYTHON) -m venv .venv-dist
	.venv-dist/bin/pip install -q --disable-pip-version-check build twine
	.venv-dist/bin/python -m build -o dist .
	.venv-dist/bin/python -m twine check --strict dist/*
	DIST=$(abspath dist) $(BIN)/python -m pytest -q tests/installs/test_contents.py

site: $(READY) $(PAGES)/.ready ## build the pages as a site, into site/; a link that leads nowhere ends it
	PATH="$(abspath $(BIN)):$$PATH" PYTHONPATH=tests $(BIN)/python ops/site/build.py $(PAGES)/bin/zensical site

installs: $(READY) ## the wheel in fresh environments, alone and beside FastAPI and Django of now and of two years ago: some 5 minutes
	$(BIN)/python -m pytest -m installs -q -rs $(ARGS)

browser: $(READY) ## look at Flower in a real Chromium, and keep the pictures (needs chromium and chromium-driver)
	PICTURES=ops/docs/pictures $(BIN)/python -m pytest tests/browser -q $(ARGS)

shift: $(READY) ## an operator's shift with 30,000 reports and three faults, typed into a terminal (needs tmux and jq)
	$(BIN)/python -m pytest tests/acceptance/test_operators_shift.py -q -s $(ARGS)

fuzz: $(READY) ## a million bodies through the report parser, a hundred thousand through the webhook
	$(BIN)/python tests/fuzz/fuzz.py $(ARGS)

monitoring: $(READY) ## alerts and dashboards against a real Prometheus: some 3 minutes (Debian: apt-get install -y prometheus)
	@command -v promtool prometheus >/dev/null || { echo "promtool and prometheus are missing. Debian, Ubuntu: apt-get install -y prometheus" >&2; exit 1; }
	MONITORING_PICTURE=ops/docs/pictures/overview.svg $(BIN)/python -m pytest tests/monitoring -q $(ARGS)

bench: $(READY) $(PEERS)/.ready ## compare with plain Celery and other queues, up to a million reports (needs wrk, nginx)
	PYTHONPATH=tests $(BIN)/python -m benchmarks --peers $(PEERS) $(ARGS)

bench-quick: $(READY) $(PEERS)/.ready ## the same with fewer settings, in some ten minutes
	PYTHONPATH=tests $(BIN)/python -m benchmarks --quick --peers $(PEERS) $(ARGS)

docs-test: $(READY) ## every command line of README.md and ops/docs, against a real pipeline
	$(BIN)/python -m pytest tests/docs -q $(ARGS)

docker-test: $(READY) ## docker-compose.yml in a real engine, parts of it killed (makes engine and images if need be)
	tests/docker/prepare.sh $(DOCKER)
	set -a; . $(DOCKER)/environment; set +a; $(BIN)/python -m pytest tests/docker -m docker -q -s $(ARGS); \
	status=$$?; [ ! -e $(DOCKER)/dockerd.pid ] || kill $$(cat $(DOCKER)/dockerd.pid); exit $$status

lint: $(READY) ## ruff, import-linter and mypy
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python -m mypy

format: $(READY) ## let ruff write what it can
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

lock: $(READY) ## resolve all versions anew, with their digests, into constraints.txt and ops/locked
	$(BIN)/python ops/lock.py

audit: $(AUDIT)/.ready ## look for known weaknesses in what is installed (asks PyPI's database: needs a network)
	$(AUDIT)/bin/pip-audit --strict --require-hashes --disable-pip -r constraints.txt

sbom: $(AUDIT)/.ready ## write sbom.json: what roark-ingest consists of, in CycloneDX's format
	$(AUDIT)/bin/cyclonedx-py requirements constraints.txt --pyproject pyproject.toml --output-reproducible \
		--sv 1.6 --of JSON -o sbom.json

images: ## pin the images of compose, Kubernetes and the Dockerfile to their digests (needs docker and a network)
	$(PYTHON) ops/pin_images.py

env-example: $(READY) ## write .env.example, and the table in ops/docs/configure.md, from the settings
	$(BIN)/python -m roark_ops.env_example > .env.example
	$(BIN)/python -m roark_ops.env_example ops/docs/configure.md

script-texts: $(READY) ## write the list of the scripts' SHA-1s, after a script was changed on purpose
	$(BIN)/python tests/script_texts.py

.PHONY: vendor
vendor: $(READY) ## fetch the scripts that the console serves out of their npm packages (needs npm)
	python3 ops/vendor.py

clean: ## remove what is made here, the data of `up` excepted
	rm -rf $(VENV) $(PEERS) $(SCHEMA) $(PAGES) $(AUDIT) sbom.json .venv-dist site dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find producer worker ops tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt ops/locked/build.txt ops/locked/dev.txt ops/bootstrap.py
	@$(PYTHON) ops/bootstrap.py $(VENV)
	@touch $@

$(PAGES)/.ready: ops/site/requirements.txt
	$(PYTHON) -m venv $(PAGES)
	$(PAGES)/bin/pip install -q --disable-pip-version-check -r ops/site/requirements.txt
	@touch $@

$(SCHEMA)/.ready: tests/contract/requirements.txt
	$(PYTHON) -m venv $(SCHEMA)
	$(SCHEMA)/bin/pip install -q --disable-pip-version-check -r tests/contract/requirements.txt
	@touch $@

$(AUDIT)/.ready: ops/locked/audit.txt
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/pip install -q --disable-pip-version-check --require-hashes --no-deps -r ops/locked/audit.txt
	@touch $@

$(PEERS)/.ready: tests/benchmarks/requirements-peers.txt tests/benchmarks/requirements-arq.txt
	$(PYTHON) -m venv $(PEERS)/main
	$(PYTHON) -m venv $(PEERS)/arq
	$(PEERS)/main/bin/pip install -q --disable-pip-version-check -r tests/benchmarks/requirements-peers.txt
	$(PEERS)/arq/bin/pip install -q --disable-pip-version-check -r tests/benchmarks/requirements-arq.txt
	@touch $@
