"""An agent behind the gateway: shows the tools of an MCP server that it may call, and calls one.

    python examples/agent.py http://localhost:8080/currenttime/mcp
    python examples/agent.py URL current_time_by_timezone '{"tz_name": "Europe/Berlin"}'

With an identity of its own it needs the settings of `auth-server token`, in the environment or .env;
with --use-session-cookie it acts for the person who ran `auth-server login`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

import httpx2  # the HTTP library of mcp 2.x
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from auth_server.client import ClientError, CognitoClientCredentials, SessionCookie
from auth_server.errors import ConfigurationError


async def main(arguments: argparse.Namespace) -> None:
    """Connect, list, call."""
    auth = SessionCookie() if arguments.use_session_cookie else CognitoClientCredentials.from_environ()
    if isinstance(auth, CognitoClientCredentials):
        await auth.atoken()  # before the client's own tasks, so that an error is one
    async with httpx2.AsyncClient(auth=auth, timeout=httpx2.Timeout(30, read=300)) as http:
        transport = streamable_http_client(arguments.url, http_client=http)
        if arguments.url.endswith("/sse"):  # the transport of 2024
            transport = sse_client(arguments.url, auth=auth)
        async with Client(transport) as client:
            if not arguments.tool:
                for tool in (await client.list_tools()).tools:
                    print(f"{tool.name}: {tool.description}")
                return
            answer = await client.call_tool(arguments.tool, json.loads(arguments.arguments))
            for content in answer.content:
                print(getattr(content, "text", content))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", help="of the MCP server behind the gateway")
    parser.add_argument("tool", nargs="?", help="the tool to call; without one, all are listed")
    parser.add_argument("arguments", nargs="?", default="{}", help="its arguments in JSON")
    parser.add_argument("--use-session-cookie", action="store_true", help="act for the person signed in")
    try:
        asyncio.run(main(parser.parse_args()))
    except (ClientError, ConfigurationError, MCPError, ExceptionGroup) as error:
        while isinstance(error, ExceptionGroup):  # what happens inside the client comes out wrapped
            error = error.exceptions[0]
        sys.exit(f"agent: {error}")
