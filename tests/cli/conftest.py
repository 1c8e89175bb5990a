"""The demo's pool, commands that trust it, and a person who signs in with them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.asgi_server import serving
from support.command import SCOPES, SECRET_KEY, Command
from support.demo_pool import DemoPool, demo_pool
from support.key_rings import key_ring
from support.person_with_a_terminal import SECRETS, WEB_SECRET, Recorded, World
from support.shared_machine import free_port

from auth_server.app import create_app
from auth_server.cli.loopback import callback_url
from auth_server.config.settings import Settings
from auth_server.demo import cognito as stand_in
from auth_server.demo.cognito import Directory
from auth_server.demo.directory import POOL_ID, demo_directory


@pytest.fixture(scope="session")
def pool() -> Iterator[DemoPool]:
    """Run a Cognito."""
    with demo_pool() as running:
        yield running


@pytest.fixture
def trusting(command: Command, pool: DemoPool) -> Command:
    """Run the test's own `command` with the settings of a gateway that trusts the pool."""
    command.settings = pool.settings
    return command


@pytest.fixture(scope="module")
def cognito() -> Iterator[Recorded]:
    """Start a server for the stand-in."""
    stage = Recorded()
    with serving(lambda _base: stage) as stage.base:
        yield stage


def directory(gateway: str, *callbacks: str) -> Directory:
    """Return the demo's pool, whose clients list these callbacks."""
    (pool,) = demo_directory(gateway, secrets=SECRETS).pools
    clients = [replace(each, callback_urls=(*each.callback_urls, *callbacks)) for each in pool.clients]
    return Directory((replace(pool, clients=tuple(clients)),))


@pytest.fixture
def world(
    cognito: Recorded,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[World]:
    """Set the stage."""
    port = free_port()
    pool = directory("http://localhost:8080", callback_url(port))
    cognito.app = stand_in.create_app(pool, issuer_base=cognito.base, keys=key_ring(POOL_ID))
    cognito.seen = []
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "scopes.yml").write_text(SCOPES)
    issuer = f"{cognito.base}/{POOL_ID}"
    settings = {
        "COGNITO_USER_POOL_ID": POOL_ID,
        "COGNITO_ISSUER": issuer,
        "COGNITO_CLIENT_ID": "demo-web",
        "COGNITO_CLIENT_SECRET": WEB_SECRET,
        "COGNITO_ALLOWED_CLIENT_IDS": "demo-cli",
        "SECRET_KEY": SECRET_KEY,
        "SCOPES_FILE": str(tmp_path / "scopes.yml"),
        "REVOCATION_URL": f"sqlite:///{tmp_path}/revocations.db",
    }
    door = Recorded()

    def gateway(base: str) -> Recorded:
        door.own = door.app = create_app(Settings.from_environ(settings | {"GATEWAY_URL": base}))
        return door

    with serving(gateway, lifespan="on") as door.base:
        yield World(issuer, door.base, port, home, cognito, door, Command(home, monkeypatch, capsys))
