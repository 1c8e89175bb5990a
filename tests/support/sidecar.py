"""The sidecar as it runs: a real uvicorn on loopback, with a key endpoint of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import uvicorn

from auth_server import contract
from auth_server.app import create_app
from auth_server.asgi import SERVER
from auth_server.config.settings import Settings
from auth_server.protocol import Protocol
from support.cognito import AGENT, CLIENT, POOL, jwks
from support.jwks_server import JwksServer
from support.plain_http import NO_CERTIFICATES
from support.prompt_server import PromptServer
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECRET_KEY = "vEk3nT-u1V0d8Qm2yXw7zLrB5sHcJgPa9fUeTiOkNbM"
GATEWAY_URL = "https://gw.example"
UNSET = "(unset)"

SCOPES = """\
group_mappings:
  readers: [by-group]
  "a,b c": [by-group]
mcp/read:
  - server: time
    methods: [tools/list, tools/call]
    tools: [now]
mcp/run:
  - server: time
    methods: [tools/list, tools/call, completion/complete, subscriptions/listen]
    tools: [convert, "get_*"]
    prompts: [plan]
    resources: ["file:///docs/*"]
by-group:
  - server: notes
    methods: [tools/call]
    tools: ["*"]
"""


class Asked(NamedTuple):
    """A question to /validate: its HTTP method, headers and body."""

    method: str
    headers: list[tuple[str, str]]
    body: bytes


def as_nginx_asks(
    message: dict[str, Any] | bytes | None = None,
    /,
    *more: tuple[str, str],
    server: str = "time",
    method: str = "",
    **headers: str,
) -> Asked:
    """Return what nginx asks about a client's request: with a message a POST, else a GET.

    The client sent the headers of an honest one, but for `headers` (underscores for dashes; UNSET leaves one
    out) and `more`, which may repeat a name.
    """
    body = json.dumps(message).encode() if isinstance(message, dict) else message or b""
    method = method or ("GET" if message is None else "POST")
    honest = {"host": urlsplit(GATEWAY_URL).netloc}
    if message is not None:
        honest |= {"content-type": "application/json", "x-original-length": str(len(body))}
    honest |= {
        "x-mcp-server": server,
        "x-original-method": method,
        "x-original-uri": f"/{server}/mcp",
        "x-request-id": "request-1",
        "x-server-address": "192.0.2.1",
    }
    given = honest | {name.replace("_", "-"): value for name, value in headers.items()}
    sent = [(name, value) for name, value in given.items() if value != UNSET]
    return Asked("POST" if method == "POST" else "GET", [*sent, *more], body)


@dataclass(slots=True)
class Sidecar:
    """A running sidecar, its keys' endpoint and its scopes.yml."""

    client: httpx.AsyncClient
    jwks: JwksServer
    scopes_file: Path

    async def ask(
        self,
        message: dict[str, Any] | bytes | None = None,
        /,
        *more: tuple[str, str],
        path: str = contract.VALIDATE,
        **headers: str,
    ) -> httpx.Response:
        """Ask /validate about a client's request; the arguments are those of `as_nginx_asks`."""
        asked = as_nginx_asks(message, *more, **headers)
        headers_sent = [(name.encode(), value.encode("latin-1")) for name, value in asked.headers]
        return await self.client.request(asked.method, path, headers=headers_sent, content=asked.body)


def environment(scopes_file: Path, jwks_url: str, **changes: str) -> dict[str, str]:
    """Return the settings of a sidecar that trusts the test pool."""
    settings = {
        "COGNITO_USER_POOL_ID": POOL.id,
        "COGNITO_JWKS_URL": jwks_url,
        "COGNITO_ALLOWED_CLIENT_IDS": f"{CLIENT},{AGENT}",
        "SECRET_KEY": SECRET_KEY,
        "SCOPES_FILE": str(scopes_file),
        "GATEWAY_URL": GATEWAY_URL,
        "STATE_DIRECTORY": str(scopes_file.parent / "state"),
    } | changes
    return {name: value for name, value in settings.items() if value != UNSET}


@contextlib.asynccontextmanager
async def running(folder: Path, *, fault: str = "", **changes: str) -> AsyncIterator[Sidecar]:
    """Run a sidecar with these settings changed; it has its keys, unless the endpoint has a fault."""
    scopes_file = folder / "scopes.yml"
    scopes_file.write_text(SCOPES)
    endpoint = JwksServer(jwks(), fault=fault)
    server = await asyncio.start_server(endpoint.answer, "127.0.0.1", 0)
    endpoint.port = server.sockets[0].getsockname()[1]
    settings = Settings.from_environ(environment(scopes_file, endpoint.url, **changes))
    app = create_app(settings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app,
            lifespan="on",
            http=Protocol,
            **SERVER,
        )
        uvicorn_server = PromptServer(config)
        task = asyncio.create_task(uvicorn_server.serve(sockets=[listener]))
        try:
            await eventually(lambda: uvicorn_server.started)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with httpx.AsyncClient(base_url=url, verify=NO_CERTIFICATES) as client:
                if not fault:
                    while (await client.get("/readyz")).status_code != 200:
                        await asyncio.sleep(0.01)
                yield Sidecar(client, endpoint, scopes_file)
        finally:
            uvicorn_server.end()
            await task
            endpoint.release.set()
            server.close()
