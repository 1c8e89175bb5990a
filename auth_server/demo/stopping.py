"""A server that ends open event streams properly when it is told to stop, instead of breaking them off."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class EndStreams:
    """Wraps an app; once `stopping` is set, each response that is still under way gets its last chunk."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.stopping = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        under_way = False

        async def watched(message: Message) -> None:
            nonlocal under_way
            under_way = bool(message.get("more_body", message["type"] == "http.response.start"))
            await send(message)

        answer = asyncio.ensure_future(self._app(scope, receive, watched))
        stop = asyncio.create_task(self.stopping.wait())
        try:
            await asyncio.wait({answer, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            if not answer.done():
                answer.cancel()
                await asyncio.wait({answer})
        if under_way and answer.cancelled():
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif not answer.cancelled():
            answer.result()


class Server(uvicorn.Server):
    """uvicorn with that at its end."""

    def __init__(self, app: ASGIApp, **options: Any) -> None:
        self._ending = EndStreams(app)
        super().__init__(uvicorn.Config(self._ending, timeout_graceful_shutdown=5, **options))

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        """End what is under way, then stop as uvicorn does."""
        self._ending.stopping.set()
        await super().shutdown(sockets)
