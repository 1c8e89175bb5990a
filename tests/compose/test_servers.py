"""MCP through the containers: long streams, and a server of one's own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest
from support import composed, mcp_http
from support.held import SECONDS
from support.waiting import until

if TYPE_CHECKING:
    from support.compose import Deploy, Stack
    from support.held import Held

# A container of the user's, on the network that docker-compose.yml has for it.
NOTES = """\
services:
  notes:
    image: ${AUTH_SERVER_IMAGE}-demo
    entrypoint: ["python", "-m", "auth_server.demo.mcp_servers", "currenttime", "--host", "0.0.0.0", "--port", "8000"]
    networks: [mcp]
    healthcheck: {disable: true}
"""
GRANT = "  - {server: notes, methods: [tools/list, tools/call], tools: [current_time_by_timezone]}\n"


@pytest.mark.timeout(SECONDS + 60)
def test_streams_are_held_for_minutes(held: Held) -> None:
    """The official client's slow calls report each second to the end, by token and by cookie."""
    for kind, stream in held.items():
        assert not stream.result.result(SECONDS + 30), kind
        assert stream.seen == [float(second) for second in range(1, SECONDS + 1)], kind


@pytest.mark.timeout(240)
def test_a_server_of_ones_own(deploy: Deploy) -> None:
    """An entry in servers.conf, one in scopes.yml and a reload: an own server answers, and open streams go on."""
    stack = deploy(profiles=("demo",), files={"docker-compose.override.yml": NOTES})
    stack.up()
    demo = composed.introduced(stack)
    listing = mcp_http.message("tools/list", {})
    with httpx.Client(base_url=stack.base_url, trust_env=False, timeout=30) as client:

        def asked() -> httpx.Response:
            return client.post("/notes/mcp", json=listing, headers=mcp_http.headers(token, "tools/list"))

        token = demo.token()
        assert asked().status_code == 403
        slow = mcp_http.headers(demo.token("demo-admin-agent"), "tools/call", "countdown")
        with client.stream(
            "POST", "/fininfo/mcp", json=mcp_http.countdown(600), headers=slow, timeout=5
        ) as open_stream:
            lines = open_stream.iter_lines()
            assert any("progress" in line for line in lines)
            workers = _workers(stack)
            _add_notes(stack)
            stack.execute("nginx", "nginx", "-s", "reload")
            until(lambda: asked().status_code == 200, "the own server answers", seconds=20, every=0.2)
            assert "current_time_by_timezone" in asked().text
            # The worker with the stream goes on beside the new ones, and so does the stream.
            assert _workers(stack) > workers
            assert all(any("progress" in line for line in lines) for _ in range(2))


def _workers(stack: Stack) -> int:
    processes = stack.execute("nginx", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    return processes.count("nginx: worker process")


def _add_notes(stack: Stack) -> None:
    """Take the comment signs off what servers.conf shows, and grant it."""
    conf, scopes = stack.folder / "nginx" / "servers.conf", stack.folder / "scopes.yml"
    text = conf.read_text()
    shown = re.search(r"^# upstream mcp_notes \{\n(?:#  .*\n)+# \}\n", text, re.MULTILINE)
    assert shown, text
    entry = re.sub(r"^# ", "", shown[0], flags=re.MULTILINE)
    if _nginx_version(stack) < (1, 27, 3):
        entry = entry.replace(" resolve;", ";")
    conf.write_text(text.replace(shown[0], entry).replace("    # notes ", "    notes "))
    scope = "mcp-servers-restricted/read:\n"
    granted = scopes.read_text().replace(f"\n{scope}", f"\n{scope}{GRANT}")
    assert GRANT in granted
    scopes.write_text(granted)


def _nginx_version(stack: Stack) -> tuple[int, ...]:
    said = stack.execute("nginx", "sh", "-c", "nginx -v 2>&1")
    found = re.search(r"nginx/([\d.]+)", said)
    assert found, said
    return tuple(int(part) for part in found[1].split("."))
