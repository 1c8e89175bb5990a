"""One of the sidecar's two replicas is killed or replaced under load: nobody notices."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import httpx
import pytest
from support import cognito, raw
from support.compose import Stack, checkout
from support.door import SCOPES, call, compact, mint
from support.gateway import SECRET_KEY
from support.load import Load
from support.waiting import until

RATE = float(os.environ.get("COMPOSE_RATE", "500"))

# nginx itself plays the MCP server: it is no part of what is measured here.
SERVERS = """\
upstream mcp_time { server unix:/tmp/backend.sock; keepalive 32; }
map $mcp_server $mcp_url { default ""; time http://localhost; }
map $mcp_server $mcp_forward_credentials { default 0; }
map $mcp_server $mcp_paths { default ""; }
server {
    listen unix:/tmp/backend.sock;
    access_log off;
    default_type application/json;
    location / { return 200 '{"jsonrpc":"2.0","id":1,"result":{}}'; }
}
"""

# The pool's keys, on the loopback of each replica.
OVERRIDE = """\
x-auth-server: &auth-server
  entrypoint:
    - sh
    - -c
    - 'python -m http.server -d /config/keys -b 127.0.0.1 9000 2>/dev/null & exec container-entrypoint "$$@"'
    - sh
services:
  auth-server: *auth-server
  auth-server-2: *auth-server
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose every request asks the sidecar: decisions are not kept."""
    folder = checkout(tmp_path_factory.mktemp("replicas"))
    (folder / "keys").mkdir()
    (folder / "keys" / "jwks.json").write_text(compact(cognito.jwks()).decode())
    (folder / "nginx" / "servers.conf").write_text(SERVERS)
    (folder / "override.yml").write_text(OVERRIDE)
    (folder / "scopes.yml").write_text(SCOPES.read_text())
    settings = {
        "COGNITO_USER_POOL_ID": cognito.POOL.id,
        "COGNITO_JWKS_URL": "http://127.0.0.1:9000/jwks.json",
        "COGNITO_CLIENT_ID": cognito.CLIENT,
        "COGNITO_ALLOWED_CLIENT_IDS": cognito.AGENT,
        "SECRET_KEY": SECRET_KEY,
        "LOG_LEVEL": "error",
    }
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    stack = Stack(folder, files=("override.yml",))
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


def requests(stack: Stack) -> list[bytes]:
    """Return requests and, beside each, what must become of it: EXPECTED."""
    good, bad = mint(), cognito.mint(now=int(time.time()) - 86_400)
    wanted = [(good, "granted"), (good, "granted"), (good, "granted"), (good, "forbidden"), (bad, "granted")]
    return [_message(stack, token, tool) for token, tool in wanted]


EXPECTED = (200, 200, 200, 403, 401)


def _message(stack: Stack, token: str, tool: str) -> bytes:
    body = compact(call(tool))
    headers = [("Host", f"localhost:{stack.port}"), ("Authorization", f"Bearer {token}")]
    headers += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    return raw.request("POST", "/time/mcp", headers, body)


@pytest.mark.timeout(300)
def test_a_killed_replica_is_not_noticed(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """`kill -9` of a replica's process under load loses nothing, lets nothing in, and the replica comes back."""
    with _loaded(stack) as load:
        _answered(load, 1000)
        killed = stack.container("auth-server")
        os.kill(killed.pid, signal.SIGKILL)
        came_back = until(
            lambda: stack.container("auth-server").pid not in {0, killed.pid},
            "the replica is restarted",
            seconds=30,
        )
        stack.wait_until_healthy("auth-server", seconds=30)
        _answered(load, 1000)
    assert came_back
    _judge(load, capsys)
    # It is used again: the other one may go.
    stack.compose("stop", "auth-server-2")
    try:
        with httpx.Client(trust_env=False) as client:
            headers = {"Authorization": f"Bearer {mint()}"}
            answers = [
                client.post(f"{stack.base_url}/time/mcp", json=call(), headers=headers) for _ in range(20)
            ]
        assert {answer.status_code for answer in answers} == {200}
    finally:
        stack.up()


@pytest.mark.timeout(300)
def test_replacing_one_by_one_is_not_noticed(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """New containers for both replicas, one after the other, under load: nothing is lost or let in, no reload."""
    before = {c.service: c.data["Id"] for c in stack.containers()}
    with _loaded(stack) as load:
        _answered(load, 500)
        for service in ("auth-server", "auth-server-2"):
            stack.compose("up", "-d", "--force-recreate", "--no-deps", service)
            stack.wait_until_healthy(service, seconds=60)
        _answered(load, 500)
    after = {c.service: c.data["Id"] for c in stack.containers()}
    assert {service for service in before if before[service] != after[service]} == {
        "auth-server",
        "auth-server-2",
    }
    _judge(load, capsys)


def test_without_a_replica_nobody_gets_in(stack: Stack) -> None:
    """Both gone: 503 with Retry-After, for good tokens and bad ones."""
    stack.compose("stop", "auth-server", "auth-server-2")
    try:
        for message in requests(stack):
            with raw.Connection(("127.0.0.1", stack.port)) as connection:
                connection.send(message)
                answer = connection.answer("POST")
            assert answer.status == 503
            assert answer.header("Retry-After")
    finally:
        stack.up()


def test_scopes_are_followed(stack: Stack) -> None:
    """An edit of scopes.yml on this machine is in force in both replicas, also if the editor replaced the file."""
    edited = SCOPES.read_text().replace("granted", "no-longer-granted")
    draft = stack.folder / "scopes.yml.new"
    draft.write_text(edited)
    draft.replace(stack.folder / "scopes.yml")
    headers = {"Authorization": f"Bearer {mint()}"}
    try:
        with httpx.Client(trust_env=False) as client:

            def answered() -> set[int]:
                url = f"{stack.base_url}/time/mcp"
                return {client.post(url, json=call(), headers=headers).status_code for _ in range(20)}

            until(lambda: answered() == {403}, "both replicas refuse", seconds=5)
            (stack.folder / "scopes.yml").write_text(SCOPES.read_text())
            until(lambda: answered() == {200}, "both grant it again", seconds=5)
    finally:
        (stack.folder / "scopes.yml").write_text(SCOPES.read_text())


def _loaded(stack: Stack) -> Load:
    return Load(("127.0.0.1", stack.port), requests(stack), RATE)


def _answered(load: Load, count: int) -> None:
    """Wait until so many more requests were answered, or lost."""
    enough = load.sent + count
    until(lambda: load.sent >= enough, f"{count} more requests", seconds=30)


def _judge(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        rate = load.sent / load.seconds
        print(
            f"\n{load.sent} requests at {rate:.0f}/s in {load.seconds:.1f} s, slowest {load.slowest * 1000:.0f} ms"
        )
    assert set(load.seen) == set(enumerate(EXPECTED)), load.seen
