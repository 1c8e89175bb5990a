# The two commands of the README are `make up` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: up test test-compose lint lock nginx redis clean

up: $(VENV)/.installed nginx
	$(BIN)/auth-server demo $(DEMO_OPTIONS)

test: $(VENV)/.installed-dev nginx redis lint
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --coverage-bars -n 3 --dist worksteal --ignore=tests/compose $(PYTEST_OPTIONS)

# Needs a container engine: docker, or podman behind DOCKER_HOST.
test-compose: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/compose $(PYTEST_OPTIONS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

LOCK := uv pip compile --quiet --generate-hashes --universal --no-header --no-annotate --python-version 3.11

lock:
	$(LOCK) --extra demo --extra cluster pyproject.toml -o requirements.lock
	$(LOCK) --extra demo --extra cluster --group dev pyproject.toml -o requirements-dev.lock
	$(LOCK) --group build -o requirements-build.lock

nginx:
	@deploy/install-nginx

redis:
	@deploy/install-redis

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps -e .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
