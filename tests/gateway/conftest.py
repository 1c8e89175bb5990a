"""One real gateway for most tests: nginx and the sidecar as `auth-server gateway` starts them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import cognito, jwks
from support.backend import Backend
from support.door import SCOPES, Door, mint
from support.gateway import Gateway, environment, running




@pytest.fixture(scope="session")
def backends() -> Iterator[tuple[Backend, Backend]]:
    """Two recording backends: the one that tests may call, and the one that they may not."""
    with Backend() as first, Backend() as second:
        yield first, second


@pytest.fixture(scope="session")
def key_server() -> Iterator[jwks.KeyServer]:
    """The pool's keys."""
    with jwks.serving(cognito.jwks()) as server:
        yield server


@pytest.fixture(scope="session")
def shared_gateway(
    backends: tuple[Backend, Backend], key_server: jwks.KeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Gateway, Path]]:
    """Start the one gateway."""
    first, second = backends
    folder = tmp_path_factory.mktemp("gateway")
    scopes = folder / "scopes.yml"
    scopes.write_text(SCOPES.read_text())
    servers = {
        "time": first.url,
        "passing": first.url,
        "based": f"{first.url}/api",
        "slashed": f"{first.url}/",
        "gone": "http://127.0.0.1:9",
        "mixed-case.v1_2": first.url,
        "default": first.url,
        "secret": second.url,
    }
    options = ["--nginx-workers", "1", "--forward-credentials", "passing"]
    with running(servers, environment(key_server.url, scopes), *options, cwd=folder) as gateway:
        yield gateway, scopes


@pytest.fixture
def door(shared_gateway: tuple[Gateway, Path], backends: tuple[Backend, Backend]) -> Door:
    """The shared gateway with fresh eyes behind it."""
    for backend in backends:
        backend.reset()
    gateway, scopes = shared_gateway
    return Door(gateway, *backends, mint(), scopes)
