"""The parts of `make conformance`: its server, what adds a token on the way, and how a run is read and told."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from conformance import report, suite
from conformance.forwarder import forwarding, with_token
from conformance.python_server import full
from mcp import Client
from support.backend import Backend
from support.repository import ROOT
from support.shared_machine import free_port

PACKAGES = ROOT / "tests" / "conformance" / "npm"


@pytest.mark.anyio
async def test_the_server_has_what_the_suite_asks_for() -> None:
    """Tools, prompts and resources are there, and answer."""
    async with Client(full()) as client:
        assert (
            len((await client.list_tools()).tools)
            == len({t.name for t in (await client.list_tools()).tools})
            >= 25
        )
        answer = await client.call_tool("test_simple_text", {})
        assert getattr(answer.content[0], "text", "") == "This is a simple text response for testing."
        assert (await client.get_prompt("test_prompt_with_image", {})).messages
        assert (await client.read_resource("test://template/7/data")).contents


def test_a_token_is_added() -> None:
    """A request's own credential gives way; its Host and all else stay."""
    head = (
        b"POST /a HTTP/1.1\r\nHost: evil.example\r\nauthorization: Basic x\r\nConnection: keep-alive\r\n\r\n"
    )
    lines = with_token(head, "t").split(b"\r\n")
    assert lines == [
        b"POST /a HTTP/1.1",
        b"Authorization: Bearer t",
        b"Connection: close",
        b"Host: evil.example",
        b"",
        b"",
    ]


def test_requests_are_passed_on() -> None:
    """Each comes to the other port with the token, and its answer comes back."""
    port = free_port()
    with Backend() as backend, forwarding(port, backend.port, "t"):
        for _ in range(2):
            assert httpx.post(f"http://127.0.0.1:{port}/x", json={}, trust_env=False).status_code == 200
        seen = backend.requests
    assert [(one.target, one.header("Authorization"), one.header("Host")) for one in seen] == [
        ("/x", "Bearer t", f"127.0.0.1:{port}")
    ] * 2


def test_a_run_is_read_and_told(tmp_path: Path) -> None:
    """A check that comes twice counts twice; what passes direct alone is lost; the page keeps its other words."""
    folder = tmp_path / "server-server-stateless-2026-11-21T19-15-16-741Z"
    folder.mkdir()
    checks = [{"id": "a", "status": status} for status in ("SUCCESS", "FAILURE", "INFO")]
    (folder / "checks.json").write_text(json.dumps(checks))
    through = suite.Run(suite.read(tmp_path), 1)
    assert through.passed == {"server-stateless: a"}
    assert through.failed == {"server-stateless: a (2)"}
    direct = suite.Run((*through.checks, suite.Check("ping", "b", 1, "SUCCESS")), 0)
    result = report.Result("one", "2026-07-28", direct, through)
    assert result.lost == result.unexplained == ["ping: b"]
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write(page, [result])
    text = page.read_text()
    assert text.startswith(f"before\n{report.BEGIN}\n| server |")
    assert text.endswith(f"| 2 of 3 | 1 of 2 | 0, 1 | `ping: b` |\n{report.END}\nafter\n")


def test_the_packages_are_locked() -> None:
    """To the byte, and without addresses."""
    lock = json.loads((PACKAGES / "package-lock.json").read_text())
    wanted = json.loads((PACKAGES / "package.json").read_text())["dependencies"]
    packages = {name: found for name, found in lock["packages"].items() if name}
    assert all(
        found["integrity"].startswith("sha512-") and "resolved" not in found for found in packages.values()
    )
    assert wanted == {name: packages[f"node_modules/{name}"]["version"] for name in wanted}
