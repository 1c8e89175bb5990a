"""What a fresh clone runs: who is reachable, as whom it runs, what it may write, what it knows, and how it stops."""

from __future__ import annotations

import json
import re
import secrets
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest
from support import composed, engine, mcp_http
from support.compose import COMPOSE_1
from support.waiting import until

if TYPE_CHECKING:
    from support.compose import Deploy, Stack
    from support.demo import Demo

SERVICES = ("nginx", "auth-server", "auth-server-2", "cognito", "currenttime", "fininfo")
POOL = "COGNITO_USER_POOL_ID=us-east-1_AbCdEfGhI\n"


# What each test below looks at, read in one visit to each container: a visit takes a second.
LOOK = """
echo '== listening'; cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6
echo '== interfaces'; ls /sys/class/net
echo '== status'; cat /proc/[0-9]*/status
echo '== mounts'; cat /proc/mounts
echo '== shown'; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'
echo '== settings'; cat /run/demo/.env
echo '== written'
for folder in / /etc /usr/bin /opt /var /config /etc/nginx/gateway /run/demo /run/mcp /run/auth-server /run/inner \
              /var/lib/auth-server /tmp; do
    [ -d "$folder" ] && touch "$folder/t" && rm "$folder/t" && echo "$folder"
done
echo '== end'
"""
Look = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def look(demo_stack: Stack) -> Look:
    """What a process of each container can see and do: service → topic → text."""
    found: Look = {}
    for service in SERVICES:
        said = demo_stack.execute(service, "sh", "-c", f"exec 2>/dev/null\n{LOOK}")
        topics = re.findall(r"^== (\w+)\n(.*?)(?=^== )", said, re.MULTILINE | re.DOTALL)
        found[service] = dict(topics)
        assert len(found[service]) == LOOK.count("echo '==") - 1, said
    return found


def test_all_are_healthy(demo_stack: Stack) -> None:
    """`up -d --build` without .env ends with every container of the demo healthy."""
    demo_stack.wait_until_healthy(*SERVICES, seconds=30)


def test_docker_compose_1_29_brings_it_up(deploy: Deploy) -> None:
    """The compose before `docker compose` reads the same file without complaint, and what it starts lets an agent in."""
    stack = deploy(profiles=("demo", "cluster"), command=COMPOSE_1)
    assert "1.29" in stack.compose("version", "--short").stdout
    done = stack.compose("config", "-q")
    assert (done.stdout, done.stderr) == ("", "")
    stack.up()
    token = composed.introduced(stack).token()
    listed = httpx.post(
        f"{stack.base_url}/currenttime/mcp",
        json=mcp_http.message("tools/list", {}),
        headers=mcp_http.headers(token, "tools/list"),
        trust_env=False,
    )
    assert listed.status_code == 200, listed.text


def test_nginx_alone_publishes(demo_stack: Stack) -> None:
    """One port of this machine leads into the stack: nginx's, on loopback."""
    published = {c.service: c.published for c in demo_stack.containers() if c.published}
    assert published == {"nginx": [f"127.0.0.1:{demo_stack.port}"]}


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_else_listens(look: Look, service: str) -> None:
    """No container but nginx's listens on any address but its own loopback."""
    assert _listening(look[service]["listening"]) == ({8080} if service == "nginx" else set())


def test_this_machine_reaches_nginx_alone(demo_stack: Stack) -> None:
    """Calls from the host to the containers' own addresses are refused, on every port that a part of the demo knows."""
    reached = {
        (container.service, port)
        for container in demo_stack.containers()
        for address in container.addresses
        for port in (80, 443, 5000, 6379, 8000, 8080, 8888, 9000)
        if _connects(address, port)
    }
    assert reached <= {("nginx", 8080)}


@pytest.mark.parametrize("service", ["cognito", "currenttime", "fininfo"])
def test_the_demo_has_no_network(look: Look, service: str) -> None:
    """The stand-in and the MCP servers have nothing but loopback."""
    assert look[service]["interfaces"].split() == ["lo"]


@pytest.mark.parametrize(
    "path",
    [
        "/validate",
        "/readyz",
        "/healthz",
        "/metrics",
        "/gateway/validate",
        "/us-east-1_Demo00000/oauth2/token",
    ],
)
def test_foreign_paths(demo_stack: Stack, path: str) -> None:
    """nginx shows the stand-in under its own path alone, and the sidecar's inner endpoints under none."""
    assert httpx.get(demo_stack.base_url + path, trust_env=False).status_code in {400, 401, 404}


@pytest.mark.parametrize("service", SERVICES)
def test_nobody_is_root(look: Look, service: str) -> None:
    """Every process runs as a user, without capabilities, and can gain none."""
    status = look[service]["status"]
    uids = set(re.findall(r"^Uid:\s+(\d+)\s+(\d+)\s+(\d+)", status, re.MULTILINE))
    assert uids == {("101",) * 3 if service == "nginx" else ("10001",) * 3}
    for kind in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert set(re.findall(rf"^{kind}:\s+(\w+)", status, re.MULTILINE)) == {"0" * 16}, kind
    assert set(re.findall(r"^NoNewPrivs:\s+(\d)", status, re.MULTILINE)) == {"1"}


@pytest.mark.parametrize("service", SERVICES)
def test_file_systems_are_read_only(look: Look, service: str) -> None:
    """Nothing can be written but scratch space in memory, and what each part hands to the others."""
    replica = {"/run/auth-server", "/var/lib/auth-server"}
    own = {"cognito": {"/run/demo"}, "currenttime": {"/run/mcp"}, "fininfo": {"/run/mcp"}}
    own |= {"nginx": {"/run/inner"}, "auth-server": replica, "auth-server-2": replica}
    assert set(look[service]["written"].split()) == {"/tmp"} | own.get(service, set())
    mounts = [line.split() for line in look[service]["mounts"].splitlines()]
    (root,) = (mount for mount in mounts if mount[1] == "/")
    assert root[3].split(",")[0] == "ro"


def test_resources_are_limited(demo_stack: Stack) -> None:
    """No container can take the machine's memory or fork without end, and each is started again when it dies."""
    for container in demo_stack.containers():
        host = container.data["HostConfig"]
        assert 0 < host["Memory"] <= 512 * 1024 * 1024, container.service
        assert 0 < host["PidsLimit"] <= 256, container.service
        assert host["RestartPolicy"]["Name"] == "unless-stopped", container.service


def test_the_demo_keeps_its_secrets(demo_stack: Stack, demo: Demo, look: Look) -> None:
    """Neither the key that signs cookies nor the web client's secret is in an environment or a command line."""
    settings = look["auth-server"]["settings"]
    (web,) = re.findall(r"^COGNITO_CLIENT_SECRET=(\S+)", settings, re.MULTILINE)
    assert demo.secret_key in settings
    shown = json.dumps([container.data for container in demo_stack.containers()])
    shown += "".join(seen["shown"] for seen in look.values())
    assert "STATE_DIRECTORY=/var/lib/auth-server" in shown
    assert demo.secret_key not in shown
    assert web not in shown
    assert not look["nginx"]["settings"]


def test_secrets_stay_where_they_belong(deploy: Deploy) -> None:
    """A secret in .env or in a file shows in no configuration, no environment, no command line, no image."""
    key, client_secret, password = secrets.token_hex(32), secrets.token_hex(26), secrets.token_hex(20)
    env = (
        f"{POOL}COGNITO_CLIENT_ID=web\nSECRET_KEY={key}\nCOGNITO_CLIENT_SECRET_FILE=client_secret\n"
        f"REVOCATION_URL=redis://u:{password}@valkey:6379/0\n"
    )
    stack = deploy(env=env, profiles=("demo", "cluster"), files={"client_secret": client_secret})
    shown = stack.compose("config").stdout
    stack.compose("up", "--no-start")
    containers = stack.containers()
    assert {c.service for c in containers} == {*SERVICES, "valkey"}
    shown += repr([c.data for c in containers])
    for image in {c.data["Image"] for c in containers}:
        shown += repr(engine.get(f"/v1.41/images/{image}/history"))
        shown += repr(engine.get(f"/v1.41/images/{image}/json"))
    for secret in (key, client_secret, password):
        assert secret not in shown
    assert "us-east-1_AbCdEfGhI" in shown
    said = stack.compose("run", "--rm", "--no-deps", "-T", "auth-server", "check", "--json").stdout
    assert '"sessions": "accepted"' in said


def test_open_streams_end_cleanly(deploy: Deploy) -> None:
    """`stop` with an open event stream ends within 10 s, nobody has to be killed, and the stream ends, not breaks."""
    stack = deploy(profiles=("demo",))
    stack.up()
    headers = mcp_http.headers(
        composed.introduced(stack).token("demo-admin-agent"), "tools/call", "countdown"
    )
    with (
        ThreadPoolExecutor(1) as pool,
        httpx.Client(headers=headers, trust_env=False, timeout=30) as client,
        client.stream("POST", f"{stack.base_url}/fininfo/mcp", json=mcp_http.countdown(600)) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        lines = answer.iter_lines()
        assert any("progress" in line for line in lines)
        start = time.monotonic()
        stopping = pool.submit(stack.compose, "stop", "-t", "10")
        rest = list(lines)  # raises where the connection breaks in the middle of a chunk
        stopping.result()
    codes = {c.service: c.data["State"]["ExitCode"] for c in stack.containers()}
    assert rest
    assert codes.keys() == set(SERVICES)
    assert 137 not in codes.values(), (codes, time.monotonic() - start)


@pytest.mark.timeout(180)
def test_missing_settings_are_named(deploy: Deploy) -> None:
    """Without the profile and without a pool `up` fails, nothing is served, and the log says what is missing."""
    stack = deploy(env="SECRET_KEY=short\nSESSION_MAX_AGE=never\n")
    assert stack.compose("up", "-d", check=False).returncode != 0
    said = stack.logs("auth-server")
    for missing in ("COGNITO_USER_POOL_ID", "SECRET_KEY", "SESSION_MAX_AGE", "cp .env.example .env"):
        assert missing in said
    assert "Traceback" not in said
    assert not _connects("127.0.0.1", stack.port)


def test_a_mended_env_counts_at_once(deploy: Deploy) -> None:
    """The sidecar waits for settings that are right: no restart is needed once they are."""
    stack = deploy(env="SECRET_KEY=short\n")
    stack.compose("up", "-d", "--no-deps", "auth-server")
    until(lambda: "SECRET_KEY" in stack.logs("auth-server"), "the complaint", seconds=30, every=0.2)
    (stack.folder / ".env").write_text(POOL)
    until(lambda: '"event": "started"' in stack.logs("auth-server"), "the start", seconds=30, every=0.2)


def test_a_session_ends_in_both_replicas(deploy: Deploy, demo_stack: Stack, demo: Demo) -> None:
    """Who signs out is signed out everywhere: the replicas share what has ended, on a volume that outlives them."""
    cookie = {"Cookie": f"mcp_gateway_session={demo.cookie('dev')}"}
    with httpx.Client(base_url=demo_stack.base_url, headers=cookie, trust_env=False) as client:
        assert {client.get("/session").status_code for _ in range(10)} == {200}
        assert client.delete("/session").status_code < 300
        until(
            lambda: {client.get("/session").status_code for _ in range(10)} == {401},
            "both replicas refuse the copy of the cookie",
            seconds=20,
            every=0.5,
        )


def test_valkey_keeps_what_it_is_told(deploy: Deploy) -> None:
    """The profile `cluster` has a Valkey that the sidecars reach, nobody else, and that outlives a restart."""
    stack = deploy(env=POOL, profiles=("cluster",))
    stack.compose("up", "-d", "--no-deps", "valkey", "auth-server")
    stack.wait_until_healthy("valkey", seconds=30)
    valkey = stack.container("valkey")
    assert not valkey.published
    assert valkey.data["HostConfig"]["ReadonlyRootfs"]
    assert (
        stack.execute("auth-server", "python", "-c", f"{_REDIS}; print(r.set('ended', 'sid-1'))") == "True\n"
    )
    stack.compose("restart", "valkey")
    stack.wait_until_healthy("valkey", seconds=30)
    assert stack.execute("auth-server", "python", "-c", f"{_REDIS}; print(r.get('ended'))") == "b'sid-1'\n"
    networks = [set(c.data["NetworkSettings"]["Networks"]) for c in stack.containers()]
    assert set.intersection(*networks) == {f"{stack.project}_cluster"}


_REDIS = "import redis; r = redis.Redis('valkey', socket_timeout=5)"


def _connects(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0


def _listening(table: str) -> set[int]:
    """Return the ports of /proc/net/tcp and udp that are open on more than loopback."""
    found = set()
    for local, state in re.findall(
        r"^ *\d+: ([0-9A-F]+:[0-9A-F]{4}) [0-9A-F:]+ ([0-9A-F]{2}) ", table, re.MULTILINE
    ):
        address, port = local.split(":")
        loopback = address.endswith(("7F", "01000000"))
        if state in {"0A", "07"} and not loopback:
            found.add(int(port, 16))
    return found
