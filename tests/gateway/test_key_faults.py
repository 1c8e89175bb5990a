"""The pool's key endpoint fails in every way that one does, behind a gateway that runs: who is let in, who not."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import cognito, raw
from support.backend import Backend
from support.door import Door, call
from support.gateway import environment, running
from support.jwks_server import JwksServer, jwks_server_beside
from support.waiting import until

CALL = call("granted")
FAULTS = ["500 Internal Server Error", "hang", "HTML", "30 MB", "redirect", "empty set"]
UNKNOWN_KIDS = 10_000


@contextlib.contextmanager
def gateway(
    endpoint: JwksServer, backends: tuple[Backend, Backend], scopes: Path, folder: Path, **settings: str
) -> Iterator[Door]:
    """Run a gateway that asks this endpoint for keys and remembers no decision."""
    for backend in backends:
        backend.reset()
    environ = environment(endpoint.url, scopes, **settings)
    with running({"time": backends[0].url}, environ, cwd=folder) as started:
        yield Door(started, *backends, cognito.mint(now=int(time.time())), scopes)


@pytest.fixture
def scopes() -> Path:
    """The policy of the gateway's other tests."""
    return Path(__file__).with_name("scopes.yml")


@pytest.fixture
def endpoint() -> Iterator[JwksServer]:
    """Serve the pool's keys."""
    with jwks_server_beside(cognito.jwks()) as state:
        yield state


def outcome(door: Door, token: str = "") -> tuple[int, str | None]:
    """Return how a granted call is answered."""
    replace = {"Authorization": f"Bearer {token}"} if token else {}
    answer = door.post(CALL, replace=replace)
    return answer.status, answer.header("X-Auth-Error")


def break_down(endpoint: JwksServer, fault: str) -> None:
    """Let the endpoint fail from now on."""
    if fault == "empty set":
        endpoint.document = {"keys": []}
    else:
        endpoint.fault = fault


def stranger() -> str:
    """Return a token of the pool's issuer with a key that the pool does not have."""
    return cognito.mint(signer=cognito.key("stranger"), now=int(time.time()))


@pytest.mark.parametrize("fault", FAULTS)
def test_known_tokens_outlive_a_fault(
    endpoint: JwksServer, backends: tuple[Backend, Backend], scopes: Path, tmp_path: Path, fault: str
) -> None:
    """While refreshes fail, tokens of known keys pass, also new ones; unknown keys get nobody in."""
    with gateway(endpoint, backends, scopes, tmp_path, JWKS_REFRESH="1") as door:
        assert outcome(door) == (200, None)
        break_down(endpoint, fault)
        asked = endpoint.requests
        until(lambda: endpoint.requests > asked, "the refresh that fails", seconds=15)
        for _ in range(20):
            assert outcome(door) == (200, None)
            assert outcome(door, cognito.mint("access", {"scope": "mcp/read"}, now=int(time.time()))) == (
                200,
                None,
            )
        assert outcome(door, stranger()) == (401, "UNKNOWN_KEY")
        assert outcome(door) == (200, None)


def test_a_rotated_key(
    endpoint: JwksServer, backends: tuple[Backend, Backend], scopes: Path, tmp_path: Path
) -> None:
    """A token of a new key is accepted within 15 s, one of a key that was withdrawn no longer."""
    with gateway(endpoint, backends, scopes, tmp_path, JWKS_REFRESH="5") as door:
        assert outcome(door) == (200, None)
        endpoint.document = cognito.jwks("next")
        new = cognito.mint(signer=cognito.key("next"), now=int(time.time()))
        until(lambda: outcome(door, new) == (200, None), "the new key counts", seconds=15)
        assert outcome(door) == (401, "UNKNOWN_KEY")


def test_ten_thousand_unknown_kids(
    endpoint: JwksServer, backends: tuple[Backend, Backend], scopes: Path, tmp_path: Path
) -> None:
    """They cost one fetch in ten seconds at most, and no good token its answer."""
    with gateway(endpoint, backends, scopes, tmp_path) as door:
        assert outcome(door) == (200, None)
        fetched, began = endpoint.requests, time.monotonic()
        _, payload, signature = door.token.split(".")
        for first in range(0, UNKNOWN_KIDS, 500):  # nginx takes 1,000 requests of one connection
            with raw.Connection(door.gateway.address) as connection:
                for number in range(first, first + 500):
                    header = f'{{"kid":"unknown-{number}","alg":"RS256"}}'.encode()
                    token = f"{cognito.base64url(header)}.{payload}.{signature}"
                    connection.send(door.message(CALL, replace={"Authorization": f"Bearer {token}"}))
                    answer = connection.answer()
                    assert (answer.status, answer.header("X-Auth-Error")) == (401, "UNKNOWN_KEY")
            assert outcome(door) == (200, None)
        assert endpoint.requests - fetched <= 1 + (time.monotonic() - began) / 10


@pytest.mark.parametrize("fault", FAULTS)
def test_a_cold_start(
    endpoint: JwksServer, backends: tuple[Backend, Backend], scopes: Path, tmp_path: Path, fault: str
) -> None:
    """Without any keys the answer is 503 with Retry-After, never 401; it heals without a restart."""
    break_down(endpoint, fault)
    with gateway(endpoint, backends, scopes, tmp_path) as door:
        answer = door.post(CALL)
        door.refuses(answer, 503, "KEYS_UNAVAILABLE")
        assert int(answer.header("Retry-After") or "") > 0
        endpoint.fault, endpoint.document = "", cognito.jwks()
        until(lambda: outcome(door) == (200, None), "the keys are there", seconds=40, every=0.2)
