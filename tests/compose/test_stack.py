"""What a fresh clone runs: who is reachable, as whom it runs, what it may write, and how it stops."""

from __future__ import annotations

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest
from support import engine

if TYPE_CHECKING:
    from conftest import Deploy
    from support.compose import Stack
    from support.demo import Demo

SERVICES = ("nginx", "auth-server", "auth-server-2", "cognito", "currenttime", "fininfo")


def test_all_are_healthy_within_30_s(demo_stack: Stack) -> None:
    """`ps` calls every container of the demo healthy."""
    assert demo_stack.wait_until_healthy(*SERVICES, seconds=30) < 30


def test_the_lines_of_the_readme(demo: Demo) -> None:
    """The printed lines, pasted, answer as printed: one granted, one refused."""
    (token,) = demo.lines("TOKEN=")
    granted, refused = demo.lines("curl ")
    assert re.search(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d CES?T", demo.shell(token, granted))
    assert "ACCESS_DENIED" in demo.shell(token, refused)


def test_nginx_alone_publishes(demo_stack: Stack) -> None:
    """One port of this machine leads into the stack: nginx's, on loopback."""
    published = {c.service: c.published for c in demo_stack.containers() if c.published}
    assert published == {"nginx": [f"127.0.0.1:{demo_stack.port}"]}


def test_nothing_else_listens_on_any_network(demo_stack: Stack) -> None:
    """Even this machine, which can reach the engine's bridges, finds no port open but nginx's."""
    found = {}
    for container in demo_stack.containers():
        for address in container.addresses:
            found.setdefault(container.service, set()).update(_open_ports(address))
    assert found == {"nginx": {8080}, "auth-server": set(), "auth-server-2": set()}


def test_the_demo_has_no_network(demo_stack: Stack) -> None:
    """The stand-in and the MCP servers have nothing but loopback."""
    for service in ("cognito", "currenttime", "fininfo"):
        interfaces = demo_stack.execute(service, "ls", "/sys/class/net").split()
        assert interfaces == ["lo"], service


def test_foreign_paths_of_the_stand_in(demo_stack: Stack) -> None:
    """nginx shows the stand-in under its path alone, and the sidecar's own endpoints under none."""
    with httpx.Client(base_url=demo_stack.base_url, trust_env=False) as client:
        for path in (
            "/validate",
            "/readyz",
            "/healthz",
            "/metrics",
            "/gateway/validate",
            "/us-east-1_Demo00000/login",
        ):
            assert client.get(path).status_code in {400, 401, 404}, path


@pytest.mark.parametrize("service", SERVICES)
def test_nobody_is_root(demo_stack: Stack, service: str) -> None:
    """Every process runs as a user, without capabilities, and can gain none."""
    status = demo_stack.execute(service, "sh", "-c", "cat /proc/[0-9]*/status")
    users = set(re.findall(r"^Uid:\s+(\d+)\s+(\d+)\s+(\d+)", status, re.MULTILINE))
    assert users == {("101",) * 3} if service == "nginx" else {("10001",) * 3}
    assert set(re.findall(r"^CapEff:\s+(\w+)", status, re.MULTILINE)) == {"0" * 16}
    assert set(re.findall(r"^CapBnd:\s+(\w+)", status, re.MULTILINE)) == {"0" * 16}
    assert set(re.findall(r"^NoNewPrivs:\s+(\d)", status, re.MULTILINE)) == {"1"}


@pytest.mark.parametrize("service", SERVICES)
def test_file_systems_are_read_only(demo_stack: Stack, service: str) -> None:
    """Nothing can be written but scratch space in memory."""
    script = "for d in / /etc /usr/bin /opt /var /config /etc/nginx/gateway /run/demo; do"
    script += (
        ' [ -d "$d" ] && (touch "$d/written" 2>/dev/null && echo "$d"); done; touch /tmp/written && echo /tmp'
    )
    written = set(demo_stack.execute(service, "sh", "-c", script, check=False).split())
    # The stand-in's own folder is where it leaves the demo's settings.
    assert written == ({"/tmp", "/run/demo"} if service == "cognito" else {"/tmp"})
    mounts = demo_stack.execute(service, "cat", "/proc/mounts").splitlines()
    (root,) = (line for line in mounts if line.split()[1] == "/")
    assert root.split()[3].split(",")[0] == "ro"


@pytest.mark.parametrize("service", SERVICES)
def test_memory_is_limited(demo_stack: Stack, service: str) -> None:
    """No container can take the machine's memory, or fork without end."""
    host = demo_stack.container(service).data["HostConfig"]
    assert 0 < host["Memory"] <= 512 * 1024 * 1024
    assert 0 < host["PidsLimit"] <= 256
    assert host["RestartPolicy"]["Name"] == "unless-stopped"


def test_open_streams_end_cleanly_and_soon(deploy: Deploy) -> None:
    """`down` with an open event stream takes less than 15 s; the client sees the stream end, not break."""
    stack = deploy(profiles=("demo",))
    stack.up()
    from support import composed

    demo = composed.introduced(stack)
    headers = {
        "Authorization": f"Bearer {demo.token('demo-admin-agent')}",
        "Accept": "application/json, text/event-stream",
    }
    headers |= {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "countdown"}
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "progressToken": "p"}
    meta |= {"io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"}}  # type: ignore[dict-item]
    meta |= {"io.modelcontextprotocol/clientCapabilities": {}}  # type: ignore[dict-item]
    params = {"name": "countdown", "arguments": {"seconds": 600}, "_meta": meta}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    with (
        ThreadPoolExecutor(1) as pool,
        httpx.Client(headers=headers, trust_env=False, timeout=60) as client,
        client.stream("POST", f"{stack.base_url}/fininfo/mcp", json=body) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        lines = answer.iter_lines()
        assert any("progress" in line for line in lines)
        stopping = pool.submit(stack.down)
        rest = list(lines)  # raises where the connection breaks in the middle of a chunk
        seconds = stopping.result()
    assert rest
    assert seconds < 15


def test_a_stop_is_quick(demo_stack: Stack) -> None:
    """Each container ends by itself, well before the engine would kill it."""
    start = time.monotonic()
    demo_stack.compose("stop", "-t", "30")
    seconds = time.monotonic() - start
    codes = {c.service: c.data["State"]["ExitCode"] for c in demo_stack.containers()}
    demo_stack.up()
    assert seconds < 10
    assert 137 not in codes.values(), codes


def test_secrets_stay_where_they_belong(deploy: Deploy) -> None:
    """A secret in .env or in a file shows in no configuration, no environment of a container, no image."""
    key, client_secret = "k3y" * 16 + "Zq81", "s3cr3t" * 8
    env = (
        "COGNITO_USER_POOL_ID=us-east-1_AbCdEfGhI\nCOGNITO_CLIENT_ID=web\n"
        f"SECRET_KEY={key}\nCOGNITO_CLIENT_SECRET_FILE=client_secret\nREVOCATION_URL=redis://u:{key}@valkey:6379/0\n"
    )
    stack = deploy(env=env, profiles=("demo", "cluster"), files={"client_secret": client_secret})
    shown = stack.compose("config").stdout
    stack.compose("up", "--no-start")
    containers = stack.containers()
    assert {"auth-server", "nginx", "cognito", "valkey"} <= {c.service for c in containers}
    shown += repr([c.data for c in containers])
    images = {c.data["Image"] for c in containers}
    shown += repr([engine.get(f"/v1.41/images/{image}/history") for image in images])
    shown += repr([engine.get(f"/v1.41/images/{image}/json") for image in images])
    for secret in (key, client_secret):
        assert secret not in shown
    assert "us-east-1_AbCdEfGhI" in shown
    settings = stack.compose("run", "--rm", "--no-deps", "-T", "auth-server", "check", "--json").stdout
    assert '"sessions": "accepted"' in settings


def test_the_image_is_small() -> None:
    """Less than 150 MB over its base, and nothing in it that builds or installs."""
    image = engine.get("/v1.41/images/mcp-auth-server:test/json")
    base = engine.get("/v1.41/images/python:3.13-slim/json")
    assert image["Size"] - base["Size"] < 150_000_000
    assert image["Config"]["User"] == "10001:10001"


def test_missing_settings_are_named(deploy: Deploy) -> None:
    """Without the profile and without a pool nothing is served, and the log says what is missing and what to do."""
    stack = deploy(env="SECRET_KEY=short\nDECISION_TTL=never\n")
    started = stack.compose("up", "-d", check=False, timeout=60)
    assert started.returncode != 0
    said = stack.logs("auth-server")
    for missing in ("COGNITO_USER_POOL_ID", "SECRET_KEY", "DECISION_TTL", "cp .env.example .env"):
        assert missing in said
    assert "Traceback" not in said
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{stack.base_url}/health", trust_env=False)


def test_a_mended_env_counts_at_once(deploy: Deploy) -> None:
    """The sidecar waits for settings that are right: no restart is needed once they are."""
    stack = deploy(env="COGNITO_USER_POOL_ID=nonsense\n")
    stack.compose("up", "-d", "--no-deps", "auth-server")
    time.sleep(2)
    assert "COGNITO_USER_POOL_ID" in stack.logs("auth-server")
    # Of the environment, which compose gave it, the sidecar cannot be cured; what it reads itself it can be.
    stack.down()
    stack = deploy(env="COGNITO_USER_POOL_ID=us-east-1_AbCdEfGhI\nSECRET_KEY=short\n")
    stack.compose("up", "-d", "--no-deps", "auth-server")
    time.sleep(2)
    (stack.folder / ".env").write_text("COGNITO_USER_POOL_ID=us-east-1_AbCdEfGhI\n")
    time.sleep(3)
    assert '"event": "started"' in stack.logs("auth-server")


def _open_ports(address: str) -> set[int]:
    def is_open(port: int) -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            return probe.connect_ex((address, port)) == 0

    ports = range(1, 65536)
    with ThreadPoolExecutor(16) as pool:
        return {
            port
            for port, opened in zip(ports, pool.map(is_open, ports, chunksize=512), strict=True)
            if opened
        }
