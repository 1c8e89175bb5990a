"""Tokens of issuers that nobody here wrote pass the gateway, each as far as scopes.yml lets it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support import foreign_issuers
from support.backend import Backend
from support.door import Door, call
from support.gateway import environment, running

SCOPES = """\
group_mappings:
  readers: [by-group]
by-group: &granted
  - server: time
    methods: [tools/list, tools/call]
    tools: [granted]
mcp/read: *granted
"""

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def stack() -> Iterator[foreign_issuers.Issuer]:
    with foreign_issuers.ministack() as issuer:
        issuer.add_user("uma", "readers")
        issuer.add_user("nobody")
        yield issuer


@pytest.fixture(scope="module")
def moto() -> Iterator[foreign_issuers.Issuer]:
    with foreign_issuers.moto() as issuer:
        issuer.add_user("uma", "readers")
        issuer.add_user("nobody")
        yield issuer


@pytest.fixture(params=["stack", "moto"])
def issuer(request: pytest.FixtureRequest) -> foreign_issuers.Issuer:
    """Return one after the other."""
    found: foreign_issuers.Issuer = request.getfixturevalue(request.param)
    return found


@contextlib.contextmanager
def gateway(
    issuer: foreign_issuers.Issuer, backends: tuple[Backend, Backend], folder: Path, *, agents: str = ""
) -> Iterator[Door]:
    """Run a gateway that trusts this issuer's pool."""
    scopes = folder / "scopes.yml"
    scopes.write_text(SCOPES)
    environ = environment("", scopes) | issuer.settings | {"COGNITO_ALLOWED_CLIENT_IDS": agents}
    for backend in backends:
        backend.reset()
    with running({"time": backends[0].url, "secret": backends[1].url}, environ, cwd=folder) as started:
        yield Door(started, *backends, "", scopes)


def outcome(door: Door, token: str, tool: str) -> tuple[int, str | None]:
    """Return what a call of this tool is answered with this token."""
    answer = door.post(call(tool), replace={"Authorization": f"Bearer {token}"})
    return answer.status, answer.header("X-Auth-Error")


@pytest.mark.parametrize("kind", ["AccessToken", "IdToken"])
def test_people(
    issuer: foreign_issuers.Issuer, backends: tuple[Backend, Backend], tmp_path: Path, kind: str
) -> None:
    """A user's access and ID token count by the user's groups."""
    with gateway(issuer, backends, tmp_path) as door:
        token = issuer.sign_in("uma")[kind]
        assert outcome(door, token, "granted") == (200, None)
        assert backends[0].only().header("X-User") == "uma"
        assert outcome(door, token, "evil") == (403, "ACCESS_DENIED")
        assert outcome(door, issuer.sign_in("nobody")[kind], "granted") == (403, "ACCESS_DENIED")
        assert outcome(door, token[:-6] + "AAAAAA", "granted") == (401, "INVALID_SIGNATURE")


def test_agents(stack: foreign_issuers.Issuer, backends: tuple[Backend, Backend], tmp_path: Path) -> None:
    """A token of client credentials counts by its scopes, where its app client is allowed."""
    client, secret = stack.add_agent("mcp/read", "mcp/other")

    def token(scope: str) -> str:
        form = {"grant_type": "client_credentials", "scope": scope}
        form |= {"client_id": client, "client_secret": secret}
        answer = httpx.post(f"{stack.base}/oauth2/token", data=form, trust_env=False, timeout=30)
        return str(answer.json()["access_token"])

    with gateway(stack, backends, tmp_path, agents=client) as door:
        assert outcome(door, token("mcp/read"), "granted") == (200, None)
        assert backends[0].only().header("X-Client-Id") == client
        assert outcome(door, token("mcp/read"), "evil") == (403, "ACCESS_DENIED")
        assert outcome(door, token("mcp/other"), "granted") == (403, "ACCESS_DENIED")
    with gateway(stack, backends, tmp_path) as door:
        assert outcome(door, token("mcp/read"), "granted") == (401, "INVALID_AUDIENCE")


def test_another_pool_of_the_same_issuer(
    stack: foreign_issuers.Issuer,
    moto: foreign_issuers.Issuer,
    backends: tuple[Backend, Backend],
    tmp_path: Path,
) -> None:
    """A pool that is not trusted vouches for nobody."""
    with gateway(stack, backends, tmp_path) as door:
        assert outcome(door, moto.sign_in("uma")["AccessToken"], "granted") == (401, "UNKNOWN_KEY")
