"""The server that the clients call, and a gateway in front of it that grants all but one tool."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.python_server import full
from support import cognito
from support.asgi_server import serving
from support.gateway import environment, running
from support.jwks_server import jwks_server_beside
from support.kept_events import KeptEvents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SCOPES = """\
mcp/read:
  - server: full
    methods: ["*"]
    tools: [test_simple_text, "test_tool_*", test_sampling, test_elicitation, test_reconnection, "test_input_*", "test_trigger_*"]
    resources: ["*"]
"""


class Counting:
    """Counts the sessions that clients end."""

    def __init__(self) -> None:
        self.ended = 0
        self.app: ASGIApp = full().streamable_http_app(event_store=KeptEvents(), retry_interval=100)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, and look at what is answered to a DELETE."""

        async def sent(message: Message) -> None:
            if scope.get("method") == "DELETE" and message.get("status") in {200, 202, 204}:
                self.ended += 1
            await send(message)

        await self.app(scope, receive, sent)


@contextlib.contextmanager
def started() -> Iterator[tuple[str, str, Callable[[], int]]]:
    """Yield the server's URL direct, that through the gateway, and how many sessions were ended."""
    server = Counting()
    with tempfile.TemporaryDirectory() as made, jwks_server_beside(cognito.jwks()) as keys:
        folder = Path(made)
        (folder / "scopes.yml").write_text(SCOPES)
        environ = environment(keys.url, folder / "scopes.yml")
        with serving(lambda _: server, lifespan="on") as base:
            with running({"full": base}, environ, "--nginx-workers", "1", cwd=folder) as gateway:
                yield f"{base}/mcp", f"{gateway.base_url}/full/mcp", lambda: server.ended
