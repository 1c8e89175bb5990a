"""The requests that are sent: whole HTTP/1.1 messages, the same bytes to everything that is compared."""

from __future__ import annotations

import json

from bench.policies import SERVER, STREAMS, TOOLS

HOST = "localhost"
_LINE = 'He said: "the quick brown fox jumps over the lazy dog", and it did.\n'


def tools_call(size: int, *, tool: str = TOOLS[7]) -> bytes:
    """Return a tools/call of exactly this many bytes.

    Past a few hundred bytes it carries a text as agents do, with line ends and quotes, which JSON escapes.
    """
    text = _LINE * (size // len(_LINE) + 1) if size > len(_LINE) * 4 else ""

    def body(length: int, pad: int) -> bytes:
        arguments = {"timezone": "Europe/Berlin" + " " * pad, "text": text[:length]}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        params = {"name": tool, "arguments": arguments}
        return json.dumps({**message, "params": params}, separators=(",", ":")).encode()

    low, high = 0, len(text)
    while low < high:  # the longest text that still fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(body(middle, 0)) <= size else (low, middle - 1)
    return body(low, size - len(body(low, 0)))


def post(credential: str, body: bytes) -> bytes:
    """Return an agent's call through the gateway. `credential` is a whole header line."""
    head = [
        f"POST /{SERVER}/mcp HTTP/1.1",
        f"Host: {HOST}",
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        "MCP-Protocol-Version: 2025-11-25",
        credential,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def stream(credential: str) -> bytes:
    """Return the request that opens an event stream."""
    head = [
        f"GET /{STREAMS}/mcp HTTP/1.1",
        f"Host: {HOST}",
        "Accept: text/event-stream",
        "MCP-Protocol-Version: 2025-11-25",
        credential,
    ]
    return "\r\n".join([*head, "", ""]).encode()


def validate(credential: str, body: bytes) -> bytes:
    """Return what nginx asks the sidecar about such a call: the headers as sent, its own, and the message."""
    head = [
        "POST /validate HTTP/1.1",
        f"Host: {HOST}",
        f"X-Mcp-Server: {SERVER}",
        f"X-Original-Length: {len(body)}",
        "X-Original-Method: POST",
        f"X-Original-Uri: /{SERVER}/mcp",
        "X-Request-Id: 0123456789abcdef0123456789abcdef",
        "X-Server-Address: 127.0.0.1",
        f"Content-Length: {len(body)}",
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        "MCP-Protocol-Version: 2025-11-25",
        credential,
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def bearer(token: str) -> str:
    """Return the header line of a token."""
    return f"Authorization: Bearer {token}"


def session(cookie: str) -> str:
    """Return the header line of a session cookie."""
    return f"Cookie: mcp_gateway_session={cookie}"
