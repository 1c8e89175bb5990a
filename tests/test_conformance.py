"""The parts of `make conformance` and `make clients`: the server, what adds a token, and how a run is read and told."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from conformance import report, suite
from conformance.forwarder import forwarding, with_token
from conformance.python_server import full
from mcp import Client
from official_clients import verdict
from support.backend import Backend
from support.repository import ROOT
from support.shared_machine import free_port

PACKAGES = [ROOT / "tests" / name / "npm" for name in ("conformance", "official_clients")]


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
    report.put(page, report.BEGIN, report.END, report.table([result]))
    text = page.read_text()
    assert text.startswith(f"before\n{report.BEGIN}\n| server |")
    assert text.endswith(f"| 2 of 3 | 1 of 2 | 0, 1 | `ping: b` |\n{report.END}\nafter\n")


SEEN: dict[str, object] = {
    "list": [verdict.GRANTED, verdict.DENIED],
    "call": "This is a simple text response for testing.",
    "denied": "image",
    "progress": [0, 50, 100],
    "sampling": "LLM response: model",
    "elicitation": "Hello, u!",
    "DELETE": True,
}


def test_what_a_client_saw_is_judged() -> None:
    """Direct nothing is denied; through the gateway the denied tool is neither listed nor called."""
    direct = verdict.of(SEEN, "legacy", cut=False)
    assert {name for name, cell in direct.items() if cell != verdict.WORKS} == {"resumption", "subscription"}
    assert verdict.of(SEEN, "modern", cut=False)["DELETE"] == verdict.ABSENT
    cut = SEEN | {"list": [verdict.GRANTED], "denied": f"no scope grants tools/call {verdict.DENIED} on full"}
    assert verdict.Row("one", "legacy", direct, verdict.of(cut, "legacy", cut=True)).lost == []
    uncut = verdict.Row("one", "legacy", direct, verdict.of(SEEN, "legacy", cut=True))
    assert uncut.lost == uncut.unexplained == ["list", "denied call"]
    assert "| one | legacy | yes · no | yes | yes · no |" in verdict.table([uncut])
    assert set(verdict.of({"version": "2025-11-25"}, "modern", cut=True).values()) == {
        "failed: it speaks 2025-11-25"
    }
    assert set(verdict.of({"error": "it ended"}, "legacy", cut=True).values()) == {"failed: it ended"}


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda folder: str(folder.parent.name))
def test_the_packages_are_locked(folder: Path) -> None:
    """To the byte, and without addresses."""
    lock = json.loads((folder / "package-lock.json").read_text())
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    packages = {name: found for name, found in lock["packages"].items() if name}
    assert all(
        found["integrity"].startswith("sha512-") and "resolved" not in found for found in packages.values()
    )
    assert wanted == {name: packages[f"node_modules/{name}"]["version"] for name in wanted}
