"""One real gateway for most tests: nginx and the sidecar as `auth-server gateway` starts them.

With GATEWAY_STACK=compose, docker compose starts them (support/composed.py), and the same tests are run but those
of the command `gateway` itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import chromium, cognito, composed
from support.backend import Backend
from support.demo import running_demo
from support.door import SCOPES, Door, mint
from support.gateway import Gateway, environment, running
from support.jwks_server import JwksServer, jwks_server_beside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser
    from support.chromium import Person
    from support.demo import Demo

if composed.CHOSEN:
    running = composed.running  # type: ignore[assignment]  # it has all that `door` asks of a gateway


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what starts a gateway of its own, where docker compose starts them."""
    here = Path(__file__).parent
    if composed.CHOSEN:
        own = [
            i
            for i in items
            if here in i.path.parents and not {"door", "demo", "pair"} & set(getattr(i, "fixturenames", ()))
        ]
        config.hook.pytest_deselected(items=own)
        items[:] = [item for item in items if item not in own]


@pytest.fixture(scope="session")
def backends() -> Iterator[tuple[Backend, Backend]]:
    """Two recording backends: the one that tests may call, and the one that they may not."""
    with Backend() as first, Backend() as second:
        yield first, second


@pytest.fixture(scope="session")
def key_server() -> Iterator[JwksServer]:
    """Serve the pool's keys."""
    with jwks_server_beside(cognito.jwks()) as server:
        yield server


@pytest.fixture(scope="session")
def shared_gateway(
    backends: tuple[Backend, Backend], key_server: JwksServer, tmp_path_factory: pytest.TempPathFactory
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
        "open": f"{first.url}/all",
        "endpoint": f"{first.url}/api/mcp",
        "sse": f"{first.url}/sse/",
        "gone": "http://127.0.0.1:9",
        "mixed-case.v1_2": first.url,
        "default": first.url,
        "secret": second.url,
    }
    options = ["--nginx-workers", "1", "--forward-credentials", "passing", "--path", "open=/"]
    options += ["--path", "time=/rpc", "--path", "time=/a/b/"]
    with running(servers, environment(key_server.url, scopes), *options, cwd=folder) as gateway:
        yield gateway, scopes


@pytest.fixture
def scopes(tmp_path: Path) -> Path:
    """Write a scopes.yml that a test may edit."""
    path = tmp_path / "scopes.yml"
    path.write_text(SCOPES.read_text())
    return path


@pytest.fixture
def door(shared_gateway: tuple[Gateway, Path], backends: tuple[Backend, Backend]) -> Door:
    """Return the shared gateway, with fresh eyes behind it."""
    for backend in backends:
        backend.reset()
    gateway, scopes = shared_gateway
    return Door(gateway, *backends, mint(), scopes)


@pytest.fixture(scope="session")
def demo(request: pytest.FixtureRequest) -> Iterator[Demo]:
    """Return the demo with its real MCP servers, as a process or as containers."""
    if composed.CHOSEN:
        yield composed.introduced(request.getfixturevalue("demo_stack"))
        return
    with running_demo() as started:
        yield started


@pytest.fixture(scope="module")  # not longer: while it is open, no other event loop runs in this thread
def browser() -> Iterator[Browser]:
    """Start Chromium."""
    with chromium.chromium() as started:
        yield started


@pytest.fixture
def person(browser: Browser) -> Iterator[Person]:
    """Return somebody who comes for the first time."""
    with chromium.visiting(browser) as visitor:
        yield visitor
