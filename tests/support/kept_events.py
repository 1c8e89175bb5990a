"""An MCP server's memory of its events, for clients that come again with Last-Event-ID."""

from __future__ import annotations

from typing import Any

from mcp.server.streamable_http import EventCallback, EventMessage, EventStore


class KeptEvents(EventStore):
    """Keeps every event of every stream."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    async def store_event(self, stream_id: str, message: Any) -> str:
        self.events.append((stream_id, message))
        return str(len(self.events))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        after = int(last_event_id)
        stream, _ = self.events[after - 1]
        for number, (name, message) in enumerate(self.events[after:], after + 1):
            if name == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream
