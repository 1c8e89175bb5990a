"""`auth-server demo`: a gateway, a stand-in Cognito and two real MCP servers, ready to try."""

from __future__ import annotations

import json
import secrets
import signal
import socket
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from auth_server.demo.directory import POOL_ID, generate_client_secret, generate_password
from auth_server.demo.mcp_servers import SERVERS
from auth_server.demo.stand_in import SECRETS
from auth_server.gateway import supervisor
from auth_server.gateway.nginx import McpServer
from auth_server.logs import configure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auth_server.gateway.nginx import Plan

PEOPLE = ("ada", "uma", "dev", "nobody")
CONFIDENTIAL_CLIENTS = ("demo-agent", "demo-admin-agent", "demo-web")

_CALL = (
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%s","arguments":%s,"_meta":'
    '{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
    '"io.modelcontextprotocol/clientInfo":{"name":"curl","version":"1"},'
    '"io.modelcontextprotocol/clientCapabilities":{}}}}'
)
_GRANTED = ("current_time_by_timezone", '{"tz_name":"Europe/Berlin"}')
_REFUSED = ("convert_time", '{"time":"2026-07-28T09:30","from_tz":"Europe/Berlin","to_tz":"Asia/Tokyo"}')


async def run(plan: Plan, environ: Mapping[str, str]) -> None:
    """Run everything until SIGTERM or SIGINT; secrets and passwords are made anew at each start.

    `plan` says where to listen; its servers are replaced by the demo's.
    """
    configure(replace(plan.settings, log_format="console", log_level="warning"))
    gateway_url = plan.settings.gateway_url
    cognito, *mcp = _free_ports(1 + len(SERVERS))
    known = {name: generate_client_secret() for name in CONFIDENTIAL_CLIENTS}
    known |= {name: generate_password() for name in PEOPLE}
    issuer = f"http://localhost:{cognito}/{POOL_ID}"
    servers = [McpServer(name, f"http://127.0.0.1:{port}") for name, port in zip(SERVERS, mcp, strict=True)]
    plan = replace(plan, servers=servers, access_log="off")
    settings = {
        **{name: value for name, value in environ.items() if not name.startswith(("COGNITO_", "AWS_REGION"))},
        "COGNITO_USER_POOL_ID": POOL_ID,
        "COGNITO_ISSUER": issuer,
        "COGNITO_CLIENT_ID": "demo-web",
        "COGNITO_CLIENT_SECRET": known["demo-web"],
        "COGNITO_ALLOWED_CLIENT_IDS": "demo-agent,demo-admin-agent,demo-cli",
        "SECRET_KEY": environ.get("SECRET_KEY", "") or secrets.token_urlsafe(32),
        "SCOPES_FILE": str(scopes_file()),
        "GATEWAY_URL": gateway_url,
        "LOG_LEVEL": "WARNING",
    }
    state = tempfile.TemporaryDirectory(prefix="mcp-demo-")
    settings.setdefault("REVOCATION_URL", f"sqlite://{state.name}/revocations.sqlite")
    stand_in = [sys.executable, "-m", "auth_server.demo.stand_in", "--port", str(cognito)]
    stand_in += ["--gateway-url", gateway_url, "--issuer-base", f"http://localhost:{cognito}"]
    companions = [
        supervisor.Child(
            "cognito", stand_in, {**environ, SECRETS: json.dumps(known)}, stop_signal=signal.SIGTERM
        ),
        *(
            supervisor.Child(
                name,
                [sys.executable, "-m", "auth_server.demo.mcp_servers", name, "--port", str(port)],
                environ,
                stop_signal=signal.SIGTERM,
                quiet=True,
            )
            for name, port in zip(SERVERS, mcp, strict=True)
        ),
    ]

    async def announce() -> None:
        print(introduction(gateway_url, issuer, known, scopes_file()), flush=True)  # noqa: T201 - what the demo is for

    with state:
        await supervisor.run(
            plan,
            settings,
            companions=companions,
            companion_addresses=[("127.0.0.1", port) for port in (cognito, *mcp)],
            on_ready=announce,
        )


def introduction(
    gateway_url: str,
    issuer: str,
    known: Mapping[str, str],
    scopes: object,
    *,
    ending: str = "Ctrl-C stops everything.",
) -> str:
    """Return what the demo prints: lines to paste, a user to sign in as, an agent's credentials.

    `issuer` is where a browser and curl reach the pool, `scopes` the file that one may edit.
    """
    return f"""
The gateway is ready on {gateway_url}, in front of the MCP servers {" and ".join(SERVERS)}.

An agent with its own identity gets a token (paste these into another terminal):

  TOKEN=$(curl -s -u demo-agent:{known["demo-agent"]} -d grant_type=client_credentials \\
    {issuer}/oauth2/token | sed 's/.*"access_token": *"\\([^"]*\\)".*/\\1/')

This call is granted, and answers with the time in Berlin:

  {curl(gateway_url, *_GRANTED)}

This one is not, and is refused with ACCESS_DENIED:

  {curl(gateway_url, *_REFUSED)}

Agents   demo-agent (scope mcp-servers-restricted/read)  secret {known["demo-agent"]}
         demo-admin-agent (all scopes)                   secret {known["demo-admin-agent"]}
People   {", ".join(f"{name} / {known[name]}" for name in PEOPLE)}
Sign in  {gateway_url}/oauth2/login/cognito

What each may call is said in {scopes}. {ending}
"""


def curl(gateway_url: str, tool: str, arguments: str) -> str:
    """Return a line for a shell that calls a tool of `currenttime` with the token in $TOKEN."""
    body = _CALL % (tool, arguments)
    return (
        f'curl -s -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" '
        f'-H "Accept: application/json, text/event-stream" -H "MCP-Protocol-Version: 2026-07-28" '
        f'-H "Mcp-Method: tools/call" -H "Mcp-Name: {tool}" \\\n'
        f"    {gateway_url}/currenttime/mcp -d '{body}'"
    )


def scopes_file() -> Path:
    """Return the scopes.yml of the product: in the wheel inside the package, in a checkout beside it."""
    package = Path(__file__).parent.parent
    inside = package / "_scopes.yml"
    return inside if inside.is_file() else package.parent / "scopes.yml"


def _free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports
