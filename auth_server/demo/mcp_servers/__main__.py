"""Serve one of the demo's MCP servers: `python -m auth_server.demo.mcp_servers currenttime`.

They serve both eras of MCP at /mcp over streamable HTTP: the 2025 handshake and stateless 2026-07-28.
"""

from __future__ import annotations

import argparse
import logging
import socket
from importlib import import_module
from typing import TYPE_CHECKING, Any

from auth_server.demo.mcp_servers import SERVERS
from auth_server.demo.stopping import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp.server.mcpserver import MCPServer
    from starlette.applications import Starlette

PATH = "/mcp"


def create_app(name: str, *, host: str = "127.0.0.1") -> Starlette:
    """Return the server of that name as an app with its endpoint at /mcp.

    `host` is what it will listen on. On loopback the SDK serves loopback Host and Origin headers alone
    (DNS rebinding; MCP, Streamable HTTP, "Security Warning"), which suits a gateway that sends the
    upstream's own Host. On any other address it serves every Host: it belongs behind the gateway then.
    """
    server: MCPServer[Any] = import_module(f"auth_server.demo.mcp_servers.{name}").create()
    return server.streamable_http_app(streamable_http_path=PATH, host=host)


def main(argv: Sequence[str] | None = None) -> None:
    """Serve one of them until told to stop; the first line printed is its URL."""
    parser = argparse.ArgumentParser(prog="python -m auth_server.demo.mcp_servers", description=__doc__)
    parser.add_argument("name", choices=SERVERS)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--uds", help="listen on this Unix socket instead; Host is a loopback name then")
    given = parser.parse_args(argv)
    app = create_app(given.name, host=given.host)
    logging.getLogger("mcp").setLevel(logging.WARNING)
    if given.uds:
        Server(app, uds=given.uds, log_level="warning", access_log=False, ws="none").run()
        return
    family = socket.AF_INET6 if ":" in given.host else socket.AF_INET
    # Bound here, so that the URL printed is one that already answers.
    with socket.create_server((given.host, given.port), family=family) as listener:
        host = f"[{given.host}]" if ":" in given.host else given.host
        print(f"http://{host}:{listener.getsockname()[1]}{PATH}", flush=True)  # noqa: T201 - its output
        Server(app, log_level="warning", access_log=False, ws="none").run(sockets=[listener])


if __name__ == "__main__":
    main()
