#!/usr/bin/env python3
"""Exit with 0 if what listens on a Unix socket answers as it should: `healthcheck SOCKET PATH` or `… --mcp`.

The standard library's socket alone: it runs every few seconds, and starts in 30 ms.
"""

import socket
import sys

DISCOVER = (
    b'{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{'
    b'"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
    b'"io.modelcontextprotocol/clientInfo":{"name":"healthcheck","version":"1"},'
    b'"io.modelcontextprotocol/clientCapabilities":{}}}}'
)
ENOUGH = 4096  # bytes of an answer, to see its status and to show why
MCP_HEADERS = (
    "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
    "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: server/discover\r\n"
)


def request(path: str, *, mcp: bool) -> bytes:
    """Return the question: a GET, or an MCP server's own server/discover."""
    head = f"{'POST' if mcp else 'GET'} {path} HTTP/1.1\r\nHost: localhost:8000\r\nConnection: close\r\n"
    body = DISCOVER if mcp else b""
    return f"{head}{MCP_HEADERS if mcp else ''}Content-Length: {len(body)}\r\n\r\n".encode() + body


def main() -> int:
    """Ask once, within 3 s."""
    address, path, *options = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(3)
        try:
            connection.connect(address)
            connection.sendall(request(path, mcp="--mcp" in options))
            answer = b""
            while len(answer) < ENOUGH and (data := connection.recv(ENOUGH)):
                answer += data
        except OSError as error:
            answer = str(error).encode()
    # The engine keeps what is printed: `docker inspect` shows why a container is not healthy.
    print(answer.decode(errors="replace")[:400])
    return 0 if answer.startswith(b"HTTP/1.1 200") else 1


if __name__ == "__main__":
    sys.exit(main())
