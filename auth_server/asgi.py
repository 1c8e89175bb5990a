"""What the sidecar and the relay share as servers of ASGI behind nginx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import Receive

# uvicorn's options. nginx keeps its connections for a minute, so they must not be closed before.
SERVER: dict[str, Any] = {
    "access_log": False,
    "log_config": None,
    "server_header": False,
    "date_header": False,
    "proxy_headers": False,  # nothing here asks who the client is, or by which scheme it came
    "ws": "none",
    "timeout_keep_alive": 75,
    "timeout_graceful_shutdown": 5,
}


async def read_body(receive: Receive, *, kept: bool = True) -> bytes:
    """Return the message, which nginx has bounded (MAX_BODY_SIZE); nothing of one that nobody is to read."""
    parts = []
    more = True
    while more:
        event = await receive()
        more = event["type"] == "http.request" and event.get("more_body", False)
        if kept:
            parts.append(event.get("body", b""))
    return parts[0] if len(parts) == 1 else b"".join(parts)
