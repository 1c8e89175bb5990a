"""The sidecar as it runs: a real uvicorn on loopback, with a key endpoint of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn

from auth_server.app import create_app
from auth_server.config.settings import Settings
from auth_server.protocol import Protocol
from support.cognito import AGENT, CLIENT, POOL, jwks
from support.jwks_server import JwksServer
from support.until import until

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


@dataclass(slots=True)
class Sidecar:
    """A running sidecar, its keys' endpoint and its scopes.yml."""

    client: httpx.AsyncClient
    jwks: JwksServer
    scopes_file: Path

    async def ask(self, *pairs: tuple[str, str], **headers: str) -> httpx.Response:
        """Ask /validate; `headers` have underscores for dashes, `pairs` may repeat a name."""
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        return await self.client.get("/validate", headers=[*named, *pairs])


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
            log_config=None,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            http=Protocol,
            ws="none",
        )
        uvicorn_server = _Server(config)
        task = asyncio.create_task(uvicorn_server.serve(sockets=[listener]))
        try:
            await until(lambda: uvicorn_server.started)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with httpx.AsyncClient(base_url=url) as client:
                if not fault:
                    while (await client.get("/readyz")).status_code != 200:
                        await asyncio.sleep(0.01)
                yield Sidecar(client, endpoint, scopes_file)
        finally:
            uvicorn_server.should_exit = True
            await task
            endpoint.release.set()
            server.close()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Leave the signals to pytest."""
        yield
