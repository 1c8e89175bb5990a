# The two commands of the README are `make up` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ISSUERS := .state/issuers

.PHONY: up test test-compose fuzz lint lock bench bench-costs bench-quick nginx redis wrk perf chromium screenshots clean

up: $(VENV)/.installed nginx
	$(BIN)/auth-server demo $(DEMO_OPTIONS)

test: $(VENV)/.installed-dev $(ISSUERS)/.installed nginx redis wrk chromium lint
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --coverage-bars -n 3 --dist worksteal --ignore=tests/compose $(PYTEST_OPTIONS)

# The gateway's tests again, with docker-compose in the place of `auth-server gateway`, and those of the containers.
# Needs a container engine: docker, or podman behind DOCKER_HOST.
test-compose: $(VENV)/.installed-dev
	GATEWAY_STACK=compose $(BIN)/python -m pytest tests/gateway tests/compose $(PYTEST_OPTIONS)

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
SURFACES := header claims token cookie authorization cookies name targets policy_file

fuzz: $(VENV)/.installed-fuzz
	for surface in $(SURFACES); do \
		$(BIN)/python -m fuzz $$surface -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=.state/fuzz/ || exit 1; \
	done

# Writes docs/images/*.png.
screenshots: $(VENV)/.installed-dev nginx chromium
	$(BIN)/python tests/screenshots.py

LOCK := uv pip compile --quiet --generate-hashes --universal --no-header --no-annotate --python-version 3.11

lock:
	$(LOCK) --extra demo --extra cluster pyproject.toml -o requirements.lock
	$(LOCK) --extra demo --extra cluster --group dev pyproject.toml -o requirements-dev.lock
	$(LOCK) --group build -o requirements-build.lock
	$(LOCK) --group bench pyproject.toml -o requirements-bench.lock
	$(LOCK) --group fuzz -o requirements-fuzz.lock
	$(LOCK) --group issuers -o requirements-issuers.lock

nginx:
	@deploy/install-nginx

redis:
	@deploy/install-redis

wrk:
	@deploy/install-tool wrk wrk

perf:
	@deploy/install-tool perf linux-perf

chromium:
	@deploy/install-tool chromium chromium

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps -e .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.installed-bench: requirements-bench.lock $(VENV)/.installed
	$(BIN)/pip install --quiet --require-hashes -r requirements-bench.lock
	@touch $@

$(VENV)/.installed-fuzz: requirements-fuzz.lock $(VENV)/.installed-dev
	$(BIN)/pip install --quiet --require-hashes -r requirements-fuzz.lock
	@touch $@

$(ISSUERS)/.installed: requirements-issuers.lock
	$(PYTHON) -m venv $(ISSUERS)
	$(ISSUERS)/bin/pip install --quiet --require-hashes -r requirements-issuers.lock
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
