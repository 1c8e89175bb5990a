"""A real server on a port of its own, for an app that a test makes."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import uvicorn

from support.prompt_server import PromptServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass
class Stage:
    """One server for many tests, whose app each replaces: starting one takes 0.2 s."""

    base: str = ""
    app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve with the app of the current test."""
        assert self.app is not None
        await self.app(scope, receive, send)


async def read_body(receive: Receive) -> bytes:
    """Return a request's whole body."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


@contextlib.contextmanager
def serving(make_app: Callable[[str], ASGIApp], lifespan: Literal["on", "off"] = "off") -> Iterator[str]:
    """Serve an app on a free port of 127.0.0.1 and yield its base URL."""
    # The socket listens before the server runs, so that the first request waits instead of failing.
    listener = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        make_app(base), log_level="warning", access_log=False, ws="none", lifespan=lifespan
    )
    config.timeout_graceful_shutdown = 1
    server = PromptServer(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield base
    finally:
        server.end()
        thread.join()
        listener.close()
