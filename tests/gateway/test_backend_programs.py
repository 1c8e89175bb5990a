"""The programs of docs/what-a-backend-sees.md, as their reader runs them: each behind a real gateway, called by the SDK."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from support import cognito
from support.clean_environment import clean_environment
from support.document import BACKEND, names
from support.door import cookie, mint
from support.gateway import environment, running
from support.repository import ROOT
from support.shared_machine import free_port
from support.typescript import compiled
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.gateway import Gateway
    from support.jwks_server import JwksServer

pytestmark = pytest.mark.anyio

PROGRAMS = ("fastmcp", "mcp", "typescript")
FASTMCP = ROOT / ".state" / "backends" / "bin" / "python"
SCOPES = """\
mcp/read:
  - server: "*"
    methods: [tools/list, tools/call]
    tools: [who_am_i, "search, *"]
"by, group":
  - server: "*"
    methods: [tools/call]
    tools: ["50% ü"]
group_mappings:
  readers: [mcp/read]
  "Ärzte, Kölner & Co": ["by, group"]
"""
PERSON = "zoë, 50% +1"
GROUPS = ("readers", "Ärzte, Kölner & Co")
OF_GROUPS = {
    "groups": list(GROUPS),
    "scopes": ["mcp/read", "by, group"],
    "may_call": ["50% ü", "search, *", "who_am_i"],
}
AGENT = {"user": "", "client": cognito.AGENT, "groups": [], "scopes": ["mcp/read", "mcp/run"]}
AGENT["may_call"] = ["search, *", "who_am_i"]


def callers() -> dict[str, tuple[dict[str, str], dict[str, Any]]]:
    """Return what each sends, and what the program has to say of them."""
    groups = list(GROUPS)
    access = mint("access", **{"username": PERSON, "cognito:groups": groups, "scope": "mcp/read"})
    identity = mint("id", **{"cognito:username": PERSON, "cognito:groups": groups})
    person = {"user": PERSON, "client": cognito.CLIENT, **OF_GROUPS}
    return {
        "agent": ({"Authorization": f"Bearer {mint()}"}, AGENT),
        "access token": ({"Authorization": f"Bearer {access}"}, person),
        "ID token": ({"Authorization": f"Bearer {identity}"}, person),
        "cookie": ({"Cookie": f"mcp_gateway_session={cookie(PERSON, GROUPS)}"}, person | {"client": ""}),
    }


@pytest.fixture(scope="module")
def gateway(key_server: JwksServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Start the three, and a gateway in front."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "scopes.yml").write_text(SCOPES)
    servers = {}
    with contextlib.ExitStack() as stack:
        for name, command in commands(folder).items():
            port = free_port()
            stack.enter_context(started(command, port, folder / f"{name}.log"))
            servers[name] = f"http://127.0.0.1:{port}"
        environ = environment(key_server.url, folder / "scopes.yml")
        with running(servers, environ, "--nginx-workers", "1", cwd=folder) as gateway:
            yield gateway


def commands(folder: Path) -> dict[str, list[str]]:
    """Write each program into a file, and return how it is started."""
    assert FASTMCP.exists(), f"{FASTMCP} is not installed: run `make .state/backends/.installed`"
    fastmcp, mcp = BACKEND.programs("python")
    (typescript,) = BACKEND.programs("typescript")
    (folder / "with_fastmcp.py").write_text(fastmcp)
    (folder / "with_mcp.py").write_text(mcp)
    return {
        "fastmcp": [str(FASTMCP), str(folder / "with_fastmcp.py")],
        "mcp": [sys.executable, str(folder / "with_mcp.py")],
        "typescript": ["node", str(compiled(typescript, folder / "typescript"))],
    }


@contextlib.contextmanager
def started(command: list[str], port: int, log: Path) -> Iterator[None]:
    """Run a program until the block ends."""
    # What measures coverage is of no use there: it would look for this package.
    kept = {name: value for name, value in clean_environment().items() if not name.startswith("COVERAGE_")}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=kept | {"PORT": str(port)}, cwd=log.parent, stdout=out, stderr=subprocess.STDOUT
        )
        try:

            def listens() -> bool:
                assert process.poll() is None, log.read_text()
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    return True
                return False

            until(listens, f"{command[-1]} listens", seconds=60)
            yield
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("caller", ["agent", "access token", "ID token", "cookie"])
@pytest.mark.parametrize("program", PROGRAMS)
async def test_it_says_who_asks(gateway: Gateway, program: str, caller: str, mode: Any) -> None:
    """Names with commas, blanks, percent signs and umlauts come out as they went in."""
    headers, expected = callers()[caller]
    async with httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30) as http:
        transport = streamable_http_client(f"{gateway.base_url}/{program}/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["who_am_i"]
            result = await client.call_tool("who_am_i", {})
    assert not result.is_error, result
    said = dict(result.structured_content or {})
    assert len(said.pop("request")) == 32
    assert said == expected


@pytest.mark.parametrize("program", PROGRAMS)
async def test_nobody_writes_it_but_the_gateway(gateway: Gateway, program: str) -> None:
    """What a client sends under these names is not what the program says."""
    headers, expected = callers()["agent"]
    forged = dict.fromkeys(("X-User", "X-Groups", "X-Scopes", "X-Allowed-Tools", "X-Request-ID"), "forged")
    async with httpx2.AsyncClient(headers=headers | forged, trust_env=False, timeout=30) as http:
        transport = streamable_http_client(f"{gateway.base_url}/{program}/mcp", http_client=http)
        async with Client(transport) as client:
            said = dict((await client.call_tool("who_am_i", {})).structured_content or {})
    assert said.pop("request") != "forged"
    assert said == expected


ALL_AND_SOME = """\
import os

from fastmcp import FastMCP
from fastmcp.server.dependencies import get_http_headers

server = FastMCP("headers")


@server.tool
def left_out() -> list[str]:
    return sorted(get_http_headers(include_all=True).keys() - get_http_headers().keys())


server.run(transport="http", host="127.0.0.1", port=int(os.environ["PORT"]))
"""


async def test_what_fastmcp_leaves_out(tmp_path: Path) -> None:
    """The sentence below its program names headers that `get_http_headers` leaves out."""
    (sentence,) = [
        line for line in BACKEND.text.splitlines() if line.startswith("`get_http_headers()` leaves")
    ]
    (tmp_path / "server.py").write_text(ALL_AND_SOME)
    port = free_port()
    with started([str(FASTMCP), str(tmp_path / "server.py")], port, tmp_path / "log"):
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
            transport = streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)
            async with Client(transport, mode="legacy") as client:
                result = await client.call_tool("left_out", {})
    named = {name for name in names(sentence) if "(" not in name}
    assert named == {"mcp-session-id", "host"}
    assert named <= set((result.structured_content or {})["result"])
