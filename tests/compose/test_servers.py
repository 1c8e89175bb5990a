"""The official client through the stack, long streams, and a server of one's own."""

from __future__ import annotations

import contextlib
import os
import re
import time
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conftest import Deploy
    from support.compose import Stack
    from support.demo import Demo

pytestmark = pytest.mark.anyio

# Minutes, where somebody has the time: COMPOSE_STREAM_SECONDS=300 make test-compose
STREAM_SECONDS = int(os.environ.get("COMPOSE_STREAM_SECONDS", "12"))

OWN = """\
services:
  notes:
    image: ${AUTH_SERVER_IMAGE}
    pull_policy: never
    entrypoint: ["python", "-m", "auth_server.demo.mcp_servers", "currenttime", "--host", "0.0.0.0", "--port", "8000"]
    networks: [mcp]
    healthcheck:
      test: ["CMD", "python", "-c", "import socket; socket.create_connection(('127.0.0.1', 8000))"]
      interval: 2s
"""


def headers(demo: Demo, kind: str) -> dict[str, str]:
    """Return an administrator's credential."""
    if kind == "jwt":
        return {"Authorization": f"Bearer {demo.token('demo-admin-agent')}"}
    return {"Cookie": f"mcp_gateway_session={demo.cookie('ada')}"}


@contextlib.asynccontextmanager
async def connected(url: str, credential: dict[str, str]) -> AsyncIterator[Client]:
    """Connect the official client."""
    async with httpx2.AsyncClient(headers=credential, trust_env=False, timeout=STREAM_SECONDS + 60) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            yield client


@pytest.mark.timeout(STREAM_SECONDS + 120)
@pytest.mark.parametrize("kind", ["jwt", "cookie"])
async def test_a_stream_is_held(demo_stack: Stack, demo: Demo, kind: str) -> None:
    """A slow call reports its progress to the end, through a reload of nginx and a new replica of the sidecar."""
    seen: list[float] = []

    async def progress(done: float, _total: float | None, _message: str | None) -> None:
        seen.append(done)

    async with (
        connected(f"{demo_stack.base_url}/fininfo/mcp", headers(demo, kind)) as client,
        anyio.create_task_group() as group,
    ):
        group.start_soon(anyio.to_thread.run_sync, lambda: _disturb(demo_stack))
        result = await client.call_tool("countdown", {"seconds": STREAM_SECONDS}, progress_callback=progress)
    assert not result.is_error
    assert seen == [float(second) for second in range(1, STREAM_SECONDS + 1)]


async def test_clients_without_a_right(demo_stack: Stack, demo: Demo) -> None:
    """A call that nobody granted ends in an error that the client can read."""
    credential = {"Authorization": f"Bearer {demo.token()}"}
    async with connected(f"{demo_stack.base_url}/currenttime/mcp", credential) as client:
        assert not (await client.call_tool("current_time_by_timezone", {"tz_name": "UTC"})).is_error
        with pytest.raises(MCPError, match="convert_time"):
            await client.call_tool("convert_time", {})


@pytest.mark.timeout(240)
def test_a_server_of_ones_own(deploy: Deploy) -> None:
    """One entry in servers.conf and one in scopes.yml, and a reload: an own server answers, streams go on."""
    from support import composed

    stack = deploy(profiles=("demo",), files={"docker-compose.override.yml": OWN})
    stack.up()
    demo = composed.introduced(stack)
    conf, scopes = stack.folder / "nginx" / "servers.conf", stack.folder / "scopes.yml"
    text = conf.read_text().replace("    # notes ", "    notes ")
    # What is written there for nginx 1.30; the lab's is older and has no `resolve`.
    own = "\n".join(
        line.removeprefix("# ")
        for line in re.findall(r"^# (?:upstream mcp_notes|    |\}).*", text, re.MULTILINE)
    )
    version = stack.compose("exec", "-T", "nginx", "nginx", "-v").stderr + stack.execute(
        "nginx", "sh", "-c", "nginx -v 2>&1"
    )
    if [int(part) for part in re.findall(r"nginx/(\d+)\.(\d+)\.(\d+)", version)[0]] < [1, 27, 3]:
        own = own.replace(" resolve;", ";")
    conf.write_text(own + "\n" + text)
    scopes.write_text(
        scopes.read_text() + "\nmcp-notes/read:\n  - {server: notes, methods: '*', tools: '*'}\n"
    )
    credential = headers(demo, "jwt") | {"Accept": "application/json, text/event-stream"}
    with httpx.Client(headers=credential, trust_env=False, timeout=30) as client:
        with client.stream("POST", f"{stack.base_url}/fininfo/mcp", json=_countdown(14)) as answer:
            lines = answer.iter_lines()
            assert any("progress" in line for line in lines)
            stack.execute("nginx", "nginx", "-s", "reload")
            time.sleep(1)
            listed = _post(client, f"{stack.base_url}/notes/mcp", "tools/list", {})
            assert "current_time_by_timezone" in listed.text, listed.text
            rest = "".join(lines)
        assert "14 s have passed" in rest


def _disturb(stack: Stack) -> None:
    time.sleep(2)
    stack.execute("nginx", "nginx", "-s", "reload")
    stack.compose("up", "-d", "--force-recreate", "--no-deps", "auth-server")
    stack.wait_until_healthy("auth-server")


def _countdown(seconds: int) -> dict[str, Any]:
    return _message("tools/call", {"name": "countdown", "arguments": {"seconds": seconds}}, progressToken="p")


def _message(method: str, params: dict[str, Any], **meta: Any) -> dict[str, Any]:
    about = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"} | meta
    about |= {"io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"}}
    about |= {"io.modelcontextprotocol/clientCapabilities": {}}
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params | {"_meta": about}}


def _post(client: httpx.Client, url: str, method: str, params: dict[str, Any]) -> httpx.Response:
    return client.post(
        url,
        json=_message(method, params),
        headers={"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method},
    )
