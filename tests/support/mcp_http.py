"""MCP messages as plain HTTP, for tests that watch the connection itself."""

from __future__ import annotations

from typing import Any

VERSION = "2026-07-28"


def message(method: str, params: dict[str, Any], **meta: Any) -> dict[str, Any]:
    """Return a request of the 2026-07-28 revision."""
    about = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params | {"_meta": about | meta}}


def headers(token: str, method: str, name: str = "") -> dict[str, str]:
    """Return the headers that go with it."""
    named = {"Mcp-Name": name} if name else {}
    return named | {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": VERSION,
        "Mcp-Method": method,
    }


def countdown(seconds: int) -> dict[str, Any]:
    """Return a call of the demo's slow tool: an event each second."""
    return message("tools/call", {"name": "countdown", "arguments": {"seconds": seconds}}, progressToken="p")
